"""Graded metrics: means with t and bootstrap intervals, and the sign-flip test of paired differences.

All of them by cluster where `groups` are given. `mean(values)` is Student's t without an `rng` and the
bias-corrected accelerated (BCa) cluster bootstrap with one.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from harness.statistics.rates import (
    FloatArray,
    check_level,
    check_values,
    cluster_sums,
    count_effective,
    jackknife_error,
)
from harness.types import Estimate

FEWEST_CLUSTERS = 30  # effective ones; BCa under-covers below this; t is used instead
MOST_CLUSTERS = 20_000  # above it the t and BCa limits agree to four digits and t is free


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteredError:
    """Standard error of a mean over clusters; None for fewer than two effective ones."""

    value: float | None
    clusters: int
    effective_clusters: float

    @property
    def degrees_of_freedom(self) -> float:
        """Of Student's t: the effective clusters less one."""
        return self.effective_clusters - 1


def clustered_error(
    values: FloatArray, groups: Sequence[Hashable] | npt.NDArray[np.generic] | None = None
) -> ClusteredError:
    """Jackknife standard error of a mean, every value a cluster of its own without groups."""
    sums, sizes = cluster_sums(values, groups)
    worth = count_effective(sizes)
    error = jackknife_error(sums, sizes) if worth >= 2 else None
    return ClusteredError(value=error, clusters=len(sums), effective_clusters=worth)


def standard_error(
    values: FloatArray, groups: Sequence[Hashable] | npt.NDArray[np.generic] | None = None
) -> tuple[float | None, int]:
    """The error and the clusters of `clustered_error`, where no t test follows."""
    found = clustered_error(values, groups)
    return found.value, found.clusters


def mean(
    values: npt.ArrayLike,
    groups: Sequence[Hashable] | npt.NDArray[np.generic] | None = None,
    *,
    confidence_level: float = 0.95,
    rng: np.random.Generator | None = None,
    n_resamples: int = 2000,
) -> Estimate:
    """Estimate the mean of graded scores or of paired differences.

    Parameters
    ----------
    values : array_like, shape (n,)
        One value per case, finite.
    groups : sequence, shape (n,), optional
        Cluster of each case.
    rng : numpy.random.Generator, optional
        With it, and between 30 effective and 20 000 clusters, the interval is a BCa bootstrap over
        clusters (Efron 1987); otherwise Student's t on the jackknife standard error, with effective
        clusters - 1 degrees of freedom.

    Notes
    -----
    One case, or fewer than two effective clusters, have a mean and no interval: its limits are None.

    References
    ----------
    Efron (1987), Better bootstrap confidence intervals, JASA.
    Miller (2024), Adding error bars to evals, arXiv:2411.00640.
    """
    tail = check_level(confidence_level)
    array = check_values(values)
    n = len(array)
    error = clustered_error(array, groups)
    low = high = effective = None
    method = "t, clustered" if groups is not None else "t"
    if error.value is not None:
        effective = error.effective_clusters
        enough = effective >= FEWEST_CLUSTERS and error.clusters <= MOST_CLUSTERS
        if error.value > 0:
            effective = min(float(array.var(ddof=1)) / error.value**2, float(n))
        if rng is not None and error.value > 0 and enough:
            method = "BCa bootstrap by cluster" if groups is not None else "BCa bootstrap"
            low, high = bca(array, groups, tail=tail, rng=rng, n_resamples=n_resamples)
        else:
            half = float(stdtrit(error.degrees_of_freedom, 1 - tail / 2)) * error.value
            low, high = float(array.mean()) - half, float(array.mean()) + half
    return Estimate(
        value=float(array.mean()) if n else None,
        low=low,
        high=high,
        confidence_level=confidence_level,
        n=n,
        n_effective=effective,
        method=method,
        kind="mean",
    )


