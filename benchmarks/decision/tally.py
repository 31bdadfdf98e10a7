"""Answers of many replicates, counted against the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.decision.simulation import (
    Answer,
    Measured,
    at_once,
    measure,
    naive,
    until_decided,
)
from benchmarks.decision.worlds import World, random_world, should_escalate
from harness.statistics import clopper_pearson

CAP = 800
Rule = Callable[[Measured], Answer]
RULES: dict[str, Rule] = {
    "Rung, 400 cases": lambda m: at_once(m, 400),
    "Rung, 800 cases": lambda m: at_once(m, 800),
    "points, 50 cases": lambda m: naive(m, 50),
    "points, 400 cases": lambda m: naive(m, 400),
}
BATCHES = "Rung, until decided"
# Asking for evidence is no answer; a pilot is when nothing else was to be said.
OPEN_ROWS = frozenset({"3", "5b", "9b", "17", "17a", "14b"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Hits of n with their Clopper-Pearson limits at 95 %."""

    hits: int
    n: int

    @property
    def value(self) -> float:
        """The share; 0 of 0 is 0."""
        return self.hits / self.n if self.n else 0.0

    @property
    def limits(self) -> tuple[float, float]:
        """Exact two-sided limits."""
        return clopper_pearson(self.hits, self.n) if self.n else (0.0, 1.0)

    def __add__(self, other: Share) -> Share:
        return Share(hits=self.hits + other.hits, n=self.n + other.n)


@dataclass(slots=True, kw_only=True)
class Tally:
    """One rule in one world."""

    n: int = 0
    right: int = 0
    undecided: int = 0
    escalated: int = 0
    wrong_escalation: int = 0
    within_tolerance: int = 0  # escalated to a truth at most two points below the target
    missed: int = 0  # should have escalated and did not
    missed_chances: int = 0
    cases: int = 0
    rows: Counter[str] = field(default_factory=Counter)

    def add(self, world: World, answer: Answer) -> None:
        """Count one replicate."""
        escalated = answer.action == "escalate_to_gpu"
        self.n += 1
        self.escalated += escalated
        self.cases += answer.cases
        self.rows[answer.row] += 1
        self.right += answer.action in world.right
        self.undecided += answer.row in OPEN_ROWS
        wrong = escalated and world.wrong_to_escalate
        self.wrong_escalation += wrong
        tuned = world.tuned
        self.within_tolerance += (
            escalated and not wrong and tuned is not None and tuned < world.goal
        )
        if should_escalate(world):
            self.missed_chances += 1
            self.missed += not escalated

    def share(self, name: str) -> Share:
        """One of the counts as a share of the replicates."""
        return Share(hits=getattr(self, name), n=self.n)


def tally_world(world: World, replicates: int, seed: int, *, batches: int = 0) -> dict[str, Tally]:
    """Measure a world many times, and ask every rule; the last one in the first `batches` only."""
    found = {name: Tally() for name in (*RULES, BATCHES)}
    for replicate in range(replicates):
        measured = measure(world, CAP, np.random.default_rng([seed, replicate]))
        for name, rule in RULES.items():
            found[name].add(world, rule(measured))
        if replicate < batches:
            found[BATCHES].add(world, until_decided(measured, CAP))
    return found


def tally_random(replicates: int, seed: int) -> dict[str, Tally]:
    """A new world in every replicate."""
    found = {name: Tally() for name in RULES}
    for replicate in range(replicates):
        rng = np.random.default_rng([seed, replicate])
        world = random_world(rng)
        measured = measure(world, CAP, rng)
        for name, rule in RULES.items():
            found[name].add(world, rule(measured))
    return found


def pooled(tallies: Sequence[Tally], name: str) -> Share:
    """A count over several worlds."""
    total = Share(hits=0, n=0)
    for tally in tallies:
        if name == "missed":
            total = total + Share(hits=tally.missed, n=tally.missed_chances)
        else:
            total = total + tally.share(name)
    return total
