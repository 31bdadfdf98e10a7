"""How well a ranking of passages finds the relevant ones; the numbers of trec_eval.

`relevant` is the ids of the gold passages, or grades by id: above 0 is relevant, and the grade is
the gain of nDCG. Without a relevant passage nothing can be told, and every metric is None.

A chunk of a corpus (`returns.md#postage~2`) finds the gold passage that names it, its unit
(`returns.md#postage`) or its document (`returns.md`). Further chunks of one gold passage keep their
ranks and find nothing new.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TypeAlias

Relevant: TypeAlias = Mapping[str, float] | Collection[str]

_CHUNK = re.compile(r"~\d+$")  # what a chunk's number looks like behind the id of its unit


def unit_of(passage: str) -> str:
    """The id of what a chunk was cut from: a text, a row, a section of a page.

    >>> unit_of("returns.md#postage~2")
    'returns.md#postage'
    """
    return _CHUNK.sub("", passage)


def names_of(passage: str) -> tuple[str, ...]:
    """The ids that a case may name a passage with: its own, its unit's and its document's.

    >>> names_of("returns.md#postage~2")
    ('returns.md#postage~2', 'returns.md#postage', 'returns.md')
    """
    unit = unit_of(passage)
    return tuple(dict.fromkeys((passage, unit, unit.partition("#")[0])))


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Ids by score, best first; equal scores by id, descending, as trec_eval orders them."""
    return sorted(scores, key=lambda passage: (scores[passage], passage), reverse=True)


def hit_at_k(retrieved: Sequence[str], relevant: Relevant, *, k: int) -> float | None:
    """1 if a relevant passage is among the first k, else 0."""
    found = recall_at_k(retrieved, relevant, k=k)
    return None if found is None else float(found > 0)


def precision_at_k(retrieved: Sequence[str], relevant: Relevant, *, k: int) -> float | None:
    """The share of the first k ranks that are relevant; ranks left empty are not."""
    grades = _grades(relevant)
    return _count(_gains(retrieved, grades, k)) / k if grades else None


def recall_at_k(retrieved: Sequence[str], relevant: Relevant, *, k: int) -> float | None:
    """The share of the relevant passages that are among the first k."""
    grades = _grades(relevant)
    return _count(_gains(retrieved, grades, k)) / len(grades) if grades else None


def reciprocal_rank(retrieved: Sequence[str], relevant: Relevant) -> float | None:
    """One over the rank of the first relevant passage; 0 if none was found."""
    grades = _grades(relevant)
    ranks = (rank for rank, gain in enumerate(_gains(retrieved, grades), start=1) if gain)
    return next((1 / rank for rank in ranks), 0.0) if grades else None


def average_precision(retrieved: Sequence[str], relevant: Relevant) -> float | None:
    """The mean over relevant passages of the precision at their rank; 0 for one not found."""
    grades = _grades(relevant)
    found, total = 0, 0.0
    for rank, gain in enumerate(_gains(retrieved, grades), start=1):
        if gain:
            found += 1
            total += found / rank
    return total / len(grades) if grades else None


def ndcg_at_k(retrieved: Sequence[str], relevant: Relevant, *, k: int) -> float | None:
    """Discounted gain of the first k over that of the best order (Järvelin & Kekäläinen, 2002)."""
    grades = _grades(relevant)
    if not grades:
        return None
    best = sorted(grades.values(), reverse=True)[:k]
    return _discounted(_gains(retrieved, grades, k)) / _discounted(best)


def _discounted(gains: Sequence[float]) -> float:
    return sum(gain / math.log2(rank + 1) for rank, gain in enumerate(gains, start=1))


def _count(gains: Sequence[float]) -> int:
    return sum(gain > 0 for gain in gains)


def _grades(relevant: Relevant) -> dict[str, float]:
    if isinstance(relevant, Mapping):
        return {passage: float(grade) for passage, grade in relevant.items() if grade > 0}
    if isinstance(relevant, str):
        raise TypeError(f"relevant has to be ids or grades by id, not one text: {relevant!r:.40}")
    return dict.fromkeys(relevant, 1.0)


def _gains(
    retrieved: Sequence[str], grades: Mapping[str, float], k: int | None = None
) -> list[float]:
    """The gain at each rank. A passage found twice counts once, at its first rank."""
    if k is not None and k < 1:
        raise ValueError(f"k has to be 1 or more, not {k}")
    left = dict(grades)
    ranks = list(dict.fromkeys(retrieved))[:k]
    named = (next((name for name in names_of(passage) if name in left), "") for passage in ranks)
    return [left.pop(name, 0.0) for name in named]
