"""What would change a verdict: the fewest flipped cases, and the target at which the action changes.

Both are found on the table itself, with the claims as they stand: flips by doubling and bisection, one
claim at a time, targets by trying one after the other. The forecast and the money are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count

from harness.economics import Assessment
from harness.escalation.claims import Claims, claims_of
from harness.escalation.evidence import Evidence, NamedPair, Paired, Rate
from harness.escalation.table import first_row
from harness.types import Action

TARGET_STEP = 0.005
TARGET_DIGITS = 4  # as targets are written


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One count that could have come out otherwise."""

    what: str
    up: bool
    most: int
    moved: Callable[[int], Evidence]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """The fewest cases of one claim whose flip changes the action."""

    cases: int
    what: str
    becomes: Action


def action_of(evidence: Evidence, economics: Assessment | None = None) -> Action:
    """The action alone."""
    return first_row(claims_of(evidence, economics)).action


def fewest_flips(claims: Claims, action: Action) -> Flip | None:
    """The fewest flipped cases in one claim that change the action; None where no number does."""
    found: Flip | None = None
    for lever in _levers(claims):
        limit = lever.most if found is None else min(lever.most, found.cases - 1)
        cases = _first(limit, lambda k, lever=lever: _act(lever.moved(k), claims) != action)  # type: ignore[misc]
        if cases is not None:
            side = "more pass" if lever.up else "fewer pass"
            found = Flip(
                cases=cases,
                what=f"{lever.what}: {cases} {side}",
                becomes=_act(lever.moved(cases), claims),
            )
    return found


def targets_that_change(claims: Claims, action: Action) -> dict[str, dict[str, float | str]]:
    """The nearest target below and above at which the action is another one."""
    found: dict[str, dict[str, float | str]] = {}
    for side, sign in (("lower", -1), ("higher", 1)):
        # A higher target may lead to another row and a still higher one back: no bisection finds the first.
        for target in _targets(claims.evidence.target, sign):
            becomes = _act(replace(claims.evidence, target=target), claims)
            if becomes != action:
                found[side] = {"target": target, "becomes": str(becomes)}
                break
    return found


def _targets(start: float, sign: int) -> Iterator[float]:
    """Targets to one side, the nearest first, as far as one step from none or all."""
    for steps in count(1):
        target = round(start + sign * steps * TARGET_STEP, TARGET_DIGITS)
        if not TARGET_STEP <= target <= 1 - TARGET_STEP:
            return
        yield target


def _act(evidence: Evidence, claims: Claims) -> Action:
    return action_of(evidence, claims.economics)


def _first(limit: int, differs: Callable[[int], bool]) -> int | None:
    """The smallest count for which something differs, given that it goes on differing."""
    low, high = 0, 1
    while high <= limit and not differs(high):
        low, high = high, high * 2
    if high > limit:
        if low >= limit or not differs(limit):
            return None
        high = limit
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if differs(middle) else (middle, high)
    return high


def _levers(claims: Claims) -> Iterator[Lever]:
    evidence = claims.evidence
    bests = (
        claims.prompt, claims.rag, claims.oracle, claims.probe, claims.tuned, claims.champion,
    )  # fmt: skip
    names = dict.fromkeys(best.system.name for best in bests if best is not None)
    for name in names:
        place = next(i for i, s in enumerate(evidence.systems) if s.name == name)
        rate = evidence.systems[place].outcomes
        for up in (True, False):
            yield Lever(
                what=f"'{name}'",
                up=up,
                most=int(rate.n - rate.passed if up else rate.passed),
                moved=lambda k, place=place, up=up: _with_rate(evidence, place, k if up else -k),  # type: ignore[misc]
            )
    yield from _pair_levers(claims)


def _pair_levers(claims: Claims) -> Iterator[Lever]:
    evidence, pilot = claims.evidence, claims.evidence.pilot
    if claims.rag is not None and claims.oracle is not None:
        rag, oracle = claims.rag.system.name, claims.oracle.system.name
        for i, pair in enumerate(evidence.pairs):
            if {pair.baseline, pair.candidate} == {rag, oracle}:
                yield from _pair_lever(
                    f"'{pair.candidate}' against '{pair.baseline}'",
                    pair.counts,
                    lambda p, i=i: _with_pair(evidence, i, p),  # type: ignore[misc]
                )
    if pilot is not None and pilot.gain is not None:
        yield from _pair_lever(
            "the pilot against its own prompt",
            pilot.gain,
            lambda p: replace(evidence, pilot=replace(pilot, gain=p)),
        )
    if pilot is not None and pilot.gain_over_best is not None:
        yield from _pair_lever(
            "the pilot against the best system",
            pilot.gain_over_best,
            lambda p: replace(evidence, pilot=replace(pilot, gain_over_best=p)),
        )
    if evidence.retained is not None:
        yield from _pair_lever(
            "general skills after tuning",
            evidence.retained,
            lambda p: replace(evidence, retained=p),
        )


def _pair_lever(what: str, pair: Paired, put: Callable[[Paired], Evidence]) -> Iterator[Lever]:
    for up in (True, False):
        yield Lever(
            what=what,
            up=up,
            most=pair.n,
            moved=lambda k, up=up: put(_flipped(pair, k if up else -k)),  # type: ignore[misc]
        )


def _with_rate(evidence: Evidence, place: int, change: int) -> Evidence:
    system = evidence.systems[place]
    rate: Rate = replace(system.outcomes, passed=system.outcomes.passed + change)
    # Where it was chosen on dev cases it stays chosen: only its outcomes here are in doubt.
    systems = (
        *evidence.systems[:place],
        replace(system, outcomes=rate),
        *evidence.systems[place + 1 :],
    )
    return replace(evidence, systems=systems)


def _with_pair(evidence: Evidence, place: int, counts: Paired) -> Evidence:
    pair = evidence.pairs[place]
    changed = NamedPair(baseline=pair.baseline, candidate=pair.candidate, counts=counts)
    return replace(evidence, pairs=(*evidence.pairs[:place], changed, *evidence.pairs[place + 1 :]))


def _flipped(pair: Paired, change: int) -> Paired:
    """Move cases of the candidate from missed to passed, or back: lost become tied, tied gained."""
    gained, lost, tied = pair.gained, pair.lost, pair.tied
    if change < 0:
        gained, lost = lost, gained
    from_lost = min(abs(change), lost)
    from_tied = min(abs(change) - from_lost, tied)
    gained, lost, tied = gained + from_tied, lost - from_lost, tied + from_lost - from_tied
    if change < 0:
        gained, lost = lost, gained
    shift = None if pair.difference is None else pair.difference + change / pair.n
    return replace(pair, gained=gained, lost=lost, tied=tied, difference=shift)
