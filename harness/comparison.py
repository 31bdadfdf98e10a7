"""Two systems on the same cases, paired by case id.

`compare(baseline, candidate, names=...)` takes two mappings of case id to pass fraction or graded score
(None or NaN where there is none), or two `Outcomes`, and returns a `Comparison` with its unadjusted
state. `compare_all` compares every pair of systems; `adjust` corrects any list of comparisons together.
The p-value is two-sided, and the state says which direction it proves at 1 - confidence_level.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import logsumexp

from harness.pairs import ByCase, Pairs, bounding_pairs, pair
from harness.statistics.evalues import pair_evalue
from harness.statistics.graded import mean, sign_flip_pvalue, standard_error
from harness.statistics.multiplicity import benjamini_hochberg, holm_directional
from harness.statistics.outcomes import Outcomes
from harness.statistics.pairs import bonett_price, mcnemar
from harness.statistics.power import mean_mde, pair_mde
from harness.types import RUNGS, ClaimState, Comparison, Rung

SEED = 0  # of permutations and bootstraps: the same pairs give the same numbers wherever they are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is compared: a metric of a suite on two systems."""

    suite: str
    metric: str
    baseline: str
    candidate: str


def compare(
    baseline: ByCase | Outcomes,
    candidate: ByCase | Outcomes,
    *,
    names: Names,
    groups: Mapping[str, Hashable] | None = None,
    confidence_level: float = 0.95,
    seed: int = SEED,
) -> Comparison:
    """Compare two systems on the cases that both have a score for.

    Of two `Outcomes` the missing outputs count at their worst: the interval spans both bounds, and
    a difference is proven only where it would be without them too.

    Scores of 0 and 1 without clusters: McNemar's exact test, Bonett-Price interval. Otherwise (pass
    fractions over epochs, graded scores, clusters) the case, or the cluster, is the unit: sign-flip
    test, and BCa interval where there are enough of them.

    Parameters
    ----------
    groups : mapping, optional
        Cluster of each case id.
    confidence_level : float
        Of the two-sided interval; the state is proven at its complement.
    seed : int
        Of the permutations and the bootstrap.

    Returns
    -------
    Comparison
        `evalue` is against "no difference", both directions averaged; `mde` is the smallest
        difference that these pairs find with 90 % power. Without a pair, every number is None.
    """
    found, *bounds = (
        compare_pairs(pairs, names=names, confidence_level=confidence_level, seed=seed)
        for pairs in (
            pair(baseline, candidate, groups=groups),
            *bounding_pairs(baseline, candidate, groups=groups),
        )
    )
    return _doubted(found, *bounds) if bounds else found


def _doubted(found: Comparison, worst: Comparison, best: Comparison) -> Comparison:
    """A comparison that holds whatever the outputs without a score would have been."""
    if found.difference is None or found.pvalue is None:
        return found
    against = worst if found.difference > 0 else best
    same_side = (against.difference or 0.0) * found.difference > 0
    pvalue = max(found.pvalue, against.pvalue or 1.0) if same_side or not found.difference else 1.0
    evalues = [
        e for e in (found.evalue, against.evalue, None if same_side else 1.0) if e is not None
    ]
    return replace(
        found,
        low=_end(min, found.low, worst.low),
        high=_end(max, found.high, best.high),
        pvalue=pvalue,
        state=_state(found.difference, pvalue, 1 - found.confidence_level),
        evalue=min(evalues) if found.evalue is not None else None,
        method=f"{found.method}, missing outputs at their worst",
    )


def _end(outer: Callable[[float, float], float], *ends: float | None) -> float | None:
    """The outer one of two ends of intervals; None, which is no limit, goes furthest."""
    first, second = ends
    return None if first is None or second is None else outer(first, second)


