"""Categories given by hand, in a CSV beside the suite.

One row for each miss: the category by rule, the answer, and two columns for a person, `category`
and `note`. A row that a person has touched stays for ever; it counts for the answer it was written
for, and when the system answers otherwise it waits, in case the answer comes back.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from harness.error_analysis.categories import CATEGORIES, Category
from harness.error_analysis.misses import Miss
from harness.errors import CaseError, nearest
from harness.sheets import Cells, read_sheet

COLUMNS = ("system", "case_id", "metric", "answer_hash", "by_rule", "category", "note", "answer")
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_ANSWER_SHOWN = 300

Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """A row of the file. A blank metric is every metric, a blank answer_hash every answer."""

    system: str
    case_id: str
    metric: str
    answer_hash: str
    by_rule: str
    category: Category | None
    note: str
    answer: str

    @property
    def key(self) -> Key:
        """What makes the row one of a kind."""
        return (self.system, self.case_id, self.metric, self.answer_hash)


def read_overrides(path: Path) -> list[Override]:
    """Read the file; none there is none written. A bad row is an error with its line."""
    if not path.exists():
        return []
    rows = read_sheet(path, needed=(*COLUMNS[:3], "category"))
    return [_read_row(cells, path, line) for line, cells in rows]


def apply_overrides(misses: Iterable[Miss], overrides: Iterable[Override]) -> list[Miss]:
    """Give each miss its category by hand, where there is one; the most particular row counts."""
    by_key = {row.key: row for row in overrides if row.category is not None}
    return [_overridden(miss, by_key) for miss in misses]


def write_overrides(
    path: Path, misses: Iterable[Miss], *, given: Iterable[Override] = ()
) -> list[Override]:
    """Write a row for each miss, and keep every row that a person has touched. Returns the rows.

    Rows `given` elsewhere, at the desk, are taken in; a category that is written in the file stays.
    The new file takes the old one's place at once: a crash leaves one of them whole.
    """
    kept = {row.key: row for row in read_overrides(path) if row.category or row.note}
    kept |= {r.key: r for r in given if r.key not in kept or kept[r.key].category is None}
    rows = dict(kept)
    for miss in misses:
        row = _row_of(miss)
        if old := kept.get(row.key):
            row = replace(row, category=old.category, note=old.note)
        rows[row.key] = row
    ordered = sorted(rows.values(), key=lambda row: row.key)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([guarded(getattr(row, c) or "") for c in COLUMNS] for row in ordered)
    replace_file(path, text.getvalue())
    return ordered


def replace_file(path: Path, text: str) -> None:
    """Write a file that is derived from others whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")
    draft.replace(path)


def guarded(cell: str) -> str:
    """A spreadsheet runs a cell that starts like a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell


def _overridden(miss: Miss, by_key: Mapping[Key, Override]) -> Miss:
    for metric, digest in (
        (miss.metric, miss.answer_hash),
        ("", miss.answer_hash),
        (miss.metric, ""),
        ("", ""),
    ):
        row = by_key.get((miss.system, miss.case_id, metric, digest))
        if row is not None and row.category is not None:
            return replace(miss, category=row.category, why=row.note or "by hand", by_hand=True)
    return miss


def _row_of(miss: Miss) -> Override:
    return Override(
        system=miss.system,
        case_id=miss.case_id,
        metric=miss.metric,
        answer_hash=miss.answer_hash,
        by_rule=miss.by_rule,
        category=None,
        note="",
        answer=_printable(miss.answer[:_ANSWER_SHOWN]),
    )


def _read_row(row: Cells, path: Path, line: int) -> Override:
    cells = {column: _unguarded(row.get(column, "").strip()) for column in COLUMNS}
    written = cells["category"].lower().replace("-", "_").replace(" ", "_")
    category = next((known for known in CATEGORIES if known == written), None)
    if written and category is None:
        hint = nearest(written, CATEGORIES)
        raise CaseError(
            f"no category {written!r:.60}", file=path, line=line, key="category", hint=hint
        )
    if not cells["system"] or not cells["case_id"]:
        raise CaseError("a row needs system and case_id", file=path, line=line)
    return Override(
        system=cells["system"],
        case_id=cells["case_id"],
        metric=cells["metric"],
        answer_hash=cells["answer_hash"],
        by_rule=cells["by_rule"],
        category=category,
        note=cells["note"],
        answer=cells["answer"],
    )


def _unguarded(cell: str) -> str:
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA_STARTS) else cell


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
