"""The JSON Schema that a system's answers must follow: read and checked before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import jsonschema

from harness.errors import ConfigError
from harness.types import SystemSpec
from systems import resolve


def read_answer_schema(spec: SystemSpec) -> Mapping[str, Any] | None:
    """The schema that `json_schema` holds or names; None where there is none.

    Raises
    ------
    ConfigError
        With file and key, for what cannot be read, is no JSON Schema, or cannot constrain a model
        of this machine. A server says itself what it cannot do.
    """
    value, key = spec.options.get("json_schema"), f"systems.{spec.name}.json_schema"
    if value is None:
        return None
    file = spec.path(value) if isinstance(value, str) else None
    found = value if file is None else _read(file, key)
    fault = _fault(found)
    if fault is None and spec.model is not None and spec.model.kind == "transformers":
        told = cast("Callable[[Mapping[str, Any]], str | None]", _constraint_fault())(found)
        fault = None if told is None else f"the schema cannot constrain an answer: {told}"
    if fault is not None:
        raise ConfigError(fault, file=file, key=key)
    return cast("Mapping[str, Any]", found)


def _read(file: Path, key: str) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file, key=key) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", file=file, key=key) from error


def _fault(schema: Any) -> str | None:
    if not isinstance(schema, Mapping):
        return f"no JSON Schema: an object was expected, not {type(schema).__name__}"
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except jsonschema.SchemaError as error:
        return f"no JSON Schema: {error.message}"
    return None


def _constraint_fault() -> object:
    return resolve("systems.constraints:fault_of", feature="json_schema", extra="local")
