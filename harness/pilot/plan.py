"""What a pilot trains: nested subsets of the rows, and several seeds at the largest."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from harness.errors import ConfigError

T = TypeVar("T")

SIZES = 4  # fewer say nothing about the shape of a curve
SEEDS = 3
LEAST_ROWS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One training run of a pilot."""

    rows: int
    seed: int

    @property
    def name(self) -> str:
        """Its folder, and the name of its system."""
        return f"pilot-{self.rows:05d}-seed-{self.seed}"


def usual_sizes(rows: int) -> tuple[int, ...]:
    """Four sizes, each twice the one before, up to all rows.

    Raises
    ------
    ConfigError
        There are too few rows for four sizes.
    """
    sizes = tuple(rows // 2**k for k in reversed(range(SIZES)))
    if sizes[0] < LEAST_ROWS:
        least = LEAST_ROWS * 2 ** (SIZES - 1)
        raise ConfigError(f"{rows} training rows are too few for a pilot: {least} are the least")
    return sizes


def read_sizes(text: str, rows: int) -> tuple[int, ...]:
    """Read sizes such as `50,100,200,400`.

    Raises
    ------
    ConfigError
        They are no numbers, do not grow, or exceed the rows at hand.
    """
    try:
        sizes = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"'{text}' is no list of sizes such as 50,100,200", key="--sizes"
        ) from None
    if list(sizes) != sorted(set(sizes)) or sizes[0] < LEAST_ROWS:
        raise ConfigError(
            f"sizes grow, from {LEAST_ROWS} rows on: the subsets are nested", key="--sizes"
        )
    if sizes[-1] > rows:
        raise ConfigError(f"there are {rows} training rows, not {sizes[-1]}", key="--sizes")
    return sizes


def trainings(sizes: Sequence[int], seeds: int = SEEDS) -> tuple[Training, ...]:
    """Every training: one at each size, and `seeds` of them at the largest."""
    if seeds < 1:
        raise ConfigError("at least one seed", key="--seeds")
    smaller = [Training(rows=rows, seed=0) for rows in sizes[:-1]]
    return (*smaller, *(Training(rows=sizes[-1], seed=seed) for seed in range(seeds)))


def nested(rows: Sequence[T], *, rng: random.Random) -> list[T]:
    """The rows in the order in which subsets take them: the first n are the subset of size n."""
    order = list(rows)
    rng.shuffle(order)
    return order
