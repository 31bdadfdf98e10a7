"""Embeddings as arrays: checked once, unit rows, and what to do with rows that hold nothing."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from harness.types import Encoder

FloatArray: TypeAlias = npt.NDArray[np.float32]
IntArray: TypeAlias = npt.NDArray[np.int64]
BoolArray: TypeAlias = npt.NDArray[np.bool_]

UNIT_TOLERANCE = 1e-3  # what bfloat16 encoders leave
SMALLEST_SQUARE, LARGEST_SQUARE = 1e-30, 1e30


def unit_rows(vectors: npt.ArrayLike) -> FloatArray:
    """Return float32 rows of length 1, shape (n, d); rows of zeros stay zeros.

    A row of zeros stands for a text that says nothing: it is similar to no row, itself included.

    Raises
    ------
    ValueError
        Not a matrix, or a row with NaN or infinity (named): a broken encoder, not a property of data.
    """
    array = np.ascontiguousarray(vectors, dtype=np.float32)
    if array.ndim == 1 and array.size == 0:
        array = array.reshape(0, 1)
    if array.ndim != 2:
        raise ValueError(f"embeddings have the shape (rows, dimensions), not {array.shape}")
    squares = np.einsum("ij,ij->i", array, array)
    if not np.isfinite(squares).all():
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        if len(bad):
            raise ValueError(
                f"the embedding of row {bad[0]} holds NaN or infinity "
                f"({len(bad)} of {len(array)} rows do)"
            )
    if np.all((np.abs(squares - 1) < UNIT_TOLERANCE) | (squares == 0)):
        return array
    if np.any((squares < SMALLEST_SQUARE) | (squares > LARGEST_SQUARE)):
        # Squares of very long and very short rows leave float32: bring the rows to length first.
        peaks = np.abs(array).max(axis=1, keepdims=True, initial=0)
        array = np.asarray(array / np.where(peaks > 0, peaks, 1), dtype=np.float32)
        squares = np.einsum("ij,ij->i", array, array)
    lengths = np.sqrt(squares)
    lengths[lengths == 0] = 1
    return np.asarray(array / lengths[:, None], dtype=np.float32)


def filled(vectors: FloatArray) -> BoolArray:
    """Tell which rows say something: all but the rows of zeros."""
    if not vectors.size:
        return np.zeros(len(vectors), dtype=bool)
    return np.asarray(vectors.any(axis=1))


def encode(encoder: Encoder, texts: list[str]) -> FloatArray:
    """Encode texts as unit rows, each different text once; blank texts become rows of zeros."""
    places: dict[str, int] = {}
    for text in texts:
        if text.strip():
            places.setdefault(text, len(places))
    if not places:
        return np.zeros((len(texts), 1), dtype=np.float32)
    known = unit_rows(encoder.encode(list(places)))
    if len(known) != len(places):
        raise ValueError(f"the encoder gave {len(known)} rows for {len(places)} texts")
    if len(places) == len(texts):
        return known
    vectors = np.zeros((len(texts), known.shape[1]), dtype=np.float32)
    at = [row for row, text in enumerate(texts) if text.strip()]
    vectors[at] = known[[places[texts[row]] for row in at]]
    return vectors
