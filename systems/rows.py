"""Rows of examples and training data: JSONL in Rung's words or in TRL's.

A row is `{"input", "expected_output"}`, as cases are, or `{"prompt", "completion"}`, as TRL has
them: texts, or lists of chat messages. Either may have `metadata`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, nearest
from harness.types import CaseInput


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An input with the answer it should have."""

    input: CaseInput
    output: str
    value: Any  # the expected output as it stands in the file: a number, a label, an object
    metadata: Mapping[str, Any] = field(default_factory=dict)
    line: int | None = None  # in its file


class PlacedRow(dict[str, Any]):
    """An object of a file that knows its line: whoever is given a choice of rows can say where one is."""

    def __init__(self, value: Mapping[str, Any], line: int) -> None:
        super().__init__(value)
        self.line = line


def place(row: Mapping[str, Any], number: int) -> str:
    """The row's line in its file; of one that is in none, its number among the others."""
    return f"line {row.line}" if isinstance(row, PlacedRow) else f"row {number}"


def read_rows(path: Path, *, key: str) -> list[Row]:
    """Read the rows of a JSONL file.

    Raises
    ------
    ConfigError
        With file and line, for a row that is neither; and for a file without rows.
    """
    return [_row(record, path, key) for record in read_objects(path, key=key)]


def read_objects(path: Path, *, key: str, most: int | None = None) -> list[PlacedRow]:
    """Read the objects of a JSONL file, each with its line: all, or the first ones."""
    objects: list[PlacedRow] = []
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, 1):
                if len(objects) == most:
                    break
                text = line.rstrip(b"\n")
                if number == 1:
                    text = text.removeprefix(b"\xef\xbb\xbf")
                if text.strip():
                    objects.append(_object(text, path, number, key))
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path, key=key) from error
    if not objects:
        raise ConfigError("has no rows", file=path, key=key)
    return objects


def _object(line: bytes, path: Path, number: int, key: str) -> PlacedRow:
    try:
        value = json.loads(line.decode("utf-8"))
        if b"\\ud" in line or b"\\uD" in line:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        message = "text that is not valid Unicode: half of a surrogate pair (\\ud800 to \\udfff)"
        raise ConfigError(message, file=path, line=number, key=key) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", file=path, line=number, key=key) from error
    if not isinstance(value, dict):
        raise ConfigError("expected an object", file=path, line=number, key=key)
    return PlacedRow(value, number)


def _row(record: PlacedRow, path: Path, key: str) -> Row:
    if record.get("input") is not None and record.get("expected_output") is not None:
        asked, answer = record["input"], record["expected_output"]
    elif record.get("prompt") and record.get("completion"):
        asked, answer = record["prompt"], _content(record["completion"])
        if isinstance(asked, list) and len(asked) == 1:
            asked = _content(asked)
    else:
        message = "expected `input` and `expected_output`, or `prompt` and `completion`"
        raise ConfigError(message, file=path, line=record.line, key=key)
    return Row(
        input=asked,
        output=as_text(answer),
        value=answer,
        metadata=record.get("metadata") or {},
        line=record.line,
    )


def _content(value: Any) -> Any:
    return value[-1].get("content", "") if isinstance(value, list) and value else value


def as_text(value: Any) -> str:
    """An expected output as the text a model would write: objects and numbers as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def missing_field(value: CaseInput, field: str | None) -> str | None:
    """Say that an input of named fields has not the one to be read; None where all is well."""
    if field is None or not isinstance(value, Mapping) or field in value:
        return None
    return f"the input has no field '{field}'. {nearest(field, map(str, value))}"


def query_text(value: CaseInput, field: str | None = None) -> str:
    """An input as one text, to search with it: all fields, or one; the user's last message.

    Raises
    ------
    ValueError
        When the input has named fields and not that one; `missing_field` says so before.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        if fault := missing_field(value, field):
            raise ValueError(fault)
        if field is not None:
            return as_text(value[field])
        return "\n".join(as_text(part) for part in value.values())
    messages = _messages(value)
    return as_text(value) if messages is None else _last_of_user(messages)


def asked_texts(value: CaseInput) -> frozenset[str]:
    """What an input asks, however it is written down: two inputs that share a text ask the same.

    Case and spaces do not matter, nor does the order of named fields, nor a system message.
    """
    if isinstance(value, str):
        layouts = [[value]]
    elif isinstance(value, Mapping):
        fields = [as_text(part) for part in value.values()]
        layouts = [fields, sorted(fields)]
    elif (messages := _messages(value)) is not None:
        said = [message for message in messages if message.get("role") != "system"]
        layouts = [[_said(message.get("content") or "") for message in said]]
    else:
        layouts = [[as_text(value)]]
    texts = (" ".join(" ".join(parts).casefold().split()) for parts in layouts)
    return frozenset(text for text in texts if text)


def texts_of_row(row: Mapping[str, Any]) -> frozenset[str]:
    """What a training row asks, by its input and by its prompt."""
    values = (row.get("input"), row.get("prompt"))
    return frozenset().union(*(asked_texts(value) for value in values if value is not None))


def _messages(value: Any) -> list[Mapping[str, Any]] | None:
    """Chat messages; None for what else a row of JSON may hold, which templates write as it is."""
    if not isinstance(value, list | tuple):
        return None
    found = [said for said in value if isinstance(said, Mapping)]
    return found if len(found) == len(value) else None


def _said(content: Any) -> str:
    """The text of a message, whether it is written as one text or as a list of typed parts."""
    if isinstance(content, list | tuple):
        parts = [part for part in content if isinstance(part, Mapping) and "type" in part]
        texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
        if texts and len(parts) == len(content):
            return " ".join(texts)
    return as_text(content)


def _last_of_user(messages: Sequence[Mapping[str, Any]]) -> str:
    said = [message for message in messages if message.get("role") == "user"] or messages
    return as_text(said[-1].get("content", "")) if said else ""
