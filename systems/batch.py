"""The tensors of rows that are answered together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from harness.errors import SystemFailure
from systems.answers import describe
from systems.kv_cache import (
    Place,
    cache_after,
    holds_all_states,
    is_recurrent,
    new_cache,
    was_written,
)
from systems.sampling import Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefix:
    """What every row of a batch begins with, already read."""

    cache: DynamicCache
    tokens: int  # how many of each prompt's tokens it stands for
    place: Place


class Batch:
    """Tensors of the rows still under way.

    mask: (rows, positions), 1 where a token stands, over prefix, padding, suffix and answer.

    Raises
    ------
    SystemFailure
        For a model that keeps no keys and values of what it read: it would answer from the last
        token alone.
    """

    def __init__(self, model: PreTrainedModel, rows: Sequence[Row], prefix: Prefix | None) -> None:
        self.model, self.rows = model, list(rows)
        shared = 0 if prefix is None else prefix.cache.get_seq_length()
        own = [row.prompt[0 if prefix is None else prefix.tokens :] for row in rows]
        width = max(map(len, own))
        room = width + max(row.room for row in rows)
        if prefix is None:
            self.cache = new_cache(model, room=room)
        else:
            self.cache = cache_after(
                model, prefix.cache, rows=len(rows), room=room, place=prefix.place
            )
        pad = [width - len(ids) for ids in own]
        ids = [[0] * n + suffix for n, suffix in zip(pad, own, strict=True)]
        mask = [[1] * shared + [0] * n + [1] * (width - n) for n in pad]
        self.mask = torch.tensor(mask, device=model.device)
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)
        self.next_position = positions[:, -1:] + 1
        self.scores = self._begin(torch.tensor(ids, device=model.device), positions[:, shared:])

    @property
    def can_keep(self) -> bool:
        """Whether rows can be chosen from: where the model keeps all of what it read in the cache."""
        return holds_all_states(self.cache)

    def keep(self, indices: list[int]) -> None:
        """Drop all other rows."""
        if not self.can_keep:
            raise SystemFailure(
                f"{_name(self.model)} keeps what it has read outside of its cache: it cannot go on "
                "from one prompt with each of several texts"
            )
        chosen = torch.tensor(indices, device=self.mask.device)
        self.rows = [self.rows[i] for i in indices]
        self.cache.reorder_cache(chosen)  # what every kind of layer can do
        self.mask, self.next_position = self.mask[chosen], self.next_position[chosen]

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token in each row."""
        ids = torch.tensor(tokens, device=self.mask.device)[:, None]
        self.mask = torch.cat([self.mask, torch.ones_like(ids)], dim=1)
        self.scores = self._forward(ids, self.next_position)
        # A row that ended stays where it is: its window may be full.
        under_way = [[int(row.finish_reason is None)] for row in self.rows]
        self.next_position = self.next_position + torch.tensor(under_way, device=ids.device)

    def read(self, ids: Tensor, there: Tensor) -> Tensor:
        """Read several tokens in each row, 1 in `there` where one stands; scores behind each."""
        # Some recurrences (Jamba's) go on from their state with one token only.
        width = 1 if is_recurrent(self.cache) else ids.shape[1]
        parts = zip(torch.split(ids, width, 1), torch.split(there, width, 1), strict=True)
        return torch.cat([self._read(*part) for part in parts], dim=1)

    def _read(self, ids: Tensor, there: Tensor) -> Tensor:
        self.mask = torch.cat([self.mask, there], dim=1)
        positions = self.next_position + torch.arange(ids.shape[1], device=ids.device)
        self.next_position = positions[:, -1:] + 1
        return self._logits(ids, positions, keep=0)

    def _begin(self, ids: Tensor, positions: Tensor) -> Tensor:
        try:
            scores = self._forward(ids, positions)
        except (TypeError, ValueError) as error:  # what it does not take, or a cache of its own
            raise _cannot_go_on(self.model, describe(error).splitlines()[0]) from error
        if not was_written(self.cache):
            raise _cannot_go_on(self.model, "it keeps no keys and values of what it has read")
        return scores

    def _forward(self, ids: Tensor, positions: Tensor) -> Tensor:
        return self._logits(ids, positions, keep=1)[:, -1]

    def _logits(self, ids: Tensor, positions: Tensor, *, keep: int) -> Tensor:
        logits: Tensor = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=keep,  # 0: of every position
        ).logits
        return logits


def _cannot_go_on(model: PreTrainedModel, reason: str) -> SystemFailure:
    return SystemFailure(
        f"{_name(model)} cannot be asked token by token here: {reason}",
        hint="Serve this model behind an OpenAI-compatible server, and name that in `models` with "
        "`openai:` and `base_url:`.",
    )


def _name(model: PreTrainedModel) -> str:
    return str((model.config.architectures or [type(model).__name__])[0])
