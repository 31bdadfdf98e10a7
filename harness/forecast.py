"""What more training rows would buy: a Bayesian average over shapes of learning curves.

`fit(points)` weighs about 24,000 curves (power law, exponential, Morgan-Mercer-Flodin, late sigmoid, and
exponentials that turn down) by how well they explain a pilot at nested sizes; `Posterior` then says what
to expect at a larger size, never beyond four times the largest one measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp, ndtr

FloatArray = npt.NDArray[np.float64]

REACH = 4  # no claim beyond this many times the largest size measured
LEAST_SEED_SD = 0.01
USUAL_SEED_SD = 0.02  # where no size was trained twice
DISCREPANCY = 0.015  # standard deviation of the error of every shape, for each doubling
# Points of one pilot are judged on the same cases, so part of their sampling error is common.
SHARED = 0.5
DECLINES = (0.01, 0.02, 0.04)  # lost for each doubling
DECLINE_WEIGHT = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One size of a pilot: cases passed, a number for each seed, of `cases`."""

    rows: int
    passed: tuple[float, ...]
    cases: int

    @property
    def rates(self) -> FloatArray:
        """Pass rates, shape (seeds,)."""
        return np.asarray(self.passed, dtype=float) / self.cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The pass rate to expect at a size."""

    rows: int
    median: float
    low: float
    high: float
    confidence_level: float


@dataclass(frozen=True, slots=True, eq=False)
class _Curves:
    """A grid of curves, sorted by shape; parameters each of shape (curves,)."""

    shape: npt.NDArray[np.int_]  # 0 power law, 1 exponential, 2 Morgan-Mercer-Flodin
    log_prior: FloatArray
    start: FloatArray  # pass rate at the smallest size
    asymptote: FloatArray
    rate: FloatArray
    power: FloatArray
    decline: FloatArray

    def at(self, rows: float, first: float, last: float) -> FloatArray:
        """Pass rates at a size, shape (curves,)."""
        ends = np.searchsorted(self.shape, [1, 2])
        powers, exponentials, hills = np.split(self.rate, ends)
        sharpness = self.power[ends[1] :]
        grown, before = (1 / (1 + np.power(hills / n, sharpness)) for n in (rows, first))
        left = np.concatenate(
            [
                np.exp(-powers * math.log(rows / first)),
                np.exp((first - rows) / exponentials),
                (1 - grown) / (1 - before),
            ]
        )
        turned = max(math.log2(rows / (last / 2)), 0.0)
        rates = self.asymptote - (self.asymptote - self.start) * left - self.decline * turned
        return np.asarray(np.clip(rates, 0.001, 0.999))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Posterior:
    """Curves and their weights after a pilot."""

    curves: _Curves
    weights: FloatArray  # shape (curves,), summing to 1
    first: int
    last: int  # the largest size measured
    seed_sd: float

    def predict(self, rows: int, *, confidence_level: float = 0.8) -> Forecast:
        """Median and central interval of the pass rate of one training run on so many rows.

        Raises
        ------
        ValueError
            Beyond four times the largest size measured, or below the smallest.
        """
        tail = (1 - confidence_level) / 2
        means, spread = self._at(rows)
        low, median, high = (self._quantile(means, spread, q) for q in (tail, 0.5, 1 - tail))
        return Forecast(
            rows=rows, median=median, low=low, high=high, confidence_level=confidence_level
        )

    def reaches(self, target: float, rows: int) -> float:
        """Probability that one training run on so many rows has at least this pass rate."""
        means, spread = self._at(rows)
        # Weights sum to one but for rounding, and 1 + 2e-16 is no probability.
        return min(float(self.weights @ ndtr((means - target) / spread)), 1.0)

    def sample(self, rows: int, size: int, *, rng: np.random.Generator) -> FloatArray:
        """Draw pass rates at a size, shape (size,)."""
        means, spread = self._at(rows)
        chosen = rng.choice(len(means), size=size, p=self.weights)
        return np.asarray(np.clip(means[chosen] + rng.normal(0, spread, size), 0, 1))

    def rows_to_reach(self, target: float, *, probability: float = 0.8) -> int | None:
        """The fewest rows within reach with this probability; None where no size has it."""
        for doubling in np.linspace(0, math.log2(REACH), 17):
            rows = round(self.last * 2 ** float(doubling))
            if self.reaches(target, rows) >= probability:
                return rows
        return None

    def _at(self, rows: int) -> tuple[FloatArray, float]:
        if not self.first <= rows <= REACH * self.last:
            raise ValueError(
                f"nothing is known at {rows} rows: the pilot spans {self.first} to {self.last}, "
                f"and no claim is made beyond {REACH} times that"
            )
        doublings = max(math.log2(rows / self.last), 0.0)
        spread = math.hypot(self.seed_sd, DISCREPANCY * doublings)
        return self.curves.at(rows, self.first, self.last), spread

    def _quantile(self, means: FloatArray, spread: float, share: float) -> float:
        low, high = -0.5, 1.5
        for _ in range(18):
            middle = (low + high) / 2
            below = float(self.weights @ ndtr((middle - means) / spread))
            low, high = (middle, high) if below < share else (low, middle)
        return min(max((low + high) / 2, 0.0), 1.0)


def fit(points: Sequence[Point]) -> Posterior:
    """Weigh the curves by a pilot.

    Parameters
    ----------
    points : sequence of Point
        At least two sizes, growing; four or more to say anything useful.

    Notes
    -----
    Mean rates over seeds are taken as normal about a curve, with variance p(1-p)/cases of which half
    is common to all points (they share the cases), plus the variance between seeds over their number.
    Predictions add the seed deviation and N(0, (.015 log2(N / largest))^2): every shape is wrong.

    References
    ----------
    Viering & Loog (2023), The shape of learning curves: a review, TPAMI: no one shape fits all.
    Domhan, Springenberg & Hutter (2015), Speeding up automatic hyperparameter optimization by
    extrapolation of learning curves, IJCAI: averaging over parametric shapes.
    """
    if len(points) < 2 or any(a.rows >= b.rows for a, b in itertools.pairwise(points)):
        raise ValueError("a learning curve needs at least two sizes, each larger than the last")
    return _fit(tuple(points))


@lru_cache(maxsize=64)
def _fit(points: tuple[Point, ...]) -> Posterior:
    first, last = points[0].rows, points[-1].rows
    seed_sd = _seed_sd(points)
    curves = _grid(_around(points[0]), _around(points[-1]), first=first, last=last)
    seen = np.array([point.rates.mean() for point in points])
    expected = np.stack([curves.at(point.rows, first, last) for point in points])
    sampling = expected * (1 - expected) / np.array([[point.cases] for point in points])
    training = np.array([[seed_sd**2 / len(point.passed)] for point in points])
    logs = curves.log_prior + _log_likelihood(seen[:, None] - expected, sampling, training)
    weights = np.exp(logs - logsumexp(logs))
    kept = weights > weights.max() * 1e-6
    chosen = _Curves(*(getattr(curves, name)[kept] for name in curves.__slots__))
    return Posterior(
        curves=chosen,
        weights=weights[kept] / weights[kept].sum(),
        first=first,
        last=last,
        seed_sd=seed_sd,
    )


def _log_likelihood(residual: FloatArray, sampling: FloatArray, training: FloatArray) -> FloatArray:
    """Normal with covariance diag(own) + u u', by Sherman and Morrison; shape (curves,)."""
    own = training + (1 - SHARED) * sampling
    common = np.sqrt(SHARED * sampling)
    scale = 1 + (common**2 / own).sum(axis=0)
    squares = (residual**2 / own).sum(axis=0) - (residual * common / own).sum(axis=0) ** 2 / scale
    return np.asarray(-0.5 * (squares + np.log(own).sum(axis=0) + np.log(scale)))


