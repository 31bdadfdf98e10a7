"""Outcomes: what a metric said of a system, case by case, epochs counted.

The common input of estimates, comparisons and gates. Nothing is dropped: a case without a score keeps
its place, with its epochs counted as unscored, errored or not run.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from harness.errors import CaseError
from harness.statistics.graded import mean
from harness.statistics.rates import (
    FloatArray,
    IntArray,
    RateMethod,
    clustered_rate,
    pass_at_k,
    pass_hat_k,
    rate,
)
from harness.types import SCORE_STATES, Estimate, Score, ScoreState


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """Epochs of each case by state; arrays have shape (cases,), in the order of `case_ids`."""

    case_ids: tuple[str, ...]
    passed: IntArray
    missed: IntArray
    unscored: IntArray
    errored: IntArray
    not_run: IntArray
    values: FloatArray | None = None  # graded metrics: mean value of each case, NaN where none
    groups: tuple[Hashable, ...] | None = None  # cluster of each case
    left_out: int = 0  # cases of the suite that the user deselected

    def __post_init__(self) -> None:
        if len(set(self.case_ids)) < len(self.case_ids):
            seen: set[str] = set()
            twice = next(i for i in self.case_ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
            raise CaseError(f"case id {twice!r} occurs twice", hint="Case ids must be unique.")
        for state in SCORE_STATES:
            if getattr(self, state).shape != (len(self.case_ids),):
                raise ValueError(f"{state} must have one count for each of the case ids")

    @classmethod
    def from_counts(
        cls,
        case_ids: Sequence[str],
        passed: npt.ArrayLike,
        epochs: npt.ArrayLike = 1,
        *,
        groups: Sequence[Hashable] | None = None,
    ) -> Self:
        """Outcomes where everything was scored: epochs passed of each case, of how many."""
        c = np.asarray(passed, dtype=np.int64)
        k = np.broadcast_to(np.asarray(epochs, dtype=np.int64), c.shape)
        if (c < 0).any() or (c > k).any():
            raise ValueError("passed must lie between 0 and the epochs of every case")
        none = np.zeros_like(c)
        return cls(
            case_ids=tuple(case_ids),
            passed=c,
            missed=k - c,
            unscored=none,
            errored=none,
            not_run=none,
            groups=None if groups is None else tuple(groups),
        )

    @classmethod
    def from_scores(
        cls,
        scores: Iterable[Score],
        *,
        case_ids: Sequence[str] | None = None,
        groups: Mapping[str, Hashable] | None = None,
        graded: bool = False,
        left_out: int = 0,
    ) -> Self:
        """Count the scores of one metric and system.

        `case_ids` are the cases that should have been scored: one without any score counts as not
        run. A score that is not a number counts as unscored. With `graded`, values are kept. A
        second score for the same case and epoch is a CaseError.
        """
        rows = list(scores)
        ids = tuple(dict.fromkeys(s.case_id for s in rows)) if case_ids is None else tuple(case_ids)
        place = {case_id: i for i, case_id in enumerate(ids)}
        counts: dict[ScoreState, IntArray] = {
            s: np.zeros(len(ids), dtype=np.int64) for s in SCORE_STATES
        }
        sums, seen = np.zeros(len(ids)), set()
        for score in rows:
            if score.case_id not in place:
                raise CaseError(
                    f"a score for case {score.case_id!r}, which the suite does not have"
                )
            if (score.case_id, score.epoch) in seen:
                raise CaseError(f"case {score.case_id!r} has two scores for epoch {score.epoch}")
            seen.add((score.case_id, score.epoch))
            state = score.state
            if (
                state in ("passed", "missed")
                and score.value is not None
                and score.value != score.value
            ):
                state = "unscored"
            counts[state][place[score.case_id]] += 1
            if graded and state in ("passed", "missed"):
                sums[place[score.case_id]] += score.value if score.value is not None else 0.0
        scored = counts["passed"] + counts["missed"]
        nothing = scored + counts["unscored"] + counts["errored"] + counts["not_run"] == 0
        counts["not_run"] = counts["not_run"] + nothing
        values = np.divide(sums, scored, out=np.full(len(ids), np.nan), where=scored > 0)
        return cls(
            case_ids=ids,
            **counts,
            values=values if graded else None,
            groups=None if groups is None else tuple(groups.get(i, i) for i in ids),
            left_out=left_out,
        )

    @property
    def n(self) -> int:
        """Number of cases, scored or not."""
        return len(self.case_ids)

    @property
    def scored(self) -> IntArray:
        """Epochs scored of each case, shape (cases,)."""
        return self.passed + self.missed

    @property
    def missing(self) -> IntArray:
        """Epochs unscored or errored of each case, shape (cases,): what worst-case bounds are over."""
        return self.unscored + self.errored

    @property
    def single(self) -> bool:
        """Whether every case is one independent 0/1 outcome: one epoch, no clusters, not graded."""
        epochs = self.scored + self.missing
        return self.values is None and self.groups is None and bool((epochs <= 1).all())

    def fractions(self, *, missing_as: float | None = None) -> FloatArray:
        """Pass fraction (or mean value) of each case, shape (cases,); NaN where nothing was scored.

        With `missing_as`, unscored and errored epochs enter with that value; not-run ones never do.
        """
        total = self.passed.astype(float)
        if self.values is not None:
            total = np.where(self.scored > 0, np.nan_to_num(self.values), 0.0) * self.scored
        count = self.scored
        if missing_as is not None:
            total, count = total + missing_as * self.missing, count + self.missing
        return np.asarray(np.divide(total, count, out=np.full(self.n, np.nan), where=count > 0))

    def clusters(self, mask: npt.NDArray[np.bool_]) -> list[Hashable] | None:
        """Clusters of the cases that a mask of shape (cases,) keeps."""
        if self.groups is None:
            return None
        return [group for group, kept in zip(self.groups, mask.tolist(), strict=True) if kept]

    def estimate(
        self, *, confidence_level: float = 0.95, method: RateMethod = "wilson"
    ) -> Estimate:
        """Estimate the pass rate, or the mean of a graded metric, over the scored cases."""
        if self.single:
            passed, scored = int(self.passed.sum()), int(self.scored.sum())
            return rate(passed, scored, confidence_level=confidence_level, method=method)
        fractions = self.fractions()
        kept = ~np.isnan(fractions)
        if self.values is not None:
            return mean(fractions[kept], self.clusters(kept), confidence_level=confidence_level)
        return clustered_rate(
            fractions[kept],
            self.clusters(kept),
            scores=int(self.scored.sum()),
            confidence_level=confidence_level,
        )

    def every_epoch(self) -> Self:
        """Count each case once: passed when every one of its epochs did (pass^k, k its epochs).

        A miss in any epoch is a miss; without one, an epoch without a score leaves the case without.
        """
        if self.values is not None:
            raise ValueError("a graded metric has no epochs that pass or miss")
        left = np.ones(self.n, dtype=bool)
        counts: dict[str, IntArray] = {}
        for state in ("missed", "errored", "unscored", "not_run", "passed"):
            here = left & (getattr(self, state) > 0)
            counts[state] = here.astype(np.int64)
            left &= ~here
        return replace(self, **counts)  # type: ignore[arg-type]

    def pass_at(self, k: int, *, rng: np.random.Generator | None = None) -> Estimate:
        """Estimate the chance that at least one of k epochs of a case passes (pass@k).

        Every scored case needs k scored epochs. The case, or its cluster, is the unit; with an
        `rng` the interval is a bootstrap over them.
        """
        return self._over_epochs(pass_at_k, f"pass@{k}", k, rng)

    def pass_hat(self, k: int, *, rng: np.random.Generator | None = None) -> Estimate:
        """Estimate the chance that all of k epochs of a case pass (pass^k): reliability."""
        return self._over_epochs(pass_hat_k, f"pass^{k}", k, rng)

    def _over_epochs(
        self,
        measure: Callable[[npt.ArrayLike, npt.ArrayLike, int], FloatArray],
        name: str,
        k: int,
        rng: np.random.Generator | None,
    ) -> Estimate:
        kept = self.scored > 0
        values = measure(self.passed[kept], self.scored[kept], k)
        groups = self.clusters(kept)
        # With all of a case's epochs in it the measure is 0 or 1: a rate, which has limits even
        # where every case is alike.
        whole = len(values) and bool(((values == 0) | (values == 1)).all())
        found = clustered_rate(values, groups) if whole else mean(values, groups, rng=rng)
        return replace(found, method=f"{name}, {found.method}")
