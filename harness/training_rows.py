"""Training rows from JSONL, in the forms that TRL and its neighbours read, each error with its place.

{"prompt": ..., "completion": ...}      text or chat messages (TRL)
{"prompt": ..., "chosen": ..., "rejected": ...}      preference pairs: the chosen one is taught
{"messages": [...]}      the last assistant message is taught
{"instruction": ..., "input": ..., "output": ...}      Alpaca
{"input": ..., "output": ...}      text, messages or an object of named fields; or `expected_output`
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.errors import CaseError, nearest
from harness.types import Case

INPUT_KEYS = ("prompt", "messages", "instruction", "input")
OUTPUT_KEYS = ("completion", "chosen", "output", "expected_output", "response")
READ_KEYS = frozenset((*INPUT_KEYS, *OUTPUT_KEYS, "rejected", "context", "metadata", "id"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRow:
    """One example to learn from. `input` is what varies; `system` is the standing instruction."""

    input: str
    output: str | None
    system: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)  # the named fields of the input
    parts: tuple[str, ...] = ()  # turns of users and fields, where the input is more than one text
    context: str = ""  # passages that the model is shown beside the input
    metadata: Mapping[str, Any] = field(default_factory=dict)
    id: str | None = None
    file: str | None = None
    line: int | None = None

    @property
    def shown(self) -> str:
        """All that the model is shown before it answers."""
        return "\n".join(part for part in (self.system, self.context, self.input) if part)

    @property
    def where(self) -> str:
        """`file:line`, or the id."""
        place = f"{self.file}:{self.line}" if self.file and self.line else ""
        return place or self.id or ""


def load_training_rows(path: Path) -> tuple[TrainingRow, ...]:
    """Read every row of a JSONL file. An empty file gives no rows; an unreadable row is an error.

    A row without an input or an output is kept: that is a finding about the data, not a typing error.

    Raises
    ------
    CaseError
        The file is missing or a line is not UTF-8, not JSON or in none of the known forms.
    """
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.jsonl")] if path.parent.is_dir() else []
        raise CaseError("there is no such file", file=path, hint=nearest(path.name, near))
    rows = []
    with path.open("rb") as stream:
        for line, raw in enumerate(stream, start=1):
            value = _json(raw, path, line)
            if value is not None:
                rows.append(parse_training_row(value, file=path, line=line))
    return tuple(rows)


def parse_training_row(
    row: object, *, file: Path | str | None = None, line: int | None = None
) -> TrainingRow:
    """Make a training row of an object in one of the known forms."""
    if not isinstance(row, Mapping):
        raise CaseError("a training row is an object", file=file, line=line)
    if not any(key in row for key in (*INPUT_KEYS, *OUTPUT_KEYS)):
        first = next(iter(row), "")
        raise CaseError(
            "a row has an input and an output",
            file=file,
            line=line,
            hint=f'Write {{"input": ..., "output": ...}} or {{"prompt": ..., "completion": ...}}. '
            f"{nearest(str(first), (*INPUT_KEYS, *OUTPUT_KEYS))}",
        )
    system, text, answer = _conversation(row, file=file, line=line)
    metadata = row.get("metadata")
    extra = {k: v for k, v in row.items() if k not in READ_KEYS}
    return TrainingRow(
        input=text,
        output=answer,
        system=system,
        fields=row["input"] if isinstance(row.get("input"), Mapping) else {},
        parts=_parts(row, text),
        context=_context(row.get("context")),
        metadata={**extra, **(metadata if isinstance(metadata, Mapping) else {})},
        id=None if row.get("id") is None else str(row["id"]),
        file=None if file is None else str(file),
        line=line,
    )


def rows_of_cases(cases: Iterable[Case]) -> tuple[TrainingRow, ...]:
    """See cases as rows, so that both sides of a comparison are read alike."""
    return tuple(
        TrainingRow(
            input=text_of(case.input),
            output=None if case.expected_output is None else text_of(case.expected_output),
            fields=case.input if isinstance(case.input, Mapping) else {},
            context="\n".join(p.text for p in case.context if p.text),
            metadata=case.metadata,
            id=case.id,
        )
        for case in cases
    )


def text_of(value: object) -> str:
    """The text of an input or output: text itself, the users' messages, or fields one a line."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        if isinstance(value.get("content"), str):
            return str(value["content"])
        if (text := _said(value.get("content"))) is not None:
            return text
        if value and all(isinstance(v, str) for v in value.values()):
            return "\n".join(value.values())
        return json.dumps(value, ensure_ascii=False)
    if _is_chat(value):
        said = [m for m in value if m.get("role") != "system"]  # type: ignore[attr-defined]
        return "\n".join(text_of(m.get("content") or "") for m in said)
    if (text := _said(value)) is not None:
        return text
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _conversation(
    row: Mapping[str, Any], *, file: Path | str | None, line: int | None
) -> tuple[str | None, str, str | None]:
    if "messages" in row:
        messages = row["messages"]
        if not _is_chat(messages):
            raise CaseError(
                "`messages` is a list of objects with a role and a content",
                file=file,
                line=line,
                key="messages",
            )
        taught = bool(messages) and messages[-1].get("role") == "assistant"
        asked = messages[:-1] if taught else messages
        answer = _answer(messages[-1]) if taught else None
        return _system(asked), text_of(asked), answer
    asked = row.get("prompt", row.get("instruction", row.get("input")))
    text = text_of(asked)
    if "instruction" in row and row.get("input"):
        text = f"{text}\n{text_of(row['input'])}"
    answer = next((_answer(row[key]) for key in OUTPUT_KEYS if key in row), None)
    return _system(asked), text, answer


