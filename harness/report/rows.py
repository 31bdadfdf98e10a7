"""The rows of a run's tables that belong to one suite."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.report.columns import Columns, Index
from harness.report.data import RunData, SuiteData

CASE_BODY = ("input", "expected_output", "context", "metadata")
CASE_TEXTS = ("suite", "case", "tags", *CASE_BODY)


class CaseColumns:
    """cases.parquet as columns, with the rows of each suite: in the order of its cases."""

    def __init__(self, run: RunData) -> None:
        self.columns: dict[str, list[Any]] = {}
        if run.cases is not None:
            self.columns = {name: run.cases.texts(name) for name in CASE_TEXTS}

    def rows(self, suite: SuiteData) -> list[int | None]:
        suites = self.columns.get("suite", ())
        mine: list[int | None] = [row for row, name in enumerate(suites) if name == suite.name]
        return mine or [None] * len(suite.cases)

    def get(self, name: str, row: int | None) -> Any:
        column = self.columns.get(name)
        return column[row] if column is not None and row is not None else None


def picked(column: list[str | None], rows: list[int]) -> list[str | None]:
    return [column[row] for row in rows]


def rows_of(table: Columns, suite: SuiteData) -> tuple[Index, Index, Index, Index]:
    """Return the rows of a table that belong to a suite, with their system, case and epoch."""
    system = table.places("system", suite.systems)
    case = table.places("case", suite.cases)
    epoch = np.nan_to_num(table.numbers("epoch")).astype(np.int64)
    mine = table.places("suite", (suite.name,)) == 0
    kept = np.flatnonzero(mine & (system >= 0) & (case >= 0))
    rows = kept[np.lexsort((epoch[kept], system[kept], case[kept]))]
    return rows, system[rows], case[rows], epoch[rows]
