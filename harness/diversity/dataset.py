"""A set of training rows as tests see it: measures that can be compared, with their intervals."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.cases import content_hash
from harness.diversity.coverage import coverage
from harness.diversity.drift import drift
from harness.diversity.effective_number import SAMPLE, effective_number, mean_cosine
from harness.diversity.examination import examine
from harness.diversity.leakage import Item, Leak, find_leaks, rows_to_drop
from harness.diversity.measure import Measure
from harness.diversity.memory import Memory
from harness.diversity.neighbours import DuplicateGroups, near_duplicate_rate, near_duplicates
from harness.diversity.report import DataReport
from harness.diversity.report_options import Options
from harness.diversity.rows import AnswersAgree, Rows, prepare
from harness.diversity.vectors import encode
from harness.statistics.rates import rate
from harness.training_rows import TrainingRow, rows_of_cases
from harness.types import Case, Encoder, Estimate


class Dataset:
    """Training rows, measured when asked. The same seed gives the same numbers.

    Parameters
    ----------
    rows : sequence of TrainingRow
        What `load_training_rows` read.
    encoder : Encoder
        Best wrapped in an `EmbeddingStore`.
    eval_suites : mapping of str to cases, optional
        By name: what leakage and coverage are measured against.
    memory : Memory, optional
        Where numbers are kept, by rows, encoder, suites and options: what is kept is not measured
        again, and nothing is embedded for it.
    """

    def __init__(
        self,
        rows: Sequence[TrainingRow],
        *,
        encoder: Encoder,
        eval_suites: Mapping[str, Sequence[Case]] | None = None,
        options: Options | None = None,
        seed: int = 0,
        memory: Memory | None = None,
    ) -> None:
        self.rows = tuple(rows)
        self.measured: dict[str, float | int | bool | None] = {}  # what was asked for, by name
        self._encoder = encoder
        self._suites = dict(eval_suites or {})
        self._options = options or Options()
        self._seed = seed
        self._memory = memory

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        file = self.rows[0].file if self.rows else None
        return f"<dataset {Path(file).name if file else ''}: {len(self.rows)} rows>"

    @property
    def size(self) -> int:
        """Rows."""
        return len(self.rows)

    @property
    def effective_number(self) -> Measure:
        """How many different things a sample of 200 rows says."""
        return self.effective_number_of(SAMPLE)

    def effective_number_of(self, sample: int) -> Measure:
        """How many different things a sample of another size says."""
        return self._estimate(
            "effective_number" if sample == SAMPLE else f"effective_number_of_{sample}",
            [sample],
            lambda: effective_number(self._data.vectors, rng=self._rng(), sample=sample),
        )

    @property
    def near_duplicate_rate(self) -> Measure:
        """The share of rows that have a near-duplicate."""
        return self._estimate(
            "near_duplicate_rate",
            [self._options.limits.duplicate_cosine],
            lambda: near_duplicate_rate(self.duplicates),
        )

    @property
    def mean_cosine(self) -> float | None:
        """Mean cosine of all pairs of rows. Not to gate on: doubling half a set hardly moves it."""
        found: float | None = self._recall(
            "mean_cosine", [], lambda: mean_cosine(self._data.vectors)
        )
        self._note("mean_cosine", found)
        return found

    @cached_property
    def duplicates(self) -> DuplicateGroups:
        """Groups of near-duplicates."""
        return near_duplicates(
            self._data.vectors,
            self._options.limits.duplicate_cosine,
            rng=self._rng(),
            agree=AnswersAgree(self._data),
        )

    def coverage_of(
        self, queries: Sequence[str] | Sequence[Case], *, threshold: float | None = None
    ) -> Measure:
        """The share of queries, or of a suite's cases, that have a row near them."""
        texts = _texts(queries)
        return self._estimate(
            "coverage", [texts, threshold], lambda: self._reached(texts, threshold)
        )

    def leaks_into(self, cases: Sequence[Case]) -> tuple[Leak, ...]:
        """Pairs of a row and a case that are or may be the same."""
        shown = rows_of_cases(cases)
        rows = [
            Item(
                input=text,
                answer=row.output,
                whole=f"{text}\n{row.output or ''}",
                parts=row.parts,
            )
            for text, row in zip(self._data.inputs, self.rows, strict=True)
        ]
        return find_leaks(
            rows,
            [Item(input=case.input, answer=case.output) for case in shown],
            vectors=(self._data.vectors, encode(self._encoder, [case.input for case in shown])),
            limits=self._options.limits.leaks,
            make_index=self._options.make_index,
        )

    @property
    def leaked(self) -> tuple[int, ...]:
        """Rows that hold a case of any of the suites."""
        cases = [case for suite in self._suites.values() for case in suite]
        found = self._recall(
            "leaked",
            [self._suites_hash, asdict(self._options.limits.leaks)],
            lambda: list(rows_to_drop(self.leaks_into(cases))),
        )
        self._note("leaked", len(found))
        return tuple(found)

    def drift_from(self, queries: Sequence[str] | Sequence[Case]) -> float | None:
        """AUC of telling rows from queries: .5 where they are alike."""
        texts = _texts(queries)

        def auc() -> float | None:
            vectors = encode(self._encoder, texts)
            return drift(self._data.vectors, vectors, rng=self._rng()).auc

        found: float | None = self._recall("drift", [texts], auc)
        self._note("drift", found)
        return found

    @cached_property
    def report(self) -> DataReport:
        """The whole examination."""
        return examine(
            self.rows,
            encoder=self._encoder,
            eval_suites=self._suites,
            rng=self._rng(),
            options=self._options,
        )

    @property
    def ready(self) -> bool:
        """Whether nothing stands in the way of training on these rows."""
        ready = not self.reasons
        self._note("ready", ready)
        return ready

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why they are not ready, what is worth most first."""
        parts = [self._suites_hash, self._options.digest]
        return tuple(self._recall("reasons", parts, lambda: list(self.report.reasons)))

    def _reached(self, texts: list[str], threshold: float | None) -> Estimate:
        if not texts:
            return rate(0, 0)
        found = coverage(
            encode(self._encoder, texts),
            self._data.vectors,
            texts=texts,
            rng=self._rng(),
            threshold=threshold,
            make_index=self._options.make_index,
        )
        return found.rate

    def _estimate(
        self, name: str, parts: Sequence[object], measure: Callable[[], Estimate]
    ) -> Measure:
        found = Estimate(**self._recall(name, parts, lambda: asdict(measure())))
        self._note(name, found.value)
        return Measure(found)

    def _note(self, name: str, value: float | int | bool | None) -> None:
        self.measured[name] = value

    def _recall(self, name: str, parts: Sequence[object], compute: Callable[[], Any]) -> Any:
        if self._memory is None:
            return compute()
        stands_on = [name, self._rows_hash, self._encoder.fingerprint, self._seed, *parts]
        return self._memory.recall(stands_on, compute)

    @cached_property
    def _rows_hash(self) -> str:
        digest = hashlib.sha256()
        for row in self.rows:
            seen = [row.input, row.output, row.system, row.context, row.fields, row.metadata]
            digest.update(json.dumps(seen, sort_keys=True, default=str).encode())
        return digest.hexdigest()

    @cached_property
    def _suites_hash(self) -> dict[str, str]:
        return {name: content_hash(tuple(cases)) for name, cases in sorted(self._suites.items())}

    @cached_property
    def _data(self) -> Rows:
        return prepare(self.rows, encoder=self._encoder)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)


def _texts(queries: Sequence[str] | Sequence[Case]) -> list[str]:
    cases = rows_of_cases(query for query in queries if isinstance(query, Case))
    return [query for query in queries if isinstance(query, str)] + [case.input for case in cases]
