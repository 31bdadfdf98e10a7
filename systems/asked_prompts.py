"""What inference sends for a training row: rendered from its input, given or found in its prompt."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from harness.errors import ConfigError
from harness.types import Case, CaseInput, Message, Passage
from systems.backend import Request
from systems.prompt import PromptSystem
from systems.template import RenderError

CHAIN = "the system asks in several steps"
NO_INPUT = "their own prompts fit no input of the prompt file"
OWN_SYSTEM_MESSAGE = "they bring a system message, and the system has no prompt file to hold it to"
MOST_FIELDS = 3  # more would take a long time to tell apart in one text


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What inference would send, and for which input."""

    request: Request
    input: CaseInput | None = None
    not_compared: str | None = None  # why the row's own prompt stands in for what would be sent
    passages: tuple[Passage, ...] = ()  # what was retrieved for the input
    guessed: bool = False  # the input is the user's text, and what it gives is not the row's prompt


class AskedPrompts:
    """Renders inputs as a system does when it is asked."""

    def __init__(self, prompts: PromptSystem) -> None:
        self.prompts = prompts

    def of_input(self, value: CaseInput, passages: Sequence[Passage] | None = None) -> Asked:
        """What is sent for an input, with what was retrieved for it, else with what is retrieved now.

        Raises
        ------
        RenderError
            When the prompt cannot be made for it.
        """
        case = Case(id="row", input=value)
        if passages is None:
            (passages,) = self.prompts.retrieve([case])
        messages = self.prompts.render(case, passages)
        toolbox = self.prompts.toolbox
        tools = () if toolbox is None else tuple(toolbox.schemas(case))
        request = Request(messages=messages, tools=tools)
        steps = CHAIN if self.prompts.chain is not None else None
        return Asked(request=request, input=value, not_compared=steps, passages=tuple(passages))

    def of_prompt(self, messages: Sequence[Message]) -> Asked:
        """What is sent for the input that a row's own prompt was made of, where it can be found."""
        if self.prompts.chain is not None:
            return self._own(messages, CHAIN)
        if self.prompts.template is None:
            if any(message["role"] == "system" for message in messages):
                return self._own(messages, OWN_SYSTEM_MESSAGE)
            return self.of_input(_lone_text(messages) or list(messages))
        guesses = [asked for asked in map(self._tried, self._guesses(messages)) if asked]
        others = (list(messages), *self._solved(messages))
        for asked in chain(guesses, filter(None, map(self._tried, others))):
            if _plain(asked.request.messages) == _plain(messages):
                return asked
        for asked in guesses:
            if _shows(asked.request.messages, _lone_text(messages)):
                return replace(asked, guessed=True)
        return self._own(messages, NO_INPUT)

    def _own(self, messages: Sequence[Message], reason: str) -> Asked:
        return Asked(request=Request(messages=messages), not_compared=reason)

    def _guesses(self, messages: Sequence[Message]) -> Iterator[CaseInput]:
        """The user's text as the input, and as each field that the prompt file reads."""
        text = _lone_text(messages)
        if text is not None and text.strip():
            yield text
            yield from ({name: text} for name in self._fields)

    def _solved(self, messages: Sequence[Message]) -> Iterator[CaseInput]:
        """Inputs from which the prompt file makes just these messages, its own words taken off."""
        marks = {name: secrets.token_hex(8) for name in ("input", *self._fields)}
        fields = {name: marks[name] for name in self._fields}
        single = [{name: mark} for name, mark in fields.items()]
        together = [fields] if len(fields) <= MOST_FIELDS else []
        values: tuple[str | dict[str, str], ...] = (marks["input"], *single, *together)
        for value in values:
            marked = self._tried(value, ())
            found = _solve(marked.request.messages, messages, marks) if marked else None
            if found is not None:
                yield found["input"] if isinstance(value, str) else {n: found[n] for n in value}

    @property
    def _fields(self) -> tuple[str, ...]:
        assert self.prompts.template is not None
        return self.prompts.template.fields

    def _tried(self, value: CaseInput, passages: Sequence[Passage] | None = None) -> Asked | None:
        try:
            return self.of_input(value, passages)
        except (RenderError, ConfigError):
            return None  # not an input of this prompt file


def _solve(
    rendered: Sequence[Message], messages: Sequence[Message], marks: Mapping[str, str]
) -> dict[str, str] | None:
    """What stands in messages where a rendering has its marks; "" for a mark that it lacks."""
    pattern, names = re.escape(_joined(rendered)), []
    between = re.split("|".join(marks.values()), _joined(rendered))[1:-1]
    if any(not words.strip() for words in between):
        return None  # any text can be cut at any space
    for name, mark in marks.items():
        if mark in pattern:
            names.append(name)
            pattern = pattern.replace(mark, f"(?P<{name}>.+?)", 1).replace(mark, f"(?P={name})")
    found = re.fullmatch(pattern, _joined(messages), re.DOTALL) if names else None
    return None if found is None else dict.fromkeys(marks, "") | found.groupdict()


def _joined(messages: Sequence[Message]) -> str:
    return "\0".join(f"{role}\0{content}" for role, content in _plain(messages))


def _plain(messages: Sequence[Message]) -> list[tuple[Any, Any]]:
    return [(message["role"], message.get("content")) for message in messages]


def _lone_text(messages: Sequence[Message]) -> str | None:
    """The user's text, where the user speaks once and nobody answers."""
    said = [message for message in messages if message["role"] != "system"]
    if len(said) == 1 and said[0]["role"] == "user" and isinstance(said[0].get("content"), str):
        return str(said[0]["content"])
    return None


def _shows(rendered: Sequence[Message], text: str | None) -> bool:
    return bool(text) and any(
        str(text).strip() in str(message.get("content")) for message in rendered
    )
