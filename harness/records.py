"""What is stored: outputs as plain JSON objects and back, and what no cache and no run could keep."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from harness.types import Output, Passage, Step, ToolCall, Usage

IMMUTABLE = frozenset({str, int, float, bool, type(None)})
ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")  # of an object: another one in each run
MAX_DEPTH = 200  # lists and objects one in the other: walking them takes a frame or two for each
LARGEST = 2**53  # of any number in a run: readers of JSON lose the last digits of a larger one

# One encoder for all: `json.dumps` makes a new one at each call that asks for separators.
_ENCODER = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"))


def dumps(value: object) -> str:
    """Write JSON that any reader takes: escaped beyond ASCII, so lone surrogates survive too."""
    return _ENCODER.encode(value)


def output_to_json(output: Output) -> dict[str, Any]:
    """Make an output a JSON object. Fields at their default are left out."""
    row: dict[str, Any] = {"case_id": output.case_id, "epoch": output.epoch, "text": output.text}
    if output.tool_calls:
        row["tool_calls"] = [
            {"name": c.name, "arguments": dict(c.arguments), "result": c.result}
            for c in output.tool_calls
        ]
    if output.passages:
        row["passages"] = [
            {"id": p.id, "text": p.text, "rank": p.rank, "score": p.score} for p in output.passages
        ]
    if output.steps:
        row["steps"] = [
            {"name": s.name, "prompt": s.prompt, "text": s.text, "latency_s": s.latency_s}
            for s in output.steps
        ]
    if output.usage is not None:
        row["usage"] = [output.usage.prompt_tokens, output.usage.completion_tokens]
    for name in ("latency_s", "finish_reason", "prompt", "error"):
        value = getattr(output, name)
        if value is not None:
            row[name] = value
    if output.attempts != 1:
        row["attempts"] = output.attempts
    if output.refused:
        row["refused"] = True
    return row


def output_from_json(row: Mapping[str, Any]) -> Output:
    """Make an output of the object that `output_to_json` wrote."""
    usage = row.get("usage")
    return Output(
        case_id=row["case_id"],
        epoch=row["epoch"],
        text=row["text"],
        tool_calls=tuple(ToolCall(**call) for call in row.get("tool_calls", ())),
        passages=tuple(Passage(**passage) for passage in row.get("passages", ())),
        steps=tuple(Step(**step) for step in row.get("steps", ())),
        usage=Usage(prompt_tokens=usage[0], completion_tokens=usage[1]) if usage else None,
        latency_s=row.get("latency_s"),
        attempts=row.get("attempts", 1),
        finish_reason=row.get("finish_reason"),
        refused=row.get("refused", False),
        prompt=row.get("prompt"),
        error=row.get("error"),
    )


def own(value: Any) -> Any:
    """Copy a value to its depth; of JSON this takes a third of what `deepcopy` takes."""
    kind = type(value)
    if kind in IMMUTABLE:
        return value
    if kind is dict:
        return {key: own(item) for key, item in value.items()}
    if kind is list:
        return [own(item) for item in value]
    return deepcopy(value)


def unstorable(value: object, depth: int = 0) -> tuple[tuple[str, ...], str] | None:
    """Say where a value holds what is no JSON in UTF-8, and what that is; None where it is sound."""
    if isinstance(value, str):
        return _lone_surrogate(value)
    if isinstance(value, float):
        return None if math.isfinite(value) else ((), f"{value} is not a JSON value")
    if isinstance(value, dict | list):
        if depth == MAX_DEPTH:
            return (), f"more than {MAX_DEPTH} lists and objects one in the other"
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            fault = _lone_surrogate(str(key)) or unstorable(item, depth + 1)
            if fault is not None:
                return (str(key), *fault[0]), fault[1]
        return None
    if value is None or isinstance(value, int):
        return None
    return (), f"a value of type {type(value).__name__} cannot be stored: write it as text"


def _lone_surrogate(text: str) -> tuple[tuple[str, ...], str] | None:
    if text.isascii():
        return None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        where = f"a lone surrogate at character {error.start + 1}"
        return (), f"text that is not valid Unicode: {where}"
    return None


def fault_of(output: Output) -> str | None:
    """Say which field of an output holds what cannot be stored; None where all can be.

    Functions of users and files of other programs fill these fields with anything. What passes here
    is written into the cache and into the tables of a run without a further look.
    """
    fault = _fault(output, _OUTPUT_FIELDS)
    if fault is None and output.usage is not None:
        fault = _fault_of_usage(output.usage)
    for name, kind, fields in _PARTS:
        parts = getattr(output, name)
        if fault is None and parts != ():
            fault = _fault_of_parts(name, parts, kind, fields)
    return fault


def wrong(field: str, value: object, expected: str) -> str:
    """Say what a field is and what it should be."""
    try:
        shown = repr(value)
    except Exception:  # an object of a user may not even be able to show itself
        shown = f"of type {type(value).__name__}"
    shown = ADDRESS.sub("", shown)
    return f"{field} is {shown if len(shown) <= 80 else f'{shown[:80]}...'}, expected {expected}"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_reason(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return (type(value) is int and abs(value) <= LARGEST) or (
        isinstance(value, float) and math.isfinite(value)
    )


def _is_seconds(value: Any) -> bool:
    return _is_number(value) and value >= 0


def _is_json(value: Any) -> bool:
    try:
        dumps(value)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_prompt(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list | tuple) and all(map(_is_message, value))
    )


def _is_message(value: Any) -> bool:
    # Most messages are texts by name: looking at these costs a fifth of writing them.
    return isinstance(value, dict) and (
        all(type(part) is str for part in (*value, *value.values())) or _is_json(value)
    )


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping) and _is_json(dict(value))


# By field: what holds of a value, what to call it, and whether there may be none.
_Fields = Mapping[str, tuple[Callable[[Any], bool], str, bool]]
_TEXT = (_is_text, "text", False)
_OPTIONAL_TEXT = (_is_text, "text", True)
_SECONDS = (_is_seconds, "a number of seconds", True)
_PROMPT = (_is_prompt, "text or a list of messages", True)
_OUTPUT_FIELDS: _Fields = {
    "text": _TEXT,
    "latency_s": _SECONDS,
    "attempts": (_is_whole, "a whole number", False),
    "finish_reason": _OPTIONAL_TEXT,
    "refused": (_is_flag, "true or false", False),
    "prompt": _PROMPT,
    "error": (_is_reason, "text that says what failed", True),
}
_USAGE_FIELDS: _Fields = {
    "prompt_tokens": (_is_whole, "a whole number", False),
    "completion_tokens": (_is_whole, "a whole number", False),
}
_PARTS: tuple[tuple[str, type, _Fields], ...] = (
    (
        "passages",
        Passage,
        {
            "id": _TEXT,
            "text": _OPTIONAL_TEXT,
            "rank": (_is_whole, "a whole number", True),
            "score": (_is_number, "a number", True),
        },
    ),
    ("steps", Step, {"name": _TEXT, "prompt": _PROMPT, "text": _TEXT, "latency_s": _SECONDS}),
    (
        "tool_calls",
        ToolCall,
        {
            "name": _TEXT,
            "arguments": (_is_object, "an object of JSON values", False),
            "result": _OPTIONAL_TEXT,
        },
    ),
)


def _fault(record: object, fields: _Fields, place: str = "") -> str | None:
    for name, (holds, expected, optional) in fields.items():
        value = getattr(record, name)
        if not (optional and value is None) and not holds(value):
            return wrong(place + name, value, expected)
    return None


def _fault_of_usage(usage: object) -> str | None:
    """Any object that has both counts will do, such as a server's own."""
    if not all(hasattr(usage, name) for name in _USAGE_FIELDS):
        return wrong("usage", usage, "Usage(prompt_tokens=..., completion_tokens=...)")
    return _fault(usage, _USAGE_FIELDS, "usage.")


def _fault_of_parts(name: str, parts: object, kind: type, fields: _Fields) -> str | None:
    if not isinstance(parts, list | tuple):
        return wrong(name, parts, f"a tuple of {kind.__name__}")
    for number, part in enumerate(parts):
        place = f"{name}.{number}"
        if not isinstance(part, kind):
            return wrong(place, part, f"a {kind.__name__}")
        if fault := _fault(part, fields, f"{place}."):
            return fault
    return None
