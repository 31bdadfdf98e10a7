"""What a suite's labels say of one run: causes of its misses, its expected answers, its judges.

A label counts for the answer that was looked at. Where the system answers otherwise by now, or the
case has left the suite, the label waits; how many do is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any, Protocol

from harness.desk.labels import Label, LabelBook, label_file, majority
from harness.desk.outputs import Place, RunOutputs
from harness.desk.progress import audit, expected_hash, unswayed
from harness.desk.tags import apply_labels
from harness.error_analysis import Miss, find_misses, read_overrides
from harness.error_analysis.misses import answer_hash
from harness.judges import Label as JudgeLabel
from harness.judges import read_labels
from harness.types import Case


class RunOfSuite(Protocol):
    """One suite of a run, as labels are held against it."""

    @property
    def suite(self) -> str:
        """Its name."""
        ...

    @property
    def cases(self) -> Mapping[str, Case]:
        """Its cases by id."""
        ...

    def answer(self, system: str, place: Place) -> str | None:
        """Return what a system answered; None where the run has no such output."""
        ...

    def misses(self, system: str) -> list[Miss]:
        """Return the misses of a system by rule, on every metric."""
        ...

    def passed(self, metric: str, system: str) -> Mapping[Place, bool]:
        """Return which outputs a metric passed, of those that it scored."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteLabels:
    """Everything that people wrote about a suite, beside it."""

    suite: str
    evals: Path
    labels: tuple[Label, ...] = ()
    unread: int = 0  # lines that are no labels

    @property
    def misses_file(self) -> Path:
        return self.evals / f"{self.suite}.misses.csv"

    @property
    def judge_files(self) -> list[Path]:
        return sorted((self.evals / "labels").glob(f"{self.suite}.*.judge.csv"))

    def judge_file(self, system: str, metric: str) -> Path:
        """Return the labels that were exported, or written by hand, for a judge."""
        return self.evals / "labels" / f"{self.suite}.{system}.{metric}.judge.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Labels of a suite: those that are of this run's answers, and those that wait."""

    labels: int
    people: tuple[str, ...]
    case_gone: int
    answer_changed: int
    not_run: int  # outputs that this run does not have
    unread: int

    @property
    def waiting(self) -> str | None:
        """Say what does not count at present; None when everything does."""
        parts = [
            f"{number:,} {what}"
            for number, what in (
                (self.case_gone, "of cases that left the suite"),
                (self.answer_changed, "of answers that the system does not give now"),
                (self.not_run, "of outputs that this run does not have"),
                (self.unread, "that cannot be read"),
            )
            if number
        ]
        return f"labels that do not count here: {', '.join(parts)}" if parts else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelsOfJudge:
    """Labels of a random sample of one system's outputs, asked about one metric."""

    labels: tuple[JudgeLabel, ...] = ()
    waiting: int = 0
    human_agreement: float | None = None  # share of outputs with two answers or more that agree
    pairs: int = 0  # of answers that the share is over


@dataclass(frozen=True)
class StoredSuite:
    """A suite of a stored run."""

    outputs: RunOutputs
    suite: str

    @cached_property
    def cases(self) -> Mapping[str, Case]:
        return self.outputs.cases(self.suite)

    def answer(self, system: str, place: Place) -> str | None:
        if not self.outputs.has(self.suite, system, place):
            return None
        return self.outputs.text(self.suite, system, place)

    def misses(self, system: str) -> list[Miss]:
        found = self.outputs.scores(self.suite, system)
        missed = {
            place: [s for s in scores if s.state in ("missed", "errored")]
            for place, scores in found.items()
        }
        places = [
            p for p, scores in missed.items() if scores and self.answer(system, p) is not None
        ]
        return find_misses(
            system,
            [self.cases[case] for case, _ in places],
            [self.outputs.output(self.suite, system, place) for place in places],
            [score for place in places for score in missed[place]],
        )

    def passed(self, metric: str, system: str) -> dict[Place, bool]:
        return {
            place: score.state == "passed"
            for place, scores in self.outputs.scores(self.suite, system).items()
            for score in scores
            if score.metric == metric and score.state in ("passed", "missed")
        }


