"""A linear model on word counts or embeddings: for labels and numbers.

When this reaches the target, nobody needs a language model.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer

from harness.errors import ConfigError
from harness.types import Case, Output, Rung, SystemSpec
from systems import load_encoder
from systems.fingerprint import encoder_of
from systems.hub import check_encoder
from systems.rows import Row, missing_field, query_text, read_rows

MAX_ITERATIONS = 1000
WORD = re.compile(r"(?u)\b\w+\b")


class ClassicalSystem:
    """Trained on its rows when it first answers: seconds, so nothing is stored.

    Labels are answered as they stand in the rows; numbers are rounded to as many decimals as the
    rows have at most.
    """

    def __init__(self, spec: SystemSpec) -> None:
        self.spec = spec
        self.key = f"systems.{spec.name}"

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def rung(self) -> Rung:
        return self.spec.rung

    @property
    def field(self) -> str | None:
        """The field of inputs that is read, where not all are."""
        named: str | None = self.spec.options.get("field")
        return named

    def check(self) -> None:
        """Read the rows, and refuse those that nothing can be learnt from."""
        _ = self.targets, self.texts
        check_encoder(self.spec)

    @cached_property
    def rows(self) -> list[Row]:
        """What it is trained on."""
        path = self.spec.path(self.spec.options["training"])
        return read_rows(path, key=f"{self.key}.training")

    @cached_property
    def numeric(self) -> bool:
        """Whether it answers numbers."""
        estimator = self.spec.options.get("estimator")
        numbers = all(_is_number(row.value) for row in self.rows)
        if estimator == "ridge" and not numbers:
            value = next(row.value for row in self.rows if not _is_number(row.value))
            raise ConfigError(
                f"ridge answers numbers; the rows hold {value!r}", key=f"{self.key}.estimator"
            )
        if estimator == "logistic_regression":
            return False
        return numbers

    @cached_property
    def targets(self) -> list[Any]:
        """What it is to answer to each row: a number, or a label's text."""
        for row in self.rows:
            if _is_number(row.value) and not abs(row.value) <= sys.float_info.max:
                raise self._wrong(f"{row.value} is no number to learn", line=row.line)
        found = [row.value if self.numeric else row.output for row in self.rows]
        if not self.numeric and len(set(found)) < 2:
            raise self._wrong(f"the rows have one label only: {found[0]!r}")
        return found

    @cached_property
    def texts(self) -> list[str]:
        """What it reads of each row."""
        for row in self.rows:
            if not isinstance(row.input, str | list | Mapping):
                raise self._wrong(f"{row.input!r} is no input: expected text", line=row.line)
            if fault := missing_field(row.input, self.field):
                raise self._wrong(fault, line=row.line)
        found = [self._text(row.input) for row in self.rows]
        counted = self.spec.options.get("features", "tfidf") == "tfidf"
        if counted and not any(WORD.search(text) for text in found):
            raise self._wrong("no input has a word in it")
        return found

    def _wrong(self, message: str, *, line: int | None = None) -> ConfigError:
        file = self.spec.path(self.spec.options["training"])
        return ConfigError(message, file=file, line=line, key=f"{self.key}.training")

    @cached_property
    def model(self) -> Any:
        """The fitted pipeline."""
        strength = self.spec.options.get("regularization", 1.0 if self.numeric else 0.1)
        estimator = (
            Ridge(alpha=strength)
            if self.numeric
            else LogisticRegression(C=1 / strength, max_iter=MAX_ITERATIONS)
        )
        pipeline = make_pipeline(self._features(), estimator)
        return pipeline.fit(self.texts, self.targets)

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield the label or number of each case."""
        if not cases:
            return
        answerable = []
        for case in cases:
            if fault := missing_field(case.input, self.field):
                yield Output(case_id=case.id, epoch=epoch, text="", error=fault)
            else:
                answerable.append(case)
        if answerable:
            yield from self._answer(answerable, epoch)

    def _answer(self, cases: Sequence[Case], epoch: int) -> Iterator[Output]:
        model = self.model
        started = time.perf_counter()
        answers = model.predict([self._text(case.input) for case in cases])
        seconds = (time.perf_counter() - started) / len(cases)
        for case, answer in zip(cases, answers, strict=True):
            text = f"{answer:.{self._decimals}f}" if self.numeric else str(answer)
            yield Output(case_id=case.id, epoch=epoch, text=text, latency_s=seconds)

    def _features(self) -> Any:
        if self.spec.options.get("features", "tfidf") == "embeddings":
            encoder = load_encoder(encoder_of(self.spec), self.spec.folder)
            return FunctionTransformer(encoder.encode)
        return make_union(
            TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), token_pattern=WORD.pattern),
            TfidfVectorizer(sublinear_tf=True, analyzer="char_wb", ngram_range=(2, 5)),
        )

    def _text(self, value: Any) -> str:
        return query_text(value, self.field)

    @cached_property
    def _decimals(self) -> int:
        # Through Decimal, for `str` writes small numbers with an exponent: 1e-05.
        numbers = [f"{Decimal(str(row.value)):f}" for row in self.rows]
        shown = [number.partition(".")[2] for number in numbers]
        return max(0 if part == "0" else len(part) for part in shown)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
