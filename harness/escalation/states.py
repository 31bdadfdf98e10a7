"""The three-valued state of one rate or one pair of the evidence, at one look or at every look.

Missing outputs count as missed where a rate must be proven above, and as passed where it must be proven
below. A judged metric is tested through the judge's own errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from scipy.special import log_ndtr, ndtr, stdtr

from harness.escalation.evidence import ROUNDING, Evidence, Judge, Paired, Rate, SystemEvidence
from harness.statistics.claims import Claim, judge, pair_claim
from harness.statistics.evalues import pair_evalue, rate_evalue
from harness.statistics.rates import Clustered, above_pvalue, below_pvalue, clustered_pvalue

LEAST_LABELS = 100
EFFECT = 0.05  # where looks at clustered data are most sensitive: a worthwhile gain


@lru_cache(maxsize=65536)
def rate_pvalues(rate: Rate, reference: float, sequential: bool) -> tuple[float, float]:
    """One-sided p-values of "not above" and "not below", missing outputs at their worst."""
    total, low, high = rate.total, rate.worst, rate.best
    if not total or not rate.n:
        return 1.0, 1.0
    if rate.n_effective is not None and rate.clusters is not None:
        above = _clustered(rate, low / total, total, reference, below=False)
        below = _clustered(rate, high / total, total, reference, below=True)
        if not sequential:
            return above, below
        error = math.sqrt(reference * (1 - reference) / rate.n_effective)
        return (
            max(above, every_look((low / total - reference) / error, error)),
            max(below, every_look((reference - high / total) / error, error)),
        )
    if sequential:
        return (
            math.exp(-max(float(rate_evalue(low, total, reference)), 0.0)),
            math.exp(-max(float(rate_evalue(total - high, total, 1 - reference)), 0.0)),
        )
    return (
        above_pvalue(math.floor(low + ROUNDING), total, reference),
        below_pvalue(math.ceil(high - ROUNDING), total, reference),
    )


def every_look(z: float, error: float) -> float:
    """One-sided p-value of a normal statistic that may be looked at after every batch.

    The inverse of a mixture e-value over effects of about `EFFECT`, half-normal. It holds as the
    number of clusters grows (Robbins 1970; Waudby-Smith et al. 2024, asymptotic confidence sequences).
    """
    ratio = (EFFECT / error) ** 2
    shrunk = ratio / (1 + ratio)
    log_evalue = math.log(2) - 0.5 * math.log1p(ratio) + z * z * shrunk / 2
    log_evalue += float(log_ndtr(z * math.sqrt(shrunk)))
    return math.exp(-max(log_evalue, 0.0))


def _clustered(rate: Rate, mean: float, total: int, reference: float, *, below: bool) -> float:
    """The score test on effective cases, or the exact one where that is less sure of itself.

    Near a target of 1 the score test trusts a handful of expected misses; the binomial on effective
    cases does not (Korn & Graubard 1998).
    """
    effective, clusters = rate.n_effective or 0.0, rate.clusters or 0
    data = Clustered(
        mean=mean,
        n=total,
        n_effective=effective,
        clusters=clusters,
        effective_clusters=rate.effective_clusters,
    )
    score = clustered_pvalue(data, reference, below=below)
    passed = mean * effective
    test = below_pvalue if below else above_pvalue
    return max(score, test(passed, effective, reference))  # type: ignore[arg-type]


@lru_cache(maxsize=65536)
def judged_pvalues(rate: Rate, reference: float, quality: Judge) -> tuple[float, float]:
    """The same for a judged metric: the reference as the judge would see it, with its uncertainty.

    With sensitivity Se and specificity Sp, a true rate t shows as t Se + (1 - t)(1 - Sp); the variance
    of both is added to that of the rate (Rogan & Gladen 1978; Lee et al. 2025). Half a label is added
    on either side, so that a judge that never erred on 20 labels is not taken for infallible.
    """
    total = rate.total
    if not total or not rate.n:
        return 1.0, 1.0
    passes = quality.true_passes + quality.false_misses + 1
    misses = quality.true_misses + quality.false_passes + 1
    sensitivity = (quality.true_passes + 0.5) / passes
    specificity = (quality.true_misses + 0.5) / misses
    shown = reference * sensitivity + (1 - reference) * (1 - specificity)
    effective = rate.n_effective if rate.n_effective is not None else float(total)
    variance = shown * (1 - shown) / effective
    variance += reference**2 * sensitivity * (1 - sensitivity) / passes
    variance += (1 - reference) ** 2 * specificity * (1 - specificity) / misses
    deviation = math.sqrt(variance)
    above = (rate.worst / total - shown) / deviation
    below = (rate.best / total - shown) / deviation
    return float(ndtr(-above)), float(ndtr(below))


def usable(judge_quality: Judge | None) -> bool:
    """Whether there are enough labels of both kinds to see through the judge's errors."""
    return (
        judge_quality is not None
        and judge_quality.labels >= LEAST_LABELS
        and judge_quality.true_passes + judge_quality.false_misses > 0
        and judge_quality.true_misses + judge_quality.false_passes > 0
    )


