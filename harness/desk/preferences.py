"""What the votes of a review say: who is preferred, how surely, and whether people agree."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from harness.desk.agreement import krippendorff_alpha
from harness.desk.exports import preference_pair
from harness.desk.outputs import RunOutputs
from harness.desk.pairs import Agenda, Contestant
from harness.desk.votes import Pair, Side, Vote
from harness.statistics import Preference, Ranking, bonett_price, mcnemar, rank
from harness.statistics.rates import clopper_pearson
from harness.types import Case, Estimate

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferred:
    """Two systems, case by case: several votes on a case are one opinion of it."""

    one: str
    other: str
    won: int  # cases on which `one` is preferred by most
    lost: int
    tied: int  # ties, both bad and split opinions
    same: int  # answers that are word for word the same: shown to nobody, and in no figure here
    both_bad: int  # votes
    difference: float | None  # (won - lost) / cases
    low: float | None
    high: float | None
    pvalue: float | None  # sign test, exact, two-sided


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a review has found so far."""

    votes: int
    people: tuple[str, ...]
    pairs: tuple[Preferred, ...]
    ranking: Ranking | None  # for three systems or more
    agreement: Estimate | None  # for two people or more
    left: int  # votes for the left answer
    decided: int  # votes for either
    left_share: tuple[float, float] | None  # interval: one half unless sides sway people


def review_result(
    agenda: Agenda, contestants: Sequence[Contestant], votes: Sequence[Vote], *, seed: int = 0
) -> Result:
    """Summarise the votes on the pairs of an agenda."""
    names = {(c.outputs.run_id, c.system): c.name for c in contestants}
    wanted = {pair.key for pair in agenda.pairs}
    about = [vote for vote in votes if vote.key in wanted]
    people = tuple(sorted({vote.who for vote in about}))
    left = sum(vote.choice == "left" for vote in about)
    decided = left + sum(vote.choice == "right" for vote in about)
    return Result(
        votes=len(about),
        people=people,
        pairs=tuple(
            _preferred(one.name, other.name, about, agenda.same, names)
            for one, other in combinations(contestants, 2)
        ),
        ranking=_ranking(about, names, seed) if len(contestants) > 2 else None,
        agreement=krippendorff_alpha(_table(about), seed=seed) if len(people) > 1 else None,
        left=left,
        decided=decided,
        left_share=clopper_pearson(left, decided, confidence_level=CONFIDENCE) if decided else None,
    )


def preference_rows(
    suite: str, contestants: Sequence[Contestant], votes: Sequence[Vote]
) -> list[dict[str, Any]]:
    """Make a preference pair of each pair on which most people prefer one answer."""
    tables = {(c.outputs.run_id, c.system): c.outputs for c in contestants}
    by_key: dict[Any, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_key[vote.key].append(vote)
    rows = []
    for (case_id, epoch, one, other), said in sorted(by_key.items()):
        winner = _winner(said)
        sides = [tables.get((side.run, side.system)) for side in (one, other)]
        if winner is None or None in sides:
            continue
        loser = other if winner == one else one
        case = _case(tables, winner, suite, case_id)
        texts = [
            tables[side.run, side.system].text(suite, side.system, (case_id, epoch))
            for side in (winner, loser)
        ]
        if texts[0] == texts[1]:  # they differ in their tool calls
            continue
        about = {
            "from_case": case_id,
            "annotator": "+".join(sorted({vote.who for vote in said})),
            "chosen_system": winner.system,
            "rejected_system": loser.system,
            "from_run": winner.run,
            "votes": len(said),
        }
        rows.append(preference_pair(case, chosen=texts[0], rejected=texts[1], about=about))
    return rows


def opinions(votes: Sequence[Vote]) -> dict[Hashable, str]:
    """Say of each pair which answer most votes are for; "neither" where none has a majority."""
    by_key: dict[Hashable, list[Vote]] = defaultdict(list)
    for vote in votes:
        by_key[vote.key].append(vote)
    winners = {key: _winner(said) for key, said in by_key.items()}
    return {
        key: "neither" if side is None else f"{side.run}:{side.system}"
        for key, side in winners.items()
    }


def _case(
    tables: Mapping[tuple[str, str], RunOutputs], side: Side, suite: str, case_id: str
) -> Case:
    return tables[side.run, side.system].case(suite, case_id)


def _winner(votes: Sequence[Vote]) -> Side | None:
    """The answer that most votes are for; None for a tie, or where most find neither better."""
    counts = Counter(vote.winner for vote in votes)
    side, most = counts.most_common(1)[0]
    return side if 2 * most > len(votes) else None


def _preferred(
    one: str,
    other: str,
    votes: Sequence[Vote],
    same: Sequence[Pair],
    names: Mapping[tuple[str, str], str],
) -> Preferred:
    by_case: dict[str, list[float]] = defaultdict(list)
    both_bad = 0
    for vote in votes:
        if {names.get((s.run, s.system)) for s in (vote.left, vote.right)} != {one, other}:
            continue
        both_bad += vote.choice == "both_bad"
        winner = vote.winner
        name = names[winner.run, winner.system] if winner else None
        by_case[vote.case].append(0.0 if name is None else 1.0 if name == one else -1.0)
    alike = sum(
        {names.get((s.run, s.system)) for s in (pair.one, pair.other)} == {one, other}
        for pair in same
    )
    nets = [sum(said) for said in by_case.values()]
    won, lost, n = sum(net > 0 for net in nets), sum(net < 0 for net in nets), len(nets)
    low, high = bonett_price(won, lost, n, confidence_level=CONFIDENCE) if n else (None, None)
    return Preferred(
        one=one,
        other=other,
        won=won,
        lost=lost,
        tied=n - won - lost,
        same=alike,
        both_bad=both_bad,
        difference=(won - lost) / n if n else None,
        low=low,
        high=high,
        pvalue=float(mcnemar(won, lost)) if n else None,  # over the same flips, the sign test
    )


def _ranking(
    votes: Sequence[Vote], names: Mapping[tuple[str, str], str], seed: int
) -> Ranking | None:
    games = [
        Preference(
            case_id=vote.case,
            first=names[vote.left.run, vote.left.system],
            second=names[vote.right.run, vote.right.system],
            winner="first"
            if vote.choice == "left"
            else "second"
            if vote.choice == "right"
            else "tie",
        )
        for vote in votes
    ]
    if not games:
        return None
    return rank(games, rng=np.random.default_rng(seed), confidence_level=CONFIDENCE)


def _table(votes: Sequence[Vote]) -> dict[str, dict[Hashable, str]]:
    """Lay votes out by person and pair; what is said is who won, whichever side they stood on."""
    table: dict[str, dict[Hashable, str]] = {}
    for vote in votes:
        winner = vote.winner
        said = vote.choice if winner is None else f"{winner.run}:{winner.system}"
        table.setdefault(vote.who, {})[vote.key] = said
    return table
