"""Key-value caches that neither copy themselves with every token nor repeat a shared prefix.

Transformers' own layers concatenate, so each token copies the whole cache, and a prefix that all
rows share would stand in memory, and be read for every token, once per row. Here a token is
written into a buffer with room ahead, and a shared prefix stands once: attention multiplies all
rows' queries with it together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import AttentionInterface, DynamicCache, PreTrainedModel
from transformers.cache_utils import CacheLayerMixin, DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward

# Registered over the library's own, which it calls: some models ask whether theirs has this name.
ATTENTION = "sdpa"
# What some models add to plain attention; where one is given, keys are put together as usual.
EXTRAS = ("softcap", "s_aux", "sinks", "position_bias", "indices", "block_indices")

# Where a shared prefix can stand: once, beside the rows' own keys, or before them in every row.
Place = Literal["beside", "before", "nowhere"]


class RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """A layer that writes into a buffer: (rows, heads, positions, head size)."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room  # positions to allocate ahead
        self.length = 0
        self.key_buffer: Tensor | None = None
        self.value_buffer: Tensor | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write new positions and return all of them."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start, end = self.length, self.length + key_states.shape[-2]
        if self.key_buffer is None or self.value_buffer is None or self.key_buffer.shape[-2] < end:
            self.key_buffer = self._with_room(self.keys, key_states, end)
            self.value_buffer = self._with_room(self.values, value_states, end)
        self.key_buffer[..., start:end, :] = key_states
        self.value_buffer[..., start:end, :] = value_states
        self._view(end)
        return self.keys, self.values

    def reorder_cache(self, indices: Tensor) -> None:
        """Keep these rows, in this order."""
        if self.key_buffer is not None and self.value_buffer is not None:
            self.key_buffer = self.key_buffer[indices]
            self.value_buffer = self.value_buffer[indices]
            self._view(self.length)

    def _with_room(self, old: Tensor, like: Tensor, end: int) -> Tensor:
        rows, heads, _, size = like.shape
        buffer = like.new_empty(rows, heads, end + self.room, size)
        if old.numel():
            buffer[..., : old.shape[-2], :] = old
        return buffer

    def _view(self, end: int) -> None:
        assert self.key_buffer is not None
        assert self.value_buffer is not None
        self.length = end
        self.keys = self.key_buffer[..., :end, :]
        self.values = self.value_buffer[..., :end, :]


@dataclass(eq=False, slots=True, kw_only=True)
class SharedPrefix:
    """What all rows of a layer begin with: keys and values (1, heads, positions, size)."""

    keys: Tensor
    values: Tensor
    seen: bool = False  # whether attention has looked at it


class SharedPrefixLayer(RoomyLayer):
    """A layer whose rows all begin with one prefix, which stands once."""

    def __init__(self, room: int, prefix: RoomyLayer) -> None:
        super().__init__(room)
        self.prefix = SharedPrefix(keys=prefix.keys, values=prefix.values)

    def get_seq_length(self) -> int:
        """Positions of prefix and rows together."""
        return int(self.prefix.keys.shape[-2]) + self.length

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write new positions; return all, or for one new token the rows' own with the prefix beside.

        The prefix travels as an attribute of keys and values, which `shared_prefix_attention` looks
        for. A model that makes other tensors of them loses it: `prefix_trial` finds that out.
        """
        keys, values = super().update(key_states, value_states)
        if key_states.shape[-2] > 1:
            return joined(self.prefix.keys, keys), joined(self.prefix.values, values)
        for states in (keys, values):
            states.shared_prefix = self.prefix  # type: ignore[attr-defined]
        return keys, values


def joined(prefix: Tensor, own: Tensor) -> Tensor:
    """A prefix (1, ...) before each row's own positions."""
    return torch.cat([prefix.expand(own.shape[0], -1, -1, -1), own], dim=-2)


def shared_prefix_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """Attention of one new token per row over a shared prefix and the rows' own positions.

    query: (rows, heads, 1, size); key, value: (rows, key heads, own positions, size).
    """
    prefix = _prefix_beside(key, value)
    if prefix is not None:
        prefix.seen = True
        if any(kwargs.get(name) is not None for name in EXTRAS):
            key, value, prefix = joined(prefix.keys, key), joined(prefix.values, value), None
    if prefix is None:
        outcome: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return outcome
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    return _over_prefix(query * scale, (key, value), prefix, attention_mask), None


