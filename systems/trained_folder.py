"""The folder that a training leaves its result in: what may stand there, and how it is replaced."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.types import SystemSpec
from systems.adapter_folder import ADAPTER_CONFIG, MODEL_CONFIG, RECORD
from systems.fingerprint import is_local

FILES = "files"  # of a record: what the training wrote beside it
# What a training replaces whose predecessor's record does not list it; a tokenizer may be the user's.
UNLISTED = (
    ADAPTER_CONFIG,
    "adapter_model.safetensors",
    MODEL_CONFIG,
    "generation_config.json",
    "model.safetensors",
    "model.safetensors.index.json",
)
MODEL_FILES = (ADAPTER_CONFIG, MODEL_CONFIG, "*.safetensors", "*.bin")


def require_target(spec: SystemSpec, folder: Path) -> None:
    """Refuse a folder where a training would overwrite what is no result of a training.

    Raises
    ------
    ConfigError
        It is, holds or lies in the base model's folder, or a model is there that Rung did not train.
    """
    hint = "Name another folder: the system's `adapter:`, or `rung train --out`."
    model, place = spec.model, folder.resolve()
    if model is not None and is_local(spec.folder, model.source):
        base = (spec.folder / Path(model.source).expanduser()).resolve()
        if place.is_relative_to(base) or base.is_relative_to(place):
            raise ConfigError(
                f"the base model '{model.name}' is here ({base}): a training would write into it",
                file=folder,
                hint=hint,
            )
    found = sorted({path.name for pattern in MODEL_FILES for path in folder.glob(pattern)})
    if found and not (folder / RECORD).is_file():
        raise ConfigError(
            f"{found[0]} is here, and no record of a training ({RECORD}): what Rung did not train "
            "is not overwritten",
            file=folder,
            hint=hint,
        )


def leave_result(result: Path, record: Mapping[str, Any], folder: Path) -> None:
    """Put a result that is written whole where an earlier one may stand; other files there stay.

    A folder is read as an adapter or a model by its configuration: that goes first and comes last, so
    that one in which this was interrupted counts as empty. A record is there all the while: it tells
    what the next result replaces.
    """
    new = {path.name for path in result.iterdir()}
    text = json.dumps({**record, FILES: sorted(new)}, ensure_ascii=False)
    (result / RECORD).write_text(text + "\n", encoding="utf-8")
    for name in sorted(_written(folder) | new, key=_is_no_configuration):
        _remove(folder / name)
    for name in (RECORD, *sorted(new, key=_is_no_configuration, reverse=True)):
        # `checkpoints` may be a link to another disk.
        shutil.move(result / name, folder / name)


def _is_no_configuration(name: str) -> bool:
    return name not in (ADAPTER_CONFIG, MODEL_CONFIG)


def _written(folder: Path) -> set[str]:
    """What the training before left here."""
    record = folder / RECORD
    if not record.is_file():
        return set()
    try:
        named = set(json.loads(record.read_text(encoding="utf-8"))[FILES])
    except (ValueError, KeyError, TypeError):
        named = set(UNLISTED)
    return named & set(os.listdir(folder)) - {RECORD}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
