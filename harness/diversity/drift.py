"""Do two sets come from one distribution: a classifier that tries to tell them apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from harness.diversity.vectors import FloatArray, filled

MAX_ROWS = 2000  # of each set
FOLDS = 5
RIDGE = 1.0
N_PERMUTATIONS = 199


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How well two sets can be told apart. `auc` is None where one has too few rows to say."""

    auc: float | None  # .5: not at all; 1: always
    pvalue: float | None
    only_first: tuple[int, ...] = ()  # rows of the first set that are most unlike the second
    only_second: tuple[int, ...] = ()


def drift(
    first: FloatArray,
    second: FloatArray,
    *,
    rng: np.random.Generator,
    n_permutations: int = N_PERMUTATIONS,
    shown: int = 10,
) -> Drift:
    """Train a ridge classifier to tell two sets of unit rows apart and test its AUC on held-out rows.

    Large sets are sampled to 2,000 rows each. The p-value permutes which set a row belongs to; ridge
    is linear in its targets, so all permutations are solved with one factorisation a fold.

    References
    ----------
    Lopez-Paz & Oquab (2017), Revisiting classifier two-sample tests, ICLR.
    """
    a, b = _sampled(first, rng), _sampled(second, rng)
    if min(len(a), len(b)) < FOLDS:
        return Drift(auc=None, pvalue=None)
    x = np.vstack([first[a], second[b]]).astype(np.float64)
    belongs = np.zeros((len(x), n_permutations + 1))
    belongs[len(a) :, 0] = 1
    for column in range(1, n_permutations + 1):
        belongs[:, column] = rng.permutation(belongs[:, 0])
    scores = _held_out(x, belongs, rng)
    aucs = _auc(scores, belongs)
    likeness = scores[:, 0]
    return Drift(
        auc=float(aucs[0]),
        pvalue=float((1 + np.sum(aucs[1:] >= aucs[0] - 1e-12)) / (n_permutations + 1)),
        only_first=tuple(int(a[i]) for i in np.argsort(likeness[: len(a)])[:shown]),
        only_second=tuple(int(b[i]) for i in np.argsort(-likeness[len(a) :])[:shown]),
    )


def _sampled(vectors: FloatArray, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    rows = np.flatnonzero(filled(vectors))
    return np.sort(rng.choice(rows, MAX_ROWS, replace=False)) if len(rows) > MAX_ROWS else rows


def _held_out(
    x: npt.NDArray[np.float64], belongs: npt.NDArray[np.float64], rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    fold = rng.permutation(len(x)) % FOLDS
    scores = np.empty_like(belongs)
    for k in range(FOLDS):
        train, test = fold != k, fold == k
        mean = x[train].mean(axis=0)
        centred = x[train] - mean
        factor = cho_factor(centred.T @ centred + RIDGE * np.eye(x.shape[1]))
        targets = belongs[train] - belongs[train].mean(axis=0)
        # Held-out scores are compared across folds: no intercept, or its noise would lower the AUC.
        scores[test] = (x[test] - mean) @ cho_solve(factor, centred.T @ targets)
    return scores


def _auc(
    scores: npt.NDArray[np.float64], belongs: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    from scipy.stats import rankdata  # takes a second to import, and most who measure ask no drift

    ranks = rankdata(scores, axis=0)
    ones = belongs.sum(axis=0)
    total = (ranks * belongs).sum(axis=0) - ones * (ones + 1) / 2
    return np.asarray(total / (ones * (len(belongs) - ones)))
