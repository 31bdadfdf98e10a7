"""`--max-cost`: what may be spent, at the prices that the user owns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.config import Project
from harness.economics import Prices, read_prices
from harness.errors import ConfigError
from harness.records import dumps
from harness.types import Output, Prompt, SystemSpec, Usage
from systems.backend import Decoding


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What answers cost. Models on this machine cost nothing a call; a model on a server has a price."""

    file: Path
    prices: Prices

    @classmethod
    def of(cls, project: Project) -> Tariff:
        """Read the project's price file.

        Raises
        ------
        ConfigError
            There is none, or something in it is no price.
        """
        if project.decision.prices is None:
            raise ConfigError(
                "--max-cost needs prices",
                file=project.file,
                key="decision.prices",
                hint="Name a dated price file: `decision: {prices: prices.yaml}`.",
            )
        file = project.folder / project.decision.prices
        return cls(file=file, prices=read_prices(file))

    def check(self, spec: SystemSpec) -> None:
        """Raise a ConfigError where the model of a system has no price."""
        if self.unpriced(spec) is not None:
            assert spec.model is not None
            raise ConfigError(
                "this model has no price", file=self.file, key=f"models.{spec.model.name}"
            )

    def unpriced(self, spec: SystemSpec) -> str | None:
        """Why it is not known what an answer of a system costs; None where it is."""
        model = _served(spec)
        if model is None or model in self.prices.models:
            return None
        return f"the model '{model}' has no price, and --max-cost was given"

    def cost(self, spec: SystemSpec, output: Output) -> float:
        """Money for an answer; where the server counted no tokens, the most it can have been."""
        model = _served(spec)
        if model is None:
            return 0.0
        usage = output.usage
        if usage is None or not usage.prompt_tokens:  # zeros are of servers that do not count
            usage = most_tokens(spec, output)
        sent, made = usage.prompt_tokens, usage.completion_tokens
        return self.prices.cost_per_call(model, sent, made) or 0.0


def most_tokens(spec: SystemSpec, output: Output) -> Usage:
    """As many tokens as an answer can have cost, and a failed one, which may be billed too.

    A token stands for a byte at least, so a text has no more of them than bytes. The names and quotes
    that JSON puts around a message are more than what a chat template puts there.
    """
    asked = list(_asked(output))
    offered, limit = len(dumps(spec.options.get("tools"))), _longest_answer(spec)
    return Usage(
        prompt_tokens=sum(len(dumps(prompt)) + offered for prompt, _ in asked),
        completion_tokens=sum(max(limit, len(dumps(text))) for _, text in asked),
    )


def _asked(output: Output) -> Iterator[tuple[Prompt | None, str]]:
    """Yield each prompt that was sent to the model for an output, and what came back."""
    steps = [step for step in output.steps if step.prompt is not None]
    for step in steps:
        yield step.prompt, step.text
    if not steps and (output.prompt is not None or output.error is not None):
        yield output.prompt, output.text


def _longest_answer(spec: SystemSpec) -> int:
    """The most tokens that a server is asked for at once."""
    parts = (spec.options, *spec.options.get("steps", ()))
    limits = [Decoding.of(part.get("decoding", {})).max_tokens for part in parts]
    extra = spec.model.options.get("extra_body", {}) if spec.model is not None else {}
    named = (extra.get(name) for name in ("max_tokens", "max_completion_tokens"))
    return max(*limits, 0, *(limit for limit in named if isinstance(limit, int)))


def _served(spec: SystemSpec) -> str | None:
    """The name of a system's model, where a server answers for it."""
    model = spec.model
    return model.name if model is not None and model.kind == "openai" else None
