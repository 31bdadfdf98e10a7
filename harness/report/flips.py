"""Cases whose outcome differs: newly missed and newly passed since the blessed run, and between systems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from markupsafe import Markup

from harness.report import charts
from harness.report.charts import Reading, Scale
from harness.report.columns import Index
from harness.report.data import MISSED, PASSED, Codes, RunData, SuiteData
from harness.report.ladders import deciding_metrics
from harness.report.wording import agreeing, counted, percent, pvalue, signed, span, spelled

MOST = 40  # flips listed on the page; the list of cases has all of them
Change = Literal["lost", "gained"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """One case of one metric on the champion."""

    suite: str
    case: str
    metric: str
    system: str
    change: Change
    place: tuple[int, int]  # of suite and case, as the script counts them
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Flips of one metric, counted."""

    suite: str
    metric: str
    system: str
    lost: int
    gained: int
    bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A system against the champion on the same cases."""

    suite: str
    metric: str
    system: str
    gained: int
    lost: int
    tied: int
    unpaired: int  # cases that one of the two has no score for
    bar: Markup
    plot: Markup | None
    effect: str
    limits: str
    pvalue: str
    state: str


def fractions(states: Codes) -> tuple[Index, Index]:
    """Return how many epochs of each case passed and missed."""
    return (states == PASSED).sum(-1), (states == MISSED).sum(-1)


def find(run: RunData, before: RunData) -> list[Flip]:
    """Return the champions' flips since the blessed run, newly missed first."""
    found: list[Flip] = []
    for number, suite in enumerate(run.suites.values()):
        old = before.suites.get(suite.name)
        if old is not None and suite.champion in old.systems:
            found += _flips(number, suite, old)
    critical = {(g["suite"], g["metric"]) for g in run.rows("gates") if g["kind"] == "critical"}
    return sorted(
        found,
        key=lambda f: (
            f.change == "gained",
            (f.suite, f.metric) not in critical,
            f.suite,
            f.metric,
            f.place,
        ),
    )


def _flips(number: int, suite: SuiteData, old: SuiteData) -> Iterator[Flip]:
    system = suite.champion
    assert system is not None
    place = {case: i for i, case in enumerate(old.cases)}
    pairs = [(i, place[case]) for i, case in enumerate(suite.cases) if case in place]
    if not pairs:
        return
    here, there = (np.array(column, dtype=np.int64) for column in zip(*pairs, strict=True))
    for metric in suite.metrics:
        if metric not in old.metrics:
            continue
        passed, missed = fractions(suite.of(metric, system)[here])
        was_passed, was_missed = fractions(old.of(metric, system)[there])
        # A flip is a change of the majority, with one epoch of the outcome; a tie is neither.
        now, lost = passed > missed, (was_passed > was_missed) & (passed < missed)
        gained = (was_passed < was_missed) & now
        for at in np.flatnonzero(lost | gained).tolist():
            n, before_n = int(passed[at] + missed[at]), int(was_passed[at] + was_missed[at])
            note = "" if n == before_n == 1 else (
                f"passed {int(was_passed[at])} of {before_n} before, {int(passed[at])} of {n} now"
            )  # fmt: skip
            yield Flip(
                suite=suite.name,
                case=suite.cases[here[at]],
                metric=metric,
                system=system,
                change="gained" if now[at] else "lost",
                place=(number, int(here[at])),
                note=note,
            )


def movements(flips: Sequence[Flip]) -> list[Movement]:
    """Count the flips of each metric, the most lost first."""
    counts: dict[tuple[str, str, str], list[int]] = {}
    for flip in flips:
        pair = counts.setdefault((flip.suite, flip.metric, flip.system), [0, 0])
        pair[flip.change == "gained"] += 1
    most = max((max(pair) for pair in counts.values()), default=1)
    return [
        Movement(
            suite=suite,
            metric=metric,
            system=system,
            lost=lost,
            gained=gained,
            bar=charts.movement(lost, gained, most),
        )
        for (suite, metric, system), (lost, gained) in sorted(
            counts.items(), key=lambda item: (-item[1][0], -item[1][1], item[0])
        )
    ]


