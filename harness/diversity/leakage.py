"""Eval cases that are in the training data: by exact text, by shared word runs, by meaning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.diversity.neighbours import MakeIndex, nearest
from harness.diversity.plain_text import answer_key, ngrams, normal, words
from harness.diversity.vectors import FloatArray
from harness.statistics.rates import clustered_rate
from harness.types import Estimate

LeakKind = Literal["exact", "ngram", "embedding"]
LeakAction = Literal["drop", "review"]

LONG_RUN = 13  # words (Brown et al., 2020)
SHORT_RUN = 8  # for cases of fewer than 13 words
BOILERPLATE = 10  # cases that share a run: from there it is a template, not a leak
LEAST_PART = 3  # words of a turn or a field: "yes" and "thanks" are in every dialogue
NEIGHBOURS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A row or a case as leakage sees it: the input, the answer, and all that is written in it."""

    input: str
    answer: str | None = None
    whole: str | None = None  # by default the input
    parts: tuple[str, ...] = ()  # of a row: turns of users and named fields, each on its own


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakLimits:
    """From where a pair is suspected. Cosines depend on the encoder: see calibration."""

    drop_cosine: float = 0.95
    review_cosine: float = 0.90
    drop_share: float = 0.80  # of the case's words found in the row
    review_share: float = 0.50  # for short cases; any run of 13 words is reviewed


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """A training row that holds an eval case, or may."""

    row: int
    case: int
    kind: LeakKind
    action: LeakAction
    score: float  # 1 for exact, else the share of the case's words or the cosine
    gives_away: bool = True  # False where both answers are known and differ


def find_leaks(
    rows: Sequence[Item],
    cases: Sequence[Item],
    *,
    vectors: tuple[FloatArray, FloatArray] | None = None,
    limits: LeakLimits | None = None,
    make_index: MakeIndex | None = None,
) -> tuple[Leak, ...]:
    """List the pairs of a row and a case that are or may be the same, the surest first.

    Parameters
    ----------
    rows, cases : sequence of Item
        Training rows (or few-shot examples, or a question bank), and the cases of the suites.
    vectors : pair of arrays of unit rows, optional
        Embeddings of the inputs of rows and cases. Without them copies in other words go unseen.

    Notes
    -----
    A pair is dropped on the word of an approximate method only where the answers agree or one is not
    known: "trips over 5 km" and "trips over 7 km" are near, and neither gives the other's answer away.
    Runs of words are looked up exactly in an index of the cases, which is the small side, so no
    approximate sketch is needed at a million rows. Translations bypass every one of these checks.

    References
    ----------
    Brown et al. (2020), Language models are few-shot learners, appendix C.
    Yang et al. (2023), Rethinking benchmark and contamination, arXiv:2311.04850.
    """
    limits = limits or LeakLimits()
    best: dict[tuple[int, int], Leak] = {}
    for leak in _exact(rows, cases):
        best[leak.row, leak.case] = leak
    for leak in _shared_runs(rows, cases, limits):
        best.setdefault((leak.row, leak.case), leak)
    if vectors is not None and len(rows) and len(cases):
        for leak in _near(rows, cases, vectors, limits, make_index):
            known = best.get((leak.row, leak.case))
            if known is None or (known.action == "review" and leak.action == "drop"):
                best[leak.row, leak.case] = leak
    order = {"exact": 0, "ngram": 1, "embedding": 2}
    return tuple(
        sorted(
            best.values(),
            key=lambda x: (x.action == "review", order[x.kind], -x.score, x.row, x.case),
        )
    )


def rows_to_drop(leaks: Sequence[Leak]) -> tuple[int, ...]:
    """Rows that must leave the training set before the eval means anything."""
    return tuple(sorted({leak.row for leak in leaks if leak.action == "drop"}))


def rates_without(
    passed: Mapping[str, float], suspected: Collection[str], *, confidence_level: float = 0.95
) -> tuple[Estimate, Estimate]:
    """Pass rate of all cases, and without the suspected ones.

    A verdict that differs between the two rests on leaked cases: the eval has to be fixed first.

    Parameters
    ----------
    passed : mapping
        Share of its epochs that each case passed, in [0, 1], by case id.
    """
    clean = [value for id, value in passed.items() if id not in suspected]
    return (
        clustered_rate(list(passed.values()), confidence_level=confidence_level),
        clustered_rate(clean, confidence_level=confidence_level),
    )


