"""Answers that must be JSON of a schema: token masks by llguidance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import llguidance.hf
import torch
from llguidance import LLMatcher, LLTokenizer
from torch import Tensor

from harness.errors import ConfigError


class JsonConstraint:
    """What may stand next so that one answer stays JSON that a schema allows."""

    def __init__(self, tokenizer: LLTokenizer, grammar: str) -> None:
        self._matcher = LLMatcher(tokenizer, grammar)

    def mask(self, scores: Tensor) -> None:
        """Set the scores (vocabulary,) of tokens that may not come next to minus infinity."""
        allowed = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8)
        size = min(len(allowed), len(scores))
        scores[:size].masked_fill_(allowed[:size].to(scores.device) == 0, -torch.inf)
        scores[size:] = -torch.inf

    def accept(self, token: int) -> None:
        """Take note of the token that came."""
        self._matcher.consume_token(token)


class ConstraintMaker:
    """Makes constraints for one tokenizer."""

    def __init__(self, tokenizer: Any, *, vocabulary: int, end_ids: frozenset[int]) -> None:
        if not end_ids:
            raise ConfigError(
                "an answer of a schema ends with a token of its own, and this tokenizer has none",
                key="json_schema",
                hint="Name one as `eos_token` in its tokenizer_config.json, or as `eos_token_id` in "
                "the model's generation_config.json.",
            )
        self._tokenizer = llguidance.hf.from_tokenizer(
            tokenizer, n_vocab=vocabulary, eos_token=sorted(end_ids)
        )
        self._grammars: dict[str, str] = {}

    def make(self, schema: Mapping[str, Any]) -> JsonConstraint:
        """A fresh constraint for one answer."""
        text = _text(schema)
        if text not in self._grammars:
            grammar = _grammar(text)
            if fault := LLMatcher.validate_grammar(grammar, self._tokenizer):
                raise ConfigError(
                    f"the schema cannot constrain an answer: {fault}", key="json_schema"
                )
            self._grammars[text] = grammar
        return JsonConstraint(self._tokenizer, self._grammars[text])


def fault_of(schema: Mapping[str, Any]) -> str | None:
    """Why a schema cannot constrain an answer, whatever the tokenizer; None where it can."""
    try:
        return LLMatcher.validate_grammar(_grammar(_text(schema))) or None
    except ValueError as error:
        return str(error)


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema)  # in its own order: that of an answer's fields


def _grammar(schema: str) -> str:
    return LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
