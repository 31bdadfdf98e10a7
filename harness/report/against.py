"""Every metric of every system in two runs, paired by case."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.comparison import Names, adjust, compare
from harness.measured import stored_groups
from harness.report.data import ERRORED, MISSED, NOT_RUN, PASSED, UNSCORED, RunData, SuiteData
from harness.report.rows import CaseColumns
from harness.statistics.outcomes import Outcomes
from harness.types import Comparison


def compared(run: RunData, before: RunData) -> list[Comparison]:
    """Compare what both runs hold; p-values are adjusted for all of it together."""
    return adjust(list(_pairs(run, before)))


def _pairs(run: RunData, before: RunData) -> Iterator[Comparison]:
    for suite in run.suites.values():
        old = before.suites.get(suite.name)
        if old is None:
            continue
        # A blessed run keeps no cases: either side may be the one that knows the groups.
        known = [groups_of(*side) for side in ((before, old), (run, suite))]
        groups = {case: group for side in known if side for case, group in side.items()} or None
        for metric in suite.metrics:
            for system in suite.systems:
                if metric in old.metrics and system in old.systems:
                    names = Names(
                        suite=suite.name, metric=metric, baseline=system, candidate=system
                    )
                    yield compare(
                        _outcomes(old, metric, system),
                        _outcomes(suite, metric, system),
                        names=names,
                        groups=groups,
                    )


def groups_of(run: RunData, suite: SuiteData) -> dict[str, str] | None:
    """The cluster of each case of a suite."""
    cases = CaseColumns(run)
    rows = cases.rows(suite)
    metadata = {
        name: cases.get("metadata", row) for name, row in zip(suite.cases, rows, strict=True)
    }
    return stored_groups(suite.info, metadata)


def _outcomes(suite: SuiteData, metric: str, system: str) -> Outcomes:
    """Count the epochs of each case by state; a graded metric keeps its mean."""
    states = suite.of(metric, system)
    values = suite.values[suite.metrics.index(metric), suite.systems.index(system)]
    graded = bool(((values != 0) & (values != 1) & ~np.isnan(values)).any())
    scored = (~np.isnan(values)).sum(1)
    sums = np.nan_to_num(values).sum(1)
    means = np.divide(sums, scored, out=np.full(len(sums), np.nan), where=scored > 0)
    counts = {
        name: (states == code).sum(1).astype(np.int64)
        for name, code in (
            ("passed", PASSED),
            ("missed", MISSED),
            ("unscored", UNSCORED),
            ("errored", ERRORED),
            ("not_run", NOT_RUN),
        )
    }
    return Outcomes(case_ids=suite.cases, values=means if graded else None, **counts)
