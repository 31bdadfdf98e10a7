"""A suite's own assertions, asked about training rows: what would miss is not worth training on."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.errors import ConfigError
from harness.run import Suite
from harness.training_rows import TrainingRow
from harness.types import Case, Output

GIVEN = frozenset({"case", "output", "score", "system"})


class NoReference(BaseException):
    """A metric asked what is expected of a row that nobody has labelled.

    Not an Exception: a metric that catches what its own parsing raises must not catch this.
    """


class UnlabelledCase:
    """A case without an expected output, which says so when it is asked for."""

    def __init__(self, case: Case) -> None:
        self._case = case

    @property
    def expected_output(self) -> Any:
        """Nobody has said."""
        raise NoReference

    def __getattr__(self, name: str) -> Any:
        return getattr(self._case, name)


class SuiteAssertions:
    """The metrics of a suite that need nothing but a case and an output.

    Parameters
    ----------
    suite : Suite
        Its module is imported, as pytest would.
    expected : mapping of str to str, optional
        What is expected of a row, by the `source` in its metadata; for a source of None nobody said.
        Without it a row's own output is what is expected: its form is checked.
    """

    def __init__(self, suite: Suite, expected: Mapping[str, str | None] | None = None) -> None:
        self._expected = expected
        self._parsed = any(
            case.expected_output is not None and not isinstance(case.expected_output, str)
            for case in suite.cases
        )
        self._fields = any(isinstance(case.input, Mapping) for case in suite.cases)
        self.metrics: dict[str, Callable[..., Any]] = {}
        self.unchecked: set[str] = set()  # metrics that nothing could be asked of
        for name, function in vars(_imported(suite.file)).items():
            if name.startswith("test_") and inspect.isfunction(function):
                metric = name.removeprefix("test_")
                if set(inspect.signature(function).parameters) <= GIVEN:
                    self.metrics[metric] = function
                else:
                    self.unchecked.add(metric)

    def __call__(self, row: TrainingRow) -> str | None:
        """Say which metric a row misses and why, or None."""
        wanted = row.output
        if self._expected is not None:
            wanted = self._expected.get(str(row.metadata.get("source")))
        try:
            case = self._case(row, wanted)
        except ValueError:
            return "format: the output is no JSON, as the suite's expected outputs are"
        shown = case if wanted is not None else UnlabelledCase(case)
        output = Output(case_id=case.id, epoch=0, text=row.output or "")
        for metric, function in self.metrics.items():
            reason = self._miss(metric, function, shown, output)
            if reason is not None:
                return f"{metric}: {reason}"
        return None

    def _miss(
        self, metric: str, function: Callable[..., Any], case: Any, output: Output
    ) -> str | None:
        offered = {"case": case, "output": output, "score": _ignore, "system": None}
        wanted = inspect.signature(function).parameters
        try:
            function(**{name: offered[name] for name in wanted})
        except AssertionError as miss:
            return str(miss).partition("\n")[0][:200] or "the assertion does not hold"
        except (NoReference, pytest.skip.Exception):
            self.unchecked.add(metric)
        except Exception as crash:
            return f"{type(crash).__name__}: {crash}"
        return None

    def _case(self, row: TrainingRow, wanted: str | None) -> Case:
        return Case(
            id=row.id or "made",
            input=row.fields if self._fields and row.fields else row.input,
            expected_output=json.loads(wanted) if self._parsed and wanted is not None else wanted,
            metadata=row.metadata,
        )


def _ignore(value: float | None, *, reason: str | None = None) -> None:
    """A graded metric says how good, not whether it is good enough."""


def _imported(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"rung_suite_{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with _importable(file.parent):
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise ConfigError(
                f"this suite cannot be imported: {type(error).__name__}: {error}", file=file
            ) from error
    return module


@contextmanager
def _importable(*folders: Path) -> Iterator[None]:
    """Let a suite import what lies beside it."""
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in (*folders, *(f.parent for f in folders))]
    try:
        yield
    finally:
        sys.path[:] = before
