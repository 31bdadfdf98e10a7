"""Judged metrics: the judge is asked about all answers of a system in one batch, through the cache."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import ConfigError
from harness.run import JudgeMark, Metric, Run, Suite
from harness.runner import CachedSystem
from harness.types import Case, Output

if TYPE_CHECKING:
    from harness.judges import Judgement, Rubric
    from harness.plugin.items import View


def rubric_of(suite: Suite, mark: JudgeMark) -> Rubric:
    """Read the rubric of a mark: pass or miss, or a score on the mark's scale."""
    from harness.judges import read_rubric

    path = suite.file.parent / mark.rubric
    if mark.scale is None:
        return read_rubric(path, passages=mark.passages)
    low, high = mark.scale
    return read_rubric(path, kind="graded", low=low, high=high, passages=mark.passages)


class Judges:
    """What the judges of a session said, by suite, metric and system."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._said: dict[tuple[str, str, str], dict[tuple[str, int], Judgement]] = {}

    def version(self, suite: Suite, metric: Metric) -> str:
        """Version a judged metric by its function, its rubric and its judge."""
        assert metric.judge is not None
        rubric = rubric_of(suite, metric.judge)
        judge = self._run.fingerprint(suite.project.system(metric.judge.system))
        return f"{metric.version}-{rubric.version}-{judge.digest[:12]}"

    def judgements(self, view: View) -> Mapping[tuple[str, int], Any]:
        """Return the judgements of a metric's judge by case and epoch."""
        key = (view.run.suite.name, view.metric.name, view.system.name)
        if key not in self._said:
            planned = list(view.run.planned[view.system.name].values())
            answered = [
                (case, answer.output)
                for case in planned
                for answer in self._run.answers(view.run, view.system.name, case)
                if answer.output is not None
            ]
            self._said[key] = self.ask(view, answered)
        return self._said[key]

    def ask(
        self, view: View, answered: Sequence[tuple[Case, Output]]
    ) -> dict[tuple[str, int], Judgement]:
        """Ask the judge of a metric about these outputs, in one batch."""
        from harness.judges import ask

        suite, mark = view.run.suite, view.metric.judge
        if mark is None:
            raise ConfigError(
                "`judgement` needs a judge",
                file=suite.file,
                key=f"test_{view.metric.name}",
                hint='Mark the function: @pytest.mark.judge(system="...", rubric="...").',
            )
        judge = CachedSystem(spec=suite.project.system(mark.system), ask=self._run.ask)
        rubric = rubric_of(suite, mark)
        said = ask(judge, rubric, answered, votes=mark.votes)
        return {(judgement.case_id, judgement.epoch): judgement for judgement in said}
