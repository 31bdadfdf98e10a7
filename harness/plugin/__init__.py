"""The pytest plugin: `pytest_plugins = ["harness.plugin"]` in a project's conftest.py.

The engine computes a run; items are views of it. What is configured wrong ends as a usage error
before anything runs. Nothing here is imported or registered in projects that do not name it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

import systems
from harness.cases import own_copy
from harness.errors import RungError
from harness.plugin import datasets, options, short_path, terminal
from harness.plugin.datasets import DATA
from harness.plugin.evaluation import Evaluation
from harness.plugin.items import (
    MISSED,
    OWN_FIXTURES,
    UNDECIDED,
    CaseItem,
    FoldedItem,
    GateItem,
)

EVALUATION = pytest.StashKey[Evaluation]()
MARKS = (
    "suite(cases, systems, cluster='group'): this module is a suite",
    "gate(at_least, no_worse_than, critical, every_epoch): a floor that the champion must hold",
    "judge(system, rubric, votes, scale, passages): the output is judged by a system before the items run",
    datasets.MARK,
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add Rung's options in a group of their own."""
    options.add(parser.getgroup("rung", "evaluation suites (Rung)"))


def pytest_configure(config: pytest.Config) -> None:
    """Check all that can be checked before a module is imported."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    if not hasattr(systems, "KINDS"):
        raise pytest.UsageError(
            f"rung: another package called 'systems' is in the way of Rung's own: {systems.__file__}\n"
            "  Rename it, or keep it out of sys.path when `pytest evals/` runs."
        )
    try:
        config.stash[EVALUATION] = Evaluation(config)
        config.stash[DATA] = datasets.Data(config.stash[EVALUATION])
    except RungError as error:
        raise pytest.UsageError(f"rung: {error}") from None


def evaluation_of(config: pytest.Config) -> Evaluation:
    """Return the evaluation of this session."""
    return config.stash[EVALUATION]


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> Generator[None, Any, Any]:
    """Replace the functions of a suite by its cases, systems and gates."""
    made = yield
    if isinstance(made, list) and all(isinstance(item, pytest.Function) for item in made):
        module = collector.getparent(pytest.Module)
        try:
            datasets.check(made)
            items = evaluation_of(collector.config).items(module, made) if module else None
        except RungError as error:
            evaluation_of(collector.config).misconfigured = True
            raise collector.CollectError(f"rung: {error}") from None
        if items is not None:
            return items
    return made


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the cases that `--case` does not name; look at outputs when they are there."""
    if evaluation_of(config).misconfigured:  # xdist would run the suites that could be collected
        items.clear()
        return
    datasets.last(items)
    wanted = set(config.getoption("rung_case"))
    if wanted:
        out = [i for i in items if isinstance(i, CaseItem) and i.case.id not in wanted]
        if out:
            config.hook.pytest_deselected(items=out)
            gone = set(map(id, out))
            items[:] = [item for item in items if id(item) not in gone]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Fix which cases each system will be asked, in one batch."""
    selected = [item for item in session.items if isinstance(item, CaseItem | FoldedItem)]
    evaluation_of(session.config).plan(selected)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> object:
    """Run short items the short way; give a gate the scores that its own items did not bring."""
    evaluation = evaluation_of(item.config)
    evaluation.reached_last = nextitem is None
    if isinstance(item, CaseItem) and item.view.short and not item.view.marked:
        if evaluation.is_quiet(item):
            short_path.run_short(item, nextitem)
            return True
    elif isinstance(item, GateItem):
        evaluation.complete(item)
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Keep why an item of a suite was skipped: its scores are not run, its gates not judged."""
    try:
        return (yield)
    except (pytest.skip.Exception, pytest.xfail.Exception) as skip:
        if isinstance(item, CaseItem | FoldedItem | GateItem):
            item.leave(f"skipped: {skip.msg}")
        raise


def pytest_report_teststatus(report: pytest.TestReport) -> tuple[str, str, Any] | None:
    """Show a miss as `m` and an undecided gate as `u`, both yellow and neither a failure."""
    if report.when == "call" and report.outcome == "passed" and report.user_properties:
        names = {name for name, _ in report.user_properties}
        if MISSED in names:
            return "missed", "m", ("MISS", {"yellow": True})
        if UNDECIDED in names:
            return "undecided", "u", ("UNDECIDED", {"yellow": True})
    return None


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Store the run, where there was one, and let the gates set the exit code."""
    evaluation = evaluation_of(session.config)
    if evaluation.worker is not None:
        output: dict[str, Any] = session.config.workeroutput  # type: ignore[attr-defined]
        output["rung_misconfigured"] = evaluation.misconfigured
        output["rung_notes"] = evaluation.runner.notes()
        output[datasets.ROWS] = session.config.stash[DATA].rows()
    try:
        session.exitstatus = evaluation.finish(session)
    except RungError as error:
        evaluation.notes.append(str(error))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say what the run found, where the report is, and what the exit code means."""
    terminal.summarise(terminalreporter, evaluation_of(config))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep each suite on one worker, so that its outputs are generated once."""
    if evaluation_of(config).catalogue.suites and config.getoption("dist") == "load":
        from xdist.scheduler import LoadFileScheduling

        return LoadFileScheduling(config, log)
    return None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker which run it belongs to."""
    node.workerinput["rung_run_id"] = evaluation_of(node.config).run_id


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """Learn from a worker that its suites were configured wrong, and what data it measured."""
    output = getattr(node, "workeroutput", None) or {}
    node.config.stash[DATA].handed_over += output.get(datasets.ROWS, [])
    evaluation = evaluation_of(node.config)
    evaluation.misconfigured |= bool(output.get("rung_misconfigured"))
    evaluation.notes += output.get("rung_notes", ())


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Any:
    """The case that this item looks at, a copy: what a fixture changes is in no table."""
    return own_copy(_case_item(request).case)


def _own_fixture(name: str, what: str) -> Any:
    def value(request: pytest.FixtureRequest) -> None:
        _case_item(request)  # its value is bound for each epoch when the function is called

    value.__doc__ = what
    return pytest.fixture(name=name)(value)


output = _own_fixture("output", "What the system answered for the case, epoch by epoch.")
score = _own_fixture("score", "Called with the value of a graded metric.")
judgement = _own_fixture("judgement", "What the judge of this metric said of the output.")
system = _own_fixture("system", "The specification of the system that answered.")


@pytest.fixture
def dataset(request: pytest.FixtureRequest) -> Any:
    """The training rows that `@pytest.mark.dataset` names: `dataset.effective_number >= 60`."""
    try:
        return request.config.stash[DATA].dataset(request.node)
    except RungError as error:
        raise datasets.failure(error) from None


@pytest.fixture
def outputs(request: pytest.FixtureRequest) -> Any:
    """Called with a suite and a system: `outputs("support", "rag").distinct_2 >= 0.3`."""

    def outputs_of(suite: str, system: str) -> Any:
        try:
            return request.config.stash[DATA].outputs(request.node, suite, system)
        except RungError as error:
            raise datasets.failure(error) from None

    return outputs_of


def _case_item(request: pytest.FixtureRequest) -> CaseItem:
    item = request.node
    if not isinstance(item, CaseItem):
        raise pytest.UsageError(
            f"rung: the fixtures {', '.join(sorted(OWN_FIXTURES))} belong to suites:"
            " give the module `pytestmark = pytest.mark.suite(cases=..., systems=[...])`"
        )
    return item
