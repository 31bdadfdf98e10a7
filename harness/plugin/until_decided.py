"""`--until-decided`: ask a system in small batches, and stop when nothing about it is open.

Cases come in an order fixed by seed before the run, the same for every system of a suite, so that
systems stay paired. After each batch the gates and the target are looked at with tests that hold at
every look. What is not needed is shown as not run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from harness.errors import ConfigError
from harness.plugin.items import View, score_case
from harness.plugin.judging import Judging
from harness.run import Key, SuiteRun
from harness.runner import Answer
from harness.types import Case

ASK_BATCH = 20
SETTLED = "not needed: everything about this system is settled (--until-decided)"

Ask = Callable[[SuiteRun, str, Sequence[Case]], dict[Key, Answer]]


class UntilDecided:
    """Answers a system's planned cases batch by batch, until the stopping rule has enough."""

    def __init__(self, *, ask: Ask, judging: Judging, views: Iterable[View], seed: int) -> None:
        self._ask = ask
        self._judging = judging
        self._views = views  # of the session's items; read when the first batch is asked
        self._seed = seed

    def __call__(self, run: SuiteRun, system: str, cases: Sequence[Case]) -> dict[Key, Answer]:
        """Return an answer for every case; without an output for those that were not needed."""
        from harness.statistics.sequences import StoppingRule

        views = self._watched(run, system)
        for view in views:
            if not view.short:
                raise ConfigError(
                    "--until-decided scores outputs as they come, and this metric uses other fixtures",
                    file=run.suite.file,
                    key=view.function.__name__,
                )
        ordered = self.order(run, cases)
        run.planned[system] = {case.id: case for case in ordered}  # looks are in this order
        rule = StoppingRule(batch=ASK_BATCH, cap=run.suite.project.decision.max_cases)
        answers: dict[Key, Answer] = {}
        done, open_claims = 0, True
        while count := rule.next_batch(done, ["open"] if open_claims else []):
            batch = ordered[done : done + count]
            if not batch:
                break
            answers |= self._ask(run, system, batch)
            run.answers[system] |= answers
            done += len(batch)
            for view in views:
                for case in batch:
                    score_case(view, case)
            open_claims = any(self._open(v) for v in views) or self._target_open(run, system)
        for case in ordered[done:]:
            for epoch in range(run.epochs):
                answers[case.id, epoch] = Answer(output=None, reason=SETTLED)
        return answers

    def order(self, run: SuiteRun, cases: Sequence[Case]) -> list[Case]:
        """Shuffle by the seed and the suite's name alone; sorted first, so that files may be reordered."""
        ordered = sorted(cases, key=lambda case: case.id)
        random.Random(f"{self._seed}/{run.suite.name}").shuffle(ordered)
        return ordered

    def _watched(self, run: SuiteRun, system: str) -> list[View]:
        """Return one view of each metric of a suite on a system."""
        found = {
            view.metric.name: view
            for view in self._views
            if view.run is run and view.system.name == system and not view.skipped
        }
        return list(found.values())

    def _open(self, view: View) -> bool:
        """Tell whether a gate of a metric still needs cases."""
        from harness.gates import look, watched
        from harness.summary import outcomes_of

        gate = view.metric.gate
        if gate is None or view.system.name != view.run.suite.champion:
            return False
        floors = watched(
            at_least=gate.at_least,
            critical=gate.critical,
            no_worse_than=bool(gate.no_worse_than),
            rule=self._judging.rule(view),
        )
        outcomes = outcomes_of(view.run, view.metric.name, view.system.name)
        if gate.every_epoch:
            outcomes = outcomes.every_epoch()
        seen = look(outcomes, self._judging.stored(view))
        return any(floor.look(seen) == "open" for floor in floors)

    def _target_open(self, run: SuiteRun, system: str) -> bool:
        """Tell whether a system is neither proven above the suite's target nor below it."""
        from harness.gates import Rule, conjunction, look, watched
        from harness.statistics.outcomes import Outcomes
        from harness.summary import groups_of

        target = run.suite.config.target
        deciding = [name for name in run.deciding if (name, system) in run.scores]
        if target is None or not deciding:
            return False
        planned = run.planned[system]
        outcomes = Outcomes.from_scores(
            conjunction([run.scores[name, system].values() for name in deciding]),
            case_ids=list(planned),
            groups=groups_of(run, planned.values()),
        )
        (claim,) = watched(target=target, rule=Rule(alpha=run.suite.project.decision.alpha))
        return claim.look(look(outcomes)) == "open"
