"""Batched generation over a shared prefix.

Prompts of a batch often begin alike (instructions, few-shot examples). What they share is computed
once; every row goes on from a copy of its keys and values. Rows are sorted by length, padded on
the left of what is their own, and leave the batch when they end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from harness.errors import SystemFailure
from systems.kv_cache import cache_after, can_share, new_cache, prepare
from systems.sampling import Row, Sampler

SHORTEST_SHARED_PREFIX = 16  # tokens: below, sharing costs more than it saves
# Rows leave the tensors when a quarter of them has ended: each time copies the cache.
COMPACT_BELOW = 0.75
# Keys and values of a batch must fit into memory whatever the model: most tokens of a batch.
TOKENS_PER_BATCH = 65_536


@dataclass(frozen=True, slots=True)
class Prefix:
    """What every row of a batch begins with, already read."""

    cache: DynamicCache
    tokens: int  # how many of each prompt's tokens it stands for


class Generator:
    """Generates with one model.

    Parameters
    ----------
    model
        A causal language model in evaluation mode.
    end_ids
        Tokens that end an answer.
    batch_size
        Most rows computed together.
    share_prefix
        Whether what all prompts begin with is computed once.
    soft_prompt
        Learnt vectors (n, hidden size) that stand before every prompt, or None.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        *,
        end_ids: frozenset[int],
        batch_size: int = 64,
        share_prefix: bool = True,
        soft_prompt: Tensor | None = None,
    ) -> None:
        prepare(model)
        self.model = model
        self.end_ids = end_ids
        self.batch_size = batch_size
        self.share_prefix = share_prefix
        self.soft_prompt = soft_prompt

    def run(
        self, rows: Sequence[Row], sampler: Sampler, *, stopped: Callable[[list[int]], bool]
    ) -> Iterator[Row]:
        """Yield rows as their batch ends, each with its tokens and the reason it ended.

        `stopped` says of an answer's tokens whether they hold a stop string.
        """
        if not rows:
            return
        prefix = self.read_shared(rows)
        for batch in self.batches(rows):
            yield from self._run_batch(batch, sampler, prefix, stopped)

    def read_shared(self, rows: Sequence[Row]) -> Prefix | None:
        """Read what all prompts begin with; None where that is too little to be worth it."""
        shared = self._shared_length(rows)
        if self.soft_prompt is not None and not can_share(self.model):
            raise SystemFailure("soft prompts need a model of plain attention layers")
        if shared or self.soft_prompt is not None:
            return Prefix(self._read_prefix(rows[0].prompt[:shared]), tokens=shared)
        return None

    def _shared_length(self, rows: Sequence[Row]) -> int:
        if not self.share_prefix or len(rows) < 2 or not can_share(self.model):
            return 0
        first, last = min(row.prompt for row in rows), max(row.prompt for row in rows)
        most = min(len(row.prompt) for row in rows) - 1  # each row reads a token of its own
        length = 0
        while length < most and first[length] == last[length]:
            length += 1
        return length if length >= SHORTEST_SHARED_PREFIX else 0

    def batches(self, rows: Sequence[Row], *, copies: int = 1) -> Iterator[list[Row]]:
        """Yield rows that fit into memory together, each in so many copies."""
        # Longest first: what does not fit into memory fails at once, not at the end.
        ordered = sorted(rows, key=lambda row: (-len(row.prompt), row.index))
        start = 0
        while start < len(ordered):
            longest = len(ordered[start].prompt) + ordered[start].room
            size = max(1, min(self.batch_size, TOKENS_PER_BATCH // (longest * copies)))
            yield ordered[start : start + size]
            start += size

    @torch.inference_mode()
    def _read_prefix(self, ids: list[int]) -> DynamicCache:
        cache = new_cache(self.model, room=0)
        tokens = torch.tensor([ids], dtype=torch.long, device=self.model.device)
        vectors = self.model.get_input_embeddings()(tokens)
        if self.soft_prompt is not None:
            vectors = torch.cat([self.soft_prompt[None].to(vectors), vectors], dim=1)
        self.model(inputs_embeds=vectors, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return cache

    @torch.inference_mode()
    def _run_batch(
        self,
        rows: list[Row],
        sampler: Sampler,
        prefix: Prefix | None,
        stopped: Callable[[list[int]], bool],
    ) -> list[Row]:
        started = time.perf_counter()
        batch = Batch(self.model, rows, prefix)
        while True:
            chosen = sampler.choose(batch.scores, batch.rows)
            for row, token in zip(batch.rows, chosen, strict=True):
                if row.finish_reason is None:
                    self._take(row, token, stopped)
                    row.latency_s = time.perf_counter() - started
            open_rows = [i for i, row in enumerate(batch.rows) if row.finish_reason is None]
            if not open_rows:
                return rows
            if len(open_rows) < COMPACT_BELOW * len(batch.rows):
                batch.keep(open_rows)
                chosen = [chosen[i] for i in open_rows]
            batch.step(chosen)

    def _take(self, row: Row, token: int, stopped: Callable[[list[int]], bool]) -> None:
        row.tokens.append(token)
        if row.constraint is not None:
            row.constraint.accept(token)
        if token in self.end_ids or stopped(row.tokens):
            row.finish_reason = "stop"
        elif len(row.tokens) >= row.room:
            row.finish_reason = "length"


class Batch:
    """Tensors of the rows still under way.

    mask: (rows, positions), 1 where a token stands, over prefix, padding, suffix and answer.
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
            self.cache = cache_after(model, prefix.cache, room=room)
        pad = [width - len(ids) for ids in own]
        ids = [[0] * n + suffix for n, suffix in zip(pad, own, strict=True)]
        mask = [[1] * shared + [0] * n + [1] * (width - n) for n in pad]
        self.mask = torch.tensor(mask, device=model.device)
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)
        self.next_position = positions[:, -1:] + 1
        self.scores = self._forward(torch.tensor(ids, device=model.device), positions[:, shared:])

    def keep(self, indices: list[int]) -> None:
        """Drop all other rows."""
        chosen = torch.tensor(indices, device=self.mask.device)
        self.rows = [self.rows[i] for i in indices]
        self.cache.batch_select_indices(chosen)
        self.mask, self.next_position = self.mask[chosen], self.next_position[chosen]

    def step(self, tokens: Sequence[int]) -> None:
        """Read one more token in each row."""
        ids = torch.tensor(tokens, device=self.mask.device)[:, None]
        self.mask = torch.cat([self.mask, torch.ones_like(ids)], dim=1)
        self.scores = self._forward(ids, self.next_position)
        self.next_position = self.next_position + 1

    def read(self, ids: Tensor, there: Tensor) -> Tensor:
        """Read several tokens in each row, 1 in `there` where one stands; scores behind each."""
        self.mask = torch.cat([self.mask, there], dim=1)
        positions = self.next_position + torch.arange(ids.shape[1], device=ids.device)
        return self._logits(ids, positions, keep=0)

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
