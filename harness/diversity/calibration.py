"""Which cosine means "a copy" for this encoder and this language: chosen on labelled pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.diversity.vectors import encode
from harness.errors import CaseError
from harness.sheets import Cells, read_sheet
from harness.statistics.rates import rate
from harness.types import Encoder, Estimate

PRECISION = 0.95
SHIPPED = 0.95  # the cosine in use where nobody calibrated
MIN_PAIRS = 100
MIN_FOUND = 10  # a threshold that only two pairs reach has no precision worth naming
SPLITS = 20
YES, NO = ("1", "yes", "true", "duplicate", "y"), ("0", "no", "false", "different", "n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two texts, and whether a person calls them the same."""

    one: str
    other: str
    duplicate: bool
    style: str = ""  # the language style, such as "search queries" or "e-mails (constructed)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What a given threshold is worth on the pairs."""

    threshold: float
    precision: Estimate
    recall: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A threshold, and what it was worth on the pairs. `threshold` is None where none is precise."""

    style: str
    pairs: int
    duplicates: int
    threshold: float | None
    precision: Estimate  # on the pairs it was chosen on: optimistic
    held_out: Estimate  # chosen on one half, counted on the other
    recall: Estimate
    now: Worth  # of the threshold that is in use

    @property
    def is_enough(self) -> bool:
        """Whether there were enough pairs to rest on."""
        return self.pairs >= MIN_PAIRS


def load_pairs(path: Path) -> tuple[Pair, ...]:
    """Read a CSV with the columns `one,other,duplicate` and, if wanted, `style`."""
    rows = read_sheet(path, needed=("one", "other", "duplicate"))
    return tuple(_pair(cells, path, line) for line, cells in rows)


def calibrate(
    pairs: Sequence[Pair],
    *,
    encoder: Encoder,
    rng: np.random.Generator,
    precision: float = PRECISION,
    shipped: float = SHIPPED,
) -> tuple[Calibration, ...]:
    """Choose a threshold for each language style, and for all pairs together (style "all").

    Parameters
    ----------
    shipped : float
        The threshold in use, whose worth is told beside the chosen one's.
    """
    vectors = encode(encoder, [p.one for p in pairs] + [p.other for p in pairs])
    cosines = np.einsum("ij,ij->i", vectors[: len(pairs)], vectors[len(pairs) :])
    truth = np.array([p.duplicate for p in pairs], dtype=bool)
    styles = np.array([p.style for p in pairs])
    found = [calibrate_cosines(cosines, truth, rng=rng, precision=precision, shipped=shipped)]
    names = sorted(set(styles.tolist()) - {""})
    for name in names if len(names) > 1 else []:
        own = styles == name
        one = calibrate_cosines(
            cosines[own], truth[own], rng=rng, precision=precision, shipped=shipped
        )
        found.append(replace(one, style=name))
    return tuple(found)


def calibrate_cosines(
    cosines: npt.ArrayLike,
    duplicate: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    precision: float = PRECISION,
    shipped: float = SHIPPED,
) -> Calibration:
    """Choose the lowest threshold from which on pairs are duplicates with the wanted precision."""
    scores, truth = np.asarray(cosines, dtype=float), np.asarray(duplicate, dtype=bool)
    if scores.shape != truth.shape or scores.ndim != 1:
        raise ValueError("there is one label for each cosine")
    threshold = _threshold(scores, truth, precision)
    chosen = _worth(scores, truth, np.inf if threshold is None else threshold)
    return Calibration(
        style="all",
        pairs=len(scores),
        duplicates=int(truth.sum()),
        threshold=threshold,
        precision=chosen.precision,
        held_out=_held_out(scores, truth, precision, rng),
        recall=chosen.recall,
        now=_worth(scores, truth, shipped),
    )


def _worth(
    scores: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_], threshold: float
) -> Worth:
    above = scores >= threshold
    right = int((above & truth).sum())
    return Worth(
        threshold=threshold,
        precision=rate(right, int(above.sum())),
        recall=rate(right, int(truth.sum())),
    )


def _threshold(
    scores: npt.NDArray[np.float64], truth: npt.NDArray[np.bool_], precision: float
) -> float | None:
    order = np.argsort(-scores, kind="stable")
    sorted_scores, hits = scores[order], np.cumsum(truth[order])
    counts = np.arange(1, len(scores) + 1)
    # A threshold takes all pairs of the same cosine or none of them.
    last = np.append(sorted_scores[1:] != sorted_scores[:-1], True) if len(scores) else counts > 0
    good = (
        last & (hits / counts >= precision) & (counts >= min(MIN_FOUND, max(1, int(truth.sum()))))
    )
    if not good.any():
        return None
    at = int(np.flatnonzero(good)[-1])
    below = sorted_scores[at + 1] if at + 1 < len(scores) else sorted_scores[at]
    return float((sorted_scores[at] + below) / 2)


def _held_out(
    scores: npt.NDArray[np.float64],
    truth: npt.NDArray[np.bool_],
    precision: float,
    rng: np.random.Generator,
) -> Estimate:
    right = called = 0.0
    for _ in range(SPLITS):
        order = rng.permutation(len(scores))
        half = len(order) // 2
        threshold = _threshold(scores[order[:half]], truth[order[:half]], precision)
        if threshold is None:
            continue
        rest = order[half:]
        above = scores[rest] >= threshold
        right += float((above & truth[rest]).sum())
        called += float(above.sum())
    # Every pair is called several times: the splits smooth the rate and add no information.
    counted = round(called / SPLITS * 2)
    return rate(round(right / called * counted) if called else 0, counted)


def _pair(row: Cells, path: Path, line: int) -> Pair:
    said = row["duplicate"].strip().casefold()
    if said not in YES + NO:
        raise CaseError(
            f"'{said}' is neither yes nor no",
            file=path,
            line=line,
            key="duplicate",
            hint="Write yes or no.",
        )
    return Pair(
        one=row["one"],
        other=row["other"],
        duplicate=said in YES,
        style=row.get("style", "").strip(),
    )
