"""One pass rate: interval estimates and exact tests, for single cases and for clusters of them.

`rate(passed, n)` for independent cases with one epoch each; `clustered_rate(values, groups)` where cases
share a document, template, user or conversation, or where a case was answered more than once. Both
return an `Estimate`; without data its value and limits are None. `below_pvalue` and `above_pvalue` are
the exact one-sided tests against a reference, `clustered_pvalue` their counterpart for clusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, betaincinv, comb, ndtri, stdtr, stdtrit

from harness.types import Estimate

FloatArray: TypeAlias = npt.NDArray[np.float64]
IntArray: TypeAlias = npt.NDArray[np.int64]
RateMethod = Literal["wilson", "clopper-pearson", "jeffreys"]
Interval: TypeAlias = tuple[float, float]


def check_level(confidence_level: float) -> float:
    """Return the tail probability 1 - confidence_level, or raise ValueError outside (0, 1)."""
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level must lie between 0 and 1, not {confidence_level!r}")
    return 1 - confidence_level


def _wilson(passed: float, n: float, z: float) -> Interval:
    p, spread = passed / n, z * z / n
    centre = p + spread / 2
    half = math.sqrt(spread * p * (1 - p) + spread * spread / 4)
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    # At the ends the algebra gives 0 and 1 exactly; rounding must not leave 1 - 1e-16.
    return (0.0 if passed <= 0 else max(low, 0.0)), (1.0 if passed >= n else min(high, 1.0))


def wilson(passed: float, n: float, *, confidence_level: float = 0.95) -> Interval:
    """Wilson's score interval (Wilson 1927; Brown, Cai & DasGupta 2001)."""
    return _wilson(passed, n, float(ndtri(1 - check_level(confidence_level) / 2)))


def clopper_pearson(passed: float, n: float, *, confidence_level: float = 0.95) -> Interval:
    """The exact interval: covers at least at its level for every rate (Clopper & Pearson 1934)."""
    tail = check_level(confidence_level) / 2
    low = float(betaincinv(passed, n - passed + 1, tail)) if passed > 0 else 0.0
    high = float(betaincinv(passed + 1, n - passed, 1 - tail)) if passed < n else 1.0
    return low, high


def jeffreys(passed: float, n: float, *, confidence_level: float = 0.95) -> Interval:
    """Equal-tailed posterior interval under Jeffreys' prior, Beta(passed + 1/2, missed + 1/2)."""
    tail = check_level(confidence_level) / 2
    a, b = passed + 0.5, n - passed + 0.5
    low, high = float(betaincinv(a, b, tail)), float(betaincinv(a, b, 1 - tail))
    return low, high


_INTERVALS: Mapping[str, Callable[..., Interval]] = MappingProxyType(
    {"wilson": wilson, "clopper-pearson": clopper_pearson, "jeffreys": jeffreys}
)


