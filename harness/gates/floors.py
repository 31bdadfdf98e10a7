"""Gates on one system alone: `at_least` a pass rate or mean, and `critical`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from harness.errors import ConfigError
from harness.gates.rule import (
    Rule,
    Subject,
    chance,
    counted,
    not_judged,
    percent,
    prospects,
    result,
)
from harness.statistics.evalues import mean_evalue, rate_evalue
from harness.statistics.graded import mean_pvalue, standard_error
from harness.statistics.outcomes import Outcomes
from harness.statistics.power import FurtherCases, further_cases_for_rate, mean_mde, rate_mde
from harness.statistics.rates import below_pvalue, cluster_means, clustered, clustered_pvalue, rate
from harness.types import GateResult, GateState

SLACK = 1e-9  # a rate of 4 / 5 holds a floor of .8, whatever the last bit says


@dataclass(frozen=True, slots=True, kw_only=True)
class _Evidence:
    worst: float  # the estimate with missing outputs as misses
    best: float  # and as passes
    pvalue: float  # of "the floor is held", missing outputs as misses
    n: int  # cases with an output, scored or not
    n_effective: float
    mde: float | None  # the least shortfall these cases can show


def judge_at_least(
    outcomes: Outcomes,
    floor: float,
    *,
    subject: Subject,
    rule: Rule | None = None,
    rng: np.random.Generator | None = None,
) -> GateResult:
    """Judge whether a pass rate, or the mean of a graded metric, holds a floor.

    Parameters
    ----------
    outcomes : Outcomes
        Of the system; one case is one unit, its epochs averaged, clusters respected.
    floor : float
        The least pass rate, or mean.
    rng : numpy.random.Generator, optional
        With it an undecided result says how many further cases would settle it, by simulation.

    Notes
    -----
    The test is the exact binomial one for independent cases of one epoch, the clustered score test
    for clusters and epochs, the t test for graded scores. A missing output counts as a miss in the
    test. Beyond that, missing data is never green: where the bounds (all missing outputs missed,
    all passed) lie on both sides of the floor, the gate fails whatever chance would allow. Under a
    sequential rule the test is the e-value, valid at every look.
    """
    rule = rule or Rule()
    if outcomes.values is None and not 0 <= floor <= 1:
        raise ConfigError(f"a pass rate of at least {floor} cannot be", key="at_least")
    unjudged = not_judged(outcomes, subject=subject, kind="at_least", rule=rule)
    if unjudged is not None:
        return unjudged
    evidence = _evidence(outcomes, floor, rule)
    estimate = outcomes.estimate()
    pvalue = rule.adjusted(evidence.pvalue)
    missing = int(outcomes.missing.sum())
    state = _state(evidence, floor, pvalue, rule.alpha, missing > 0)
    further = _further(outcomes, evidence, floor, rule, rng) if state == "undecided" else None
    seen, held = _seen(outcomes, estimate.value), _shown(outcomes, floor)
    reason = {
        "passed": f"{seen} holds the floor of {held}",
        "undecided": f"{seen} is below the floor of {held}, but not beyond chance "
        f"({chance(pvalue)})"
        + prospects(further, evidence.mde, graded=outcomes.values is not None),
    }.get(state) or _failure(outcomes, evidence, floor, pvalue, rule)
    return result(
        subject,
        "at_least",
        state,
        reason,
        effect=estimate.value,
        low=estimate.low,
        high=estimate.high,
        margin=floor,
        pvalue_adjusted=pvalue,
        mde=evidence.mde,
        further_cases=further.median if further else None,
    )


def _evidence(outcomes: Outcomes, floor: float, rule: Rule) -> _Evidence:
    if not outcomes.single:
        return _by_unit(outcomes, floor, rule)
    passed, missing = int(outcomes.passed.sum()), int(outcomes.missing.sum())
    n = int(outcomes.scored.sum()) + missing
    pvalue = below_pvalue(passed, n, floor)
    if rule.sequential and 0 < floor < 1:
        pvalue = min(1.0, math.exp(-float(rate_evalue(n - passed, n, 1 - floor))))
    return _Evidence(
        worst=passed / n,
        best=(passed + missing) / n,
        pvalue=pvalue,
        n=n,
        n_effective=float(n),
        mde=rate_mde(n, floor, alpha=rule.alpha / rule.family),
    )


def _by_unit(outcomes: Outcomes, floor: float, rule: Rule) -> _Evidence:
    """Evidence where the case (of several epochs), the cluster or a graded score is the unit."""
    known = outcomes.fractions()
    low, high = (0.0, 1.0) if np.isnan(known).all() else (np.nanmin(known), np.nanmax(known))
    worst = outcomes.fractions(missing_as=min(0.0, float(low)))
    best = outcomes.fractions(missing_as=max(1.0, float(high)))
    kept = ~np.isnan(worst)
    groups, worst, best = outcomes.clusters(kept), worst[kept], best[kept]
    level = rule.alpha / rule.family
    if outcomes.values is not None:
        error, clusters = standard_error(worst, groups)
        effective, mde = float(clusters), mean_mde(error, alpha=level)
        pvalue = mean_pvalue(worst, groups, reference=floor, below=True)
    else:
        scores = int((outcomes.scored + outcomes.missing).sum())
        data = clustered(worst, groups, scores=scores)
        effective, mde = data.n_effective, rate_mde(data.n_effective, floor, alpha=level)
        pvalue = clustered_pvalue(data, floor, below=True)
    # On another scale no bet can be made; such a gate never stops a run, so the end is its one look.
    if rule.sequential and 0 < floor < 1 and low >= 0 and high <= 1:
        units = cluster_means(worst, groups)
        evidence = float(mean_evalue(1 - 2 * units, reference=1 - 2 * floor)[-1])
        pvalue = min(1.0, math.exp(-evidence))
    return _Evidence(
        worst=float(worst.mean()),
        best=float(best.mean()),
        pvalue=pvalue,
        n=len(worst),
        n_effective=effective,
        mde=mde,
    )


def _state(
    evidence: _Evidence, floor: float, pvalue: float, alpha: float, missing: bool
) -> GateState:
    if evidence.worst >= floor - SLACK:
        return "passed"
    if pvalue <= alpha or (missing and evidence.best >= floor - SLACK):
        return "failed"
    return "undecided"


def _failure(
    outcomes: Outcomes, evidence: _Evidence, floor: float, pvalue: float, rule: Rule
) -> str:
    held, missing = _shown(outcomes, floor), int(outcomes.missing.sum())
    if missing and evidence.best >= floor - SLACK:
        worst, best = _shown(outcomes, evidence.worst), _shown(outcomes, evidence.best)
        return (
            f"{counted(missing, 'output')} unscored or errored: at worst this is {worst}, at best "
            f"{best}, so the floor of {held} is not known to be held"
        )
    together = f", over {rule.family} gates" if rule.family > 1 else ""
    seen = _seen(outcomes, outcomes.estimate().value)
    return f"{seen} is below the floor of {held} beyond chance ({chance(pvalue)}{together})"


def _further(
    outcomes: Outcomes,
    evidence: _Evidence,
    floor: float,
    rule: Rule,
    rng: np.random.Generator | None,
) -> FurtherCases | None:
    if rng is None or outcomes.values is not None or evidence.n == 0:
        return None
    if evidence.n >= rule.cap:
        return FurtherCases.none_left(evidence.n)
    # Effective counts stand in for clusters and epochs; the answer is turned back into cases.
    effective = max(1, round(evidence.n_effective))
    worth = evidence.n / effective
    found = further_cases_for_rate(
        round(evidence.worst * effective),
        effective,
        floor,
        rng=rng,
        alpha=rule.alpha / rule.family,
        cap=max(effective + 1, round(rule.cap / worth)),
    )
    median = None if found.median is None else math.ceil(found.median * worth)
    return replace(found, median=median, cap=rule.cap, n=evidence.n)


def _shown(outcomes: Outcomes, value: float) -> str:
    return percent(value) if outcomes.values is None else f"{value:.3g}"


def _seen(outcomes: Outcomes, value: float | None) -> str:
    if value is None:
        return "No score"
    passed, scores = int(outcomes.passed.sum()), int(outcomes.scored.sum())
    cases = counted(int((outcomes.scored > 0).sum()), "case")
    if outcomes.values is not None:
        return f"A mean of {value:.3g} over {cases}"
    if outcomes.single:
        return f"{percent(value)} ({passed:,} of {scores:,})"
    return f"{percent(value)} over {cases}, {scores:,} scores"


def judge_critical(outcomes: Outcomes, *, subject: Subject, rule: Rule | None = None) -> GateResult:
    """Judge a metric of which no single miss is allowed, in any epoch.

    A missing output is not known to hold and fails the gate. The interval is Clopper-Pearson's over
    cases: no miss in 300 still allows a rate of 1.2 %. A miss that was seen fails the gate even when
    other cases were not run, but not when the user left cases out.
    """
    rule = rule or Rule()
    missed = int((outcomes.missed > 0).sum())
    missing = int((outcomes.missing > 0).sum())
    unjudged = not_judged(outcomes, subject=subject, kind="critical", rule=rule)
    if unjudged is not None and (outcomes.left_out or outcomes.n == 0 or not missed):
        return unjudged
    seen = outcomes.scored > 0
    estimate = rate(
        int((seen & (outcomes.missed == 0)).sum()), int(seen.sum()), method="clopper-pearson"
    )
    state: GateState = "failed" if missed or missing else "passed"
    if missed:
        which = [
            case for case, lost in zip(outcomes.case_ids, outcomes.missed, strict=True) if lost
        ]
        named = ", ".join(which[:3]) + (", ..." if missed > 3 else "")
        reason = f"{counted(missed, 'case')} missed of {estimate.n:,}: {named}"
    elif missing:
        reason = f"{counted(missing, 'case')} unscored or errored: not known to hold"
    else:
        reason = f"no miss in {counted(estimate.n, 'case')}"
        if estimate.low is not None:
            reason += f"; a miss rate up to {percent(1 - estimate.low)} is not excluded"
    return result(
        subject,
        "critical",
        state,
        reason,
        effect=estimate.value,
        low=estimate.low,
        high=estimate.high,
        margin=1.0,
    )
