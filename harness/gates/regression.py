"""The gate against a baseline: two looks before a build is called worse.

First stage: the stored baseline (several epochs) against the candidate, by the exact stratified test, at
a lenient level over all gates. A gate that is flagged is looked at again on fresh epochs of *both*
systems, at a strict level: a lucky stored baseline would otherwise haunt every later build. Where the
baseline cannot be run again its stored epochs serve both looks, and the level is stricter still. Systems
that would answer the same again are judged by the first look alone, on cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from harness.gates.rule import Rule, Subject, chance, counted, not_judged, points, prospects, result
from harness.pairs import Pairs, pair
from harness.statistics.evalues import bounded, mean_evalue, pair_evalue
from harness.statistics.graded import mean, mean_pvalue, sign_flip_pvalue, standard_error
from harness.statistics.outcomes import Outcomes
from harness.statistics.pairs import bonett_price, mcnemar, tango_pvalue
from harness.statistics.power import (
    FurtherCases,
    further_cases_for_mean,
    further_cases_for_pairs,
    mean_mde,
    pair_mde,
)
from harness.statistics.rates import cluster_means
from harness.statistics.strata import Strata, unchanged_pvalue
from harness.types import GateResult, GateState


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """The first look at a candidate against a baseline."""

    pvalue: float  # of "unchanged", missing outputs of the candidate as misses
    flagged: bool  # run fresh epochs of both systems before calling it worse
    fresh: tuple[Outcomes, Outcomes] | None = None  # those of candidate and baseline, once run


def strata_of(candidate: Outcomes, baseline: Outcomes) -> Strata:
    """Epochs of the cases that both sides have, missing outputs of the candidate as misses."""
    place = {case_id: i for i, case_id in enumerate(baseline.case_ids)}
    index = np.fromiter(
        (place.get(i, -1) for i in candidate.case_ids), dtype=np.int64, count=candidate.n
    )
    epochs = candidate.scored + candidate.missing
    kept = (index >= 0) & (epochs > 0)
    kept[kept] = baseline.scored[index[kept]] > 0
    return Strata.of(
        candidate.passed[kept],
        epochs[kept],
        baseline.passed[index[kept]],
        baseline.scored[index[kept]],
    )


def screen(candidate: Outcomes, baseline: Outcomes, *, rule: Rule | None = None) -> Screen:
    """First stage of the two-stage gate: is there anything to look at again?

    Level `rule.screen_alpha` over `rule.family` gates. Graded metrics are screened by the t test of
    paired differences.
    """
    rule = rule or Rule()
    if candidate.values is not None:
        pairs = _pairs(candidate, baseline)
        pvalue = mean_pvalue(pairs.differences, pairs.groups, reference=0.0, below=True)
    else:
        pvalue = unchanged_pvalue(strata_of(candidate, baseline))
    return Screen(pvalue=pvalue, flagged=rule.adjusted(pvalue) <= rule.screen_alpha)


def judge_no_worse_than(
    candidate: Outcomes,
    baseline: Outcomes,
    *,
    subject: Subject,
    rule: Rule | None = None,
    screened: Screen | None = None,
    rng: np.random.Generator | None = None,
) -> GateResult:
    """Judge that a candidate has not become worse than its baseline.

    Parameters
    ----------
    candidate, baseline : Outcomes
        Paired by case id; the overlap is judged, the rest reported.
    screened : Screen, optional
        The first of two looks, for systems that can be run again; where it is flagged, with fresh
        epochs of both (`dataclasses.replace(screened, fresh=(candidate, baseline))`). Where the
        baseline cannot be run again, the second of them is the stored `baseline` itself, and
        `rule.stored_alpha` the level. Without it
        one look decides, with the case as the unit: right for recorded and deterministic systems,
        whose further epochs say nothing new.
    rng : numpy.random.Generator, optional
        For the sign-flip test of clusters and for the number of further cases.

    Notes
    -----
    `failed` needs a proven loss of any size: p <= alpha over the family on one look, or
    p <= `rule.confirm_alpha` on fresh epochs (`rule.stored_alpha` against stored ones); a first look alone never fails a build. `passed`
    needs no loss at all, or one beyond `rule.margin` excluded at alpha. Missing outputs of the
    candidate are misses throughout, and where they alone keep the gate from passing, it fails;
    cases without a score in the baseline are unpaired.
    """
    rule = rule or Rule()
    fresh = screened.fresh if screened else None
    for side in (candidate, *(fresh[:1] if fresh else ())):
        unjudged = not_judged(side, subject=subject, kind="no_worse_than", rule=rule)
        if unjudged is not None:
            return unjudged
    sides = fresh or (candidate, baseline)
    pairs = _pairs(*sides)
    if not pairs.case_ids:
        reason = "no case has a score in both the baseline and this run"
        return result(subject, "no_worse_than", "not_judged", reason, margin=rule.margin, pairs=0)
    look = _look(pairs, baseline, screened=screened, rule=rule, rng=rng)
    look = replace(look, graded=candidate.values is not None)
    judged = _judged(pairs, look, subject=subject, rule=rule, rng=rng)
    missing = int(sides[0].missing.sum())
    if judged.state == "undecided" and missing and not look.flagged:
        best = _pairs(*sides, worst=False)
        if _held(best, rule):
            reason = _missing_decide(missing, pairs, best, look)
            return replace(judged, state="failed", reason=reason, further_cases=None)
    return judged


@dataclass(frozen=True, slots=True)
class _Look:
    pvalue: float  # adjusted where more than one gate could have raised it
    level: float  # at or under which the gate fails; 0 where this look cannot fail it
    name: str
    gates: int = 1  # over which the level is spread
    flagged: bool = False  # and not looked at again
    graded: bool = False  # differences are of scores, not of rates

    def amount(self, value: float) -> str:
        """Write a difference."""
        return f"{value:.3g}" if self.graded else points(value)


def _look(
    pairs: Pairs,
    baseline: Outcomes,
    *,
    screened: Screen | None,
    rule: Rule,
    rng: np.random.Generator | None,
) -> _Look:
    if screened is None:
        pvalue = rule.adjusted(_case_pvalue(pairs, rule, rng))
        return _Look(pvalue, rule.alpha, "one look", rule.family)
    if screened.fresh is None:
        pvalue = rule.adjusted(screened.pvalue)
        return _Look(pvalue, 0.0, "a first look", rule.family, screened.flagged)
    pvalue = screen(*screened.fresh).pvalue
    # Stored epochs that were lucky stay so in every later build: only a stricter level makes up.
    if screened.fresh[1] is baseline:
        return _Look(pvalue, rule.stored_alpha, "fresh epochs against the stored baseline")
    return _Look(pvalue, rule.confirm_alpha, "fresh epochs of both")


def _pairs(candidate: Outcomes, baseline: Outcomes, *, worst: bool = True) -> Pairs:
    """Pair the sides, missing outputs of the candidate at the worst or the best end of the scale."""
    known = candidate.fractions()
    low, high = (0.0, 0.0) if np.isnan(known).all() else (np.nanmin(known), np.nanmax(known))
    end = min(0.0, float(low)) if worst else max(1.0, float(high))
    filled = candidate.fractions(missing_as=end)
    scores = dict(zip(candidate.case_ids, filled.tolist(), strict=True))
    groups = None
    if candidate.groups is not None:
        groups = dict(zip(candidate.case_ids, candidate.groups, strict=True))
    return pair(baseline, scores, groups=groups)


def _case_pvalue(pairs: Pairs, rule: Rule, rng: np.random.Generator | None) -> float:
    gained, lost, tied = pairs.counts
    if pairs.binary and pairs.groups is None:
        if rule.sequential:
            return min(1.0, math.exp(-float(pair_evalue(lost, gained, tied))))
        return float(mcnemar(gained, lost, alternative="less"))
    if rule.sequential and bounded(pairs.differences):
        units = cluster_means(pairs.differences, pairs.groups)
        return min(1.0, math.exp(-float(mean_evalue(-units)[-1])))
    if rng is not None:
        return sign_flip_pvalue(pairs.differences, pairs.groups, rng=rng, alternative="less")
    return mean_pvalue(pairs.differences, pairs.groups, reference=0.0, below=True)


def _judged(
    pairs: Pairs,
    look: _Look,
    *,
    subject: Subject,
    rule: Rule,
    rng: np.random.Generator | None,
) -> GateResult:
    gained, lost, _ = pairs.counts
    n, difference = len(pairs.case_ids), float(pairs.differences.mean())
    simple = pairs.binary and pairs.groups is None
    low, high = bonett_price(gained, lost, n) if simple else _limits(pairs)
    state: GateState = "undecided"
    if difference < 0 and look.pvalue <= look.level:
        state = "failed"
    elif not look.flagged and _held(pairs, rule):
        state = "passed"
    mde = _mde(pairs, look, rule)
    further = _further(pairs, rule, rng) if state == "undecided" and rng is not None else None
    return result(
        subject,
        "no_worse_than",
        state,
        _reason(pairs, look, state, rule, mde)
        + (prospects(further, mde, graded=look.graded) if state == "undecided" else ""),
        effect=difference,
        low=low,
        high=high,
        margin=rule.margin,
        pairs=n,
        pvalue_adjusted=look.pvalue,
        mde=mde,
        further_cases=further.median if further else None,
    )


def _further(pairs: Pairs, rule: Rule, rng: np.random.Generator) -> FurtherCases:
    """How many cases more would prove a loss, or exclude one of the margin."""
    settled, n = (0.0, -rule.margin), len(pairs.case_ids)
    if n >= rule.cap:
        return FurtherCases.none_left(n)
    if pairs.binary and pairs.groups is None:
        return further_cases_for_pairs(
            pairs.counts, settled, rng=rng, alpha=rule.alpha, cap=rule.cap
        )
    units = cluster_means(pairs.differences, pairs.groups)
    worth = n / len(units)
    found = further_cases_for_mean(
        units, settled, rng=rng, alpha=rule.alpha, cap=max(len(units) + 1, round(rule.cap / worth))
    )
    median = None if found.median is None else math.ceil(found.median * worth)
    return replace(found, median=median, cap=rule.cap, n=n)


def _held(pairs: Pairs, rule: Rule) -> bool:
    """Whether nothing was lost, or a loss of the margin is excluded; at every look only the latter."""
    if not rule.sequential and float(pairs.differences.mean()) >= 0:
        return True
    return _excluded(pairs, rule) <= rule.alpha


def _missing_decide(missing: int, worst: Pairs, best: Pairs, look: _Look) -> str:
    low, high = (look.amount(float(side.differences.mean())) for side in (worst, best))
    return (
        f"{counted(missing, 'output')} unscored or errored: at worst this is {low}, at best "
        f"{high}, so it is not known that nothing was lost"
    )


def _mde(pairs: Pairs, look: _Look, rule: Rule) -> float | None:
    """The least loss that these pairs can show at the level of this look."""
    level = (look.level or rule.screen_alpha) / look.gates
    if not pairs.binary or pairs.groups is not None:
        return mean_mde(standard_error(pairs.differences, pairs.groups)[0], alpha=level)
    gained, lost, _ = pairs.counts
    n = len(pairs.case_ids)
    return pair_mde(n, (gained + lost + 0.5) / (n + 1), alpha=level)


def _limits(pairs: Pairs) -> tuple[float | None, float | None]:
    interval = mean(pairs.differences, pairs.groups)
    return interval.low, interval.high


def _reason(pairs: Pairs, look: _Look, state: GateState, rule: Rule, mde: float | None) -> str:
    gained, lost, tied = pairs.counts
    difference = float(pairs.differences.mean())
    shown, margin = look.amount(difference), look.amount(rule.margin)
    said = f"{counted(gained, 'case')} gained, {lost:,} lost, {tied:,} tied ({shown})"
    if pairs.unpaired:
        said += f", {len(pairs.unpaired):,} unpaired"
    if state == "failed":
        return f"{said}: worse beyond chance on {look.name} ({chance(look.pvalue)})"
    if look.flagged:
        return f"{said}: {look.name} flags it ({chance(look.pvalue)}); fresh epochs of both decide"
    if state == "passed" and difference >= 0:
        seen = "" if mde is None else f"; {look.amount(mde)} would have been seen"
        return f"{said}: no loss found{seen}"
    if state == "passed":
        return f"{said}: a loss of {margin} is excluded"
    return f"{said}: not proven worse ({chance(look.pvalue)}), nor a loss of {margin} excluded"


def _excluded(pairs: Pairs, rule: Rule) -> float:
    """p-value of "the loss is the margin or more"."""
    if not 0 < rule.margin < 1:
        return 1.0
    gained, lost, tied = pairs.counts
    n = len(pairs.case_ids)
    if pairs.binary and pairs.groups is None:
        if rule.sequential:
            evidence = float(pair_evalue(gained, lost, tied, reference=-rule.margin))
            return min(1.0, math.exp(-evidence))
        return float(tango_pvalue(gained, lost, n, reference=-rule.margin, alternative="greater"))
    if rule.sequential and bounded(pairs.differences):
        units = cluster_means(pairs.differences, pairs.groups)
        return min(1.0, math.exp(-float(mean_evalue(units, reference=-rule.margin)[-1])))
    return mean_pvalue(pairs.differences, pairs.groups, reference=-rule.margin, below=False)
