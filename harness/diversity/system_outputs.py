"""What a system answered on a suite, as tests see it: how much its outputs differ from each other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from harness.diversity.effective_number import effective_number
from harness.diversity.measure import Measure
from harness.diversity.memory import Memory
from harness.diversity.outputs import VarietyComparison, compare_variety, self_bleu
from harness.diversity.vectors import encode
from harness.metrics.variety import distinct_n
from harness.types import Encoder, Estimate


class SystemOutputs:
    """A system's outputs by case, measured when asked.

    Parameters
    ----------
    name : str
        As the report shows it.
    texts : mapping of str to str
        By case id.
    memory : Memory, optional
        Where numbers are kept: outputs that were measured before need no encoder.
    """

    def __init__(
        self,
        name: str,
        texts: Mapping[str, str],
        *,
        encoder: Encoder,
        seed: int = 0,
        memory: Memory | None = None,
    ) -> None:
        self.name = name
        self.texts = dict(texts)
        self.measured: dict[str, float | int | None] = {"outputs": len(texts)}
        self._encoder = encoder
        self._seed = seed
        self._memory = memory

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} outputs>"

    def distinct(self, n: int) -> float | None:
        """Different word n-grams over all of them. It falls with the amount of text."""
        return self._note(f"distinct_{n}", distinct_n(self.texts.values(), n=n))

    @property
    def distinct_1(self) -> float | None:
        """Different words over all words."""
        return self.distinct(1)

    @property
    def distinct_2(self) -> float | None:
        """Different pairs of words over all pairs."""
        return self.distinct(2)

    @property
    def distinct_3(self) -> float | None:
        """Different runs of three words over all such runs."""
        return self.distinct(3)

    @property
    def self_bleu(self) -> float | None:
        """Mean BLEU of an output against all others, 0 to 1: high where they repeat each other."""
        texts = list(self.texts.values())
        found: float | None = self._recall(
            "self_bleu", [], lambda: self_bleu(texts, rng=self._rng())
        )
        return self._note("self_bleu", found)

    @property
    def effective_number(self) -> Measure:
        """How many different things a sample of 200 outputs says."""
        texts = list(self.texts.values())
        found = Estimate(
            **self._recall(
                "effective_number",
                [],
                lambda: asdict(effective_number(encode(self._encoder, texts), rng=self._rng())),
            )
        )
        self._note("effective_number", found.value)
        return Measure(found)

    def compared_with(
        self, baseline: SystemOutputs, *, tolerated: float = 0.10
    ) -> VarietyComparison:
        """Compare with a baseline's outputs on the same cases, cut to the same lengths.

        `collapsed` is true where the effective number is proven to have fallen by more than is tolerated.
        """
        both = [case for case in self.texts if case in baseline.texts]
        found = self._recall(
            "compared_with",
            [baseline.digest, tolerated],
            lambda: asdict(
                compare_variety(
                    [baseline.texts[case] for case in both],
                    [self.texts[case] for case in both],
                    encoder=self._encoder,
                    rng=self._rng(),
                    tolerated=tolerated,
                )
            ),
        )
        comparison = VarietyComparison.from_json(found)
        self._note(f"ratio to {baseline.name}", comparison.ratio)
        return comparison

    @cached_property
    def digest(self) -> str:
        """A hash of cases and texts."""
        return hashlib.sha256(json.dumps(self.texts).encode()).hexdigest()

    def _note(self, name: str, value: float | None) -> float | None:
        self.measured[name] = value
        return value

    def _recall(self, name: str, parts: list[object], compute: Callable[[], Any]) -> Any:
        if self._memory is None:
            return compute()
        stands_on = [name, self.digest, self._encoder.fingerprint, self._seed, *parts]
        return self._memory.recall(stands_on, compute)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self._seed)
