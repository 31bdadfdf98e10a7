"""What can be known of a suite's metrics without importing its module."""

from __future__ import annotations

import ast

import pytest

from harness.declared import declared_in, marks_in, metric_names


def declared(source: str) -> tuple[set[str], bool]:
    """The metrics of a module's source, and whether these are all."""
    found = declared_in(ast.parse(source))
    return set(found.graded), found.complete


@pytest.mark.parametrize(
    ("source", "metrics"),
    [
        ("def test_a(): pass\ndef helper(): pass", {"a"}),
        ("class TestX:\n def test_a(self): pass\n def b(self): pass", {"a"}),
        ("class TestX:\n class TestY:\n  def test_a(self): pass", {"a"}),
        ("class Helper:\n def test_a(self): pass", set()),
        ("class TestX(unittest.TestCase):\n def test_a(self): pass", set()),
        ("class Base:\n def test_a(self): pass\nclass TestX(Base): pass", {"a"}),
        ("if FAST:\n def test_a(): pass\nelse:\n def test_b(): pass", {"a", "b"}),
        ("def outer():\n def test_a(): pass", set()),
        ("from checks import test_a, test_b as test_c", {"a", "c"}),
        ("test_a = make(3)", {"a"}),
        ("async def test_a(): pass", {"a"}),
    ],
)
def test_the_metrics_of_a_module(source, metrics) -> None:
    assert declared(source) == (metrics, True)


@pytest.mark.parametrize(
    "source",
    [
        "from checks import *",
        "from checks import TestCommon",
        "TestCommon = make()",
        "from checks import Common\nclass TestX(Common): pass",
        "import checks\nclass TestX(checks.Common[int]): pass",
    ],
)
def test_what_comes_from_elsewhere_may_hold_more(source) -> None:
    assert declared(source) == (set(), False)


def test_a_metric_that_takes_a_score_is_graded() -> None:
    found = declared_in(ast.parse("def test_a(output, *, score): pass\ndef test_b(output): pass"))
    assert found.graded == {"a": True, "b": False}


def test_a_class_is_in_the_name_only_where_it_is_needed() -> None:
    paths = [("test_a",), ("TestX", "test_a"), ("TestX", "TestY", "test_a"), ("TestX", "test_b")]
    assert list(metric_names(paths).values()) == ["a", "TestX.a", "TestX.TestY.a", "b"]


def test_marks_are_found_wherever_they_are_written_down() -> None:
    source = (
        "pytestmark = [mark(1)]\n"
        "floor = mark(2)\n"
        "@mark(3)\nclass TestX:\n pytestmark = mark(4)\n @mark(5)\n def test_a(self):\n  mark(6)\n"
        "@parametrize('x', [param(1, marks=mark(7))])\n@bare\ndef test_b(x): pass\n"
    )
    marks = [ast.unparse(mark) for mark in marks_in(ast.parse(source))]
    found = [mark for mark in marks if mark.startswith(("mark(", "bare"))]
    assert found == ["mark(1)", "mark(2)", "mark(3)", "mark(4)", "mark(5)", "mark(7)", "bare"]
