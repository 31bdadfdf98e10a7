"""Numeric answers: values out of all proportion, and the heaps of people who round."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtrc

MIN_NUMBERS = 20
FAR = 6.0  # median absolute deviations, scaled to standard deviations
HEAP_BASES = (1000, 500, 100, 50, 10, 5)
_NUMBER = re.compile(r"^[\s$€£]*([-+]?\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?)\s*[%$€£]?\s*\.?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumericTargets:
    """What a set of numeric answers looks like."""

    count: int
    median: float
    low: float
    high: float
    outliers: tuple[int, ...]  # rows, the farthest first
    heaped_at: int | None  # answers are multiples of this far more often than chance has it
    heaped_share: float | None


def number(text: str) -> float | None:
    """The number that an answer is; None when it is anything else."""
    match = _NUMBER.match(text.strip())
    return float(match.group(1).replace(",", "")) if match else None


def numeric_targets(answers: Sequence[str | None]) -> NumericTargets | None:
    """Describe numeric answers; None when fewer than nine in ten answers are numbers.

    Outliers lie far from the median on the plain scale and, where all numbers are positive, on the
    logarithmic one too: prices and durations are skewed by nature.
    """
    given = [(row, number(a)) for row, a in enumerate(answers) if a is not None and a.strip()]
    found = [(row, value) for row, value in given if value is not None]
    if len(found) < max(MIN_NUMBERS, 0.9 * len(given)):
        return None
    rows = np.array([row for row, _ in found])
    values = np.array([value for _, value in found])
    far = _distance(values)
    if (values > 0).all():
        far = np.minimum(far, _distance(np.log(values)))
    order = np.argsort(-far, kind="stable")
    base, share = _heap(values)
    return NumericTargets(
        count=len(values),
        median=float(np.median(values)),
        low=float(values.min()),
        high=float(values.max()),
        outliers=tuple(int(rows[i]) for i in order if far[i] > FAR),
        heaped_at=base,
        heaped_share=share,
    )


def _distance(values: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.float64]:
    centre = np.median(values)
    away = np.abs(values - centre)
    scale = 1.4826 * float(np.median(away))
    if scale == 0:  # more than half of the values are the same
        scale = 1.2533 * float(away.mean())
    return np.asarray(away / scale if scale else np.zeros_like(values))


def _heap(values: np.typing.NDArray[np.float64]) -> tuple[int | None, float | None]:
    """The largest base that far more answers are a multiple of than even spacing gives."""
    whole = np.round(values[values == np.round(values)])
    if len(whole) < 0.9 * len(values):
        return None, None
    spread = float(np.subtract(*np.quantile(whole, [0.9, 0.1])))
    for base in HEAP_BASES:
        if spread < 2 * base or len(np.unique(whole)) < 5:
            continue
        heaped = int((whole % base == 0).sum())
        share = heaped / len(whole)
        by_chance = float(bdtrc(heaped - 1, len(whole), 1 / base)) if heaped else 1.0
        if share >= 0.5 and by_chance < 1e-4:
            return base, share
    return None, None
