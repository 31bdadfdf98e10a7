"""The two sides of a comparison: runs, or systems of runs, and what is known of their cases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, StoreError, nearest
from harness.gates import Comparability, comparability
from harness.measured import measured_in, stored_groups
from harness.statistics.outcomes import Outcomes
from harness.store import (
    BASELINE,
    LATEST,
    Document,
    RunStore,
    ScoreTable,
    read_document,
    read_scores,
    read_table,
)
from harness.types import Score

CaseRows = Mapping[str, Mapping[str, Any]]  # of cases.parquet, by case id


def read_cases(folder: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """Read the cases of a run by suite and id; the blessed run keeps none."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    if (folder / "cases.parquet").is_file():
        for row in read_table(folder, "cases"):
            found.setdefault(row["suite"], {})[row["case"]] = row
    return found


def groups_in(document: Document, suite: str, cases: CaseRows) -> dict[str, str] | None:
    """Return the cluster of each case; None where every case stands alone."""
    info: Mapping[str, Any] = next((s for s in document["suites"] if s["name"] == suite), {})
    return stored_groups(info, {case: row["metadata"] for case, row in cases.items()})


def is_graded(document: Document, suite: str, metric: str) -> bool:
    """Tell whether a metric gives scores rather than passes and misses."""
    rows = (e for e in document["estimates"] if (e["suite"], e["metric"]) == (suite, metric))
    return any(row["kind"] == "mean" for row in rows)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison: a system of a run; without a system, all of them."""

    run: str
    system: str | None
    document: Document
    scores: ScoreTable
    folder: Path

    @property
    def systems(self) -> list[str]:
        """Return the names of the systems that are compared."""
        return [self.system] if self.system else [s["name"] for s in self.document["systems"]]

    def parts(self, system: str) -> Mapping[str, str]:
        """Return the hashed parts of a system."""
        rows = [s for s in self.document["systems"] if s["name"] == system]
        return dict(rows[0]["parts"]) if rows else {}

    @cached_property
    def cases(self) -> Mapping[str, CaseRows]:
        """Return the run's cases by suite."""
        return read_cases(self.folder)


@dataclass(frozen=True, kw_only=True)
class Sides:
    """Both sides. What is read off either of them does not depend on which one is named first."""

    first: Side
    second: Side

    @property
    def newer(self) -> Side:
        """Return the side whose run began later: its word counts where both know something."""
        return self.first if self.first.run > self.second.run else self.second

    @property
    def older(self) -> Side:
        """Return the other one."""
        return self.second if self.newer is self.first else self.first

    def systems(self) -> Iterator[tuple[str, str]]:
        """Yield what is compared with what."""
        first, second = self.first, self.second
        if bool(first.system) != bool(second.system):
            raise ConfigError("compare two runs or two systems, not a run with a system")
        if first.system and second.system:
            yield first.system, second.system
            return
        yield from ((name, name) for name in first.systems if name in second.systems)

    @cached_property
    def overlap(self) -> Mapping[str, Comparability]:
        """Return what both runs measured of each suite that both have."""
        before, after = (
            measured_in(side.folder, side.document) for side in (self.first, self.second)
        )
        return {name: comparability(before[name], after[name]) for name in before if name in after}

    def outcomes(
        self, suite: str, metric: str, systems: tuple[str, str], *, graded: bool
    ) -> tuple[Outcomes, Outcomes]:
        """Return the outcomes of both systems on the cases that are the same in both runs.

        In the order of the newer run: numbers that are drawn hang on the order of the cases.
        """
        before, after = (
            side.scores[suite, metric, system]
            for side, system in zip((self.first, self.second), systems, strict=True)
        )
        leading = after if self.newer is self.second else before
        place = {case: i for i, case in enumerate(dict.fromkeys(s.case_id for s in leading))}
        same = set(self.overlap[suite].cases)

        def counted(scores: list[Score]) -> Outcomes:
            kept = (score for score in scores if score.case_id in same)
            ordered = sorted(kept, key=lambda score: place.get(score.case_id, len(place)))
            return Outcomes.from_scores(ordered, graded=graded)

        return counted(before), counted(after)

    @cached_property
    def cases(self) -> Mapping[str, CaseRows]:
        """Return the cases that either run keeps, by suite."""
        older, newer = self.older.cases, self.newer.cases
        return {name: {**older.get(name, {}), **newer.get(name, {})} for name in self.overlap}

    @cached_property
    def groups(self) -> Mapping[str, dict[str, str] | None]:
        """Return the cluster of each case by suite; None where all stand alone, or none is known."""
        document = self.newer.document
        return {suite: groups_in(document, suite, cases) for suite, cases in self.cases.items()}

    @cached_property
    def tags(self) -> Mapping[str, dict[str, list[str]]]:
        """Return the tags of each case by suite."""
        return {
            suite: {case: json.loads(row["tags"] or "[]") for case, row in cases.items()}
            for suite, cases in self.cases.items()
        }


def read_sides(store: RunStore, a: str, b: str, run_name: str | None) -> Sides:
    """Read what two names stand for; a system alone is one of the run `run_name`, or of the last.

    Raises
    ------
    ConfigError
        A name is no run and no system, or `run_name` is given and no name is a system of it.
    """
    run = LATEST if run_name is None else run_name
    known = run_name is not None or _is_run(store, run)
    document = read_document(store.find(run)) if known else None
    names = [s["name"] for s in document["systems"]] if document else []
    sides = Sides(
        first=_read_side(store, *_resolved(store, a, run, names)),
        second=_read_side(store, *_resolved(store, b, run, names)),
    )
    if run_name is not None and a not in names and b not in names:
        raise ConfigError(
            f"neither '{a}' nor '{b}' is a system of run {run_name}",
            key="--run",
            hint="It says of which run two systems are. Leave it out to compare two runs.",
        )
    return sides


def _resolved(store: RunStore, text: str, run: str, names: list[str]) -> tuple[str, str]:
    """Take `RUN`, `SYSTEM` or `RUN:SYSTEM` apart; `names` are the systems of the run in question."""
    left, _, right = text.rpartition(":")
    if left:
        return left, right
    if text in names:
        return run, text
    if not _is_run(store, text):
        if text == BASELINE:
            raise StoreError("no run is blessed yet", hint="Bless one: rung bless latest")
        known = [*names, *store.run_ids()[-5:], LATEST]
        raise ConfigError(f"'{text}' is no system and no run. {nearest(text, known)}")
    return text, ""


def _read_side(store: RunStore, run: str, system: str) -> Side:
    folder = store.find(run)
    document = read_document(folder)
    names = [s["name"] for s in document["systems"]]
    if system and system not in names:
        raise ConfigError(f"run {run} has no system '{system}'. {nearest(system, names)}")
    return Side(
        run=document["run_id"],
        system=system or None,
        document=document,
        scores=read_scores(folder),
        folder=folder,
    )


def _is_run(store: RunStore, name: str) -> bool:
    try:
        store.find(name)
    except StoreError:
        return False
    return True
