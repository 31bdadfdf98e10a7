"""The pairs of a review as a judge sees them: the same agenda, every pair in both orders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from harness.desk.agreement import krippendorff_alpha
from harness.desk.pairs import Agenda, Contestant
from harness.desk.preferences import opinions
from harness.desk.votes import Choice, Vote
from harness.judges import Rubric, ask_pairs
from harness.types import Estimate, Output, System


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedPairs:
    """A judge's votes. They are nobody's: they are kept out of the file of people's votes."""

    judge: str
    version: str  # of rubric and prompt
    votes: tuple[Vote, ...]
    unscored: int  # pairs whose reply could not be read
    order_dependent: int  # ties, because the preference changes with the order
    shared: int  # pairs that people have voted on as well
    agreed: int  # of them, with the same winner or none
    agreement: Estimate | None  # Krippendorff's alpha of the judge and the majority of people


def judge_pairs(
    agenda: Agenda,
    contestants: Sequence[Contestant],
    judge: System,
    rubric: Rubric,
    *,
    people: Sequence[Vote] = (),
    votes: int = 1,
    seed: int = 0,
) -> JudgedPairs:
    """Ask a judge about every pair, in both orders, and hold it against what people say."""
    tables = {c.outputs.run_id: c.outputs for c in contestants}

    def output(number: int, side: str) -> Output:
        pair = agenda.pairs[number]
        which = getattr(pair, side)
        place = (pair.case, pair.epoch)
        return tables[which.run].output(agenda.suite, which.system, place)

    asked = [
        (
            tables[pair.one.run].case(agenda.suite, pair.case),
            output(number, "one"),
            output(number, "other"),
        )
        for number, pair in enumerate(agenda.pairs)
    ]
    said = ask_pairs(judge, rubric, asked, votes=votes, rng=np.random.default_rng(seed))
    choices: dict[str | None, Choice] = {"first": "left", "second": "right", "tie": "tie"}
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    cast = tuple(
        Vote(
            at=now,
            who=judge.name,
            suite=agenda.suite,
            case=pair.case,
            epoch=pair.epoch,
            left=pair.one,
            right=pair.other,
            choice=choices[judgement.winner],
            comment=judgement.reason,
        )
        for pair, judgement in zip(agenda.pairs, said, strict=True)
        if judgement.winner is not None
    )
    own, theirs = opinions(cast), opinions(people)
    both = own.keys() & theirs.keys()
    tables_of = {"judge": {k: own[k] for k in both}, "people": {k: theirs[k] for k in both}}
    return JudgedPairs(
        judge=judge.name,
        version=rubric.version,
        votes=cast,
        unscored=len(said) - len(cast),
        order_dependent=sum(judgement.order_dependent for judgement in said),
        shared=len(both),
        agreed=sum(own[key] == theirs[key] for key in both),
        agreement=krippendorff_alpha(tables_of, seed=seed) if both else None,
    )