def _exact(rows: Sequence[Item], cases: Sequence[Item]) -> Iterator[Leak]:
    by_text: dict[str, list[int]] = {}
    for number, case in enumerate(cases):
        if key := normal(case.input):
            by_text.setdefault(key, []).append(number)
    for number, row in enumerate(rows):
        for held in by_text.get(normal(row.input), ()):
            yield Leak(row=number, case=held, kind="exact", action="drop", score=1.0)
    for number, text in _copied_parts(rows, by_text):
        for held in by_text[text]:
            yield Leak(row=number, case=held, kind="exact", action="drop", score=1.0)


def _copied_parts(rows: Sequence[Item], cases: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield the rows of which a turn or a field is a case, and its text.

    A few words that stand in many different rows are a manner of speaking, and no copy of a case.
    """
    normals: dict[str, str] = {}  # a field may be a long text that never varies
    found: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        for part in row.parts:
            if part not in normals:
                text = normal(part)
                normals[part] = text if text in cases else ""
        for text in {normals[part] for part in row.parts} - {""}:
            found.setdefault(text, []).append(number)
    for text, holding in found.items():
        length = len(words(text))
        wholes = {normal(rows[number].input) for number in holding}
        if length >= SHORT_RUN or (length >= LEAST_PART and len(wholes) <= BOILERPLATE):
            yield from ((number, text) for number in holding)


def _shared_runs(rows: Sequence[Item], cases: Sequence[Item], limits: LeakLimits) -> Iterator[Leak]:
    tokens = [words(case.input) for case in cases]
    places = _index(tokens)
    lengths = sorted({len(run) for run in places})
    if not places:
        return
    for number, row in enumerate(rows):
        found: dict[int, set[int]] = {}
        own = words(row.whole if row.whole is not None else row.input)
        for n in lengths:
            for run in ngrams(own, n):
                for case, start in places.get(run, ()):
                    found.setdefault(case, set()).update(range(start, start + n))
        for case, covered in found.items():
            share = len(covered) / len(tokens[case])
            is_long = len(tokens[case]) >= LONG_RUN
            if not is_long and share < limits.review_share:
                continue
            gives_away = may_give_away(row, cases[case])
            yield Leak(
                row=number,
                case=case,
                kind="ngram",
                action="drop" if gives_away and share >= limits.drop_share else "review",
                score=share,
                gives_away=gives_away,
            )


def _index(tokens: Sequence[list[str]]) -> dict[tuple[str, ...], list[tuple[int, int]]]:
    """Where each run of words stands in the cases, without those that belong to a template."""
    places: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    shared: Counter[tuple[str, ...]] = Counter()
    for case, own in enumerate(tokens):
        n = LONG_RUN if len(own) >= LONG_RUN else SHORT_RUN
        runs = list(ngrams(own, n))
        shared.update(set(runs))
        for start, run in enumerate(runs):
            places.setdefault(run, []).append((case, start))
    return {run: at for run, at in places.items() if shared[run] <= BOILERPLATE}


def _near(
    rows: Sequence[Item],
    cases: Sequence[Item],
    vectors: tuple[FloatArray, FloatArray],
    limits: LeakLimits,
    make_index: MakeIndex | None,
) -> Iterator[Leak]:
    # Rows ask and cases answer: asked the other way round, the tenth copy of a case would hide
    # behind the first nine.
    of_rows, of_cases = vectors
    scores, ids = nearest(of_rows, of_cases, k=min(NEIGHBOURS, len(cases)), make_index=make_index)
    for row, place in np.argwhere(scores >= limits.review_cosine):
        case, cosine = int(ids[row, place]), float(min(scores[row, place], 1.0))
        gives_away = may_give_away(rows[row], cases[case])
        yield Leak(
            row=int(row),
            case=case,
            kind="embedding",
            action="drop" if gives_away and cosine >= limits.drop_cosine else "review",
            score=cosine,
            gives_away=gives_away,
        )


def may_give_away(row: Item, case: Item) -> bool:
    """Tell whether a similar row can hand over the case's answer: unless both are known and differ."""
    if row.answer is None or case.answer is None:
        return True
    return answer_key(row.answer) == answer_key(case.answer)