def read_suite_labels(evals: Path, suite: str) -> SuiteLabels:
    """Read the labels of a suite; a file that is not there holds none."""
    book = LabelBook(label_file(evals, suite))
    book.refresh()
    return SuiteLabels(suite=suite, evals=evals, labels=tuple(book.all()), unread=book.problems)


def with_causes(said: SuiteLabels, misses: Iterable[Miss]) -> list[Miss]:
    """Give misses the causes that people gave, at the desk and in the suite's CSV."""
    return apply_labels(misses, said.labels, read_overrides(said.misses_file))


def count_labels(said: SuiteLabels, run: RunOfSuite) -> Counted:
    """Count the labels by whether they are of this run's answers."""
    kept = [label for label in said.labels if label.case in run.cases]
    found = [run.answer(label.system, (label.case, label.epoch)) for label in kept]
    current = sum(_is_current(label, run) for label in kept)
    not_run = found.count(None)
    return Counted(
        labels=current,
        people=tuple(sorted({label.who for label in said.labels})),
        case_gone=len(said.labels) - len(kept),
        answer_changed=len(kept) - not_run - current,
        not_run=not_run,
        unread=said.unread,
    )


def audit_evidence(said: SuiteLabels, run: RunOfSuite) -> dict[str, int] | None:
    """Count the expected answers that were checked and found wrong; None where nobody looked.

    One that was mended since it was looked at says nothing any more.
    """
    kept = [
        label
        for label in said.labels
        if label.case in run.cases
        and label.expected_hash in (None, expected_hash(run.cases[label.case]))
    ]
    found = audit(kept)
    return {"checked": found.audited, "wrong": len(found.wrong)} if found.audited else None


def labels_of_judge(
    said: SuiteLabels, run: RunOfSuite, *, system: str, metric: str
) -> LabelsOfJudge:
    """Gather what people said of a judged metric: the desk's labels before those of the CSV.

    Only random samples count, and of them only answers given before anybody could see what the judge
    had said.
    """
    about = [
        label for label in unswayed(said.labels) if (label.system, label.metric) == (system, metric)
    ]
    current = [label for label in about if _is_current(label, run)]
    found = {(label.case_id, label.epoch): label for label in _written(said, system, metric)}
    written = len(found)
    found = {place: label for place, label in found.items() if _is_of(label, run, system)}
    waiting = len(about) - len(current) + written - len(found)
    for (_, case, epoch, digest, _), (right, who) in majority(current).items():
        found[case, epoch] = JudgeLabel(
            case_id=case,
            epoch=epoch,
            passed=right,
            source="human",
            labeller="+".join(who),
            answer_hash=digest,
        )
    agreed, pairs = _agreement(current)
    return LabelsOfJudge(
        labels=tuple(found.values()),
        waiting=waiting,
        human_agreement=agreed / pairs if pairs else None,
        pairs=pairs,
    )


def _written(said: SuiteLabels, system: str, metric: str) -> Sequence[JudgeLabel]:
    path = said.judge_file(system, metric)
    return read_labels(path) if path.is_file() else ()


def _is_of(label: JudgeLabel, run: RunOfSuite, system: str) -> bool:
    text = run.answer(system, (label.case_id, label.epoch))
    return text is not None and label.answer_hash in ("", answer_hash(text))


def _is_current(label: Label, run: RunOfSuite) -> bool:
    text = run.answer(label.system, (label.case, label.epoch)) if label.case in run.cases else None
    return text is not None and answer_hash(text) == label.answer_hash


def _agreement(labels: Sequence[Label]) -> tuple[int, int]:
    """Count the pairs of people that answered the same of an output, and all pairs."""
    by_output: dict[Any, list[str]] = {}
    for label in labels:
        by_output.setdefault(label.key, []).append(label.label)
    pairs = [pair for said in by_output.values() for pair in combinations(said, 2)]
    return sum(a == b for a, b in pairs), len(pairs)
