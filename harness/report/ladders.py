"""Each suite on its ladder: where its systems stand, against which target, and what is concluded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from harness.escalation import outcomes_of_run
from harness.report import charts
from harness.report.charts import Mark, Reading, Scale
from harness.report.data import MISSED, PASSED, RunData, SuiteData, inside
from harness.report.verdicts import Fact, earned_rung, facts
from harness.report.wording import (
    amount,
    counted,
    listed,
    percent,
    phrase,
    span,
)
from harness.types import RUNGS

WHOLE = Scale()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One system on a ladder."""

    system: str
    rung: str
    champion: bool
    probe: bool
    oracle: bool
    reading: Reading
    passed: int
    scored: int
    plot: Markup

    @property
    def words(self) -> str:
        return percent(self.reading.value)

    @property
    def limits(self) -> str:
        return span(self.reading.low, self.reading.high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One suite of the page."""

    suite: str
    cases: int
    verdict: Mapping[str, Any] | None
    say: str
    facts: tuple[Fact, ...]
    rungs: tuple[tuple[str, tuple[Standing, ...]], ...]  # highest first
    absent: str  # what is said of a rung without a system
    justified: str | None
    target: float | None
    target_label: Markup | None
    axis: Markup
    empty: Markup
    deciding: tuple[str, ...]
    table: tuple[dict[str, Any], ...]
    systems: tuple[str, ...]
    champion: str | None
    steps: Markup

    @property
    def action(self) -> str | None:
        return str(self.verdict["action"]) if self.verdict else None


def percent_axis() -> Markup:
    """The axis of pass rates."""
    return charts.axis(WHOLE, [(0, "0"), (0.5, "50"), (1, "100 %")])


def cards(run: RunData) -> list[Card]:
    """Build the card of every suite."""
    verdicts = {row["suite"]: row for row in run.rows("verdicts")}
    return [_card(run, suite, verdicts.get(suite.name)) for suite in run.suites.values()]


def deciding_metrics(run: RunData, suite: SuiteData) -> tuple[str, ...]:
    """Return the metrics that make a case pass, as the verdict takes them."""
    row = {**suite.info, "name": suite.name, "metrics": suite.metrics}
    return tuple(outcomes_of_run.deciding_metrics(run.document, row))


def standings(run: RunData, suite: SuiteData) -> list[Standing]:
    """Return where each system stands: the share of cases on which every deciding metric holds."""
    metrics = deciding_metrics(run, suite)
    target = suite.info.get("target")
    found = []
    for system in suite.systems if metrics else ():
        reading, passed, scored = _pass_rate(run, suite, metrics, system)
        probe, oracle = _role(run, suite.name, system)
        champion = system == suite.champion
        kind: Mark = "ring" if probe else "diamond" if oracle else "dot"
        label = f"{system}: {passed:,} of {scored:,} passed, {percent(reading.value)} % ({span(reading.low, reading.high)})"
        found.append(
            Standing(
                system=system,
                rung=run.rungs.get(system, "prompt"),
                champion=champion,
                probe=probe,
                oracle=oracle,
                reading=reading,
                passed=passed,
                scored=scored,
                plot=charts.interval(
                    reading,
                    WHOLE,
                    label,
                    references=[] if target is None else [(target, "tgt")],
                    kind=kind,
                    look="c" if champion else "",
                ),
            )
        )
    return found


def _role(run: RunData, suite: str, system: str) -> tuple[bool, bool]:
    """Return whether a system is a probe, and whether it is given the gold passages."""
    for verdict in run.of_suite("verdicts", suite):
        for known in inside(verdict, "evidence", "systems") or ():
            if known.get("name") == system:
                return bool(known.get("probe")), bool(known.get("oracle"))
    row = next((s for s in run.rows("systems") if s["name"] == system), {})
    return False, str((row.get("parts") or {}).get("retriever")) == "oracle"


def _judged(run: RunData, suite: str, system: str) -> tuple[Reading, int, int] | None:
    """Return the counts that the suite's verdict stands on: it may have judged locked cases alone."""
    for verdict in run.of_suite("verdicts", suite):
        for known in inside(verdict, "evidence", "systems") or ():
            passed, n = (inside(known, "outcomes", key) for key in ("passed", "n"))
            if known.get("name") == system and n:
                from harness.statistics.rates import Clustered, clustered_interval, wilson

                worth, clusters, unequal = (
                    inside(known, "outcomes", k)
                    for k in ("n_effective", "clusters", "effective_clusters")
                )
                low, high = wilson(passed, n)
                if worth and clusters:
                    data = Clustered(
                        mean=passed / n,
                        n=n,
                        n_effective=worth,
                        clusters=clusters,
                        effective_clusters=unequal,
                    )
                    low, high = clustered_interval(data)
                return Reading(value=passed / n, low=low, high=high), round(passed), n
    return None


def _pass_rate(
    run: RunData, suite: SuiteData, metrics: tuple[str, ...], system: str
) -> tuple[Reading, int, int]:
    judged = _judged(run, suite.name, system)
    if judged is not None:
        return judged
    if len(metrics) == 1:
        row = run.estimate(suite.name, metrics[0], system)
        if row is None:
            return Reading(value=None), 0, 0
        reading = Reading(value=row["value"], low=row["low"], high=row["high"])
        return reading, row["passed"], row["passed"] + row["missed"]
    from harness.statistics.outcomes import Outcomes

    at = [suite.metrics.index(metric) for metric in metrics]
    states = suite.states[at, suite.systems.index(system)]
    passed = (states == PASSED).all(0).sum(1)
    scored = ((states == PASSED).all(0) | (states == MISSED).any(0)).sum(1)
    kept = np.flatnonzero(scored)
    if not len(kept):
        return Reading(value=None), 0, 0
    ids = [suite.cases[i] for i in kept.tolist()]
    estimate = Outcomes.from_counts(ids, passed[kept], scored[kept]).estimate()
    reading = Reading(value=estimate.value, low=estimate.low, high=estimate.high)
    return reading, int(passed.sum()), int(scored.sum())


def _card(run: RunData, suite: SuiteData, verdict: Mapping[str, Any] | None) -> Card:
    found = standings(run, suite)
    target = suite.info.get("target")
    champion_rung = run.rungs.get(suite.champion or "")
    by_rung = tuple(
        (rung, tuple(s for s in reversed(found) if s.rung == rung)) for rung in reversed(RUNGS)
    )
    references = [] if target is None else [(target, "tgt")]
    justified = earned_rung(verdict, champion_rung)
    return Card(
        suite=suite.name,
        cases=len(suite.cases),
        verdict=verdict,
        say=str(verdict["sentence"]) if verdict else _plain_sentence(suite, found, target),
        facts=tuple(facts(verdict)) if verdict else (),
        rungs=by_rung if found else (),
        absent="not set up"
        if run.rungs.keys() >= set(suite.info["systems"])
        else "none in this run",
        justified=justified,
        target=target,
        target_label=None
        if target is None
        else charts.target_label(WHOLE, target, f"target {100 * target:.4g} %"),
        axis=percent_axis(),
        empty=charts.interval(Reading(value=None), WHOLE, "", references=references),
        deciding=deciding_metrics(run, suite),
        table=tuple(_metric_rows(run, suite)),
        systems=suite.systems,
        champion=suite.champion,
        steps=charts.rungs(champion_rung, justified),
    )


def _plain_sentence(suite: SuiteData, found: list[Standing], target: float | None) -> str:
    """State the finding where no verdict was reached."""
    known = [s for s in found if s.reading.value is not None]
    if not known:
        return f"{counted(len(suite.cases), 'case')}; nothing here passes or misses."
    best = max(known, key=lambda s: s.reading.value or 0.0)
    champion = next((s for s in known if s.champion), None)
    text = f"{best.system} passes {best.words} % ({best.limits})"
    if champion is None:
        pass
    elif champion is best:
        text += ", and it is the champion" if len(known) > 1 else ", the champion"
    else:
        text += f"; {champion.system}, the champion, {champion.words} % ({champion.limits})"
    return text + ("." if target is not None else ". No target is set, so nothing is concluded.")


def _metric_rows(run: RunData, suite: SuiteData) -> list[dict[str, Any]]:
    """Every metric on every system: the value with its interval, and what was not scored."""
    rows = []
    for metric in suite.metrics:
        cells: list[dict[str, str] | None] = []
        for system in suite.systems:
            row = run.estimate(suite.name, metric, system)
            if row is None:
                cells.append(None)
                continue
            write = percent if row.get("kind", "rate") in ("rate", "aggregate") else amount
            lost = [
                f"{row[state]:,} {phrase(state)}"
                for state in ("unscored", "errored", "not_run")
                if row.get(state)
            ]
            cells.append(
                {
                    "value": write(row["value"]),
                    "limits": span(row["low"], row["high"], write=write),
                    "counts": f"{row['passed']:,} of {row['passed'] + row['missed']:,}"
                    if row.get("kind") == "rate"
                    else f"{row.get('n') or 0:,} scored",
                    "lost": listed(lost),
                }
            )
        kinds = {
            r.get("kind") for r in run.of_suite("estimates", suite.name) if r["metric"] == metric
        }
        rows.append({"metric": metric, "unit": "mean" if "mean" in kinds else "%", "cells": cells})
    return rows
