"""Errors that a user can act on. They are printed without a traceback.

RungError
├── ConfigError          rung.yaml, a suite mark or an option says something that cannot be
├── CaseError            a row of a cases file cannot be read
├── MissingExtraError    a feature needs a library that is not installed
├── SystemFailure        a system cannot be built or cannot answer at all
└── StoreError           a run, a cache or a baseline cannot be read or written
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class RungError(Exception):
    """A problem with a place, what was expected there, and what to do about it."""

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        line: int | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.file, self.line, self.key, self.hint = message, file, line, key, hint

    @property
    def where(self) -> str:
        """`file:line: key`, as far as they are known."""
        place = _shown(self.file) if self.file is not None else ""
        if place and self.line is not None:
            place += f":{self.line}"
        return ": ".join(part for part in (place, self.key or "") if part)

    def __str__(self) -> str:
        text = f"{self.where}: {self.message}" if self.where else self.message
        return f"{text}\n  {self.hint}" if self.hint else text


def ends_the_session(error: BaseException) -> bool:
    """Tell whether someone asked pytest to stop: Ctrl-C, or `pytest.exit`, known by its name."""
    named = type(error).__module__, type(error).__name__
    return isinstance(error, KeyboardInterrupt) or named == ("_pytest.outcomes", "Exit")


def _shown(file: Path | str) -> str:
    """Shorten a path below the current folder to what a user would type."""
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(file)


class ConfigError(RungError):
    """rung.yaml, a suite mark or a command-line option is wrong."""


class CaseError(RungError):
    """A cases file or one of its rows is wrong."""


class SystemFailure(RungError):
    """A system cannot be built, or cannot answer any case."""


class StoreError(RungError):
    """A stored run, a cache or a baseline cannot be read or written."""


class MissingExtraError(RungError):
    """A feature needs libraries that an extra of the distribution installs."""

    def __init__(self, feature: str, *, extra: str, missing: str) -> None:
        super().__init__(
            f"{feature} needs {missing}, which is not installed: pip install 'rung[{extra}]'"
        )
        self.extra = extra


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name was probably meant, and list what there is.

    >>> nearest("few-shto", ["few-shot", "rag"])
    "Did you mean 'few-shot'? Known: few-shot, rag."
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    guess = f"Did you mean '{close[0]}'? " if close else ""
    listed = ", ".join(names[:20]) + (", ..." if len(names) > 20 else "")
    return f"{guess}Known: {listed or 'none'}."
