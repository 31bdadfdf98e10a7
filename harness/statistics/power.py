"""What a suite can see: minimum detectable effects, cases needed, and how many more would settle it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import betainc, ndtr, ndtri

from harness.statistics.pairs import mcnemar, tango_pvalue
from harness.statistics.rates import FloatArray, check_values

POWER = 0.9
CONTINUATIONS = 500


def pairs_needed(
    difference: float, flip_rate: float, *, alpha: float = 0.05, power: float = POWER
) -> int:
    """Pairs for a one-sided paired test to find a difference, at a share of cases that flip.

    n = (z_a sqrt(d) + z_b sqrt(d - D^2))^2 / D^2 (Connor 1987, Biometrics).
    """
    if not 0 < abs(difference) <= flip_rate <= 1:
        raise ValueError("0 < |difference| <= flip_rate <= 1 must hold")
    spread = _reach(difference, flip_rate, alpha=alpha, power=power)
    return math.ceil(spread**2 / difference**2)


def _reach(difference: float, flip_rate: float, *, alpha: float, power: float) -> float:
    z_alpha, z_power = -float(ndtri(alpha)), float(ndtri(power))
    remaining = max(flip_rate - difference**2, 0.0)
    return z_alpha * math.sqrt(flip_rate) + z_power * math.sqrt(remaining)


def pair_mde(
    n: int, flip_rate: float, *, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """The smallest difference that a one-sided paired test on n pairs finds with this power.

    None where no difference could be seen: n = 0, or so few pairs that even all of them flipped one
    way are chance (0.5^n > alpha). A difference cannot exceed the flip rate: where even that many flips all one
    way are not enough, the flip rate needed is what is returned, at most 1.
    """
    if n == 0 or 0.5**n > alpha:
        return None

    def seen(difference: float) -> bool:
        flips = max(flip_rate, difference)
        return _reach(difference, flips, alpha=alpha, power=power) <= difference * math.sqrt(n)

    return _smallest(seen)


def rate_mde(
    n: float, reference: float, *, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """The smallest shortfall below a floor that n cases find with this power (normal approximation).

    At most the floor itself. None where no shortfall could be seen: n = 0, a floor of 0, or so few cases
    that even all of them missed are chance ((1 - floor)^n > alpha).
    """
    if n == 0 or reference <= 0 or (1 - reference) ** n > alpha:
        return None
    z_alpha, z_power = -float(ndtri(alpha)), float(ndtri(power))
    null = z_alpha * math.sqrt(reference * (1 - reference))

    def seen(shortfall: float) -> bool:
        p = reference - shortfall
        return null + z_power * math.sqrt(max(p * (1 - p), 0.0)) <= shortfall * math.sqrt(n)

    return _smallest(seen, most=reference)


def mean_mde(
    standard_error: float | None, *, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """The smallest shift of a mean that is found with this power, from its standard error.

    None without one, and where it is 0: identical scores do not show how much others would vary.
    """
    if not standard_error:
        return None
    return (float(ndtri(power)) - float(ndtri(alpha))) * standard_error


def _smallest(seen: Callable[[float], bool], most: float = 1.0) -> float:
    low, high = 0.0, most
    if not seen(most):
        return most
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) else (middle, high)
    return high


@dataclass(frozen=True, slots=True, kw_only=True)
class FurtherCases:
    """How many more cases would settle an open claim, at the rates seen so far."""

    median: int | None  # None where most continuations are still open at the cap; 0: settled now
    open_at_cap: float
    cap: int  # cases in all, no fewer than were run
    n: int  # cases that were run

    @classmethod
    def none_left(cls, n: int) -> FurtherCases:
        """As many cases were run as may be, and the claim is open."""
        return cls(median=None, open_at_cap=1.0, cap=n, n=n)

    @property
    def exhausted(self) -> bool:
        """Whether as many cases were run as may be."""
        return self.n >= self.cap


def further_cases_for_rate(
    passed: int, n: int, reference: float, *, missing: int = 0, rng: np.random.Generator,
    alpha: float = 0.05, cap: int = 800,
) -> FurtherCases:  # fmt: skip
    """Simulate continuations until a rate is proven above or below its reference.

    500 continuations at the rate so far (with half a pseudo-count each way), looked at about 40
    times up to `cap` cases in all. Where as many were run, the one look is at those. The `missing`, of
    which no more are expected, count as missed where it must be proven above, and else as passed.
    """
    share = (passed + 0.5) / (n + 1)

    def still_open(counts: FloatArray, total: FloatArray) -> npt.NDArray[np.bool_]:
        k = counts[..., 0]
        misses = total - k
        more, fewer = np.maximum(k, 1), np.maximum(misses, 1)
        above = np.where(k > 0, betainc(more, misses + missing + 1, reference), 1.0)
        below = np.where(misses > 0, betainc(fewer, k + missing + 1, 1 - reference), 1.0)
        return np.asarray(np.minimum(above, below) > alpha)

    shares = np.array([share, 1 - share])
    return _continued(np.array([passed, n - passed]), shares, still_open, rng=rng, cap=cap)


def further_cases_for_pairs(
    counts: tuple[int, int, int],
    references: tuple[float, float] = (0.0, 0.0),
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
    cap: int = 800,
) -> FurtherCases:
    """Simulate continuations of (gained, lost, tied) until the difference is settled.

    Settled: proven below the first reference, or proven above the second. (0, 0) asks which system
    is better; (0, -margin) whether a loss is proven, or excluded beyond the margin.
    """
    down, up = references
    so_far = np.asarray(counts)
    shares = (so_far + 0.5) / (so_far.sum() + 1.5)

    def still_open(c: FloatArray, total: FloatArray) -> npt.NDArray[np.bool_]:
        below = _one_sided(c, total, down, "less")
        above = _one_sided(c, total, up, "greater")
        return np.asarray(np.minimum(below, above) > alpha)

    return _continued(so_far, shares, still_open, rng=rng, cap=cap)


def further_cases_for_mean(
    differences: npt.ArrayLike,
    references: tuple[float, float] = (0.0, 0.0),
    *,
    rng: np.random.Generator,
    alpha: float = 0.05,
    cap: int = 800,
) -> FurtherCases:
    """Simulate continuations of graded or fractional differences until their mean is settled.

    Further differences are drawn from those so far, one for each independent unit; the test is the
    normal one. Settled as in `further_cases_for_pairs`.
    """
    seen = check_values(differences)
    n = len(seen)
    if n < 2:
        return FurtherCases(median=None, open_at_cap=1.0, cap=max(cap, n), n=n)
    down, up = references
    ends = _ends(n, cap)
    drawn = np.zeros((CONTINUATIONS, 1 + ends[-1] - n))
    drawn[:, 1:] = rng.choice(seen, size=(CONTINUATIONS, ends[-1] - n))
    total = seen.sum() + drawn.cumsum(axis=1)[:, ends - n]
    squares = np.square(seen).sum() + np.square(drawn).cumsum(axis=1)[:, ends - n]
    means = total / ends
    spread = np.maximum(squares - ends * means**2, 1e-12) / (ends - 1)
    error = np.sqrt(spread / ends)
    below, above = ndtr((means - down) / error), ndtr((up - means) / error)
    return _first_settled(np.minimum(below, above) > alpha, ends, n=n)


def _one_sided(
    counts: FloatArray, total: FloatArray, reference: float, alternative: str
) -> FloatArray:
    side = "greater" if alternative == "greater" else "less"
    gained, lost = counts[..., 0], counts[..., 1]
    if reference == 0:
        return mcnemar(gained, lost, alternative=side, mid=True)  # type: ignore[arg-type]
    return tango_pvalue(gained, lost, total, reference=reference, alternative=side)  # type: ignore[arg-type]


def _continued(
    so_far: npt.NDArray[np.int_],
    shares: FloatArray,
    still_open: Callable[[FloatArray, FloatArray], npt.NDArray[np.bool_]],
    *,
    rng: np.random.Generator,
    cap: int,
) -> FurtherCases:
    n = int(so_far.sum())
    ends = _ends(n, cap)
    sizes = np.diff(np.concatenate([[n], ends]))
    added = rng.multinomial(sizes, shares, size=(CONTINUATIONS, len(sizes))).cumsum(axis=1)
    open_now = still_open((so_far + added).astype(float), ends.astype(float))
    return _first_settled(open_now, ends, n=n)


def _ends(n: int, cap: int) -> npt.NDArray[np.int_]:
    """Sizes at which a continuation is looked at: forty up to the cap, or what was run beyond it."""
    cap = max(cap, n)
    step = max(1, math.ceil((cap - n) / 40))
    return np.append(np.arange(n + step, cap, step), cap)


def _first_settled(
    open_now: npt.NDArray[np.bool_], ends: npt.NDArray[np.int_], *, n: int
) -> FurtherCases:
    cap = int(ends[-1])
    settled = ~open_now.all(axis=1)
    first = np.where(settled, ends[np.argmin(open_now, axis=1)] - n, cap + 1)
    median = int(np.median(first))
    share = float(1 - settled.mean())
    return FurtherCases(median=median if share <= 0.5 else None, open_at_cap=share, cap=cap, n=n)
