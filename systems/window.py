"""How long a local model's texts may be: its window and its tokens, without its weights."""

from __future__ import annotations

from functools import cached_property

from harness.types import SystemSpec
from systems.backend import BackendSpec
from systems.context_length import stated_length
from systems.local import LocalBackend


class ModelWindow:
    """The window of the model that a system stands on."""

    def __init__(self, spec: SystemSpec) -> None:
        self._backend = LocalBackend(BackendSpec.of(spec))
        self._backend.check()

    @cached_property
    def tokens(self) -> int | None:
        """Tokens that fit into it; None where the model does not say."""
        options = self._backend.options
        if "context_length" in options:
            return int(options["context_length"])
        return stated_length(self._backend.config)

    def count(self, text: str) -> int:
        """Tokens of a text, without the chat template's."""
        return len(self._backend.tokenizer.encode(text, add_special_tokens=False))
