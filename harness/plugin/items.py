"""Items that pytest shows: a case on a system, a whole suite folded, a gate. Each views a run."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial, wraps
from typing import Any, cast

import pytest
from _pytest.tmpdir import tmppath_result_key

from harness.cases import own_copy
from harness.design import visible
from harness.errors import RungError
from harness.plugin.score_sink import ScoreSink
from harness.plugin.subtests import ENDS_THE_SESSION, Subtests
from harness.run import GateMark, Metric, Run, SuiteRun
from harness.runner import Answer
from harness.types import Case, GateKind, GateResult, Score, ScoreState, SystemSpec

# The fixtures that a suite's functions may ask for; whoever asks for no others runs the short way.
OWN_FIXTURES = frozenset({"case", "output", "score", "judgement", "system"})
NOT_CALLED = "the metric takes `score` and did not call it"
MISSED, UNDECIDED = "missed", "undecided"  # names in `user_properties`, and so in JUnit


class OutputError(Exception):
    """The system could not answer: the item is red, and no traceback of ours would help."""


class MetricError(Exception):
    """The metric is written so that it says nothing: its text says how to write it."""


class GateFailed(Exception):
    """The floor of a gate is broken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What an item looks at."""

    session: Run
    run: SuiteRun
    metric: Metric
    system: SystemSpec
    function: Callable[..., Any]
    wanted: frozenset[str]  # the names of the function's parameters
    judgements: Callable[[View], Mapping[tuple[str, int], Any]]  # of the metric's judge
    short: bool = True  # the function needs nothing of pytest's fixtures
    marked: bool = False  # it has a mark on which pytest skips an item, or turns its outcome
    skipped: bool = False  # such a mark leaves out every case


@dataclass(slots=True, kw_only=True)
class Result:
    """Scores of one case, and what was raised first that is an outcome of pytest."""

    scores: list[Score] = field(default_factory=list)
    crash: BaseException | None = None
    expected: BaseException | None = None  # `pytest.xfail` in the function

    def first(self, state: ScoreState) -> Score | None:
        """Return the first score in this state."""
        return next((score for score in self.scores if score.state == state), None)

    def add(self, score: Score, raised: BaseException | None) -> None:
        """Take in the score of an epoch."""
        self.scores.append(score)
        if isinstance(raised, pytest.xfail.Exception):
            self.expected = self.expected or raised
        else:
            self.crash = self.crash or raised


def no_fixtures(epoch: int) -> Mapping[str, Any]:
    """What a function is given that asks for nothing of pytest's."""
    return {}


def score_case(
    view: View, case: Case, fixtures: Callable[[int], Mapping[str, Any]] = no_fixtures
) -> Result:
    """Score every epoch of one case, each with its own fixtures, and record the scores in the run."""
    result = Result()
    for epoch, answer in enumerate(view.session.answers(view.run, view.system.name, case)):
        try:
            given = fixtures(epoch)
        except ENDS_THE_SESSION:
            raise
        except pytest.skip.Exception as skip:
            result.add(_score(view, case, epoch, "not_run", reason=f"skipped: {skip.msg}"), None)
        except BaseException as crash:
            result.add(_score(view, case, epoch, "errored", reason=_told(crash)), crash)
        else:
            result.add(*score_epoch(view, case, epoch, answer, given))
    view.run.record(view.metric.name, view.system.name, result.scores)
    return result


def leave_case(view: View, case: Case, reason: str) -> None:
    """Record that a case was not run, and why."""
    epochs = range(view.run.epochs)
    scores = [_score(view, case, epoch, "not_run", reason=reason) for epoch in epochs]
    view.run.record(view.metric.name, view.system.name, scores)


def _score(
    view: View,
    case: Case,
    epoch: int,
    state: ScoreState,
    value: float | None = None,
    reason: str | None = None,
) -> Score:
    return Score(
        case_id=case.id,
        epoch=epoch,
        metric=view.metric.name,
        state=state,
        value=value,
        reason=reason,
    )


