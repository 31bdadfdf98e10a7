"""How many different things a set says: the Vendi score, in its dual form, at a fixed sample size."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigvalsh
from scipy.special import stdtrit

from harness.diversity.vectors import FloatArray, filled, unit_rows
from harness.types import Estimate

SAMPLE = 200  # rows: the size that all sets are brought to
N_RESAMPLES = 20
GROUPS = 10  # of the jackknife


def vendi(vectors: npt.ArrayLike, *, q: float = 1.0) -> float | None:
    """Compute the Vendi score of embeddings: the effective number of different rows.

    The eigenvalues of the (n, n) similarity matrix are those of the (d, d) matrix X'X, so the cost
    is O(n d^2) however many rows there are. It grows with n: compare `effective_number` instead.

    Parameters
    ----------
    vectors : array_like, shape (n, d)
        Made unit rows; rows of zeros are left out.
    q : float
        Order of the Hill number; infinity for the largest share alone. Low orders count rare rows.

    Returns
    -------
    float or None
        Between 1 and min(n, d); None for no rows.

    References
    ----------
    Friedman & Dieng (2023), The Vendi Score, TMLR. Pasarkar & Dieng (2024), Cousins of the Vendi Score.

    Examples
    --------
    >>> round(vendi([[1, 0], [0, 1], [1, 0], [0, 1]]), 6)
    2.0
    """
    unit = unit_rows(vectors)
    unit = unit if unit.size and filled(unit).all() else unit[filled(unit)]
    return _score(unit, q) if len(unit) else None


def vendi_of_similarities(similarities: npt.ArrayLike, *, q: float = 1.0) -> float:
    """Compute the Vendi score of a similarity matrix, shape (n, n), ones on its diagonal.

    Examples
    --------
    >>> round(vendi_of_similarities([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]), 4)
    2.1573
    """
    matrix = np.asarray(similarities, dtype=float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not len(matrix):
        raise ValueError(f"similarities have the shape (n, n), not {matrix.shape}")
    if not np.allclose(np.diag(matrix), 1):
        raise ValueError("a similarity matrix has ones on its diagonal")
    return _hill(eigvalsh(matrix / len(matrix)), q)


def mean_cosine(vectors: npt.ArrayLike) -> float | None:
    """Mean cosine over all pairs of different rows; None for fewer than two.

    To show, never to gate on: doubling half of a set hardly moves it.
    """
    unit = unit_rows(vectors)
    unit = unit[filled(unit)]
    n = len(unit)
    if n < 2:
        return None
    total = unit.sum(axis=0, dtype=np.float64)
    return float((total @ total - n) / (n * (n - 1)))


def effective_number(
    vectors: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    sample: int = SAMPLE,
    n_resamples: int = N_RESAMPLES,
    confidence_level: float = 0.95,
) -> Estimate:
    """Estimate the Vendi score that `sample` rows of a set have on average.

    The plain score grows with the number of rows (44 for 50 rows of a distribution that has 302 for
    20,000), so sets are compared at the same sample size. Sets smaller than `sample` are taken whole:
    compare them with others at their own size.

    Notes
    -----
    The interval is a delete-a-group jackknife of the logarithm. A bootstrap would draw rows twice,
    and doubled rows are the very thing that lowers the score.
    """
    unit = unit_rows(vectors)
    unit = unit[filled(unit)]
    n = len(unit)
    size = min(sample, n)
    method = f"Vendi score of {size} rows, jackknife"
    value = _rarefied(unit, size, n_resamples, rng)
    low = high = None
    if value is not None and n >= 2 * GROUPS:
        half = _relative_half_width(unit, size, max(2, n_resamples // 4), rng, confidence_level)
        low, high = max(1.0, value * math.exp(-half)), min(float(size), value * math.exp(half))
    return Estimate(
        value=value,
        low=low,
        high=high,
        confidence_level=confidence_level,
        n=n,
        n_effective=float(n) if n else None,
        method=method,
        kind="aggregate",
    )


def _rarefied(
    unit: FloatArray, size: int, n_resamples: int, rng: np.random.Generator
) -> float | None:
    n = len(unit)
    if not n:
        return None
    if size == n:
        return _score(unit, 1.0)
    drawn = [rng.choice(n, size, replace=False) for _ in range(n_resamples)]
    return float(np.mean([_score(unit[rows], 1.0) for rows in drawn]))


def _relative_half_width(
    unit: FloatArray,
    size: int,
    n_resamples: int,
    rng: np.random.Generator,
    confidence_level: float,
) -> float:
    group = rng.permutation(len(unit)) % GROUPS
    kept = [unit[group != g] for g in range(GROUPS)]
    size = min(size, *(len(rows) for rows in kept))
    logs = [math.log(_rarefied(rows, size, n_resamples, rng) or 1.0) for rows in kept]
    spread = float(np.var(logs)) * (GROUPS - 1)
    return float(stdtrit(GROUPS - 1, (1 + confidence_level) / 2)) * math.sqrt(spread)


def _score(unit: FloatArray, q: float) -> float:
    n, d = unit.shape
    product = unit.T @ unit if n > d else unit @ unit.T
    return _hill(eigvalsh(product.astype(np.float64) / n, check_finite=False), q)


def _hill(shares: npt.NDArray[np.float64], q: float) -> float:
    shares = shares[shares > 1e-12]
    shares = shares / shares.sum()  # rows need be of length 1 to a thousandth only
    if q == 1:
        return float(np.exp(-np.sum(shares * np.log(shares))))
    if math.isinf(q):
        return float(1 / shares.max())
    return float(np.sum(shares**q) ** (1 / (1 - q)))
