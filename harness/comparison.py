"""Two systems on the same cases, paired by case id.

`compare(baseline, candidate, names=...)` takes two mappings of case id to pass fraction or graded score
(None or NaN where there is none), or two `Outcomes`, and returns a `Comparison` with its unadjusted
state. `compare_all` compares every pair of systems; `adjust` corrects any list of comparisons together.
The p-value is two-sided, and the state says which direction it proves at 1 - confidence_level.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from scipy.special import logsumexp

from harness.statistics.evalues import pair_evalue
from harness.statistics.graded import mean, sign_flip_pvalue, standard_error
from harness.statistics.multiplicity import benjamini_hochberg, holm_directional
from harness.statistics.outcomes import Outcomes
from harness.statistics.pairs import bonett_price, mcnemar
from harness.statistics.power import mean_mde, pair_mde
from harness.statistics.rates import FloatArray
from harness.types import RUNGS, ClaimState, Comparison, Rung

ByCase: TypeAlias = Mapping[str, float | bool | None]

SEED = 0  # of permutations and bootstraps: the same pairs give the same numbers wherever they are shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is compared: a metric of a suite on two systems."""

    suite: str
    metric: str
    baseline: str
    candidate: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """The cases that both systems have a score for, and the ids of those that only one has."""

    case_ids: tuple[str, ...]
    baseline: FloatArray  # shape (pairs,)
    candidate: FloatArray
    groups: tuple[Hashable, ...] | None
    unpaired: tuple[str, ...]

    @property
    def differences(self) -> FloatArray:
        """Candidate minus baseline, shape (pairs,)."""
        return self.candidate - self.baseline

    @property
    def counts(self) -> tuple[int, int, int]:
        """Cases gained, lost and tied."""
        gained = int((self.candidate > self.baseline).sum())
        lost = int((self.candidate < self.baseline).sum())
        return gained, lost, len(self.case_ids) - gained - lost

    @property
    def binary(self) -> bool:
        """Whether every score on both sides is 0 or 1."""
        both = np.concatenate([self.baseline, self.candidate])
        return bool(((both == 0) | (both == 1)).all())

    def flips(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Ids of the cases gained and of the cases lost."""
        up, down = self.candidate > self.baseline, self.candidate < self.baseline
        ids = self.case_ids
        return tuple(ids[i] for i in np.flatnonzero(up)), tuple(
            ids[i] for i in np.flatnonzero(down)
        )


def _scores(side: ByCase | Outcomes) -> tuple[tuple[str, ...], FloatArray]:
    if isinstance(side, Outcomes):
        return side.case_ids, side.fractions()
    values = (np.nan if value is None else float(value) for value in side.values())
    return tuple(side), np.fromiter(values, dtype=float, count=len(side))


def pair(
    baseline: ByCase | Outcomes,
    candidate: ByCase | Outcomes,
    *,
    groups: Mapping[str, Hashable] | None = None,
) -> Pairs:
    """Join two systems' scores on the case id, in the candidate's order.

    Cases that either side lacks, or has no score for, are listed as unpaired. `groups` gives the
    cluster of a case; without it, the clusters of the candidate's outcomes are used.
    """
    base_ids, base = _scores(baseline)
    ids, values = _scores(candidate)
    if base_ids == ids:
        other = base
        only_base: list[str] = []
    else:
        place = {case_id: i for i, case_id in enumerate(base_ids)}
        index = np.fromiter((place.get(i, -1) for i in ids), dtype=np.int64, count=len(ids))
        padded = np.append(base, np.nan)
        other = padded[index]
        known = set(ids)
        only_base = [case_id for case_id in base_ids if case_id not in known]
    kept = ~(np.isnan(values) | np.isnan(other))
    clusters = _clusters(candidate, ids, groups)
    paired = ids if kept.all() else tuple(itertools.compress(ids, kept.tolist()))
    unpaired = [] if kept.all() else list(itertools.compress(ids, (~kept).tolist()))
    return Pairs(
        case_ids=paired,
        baseline=other[kept],
        candidate=values[kept],
        groups=None if clusters is None else tuple(itertools.compress(clusters, kept.tolist())),
        unpaired=(*unpaired, *only_base),
    )


def _clusters(
    candidate: ByCase | Outcomes, ids: Sequence[str], groups: Mapping[str, Hashable] | None
) -> Sequence[Hashable] | None:
    if groups is not None:
        return [groups.get(case_id, case_id) for case_id in ids]
    return candidate.groups if isinstance(candidate, Outcomes) else None


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
    return compare_pairs(
        pair(baseline, candidate, groups=groups),
        names=names,
        confidence_level=confidence_level,
        seed=seed,
    )


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
            _taken(pairs, places), names=names, confidence_level=confidence_level, seed=seed
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


def _taken(pairs: Pairs, places: list[int]) -> Pairs:
    return Pairs(
        case_ids=tuple(pairs.case_ids[i] for i in places),
        baseline=pairs.baseline[places],
        candidate=pairs.candidate[places],
        groups=None if pairs.groups is None else tuple(pairs.groups[i] for i in places),
        unpaired=(),
    )


def worst_case_difference(baseline: Outcomes, candidate: Outcomes) -> tuple[float, float] | None:
    """Bounds of the difference when nothing is assumed of unscored and errored outputs.

    Over the cases that both sides have; None where they share none. Candidate's missing outputs all
    missed and baseline's all passed, and the reverse.
    """
    bounds = []
    for missing in (0.0, 1.0):
        sides = [
            dict(zip(side.case_ids, side.fractions(missing_as=as_).tolist(), strict=True))
            for side, as_ in ((baseline, 1 - missing), (candidate, missing))
        ]
        pairs = pair(*sides)
        if not pairs.case_ids:
            return None
        bounds.append(float(pairs.differences.mean()))
    return bounds[0], bounds[1]


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