def finding(flips: Sequence[Flip]) -> str:
    """State the movement in a sentence."""
    lost = sum(flip.change == "lost" for flip in flips)
    gained = len(flips) - lost
    if not flips:
        return "No outcome of a champion changed"
    return f"{counted(lost, 'outcome')} newly missed, {gained:,} newly passed"


def rivals(run: RunData) -> list[Rival]:
    """Compare each suite's champion with its other systems on the deciding metrics."""
    return _drawn(
        [_towards(row, suite) for suite in run.suites.values() for row in _pairs(run, suite)]
    )


def _drawn(rows: Sequence[dict[str, Any]]) -> list[Rival]:
    """Draw comparisons on one scale."""
    most = max((max(row["gained"], row["lost"]) for row in rows), default=1)
    ends = [abs(row[key]) for row in rows for key in ("low", "high") if row[key] is not None]
    reach = next((r for r in (0.1, 0.2, 0.5) if max(ends, default=0.1) <= r), 1.0)
    scale = Scale(low=-reach, high=reach)
    return [_rival(row, most, scale) for row in rows]


def standing(found: Sequence[Rival]) -> str:
    """State how many systems beat their champion."""
    better = sum(row.state == "better" for row in found)
    worse = sum(row.state == "worse" for row in found)
    beat, fall = agreeing(better, "beats", "beat"), agreeing(worse, "falls", "fall")
    text = f"{better:,} of {counted(len(found), 'comparison')} {beat} the champion"
    return f"{text}, {spelled(worse)} {fall} short of it" if worse else text


def against(run: RunData, before: RunData) -> list[Rival]:
    """Compare every system with itself in another run; whatever moved most comes first."""
    from harness.report.against import compared

    rows = [asdict(row) for row in compared(run, before)]
    rows.sort(key=lambda row: -abs(row["difference"] or 0.0))
    return _drawn(rows)


def _pairs(run: RunData, suite: SuiteData) -> list[dict[str, Any]]:
    metrics = deciding_metrics(run, suite)
    return [
        row
        for row in run.of_suite("comparisons", suite.name)
        if row["metric"] in metrics
        and suite.champion in (row["baseline"], row["candidate"])
        and not str(row["baseline"]).startswith("baseline:")
    ]


def _towards(row: dict[str, Any], suite: SuiteData) -> dict[str, Any]:
    """Turn a comparison so that the champion is what the other system is compared with."""
    if row["baseline"] == suite.champion:
        return row
    turned = row | {
        "baseline": row["candidate"],
        "candidate": row["baseline"],
        "gained": row["lost"],
        "lost": row["gained"],
        "state": {"above": "below", "below": "above"}.get(row["state"], row["state"]),
    }
    for new, old in (("difference", "difference"), ("low", "high"), ("high", "low")):
        turned[new] = None if row[old] is None else -row[old]
    return turned


def _rival(row: dict[str, Any], most: int, scale: Scale) -> Rival:
    reading = Reading(value=row["difference"], low=row["low"], high=row["high"])
    effect, limits = signed(row["difference"]), span(row["low"], row["high"], write=signed)
    label = f"{row['candidate']}: {effect} points ({limits})"
    plot = charts.interval(reading, scale, label, references=[(0.0, "zero")])
    return Rival(
        suite=row["suite"],
        metric=row["metric"],
        system=row["candidate"],
        gained=row["gained"],
        lost=row["lost"],
        tied=row["tied"],
        unpaired=row.get("unpaired") or 0,
        bar=charts.movement(row["lost"], row["gained"], most),
        plot=plot if reading.value is not None else None,
        effect=effect,
        limits=limits,
        pvalue=pvalue(row.get("pvalue_adjusted") or row.get("pvalue")),
        state={"above": "better", "below": "worse"}.get(row["state"])
        or _none_found(row.get("mde"), row.get("difference")),
    )


def _none_found(mde: float | None, difference: float | None) -> str:
    if (
        mde is None or abs(difference or 0.0) >= mde
    ):  # it is an approximation: this one was not seen
        return "no difference found"
    return f"no difference found; {percent(mde)} points would have been seen"