def youden(quality: Judge) -> float | None:
    """Sensitivity + specificity - 1; None where either has no labels."""
    passes = quality.true_passes + quality.false_misses
    misses = quality.true_misses + quality.false_passes
    if not passes or not misses:
        return None
    return quality.true_passes / passes + quality.true_misses / misses - 1


def rate_state(evidence: Evidence, rate: Rate, reference: float, *, tried: int = 1) -> Claim:
    """A pass rate against a reference; `tried` systems were compared to choose this one."""
    above, below = _pvalues(evidence, rate, reference)
    return judge(
        rate.value,
        reference,
        above=min(above * tried, 1.0),
        below=below,
        alpha=evidence.settings.alpha,
    )


def best_state(evidence: Evidence, systems: Sequence[SystemEvidence], reference: float) -> Claim:
    """The best of several systems against a reference, chosen on the cases that judge it.

    Proven above when one of them is, at alpha over their number (Holm's first step); proven below
    only when every one of them is (an intersection-union test: no correction).
    """
    pvalues = [_pvalues(evidence, system.outcomes, reference) for system in systems]
    value = max((s.outcomes.value for s in systems if s.outcomes.value is not None), default=None)
    return judge(
        value,
        reference,
        above=min(min(above for above, _ in pvalues) * len(systems), 1.0),
        below=max(below for _, below in pvalues),
        alpha=evidence.settings.alpha,
    )


def _pvalues(evidence: Evidence, rate: Rate, reference: float) -> tuple[float, float]:
    if evidence.judged and evidence.judge is not None and usable(evidence.judge):
        return judged_pvalues(rate, reference, evidence.judge)
    return rate_pvalues(rate, reference, evidence.settings.sequential)


def pair_state(evidence: Evidence, pair: Paired, reference: float, *, exact: bool = False) -> Claim:
    """A paired difference against a reference. A judge that errs shrinks differences."""
    shrunk = reference
    if reference and evidence.judged and evidence.judge is not None and usable(evidence.judge):
        shrunk = reference * (youden(evidence.judge) or 1.0)
    settings = evidence.settings
    return _pair_state(pair, shrunk, settings.alpha, settings.sequential, exact)


def difference_state(pair: Paired, reference: float, *, alpha: float = 0.05) -> Claim:
    """The same outside of any suite's evidence, at one look."""
    return _pair_state(pair, reference, alpha, False, False)


@lru_cache(maxsize=65536)
def _pair_state(
    pair: Paired, reference: float, alpha: float, sequential: bool, exact: bool
) -> Claim:
    if not (pair.unpaired or pair.may_lose or pair.may_gain):
        return _full_pair_state(pair, reference, alpha, sequential, exact)
    worst, best = pair.at_worst(), pair.turned().at_worst().turned()
    return judge(
        pair.value,
        reference,
        above=_full_pair_state(worst, reference, alpha, sequential, exact).pvalue_above,
        below=_full_pair_state(best, reference, alpha, sequential, exact).pvalue_below,
        alpha=alpha,
    )


def _full_pair_state(
    pair: Paired, reference: float, alpha: float, sequential: bool, exact: bool
) -> Claim:
    value = pair.value
    if pair.standard_error is not None and pair.clusters is not None and value is not None:
        above, below = 1.0, 1.0
        worth = pair.effective_clusters or pair.clusters
        if worth >= 2:
            # Identical answers everywhere leave no spread: one case in the cell is then the doubt.
            error = max(pair.standard_error, 0.5 / pair.n)
            statistic = (value - reference) / error
            above = float(stdtr(worth - 1, -statistic))
            below = float(stdtr(worth - 1, statistic))
            if sequential:
                above = max(above, every_look(statistic, error))
                below = max(below, every_look(-statistic, error))
        if pair.difference is None:
            # A handful of flips is no normal sum: the test on counts must agree.
            counts = (pair.gained, pair.lost, pair.tied)
            unclustered = pair_claim(*counts, reference, alpha=alpha, exact=exact)
            above = max(above, unclustered.pvalue_above)
            below = max(below, unclustered.pvalue_below)
        return judge(value, reference, above=above, below=below, alpha=alpha)
    if sequential and pair.n:
        gains = (pair.gained, pair.lost, pair.tied)
        losses = (pair.lost, pair.gained, pair.tied)
        above = math.exp(-max(float(pair_evalue(*gains, reference=reference)), 0.0))
        below = math.exp(-max(float(pair_evalue(*losses, reference=-reference)), 0.0))
        return judge(value, reference, above=above, below=below, alpha=alpha)
    return pair_claim(pair.gained, pair.lost, pair.tied, reference, alpha=alpha, exact=exact)
