"""Where a prefix that all rows share can stand, tried on two short rows before any is answered.

Some models change keys or values between cache and attention (latent attention expands them, others
repeat them or measure their length): they would go on without a prefix that stands beside the rows'
own keys, and say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from systems.batch import Batch, Prefix
from systems.kv_cache import Place, was_seen
from systems.sampling import Row

# Of the scores' own spread. Rounding stays far below, in half precision too.
TOLERANCE = 0.1


def place_of(
    model: PreTrainedModel, cache: DynamicCache, *, longest: list[int], shortest: list[int]
) -> Place:
    """Where a prefix that all rows share can stand.

    Parameters
    ----------
    cache
        The prefix, read.
    longest, shortest
        What prompts have behind it: some tokens are read, one row padded.
    """
    own = [longest[:3], shortest[:1]]
    before = _scores(model, own, Prefix(cache=cache, tokens=0, place="before"))
    if before is None:
        return "nowhere"
    beside = _scores(model, own, Prefix(cache=cache, tokens=0, place="beside"))
    return "beside" if beside is not None and _are_near(beside, before) else "before"


@torch.inference_mode()
def _scores(model: PreTrainedModel, own: Sequence[list[int]], prefix: Prefix) -> Tensor | None:
    """Scores after one token more; None where the model cannot read on like this."""
    rows = [
        Row(index=index, prompt=ids, generator=None, room=1, tokens=[])
        for index, ids in enumerate(own)
    ]
    try:
        batch = Batch(model, rows, prefix)
        batch.step([ids[0] for ids in own])
    except Exception:  # a model may fail in any way on what it was not made for
        return None
    if prefix.place == "beside" and not was_seen(batch.cache):
        return None
    return batch.scores.float()


def _are_near(a: Tensor, b: Tensor) -> bool:
    spread = (b - b.mean(-1, keepdim=True)).norm()
    return bool((a - b).norm() <= TOLERANCE * spread)
