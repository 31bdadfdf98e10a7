"""The run that changes are compared with, read when the first gate or the summary asks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.run import Metric, SuiteRun
from harness.store import BASELINE, Document, RunStore, ScoreTable, read_document, read_scores

if TYPE_CHECKING:
    from harness.gates import Comparability, Measured
    from harness.statistics.outcomes import Outcomes


class Baseline:
    """The blessed run, or the one that `--baseline` names; empty where there is none.

    Raises
    ------
    StoreError
        A run was named and is not there, or is damaged.
    """

    def __init__(self, name: str, store: RunStore) -> None:
        self.name = name
        self._store = store
        self._differences: dict[str, Comparability | None] = {}

    def check(self) -> None:
        """Read it before anything is asked: a run that cannot be compared would be lost at its end."""
        _ = self.document, self.scores

    @cached_property
    def document(self) -> Document | None:
        """Return run.json of the baseline."""
        if self.name == "none":
            return None
        if self.name == BASELINE and not (self._store.reports / BASELINE).is_dir():
            return None
        return read_document(self._store.find(self.name))

    @cached_property
    def scores(self) -> ScoreTable:
        """Return the scores of the baseline by suite, metric and system."""
        return read_scores(self._store.find(self.name)) if self.document is not None else {}

    @property
    def run_id(self) -> str | None:
        """Return the id of the run that was blessed."""
        return str(self.document["run_id"]) if self.document is not None else None

    def system(self, name: str) -> Mapping[str, Any] | None:
        """Return what the baseline keeps of a system."""
        rows = self.document["systems"] if self.document is not None else ()
        return next((row for row in rows if row["name"] == name), None)

    def changed(self, suite: str, metric: Metric) -> bool:
        """Tell whether a metric is another one than the baseline measured under its name."""
        row = self._suite(suite)
        return bool(row) and row["metrics"].get(metric.name, metric.version) != metric.version

    def differences(self, run: SuiteRun) -> Comparability | None:
        """Return what differs between a suite of the baseline and now; None where it has no such."""
        name = run.suite.name
        if name not in self._differences:
            row = self._suite(name)
            self._differences[name] = self._compared(run, row) if row else None
        return self._differences[name]

    def outcomes(self, run: SuiteRun, metric: str, system: str) -> Outcomes | None:
        """Return the stored outcomes on the cases that are still the same, where there are any."""
        from harness.statistics.outcomes import Outcomes

        differences = self.differences(run)
        if differences is None or self.changed(run.suite.name, run.metrics[metric]):
            return None
        same = set(differences.cases)
        scores = self.scores.get((run.suite.name, metric, system), ())
        kept = [score for score in scores if score.case_id in same]
        return Outcomes.from_scores(kept, graded=run.metrics[metric].graded) if kept else None

    def comparable_scores(self, runs: Iterable[SuiteRun]) -> ScoreTable:
        """Return the scores of cases and metrics that are still the same."""
        found: ScoreTable = {}
        for run in runs:
            differences = self.differences(run)
            if differences is not None:
                metrics, cases = set(differences.metrics), set(differences.cases)
                for (suite, metric, system), scores in self.scores.items():
                    if suite == run.suite.name and metric in metrics:
                        kept = [score for score in scores if score.case_id in cases]
                        found[suite, metric, system] = kept
        return found

    def _suite(self, name: str) -> Mapping[str, Any]:
        rows = self.document["suites"] if self.document is not None else ()
        return next((row for row in rows if row["name"] == name), {})

    def _compared(self, run: SuiteRun, row: Mapping[str, Any]) -> Comparability:
        from harness.gates import comparability
        from harness.measured import measured_by

        versions = {metric.name: metric.version for metric in run.metrics.values()}
        return comparability(self._measured[row["name"]], measured_by(run.suite, versions))

    @cached_property
    def _measured(self) -> dict[str, Measured]:
        from harness.measured import measured_in

        assert self.document is not None
        return measured_in(self._store.find(self.name), self.document)
