"""Whether a stored baseline may be compared with: what differs between it and this run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from harness.gates.rule import counted

Three: TypeAlias = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
SINCE = ("changed since the baseline", "not in the baseline", "in the baseline only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a suite was measured with: case ids with their hashes, metrics with their versions.

    A hash or version of None is not known, and taken for the same.
    """

    cases: Mapping[str, str | None]
    metrics: Mapping[str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparability:
    """The overlap of a baseline and a run, and everything outside it, ids and names sorted."""

    cases: tuple[str, ...]  # same id, same content
    metrics: tuple[str, ...]  # same name, same version
    cases_changed: tuple[str, ...]
    cases_added: tuple[str, ...]  # in the run only
    cases_removed: tuple[str, ...]  # in the baseline only
    metrics_changed: tuple[str, ...]
    metrics_added: tuple[str, ...]
    metrics_removed: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.differences

    @property
    def comparable(self) -> bool:
        """Whether there is any overlap to compare."""
        return bool(self.cases) and bool(self.metrics)

    @property
    def differences(self) -> tuple[str, ...]:
        """What differs, one phrase each; empty when nothing does."""
        return (*self.of_cases, *_phrases("metric", self._metrics, SINCE))

    @property
    def of_cases(self) -> tuple[str, ...]:
        """What differs in the cases."""
        return _phrases("case", self._cases, SINCE)

    def in_words(self, changed: str, added: str, removed: str) -> tuple[str, ...]:
        """What differs, with other words for the three ways to."""
        words = (changed, added, removed)
        return (*_phrases("case", self._cases, words), *_phrases("metric", self._metrics, words))

    @property
    def _cases(self) -> Three:
        return self.cases_changed, self.cases_added, self.cases_removed

    @property
    def _metrics(self) -> Three:
        return self.metrics_changed, self.metrics_added, self.metrics_removed


def _phrases(noun: str, sides: Three, words: tuple[str, str, str]) -> tuple[str, ...]:
    return tuple(
        f"{counted(len(names), noun)} {where}: {_listed(names)}"
        for where, names in zip(words, sides, strict=True)
        if names
    )


def comparability(stored: Measured, current: Measured) -> Comparability:
    """Compare what a baseline and a run were measured with. A new version is another metric."""
    cases, metrics = _sides(stored.cases, current.cases), _sides(stored.metrics, current.metrics)
    return Comparability(
        cases=cases[0],
        cases_changed=cases[1],
        cases_added=cases[2],
        cases_removed=cases[3],
        metrics=metrics[0],
        metrics_changed=metrics[1],
        metrics_added=metrics[2],
        metrics_removed=metrics[3],
    )


def _sides(
    stored: Mapping[str, str | None], current: Mapping[str, str | None]
) -> list[tuple[str, ...]]:
    both = sorted(stored.keys() & current.keys())
    same = {n for n in both if stored[n] == current[n] or None in (stored[n], current[n])}
    return [
        tuple(name for name in both if name in same),
        tuple(name for name in both if name not in same),
        tuple(sorted(current.keys() - stored.keys())),
        tuple(sorted(stored.keys() - current.keys())),
    ]


def _listed(names: tuple[str, ...], most: int = 5) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")