def bca(
    values: FloatArray,
    groups: Sequence[Hashable] | npt.NDArray[np.generic] | None,
    *,
    tail: float,
    rng: np.random.Generator,
    n_resamples: int = 2000,
) -> tuple[float, float]:
    """BCa limits of a mean, whole clusters drawn with replacement (Efron 1987)."""
    sums, sizes = cluster_sums(values, groups)
    draws = _resampled_means(sums, sizes, rng, n_resamples)
    observed = float(values.mean())
    # Ties count half, as in scipy: with few distinct values the plain share is biased.
    share = float(np.mean(draws < observed) + 0.5 * np.mean(draws == observed))
    share = min(max(share, 0.5 / n_resamples), 1 - 0.5 / n_resamples)
    bias = float(ndtri(share))
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    spread = left_out.mean() - left_out
    cubed, squared = float(np.sum(spread**3)), float(np.sum(spread**2))
    acceleration = cubed / (6 * squared**1.5) if squared > 0 else 0.0
    z = bias + ndtri(np.array([tail / 2, 1 - tail / 2]))
    low, high = np.quantile(draws, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def _resampled_means(
    sums: FloatArray, sizes: FloatArray, rng: np.random.Generator, n_resamples: int
) -> FloatArray:
    """Means of bootstrap samples of clusters, in blocks that bound the memory at 32 MB."""
    clusters = len(sums)
    block = max(1, 4_000_000 // clusters)
    means = np.empty(n_resamples)
    for start in range(0, n_resamples, block):
        drawn = rng.integers(clusters, size=(min(block, n_resamples - start), clusters))
        means[start : start + len(drawn)] = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    return means


def sign_flip_pvalue(
    differences: npt.ArrayLike,
    groups: Sequence[Hashable] | npt.NDArray[np.generic] | None = None,
    *,
    rng: np.random.Generator,
    alternative: Literal["two-sided", "greater", "less"] = "two-sided",
    n_resamples: int = 9999,
) -> float:
    """Permutation test that paired differences are symmetric about 0: clusters swap their signs.

    Exact by enumeration up to 12 clusters that differ at all, drawn at random up to 5 000, and on
    the normal limit of the same permutation distribution above. The observed assignment counts as
    one of the permutations (Phipson & Smyth 2010), so the p-value is never 0.

    References
    ----------
    Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, ch. 3.
    Phipson & Smyth (2010), Permutation p-values should never be zero.
    """
    sums, _ = cluster_sums(check_values(differences), groups)
    sums = sums[sums != 0]
    observed = float(sums.sum())
    if alternative == "less":
        sums, observed = -sums, -observed
    two_sided = alternative == "two-sided"
    if len(sums) == 0:
        return 1.0
    if len(sums) > 5_000:
        z = observed / math.sqrt(float(np.sum(sums**2)))
        return float(2 * ndtr(-abs(z))) if two_sided else float(ndtr(-z))
    exact = len(sums) <= 12
    totals = _all_totals(sums) if exact else _drawn_totals(sums, rng, n_resamples)
    slack = 1e-9 * float(np.abs(sums).sum())  # sums that differ by rounding alone are ties
    extreme = np.abs(totals) >= abs(observed) - slack if two_sided else totals >= observed - slack
    hits = int(extreme.sum())
    return hits / len(totals) if exact else (hits + 1) / (len(totals) + 1)


def _all_totals(sums: FloatArray) -> FloatArray:
    totals = np.zeros(1)
    for value in sums:
        totals = np.concatenate([totals + value, totals - value])
    return totals


def _drawn_totals(sums: FloatArray, rng: np.random.Generator, n_resamples: int) -> FloatArray:
    block = max(1, 4_000_000 // len(sums))
    totals = np.empty(n_resamples)
    for start in range(0, n_resamples, block):
        size = min(block, n_resamples - start)
        signs = rng.integers(0, 2, size=(size, len(sums)), dtype=np.int8) * 2 - 1
        totals[start : start + size] = signs @ sums
    return totals


def mean_pvalue(
    values: npt.ArrayLike,
    groups: Sequence[Hashable] | npt.NDArray[np.generic] | None = None,
    *,
    reference: float,
    below: bool,
) -> float:
    """One-sided t test of a (clustered) mean against a reference; 1 for fewer than two effective clusters.

    Identical values do not show how much others would vary: Hoeffding's bound then stands in, over
    a range widened to [0, 1] and to the reference.
    """
    array = check_values(values)
    error = clustered_error(array, groups)
    if error.value is None:
        return 1.0
    gap = float(array.mean()) - reference if below else reference - float(array.mean())
    if error.value > 0:
        return float(stdtr(error.degrees_of_freedom, gap / error.value))
    span = max(1.0, float(array.max()), reference) - min(0.0, float(array.min()), reference)
    return math.exp(-2 * error.effective_clusters * (gap / span) ** 2) if gap < 0 else 1.0
