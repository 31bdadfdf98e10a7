"""A model that was trained for the task: an adapter on a base, or weights of its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.types import Case, Output, Passage
from systems.adapter_folder import RECORD
from systems.asked_prompts import Asked, AskedPrompts
from systems.fingerprint import is_local
from systems.local import LocalBackend
from systems.parity import TrainedExample
from systems.prompt import PromptSystem
from systems.row_parity import Compared, RowParity
from systems.template import RenderError
from systems.training_record import read_record


class FineTunedSystem(PromptSystem):
    """A prompt system whose model was tuned.

    Before it first answers, samples of what it was trained on are rendered again and must give
    the same tokens: a model that is asked otherwise than it was trained is not judged.
    """

    @cached_property
    def record(self) -> dict[str, Any]:
        """What training left with the adapter, or with the model where it was trained whole."""
        return {} if self._trained is None else read_record(self._trained)

    @property
    def _trained(self) -> Path | None:
        """The folder that training left."""
        adapter, model = self.spec.options.get("adapter"), self.spec.model
        if adapter is not None:
            return self.spec.path(adapter)
        if model is None or model.kind != "transformers":
            return None
        local = is_local(self.spec.folder, model.source)
        return self.spec.path(model.source) if local else None

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield answers, once training and inference are seen to agree."""
        self.check()
        if cases:
            _ = self.parity
        yield from super().generate(cases, epoch=epoch)

    @cached_property
    def parity(self) -> Compared:
        """How many samples of the training record gave the same tokens again."""
        reasons: Counter[str] = Counter()
        samples: Sequence[Mapping[str, Any]] = self.record.get("samples", [])
        if not samples or not isinstance(self.backend, LocalBackend):
            return Compared(compared=0, not_compared={})
        parity = RowParity(self.backend, key=f"systems.{self.name}: {RECORD} of {self._trained}")
        for number, sample in enumerate(samples, 1):
            example = TrainedExample(
                ids=sample["ids"], in_loss=sample["in_loss"], answer=sample["answer"]
            )
            asked = self._asked(sample)
            parity.require_example(example, asked, place=f"sample {number}")
            if asked.not_compared is not None:
                reasons[asked.not_compared] += 1
        return Compared(compared=len(samples) - reasons.total(), not_compared=dict(reasons))

    def _asked(self, sample: Mapping[str, Any]) -> Asked:
        prompts = AskedPrompts(self)
        if sample.get("input") is None:
            return prompts.of_prompt(sample["messages"])
        try:
            shown = [Passage(**passage) for passage in sample.get("passages", ())]
            return prompts.of_input(sample["input"], shown)
        except RenderError as error:
            raise ConfigError(
                f"template parity (prompt): what it was trained on cannot be asked any more: {error}",
                key=f"systems.{self.name}.prompt",
            ) from error
