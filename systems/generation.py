"""Batched generation over a shared prefix.

Prompts of a batch often begin alike (instructions, few-shot examples). What they share is computed
once; every row goes on from its keys and values. Rows are sorted by length, padded on the left of
what is their own, and leave the batch when they end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from harness.errors import SystemFailure
from systems.batch import Batch, Prefix
from systems.kv_cache import Place, can_share, new_cache
from systems.prefix_trial import place_of
from systems.sampling import Row, Sampler

SHORTEST_SHARED_PREFIX = 16  # tokens: below, sharing costs more than it saves
# Rows leave the tensors when a quarter of them has ended: each time copies the cache.
COMPACT_BELOW = 0.75
# Keys and values of a batch must fit into memory whatever the model: most tokens of a batch.
TOKENS_PER_BATCH = 65_536


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
        self.model = model
        self.end_ids = end_ids
        self.batch_size = batch_size
        self.share_prefix = share_prefix
        self.soft_prompt = soft_prompt
        # Where a shared prefix can stand; None: not tried yet.
        self.place: Place | None = None if can_share(model) else "nowhere"

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
        if not shared and self.soft_prompt is None:
            return None
        if self.place != "nowhere":
            cache = self._read_prefix(rows[0].prompt[:shared])
            self.place = self.place or self._tried(cache, rows, shared)
        if self.place == "nowhere":
            if self.soft_prompt is None:
                return None
            raise SystemFailure("soft prompts need a model of plain attention layers")
        return Prefix(cache=cache, tokens=shared, place=self.place)

    def _tried(self, cache: DynamicCache, rows: Sequence[Row], shared: int) -> Place:
        by_length = sorted((row.prompt[shared:] for row in rows), key=len)
        return place_of(self.model, cache, longest=by_length[-1], shortest=by_length[0])

    def _shared_length(self, rows: Sequence[Row]) -> int:
        if not self.share_prefix or len(rows) < 2 or self.place == "nowhere":
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
        read = {"input_ids": tokens}
        if self.soft_prompt is not None:
            vectors = self.model.get_input_embeddings()(tokens)
            soft = self.soft_prompt[None].to(vectors)
            read = {"inputs_embeds": torch.cat([soft, vectors], dim=1)}
        self.model(**read, past_key_values=cache, use_cache=True, logits_to_keep=1)
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
            if batch.can_keep and len(open_rows) < COMPACT_BELOW * len(batch.rows):
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
