"""Examples for few-shot prompts: the same for every case, or those most like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import ConfigError
from harness.types import Case, CaseInput, Encoder, SystemSpec
from systems import load_encoder
from systems.fingerprint import encoder_of
from systems.rows import Row, asked_texts, query_text, read_rows

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Chooser(Protocol):
    """Chooses examples for cases."""

    def choose(self, cases: Sequence[Case]) -> list[list[Row]]:
        """The examples of each case, in the order the prompt shows them."""
        ...


class FirstExamples:
    """The same examples for every case: the first `k` of a file."""

    def __init__(self, examples: Sequence[Row], k: int) -> None:
        self.examples = list(examples[:k])

    def choose(self, cases: Sequence[Case]) -> list[list[Row]]:
        return [self.examples for _ in cases]


class SimilarExamples:
    """The `k` examples whose inputs mean most nearly what the case's does, the nearest last.

    Nearest last, because models lean on what stands right before the question. An example that
    asks what the case asks, however it is written down, is left out: it would give the answer away.
    """

    def __init__(self, examples: Sequence[Row], k: int, encoder: Callable[[], Encoder]) -> None:
        self.examples, self.k, self._encoder = list(examples), k, encoder

    def choose(self, cases: Sequence[Case]) -> list[list[Row]]:
        queries = self._encoder().encode([query_text(case.input) for case in cases])
        similarity = queries @ self._vectors.T  # (cases, examples)
        chosen = []
        for case, row in zip(cases, similarity, strict=True):
            asked = _asked(case.input)
            others = [i for i in (-row).argsort(kind="stable") if not asked & self._asked[i]]
            chosen.append([self.examples[i] for i in reversed(others[: self.k])])
        return chosen

    @cached_property
    def _vectors(self) -> npt.NDArray[np.float32]:
        return self._encoder().encode([query_text(example.input) for example in self.examples])

    @cached_property
    def _asked(self) -> list[frozenset[str]]:
        return [_asked(example.input) for example in self.examples]


def _asked(value: CaseInput) -> frozenset[str]:
    """What an input asks, whole and as it is searched with."""
    query = query_text(value)
    return asked_texts(value) | asked_texts(query) | {query}


def chooser_of(spec: SystemSpec, options: Mapping[str, Any]) -> Chooser:
    """What chooses a system's examples, as its `examples` section says."""
    key = f"systems.{spec.name}.examples"
    examples = read_rows(spec.path(options["path"]), key=f"{key}.path")
    k = options.get("k", len(examples))
    if k > len(examples):
        raise ConfigError(
            f"asks for {k} examples; {options['path']} has {len(examples)}", key=f"{key}.k"
        )
    if options.get("choose", "first") == "first":
        return FirstExamples(examples, k)
    return SimilarExamples(examples, k, lambda: load_encoder(encoder_of(spec), spec.folder))