def score_epoch(
    view: View, case: Case, epoch: int, answer: Answer, fixtures: Mapping[str, Any]
) -> tuple[Score, BaseException | None]:
    """Score one answer; return the score, and what was raised where that is an outcome of pytest."""
    scored = partial(_score, view, case, epoch)
    output = answer.output
    if output is None:
        return scored("not_run", reason=answer.reason), None
    if output.error is not None:
        said = visible(output.error)  # it may quote what a server or a file says
        crash = OutputError(f"{view.system.name} gave no output for {case.id}: {said}")
        return scored("errored", reason=output.error), crash
    sink = ScoreSink()
    offered = {"output": output, "score": sink, "system": view.system}
    if "case" in view.wanted:
        offered["case"] = own_copy(case)  # what it changes is seen by no other, and in no table
    if "judgement" in view.wanted:
        judgement = view.judgements(view)[case.id, epoch]
        if judgement.unscored:
            return scored("unscored", reason=judgement.reason), None
        offered["judgement"] = judgement
    arguments = dict(fixtures) | {k: v for k, v in offered.items() if k in view.wanted}
    try:
        returned: object = view.function(**arguments)
    except ENDS_THE_SESSION:
        raise
    except AssertionError as miss:
        view.metric.graded |= sink.called
        value = sink.value if sink.called else 0.0
        return scored("missed", value, _first_lines(str(miss)) or "assertion failed"), None
    except pytest.skip.Exception as skip:
        return scored("unscored", reason=str(skip.msg)), None
    except pytest.xfail.Exception as expected:
        return scored("unscored", reason=f"xfail: {expected.msg}"), expected
    except BaseException as crash:  # pytest goes on after any other, and so does a suite
        return scored("errored", reason=_told(crash)), crash
    view.metric.graded |= sink.called
    if returned is not None:
        fault = MetricError(
            f"{view.function.__name__} returned a {type(returned).__name__}:"
            " did you mean `assert` instead of `return`?"
        )
        return scored("errored", reason=str(fault)), fault
    if not sink.called and "score" in view.wanted:
        return scored("unscored", reason=NOT_CALLED), None
    if sink.called and sink.value is None:
        return scored("unscored", reason=sink.reason or "no value was given"), None
    return scored("passed", sink.value if sink.called else 1.0, sink.reason), None


def _told(crash: BaseException) -> str:
    return f"{type(crash).__name__}: {_first_lines(str(crash))}"


def _first_lines(text: str, limit: int = 500) -> str:
    """Shorten a reason: the first lines say what was expected, the rest repeats the output."""
    text = text.removeprefix("AssertionError: ").strip()
    return text if len(text) <= limit else f"{text[:limit]}..."


class CaseItem(pytest.Function):
    """`test_x[system:case]`: one metric of one case on one system, all epochs."""

    view: View
    case: Case
    _subtests: Subtests  # of the epoch

    def runtest(self) -> None:
        """Score the case with the fixtures that pytest set up."""
        view = replace(self.view, function=self._with_subtests()) if self._parts else self.view
        conclude(self, score_case(view, self.case, self._fixtures))

    def setup(self) -> None:
        """Set up what the function asks for, unless that is nothing of pytest's."""
        if self.view.short:
            return
        if self._parts:
            self._subtests = Subtests()
            # Fixtures may hold pytest's object: it stays, and hands on what it is asked for.
            self._request.getfixturevalue("subtests").test = self._subtests.test
        super().setup()

    @property
    def _parts(self) -> bool:
        return "subtests" in self.fixturenames

    def _with_subtests(self) -> Callable[..., Any]:
        function = self.view.function

        @wraps(function)
        def call(**arguments: Any) -> Any:
            return self._subtests.call(function, **arguments)

        return call

    def _fixtures(self, epoch: int) -> Mapping[str, Any]:
        """Return what pytest set up for an epoch."""
        if self.view.short:
            return {}
        if epoch:
            self._set_up_again()
        others = self.view.wanted - OWN_FIXTURES
        return {name: value for name, value in self.funcargs.items() if name in others}

    def _set_up_again(self) -> None:
        """Give an epoch fixtures of its own; those of a wider scope than the function stay."""
        state = self.session._setupstate
        self.stash.setdefault(
            tmppath_result_key, {}
        )  # what reports leave for the end of `tmp_path`
        state.teardown_exact(cast(pytest.Item, self.parent))
        self._initrequest()
        state.setup(self)
        if "caplog" in self.fixturenames:  # pytest empties it between phases, and this is none
            self._request.getfixturevalue("caplog").clear()

    def leave(self, reason: str) -> None:
        """Keep why the case was not run."""
        leave_case(self.view, self.case, reason)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show a failed system in one line; show a crash of the user's code as pytest does."""
        return str(excinfo.value) if plain(excinfo.value) else super().repr_failure(excinfo)


def plain(error: BaseException) -> bool:
    """Tell whether an error is its message: no traceback for what is not a fault of code."""
    return isinstance(error, OutputError | MetricError | GateFailed | RungError)


