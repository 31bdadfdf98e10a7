"""What is said between a system and its model about one case, over one round or several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.types import Case, Message, Output, Passage, Step, ToolCall, Usage
from systems.backend import Completion, RawCall, Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A case with what its prompt is made of."""

    case: Case
    variables: Mapping[str, Any]
    passages: tuple[Passage, ...] = ()
    latency_s: float = 0.0  # to find its examples and passages


@dataclass(slots=True, kw_only=True)
class Dialogue:
    """One case's messages, and what came of them so far."""

    draft: Draft
    request: Request
    completions: list[Completion] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    functions_s: float = 0.0  # spent in the functions that the model called

    @property
    def last(self) -> Completion:
        return self.completions[-1]

    def note(self, completion: Completion, name: str) -> None:
        """Keep a completion, and what it answered to as a step."""
        self.completions.append(completion)
        self.steps.append(
            Step(
                name=name,
                prompt=completion.prompt,
                text=completion.text,
                latency_s=completion.latency_s,
            )
        )

    def go_on(self, raws: Sequence[RawCall], calls: Sequence[ToolCall]) -> None:
        """Add a round's calls and their results to the messages."""
        said: Message = {
            "role": "assistant",
            "content": self.last.text,
            "tool_calls": [
                {
                    "id": raw.id,
                    "type": "function",
                    "function": {"name": raw.name, "arguments": raw.arguments},
                }
                for raw in raws
            ],
        }
        results: list[Message] = [
            {"role": "tool", "tool_call_id": raw.id, "name": raw.name, "content": call.result or ""}
            for raw, call in zip(raws, calls, strict=True)
        ]
        self.request = Request(
            messages=[*self.request.messages, said, *results],
            seed=self.request.seed,
            tools=self.request.tools,
            json_schema=self.request.json_schema,
        )

    def output(
        self, epoch: int, *, answer: Mapping[str, str] | None = None, error: str | None = None
    ) -> Output:
        """The output of the whole; its steps are kept where there was more than one answer."""
        last, text = self.last, self.last.text
        error = error or last.error
        if answer is not None and error is None:
            text = extract(text, answer)
        several = len(self.steps) > 1 or answer is not None
        return Output(
            case_id=self.draft.case.id,
            epoch=epoch,
            text=text,
            tool_calls=tuple(self.calls),
            passages=self.draft.passages,
            steps=tuple(self.steps) if several else (),
            usage=total_usage(self.completions),
            latency_s=total_latency(
                (completion.latency_s for completion in self.completions),
                besides=self.draft.latency_s + self.functions_s,
            ),
            attempts=total_attempts(self.completions),
            finish_reason=last.finish_reason,
            refused=last.refused,
            prompt=last.prompt,
            error=error,
        )


def total_usage(completions: Sequence[Completion]) -> Usage | None:
    """Tokens of all completions; None where one was not counted."""
    counted = [completion.usage for completion in completions if completion.usage is not None]
    if not counted or len(counted) < len(completions):
        return None
    return Usage(
        prompt_tokens=sum(usage.prompt_tokens for usage in counted),
        completion_tokens=sum(usage.completion_tokens for usage in counted),
    )


def total_latency(answers: Iterable[float | None], *, besides: float) -> float | None:
    """Seconds of all answers, one after the other, and of what else a case took.

    None where no answer was timed: what was only prepared is no latency.
    """
    known = [seconds for seconds in answers if seconds is not None]
    return sum(known) + besides if known else None


def total_attempts(completions: Sequence[Completion]) -> int:
    """One attempt, and those that any of the completions took beyond its first."""
    return 1 + sum(completion.attempts - 1 for completion in completions)


def extract(text: str, answer: Mapping[str, str]) -> str:
    """The answer behind a model's reasoning; the whole text where the mark or the group is missing."""
    if "after" in answer:
        _, mark, rest = text.partition(answer["after"])
        return rest.strip() if mark else text
    found = re.search(answer["pattern"], text, re.DOTALL)
    if found is None:
        return text
    captured: str | None = found.group(1) if found.re.groups else found.group()
    return text if captured is None else captured.strip()
