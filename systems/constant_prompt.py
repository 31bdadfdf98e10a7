"""What of the prompts of training rows never changes: a tuned model can do without it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from harness.errors import ConfigError
from harness.types import Message
from systems.asked_prompts import AskedPrompts
from systems.backend import Request
from systems.compact_prompt import compact_prompt
from systems.local import LocalBackend
from systems.parity import constant_tokens
from systems.prepared_rows import PreparedRow
from systems.prompt import PromptSystem
from systems.template import RenderError


class ConstantPrompt:
    """The constant words of rows' prompts."""

    def __init__(
        self, backend: LocalBackend, prompts: PromptSystem, rows: Sequence[PreparedRow]
    ) -> None:
        self.backend, self.prompts, self.rows = backend, prompts, rows

    @cached_property
    def tokens(self) -> int:
        """Tokens of the messages' own text that never change; the chat template's are no one's to drop."""
        prompts = [self._ids(row.example["prompt"]) for row in self.rows]
        empty = [{**message, "content": ""} for message in self.rows[0].example["prompt"]]
        frame = len(self._ids(empty))
        return max(0, constant_tokens(prompts) - frame, self._dropped)

    @cached_property
    def compact(self) -> str | None:
        """The prompt file without its words, where every row can be rendered with it."""
        return None if self._compacted is None else self._compacted[0]

    @property
    def _dropped(self) -> int:
        """Tokens that the compact prompt file saves in every row, those between its slots too."""
        saved = [
            len(self._ids(row.example["prompt"])) - len(self._ids(short))
            for row, short in (self._compacted[1] if self._compacted else ())
            if not row.brings_prompt
        ]
        return min(saved, default=0)

    @cached_property
    def _compacted(self) -> tuple[str, list[tuple[PreparedRow, Sequence[Message]]]] | None:
        """The compact prompt file and what it makes of every row whose input is known."""
        template = self.prompts.template
        if template is None:
            return None
        source = compact_prompt(template.source, template.environment)
        if source is None:
            return None
        shorter = type(self.prompts)(self.prompts.spec)
        try:
            shorter.template = template.with_source(source)
            asked = AskedPrompts(shorter)
            made = [
                (row, asked.of_input(row.asked.input, row.asked.passages).request.messages)
                for row in self.rows
                if row.asked.input is not None
            ]
        except (RenderError, ConfigError):
            return None  # it would not do as a prompt file
        empty = any(not str(said["content"]).strip() for _, short in made for said in short)
        return None if empty else (source, made)

    def _ids(self, messages: Sequence[Message]) -> list[int]:
        return self.backend.encode(Request(messages=messages))[1]
