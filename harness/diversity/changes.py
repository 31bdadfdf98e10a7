"""Rows rewritten by rule: one word of the input becomes another, and the output follows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.errors import CaseError
from harness.sheets import read_sheet
from harness.training_rows import TrainingRow

COLUMNS = ("old", "new", "old_output", "new_output")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of an input that has to change the output with it.

    `old` is looked for in the input as a whole word. It becomes each of `new` in turn, in the input
    and wherever it stands in the output; `outputs` says what it is called there when that differs.
    """

    old: str
    new: tuple[str, ...]
    outputs: Mapping[str, str] | None = None  # input word -> word of the output

    def __post_init__(self) -> None:
        """Refuse a change into itself."""
        if not self.old or self.old in self.new:
            raise ValueError(f"a change needs another word than '{self.old}'")


def load_changes(path: Path) -> tuple[Change, ...]:
    """Read a CSV with the columns `old,new` and, where the output calls it something else, `old_output,new_output`."""
    found: dict[str, tuple[list[str], dict[str, str]]] = {}
    for line, cells in read_sheet(path, needed=("old", "new"), known=COLUMNS):
        entry = {column: value.strip() for column, value in cells.items()}
        old, new = entry["old"], entry["new"]
        if not old or not new or old == new:
            raise CaseError("a change needs two different words", file=path, line=line)
        words, outputs = found.setdefault(old, ([], {}))
        words.append(new)
        for word, key in ((old, "old_output"), (new, "new_output")):
            if called := entry.get(key):
                outputs[word] = called
    return tuple(Change(old=o, new=tuple(n), outputs=out) for o, (n, out) in found.items())


def perturbed(
    rows: Iterable[TrainingRow],
    changes: Sequence[Change],
    *,
    rng: np.random.Generator,
    each: int = 1,
) -> Iterator[TrainingRow]:
    """Change rows so that their output changes in accordance.

    A row whose output does not hold what was changed in its input is left alone: nobody can tell what
    its output would be.
    """
    for row in rows:
        found = [
            made for change in changes for new in change.new if (made := _changed(row, change, new))
        ]
        picked = rng.permutation(len(found))[:each]
        yield from (found[i] for i in picked)


def _changed(row: TrainingRow, change: Change, new: str) -> TrainingRow | None:
    in_output = (change.outputs or {}).get(change.old, change.old)
    put = (change.outputs or {}).get(new, new)
    find, find_output = _whole(change.old), _whole(in_output)
    if row.output is None or not find.search(row.input) or not find_output.search(row.output):
        return None
    made = {
        **row.metadata,
        "origin": "generated",
        "generated_by": "perturbation",
        "rewritten_from": row.where or row.input[:80],
        "change": f"{change.old} -> {new}",
    }
    return replace(
        row,
        input=find.sub(lambda _: new, row.input),
        output=find_output.sub(lambda _: put, row.output),
        metadata=made,
        id=None,
        file=None,
        line=None,
    )


def _whole(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
