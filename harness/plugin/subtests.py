"""`subtests` inside a metric: parts that fail together say what became of the case.

pytest reports a failed part as a failure of its own, and goes on. In a suite a case that is missed is
data and no failure, so the parts are put together into one outcome of the metric.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

ENDS_THE_SESSION = (KeyboardInterrupt, pytest.exit.Exception)  # nothing else may
NO_SCORE = (pytest.skip.Exception, pytest.xfail.Exception)


class Subtests:
    """What a metric's `subtests` records; used as pytest's own."""

    def __init__(self) -> None:
        self._raised: list[tuple[str, BaseException]] = []

    @contextmanager
    def test(self, msg: str | None = None, **kwargs: Any) -> Iterator[None]:
        """Run a part of the metric; what it raises is kept, and the other parts run."""
        values = ", ".join(f"{name}={value!r}" for name, value in kwargs.items())
        with self._part(" ".join(filter(None, [msg, f"({values})" if values else None]))):
            yield

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        try:
            yield
        except ENDS_THE_SESSION:
            raise
        except BaseException as error:
            self._raised.append((name, error))

    def call(self, function: Callable[..., Any], **arguments: Any) -> Any:
        """Call the metric and raise what its parts come to: an error, else a miss, else no score."""
        returned = None
        with self._part(""):
            returned = function(**arguments)
        misses = [(name, e) for name, e in self._raised if isinstance(e, AssertionError)]
        others = [e for _, e in self._raised if not isinstance(e, AssertionError)]
        if crash := next((e for e in others if not isinstance(e, NO_SCORE)), None):
            raise crash
        if misses:
            said = [f"{name}: {error}" if name else str(error) for name, error in misses]
            raise AssertionError("; ".join(said)) from misses[0][1]
        if others:
            raise others[0]
        return returned
