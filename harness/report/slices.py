"""Pass rates by tag: where the champion is weakest, and whether another system is better there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.report import charts
from harness.report.charts import Reading, Scale
from harness.report.data import RunData, SuiteData
from harness.report.ladders import deciding_metrics
from harness.report.wording import percent, span

MOST_TAGS = 8  # of a suite
LEAST_CASES = 10  # below this a tag's rate is no finding


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """One tag of one suite."""

    tag: str
    cases: int
    plot: Markup
    champion: str
    limits: str
    best: str
    best_system: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceGroup:
    """The tags of one suite, the champion's weakest first."""

    suite: str
    metric: str
    system: str
    rows: tuple[SliceRow, ...]
    left: int  # tags that are not shown


def groups(run: RunData) -> list[SliceGroup]:
    """Build the tables of tags."""
    found = []
    for suite in run.suites.values():
        metrics = deciding_metrics(run, suite)
        group = _group(run, suite, metrics[0]) if metrics else None
        if group is not None and len(group.rows) > 1:
            found.append(group)
    return found


def finding(groups: list[SliceGroup]) -> str:
    """Name the weakest tag of all."""
    rows = [
        (row.value, group, row)
        for group in groups
        for row in group.rows
        if row.value is not None and row.cases >= LEAST_CASES
    ]
    if not rows:
        return "Pass rates by tag"
    value, group, row = min(rows, key=lambda item: item[0])
    return (
        f"'{row.tag}' in {group.suite} is the weakest: '{group.system}' passes {percent(value)} %"
    )


def _group(run: RunData, suite: SuiteData, metric: str) -> SliceGroup | None:
    by_tag: dict[str, dict[str, dict[str, Any]]] = {}
    for row in run.of_suite("slices", suite.name):
        if row["metric"] == metric:
            by_tag.setdefault(row["tag"], {})[row["system"]] = row
    if suite.champion is None:
        return None
    target = suite.info.get("target")
    rows = [
        _row(tag, systems, suite.champion, target)
        for tag, systems in by_tag.items()
        if suite.champion in systems
    ]
    rows.sort(key=lambda row: (row.value is None, row.value, row.tag))
    return SliceGroup(
        suite=suite.name,
        metric=metric,
        system=suite.champion,
        rows=tuple(rows[:MOST_TAGS]),
        left=max(0, len(rows) - MOST_TAGS),
    )


def _row(
    tag: str, systems: dict[str, dict[str, Any]], champion: str, target: float | None
) -> SliceRow:
    own = systems[champion]
    others = [row for name, row in systems.items() if name != champion and row["value"] is not None]
    best = max(others, key=lambda row: row["value"], default=None)
    readings = [(_reading(own), "c")] + ([(_reading(best), "")] if best else [])
    words = f"{percent(own['value'])} % ({span(own['low'], own['high'])})"
    label = f"{tag}: {champion} {words}"
    if best:
        label += f"; {best['system']} {percent(best['value'])} %"
    return SliceRow(
        tag=tag,
        cases=own.get("n") or 0,
        plot=charts.pair(readings, Scale(), label, target=target),
        champion=percent(own["value"]),
        limits=span(own["low"], own["high"]),
        best=percent(best["value"]) if best else "",
        best_system=best["system"] if best else "",
        value=own["value"],
    )


def _reading(row: dict[str, Any]) -> Reading:
    return Reading(value=row["value"], low=row["low"], high=row["high"])
