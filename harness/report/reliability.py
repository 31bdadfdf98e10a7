"""What did not come back as it should: errors, unscored answers, retries, and cases that flicker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from harness.report import charts
from harness.report.data import (
    ERRORED,
    MISSED,
    NOT_RUN,
    PASSED,
    UNSCORED,
    RunData,
    SuiteData,
    inside,
)
from harness.report.ladders import deciding_metrics
from harness.report.wording import agreeing, counted, listed, percent
from harness.types import INPUT_REFUSED, OUTPUT_WITHHELD

MODERATED = (INPUT_REFUSED, OUTPUT_WITHHELD)
MOST = 8  # systems shown before they are asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Reliability:
    """One system on one suite."""

    suite: str
    system: str
    champion: bool
    outputs: int  # that were asked for
    errored: int
    unscored: int
    not_run: int
    retried: int
    flaky: int | None  # cases that passed and missed; None with one epoch
    moderated: str  # what moderation refused and withheld; empty where nothing
    always: str  # the share of cases passed in every epoch
    cached: str
    bar: Markup

    @property
    def lost(self) -> int:
        return self.errored + self.unscored + self.not_run

    @property
    def notable(self) -> bool:
        """Whether there is anything to see but noughts."""
        return bool(self.lost or self.retried or self.flaky or self.moderated)


def _always(run: RunData, suite: SuiteData, system: str) -> str:
    """How many cases of the first deciding metric were passed in every epoch."""
    decides = deciding_metrics(run, suite)[:1]
    for row in run.of_suite("repeated", suite.name):
        if row["system"] == system and row["metric"] in decides:
            return percent(inside(row, "pass_hat_k", "value"))
    return "–"


def rows(run: RunData) -> list[Reliability]:
    """Build the table, a row for each system of each suite."""
    found = [_row(run, suite, s) for suite in run.suites.values() for s in suite.systems]
    return sorted(found, key=lambda row: (-row.lost, not row.champion))


def section(run: RunData) -> dict[str, Any]:
    """Build what the template shows: what is worth a look first, the noughts when asked for."""
    found = rows(run)
    worth = [row for row in found if row.notable]
    return {
        "rows": found,
        "finding": finding(found),
        "shown": worth[:MOST],
        "folded": worth[MOST:] + [row for row in found if not row.notable],
        "repeated": any(row.always != "–" for row in found),
    }


def finding(found: list[Reliability]) -> str:
    """State what was lost in a sentence."""
    outputs = sum(row.outputs for row in found)
    flaky = sum(row.flaky or 0 for row in found)
    parts = _lost(found)
    if parts:
        text = f"Of {counted(outputs, 'output')} {listed(parts)}"
    elif outputs == 1:
        text = "The one output came back and was scored"
    else:
        text = f"All {outputs:,} outputs came back and were scored" if outputs else "No output yet"
    flicker = agreeing(flaky, "flickers", "flicker")
    return text + (f"; {counted(flaky, 'case')} {flicker} between epochs" if flaky else "")


def _lost(found: list[Reliability]) -> list[str]:
    errored, unscored, not_run = (
        sum(getattr(row, name) for row in found) for name in ("errored", "unscored", "not_run")
    )
    parts = [f"{errored:,} errored"] if errored else []
    parts += [f"{unscored:,} {agreeing(unscored, 'has', 'have')} no score"] if unscored else []
    parts += [f"{not_run:,} {agreeing(not_run, 'was', 'were')} not run"] if not_run else []
    return parts


def _row(run: RunData, suite: SuiteData, system: str) -> Reliability:
    states = suite.states[:, suite.systems.index(system)]  # (metrics, cases, epochs)
    errored = int((states == ERRORED).any(0).sum())
    unscored = int(((states == UNSCORED).any(0) & ~(states == ERRORED).any(0)).sum())
    not_run = int((states == NOT_RUN).any(0).sum())
    present = int((states > 0).any(0).sum())
    usage = next((u for u in run.of_suite("usage", suite.name) if u["system"] == system), {})
    answered = usage.get("outputs") or present - not_run
    good = max(0, present - errored - unscored - not_run)
    parts = [(good, "b3"), (unscored, "b2"), (errored, "bad"), (not_run, "b1")]
    return Reliability(
        suite=suite.name,
        system=system,
        champion=system == suite.champion,
        outputs=answered + not_run,
        errored=errored,
        unscored=unscored,
        not_run=not_run,
        retried=usage.get("retried") or 0,
        flaky=_flaky(states) if suite.epochs > 1 else None,
        moderated=moderated(usage),
        always=_always(run, suite, system),
        cached=percent((usage.get("cached") or 0) / answered, digits=0) if answered else "–",
        bar=charts.stacked(parts, f"{good} scored, {unscored} unscored, {errored} errored"),
    )


def moderated(usage: Mapping[str, Any]) -> str:
    """Write what moderation did; empty for nothing, and for runs that did not count it."""
    refused, withheld = (usage.get(key) for key in MODERATED)
    parts = [f"{counted(refused, 'input')} refused"] if refused else []
    parts += [f"{counted(withheld, 'output')} withheld"] if withheld else []
    return ", ".join(parts)


def _flaky(states: np.ndarray) -> int:
    both = (states == PASSED).any(2) & (states == MISSED).any(2)
    return int(both.any(0).sum())
