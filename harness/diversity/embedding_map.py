"""A set on a plane: the two directions in which embeddings differ most, or a projection handed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh

from harness.diversity.vectors import FloatArray

MAX_POINTS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint:
    """A row or a case on the map."""

    x: float
    y: float
    kind: str  # row | case
    number: int  # of the row, or of the case among all suites' cases
    cluster: int
    duplicate: bool
    leaked: bool
    text: str

    @property
    def mark(self) -> str | None:
        """What a person should look at in it."""
        return "leaked" if self.leaked else "duplicate" if self.duplicate else None


def plane(
    vectors: FloatArray, project: Callable[[FloatArray], npt.ArrayLike] | None = None
) -> npt.NDArray[np.float64]:
    """Project unit rows to (n, 2): principal components, or whatever `project` makes of them.

    The sign of a component is fixed by its largest coordinate, so that the same data give the same map.
    """
    if not len(vectors):
        return np.zeros((0, 2))
    if project is not None:
        flat = np.asarray(project(vectors), dtype=float)
        if flat.shape != (len(vectors), 2):
            raise ValueError(f"a projection has the shape ({len(vectors)}, 2), not {flat.shape}")
        return flat
    centred = vectors - vectors.mean(axis=0, keepdims=True)
    d = vectors.shape[1]
    if d < 2:
        return np.hstack([centred, np.zeros((len(vectors), 1))])
    covariance = (centred.T @ centred).astype(np.float64)
    _, axes = eigh(covariance, subset_by_index=[d - 2, d - 1])
    axes = axes[:, ::-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    return np.asarray(centred @ axes)


def shown_rows(n: int, marked: npt.NDArray[np.int64], *, rng: np.random.Generator) -> list[int]:
    """Rows to show: all while they are few, else the marked ones and a sample of the others."""
    if n <= MAX_POINTS:
        return list(range(n))
    kept = marked[:MAX_POINTS]
    others = np.setdiff1d(np.arange(n), kept)
    sample = rng.choice(others, min(len(others), MAX_POINTS - len(kept)), replace=False)
    return sorted(int(row) for row in (*kept, *sample))
