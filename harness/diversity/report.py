"""What an examination of training rows found: measures, findings, and the verdict READY or NOT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from harness.diversity.answers import Answers
from harness.diversity.clusters import Clusters
from harness.diversity.embedding_map import MapPoint
from harness.diversity.leakage import rows_to_drop
from harness.diversity.neighbours import DuplicateGroups
from harness.diversity.reach import CaseRef, Reach
from harness.diversity.report_json import as_json
from harness.diversity.report_options import Limits
from harness.diversity.row_contents import RowContents
from harness.diversity.rows import Rows
from harness.types import Estimate

Severity = Literal["blocks", "warns", "notes"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing to fix, and what fixing it is worth."""

    kind: str
    severity: Severity
    message: str
    fix: str
    worth: float  # share of the rows (or queries) concerned; leaked rows count 1 on top
    rows: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """All that was found out about a set of training rows."""

    data: Rows
    encoder: str  # fingerprint
    limits: Limits
    cases: tuple[CaseRef, ...]
    effective_number: Estimate
    mean_cosine: float | None
    near_duplicate_rate: Estimate
    duplicates: DuplicateGroups
    minimal_pairs: tuple[int, ...]  # rows with a near-identical input and another answer
    clusters: Clusters
    cluster_names: tuple[str, ...]
    reach: Reach
    answers: Answers
    contents: RowContents
    map: tuple[MapPoint, ...]
    not_measured: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way of training on these rows."""
        return not any(finding.severity == "blocks" for finding in self.findings)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the rows are not ready, what is worth most first."""
        return tuple(f.message for f in self.findings if f.severity == "blocks")

    @property
    def leaked(self) -> tuple[int, ...]:
        """Rows that hold an eval case."""
        return rows_to_drop(self.reach.leaks)

    @property
    def suspected_cases(self) -> frozenset[tuple[str, str]]:
        """Suite and id of eval cases whose answer a row or an example holds or may hold.

        Score again without them: a verdict that changes rests on a leak.
        """
        leaks = [*self.reach.leaks, *(x for xs in self.reach.other_leaks.values() for x in xs)]
        cases = [self.cases[leak.case] for leak in leaks if leak.gives_away]
        return frozenset((case.suite, case.id) for case in cases)

    @property
    def clean_rows(self) -> tuple[int, ...]:
        """Rows left when near-copies, leaked and empty rows are gone."""
        gone = {*self.duplicates.near_copies, *self.leaked, *self.contents.missing}
        return tuple(row for row in range(len(self.data.rows)) if row not in gone)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON, counts at the top level."""
        return as_json(self)
