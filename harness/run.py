"""One evaluation run: what was asked of which system, what came back, how it scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from harness.config import Project, SuiteConfig
from harness.declared import metrics_named
from harness.runner import Answer, Batch, Runner
from harness.types import Case, Fingerprint, GateResult, Score, SystemSpec

Key = tuple[str, int]  # case id, epoch
Scores = dict[Key, Score]


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMark:
    """What `@pytest.mark.gate` asks of a metric."""

    at_least: float | None = None
    no_worse_than: str | None = None
    critical: bool = False
    every_epoch: bool = False  # at_least counts the cases that pass in all their epochs (pass^k)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A test module: its cases, the systems it runs on, and what rung.yaml says of it."""

    name: str
    file: Path
    project: Project
    cases: tuple[Case, ...]
    cases_file: Path
    systems: tuple[SystemSpec, ...]
    cluster: str
    config: SuiteConfig

    @property
    def champion(self) -> str:
        """The system now deployed; the first one named where rung.yaml does not say."""
        return self.config.champion or self.systems[0].name

    def group(self, case: Case) -> str:
        """What clusters a case with others; a case without a group stands alone."""
        value = case.metadata.get(self.cluster)
        return str(value) if value is not None else f"case:{case.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeMark:
    """What `@pytest.mark.judge` asks: a system, with a rubric, so many times."""

    system: str
    rubric: str  # a file beside the suite's module
    votes: int = 1
    scale: Sequence[int] | None = None  # least and most of a graded score; None is pass or miss
    passages: bool = False  # the judge sees what the system was given


@dataclass(slots=True, kw_only=True)
class Metric:
    """One test function of a suite."""

    name: str
    version: str
    gate: GateMark | None = None
    judge: JudgeMark | None = None
    graded: bool = False  # becomes true when the function calls `score`


@dataclass(slots=True, kw_only=True)
class SuiteRun:
    """What one suite has done in this session."""

    suite: Suite
    epochs: int
    metrics: dict[str, Metric] = field(default_factory=dict)
    planned: dict[str, dict[str, Case]] = field(default_factory=dict)  # system -> case id -> case
    answers: dict[str, dict[Key, Answer]] = field(default_factory=dict)  # by system
    scores: dict[tuple[str, str], Scores] = field(default_factory=dict)  # by metric and system
    gates: dict[tuple[str, str], list[GateResult]] = field(default_factory=dict)
    narrowed: bool = False  # some cases were left out on purpose

    @property
    def deciding(self) -> list[str]:
        """Metrics that together make a case pass: those that rung.yaml names, else those gated, else all.

        A graded metric has no case that passes or misses, so it never decides. The name of a
        parametrized test function means each of its metrics.
        """
        metrics = {name: metric for name, metric in self.metrics.items() if not metric.graded}
        if named := self.suite.config.decides:
            return metrics_named(metrics, named)
        return [name for name, metric in metrics.items() if metric.gate is not None] or [*metrics]

    @property
    def unanswered(self) -> dict[str, list[Key]]:
        """What systems were asked and had not answered when the session was stopped, by system."""
        epochs = range(self.epochs)
        missing = {
            system: [
                (case, epoch)
                for case in self.planned.get(system, ())
                for epoch in epochs
                if (case, epoch) not in answers
            ]
            for system, answers in self.answers.items()
        }
        return {system: keys for system, keys in missing.items() if keys}

    def plan(self, system: str, cases: Iterable[Case]) -> None:
        """Add cases to the batch that the system will be asked."""
        self.planned.setdefault(system, {}).update((case.id, case) for case in cases)

    def record(self, metric: str, system: str, scores: Iterable[Score]) -> None:
        """Keep the scores of one case."""
        table = self.scores.setdefault((metric, system), {})
        for score in scores:
            table[score.case_id, score.epoch] = score

    def forget(self) -> None:
        """Drop answers and scores once they are written: the pages are made of what was written."""
        for table in (self.planned, self.answers, self.scores):
            table.clear()


class Run:
    """The runs of all suites of a session, over one runner."""

    def __init__(
        self,
        *,
        runner: Runner,
        fingerprint: Callable[[SystemSpec], Fingerprint],
        epochs: int,
    ) -> None:
        self._runner = runner
        self.fingerprint = fingerprint
        self.epochs = epochs
        self.runs: dict[str, SuiteRun] = {}
        self.answer: Callable[[SuiteRun, str, Sequence[Case]], dict[Key, Answer]] = (
            self.answer_all
        )  # how the planned cases of a system are asked

    def run_of(self, suite: Suite) -> SuiteRun:
        """Return the run of a suite, begun when it is first asked for."""
        if suite.name not in self.runs:
            self.runs[suite.name] = SuiteRun(suite=suite, epochs=self.epochs)
        return self.runs[suite.name]

    def answers(self, run: SuiteRun, system: str, case: Case) -> list[Answer]:
        """Return the answers to a case, one an epoch.

        The first call asks the system for every planned case in one batch.
        """
        have = run.answers.setdefault(system, {})
        if (case.id, 0) not in have:
            run.plan(system, [case])
            missing = [c for c in run.planned[system].values() if (c.id, 0) not in have]
            found = self.answer(run, system, missing)
            if run.answers[system]:
                run.answers[system].update(found)
            else:
                run.answers[system] = found  # a million answers are not copied
            have = run.answers[system]
        return [have[case.id, epoch] for epoch in range(run.epochs)]

    def answer_all(self, run: SuiteRun, system: str, cases: Sequence[Case]) -> dict[Key, Answer]:
        """Ask a system of a suite for all of these cases, every epoch, in one batch."""
        spec = next(s for s in run.suite.systems if s.name == system)
        return self.ask(spec, cases, range(run.epochs))

    def check(self, spec: SystemSpec, cases: Sequence[Case]) -> None:
        """Find what is configured wrong in a system that these cases will be asked of."""
        digest = self.fingerprint(spec).digest
        self._runner.check(
            Batch(spec=spec, fingerprint=digest, cases=cases, epochs=range(self.epochs))
        )

    def ask(
        self, spec: SystemSpec, cases: Sequence[Case], epochs: Sequence[int]
    ) -> dict[Key, Answer]:
        """Ask any system, through the cache."""
        digest = self.fingerprint(spec).digest
        return self._runner.run(Batch(spec=spec, fingerprint=digest, cases=cases, epochs=epochs))
