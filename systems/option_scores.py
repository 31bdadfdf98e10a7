"""How likely a local model would go on from a prompt with each of several options.

A prompt is read once, in a batch with others and after what all of them share; its options then go
on from copies of its keys and values. An option is tokenised on its own.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from systems.batch import Batch
from systems.generation import Generator
from systems.sampling import Row

Options = Sequence[Sequence[int]]  # tokens of each option


def loglikelihoods(
    generator: Generator, rows: Sequence[Row], options: Sequence[Options]
) -> Iterator[tuple[Row, list[float]]]:
    """Yield each row with the natural logarithm of each option's probability after its prompt.

    `options[row.index]` holds the options of a row, none of them empty; logarithms are summed over
    an option's tokens, in float32.
    """
    if not rows:
        return
    prefix = generator.read_shared(rows)
    most = max(len(options[row.index]) for row in rows)
    for batch_rows in generator.batches(rows, copies=most):
        started = time.perf_counter()
        with torch.inference_mode():
            batch = Batch(generator.model, batch_rows, prefix)
            found = _read(batch, [options[row.index] for row in batch_rows])
        seconds = time.perf_counter() - started
        for row, values in zip(batch_rows, found, strict=True):
            row.latency_s = seconds
            yield row, values


def _read(batch: Batch, options: Sequence[Options]) -> list[list[float]]:
    owner = [number for number, own in enumerate(options) for _ in own]
    flat = [list(ids) for own in options for ids in own]
    device = batch.scores.device
    first = batch.scores.float().log_softmax(-1)
    sums = first[torch.tensor(owner, device=device), torch.tensor([ids[0] for ids in flat])]
    if any(len(ids) > 1 for ids in flat):
        batch.keep(owner)
        sums = sums + _rest(batch, flat, device)
    values = iter(sums.tolist())
    return [[next(values) for _ in own] for own in options]


def _rest(batch: Batch, flat: list[list[int]], device: torch.device) -> Tensor:
    """Logarithms of everything behind the first token, shape (options,)."""
    width = max(map(len, flat)) - 1
    pad = [width + 1 - len(ids) for ids in flat]
    read = torch.tensor([ids[:-1] + [0] * n for ids, n in zip(flat, pad, strict=True)])
    said = torch.tensor([ids[1:] + [0] * n for ids, n in zip(flat, pad, strict=True)])
    there = torch.tensor([[1] * (width - n) + [0] * n for n in pad])
    read, said, there = read.to(device), said.to(device), there.to(device)
    logits = batch.read(read, there)
    each = logits.float().log_softmax(-1).gather(-1, said[..., None])[..., 0]
    return (each * there).sum(-1)
