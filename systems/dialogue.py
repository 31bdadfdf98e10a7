"""What is said between a system and its model about one case, over one round or several."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
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


@dataclass(slots=True, kw_only=True)
class Dialogue:
    """One case's messages, and what came of them so far."""

    draft: Draft
    request: Request
    completions: list[Completion] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)

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
            latency_s=total_latency(self.completions),
            attempts=sum(completion.attempts for completion in self.completions),
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


def total_latency(completions: Sequence[Completion]) -> float | None:
    """Seconds of all completions, one after the other."""
    known = [c.latency_s for c in completions if c.latency_s is not None]
    return sum(known) if known else None


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
