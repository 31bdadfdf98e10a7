"""The folder that training leaves: what is in it, and what is said where nothing is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from harness.errors import ConfigError
from harness.types import SystemSpec

ADAPTER_CONFIG = "adapter_config.json"  # PEFT's
RECORD = "rung.json"  # what `rung train` leaves beside them
MODEL_CONFIG = "config.json"  # Transformers'
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")  # either of them


def holds_weights(folder: Path) -> bool:
    """Whether training left a whole model in a folder, rather than an adapter for one."""
    return (
        (folder / MODEL_CONFIG).is_file()
        and not (folder / ADAPTER_CONFIG).exists()
        and any(folder.glob("*.safetensors"))
    )


def holds_adapter_weights(folder: Path) -> bool:
    """Whether the weights lie beside an adapter's configuration."""
    return any((folder / name).is_file() for name in ADAPTER_WEIGHTS)


def trained_as(spec: SystemSpec) -> str:
    """The system that makes the adapter: itself, or the one that the folder is named after."""
    return spec.name if "recipe" in spec.options else Path(str(spec.options["adapter"])).name


def no_adapter(spec: SystemSpec) -> ConfigError:
    """What is said of a system whose adapter is not there: what makes it."""
    made = f"`rung train {trained_as(spec)}` makes it"
    if "recipe" not in spec.options:
        made += ", where that system has a recipe"
    return ConfigError(
        "there is no adapter here yet",
        file=spec.path(str(spec.options["adapter"])),
        key=f"systems.{spec.name}.adapter",
        hint=f"{made}. Until then `pytest evals/ --system NAME` runs the others.",
    )


def training_warnings(spec: SystemSpec) -> Iterator[str]:
    """What the record of a training says that whoever reads the system's scores must know."""
    named = spec.options.get("adapter") or (spec.model.source if spec.model is not None else None)
    try:
        record = json.loads((spec.path(str(named)) / RECORD).read_text("utf-8")) if named else {}
        counts = dict(record.get("eval_cases", {}))
    except (OSError, ValueError, AttributeError, TypeError):
        return  # one that cannot be read is told by what reads it before the system answers
    for suite, cases in counts.items():
        noun = "case" if cases == 1 else "cases"
        yield f"systems.{spec.name}: was trained on {cases} {noun} of the suite '{suite}'"
