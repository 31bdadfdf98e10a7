"""How many tokens a model reads, as its configuration tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from transformers import PreTrainedConfig


def stated_length(config: PreTrainedConfig) -> int | None:
    """The length that the configuration states; None where it states none."""
    known = getattr(_text(config), "max_position_embeddings", None)
    return int(known) if known is not None and known > 0 else None  # XLNet's: -1


def longest_length(config: PreTrainedConfig) -> int | None:
    """The length beyond which the model has no positions: stretched rotary ones reach further."""
    stated, text = stated_length(config), _text(config)
    if stated is None:
        return None
    reached = [
        float(rope["factor"]) * int(rope.get("original_max_position_embeddings") or stated)
        for rope in _ropes(getattr(text, "rope_parameters", None))
        if rope.get("factor")
    ]
    return max(stated, *map(int, reached)) if reached else stated


def _ropes(parameters: Any) -> Iterator[Mapping[str, Any]]:
    """Rotary parameters: one set, or one for each kind of layer."""
    if isinstance(parameters, Mapping):
        yield parameters
        for inner in parameters.values():
            yield from _ropes(inner)


def _text(config: PreTrainedConfig) -> PreTrainedConfig:
    """The part of a configuration that is about text."""
    return config.get_text_config(decoder=True)
