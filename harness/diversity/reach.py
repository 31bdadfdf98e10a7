"""Rows against the cases and queries they meet: leaks, coverage, drift, and what to label next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.diversity.coverage import Coverage, coverage
from harness.diversity.drift import Drift, drift
from harness.diversity.leakage import Item, Leak, find_leaks, rows_to_drop
from harness.diversity.plain_text import normal
from harness.diversity.report_options import Options
from harness.diversity.rows import Rows
from harness.diversity.selection import facility_location
from harness.diversity.vectors import FloatArray, encode
from harness.training_rows import TrainingRow, rows_of_cases
from harness.types import Case, Encoder


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRef:
    """An eval case as the report shows it."""

    suite: str
    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """The cases of all suites, embedded once."""

    refs: tuple[CaseRef, ...]
    items: tuple[Item, ...]
    vectors: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class NextRow:
    """A text worth labelling, what it brings, and a query that it serves."""

    text: str
    gain: float  # rise of the queries' mean cosine to their nearest row
    serves: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What was found between the rows and what they meet. None where there was nothing to meet."""

    leaks: tuple[Leak, ...]
    other_leaks: Mapping[str, tuple[Leak, ...]]  # of few-shot examples, question banks, ...
    coverage: Coverage | None
    drift: Drift | None
    unlike: tuple[tuple[str, ...], tuple[str, ...]]  # rows and queries most unlike each other
    next_rows: tuple[NextRow, ...]


def gather_cases(suites: Mapping[str, Sequence[Case]], *, encoder: Encoder) -> Cases:
    """Read and embed the cases of all suites."""
    refs, items = [], []
    for name, suite in suites.items():
        for row in rows_of_cases(suite):
            refs.append(CaseRef(suite=name, id=row.id or "", text=row.input))
            items.append(Item(input=row.input, answer=row.output))
    return Cases(
        refs=tuple(refs),
        items=tuple(items),
        vectors=encode(encoder, [ref.text for ref in refs]),
    )


def examine_reach(
    data: Rows, cases: Cases, *, encoder: Encoder, options: Options, rng: np.random.Generator
) -> Reach:
    """Hold rows against the cases, and against production queries where there are any."""
    queries, vectors = _queries(cases, encoder, options)
    items = [
        Item(
            input=text,
            answer=row.output,
            whole=f"{text}\n{row.output or ''}",
            parts=row.parts,
        )
        for text, row in zip(data.inputs, data.rows, strict=True)
    ]
    leaks = _leaks(items, data.vectors, cases, options)
    found = moved = None
    unlike: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    if queries and any(text.strip() for text in queries):
        # A leaked row is near its case, of course: counting it would call a hole covered.
        kept = np.setdiff1d(np.arange(len(data.rows)), rows_to_drop(leaks))
        found = coverage(
            vectors, data.vectors[kept], texts=queries, rng=rng, make_index=options.make_index
        )
        moved = drift(data.vectors[kept], vectors, rng=rng)
        unlike = (
            tuple(data.inputs[kept[row]] for row in moved.only_first),
            tuple(queries[query] for query in moved.only_second),
        )
    return Reach(
        leaks=leaks,
        other_leaks={
            name: _leaks(*_source(rows, encoder), cases, options)
            for name, rows in options.other_sources.items()
        },
        coverage=found,
        drift=moved,
        unlike=unlike,
        next_rows=_next_rows(data, cases, (queries, vectors), encoder, options),
    )


def _queries(cases: Cases, encoder: Encoder, options: Options) -> tuple[list[str], FloatArray]:
    """What should be covered: production queries, else the suite's own cases, else all cases."""
    if options.production:
        queries = list(options.production)
        return queries, encode(encoder, queries)
    every = range(len(cases.refs))
    asked = [n for n in every if cases.refs[n].suite == options.suite] or list(every)
    return [cases.refs[n].text for n in asked], cases.vectors[asked]


def _leaks(
    items: Sequence[Item], vectors: FloatArray, cases: Cases, options: Options
) -> tuple[Leak, ...]:
    return find_leaks(
        items,
        cases.items,
        vectors=(vectors, cases.vectors),
        limits=options.limits.leaks,
        make_index=options.make_index,
    )


def _source(rows: Sequence[TrainingRow], encoder: Encoder) -> tuple[list[Item], FloatArray]:
    items = [
        Item(
            input=row.input,
            answer=row.output,
            whole=f"{row.input}\n{row.output or ''}",
            parts=row.parts,
        )
        for row in rows
    ]
    return items, encode(encoder, [item.input for item in items])


def _next_rows(
    data: Rows,
    cases: Cases,
    asked: tuple[list[str], FloatArray],
    encoder: Encoder,
    options: Options,
) -> tuple[NextRow, ...]:
    queries, query_vectors = asked
    known = {normal(text) for text in data.inputs} | {normal(ref.text) for ref in cases.refs}
    pool = [
        text
        for text in dict.fromkeys(options.pool or options.production)
        if normal(text) not in known
    ]
    if not pool or not queries:
        return ()
    vectors = encode(encoder, pool)
    if len(cases.vectors):
        # A case in other words would be labelled into a leak.
        items = [Item(input=text) for text in pool]
        leaked = rows_to_drop(_leaks(items, vectors, cases, options))
        vectors[list(leaked)] = 0
    picks = facility_location(
        vectors,
        query_vectors,
        count=options.limits.next_rows,
        labelled=data.vectors,
        make_index=options.make_index,
    )
    return tuple(
        NextRow(text=pool[pick.row], gain=pick.gain, serves=queries[pick.query]) for pick in picks
    )