def compare_pairs(
    pairs: Pairs,
    *,
    names: Names,
    confidence_level: float = 0.95,
    seed: int = SEED,
) -> Comparison:
    """`compare` for scores already paired."""
    gained, lost, tied = pairs.counts
    n = len(pairs.case_ids)
    found = _Found(None, None, None, None, "no pairs")
    if n and pairs.binary and pairs.groups is None:
        low, high = bonett_price(gained, lost, n, confidence_level=confidence_level)
        pvalue = float(mcnemar(gained, lost))
        found = _Found((gained - lost) / n, low, high, pvalue, "exact McNemar, Bonett-Price")
    elif n:
        found = _by_unit(pairs, confidence_level, np.random.default_rng(seed))
    return Comparison(
        suite=names.suite,
        metric=names.metric,
        baseline=names.baseline,
        candidate=names.candidate,
        gained=gained,
        lost=lost,
        tied=tied,
        unpaired=len(pairs.unpaired),
        difference=found.difference,
        low=found.low,
        high=found.high,
        pvalue=found.pvalue,
        state=_state(found.difference, found.pvalue, 1 - confidence_level),
        evalue=_evalue(pairs) if n else None,
        mde=_mde(pairs, confidence_level) if n else None,
        confidence_level=confidence_level,
        method=found.method,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    difference: float | None
    low: float | None
    high: float | None
    pvalue: float | None
    method: str


def _by_unit(pairs: Pairs, confidence_level: float, rng: np.random.Generator) -> _Found:
    differences = pairs.differences
    interval = mean(differences, pairs.groups, confidence_level=confidence_level, rng=rng)
    pvalue = sign_flip_pvalue(differences, pairs.groups, rng=rng)
    method = f"sign-flip test, {interval.method}"
    return _Found(interval.value, interval.low, interval.high, pvalue, method)


def _state(difference: float | None, pvalue: float | None, alpha: float) -> ClaimState:
    if difference is None or pvalue is None or pvalue > alpha or difference == 0:
        return "open"
    return "above" if difference > 0 else "below"


def _evalue(pairs: Pairs) -> float | None:
    if not pairs.binary or pairs.groups is not None:
        return None  # the order of graded differences would matter: `mean_evalue` takes it
    gained, lost, tied = pairs.counts
    both = [float(pair_evalue(gained, lost, tied)), float(pair_evalue(lost, gained, tied))]
    # Beyond 1e300 a double overflows, and nobody needs to know by how much.
    return float(np.exp(min(float(logsumexp(both)) - np.log(2), 690.0)))


def _mde(pairs: Pairs, confidence_level: float) -> float | None:
    alpha = (1 - confidence_level) / 2
    n = len(pairs.case_ids)
    if pairs.binary and pairs.groups is None:
        gained, lost, _ = pairs.counts
        return pair_mde(n, (gained + lost + 0.5) / (n + 1), alpha=alpha)
    return mean_mde(standard_error(pairs.differences, pairs.groups)[0], alpha=alpha)


def compare_all(
    systems: Mapping[str, ByCase | Outcomes],
    *,
    suite: str,
    metric: str,
    rungs: Mapping[str, Rung] | None = None,
    confidence_level: float = 0.95,
    seed: int = SEED,
) -> list[Comparison]:
    """Compare every pair of systems, adjusted together.

    The baseline of a pair is the system on the lower rung, else the one named first.
    """
    order = list(systems)
    if rungs is not None:
        order.sort(key=lambda name: RUNGS.index(rungs[name]))
    found = [
        compare(
            systems[first],
            systems[second],
            names=Names(suite=suite, metric=metric, baseline=first, candidate=second),
            confidence_level=confidence_level,
            seed=seed,
        )
        for first, second in itertools.combinations(order, 2)
    ]
    return adjust(found)


def adjust(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Holm's correction over comparisons, directions covered: sets adjusted p-values and states.

    Pass everything that is reported side by side (suites, metrics, pairs) in one call. Comparisons
    without a p-value are returned as they are.
    """
    tested = [i for i, c in enumerate(comparisons) if c.pvalue is not None]
    adjusted = holm_directional([float(comparisons[i].pvalue or 0.0) for i in tested])
    result = list(comparisons)
    for i, pvalue in zip(tested, adjusted.tolist(), strict=True):
        c = comparisons[i]
        state = _state(c.difference, pvalue, 1 - c.confidence_level)
        result[i] = replace(c, pvalue_adjusted=pvalue, state=state)
    return result


def compare_slices(
    pairs: Pairs,
    tags: Mapping[str, Sequence[str]],
    *,
    names: Names,
    confidence_level: float = 0.95,
    seed: int = SEED,
) -> dict[str, Comparison]:
    """Compare two systems within each tag of the cases, by Benjamini-Hochberg: exploratory.

    `tags` maps case ids to their tags. Adjusted p-values bound the share of false findings among
    those called different, not the chance of any.
    """
    members: dict[str, list[int]] = {}
    for place, case_id in enumerate(pairs.case_ids):
        for tag in tags.get(case_id, ()):
            members.setdefault(tag, []).append(place)
    found = {
        tag: compare_pairs(
            pairs.taken(places), names=names, confidence_level=confidence_level, seed=seed
        )
        for tag, places in sorted(members.items())
    }
    adjusted = benjamini_hochberg(
        [c.pvalue if c.pvalue is not None else 1.0 for c in found.values()]
    )
    return {
        tag: replace(c, pvalue_adjusted=p, state=_state(c.difference, p, 1 - confidence_level))
        for (tag, c), p in zip(found.items(), adjusted.tolist(), strict=True)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A part of a fingerprint that differs between two systems; None where a side lacks it."""

    part: str
    baseline: str | None
    candidate: str | None


def changed_parts(baseline: Mapping[str, str], candidate: Mapping[str, str]) -> tuple[Change, ...]:
    """What changed between two systems: the fingerprint parts that differ, side by side."""
    return tuple(
        Change(part=part, baseline=baseline.get(part), candidate=candidate.get(part))
        for part in sorted(baseline.keys() | candidate.keys())
        if baseline.get(part) != candidate.get(part)
    )
