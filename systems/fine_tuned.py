"""A model that was trained for the task: an adapter on a base, or weights of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

from harness.types import Case, Output
from systems.backend import Request
from systems.local import LocalBackend
from systems.parity import Parity, TrainedExample, require_parity
from systems.prompt import PromptSystem
from systems.training_record import RECORD, read_record


class FineTunedSystem(PromptSystem):
    """A prompt system whose model was tuned.

    Before it first answers, samples of what it was trained on are rendered again and must give
    the same tokens: a model that is asked otherwise than it was trained is not judged.
    """

    @cached_property
    def record(self) -> dict[str, Any]:
        """What training left with the adapter."""
        adapter = self.spec.options.get("adapter")
        return {} if adapter is None else read_record(self.spec.path(adapter))

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield answers, once training and inference are seen to agree."""
        self.check()
        if cases:
            _ = self.parity
        yield from super().generate(cases, epoch=epoch)

    @cached_property
    def parity(self) -> int:
        """How many samples of the training record gave the same tokens again."""
        if not isinstance(self.backend, LocalBackend):
            return 0
        checked = Parity(self.backend.tokenizer, self.backend.end_ids)
        return require_parity(
            checked,
            [
                (
                    TrainedExample(
                        ids=sample["ids"], in_loss=sample["in_loss"], answer=sample["answer"]
                    ),
                    self._prompt_ids(sample),
                )
                for sample in self.record.get("samples", [])
            ],
            key=f"systems.{self.name}: {RECORD} of the adapter",
        )

    def _prompt_ids(self, sample: dict[str, Any]) -> list[int]:
        assert isinstance(self.backend, LocalBackend)
        messages = sample["messages"]
        if sample.get("input") is not None:
            messages = self.render(Case(id="sample", input=sample["input"]))
        return self.backend.encode(Request(messages=messages))[1]