def conclude(item: pytest.Item, result: Result) -> None:
    """Turn scores into an outcome of the item: raise what is red or skipped, mark what is missed."""
    if result.crash is not None:
        raise result.crash
    if miss := result.first("missed"):
        item.user_properties.append((MISSED, miss.reason or ""))
    elif result.expected is not None:
        raise result.expected
    elif absent := result.first("not_run"):
        pytest.skip(f"not run: {absent.reason}")
    elif unscored := result.first("unscored"):
        pytest.skip(f"unscored: {unscored.reason}")


class FoldedItem(pytest.Item):
    """`test_x[system]`: every case of a suite in one item, the same scores."""

    view: View
    cases: Sequence[Case]
    obj: Callable[..., Any]  # whose globals a condition of `skipif` may name

    def runtest(self) -> None:
        """Score all cases; the first crash is raised when all are done."""
        crash: BaseException | None = None
        crashed = missed = absent = 0
        for case in self.cases:
            result = score_case(self.view, case)
            crashed += result.crash is not None
            crash = crash or result.crash
            missed += result.first("missed") is not None
            absent += result.first("not_run") is not None
        if crash is not None:
            note = f"{crashed} of {len(self.cases)} cases errored; the first:"
            raise OutputError(f"{note} {type(crash).__name__}: {crash}") from crash
        if missed:
            self.user_properties.append((MISSED, f"{missed} of {len(self.cases)} cases"))
        elif absent:
            pytest.skip(f"{absent} of {len(self.cases)} cases not run")

    def leave(self, reason: str) -> None:
        """Keep why the cases were not run."""
        for case in self.cases:
            leave_case(self.view, case, reason)

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show the first error in one line."""
        return str(excinfo.value) if plain(excinfo.value) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Any, int, str]:
        """Place the item at its function."""
        return self.path, _line_of(self.view.function), self.name


class GateItem(pytest.Item):
    """`test_x.gate[system]`: the floors of one metric, judged over all its cases."""

    view: View
    obj: Callable[..., Any]
    items: Sequence[CaseItem | FoldedItem]  # of its cases, selected or not
    judge: Callable[[View], list[GateResult]]

    def runtest(self) -> None:
        """Judge the gate; raise when it failed."""
        results = self.judge(self.view)
        self.view.run.gates[self.view.metric.name, self.view.system.name] = results
        self.user_properties.extend((f"gate_{r.kind}", r.state) for r in results)
        failed = [r.reason for r in results if r.state == "failed"]
        if failed:
            raise GateFailed("\n".join(failed))
        if open_gates := [r.reason for r in results if r.state == "undecided"]:
            self.user_properties.append((UNDECIDED, "\n".join(open_gates)))
        elif results and all(r.state == "not_judged" for r in results):
            pytest.skip(f"not judged: {results[0].reason}")

    def leave(self, reason: str) -> None:
        """Keep why no floor was judged."""
        view, gate = self.view, self.view.metric.gate
        assert gate is not None
        view.run.gates[view.metric.name, view.system.name] = [
            GateResult(
                suite=view.run.suite.name,
                metric=view.metric.name,
                system=view.system.name,
                kind=kind,
                state="not_judged",
                reason=reason,
            )
            for kind in _kinds(gate)
        ]

    def unscored_items(self) -> Iterator[CaseItem | FoldedItem]:
        """Yield the items whose cases have no score yet."""
        scores = self.view.run.scores.get((self.view.metric.name, self.view.system.name), {})
        for item in self.items:
            cases = [item.case] if isinstance(item, CaseItem) else item.cases
            if any((case.id, 0) not in scores for case in cases):
                yield item

    def repr_failure(self, excinfo: Any, style: Any = None) -> Any:
        """Show why the gate failed, and nothing of our code."""
        return str(excinfo.value) if plain(excinfo.value) else super().repr_failure(excinfo)

    def reportinfo(self) -> tuple[Any, int, str]:
        """Place the item at its function; pytest would read a dot in its name as a class."""
        return self.path, _line_of(self.view.function), self.name.replace(".gate[", " gate[")


def _kinds(gate: GateMark) -> Iterator[GateKind]:
    """Yield the floors that a mark sets, in the order in which they are judged."""
    if gate.critical:
        yield "critical"
    if gate.at_least is not None:
        yield "at_least"
    if gate.no_worse_than is not None:
        yield "no_worse_than"


def _line_of(function: Callable[..., Any]) -> int:
    line: int = inspect.unwrap(function).__code__.co_firstlineno
    return line - 1
