"""Why cases were missed, and what mending each cause could buy at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup

from harness.report import charts
from harness.report.data import RunData, inside
from harness.report.verdicts import at_most
from harness.report.wording import counted, percent, phrase, sentence

MOST = 8  # causes of a suite


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """One cause of the misses of one system."""

    name: str
    misses: int
    share: str  # of the misses, in per cent
    points: str  # what the pass rate would gain at most; empty where not known
    remedy: str
    link: str  # the list of cases, filtered
    examples: tuple[tuple[str, str], ...]  # case id, and its place in this page
    bar: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseGroup:
    """The causes of one system of a suite, the commonest first."""

    suite: str
    system: str
    by_hand: int
    at_most: str  # what else could be bought
    causes: tuple[Cause, ...]


def groups(run: RunData) -> list[CauseGroup]:
    """Build the tables of causes, from the categories of the run and from its verdicts."""
    found = []
    champions = {suite.name: suite.champion for suite in run.suites.values()}
    for suite in run.suites:
        verdict = next(iter(run.of_suite("verdicts", suite)), None)
        fall = {
            row["cause"]: row for row in inside(verdict, "expected", "headroom", "waterfall") or ()
        }
        rows = [r for r in run.of_suite("categories", suite) if r.get("count")]
        systems = dict.fromkeys(row["system"] for row in rows)
        # Points are of one system's pass rate: its causes stand beside them, not another's.
        wanted = (inside(verdict, "evidence", "misses", "system"), champions[suite], *systems)
        chosen = next((name for name in wanted if name in systems), None)
        counts = [row for row in rows if row["system"] == chosen]
        if not counts:
            counts = [{"category": r["cause"], "count": r["misses"]} for r in fall.values()]
        if counts:
            group = _group(suite, chosen or "the best cheap system", counts, fall)
            found.append(replace(group, at_most=sentence(at_most(verdict))))
    return found


def finding(groups: Sequence[CauseGroup]) -> str:
    """State the commonest known cause."""
    known = [
        (cause.misses, cause, group)
        for group in groups
        for cause in group.causes
        if cause.name != "unknown"
    ]
    if not known:
        return "Causes of the misses"
    _, cause, group = max(known, key=lambda item: item[0])
    return sentence(f"{cause.name} is behind {cause.share} % of the misses in {group.suite}")


def _group(
    suite: str, system: str, counts: list[dict[str, Any]], fall: dict[str, dict[str, Any]]
) -> CauseGroup:
    counts = sorted(counts, key=lambda row: (-row["count"], row["category"]))
    total = sum(row["count"] for row in counts)
    most = counts[0]["count"]
    return CauseGroup(
        suite=suite,
        system=system,
        by_hand=sum(row.get("by_hand") or 0 for row in counts),
        at_most="",
        causes=tuple(
            Cause(
                name=phrase(row["category"]),
                misses=row["count"],
                share=percent(row["count"] / total, digits=0),
                points=percent(fall.get(row["category"], {}).get("points")),
                remedy=str(fall.get(row["category"], {}).get("remedy") or ""),
                link=_place(suite=suite, system=row.get("system") or "", cause=row["category"]),
                examples=tuple(
                    (str(case), _place(case=f"{suite}/{case}"))
                    for case in (row.get("examples") or ())[:3]
                ),
                bar=charts.bar(row["count"], most, f"{counted(row['count'], 'miss', 'misses')}"),
            )
            for row in counts[:MOST]
        ),
    )


def _place(**wanted: str) -> str:
    return "#" + urlencode({name: value for name, value in wanted.items() if value})
