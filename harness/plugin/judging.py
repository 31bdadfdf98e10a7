"""Gates of a session: which rule judges which mark, against which baseline."""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from harness.errors import ConfigError
from harness.plugin.items import View
from harness.plugin.second_look import SecondLook, why_once
from harness.run import GateMark, Run
from harness.types import GateKind, GateResult

if TYPE_CHECKING:
    import numpy as np

    from harness.gates import Rule, Subject
    from harness.statistics.outcomes import Outcomes

SEED = 0  # of every random draw in a session; written into run.json


class Judging:
    """The gates of a session, each by the rule that rung.yaml and the session's mode give it."""

    def __init__(
        self, *, again: SecondLook, run: Run, sequential: bool = False, all_systems: bool = False
    ) -> None:
        self._baseline = again.baseline
        self._again = again
        self._run = run
        self._sequential = sequential  # cases were looked at in batches
        self._all_systems = all_systems

    def rule(self, view: View) -> Rule:
        """Return the error levels of a metric's gates."""
        from harness.gates import Rule

        decision = view.run.suite.project.decision
        return Rule(
            alpha=decision.alpha,
            family=self._family,
            margin=decision.tolerated_loss,
            cap=decision.max_cases,
            sequential=self._sequential,
        )

    @cached_property
    def _family(self) -> int:
        """Count the gates against the baseline in this session: alarms are corrected for them."""
        alarms = sum(
            len(run.suite.systems) if self._all_systems else 1
            for run in self._run.runs.values()
            for metric in run.metrics.values()
            if metric.gate is not None and metric.gate.no_worse_than is not None
        )
        return max(1, alarms)

    def judge(self, view: View) -> list[GateResult]:
        """Judge each floor that the gate mark of a metric sets."""
        from harness.gates import judge_at_least, judge_critical, through_judge
        from harness.plugin.calibrating import LiveSuite
        from harness.summary import outcomes_of

        gate = view.metric.gate
        assert gate is not None
        subject, rule = _subject(view), self.rule(view)
        outcomes = outcomes_of(view.run, view.metric.name, view.system.name)
        rng = _rng(subject)
        results: list[GateResult] = []
        if gate.critical:
            results.append(judge_critical(outcomes, subject=subject, rule=rule))
        if gate.at_least is not None:
            counted = outcomes.every_epoch() if _over_epochs(gate, outcomes) else outcomes
            results.append(
                judge_at_least(counted, gate.at_least, subject=subject, rule=rule, rng=rng)
            )
        if gate.no_worse_than is not None:
            results.append(self._against(view, outcomes, rng))
        if view.metric.judge is not None:
            trust = LiveSuite(view.run).trust(view.metric.name, view.system.name)
            return [through_judge(result, outcomes, trust, rule=rule) for result in results]
        return results

    def _against(self, view: View, outcomes: Outcomes, rng: np.random.Generator) -> GateResult:
        """Judge a system against its blessed run: once, or twice where its answers vary."""
        from harness.gates import judge_no_worse_than, screen

        subject, rule = _subject(view), self.rule(view)
        stored = self.stored(view)
        if stored is None:
            return _open(subject, "no_worse_than", self._why_none(view))
        screened, note = None, why_once(view)
        if note is None:
            screened = screen(outcomes, stored, rule=rule)
            if screened.flagged:
                screened, note = self._again.at(view, screened, outcomes, stored)
        judged = judge_no_worse_than(
            outcomes, stored, subject=subject, rule=rule, screened=screened, rng=rng
        )
        differences = self._baseline.differences(view.run)
        notes = [n for n in (note, *(differences.of_cases if differences else ())) if n]
        return replace(judged, reason="; ".join([judged.reason, *notes]))

    def stored(self, view: View) -> Outcomes | None:
        """Return the blessed run's outcomes of a metric and system, where it has them."""
        return self._baseline.outcomes(view.run, view.metric.name, view.system.name)

    def _why_none(self, view: View) -> str:
        if self._baseline.name == "none":
            return "--baseline none"
        if self._baseline.changed(view.run.suite.name, view.metric):
            return (
                "the metric is another one than the blessed run measured;"
                " `rung bless RUN` stores a run of this one"
            )
        differences = self._baseline.differences(view.run)
        if differences is not None and not differences.cases:
            return "; ".join(["no case is the same as in the blessed run", *differences.of_cases])
        return "no blessed run has this metric; `rung bless RUN` stores one"


def _over_epochs(gate: GateMark, outcomes: Outcomes) -> bool:
    if gate.every_epoch and outcomes.values is not None:
        raise ConfigError("every_epoch=True is for metrics that pass or miss", key="gate")
    return gate.every_epoch


def _subject(view: View) -> Subject:
    from harness.gates import Subject

    return Subject(suite=view.run.suite.name, metric=view.metric.name, system=view.system.name)


def _open(subject: Subject, kind: GateKind, reason: str) -> GateResult:
    return GateResult(
        suite=subject.suite,
        metric=subject.metric,
        system=subject.system,
        kind=kind,
        state="not_judged",
        reason=reason,
    )


def _rng(subject: Subject) -> np.random.Generator:
    """Draw for each gate from a stream of its own: the order of gates must not matter."""
    import numpy as np

    name = f"{subject.suite}/{subject.metric}/{subject.system}"
    return np.random.default_rng([SEED, zlib.crc32(name.encode())])
