"""New training rows: from documents, from rows, from a stronger system; kept when they pass."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from harness.diversity.labels import SHORT_ANSWER_WORDS
from harness.diversity.leakage import Item, LeakLimits, find_leaks
from harness.diversity.plain_text import answer_key, is_structured, normal
from harness.diversity.vectors import FloatArray, encode
from harness.training_rows import TrainingRow, text_of
from harness.types import Case, Encoder, Output

Predicate: TypeAlias = Callable[[TrainingRow], str | None]  # why a row is refused, or None

_BLOCK = re.compile(
    r"^\s*(?:Q|Question)\s*[:.]\s*(.+?)\s*\n\s*(?:A|Answer)\s*[:.]\s*(.+?)\s*$", re.M | re.S
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text to make rows from, and the name that its rows will carry."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A row that was made and not kept, and why."""

    row: TrainingRow
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What came of making rows."""

    kept: tuple[TrainingRow, ...]
    refused: tuple[Refused, ...]


def passages(document: Document, *, words: int = 120) -> Iterator[Document]:
    """Cut a document at paragraphs into passages of at most about `words` words."""
    held: list[str] = []
    count = part = 0
    for paragraph in re.split(r"\n\s*\n", document.text):
        size = len(paragraph.split())
        if held and count + size > words:
            part += 1
            yield Document(name=f"{document.name}#{part}", text="\n\n".join(held))
            held, count = [], 0
        if size:
            held.append(paragraph.strip())
            count += size
    if held:
        yield Document(name=f"{document.name}#{part + 1}", text="\n\n".join(held))


def rows_by_template(
    documents: Iterable[Document], template: Callable[[Document], Iterable[tuple[str, str]]]
) -> Iterator[TrainingRow]:
    """Make rows of documents by a function that gives pairs of input and output."""
    for document in documents:
        for question, answer in template(document):
            made = {"origin": "generated", "generated_by": "template", "source": document.name}
            yield TrainingRow(input=question, output=answer, metadata=made)


def requests(documents: Iterable[Document]) -> tuple[Case, ...]:
    """Cases that ask a system to write questions and answers about passages."""
    return tuple(
        Case(
            id=document.name, input={"document": document.text}, metadata={"source": document.name}
        )
        for document in documents
    )


def rewrite_requests(rows: Iterable[TrainingRow]) -> tuple[Case, ...]:
    """Cases that ask a system to rewrite rows: another input, and the output that belongs to it."""
    return tuple(
        Case(
            id=row.where or f"row {number}",
            input={"input": row.input, "output": row.output or ""},
            metadata=row.metadata,
        )
        for number, row in enumerate(rows, start=1)
    )


def rows_from_outputs(
    outputs: Iterable[Output], *, system: str, rewritten: Sequence[Case] = ()
) -> Iterator[TrainingRow]:
    """Read the question-answer pairs that a system wrote: JSON, JSON lines, or `Q: ... A: ...`.

    An output with an error, a refusal or nothing readable gives no rows.

    Parameters
    ----------
    rewritten : sequence of Case
        The requests, where rows were rewritten: a new row keeps what is known of the old one.
    """
    known = {case.id: case for case in rewritten}
    for output in outputs:
        if output.error is not None or output.refused:
            continue
        old = known.get(output.case_id)
        for question, answer in read_pairs(output.text):
            made = {
                **(old.metadata if old is not None else {}),
                "origin": "generated",
                "generated_by": system,
                "source" if old is None else "rewritten_from": output.case_id,
            }
            yield TrainingRow(input=question, output=answer, metadata=made)


def distilled(
    cases: Sequence[Case], outputs: Iterable[Output], *, system: str
) -> Iterator[TrainingRow]:
    """Make a stronger system's outputs into rows, for `keep` to hold against the assertions.

    The cases are training inputs: those of an eval suite would leak.
    """
    by_id = {case.id: case for case in cases}
    for output in outputs:
        case = by_id.get(output.case_id)
        if case is None or output.error is not None or output.refused:
            continue
        made = {
            **case.metadata,
            "origin": "generated",
            "generated_by": system,
            "source": case.id,
        }
        yield TrainingRow(input=text_of(case.input), output=output.text.strip(), metadata=made)


def keep(
    rows: Iterable[TrainingRow],
    *,
    existing: Sequence[TrainingRow],
    cases: Sequence[Item],
    encoder: Encoder,
    predicates: Sequence[Predicate] = (),
    limits: LeakLimits | None = None,
) -> Made:
    """Keep rows that are whole, pass every predicate, are no copies and hold no eval case.

    Parameters
    ----------
    existing : sequence of TrainingRow
        What there is already: a near-duplicate of it, or of a row kept before, is refused.
    cases : sequence of Item
        Eval cases; a row that holds or may hold one is refused, review list included.
    predicates : sequence of callables
        The suite's own assertions; each gives the reason for refusing a row, or None.
    """
    limits = limits or LeakLimits()
    candidates = list(rows)
    reasons: list[str | None] = [_refusal(row, predicates) for row in candidates]
    vectors = encode(encoder, [row.input for row in candidates])
    case_vectors = encode(encoder, [case.input for case in cases])
    items = [Item(input=r.input, answer=r.output) for r in candidates]
    for leak in find_leaks(items, cases, vectors=(vectors, case_vectors), limits=limits):
        reasons[leak.row] = reasons[leak.row] or f"may hold an eval case ({leak.kind})"
    there = _There(existing, encode(encoder, [row.input for row in existing]))
    kept = _There((), np.empty_like(vectors))
    for number, row in enumerate(candidates):
        if reasons[number] is None:
            at = (row, vectors[number], limits.drop_cosine)
            reasons[number] = there.copy_of(*at) or kept.copy_of(*at)
        if reasons[number] is None:
            kept.add(row, vectors[number])
    return Made(
        kept=tuple(kept.rows),
        refused=tuple(
            Refused(row=row, reason=reason)
            for row, reason in zip(candidates, reasons, strict=True)
            if reason is not None
        ),
    )


def row_to_json(row: TrainingRow) -> dict[str, Any]:
    """A row as `load_training_rows` reads it, provenance included."""
    return {"input": row.input, "output": row.output, "metadata": dict(row.metadata)}


def _refusal(row: TrainingRow, predicates: Sequence[Predicate]) -> str | None:
    if not row.input.strip() or not (row.output or "").strip():
        return "no input or no output"
    return next((reason for check in predicates if (reason := check(row)) is not None), None)


class _There:
    """Rows that are there already: what would copy or contradict one of them is not wanted.

    `vectors` has room for all rows that may come.
    """

    def __init__(self, rows: Sequence[TrainingRow], vectors: FloatArray) -> None:
        self.rows = list(rows)
        self._vectors = vectors
        self._by_text = {normal(row.input): row for row in rows}

    def add(self, row: TrainingRow, vector: FloatArray) -> None:
        """Take a row in."""
        self._vectors[len(self.rows)] = vector
        self.rows.append(row)
        self._by_text[normal(row.input)] = row

    def copy_of(self, row: TrainingRow, vector: FloatArray, threshold: float) -> str | None:
        """Say what a row repeats, or None. A near input with another answer teaches the difference."""
        if not self.rows:
            return None
        same = self._by_text.get(normal(row.input))
        if same is not None:
            return "a near-duplicate" if _agree(row, same) else "a contradiction of another row"
        near = np.flatnonzero(self._vectors[: len(self.rows)] @ vector >= threshold)
        copies = any(_agree(row, self.rows[int(place)]) for place in near)
        return "a near-duplicate" if copies else None


def _agree(one: TrainingRow, other: TrainingRow) -> bool:
    a, b = one.output or "", other.output or ""
    if not a or not b or answer_key(a) == answer_key(b):
        return True
    # Long texts may say the same in other words: then one of the two rows is enough.
    words = min(len(a.split()), len(b.split()))
    return words > SHORT_ANSWER_WORDS and not is_structured(a) and not is_structured(b)


def read_pairs(text: str) -> Iterator[tuple[str, str]]:
    """Read questions with their answers: JSON, JSON lines, or blocks of `Q: ...` and `A: ...`."""
    found = _json_pairs(text)
    yield from found or _BLOCK.findall(text)


def _json_pairs(text: str) -> list[tuple[str, str]]:
    start = min((text.find(c) for c in "[{" if c in text), default=-1)
    if start < 0:
        return []
    try:
        value = json.JSONDecoder().raw_decode(text[start:])[0]
    except (ValueError, RecursionError):
        return []
    entries = value if isinstance(value, list) else value.get("rows", [value])
    lines = text[start:].splitlines()
    if (
        isinstance(value, dict)
        and len(lines) > 1
        and all(x.strip()[:1] == "{" for x in lines if x.strip())
    ):
        entries = [e for line in lines if line.strip() for e in _json_objects(line)]
    pairs = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            question = entry.get("question", entry.get("input", entry.get("prompt")))
            answer = entry.get("answer", entry.get("output", entry.get("completion")))
            if isinstance(question, str) and answer is not None:
                pairs.append((question, answer if isinstance(answer, str) else json.dumps(answer)))
    return pairs


def _json_objects(line: str) -> list[Any]:
    try:
        return [json.loads(line)]
    except (ValueError, RecursionError):
        return []
