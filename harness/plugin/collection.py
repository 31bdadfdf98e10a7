"""From the test functions of a suite to its items: cases x systems, then the gates."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from _pytest.skipping import evaluate_skip_marks

from harness.errors import ConfigError
from harness.plugin.asking import Judges
from harness.plugin.items import OWN_FIXTURES, CaseItem, FoldedItem, GateItem, View
from harness.plugin.options import leaves_in
from harness.run import Metric, Run, Suite
from harness.suites import Catalogue, make_gate, make_judge, metric_version
from harness.types import SystemSpec

FOLD_ABOVE_CASES = 5_000
FOLD_ABOVE_ITEMS = 20_000
OUTCOME_MARKS = frozenset({"skip", "skipif", "xfail"})  # pytest acts on them in its own protocol
OWN_MARKS = frozenset({"gate", "judge"})  # `-k gate` and `-m gate` mean the gates, not their cases


@dataclass(slots=True, kw_only=True)
class Collector:
    """Makes the items of every suite; remembers them, so that a gate knows its cases."""

    catalogue: Catalogue
    session: Run
    judge: Any  # called with a View, returns the results of its gates
    asking: Judges
    options: pytest.Config
    created: list[CaseItem | FoldedItem] = field(default_factory=list)
    views: list[View] = field(default_factory=list)

    def suite_of(self, module: pytest.Module) -> Suite | None:
        """Return the suite of a module, or None where it is an ordinary test module."""
        mark = next((m for m in module.own_markers if m.name == "suite"), None)
        if mark is None:
            return None
        return self.catalogue.suite(module.path, mark.kwargs)

    def items(self, suite: Suite, functions: Sequence[pytest.Function]) -> Iterator[pytest.Item]:
        """Yield the items of test functions, each given as pytest would have run it."""
        for function in functions:
            if inspect.iscoroutinefunction(function.obj):
                raise ConfigError(
                    "a metric cannot be a coroutine: nothing in it has to wait",
                    file=suite.file,
                    line=inspect.unwrap(function.obj).__code__.co_firstlineno,
                    key=function.name,
                    hint="Write `def` instead of `async def`; systems may be asynchronous.",
                )
            marks = {mark.name: mark for mark in function.iter_markers()}
            metric = self._metric(suite, function, marks)
            for system in suite.systems:
                if leaves_in(self.options, system.name):
                    yield from self._system_items(suite, metric, system, function)

    def _metric(
        self, suite: Suite, function: pytest.Function, marks: Mapping[str, pytest.Mark]
    ) -> Metric:
        name = function.name.removeprefix("test_")
        metrics = self.session.run_of(suite).metrics
        if name not in metrics:
            metric = Metric(name=name, version=metric_version(_source(function)))
            if "gate" in marks:
                metric.gate = make_gate(marks["gate"].kwargs, file=suite.file)
            if "judge" in marks:
                metric.judge = make_judge(
                    marks["judge"].kwargs, project=suite.project, file=suite.file
                )
                metric.version = self.asking.version(suite, metric)
            metrics[name] = metric
        return metrics[name]

    def _system_items(
        self, suite: Suite, metric: Metric, system: SystemSpec, function: pytest.Function
    ) -> Iterator[pytest.Item]:
        view = View(
            session=self.session,
            run=self.session.run_of(suite),
            metric=metric,
            system=system,
            function=function.obj,
            wanted=frozenset(inspect.signature(function.obj).parameters),
            judgements=self.asking.judgements,
            short=_is_short(function),
            marked=_is_marked(function),
            skipped=_is_marked(function) and evaluate_skip_marks(function) is not None,
        )
        items: list[CaseItem | FoldedItem]
        if self._folds(view):
            items = [self._folded(view, function)]
        else:
            items = list(self._cases(view, function))
        self.views.append(view)
        self.created.extend(items)
        yield from items
        if metric.gate is not None and (
            system.name == suite.champion or self.options.getoption("rung_all_gates")
        ):
            yield self._gate(view, function, items)

    def _folds(self, view: View) -> bool:
        if not view.short:
            return False
        suite = view.run.suite
        asked = self.options.getoption("rung_items")
        if asked is not None:
            return bool(asked == "suite")
        items = len(suite.cases) * len(suite.systems)
        return len(suite.cases) > FOLD_ABOVE_CASES or items > FOLD_ABOVE_ITEMS

    def _cases(self, view: View, function: pytest.Function) -> Iterator[CaseItem]:
        base, _, own = function.name.partition("[")
        prefix = f"{own.removesuffix(']')}-" if own else ""
        assert function.parent is not None
        function_id = function.parent.id.child(base)
        marks = [mark for mark in function.own_markers if mark.name not in OWN_MARKS]
        for case in view.run.suite.cases:
            parameters = f"{prefix}{view.system.name}:{_printable(case.id)}"
            item: CaseItem = CaseItem.from_parent(
                function.parent,
                name=f"{base}[{parameters}]",
                callobj=function.obj,
                callspec=getattr(function, "callspec", None),
                fixtureinfo=function._fixtureinfo,
                originalname=function.originalname,
            )
            # pytest takes the id from a parametrization, and a case is none.
            item._id = function_id.with_params(parameters)
            item.own_markers = marks.copy()
            item.view, item.case = view, case
            yield item

    def _folded(self, view: View, function: pytest.Function) -> FoldedItem:
        assert function.parent is not None
        item: FoldedItem = FoldedItem.from_parent(
            function.parent,
            name=f"{function.name}[{view.system.name}]",
        )
        wanted = self.options.getoption("rung_case")
        cases = view.run.suite.cases
        item.own_markers = _outcome_marks(function)
        item.view, item.obj = view, function.obj
        item.cases = [c for c in cases if c.id in wanted] if wanted else cases
        return item

    def _gate(
        self, view: View, function: pytest.Function, items: Sequence[CaseItem | FoldedItem]
    ) -> GateItem:
        name = f"{function.name}.gate[{view.system.name}]"
        assert function.parent is not None
        item: GateItem = GateItem.from_parent(
            function.parent, name=name, nodeid=f"{function.parent.nodeid}::{name}"
        )
        item.add_marker(pytest.mark.gate)
        item.own_markers += _outcome_marks(function)
        item.view, item.items, item.judge = view, items, self.judge
        item.obj = function.obj
        return item


def _source(function: pytest.Function) -> str:
    try:
        return inspect.getsource(inspect.unwrap(function.obj))
    except OSError:
        return function.name


def _is_marked(function: pytest.Function) -> bool:
    """Tell whether a mark of the function, its class or its module may skip it or turn its outcome."""
    return any(mark.name in OUTCOME_MARKS for mark in function.iter_markers())


def _outcome_marks(function: pytest.Function) -> list[pytest.Mark]:
    return [mark for mark in function.own_markers if mark.name in OUTCOME_MARKS]


def _is_short(function: pytest.Function) -> bool:
    """Tell whether a function needs nothing but Rung's own fixtures."""
    parameters = inspect.signature(function.obj).parameters
    # Rung's own fixtures ask for `request`, so it is in every closure.
    closure = set(function.fixturenames) - {"request"}
    return not hasattr(function, "callspec") and OWN_FIXTURES.issuperset(closure | set(parameters))


def _printable(case_id: str) -> str:
    """Keep what would break a node id or a terminal line out of an item's name."""
    shown = case_id.encode("unicode_escape").decode("ascii") if not case_id.isascii() else case_id
    return shown.replace("::", ":").replace("\n", "\\n").replace("/", "|")
