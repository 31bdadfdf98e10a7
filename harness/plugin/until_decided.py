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
                    key=f"test_{view.metric.name}",
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
            open_claims = any(self._open(view) for view in views)
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
            if view.run is run and view.system.name == system
        }
        return list(found.values())

    def _open(self, view: View) -> bool:
        """Tell whether a gate or the target of a metric still needs cases."""
        from harness.gates import look, watched
        from harness.summary import outcomes_of

        gate, config = view.metric.gate, view.run.suite.config
        gated = gate is not None and view.system.name == view.run.suite.champion
        claims = watched(
            at_least=gate.at_least if gate and gated else None,
            critical=bool(gate and gated and gate.critical),
            no_worse_than=bool(gate and gated and gate.no_worse_than),
            target=config.target if view.metric.name in config.decides else None,
            rule=self._judging.rule(view),
        )
        outcomes = outcomes_of(view.run, view.metric.name, view.system.name)
        if gate and gated and gate.every_epoch:
            outcomes = outcomes.every_epoch()
        seen = look(outcomes, self._judging.stored(view))
        return any(claim.look(seen) == "open" for claim in claims)
