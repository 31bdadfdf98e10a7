"""From the test functions of a suite to its items: cases x systems, then the gates."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from _pytest.skipping import evaluate_skip_marks

from harness.declared import GRADED, Qualified, metric_names
from harness.errors import ConfigError
from harness.plugin.asking import Judges
from harness.plugin.items import OWN_FIXTURES, CaseItem, FoldedItem, GateItem, View
from harness.plugin.options import leaves_in
from harness.run import Metric, Run, Suite
from harness.suites import (
    Catalogue,
    check_decides,
    make_gate,
    make_judge,
    metric_version,
    no_such_metric,
)
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
    _names: dict[str, Mapping[Qualified, str]] = field(default_factory=dict)  # by suite
    _owners: dict[tuple[str, str], str] = field(
        default_factory=dict
    )  # node ids, by suite and metric

    def suite_of(self, module: pytest.Module) -> Suite | None:
        """Return the suite of a module, or None where it is an ordinary test module."""
        mark = next((m for m in module.own_markers if m.name == "suite"), None)
        if mark is None:
            return None
        return self.catalogue.suite(module.path, mark.kwargs)

    def items(self, suite: Suite, functions: Sequence[pytest.Function]) -> Iterator[pytest.Item]:
        """Yield the items of one test function, each of its parametrizations as pytest would have run it."""
        names = [self._name(suite, function) for function in functions]
        self._check_parameters(suite, names)
        for name, function in zip(names, functions, strict=True):
            if inspect.iscoroutinefunction(function.obj):
                raise _fault(
                    "a metric cannot be a coroutine: nothing in it has to wait",
                    function,
                    hint="Write `def` instead of `async def`; systems may be asynchronous.",
                )
            marks = {mark.name: mark for mark in function.iter_markers()}
            metric = self._metric(suite, name, function, marks)
            for system in suite.systems:
                if leaves_in(self.options, system.name):
                    yield from self._system_items(suite, metric, system, function)

    def _name(self, suite: Suite, function: pytest.Function) -> str:
        """Name the metric of a function; its class is in the name where the suite has several such."""
        if suite.name not in self._names:
            module = function.getparent(pytest.Module)
            assert module is not None
            functions = functions_of(module)
            names = metric_names(functions)
            graded = {names[path]: _takes_score(f) for path, f in functions.items()}
            check_decides(suite, graded)
            self._names[suite.name] = names
        classes = [node.name for node in function.listchain() if isinstance(node, pytest.Class)]
        short = function.originalname
        name = self._names[suite.name].get((*classes, short), short.removeprefix("test_"))
        return name + function.name.removeprefix(short)

    def _check_parameters(self, suite: Suite, names: Sequence[str]) -> None:
        """Find a deciding metric whose parameters the function does not have."""
        base = names[0].partition("[")[0] if names else ""
        for name in suite.config.decides:
            if name.startswith(f"{base}[") and name not in names:
                raise no_such_metric(suite, name, (base, *names))

    def _metric(
        self,
        suite: Suite,
        name: str,
        function: pytest.Function,
        marks: Mapping[str, pytest.Mark],
    ) -> Metric:
        metrics = self.session.run_of(suite).metrics
        owner = self._owners.setdefault((suite.name, name), function.nodeid)
        if owner != function.nodeid:
            raise _fault(
                f"the metric '{name}' is already {owner}", function, hint="Rename one of them."
            )
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


def functions_of(module: pytest.Module) -> dict[Qualified, Callable[..., Any]]:
    """Find the test functions of a module and of its classes, whichever of them pytest was asked for."""
    return dict(_functions_of(module, vars(module.obj), ()))


def _functions_of(
    module: pytest.Module, names: Mapping[str, Any], above: Qualified
) -> Iterator[tuple[Qualified, Callable[..., Any]]]:
    for name, value in names.items():
        if inspect.isclass(value):
            if module.istestclass(value, name) and _is_collected(value):
                inherited = {
                    n: v for base in reversed(value.__mro__) for n, v in vars(base).items()
                }
                yield from _functions_of(module, inherited, (*above, name))
        elif module.istestfunction(value, name) and getattr(value, "__test__", True):
            yield (*above, name), getattr(value, "__func__", value)


def _is_collected(cls: type) -> bool:
    """Tell whether pytest makes items of a class that is named as a test, and these are metrics."""
    unittest = sys.modules.get("unittest")  # whoever has a TestCase has imported it
    made = any({"__init__", "__new__"} & vars(base).keys() for base in cls.__mro__[:-1])
    return (
        not made
        and getattr(cls, "__test__", True)
        and not (unittest is not None and issubclass(cls, unittest.TestCase))
    )


def _takes_score(function: Callable[..., Any]) -> bool:
    with suppress(TypeError, ValueError):  # no signature: pytest will not make a test of it either
        return GRADED in inspect.signature(function).parameters
    return False


def _fault(message: str, function: pytest.Function, *, hint: str) -> ConfigError:
    return ConfigError(
        message,
        file=function.path,
        line=inspect.unwrap(function.obj).__code__.co_firstlineno,
        key=function.name,
        hint=hint,
    )


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
    """Keep what would break a node id or a terminal line out of an item's name; no two ids look alike."""
    shown = case_id.encode("unicode_escape").decode("ascii").replace("::", ":\\x3a")
    return shown.replace("|", "\\x7c").replace("/", "|")
