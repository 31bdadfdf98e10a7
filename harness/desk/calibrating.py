"""Judges against the labels that people gave: what a gate or a verdict may rest on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.desk.evidence import LabelsOfJudge, RunOfSuite, SuiteLabels, labels_of_judge
from harness.gates import Trust
from harness.judges import Calibration, calibrate_scores, corrected_difference
from harness.judges.calibration import Key
from harness.types import Estimate

FEWEST_PAIRS = 30  # cases labelled on both systems, for a corrected difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A judge on one system's outputs, and the labels that it was held against."""

    calibration: Calibration
    said: LabelsOfJudge

    @property
    def conditions(self) -> tuple[str, ...]:
        """What has to be said beside a number that rests on the judge."""
        found = self.calibration.conditions
        if waiting := self.said.waiting:
            labels = (
                "1 label of another answer does"
                if waiting == 1
                else f"{waiting:,} labels of other answers do"
            )
            found = (*found, f"{labels} not count")
        return found

    @property
    def trust(self) -> Trust:
        """What a gate needs to know of the judge."""
        calibration = self.calibration
        return Trust(
            refusal=calibration.refusal,
            conditions=self.conditions,
            pass_rate=calibration.pass_rate if calibration.settled else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedDifference:
    """Two systems by a judge, corrected on the cases that people labelled for both."""

    pairs: int  # labelled on both
    raw: float  # candidate minus baseline, as the judge sees it
    difference: Estimate


def calibrated(run: RunOfSuite, said: SuiteLabels, *, system: str, metric: str) -> Calibrated:
    """Hold a judged metric against the labels of a random sample of a system's outputs."""
    labels = labels_of_judge(said, run, system=system, metric=metric)
    return Calibrated(
        calibration=calibrate_scores(labels.labels, run.passed(metric, system)), said=labels
    )


def judged_difference(
    run: RunOfSuite, said: SuiteLabels, *, metric: str, baseline: str, candidate: str
) -> JudgedDifference | None:
    """Correct a difference between systems; None where too few cases are labelled on both."""
    sides = (baseline, candidate)
    judged = [{k: float(v) for k, v in run.passed(metric, s).items()} for s in sides]
    people = [_by_people(labels_of_judge(said, run, system=s, metric=metric)) for s in sides]
    shared = judged[0].keys() & judged[1].keys()
    pairs = len(people[0].keys() & people[1].keys() & shared)
    if pairs < FEWEST_PAIRS:
        return None
    return JudgedDifference(
        pairs=pairs,
        raw=sum(judged[1][key] - judged[0][key] for key in shared) / len(shared),
        difference=corrected_difference((people[0], people[1]), (judged[0], judged[1])),
    )


def judge_evidence(
    run: RunOfSuite, said: SuiteLabels, *, metrics: Iterable[str], systems: Iterable[str]
) -> dict[str, Any] | None:
    """The verdict's view of the judge: labels by people, all systems together, the worst metric's."""
    systems = list(systems)
    found = [
        counts
        for metric in metrics
        if (counts := _counts([calibrated(run, said, system=s, metric=metric) for s in systems]))
    ]
    return min(found, key=_skill, default=None)


def _counts(checked: Iterable[Calibrated]) -> dict[str, Any]:
    human = [c for c in checked if c.calibration.source == "human" and c.calibration.labels]
    if not human:
        return {}
    rows = [asdict(c.calibration.quality) for c in human]
    found: dict[str, Any] = {name: sum(row[name] for row in rows) for name in rows[0]}
    pairs = sum(c.said.pairs for c in human)
    if pairs:
        agreed = sum((c.said.human_agreement or 0.0) * c.said.pairs for c in human)
        found["human_agreement"] = agreed / pairs
    return found


def _skill(counts: Mapping[str, Any]) -> float:
    passes = counts["true_passes"] + counts["false_misses"]
    misses = counts["true_misses"] + counts["false_passes"]
    if not passes or not misses:
        return -1.0
    return float(counts["true_passes"] / passes + counts["true_misses"] / misses - 1)


def _by_people(labels: LabelsOfJudge) -> dict[Key, float]:
    """Labels that a person gave: a difference is never corrected by constructed ones."""
    return {
        (label.case_id, label.epoch): float(label.passed)
        for label in labels.labels
        if label.source == "human"
    }
