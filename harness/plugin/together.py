"""The last look of a session: all suites against the blessed run as one, shown beside the gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from harness.plugin.blessed import Baseline
from harness.plugin.second_look import may_vary
from harness.run import SuiteRun
from harness.types import Score

FEWEST_SUITES = 2  # of one suite its gate says more


def look_together(runs: Sequence[SuiteRun], baseline: Baseline) -> dict[str, Any] | None:
    """Return the row of run.json; None where fewer than two suites can be compared.

    Of each suite it takes the champion and the pass/miss metrics that are gated against the baseline:
    a case passes when all of them hold.
    """
    if baseline.document is None:
        return None
    from harness.gates import Rule, compare_together
    from harness.statistics.outcomes import Outcomes

    sides, named, varies = [], [], False
    for run in runs:
        now, before = _scores(run, baseline)
        if now and before and not run.narrowed:
            sides.append((Outcomes.from_scores(now), Outcomes.from_scores(before)))
            named.append(run.suite.name)
            spec = next(s for s in run.suite.systems if s.name == run.suite.champion)
            varies |= may_vary(spec)
    if len(sides) < FEWEST_SUITES:
        return None
    found = compare_together(sides, varies=varies, rule=Rule(alpha=_alpha(runs)))
    return asdict(found) | {"suites": named, "sentence": found.sentence}


def _scores(run: SuiteRun, baseline: Baseline) -> tuple[list[Score], list[Score]]:
    """Return the champion's scores by all gated metrics at once, now and in the baseline."""
    from harness.gates import conjunction

    suite = run.suite
    gated = [
        metric.name
        for metric in run.metrics.values()
        if metric.gate is not None and metric.gate.no_worse_than and not metric.graded
    ]
    stored = baseline.comparable_scores([run])
    known = [
        name
        for name in gated
        if (name, suite.champion) in run.scores and (suite.name, name, suite.champion) in stored
    ]
    if not known:
        return [], []
    now = conjunction([run.scores[name, suite.champion].values() for name in known])
    before = conjunction([stored[suite.name, name, suite.champion] for name in known])
    return now, before


def _alpha(runs: Sequence[SuiteRun]) -> float:
    return min(run.suite.project.decision.alpha for run in runs)
