"""The suites of a session as labels are held against them, and what comes of it in run.json."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

from harness.desk.calibrating import Calibrated, calibrated, judged_difference
from harness.desk.evidence import SuiteLabels, audit_evidence, count_labels, read_suite_labels
from harness.error_analysis import Miss, find_misses
from harness.gates import Trust
from harness.run import SuiteRun
from harness.types import Case

Key = tuple[str, int]  # case id, epoch


@dataclass(frozen=True)
class LiveSuite:
    """A suite of this session with its labels."""

    run: SuiteRun

    @property
    def suite(self) -> str:
        return self.run.suite.name

    @cached_property
    def cases(self) -> Mapping[str, Case]:
        return {case.id: case for case in self.run.suite.cases}

    @cached_property
    def labels(self) -> SuiteLabels:
        """What people wrote beside the suite."""
        return read_suite_labels(self.run.suite.file.parent, self.suite)

    def answer(self, system: str, place: Key) -> str | None:
        answer = self.run.answers.get(system, {}).get(place)
        return None if answer is None or answer.output is None else answer.output.text

    def misses(self, system: str) -> list[Miss]:
        outputs = [
            answer.output
            for answer in self.run.answers.get(system, {}).values()
            if answer.output is not None
        ]
        return [
            miss
            for (_, name), scores in self.run.scores.items()
            if name == system
            for miss in find_misses(system, self.run.suite.cases, outputs, scores.values())
        ]

    def passed(self, metric: str, system: str) -> dict[Key, bool]:
        return {
            key: score.state == "passed"
            for key, score in self.run.scores.get((metric, system), {}).items()
            if score.state in ("passed", "missed")
        }

    def judged(self) -> Iterator[tuple[str, str]]:
        """Yield the judged metrics with the systems that they were scored on."""
        for metric, system in self.run.scores:
            if self.run.metrics[metric].judge is not None and not self.run.metrics[metric].graded:
                yield metric, system

    def calibrated(self, metric: str, system: str) -> Calibrated:
        """Hold the judge of a metric against the labels of a system's outputs."""
        return calibrated(self, self.labels, system=system, metric=metric)

    def trust(self, metric: str, system: str) -> Trust:
        """Return what a gate on a judged metric may rest on."""
        if self.run.metrics[metric].graded:
            unchecked = "graded judge not calibrated: labels say right or wrong"
            return Trust(conditions=(unchecked,))
        return self.calibrated(metric, system).trust


def label_rows(suites: Iterable[LiveSuite]) -> list[dict[str, Any]]:
    """Rows of run.json's `labels`: how many count in this run, how many wait, and the audit."""
    rows = []
    for live in suites:
        counted = count_labels(live.labels, live)
        if counted.people or counted.unread:
            rows.append(
                {
                    "suite": live.suite,
                    **asdict(counted),
                    "people": list(counted.people),
                    "waiting": counted.waiting,
                    "audit": audit_evidence(live.labels, live),
                }
            )
    return rows


def judge_rows(suites: Iterable[LiveSuite]) -> list[dict[str, Any]]:
    """Rows of run.json's `judges`: each judged metric on each system, calibrated or said not to be."""
    return [_judge_row(live, metric, system) for live in suites for metric, system in live.judged()]


def _judge_row(live: LiveSuite, metric: str, system: str) -> dict[str, Any]:
    mark = live.run.metrics[metric].judge
    assert mark is not None
    found = live.calibrated(metric, system)
    quality = found.calibration
    return {
        "suite": live.suite,
        "metric": metric,
        "system": system,
        "judge": mark.system,
        "rubric": mark.rubric,
        "version": live.run.metrics[metric].version,
        "labels": quality.labels,
        "source": quality.source if quality.labels else None,
        "waiting": found.said.waiting,
        "unscored": quality.unscored,
        "counts": asdict(quality.quality),
        "kappa": asdict(quality.kappa),
        "sensitivity": asdict(quality.sensitivity),
        "specificity": asdict(quality.specificity),
        "youden": quality.quality.youden,
        "human_agreement": found.said.human_agreement,
        "raw_pass_rate": quality.raw_pass_rate,
        "pass_rate": asdict(quality.pass_rate),
        "refusal": quality.refusal,
        "conditions": list(found.conditions),
    }


def difference_rows(suites: Iterable[LiveSuite]) -> list[dict[str, Any]]:
    """Rows of run.json's `judge_differences`: two systems, corrected where both were labelled."""
    rows = []
    for live in suites:
        for (metric, baseline), (other, candidate) in combinations(live.judged(), 2):
            if metric != other:
                continue
            found = judged_difference(
                live, live.labels, metric=metric, baseline=baseline, candidate=candidate
            )
            if found is not None:
                names = {"suite": live.suite, "metric": metric}
                names |= {"baseline": baseline, "candidate": candidate}
                rows.append(names | asdict(found))
    return rows
