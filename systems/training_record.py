"""What training leaves beside an adapter, and whether the adapter still fits its base model."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema

from harness.errors import ConfigError
from harness.types import SystemSpec
from systems.adapter_folder import (
    ADAPTER_CONFIG,
    ADAPTER_WEIGHTS,
    RECORD,
    holds_adapter_weights,
    holds_weights,
    no_adapter,
    trained_as,
)
from systems.fingerprint import base_identity


def read_record(adapter: Path) -> dict[str, Any]:
    """The training record of an adapter; empty for one that was trained elsewhere.

    Raises
    ------
    ConfigError
        It is there, and is no such record.
    """
    file = adapter / RECORD
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
        _schema().validate(record)
    except OSError:
        return {}
    except jsonschema.ValidationError as error:
        raise _no_record(file, error.message, ".".join(map(str, error.path))) from None
    except ValueError as error:
        raise _no_record(file, str(error)) from None
    return dict(record)


def _no_record(file: Path, why: str, key: str = "") -> ConfigError:
    return ConfigError(
        f"this is no record of a training: {why:.200}",
        file=file,
        key=key or None,
        hint="Train again. Without the file, the adapter is one that was trained elsewhere.",
    )


@cache
def _schema() -> jsonschema.Draft202012Validator:
    text = (files("harness") / "schemas/training_record.schema.json").read_text("utf-8")
    return jsonschema.Draft202012Validator(json.loads(text))


def require_adapter(spec: SystemSpec) -> None:
    """Refuse an adapter (or a model in its place) that is not there whole, or is of another base.

    Raises
    ------
    ConfigError
        With what makes the adapter.
    """
    adapter = spec.options.get("adapter")
    if adapter is None:
        return
    folder = spec.path(adapter)
    if not (folder / ADAPTER_CONFIG).is_file() and not holds_weights(folder):
        raise no_adapter(spec)
    base = read_record(folder).get("base")
    if base is not None and base != (found := base_identity(spec)):
        raise ConfigError(
            f"the {'model' if holds_weights(folder) else 'adapter'} is stale: "
            f"it was trained on another base model ({base[:19]}, not {found[:19]})",
            file=folder,
            key=f"systems.{spec.name}.adapter",
            hint=f"`rung train {trained_as(spec)}` trains it on this one.",
        )
    if not holds_weights(folder) and not holds_adapter_weights(folder):
        raise ConfigError(
            f"the adapter has no weights ({ADAPTER_WEIGHTS[0]}) beside its {ADAPTER_CONFIG}",
            file=folder,
            key=f"systems.{spec.name}.adapter",
            hint=f"Copy them here, or train it again: `rung train {trained_as(spec)}`.",
        )
