"""Evidence as a JSON document: read, checked against the published schema, and written."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from harness.config import schema
from harness.errors import ConfigError, nearest
from harness.escalation.checks import check
from harness.escalation.evidence import SCHEMA_VERSION, Evidence

T = TypeVar("T")


def evidence_from_json(document: object, *, file: Path | str | None = None) -> Evidence:
    """Check a document and make it evidence.

    Raises
    ------
    ConfigError
        A key is unknown, missing or of the wrong kind, or two of them contradict each other; the
        error names the key.
    """
    _refuse_not_finite(document, (), file)
    _validate(document, file=file)
    assert isinstance(document, Mapping)
    evidence: Evidence = _build(
        Evidence, {k: v for k, v in document.items() if k != "schema_version"}
    )
    check(evidence, file=file)
    return evidence


def evidence_to_json(evidence: Evidence) -> dict[str, Any]:
    """Write evidence as a document; what is at its default is left out."""
    return {"schema_version": SCHEMA_VERSION, **_plain(evidence)}


def read_evidence(file: Path) -> Evidence:
    """Read an evidence file.

    Raises
    ------
    ConfigError
        The file is missing or cannot be read, is not JSON, or holds evidence that cannot be.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        for key in keys:
            if keys.count(key) > 1:
                raise ConfigError("this key comes twice", file=file, key=key)
        return dict(pairs)

    try:
        document = json.loads(file.read_text("utf-8-sig"), object_pairs_hook=once)
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=file) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise ConfigError(f"not JSON: {error}", file=file, line=line) from None
    return evidence_from_json(document, file=file)


def _refuse_not_finite(value: object, path: tuple[str, ...], file: Path | str | None) -> None:
    """NaN and infinity slip through every comparison of a schema."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{value} is not a number", file=file, key=".".join(path))
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_not_finite(item, (*path, str(key)), file)
    elif isinstance(value, list | tuple):
        for place, item in enumerate(value):
            _refuse_not_finite(item, (*path, str(place)), file)


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema("evidence"))


def _validate(document: object, *, file: Path | str | None) -> None:
    errors = sorted(
        _validator().iter_errors(document),
        key=lambda e: (e.validator == "required", len(e.absolute_path), str(e.path)),
    )
    if not errors:
        return
    error = errors[0]
    path = [str(part) for part in error.absolute_path]
    message = error.message if len(error.message) <= 200 else f"{error.message[:200]}..."
    hint = error.schema.get("description") if isinstance(error.schema, dict) else None
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        unknown = next(key for key in error.instance if key not in known)
        path.append(str(unknown))
        message, hint = f"unknown key '{unknown}'. {nearest(str(unknown), known)}", None
    elif error.validator == "enum":
        message = f"'{error.instance}' is not known. {nearest(str(error.instance), map(str, error.validator_value))}"
    elif error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        path.append(missing)
        message = "this key is missing"
        hint = error.schema.get("properties", {}).get(missing, {}).get("description")
    raise ConfigError(
        message, file=file, key=".".join(path), hint=f"Expected: {hint}." if hint else None
    )


@cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _build(cls: Any, value: Any) -> Any:
    """Make records of plain JSON by their annotations."""
    if value is None:
        return None
    if is_dataclass(cls):
        hints = _hints(cls)  # type: ignore[arg-type]
        return cls(**{key: _build(hints[key], item) for key, item in value.items()})  # type: ignore[operator]
    origin, arguments = get_origin(cls), get_args(cls)
    if origin is UnionType:
        return _build(next(a for a in arguments if a is not type(None)), value)
    if origin is tuple:
        return tuple(_build(arguments[0], item) for item in value)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _build(arguments[1], item) for key, item in value.items()}
    return value


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        row = {}
        for item in fields(value):
            content = getattr(value, item.name)
            default = (
                item.default_factory() if item.default_factory is not MISSING else item.default
            )
            if content != default:
                row[item.name] = _plain(content)
        return row
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return value
