"""What the module of a suite declares: marks and test functions, read from its source alone."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

FUNCTIONS, CLASSES = "test_", "Test"  # what pytest takes for tests, unless it is told otherwise
UNITTEST = "TestCase"  # how its base classes end; pytest runs their tests as ordinary ones
GRADED = "score"  # the argument of a graded metric

Qualified = tuple[str, ...]  # the classes around a function, and its own name
Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(slots=True)
class Declared:
    """The test functions of a module; None for one whose source is elsewhere."""

    functions: dict[Qualified, Definition | None] = field(default_factory=dict)
    complete: bool = True  # nothing was taken from elsewhere that may hold more of them

    @property
    def graded(self) -> dict[str, bool]:
        """Each metric by name, a parametrized one without its parameters, and whether it is graded."""
        names = metric_names(self.functions)
        return {names[path]: _takes_score(found) for path, found in self.functions.items()}


def metric_names(functions: Iterable[Qualified]) -> dict[Qualified, str]:
    """Name the metrics of a suite: by the function, and by its class too where a name is shared.

    >>> metric_names([("TestTone", "test_ok"), ("TestSafety", "test_ok"), ("test_short",)]).values()
    dict_values(['TestTone.ok', 'TestSafety.ok', 'short'])
    """
    short = {path: path[-1].removeprefix(FUNCTIONS) for path in functions}
    count = Counter(short.values())
    return {
        path: name if count[name] == 1 else ".".join((*path[:-1], name))
        for path, name in short.items()
    }


def metrics_named(metrics: Iterable[str], named: Collection[str]) -> list[str]:
    """Those metrics that are named; the name of a parametrized function means each of its metrics.

    >>> metrics_named(["has[a]", "has[b]", "is_brief"], ["has"])
    ['has[a]', 'has[b]']
    """
    return [name for name in metrics if name in named or name.partition("[")[0] in named]


def declared_in(tree: ast.Module) -> Declared:
    """Find the test functions of a module, those of its classes and those that it imports by name."""
    found = Declared()
    classes = {node.name: node for node in _statements(tree) if isinstance(node, ast.ClassDef)}
    _take_in(found, tree, (), classes)
    return found


def marks_in(tree: ast.AST) -> Iterator[ast.expr]:
    """Yield what may be a mark of a module, its classes and functions, wherever it is written down.

    What a function does when it is called marks nothing.
    """
    for node in _statements(tree):
        if isinstance(node, ast.ClassDef | Definition):
            for mark in node.decorator_list:
                yield from _calls(mark) if isinstance(mark, ast.Call) else (mark,)
        if isinstance(node, ast.ClassDef):
            yield from marks_in(node)
        elif not hasattr(node, "body"):
            yield from _calls(node)


def _calls(node: ast.AST) -> Iterator[ast.expr]:
    return (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))


def _take_in(
    found: Declared, tree: ast.AST, above: Qualified, classes: Mapping[str, ast.ClassDef]
) -> None:
    for node in _statements(tree):
        if isinstance(node, ast.ClassDef):
            if node.name.startswith(CLASSES):
                _take_in_class(found, node, (*above, node.name), classes)
        elif isinstance(node, Definition):
            if node.name.startswith(FUNCTIONS):
                found.functions[*above, node.name] = node
        else:
            for name in _bound(node):
                if name.startswith(FUNCTIONS):
                    found.functions[*above, name] = None
                found.complete &= name != "*" and not name.startswith(CLASSES)


def _take_in_class(
    found: Declared, node: ast.ClassDef, path: Qualified, classes: Mapping[str, ast.ClassDef]
) -> None:
    bases = [getattr(base, "attr", getattr(base, "id", "")) for base in node.bases]
    if any(base.endswith(UNITTEST) for base in bases):
        return
    others = {name: other for name, other in classes.items() if other is not node}
    for base in bases:
        if base in others:
            _take_in_class(found, others[base], path, others)
        else:
            found.complete &= base in ("object", "ABC")
    _take_in(found, node, path, classes)


def _statements(tree: ast.AST) -> Iterator[ast.stmt]:
    """Yield the statements of a module or class, also those inside an `if`, a `try` or a `with`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.expr | ast.ClassDef | Definition):
            yield from _statements(node)


def _bound(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement gives to what it takes from elsewhere."""
    if isinstance(node, ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))


def _takes_score(function: Definition | None) -> bool:
    if function is None:
        return False
    arguments = function.args
    return any(
        a.arg == GRADED for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    )