def _prefix_beside(key: Tensor, value: Tensor) -> SharedPrefix | None:
    prefix: SharedPrefix | None = getattr(key, "shared_prefix", None)
    if getattr(value, "shared_prefix", None) is not prefix:
        raise ValueError("this model changes its keys or its values between cache and attention")
    return prefix


def _over_prefix(
    query: Tensor, own: tuple[Tensor, Tensor], prefix: SharedPrefix, mask: Tensor | None
) -> Tensor:
    """Attend to prefix and own positions in one softmax: (rows, 1, heads, size)."""
    prefix_keys, prefix_values = prefix.keys[0], prefix.values[0]  # (key heads, positions, size)
    heads, length, size = prefix_keys.shape
    rows, groups = query.shape[0], query.shape[1] // heads
    queries = query.reshape(rows, heads, groups, size)
    by_head = queries.transpose(0, 1).reshape(heads, rows * groups, size)
    on_prefix = (by_head @ prefix_keys.mT).reshape(heads, rows, groups, length).transpose(0, 1)
    on_own = queries @ own[0].mT
    if mask is not None:
        mask = mask[..., length:]
        on_own = (
            on_own.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else on_own + mask
        )
    weights = (
        torch.cat([on_prefix, on_own], dim=-1).softmax(-1, dtype=torch.float32).to(query.dtype)
    )
    of_prefix = weights[..., :length].transpose(0, 1).reshape(heads, rows * groups, length)
    result = (of_prefix @ prefix_values).reshape(heads, rows, groups, -1).transpose(0, 1)
    result = result + weights[..., length:] @ own[1]
    return result.reshape(rows, 1, heads * groups, -1)


def new_cache(model: PreTrainedModel, *, room: int) -> DynamicCache:
    """An empty cache of the kind that the model's layers need."""
    cache = DynamicCache(config=model.config)
    cache.layers = [
        RoomyLayer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers
    ]
    return cache


def can_share(model: PreTrainedModel) -> bool:
    """Whether rows of this model can begin with a prefix that was read once."""
    layers = new_cache(model, room=0).layers
    plain = bool(layers) and all(isinstance(layer, RoomyLayer) for layer in layers)
    takes_attention = getattr(model, "_supports_attention_backend", False)
    return plain and takes_attention and model.config._attn_implementation == ATTENTION


def cache_after(
    model: PreTrainedModel, prefix: DynamicCache, *, rows: int, room: int, place: Place
) -> DynamicCache:
    """A cache of so many rows that have all read the prefix."""
    cache = new_cache(model, room=room)
    if place == "beside":
        AttentionInterface.register(ATTENTION, shared_prefix_attention)
        cache.layers = [SharedPrefixLayer(room, layer) for layer in prefix.layers]
        return cache
    for layer, read in zip(cache.layers, prefix.layers, strict=True):
        layer.update(*(states.expand(rows, -1, -1, -1) for states in (read.keys, read.values)))
    return cache


def was_seen(cache: DynamicCache) -> bool:
    """Whether attention looked at the prefix that stands beside the rows, in every layer in use."""
    return all(layer.prefix.seen for layer in cache.layers if layer.length)


def was_written(cache: DynamicCache) -> bool:
    """Whether a model has kept anything in a cache: keys and values, or the state of a recurrence."""
    keys = [layer for layer in cache.layers if isinstance(layer, CacheLayerMixin)]
    return any(layer.get_seq_length() for layer in keys) or any(_states(cache))


def is_recurrent(cache: DynamicCache) -> bool:
    """Whether any layer keeps a state that each token changes, rather than keys of its own."""
    return bool(_states(cache))


def holds_all_states(cache: DynamicCache) -> bool:
    """Whether every recurrence keeps its state in the cache (RecurrentGemma's are in its modules)."""
    return all(_states(cache))


def _states(cache: DynamicCache) -> list[bool]:
    """For each layer with a recurrence, whether it has kept a state."""
    layers = [layer for layer in cache.layers if hasattr(layer, "has_previous_state")]
    return [any(layer.has_previous_state.values()) for layer in layers]
