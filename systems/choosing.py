"""Multiple choice by likelihood: the option that a model would most likely go on with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from harness.errors import ConfigError
from harness.types import Case, Output, Step, SystemSpec
from systems.backend import Backend, OptionScorer, OptionScores, Request
from systems.dialogue import Draft, total_latency

EXCLUDED = ("tools", "steps", "json_schema", "answer")


@dataclass(frozen=True, slots=True)
class Choosing:
    """The `choice` section of a system.

    A case names its options by label in `metadata.options`. The answer is the label of the
    likeliest; the steps of the output hold the logarithm of each option's probability.
    """

    spec: SystemSpec

    def check(self, backend: Backend) -> None:
        """Refuse what cannot go together, and a model whose likelihoods cannot be had."""
        key = f"systems.{self.spec.name}.choice"
        for other in EXCLUDED:
            if other in self.spec.options:
                raise ConfigError(f"options are scored, not written: leave out `{other}`", key=key)
        if not isinstance(backend, OptionScorer):
            assert self.spec.model is not None
            raise ConfigError(
                f"model '{self.spec.model.name}' is on a server, which tells no likelihood of a"
                " given text",
                key=key,
                hint="Leave `choice` out: the model then writes its answer.",
            )

    def continuations(self, case: Case) -> dict[str, str]:
        """What is scored for each label of a case."""
        options = case.metadata.get("options")
        if not isinstance(options, Mapping) or not options:
            raise ValueError("the case has no metadata.options: a text for each label")
        before = self.spec.options["choice"].get("before", "")
        by_text = self.spec.options["choice"].get("continue_with", "label") == "text"
        return {
            str(label): before + str(text if by_text else label) for label, text in options.items()
        }

    def outputs(
        self, backend: Backend, asked: Sequence[tuple[Draft, Request]], epoch: int
    ) -> Iterator[Output]:
        """Yield the likeliest option of each case, the first where several are."""
        texts: list[dict[str, str]] = []
        kept: list[tuple[Draft, Request]] = []
        for draft, request in asked:
            try:
                texts.append(self.continuations(draft.case))
                kept.append((draft, request))
            except ValueError as error:
                yield Output(case_id=draft.case.id, epoch=epoch, text="", error=str(error))
        scorer = cast("OptionScorer", backend)
        options = [tuple(found.values()) for found in texts]
        for index, scores in scorer.score_options([request for _, request in kept], options):
            yield self._output(kept[index][0], texts[index], scores, epoch)

    def _output(
        self, draft: Draft, texts: Mapping[str, str], scores: OptionScores, epoch: int
    ) -> Output:
        labels, values = list(texts), list(scores.loglikelihoods)
        best = ""
        if scores.error is None:
            longest = self.spec.options["choice"].get("per_character", False)
            lengths = [max(1, len(text)) if longest else 1 for text in texts.values()]
            shares = [value / length for value, length in zip(values, lengths, strict=True)]
            best = labels[shares.index(max(shares))]
        return Output(
            case_id=draft.case.id,
            epoch=epoch,
            text=best,
            passages=draft.passages,
            steps=tuple(
                Step(name=f"option {label}", text=repr(value))
                for label, value in zip(labels, values, strict=False)
            ),
            usage=scores.usage,
            latency_s=total_latency([scores.latency_s], besides=draft.latency_s),
            finish_reason=None if scores.error else "stop",
            prompt=scores.prompt,
            error=scores.error,
        )
