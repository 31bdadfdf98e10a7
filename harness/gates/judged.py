"""A gate on a judged metric: what the judge's own errors do to its result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from statistics import NormalDist

from harness.gates.floors import SLACK
from harness.gates.rule import Rule, chance, percent
from harness.statistics.outcomes import Outcomes
from harness.types import Estimate, GateResult, GateState


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What people's labels say of the judge behind a metric."""

    refusal: str | None = None  # why no gate may rest on it
    conditions: tuple[str, ...] = ()  # what has to be said beside a result
    pass_rate: Estimate | None = None  # that people would give; None: the judge's own stands


def through_judge(
    judged: GateResult, outcomes: Outcomes, trust: Trust, *, rule: Rule | None = None
) -> GateResult:
    """Refuse, correct or qualify the result of a gate on a judged metric.

    A refused gate is undecided, whatever the judge said: neither that its floor is held nor that it
    is broken is known. A floor under the pass rate is judged on the rate that people would give,
    where that is known; a miss that a critical gate forbids stays one, and so does a difference from
    the baseline, which a judge's errors shrink.
    """
    rule = rule or Rule()
    if judged.state == "not_judged":
        return judged
    if trust.refusal is not None:
        return replace(
            judged,
            state="undecided",
            reason=f"refused: {trust.refusal}",
            pvalue_adjusted=None,
            further_cases=None,
        )
    conditions = trust.conditions
    if judged.kind == "at_least" and trust.pass_rate is not None and outcomes.values is None:
        if rule.sequential:
            # The corrected interval holds for one look, not at each of many.
            conditions = (*conditions, "the judge's errors are not corrected for between batches")
        else:
            judged = _corrected(judged, outcomes, trust.pass_rate, rule)
            if not outcomes.single:
                conditions = (*conditions, "labels of one case or group are taken as independent")
    return replace(judged, reason="; ".join((judged.reason, *conditions)))


def _corrected(judged: GateResult, outcomes: Outcomes, people: Estimate, rule: Rule) -> GateResult:
    """Judge the floor on the corrected pass rate, outputs without a score at their worst."""
    value, low, high, floor = people.value, people.low, people.high, judged.margin
    if value is None or low is None or high is None or floor is None:
        return judged
    missing, scored = int(outcomes.missing.sum()), int(outcomes.scored.sum())
    share = scored / (scored + missing)
    worst, best = value * share, value * share + 1 - share
    error = (high - low) / (2 * NormalDist().inv_cdf((1 + people.confidence_level) / 2))
    pvalue = rule.adjusted(_at_most(worst - floor, error * share))
    state: GateState = "undecided"
    if worst >= floor - SLACK:
        state = "passed"
    elif pvalue <= rule.alpha or (missing and best >= floor - SLACK):
        state = "failed"
    said = "no rate" if judged.effect is None else percent(judged.effect)
    seen = f"{percent(value)} corrected by people's labels (the judge says {said})"
    reason = {
        "passed": f"{seen} holds the floor of {percent(floor)}",
        "undecided": f"{seen} is below the floor of {percent(floor)}, but not beyond chance "
        f"({chance(pvalue)})",
        "failed": f"{seen} is below the floor of {percent(floor)} beyond chance ({chance(pvalue)})"
        if pvalue <= rule.alpha
        else f"{seen}: {missing:,} unscored or errored decide whether the floor of "
        f"{percent(floor)} is held",
    }[state]
    return replace(
        judged,
        state=state,
        reason=reason,
        effect=value,
        low=low,
        high=high,
        pvalue_adjusted=pvalue,
        mde=None,
        further_cases=None,
    )


def _at_most(difference: float, error: float) -> float:
    """p-value of "the difference is 0 or more"."""
    if not error:
        return 0.0 if difference < 0 else 1.0
    return NormalDist().cdf(difference / error)