def _parts(row: Mapping[str, Any], text: str) -> tuple[str, ...]:
    """What else the row asks: each input that it has, users' turns and named fields on their own."""
    found: list[str] = []
    for key in INPUT_KEYS:
        value = row.get(key)
        if isinstance(value, str):
            found.append(value)
        elif isinstance(value, Mapping):
            found += [
                text_of(value),
                *(field for field in value.values() if isinstance(field, str)),
            ]
        elif _is_chat(value):
            turns = (m for m in value if m.get("role") == "user")  # type: ignore[union-attr]
            found.extend(map(text_of, turns))
    return tuple(part for part in dict.fromkeys(found) if part and part != text)


def _answer(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, Mapping) and value.get("tool_calls"):
        calls = json.dumps(value["tool_calls"], ensure_ascii=False, sort_keys=True)
        return f"{value.get('content') or ''}{calls}"
    if isinstance(value, Sequence) and not isinstance(value, str) and _is_chat(value):
        return _answer(value[-1]) if value else None
    return text_of(value)


def _system(value: object) -> str | None:
    if not _is_chat(value):
        return None
    said = [m.get("content") for m in value if m.get("role") == "system"]  # type: ignore[attr-defined]
    texts = (text if isinstance(text, str) else _said(text) for text in said)
    return "\n".join(filter(None, texts)) or None


def _said(content: object) -> str | None:
    """The texts of a message whose content is a list of typed parts; None for what is no such list."""
    if not isinstance(content, Sequence) or isinstance(content, str):
        return None
    parts = [part for part in content if isinstance(part, Mapping) and "type" in part]
    texts = [part["text"] for part in parts if isinstance(part.get("text"), str)]
    return "\n".join(texts) if texts and len(parts) == len(content) else None


def _is_chat(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and all(isinstance(m, Mapping) and "role" in m for m in value)
    )


def _context(value: object) -> str:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value if isinstance(value, str) else ""
    return "\n".join(
        str(item.get("text") or "") if isinstance(item, Mapping) else str(item) for item in value
    )


def _json(raw: bytes, path: Path, line: int) -> object | None:
    try:
        text = raw.decode("utf-8-sig" if line == 1 else "utf-8")
        value = json.loads(text) if text.strip() else None
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except UnicodeDecodeError as error:
        reason = f"byte {error.start + 1} (0x{raw[error.start]:02x}) is not UTF-8"
    except UnicodeEncodeError:
        reason = "text that is not valid Unicode: half of a surrogate pair (\\ud800 to \\udfff)"
    except (json.JSONDecodeError, RecursionError) as error:
        reason = f"not JSON: {error}"
    raise CaseError(reason, file=path, line=line, hint="Each line is one JSON object.")
