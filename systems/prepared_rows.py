"""Training rows as the trainer takes them, beside what inference would send for them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from harness.errors import ConfigError
from harness.types import Case, Message, Passage
from systems.asked_prompts import Asked, AskedPrompts
from systems.prompt import PromptSystem
from systems.recipe import Recipe
from systems.rows import as_text, place
from systems.template import RenderError


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedRow:
    """One training row."""

    place: str  # its line in the data, or its number
    row: Mapping[str, Any]
    example: Mapping[str, Any]  # in TRL's conversational form
    asked: Asked

    @property
    def brings_prompt(self) -> bool:
        """Whether it is trained with a prompt of its own."""
        return self.row.get("prompt") is not None

    @property
    def source(self) -> dict[str, Any]:
        """What its prompt is rendered from again, before what was trained on it is judged."""
        known = self.asked.not_compared is None
        return {
            "input": self.asked.input if known else None,
            "passages": [asdict(passage) for passage in self.asked.passages],
        }


class RowPreparer:
    """Prepares the rows of one system's recipe."""

    def __init__(self, prompts: PromptSystem, recipe: Recipe) -> None:
        self.prompts, self.recipe = prompts, recipe
        self.asked = AskedPrompts(prompts)
        self.answers = ("chosen", "rejected") if recipe.method == "dpo" else ("completion",)

    def prepare(self, rows: Iterable[Mapping[str, Any]]) -> list[PreparedRow]:
        """Prepare rows.

        Raises
        ------
        ConfigError
            At the first row that lacks something or cannot be rendered.
        """
        rows = list(rows)
        found = self._retrieved(rows)
        return [
            self._prepared(row, place(row, n), found.get(n, ())) for n, row in enumerate(rows, 1)
        ]

    def _retrieved(self, rows: Sequence[Mapping[str, Any]]) -> dict[int, tuple[Passage, ...]]:
        """What is retrieved for each row's input, by the row's number: all at once."""
        asked = {n: row["input"] for n, row in enumerate(rows, 1) if row.get("input") is not None}
        cases = [Case(id=str(n), input=value) for n, value in asked.items()]
        return dict(zip(asked, self.prompts.retrieve(cases), strict=True))

    def _prepared(
        self, row: Mapping[str, Any], at: str, passages: Sequence[Passage]
    ) -> PreparedRow:
        full = {**row, "completion": row.get("completion", row.get("expected_output"))}
        missing = [name for name in self.answers if full.get(name) is None]
        if missing or (row.get("prompt") is None and row.get("input") is None):
            raise self._wrong(at, f"has no '{missing[0] if missing else 'prompt'}'")
        asked = self._asked(row, at, passages)
        prompt = [dict(message) for message in asked.request.messages]
        tools: Any = list(asked.request.tools)
        if row.get("prompt") is not None:
            prompt, tools = self._messages(row["prompt"], "user", at), row.get("tools")
        if prompt[-1]["role"] == "assistant":
            raise ConfigError(
                "a prompt that begins the answer cannot be trained on: where the answer begins "
                "would not be where the loss begins",
                key=f"systems.{self.prompts.name}.prompt",
            )
        example: dict[str, Any] = {"prompt": prompt}
        for name in self.answers:
            example[name] = self._messages(full[name], "assistant", at)
        if tools:
            # As text: a table of rows would make all functions' parameters one and the same.
            example["tools"] = tools if isinstance(tools, str) else json.dumps(tools)
        return PreparedRow(place=at, row=row, example=example, asked=asked)

    def _asked(self, row: Mapping[str, Any], at: str, passages: Sequence[Passage]) -> Asked:
        if row.get("input") is None:
            return self.asked.of_prompt(self._messages(row["prompt"], "user", at))
        try:
            return self.asked.of_input(row["input"], passages)
        except RenderError as error:
            raise self._wrong(at, f"cannot be rendered: {error}") from error

    def _messages(self, value: Any, role: str, at: str) -> list[dict[str, Any]]:
        """A text, or chat messages, as chat messages."""
        if not isinstance(value, list):
            return [{"role": role, "content": as_text(value)}]
        if not value or not all(map(_is_message, value)):
            raise self._wrong(at, "has chat messages without a role or a content")
        return [dict(message) for message in value]

    def _wrong(self, at: str, message: str) -> ConfigError:
        return ConfigError(f"{at} {message}", file=self.recipe.data)


def _is_message(value: Any) -> bool:
    if not isinstance(value, Mapping) or "role" not in value:
        return False
    return isinstance(value.get("content"), str | list) or bool(value.get("tool_calls"))


def answer_of(messages: list[Message]) -> str:
    """The text that an example teaches."""
    return str(messages[-1].get("content") or "")
