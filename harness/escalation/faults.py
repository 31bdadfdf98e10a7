"""Reasons not to trust the evaluation itself: people, judge, labels, outputs without a score."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from harness.escalation.evidence import Evidence, Judge, SystemEvidence
from harness.escalation.states import rate_state, youden
from harness.escalation.words import goal, percent
from harness.statistics.labels import LEAST_YOUDEN
from harness.statistics.rates import clopper_pearson


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason, and of what kind it is."""

    kind: Literal["people", "judge", "labels", "missing", "leak"]
    text: str


def faults(evidence: Evidence, *systems: SystemEvidence | None) -> tuple[Fault, ...]:
    """Every reason; outputs without a score are looked at on the systems given."""
    found = [*_judging(evidence, evidence.judge), *_labels(evidence)]
    found += [f for s in systems if s is not None for f in _missing(evidence, s)]
    return tuple(found)


def _judging(evidence: Evidence, quality: Judge | None) -> Iterator[Fault]:
    if not evidence.judged or quality is None:
        return
    agreement, skill = quality.human_agreement, youden(quality)
    if agreement is not None and agreement < evidence.target:
        yield Fault(
            "people",
            f"people agree with each other on {percent(agreement)} of the cases, "
            f"less than the target of {goal(evidence.target)}",
        )
    if skill is not None and skill < LEAST_YOUDEN:
        yield Fault(
            "judge",
            "the judge tells good from bad too rarely "
            f"(sensitivity + specificity - 1 is {skill:.2f})",
        )


def _labels(evidence: Evidence) -> Iterator[Fault]:
    audit = evidence.audit
    if audit is None or not audit.wrong:
        return
    level = 1 - 2 * evidence.settings.alpha
    most = clopper_pearson(audit.wrong, audit.checked, confidence_level=level)[1]
    if most > 1 - evidence.target:
        yield Fault(
            "labels",
            f"{audit.wrong} of {audit.checked} checked labels are wrong: "
            f"up to {percent(most)} of the cases may be",
        )


def _missing(evidence: Evidence, system: SystemEvidence) -> Iterator[Fault]:
    """What failed to be scored, not chance, decides on which side of the target the system is."""
    rate, target = system.outcomes, evidence.target
    total, unknown = rate.total, rate.best - rate.worst
    if not unknown or not rate.worst / total < target <= rate.best / total:
        return
    states = {
        rate_state(
            evidence,
            replace(rate, passed=passed, n=total, missing=0, unsure_passed=0.0, unsure_missed=0.0),
            target,
        ).state
        for passed in (rate.worst, rate.best)
    }
    if len(states) > 1:
        yield Fault(
            "missing",
            f"{unknown:.4g} of the {total} cases of '{system.name}' have no score, "
            "and they decide on which side of the target it is",
        )
