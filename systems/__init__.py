"""Systems by kind. Standard library only: a kind's module is imported when it is loaded."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from harness.errors import ConfigError, MissingExtraError, nearest
from harness.types import Encoder, System, SystemSpec, Trainer

# The model libraries report their use to their makers unless told not to before they are imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Where a kind of system is, and what it needs."""

    target: str  # module:class
    version: str  # raised when the same configuration would answer differently
    extra: str | None = None  # the extra that installs what its module imports


KINDS: dict[str, Kind] = {
    "recorded": Kind(target="systems.recorded:RecordedSystem", version="1"),
    "python": Kind(target="systems.python:PythonSystem", version="1"),
    "prompt": Kind(target="systems.prompt:PromptSystem", version="1"),
    "rag": Kind(target="systems.rag:RagSystem", version="1", extra="local"),
    "fine_tuned": Kind(target="systems.fine_tuned:FineTunedSystem", version="1", extra="train"),
    "classical": Kind(target="systems.classical:ClassicalSystem", version="1", extra="local"),
}

# A rag system with a recipe of its own.
TUNED_RAG = Kind(target="systems.tuned_rag:TunedRagSystem", version="1", extra="train")

# The module that answers for each kind of model, and the extra that it needs.
BACKENDS: dict[str, tuple[str, str]] = {
    "transformers": ("systems.local:LocalBackend", "local"),
    "openai": ("systems.remote:RemoteBackend", "openai"),
}


def kind_of(spec: SystemSpec) -> Kind:
    """Look a system's kind up, or say which kinds there are."""
    if spec.kind not in KINDS:
        raise ConfigError(
            f"there is no kind '{spec.kind}'",
            key=f"systems.{spec.name}.kind",
            hint=nearest(spec.kind, KINDS),
        )
    tuned = spec.kind == "rag" and "recipe" in spec.options
    return TUNED_RAG if tuned else KINDS[spec.kind]


def resolve(target: str, *, feature: str, extra: str | None) -> object:
    """Import what `module:attribute` names.

    Raises
    ------
    MissingExtraError
        When the module needs a library that is not installed.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if extra is None or missing in ("", "systems", "harness"):
            raise
        raise MissingExtraError(feature, extra=extra, missing=missing) from error


def load(spec: SystemSpec) -> System:
    """Build a system. Cheap: models are loaded when it first answers."""
    kind = kind_of(spec)
    cls = resolve(kind.target, feature=f"system '{spec.name}' (kind {spec.kind})", extra=kind.extra)
    return cast("System", cls(spec))  # type: ignore[operator]


@lru_cache(maxsize=4)
def load_encoder(name: str, folder: Path) -> Encoder:
    """Build an encoder by its name in rung.yaml; systems of one process share it.

    Parameters
    ----------
    name
        The encoder that is installed with Rung, a local folder, or a hub id.
    folder
        What a relative folder is relative to.
    """
    cls = resolve("systems.encoders:SentenceEncoder", feature=f"encoder '{name}'", extra="local")
    return cast("Encoder", cls(name, folder))  # type: ignore[operator]


def load_trainer(
    spec: SystemSpec, *, on_log: Callable[[Mapping[str, Any]], None] | None = None
) -> Trainer:
    """Build what trains a system as its recipe says.

    Parameters
    ----------
    spec
        A system with a `recipe` and a model of this machine.
    on_log
        Called with `step`, `steps`, `loss`, ... as training goes.
    """
    feature = f"training of system '{spec.name}'"
    cls = resolve("systems.training:SystemTrainer", feature=feature, extra="train")
    return cast("Trainer", cls(spec, on_log=on_log))  # type: ignore[operator]
