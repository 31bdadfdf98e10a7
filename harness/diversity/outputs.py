"""Do a system's outputs still differ from each other: the alarm for mode collapse after tuning."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from harness.diversity.effective_number import GROUPS, effective_number, vendi
from harness.diversity.vectors import FloatArray, encode, filled
from harness.metrics.variety import distinct_n
from harness.types import ClaimState, Encoder, Estimate

BLEU_SAMPLE = 500
BLEU_ORDER = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputVariety:
    """How different a system's outputs are from each other. None where there are too few."""

    distinct_1: float | None
    distinct_2: float | None
    distinct_3: float | None
    self_bleu: float | None  # 0 to 1; high: the outputs repeat each other
    effective_number: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class VarietyComparison:
    """Two systems' outputs on the same cases, cut to the same lengths."""

    baseline: OutputVariety
    candidate: OutputVariety
    ratio: float | None  # effective number of the candidate over the baseline's
    low: float | None
    high: float | None
    state: ClaimState  # of the ratio against 1 - tolerated
    pairs: int

    @property
    def collapsed(self) -> bool:
        """The candidate's outputs are proven to be less varied than is tolerated."""
        return self.state == "below"

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> VarietyComparison:
        """Make a comparison of what `dataclasses.asdict` made of one."""
        sides = {}
        for side in ("baseline", "candidate"):
            number = Estimate(**stored[side]["effective_number"])
            sides[side] = OutputVariety(**{**stored[side], "effective_number": number})
        return cls(**{**stored, **sides})


def output_variety(
    texts: Sequence[str], *, encoder: Encoder, rng: np.random.Generator
) -> OutputVariety:
    """Measure the variety of outputs. It falls with length and number: compare equal amounts."""
    return _variety(texts, encode(encoder, list(texts)), rng)


def compare_variety(
    baseline: Sequence[str],
    candidate: Sequence[str],
    *,
    encoder: Encoder,
    rng: np.random.Generator,
    tolerated: float = 0.10,
    confidence_level: float = 0.95,
) -> VarietyComparison:
    """Compare the variety of two systems' outputs, given in the same order of cases.

    The two outputs of a case are cut to the shorter one's number of words: a terser system is not a
    collapsed one. The interval is a delete-a-group jackknife over cases of the logarithm of the ratio.
    """
    if len(baseline) != len(candidate):
        raise ValueError(f"{len(baseline)} outputs cannot be paired with {len(candidate)}")
    cut = [_same_length(a, b) for a, b in zip(baseline, candidate, strict=True)]
    one = [a for a, _ in cut]
    other = [b for _, b in cut]
    vectors = encode(encoder, one + other)
    first, second = vectors[: len(one)], vectors[len(one) :]
    both = filled(first) & filled(second)
    ratio, low, high = _ratio(first[both], second[both], rng, confidence_level)
    state: ClaimState = "open"
    if high is not None and high < 1 - tolerated:
        state = "below"
    elif low is not None and low > 1 - tolerated:
        state = "above"
    return VarietyComparison(
        baseline=_variety(one, first, rng),
        candidate=_variety(other, second, rng),
        ratio=ratio,
        low=low,
        high=high,
        state=state,
        pairs=int(both.sum()),
    )


def self_bleu(
    texts: Sequence[str], *, rng: np.random.Generator, sample: int = BLEU_SAMPLE
) -> float | None:
    """Mean BLEU of each text against all others, from 0 to 1; None for fewer than two texts.

    Words are split at spaces; orders without a match are smoothed as sacrebleu's `exp` does, and
    orders that a short text cannot have are left out. For each n-gram the two largest counts are
    kept, so that the time grows with the amount of text and not with its square.

    References
    ----------
    Zhu et al. (2018), Texygen. Post (2018), A call for clarity in reporting BLEU scores.
    """
    chosen = [text.split() for text in texts if text.strip()]
    if len(chosen) > sample:
        chosen = [chosen[i] for i in rng.choice(len(chosen), sample, replace=False)]
    if len(chosen) < 2:
        return None
    grams = [
        [
            Counter(zip(*(tokens[s:] for s in range(n)), strict=False))
            for n in range(1, BLEU_ORDER + 1)
        ]
        for tokens in chosen
    ]
    top = [_two_largest([g[n] for g in grams]) for n in range(BLEU_ORDER)]
    lengths = sorted(len(tokens) for tokens in chosen)
    return float(np.mean([_bleu(i, chosen, grams, top, lengths) for i in range(len(chosen))]))