def _seed_sd(points: Sequence[Point]) -> float:
    """Pooled standard deviation between seeds; the usual one where nothing was trained twice."""
    repeated = [point.rates for point in points if len(point.passed) > 1]
    if not repeated:
        return USUAL_SEED_SD
    squares = sum(float(((rates - rates.mean()) ** 2).sum()) for rates in repeated)
    freedom = sum(len(rates) - 1 for rates in repeated)
    # Two or three seeds say little of their own spread: the usual one counts as two more.
    pooled = (squares + 2 * USUAL_SEED_SD**2) / (freedom + 2)
    return max(math.sqrt(pooled), LEAST_SEED_SD)


def _around(point: Point) -> tuple[float, float]:
    """Rates that a size may truly have: beyond four standard errors a curve has no weight anyway."""
    rate = float(point.rates.mean())
    half = max(4 * math.sqrt(max(rate * (1 - rate), 0.01) / point.cases), 0.08)
    return max(rate - half, 0.0), min(rate + half, 1.0)


def _grid(
    start: tuple[float, float], end: tuple[float, float], *, first: int, last: int
) -> _Curves:
    starts = np.linspace(*start, 9)
    asymptotes = np.linspace(max(end[0] - 0.1, 0.0), 1.0, 22)
    exponents = np.geomspace(0.08, 2.5, 10)
    lengths = np.geomspace(first / 2, 8 * last, 10)
    halves = np.geomspace(first / 2, 8 * last, 8)
    # A steep curve a third too early fits as badly as none, so these stand closer together.
    takeoffs = np.geomspace(first / 2, 8 * last, 24)
    blocks = [
        (0, 0.0, exponents, (1.0,), (0.0,)),
        (1, 0.0, lengths, (1.0,), (0.0,)),
        *((1, math.log(DECLINE_WEIGHT), lengths[::2], (1.0,), (slope,)) for slope in DECLINES),
        (2, 0.0, halves, (0.7, 1.2), (0.0,)),
        (2, 0.0, takeoffs, (2.5, 3.5, 5.0), (0.0,)),
    ]
    columns: list[FloatArray] = []
    for shape, log_weight, rates, powers, declines in blocks:
        mesh = np.meshgrid(starts, asymptotes, rates, powers, declines, indexing="ij")
        flat = [axis.ravel() for axis in mesh]
        size = len(flat[0])
        prior = np.full(size, log_weight - math.log(size))
        columns.append(np.stack([np.full(size, float(shape)), prior, *flat]))
    shape_column, *rest = np.concatenate(columns, axis=1)
    return _Curves(shape_column.astype(int), *rest)