def rate(
    passed: int, n: int, *, confidence_level: float = 0.95, method: RateMethod = "wilson"
) -> Estimate:
    """Estimate a pass rate from independent cases.

    Parameters
    ----------
    passed, n : int
        Cases that passed, of how many scored. With n = 0 the estimate has no value and no limits.
    confidence_level : float
        Two-sided.
    method : {"wilson", "clopper-pearson", "jeffreys"}
        Wilson to show; Clopper-Pearson where a guarantee is claimed.

    References
    ----------
    Brown, Cai & DasGupta (2001), Interval estimation for a binomial proportion, Statistical Science.
    Bowyer, Aitchison & Ivanova (2025), arXiv:2503.01747: normal intervals are too narrow for evals.

    Examples
    --------
    >>> zero_misses = rate(300, 300, method="clopper-pearson")
    >>> round(zero_misses.low, 4), zero_misses.high
    (0.9878, 1.0)
    """
    check_level(confidence_level)
    if method not in _INTERVALS:
        raise ValueError(f"method must be one of {', '.join(_INTERVALS)}, not {method!r}")
    if not 0 <= passed <= n:
        raise ValueError(f"passed must lie between 0 and n, not {passed} of {n}")
    low, high = (
        _INTERVALS[method](passed, n, confidence_level=confidence_level) if n else (None, None)
    )
    return Estimate(
        value=passed / n if n else None,
        low=low,
        high=high,
        confidence_level=confidence_level,
        n=int(n),
        n_effective=float(n) if n else None,
        method=method,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustered:
    """What clustered cases are worth: their mean, and the number of independent cases it equals."""

    mean: float
    n: int
    n_effective: float
    clusters: int
    effective_clusters: float | None = None  # None where their sizes are not known: all are alike

    @property
    def degrees_of_freedom(self) -> float:
        """Of Student's t: the effective clusters less one."""
        whole = self.clusters if self.effective_clusters is None else self.effective_clusters
        return whole - 1


def cluster_sums(
    values: FloatArray, groups: Sequence[Hashable] | npt.NDArray[np.generic] | None
) -> tuple[FloatArray, FloatArray]:
    """Sum and size of each cluster, each of shape (clusters,); every value its own without groups."""
    if groups is None:
        return values, np.ones(len(values))
    if len(groups) != len(values):
        raise ValueError(f"{len(groups)} groups for {len(values)} values")
    index = _codes(groups)
    sums = np.asarray(np.bincount(index, weights=values), dtype=np.float64)
    return sums, np.bincount(index).astype(np.float64)


def cluster_means(
    values: FloatArray, groups: Sequence[Hashable] | npt.NDArray[np.generic] | None
) -> FloatArray:
    """Mean of each cluster, in the order in which clusters first appear (groups of one type)."""
    sums, sizes = cluster_sums(values, groups)
    return sums / sizes


def count_effective(sizes: FloatArray) -> float:
    """Clusters of one size whose mean would vary as much: (sum n_g)^2 / sum n_g^2 (Kish 1965).

    One document of 1,000 cases and ten of one are 1.02 clusters: of other documents they say nothing.
    """
    return float(sizes.sum() ** 2 / np.square(sizes).sum()) if len(sizes) else 0.0


def jackknife_error(sums: FloatArray, sizes: FloatArray) -> float:
    """Standard error of the mean of at least two clusters, each of them left out in turn.

    SE^2 = (G-1)/G sum_g (ybar_{-g} - ybar)^2. With clusters of one size this is Miller's clustered
    error. A large cluster pulls the mean towards itself, so that its residual, which Miller's error is
    made of, is too small; the mean without it is not pulled.

    References
    ----------
    MacKinnon, Nielsen & Webb (2023), Leverage, influence, and the jackknife in clustered regression
    models, Stata Journal 23.
    """
    clusters, n = len(sizes), sizes.sum()
    moved = (sizes * (sums.sum() / n) - sums) / (n - sizes)
    return math.sqrt((clusters - 1) / clusters * float(np.square(moved).sum()))


def _codes(groups: Sequence[Hashable] | npt.NDArray[np.generic]) -> IntArray:
    if isinstance(groups, np.ndarray) and groups.dtype.kind in "iub":
        return np.asarray(np.unique(groups, return_inverse=True)[1], dtype=np.int64)
    numbers = {group: code for code, group in enumerate(dict.fromkeys(groups))}
    return np.fromiter(map(numbers.__getitem__, groups), dtype=np.int64, count=len(groups))


def check_values(values: npt.ArrayLike) -> FloatArray:
    """Return values as a float array of shape (n,); NaN is refused: an absent score is not a number."""
    array = np.asarray(values, dtype=float)
    if array.ndim != 1:
        raise ValueError(f"values must be one-dimensional, not of shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError("values must be finite: count cases without a score as unscored instead")
    return array


def clustered(
    values: npt.ArrayLike,
    groups: Sequence[Hashable] | npt.NDArray[np.generic] | None = None,
    *,
    scores: int | None = None,
) -> Clustered:
    """Mean pass fraction and effective number of cases: p(1-p) / SE^2, with the jackknife's SE.

    At most as many as cases that are as alike within clusters as these (`_worth_if_alike`); clusters that
    happen to vary less than chance are no extra data. `scores` are the epochs scored in all (one per
    case unless given, or where no case's epochs differ). Where all pass or all miss neither can be
    measured: the cases of a cluster are taken to be all alike, and count as one. Fewer than two
    effective clusters are worth no more than they are.
    """
    array = check_values(values)
    if len(array) == 0:
        raise ValueError("a rate needs at least one scored case")
    sums, sizes = cluster_sums(array, groups)
    n, mean, worth = len(array), float(array.mean()), count_effective(sizes)
    effective = worth
    if worth >= 2 and mean in (0.0, 1.0):
        effective = float(len(sums))
    elif worth >= 2:
        error = jackknife_error(sums, sizes)
        same = bool(((array == 0) | (array == 1)).all())  # every epoch says what the first one said
        effective = _worth_if_alike(sums, sizes, n if scores is None or same else scores)
        if error > 0:
            effective = min(mean * (1 - mean) / error**2, effective)
    return Clustered(
        mean=mean, n=n, n_effective=effective, clusters=len(sums), effective_clusters=worth
    )


def _worth_if_alike(sums: FloatArray, sizes: FloatArray, scores: int) -> float:
    """Independent scores that clustered ones are worth at the correlation within these clusters.

    N / (1 + icc (N / G_eff - 1)), with the ANOVA estimate of the intraclass correlation. It binds where
    sizes differ: while all of the large clusters pass, a miss in a small one is all that the jackknife
    has to go by, and says nothing of how the large ones vary. With one size it never does.

    References
    ----------
    Donner (1986), A review of inference procedures for the intraclass correlation coefficient in the
    one-way random effects model, International Statistical Review.
    """
    n, clusters, worth = sizes.sum(), len(sizes), count_effective(sizes)
    if scores <= clusters:
        return float(scores)
    mean = sums.sum() / n
    between = scores / n * float(np.sum(sizes * np.square(sums / sizes - mean)))
    within = max(scores * mean * (1 - mean) - between, 0.0) / (scores - clusters)
    between /= clusters - 1
    size = scores * (1 - 1 / worth) / (clusters - 1)  # of a cluster, with small ones counting less
    icc = max((between - within) / (between + (size - 1) * within), 0.0)
    return float(scores / (1 + icc * (scores / worth - 1)))


def clustered_interval(data: Clustered, *, confidence_level: float = 0.95) -> Interval:
    """Wilson's interval on the effective number of cases, on t with effective clusters - 1.

    [0, 1] for fewer than two effective clusters, which say nothing of others.
    """
    tail = check_level(confidence_level)
    if data.degrees_of_freedom < 1:
        return 0.0, 1.0
    quantile = float(stdtrit(data.degrees_of_freedom, 1 - tail / 2))
    return _wilson(data.mean * data.n_effective, data.n_effective, quantile)


def clustered_rate(
    values: npt.ArrayLike,
    groups: Sequence[Hashable] | npt.NDArray[np.generic] | None = None,
    *,
    scores: int | None = None,
    confidence_level: float = 0.95,
) -> Estimate:
    """Estimate a pass rate where cases share clusters or were answered several times.

    Wilson's interval on the effective number of cases, with Student's t on effective clusters - 1
    degrees of freedom in place of the normal quantile.

    Parameters
    ----------
    values : array_like, shape (n,)
        Pass fraction of each case over its epochs, in [0, 1].
    groups : sequence, shape (n,), optional
        Cluster of each case. Without it every case is its own (right for epochs).
    scores : int, optional
        Epochs scored in all; the most that the effective number can be.

    Notes
    -----
    Fewer than two effective clusters say nothing about clusters not seen: the interval is [0, 1].

    References
    ----------
    Miller (2024), Adding error bars to evals, arXiv:2411.00640.
    Kish (1965), Survey Sampling: the effective number of clusters of unequal size.
    MacKinnon, Nielsen & Webb (2023), Leverage, influence, and the jackknife in clustered regression
    models, Stata Journal 23: the standard error.
    Korn & Graubard (1998), Confidence intervals for proportions with small expected number of
    positive counts estimated from survey data, Survey Methodology: effective n with t quantiles.
    """
    check_level(confidence_level)
    array = check_values(values)
    if len(array) and (array.min() < 0 or array.max() > 1):
        raise ValueError("pass fractions lie in [0, 1]: use `mean` for scores on another scale")
    method = "wilson, clustered" if groups is not None else "wilson, by case"
    if len(array) == 0:
        return Estimate(
            value=None, low=None, high=None, confidence_level=confidence_level, n=0,
            n_effective=None, method=method,
        )  # fmt: skip
    data = clustered(array, groups, scores=scores)
    low, high = clustered_interval(data, confidence_level=confidence_level)
    return Estimate(
        value=data.mean,
        low=low,
        high=high,
        confidence_level=confidence_level,
        n=data.n,
        n_effective=data.n_effective,
        method=method,
    )


def below_pvalue(passed: int, n: int, reference: float) -> float:
    """Exact P(X <= passed) for X ~ Binomial(n, reference): small when the rate is below."""
    if passed >= n:
        return 1.0
    return float(betainc(n - passed, passed + 1, 1 - reference))


def above_pvalue(passed: int, n: int, reference: float) -> float:
    """Exact P(X >= passed) for X ~ Binomial(n, reference): small when the rate is above."""
    if passed <= 0:
        return 1.0
    return float(betainc(passed, n - passed + 1, reference))


def clustered_pvalue(data: Clustered, reference: float, *, below: bool) -> float:
    """One-sided score test of a clustered rate against a reference, on t with effective clusters - 1.

    The inversion of `clustered_rate`'s interval; 1 for fewer than two effective clusters, which can
    prove nothing.
    """
    if data.degrees_of_freedom < 1:
        return 1.0
    deviation = math.sqrt(reference * (1 - reference) / data.n_effective)
    if deviation == 0:
        proven = data.mean < reference if below else data.mean > reference
        return 0.0 if proven else 1.0
    statistic = (data.mean - reference) / deviation
    return float(stdtr(data.degrees_of_freedom, statistic if below else -statistic))


def worst_case(passed: float, n: float, missing: float) -> Interval | None:
    """Bounds of a rate when nothing is assumed of the missing: all missed, and all passed.

    `n` counts what was scored; None where there is neither a score nor a missing one.
    """
    total = n + missing
    return (passed / total, (passed + missing) / total) if total else None


def pass_at_k(passed: npt.ArrayLike, n: npt.ArrayLike, k: int) -> FloatArray:
    """Per case, the chance that at least one of k epochs passes: 1 - C(n-c, k) / C(n, k).

    `passed` and `n` (epochs passed and scored) have shape (cases,); n >= k is needed everywhere.
    Chen et al. (2021), arXiv:2107.03374. Average over cases with `clustered_rate` or `mean`.
    """
    c, total = _epochs(passed, n, k)
    return np.asarray(1 - comb(total - c, k) / comb(total, k), dtype=float)


def pass_hat_k(passed: npt.ArrayLike, n: npt.ArrayLike, k: int) -> FloatArray:
    """Per case, the chance that all of k epochs pass: C(c, k) / C(n, k) (pass^k).

    The measure of reliability of tau-bench (Yao et al. 2024, arXiv:2406.12045).
    """
    c, total = _epochs(passed, n, k)
    return np.asarray(comb(c, k) / comb(total, k), dtype=float)


def _epochs(passed: npt.ArrayLike, n: npt.ArrayLike, k: int) -> tuple[FloatArray, FloatArray]:
    c, total = np.asarray(passed, dtype=float), np.asarray(n, dtype=float)
    if k < 1 or (total < k).any():
        raise ValueError(f"k = {k} needs at least that many scored epochs of every case")
    if (c < 0).any() or (c > total).any():
        raise ValueError("passed must lie between 0 and n for every case")
    return c, total