_Grams = list[list[Counter[tuple[str, ...]]]]
_Top = list[dict[tuple[str, ...], tuple[int, int, int]]]


def _bleu(i: int, chosen: list[list[str]], grams: _Grams, top: _Top, lengths: list[int]) -> float:
    logs: list[float] = []
    smooth = 1.0
    for n in range(BLEU_ORDER):
        total = sum(grams[i][n].values())
        if not total:
            break
        matched = 0
        for gram, count in grams[i][n].items():
            most, owner, second = top[n][gram]
            matched += min(count, second if owner == i else most)
        if n == 0 and not matched:
            return 0.0
        if not matched:
            smooth *= 2
        logs.append(math.log(matched / total if matched else 1 / (smooth * total)))
    own = len(chosen[i])
    near = _closest_other(own, lengths)
    penalty = 1.0 if own >= near else math.exp(1 - near / own)
    return penalty * math.exp(sum(logs) / len(logs))


def _two_largest(
    counters: list[Counter[tuple[str, ...]]],
) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """The largest count of each n-gram, whose it is, and the largest among the others."""
    top: dict[tuple[str, ...], tuple[int, int, int]] = {}
    for owner, counter in enumerate(counters):
        for gram, count in counter.items():
            most, whose, second = top.get(gram, (0, -1, 0))
            top[gram] = (count, owner, most) if count > most else (most, whose, max(second, count))
    return top


def _closest_other(own: int, lengths: list[int]) -> int:
    at = bisect_left(lengths, own)
    others = lengths[max(0, at - 1) : at] + lengths[at + 1 : at + 2]
    return min(others, key=lambda length: (abs(length - own), length))


def _variety(texts: Sequence[str], vectors: FloatArray, rng: np.random.Generator) -> OutputVariety:
    return OutputVariety(
        distinct_1=distinct_n(texts, n=1),
        distinct_2=distinct_n(texts, n=2),
        distinct_3=distinct_n(texts, n=3),
        self_bleu=self_bleu(texts, rng=rng),
        effective_number=effective_number(vectors, rng=rng),
    )


def _same_length(one: str, other: str) -> tuple[str, str]:
    a, b = one.split(), other.split()
    shorter = min(len(a), len(b))
    return " ".join(a[:shorter]), " ".join(b[:shorter])


def _ratio(
    first: FloatArray, second: FloatArray, rng: np.random.Generator, confidence_level: float
) -> tuple[float | None, float | None, float | None]:
    n = len(first)
    if not n:
        return None, None, None
    whole = _log_ratio(first, second, np.arange(n))
    if n < 2 * GROUPS:
        return math.exp(whole), None, None
    group = rng.permutation(n) % GROUPS
    left_out = [_log_ratio(first, second, np.flatnonzero(group != g)) for g in range(GROUPS)]
    error = math.sqrt(float(np.var(left_out)) * (GROUPS - 1))
    half = float(stdtrit(GROUPS - 1, (1 + confidence_level) / 2)) * error
    return math.exp(whole), math.exp(whole - half), math.exp(whole + half)


def _log_ratio(first: FloatArray, second: FloatArray, rows: np.typing.NDArray[np.int64]) -> float:
    return math.log(vendi(second[rows]) or 1.0) - math.log(vendi(first[rows]) or 1.0)
