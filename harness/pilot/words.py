"""A pilot in plain words: what was measured, what more rows would bring, what was forgotten."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.escalation.claims import measured
from harness.escalation.evidence import Paired, PilotPoint
from harness.escalation.sentences import SKILL_CASES
from harness.escalation.states import difference_state
from harness.escalation.words import chance, percent
from harness.forecast import REACH, Posterior, fit

TOLERATED = 0.05


def describe(
    record: Mapping[str, Any], *, target: float, tolerated: float = TOLERATED
) -> list[str]:
    """Lines for a terminal."""
    pilot = record["evidence"]["pilot"]
    cases = pilot["points"][-1]["cases"]
    lines = [f"{record['suite']}: the pilot of '{record['system']}' on {cases} cases"]
    held = record.get("eval_cases", {}).get(record["suite"])
    if held:
        lines.append(f"  {held} of these cases were trained on: what is passed says little")
    own = record.get("own_prompt")
    if own is not None:
        lines.append(f"  its own prompt, '{own['system']}': {_rate(own['passed'], own['cases'])}")
    for point in pilot["points"]:
        rates = [passed / point["cases"] for passed in point["passed"]]
        seeds = f" ({', '.join(map(percent, rates))})" if len(rates) > 1 else ""
        lines.append(f"  {point['rows']:>6,} rows: {percent(sum(rates) / len(rates))}{seeds}")
    lines += _forecast(pilot["points"], target)
    lines += _many_shot(record.get("many_shot") or ())
    lines += _tiers(record.get("tiers") or (), target)
    return [*lines, *_forgetting(record["evidence"].get("retained"), tolerated)]


def _rate(passed: float, cases: int) -> str:
    return f"{passed:g} of {cases} ({percent(passed / cases)})"


def _forecast(points: list[Mapping[str, Any]], target: float) -> Iterator[str]:
    if len(points) < 2:
        yield "  one size makes no curve"
        return
    posterior = fit(
        [measured(PilotPoint(**{**point, "passed": tuple(point["passed"])})) for point in points]
    )
    for times in (1, 2, REACH):
        rows = times * posterior.last
        expected = posterior.predict(rows)
        yield (
            f"  at {rows:,} rows: {percent(expected.median)} expected "
            f"({percent(expected.low)} to {percent(expected.high)} in four of five trainings); "
            f"{percent(target)} is reached with probability {chance(posterior.reaches(target, rows))}"
        )
    yield (
        f"  {_more(posterior, target)} No claim is made beyond {REACH * posterior.last:,} rows; a curve "
        f"that takes off or turns down after {posterior.last:,} is not foreseen."
    )


def _more(posterior: Posterior, target: float) -> str:
    wanted = posterior.rows_to_reach(target)
    if wanted is None:
        return "These data cannot show that more examples reach the target."
    if wanted <= posterior.last:
        return "The rows at hand probably reach the target."
    more, reached = wanted - posterior.last, posterior.reaches(target, wanted)
    return f"{more:,} more examples reach the target with probability {chance(reached)}."


def _many_shot(rows: Any) -> Iterator[str]:
    for row in rows:
        text = f"  {row['examples']} examples in the prompt instead: {_rate(row['passed'], row['cases'])}"
        if row["missing"]:
            text += f"; {row['missing']} without an answer (is the prompt longer than the window?)"
        yield text


def _tiers(tiers: Any, target: float) -> Iterator[str]:
    if not tiers:
        return
    groups: dict[int | None, list[str]] = {}
    for tier in tiers:
        last = percent(tier["rates"][-1]["rate"])
        groups.setdefault(tier["reached_at"], []).append(f"{tier['tag']} {last}")
    for rows in sorted(rows for rows in groups if rows is not None):
        yield f"  reach {percent(target)} from {rows:,} rows on: {', '.join(groups[rows])}"
    if None in groups:
        yield f"  do not reach it yet: {', '.join(groups[None])}"


def _forgetting(retained: Mapping[str, Any] | None, tolerated: float) -> Iterator[str]:
    """What became of general skills, and what to do about it."""
    if retained is None:
        yield (
            "  general skills before and after were not measured: name a suite of them "
            "(`retained:` in rung.yaml)"
        )
        return
    pair = Paired(**retained)
    value, count = pair.value or 0.0, f"{pair.gained} gained, {pair.lost} lost, {pair.tied} tied"
    claim = difference_state(pair, -tolerated)
    yield f"  general skills after tuning: {value:+.1%} ({count})"
    if claim.state == "below":
        yield (
            "  that is too much: mix general tasks into the training rows, lower the rank or the "
            "learning rate, or train fewer steps, and run the pilot again"
        )
    elif claim.state == "open":
        short = pair.n < SKILL_CASES
        yield "  too close to call" + (
            f": {SKILL_CASES} cases of general skills would settle it" if short else ""
        )
    else:
        yield f"  surely less lost than the {percent(tolerated)} that is tolerated"
