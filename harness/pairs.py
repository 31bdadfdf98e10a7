"""Two systems' scores, joined by case id."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from harness.statistics.outcomes import Outcomes
from harness.statistics.rates import FloatArray

ByCase: TypeAlias = Mapping[str, float | bool | None]


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

    def taken(self, places: Sequence[int]) -> Pairs:
        """Some of the pairs, by their places."""
        return Pairs(
            case_ids=tuple(self.case_ids[i] for i in places),
            baseline=self.baseline[list(places)],
            candidate=self.candidate[list(places)],
            groups=None if self.groups is None else tuple(self.groups[i] for i in places),
            unpaired=(),
        )

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


def bounding_pairs(
    baseline: ByCase | Outcomes,
    candidate: ByCase | Outcomes,
    *,
    groups: Mapping[str, Hashable] | None = None,
) -> tuple[Pairs, ...]:
    """The pairs with missing outputs against the candidate, and for it; none where none is missing.

    Only pass rates have bounds: a graded score may be anything.
    """
    if not isinstance(baseline, Outcomes) or not isinstance(candidate, Outcomes):
        return ()
    graded = baseline.values is not None or candidate.values is not None
    if graded or not (baseline.missing.any() or candidate.missing.any()):
        return ()
    if groups is None and candidate.groups is not None:
        groups = dict(zip(candidate.case_ids, candidate.groups, strict=True))
    return tuple(
        pair(
            *(_filled(side, as_) for side, as_ in ((baseline, 1 - as_), (candidate, as_))),
            groups=groups,
        )
        for as_ in (0.0, 1.0)
    )


def _filled(side: Outcomes, missing_as: float) -> dict[str, float]:
    return dict(zip(side.case_ids, side.fractions(missing_as=missing_as).tolist(), strict=True))


def worst_case_difference(baseline: Outcomes, candidate: Outcomes) -> tuple[float, float] | None:
    """Bounds of the difference when nothing is assumed of unscored and errored outputs.

    Over the cases that both sides have; None where they share none. Candidate's missing outputs all
    missed and baseline's all passed, and the reverse.
    """
    bounds = bounding_pairs(baseline, candidate) or (pair(baseline, candidate),) * 2
    if not bounds[0].case_ids:
        return None
    low, high = (float(pairs.differences.mean()) for pairs in bounds)
    return low, high
