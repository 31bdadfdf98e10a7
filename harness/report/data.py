"""A stored run as the report reads it: the document, and the scores of each suite as one array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import StoreError
from harness.report.columns import Columns, Index, read_columns
from harness.store import BASELINE, read_document
from harness.types import SCORE_STATES

Codes: TypeAlias = npt.NDArray[np.uint8]
Rows: TypeAlias = list[dict[str, Any]]

# A score's state as a small number; 0 is "no such score".
ABSENT = 0
PASSED, MISSED, UNSCORED, ERRORED, NOT_RUN = range(1, 6)
STATE_OF = ("absent", *SCORE_STATES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SuiteData:
    """One suite of a run. `states` and `values` have shape (metrics, systems, cases, epochs)."""

    name: str
    info: Mapping[str, Any]  # its row of run.json
    cases: tuple[str, ...]
    systems: tuple[str, ...]
    metrics: tuple[str, ...]
    states: Codes
    values: npt.NDArray[np.float64]  # NaN where there is none

    @property
    def epochs(self) -> int:
        return int(self.states.shape[3])

    @property
    def champion(self) -> str | None:
        name = self.info.get("champion")
        return name if name in self.systems else None

    def of(self, metric: str, system: str) -> Codes:
        """Return the states of a metric on a system, shape (cases, epochs)."""
        states: Codes = self.states[self.metrics.index(metric), self.systems.index(system)]
        return states


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RunData:
    """A stored run, read."""

    folder: Path
    document: Mapping[str, Any]
    suites: Mapping[str, SuiteData]
    scores: Columns
    cases: Columns | None  # None where the run was stored without
    outputs: Columns | None
    rungs: Mapping[str, str] = field(default_factory=dict)  # by system
    called: str = "the blessed run"  # where another run is compared with this one

    def rows(self, section: str) -> Rows:
        """Return a section of run.json; empty where this run has none."""
        return list(self.document.get(section) or ())

    def of_suite(self, section: str, suite: str) -> Rows:
        """Return the rows of a section that belong to a suite."""
        return [row for row in self.rows(section) if row.get("suite") == suite]

    def estimate(self, suite: str, metric: str, system: str) -> dict[str, Any] | None:
        """Return the estimate of a metric on a system, where there is one."""
        for row in self.of_suite("estimates", suite):
            if row["metric"] == metric and row["system"] == system:
                return row
        return None


def inside(value: Any, *keys: str) -> Any:
    """Look a value up in nested objects; None where one of them is something else."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def read_run(folder: Path) -> RunData:
    """Read a stored run; tables other than the scores may be missing.

    Raises
    ------
    StoreError
        run.json or scores.parquet is missing or damaged.
    """
    document = read_document(folder)
    scores = read_columns(folder, "scores")
    if scores is None:
        raise StoreError("this run has no scores.parquet", file=folder)
    cases = read_columns(folder, "cases")
    return RunData(
        folder=folder,
        document=document,
        suites={suite.name: suite for suite in _suites(document, scores, cases)},
        scores=scores,
        cases=cases,
        outputs=read_columns(folder, "outputs"),
        rungs={row["name"]: row["rung"] for row in document.get("systems", ())},
    )


def named(run: RunData) -> RunData:
    """Call a run by its id where others are compared with it."""
    return replace(run, called=f"run {run.document.get('run_id') or run.folder.name}")


def read_baseline(reports: Path, run_id: str | None) -> RunData | None:
    """Read the run that another was compared with: the blessed one, or one that is still stored."""
    blessed = read_blessed(reports)
    if run_id is None or (blessed is not None and blessed.document.get("run_id") == run_id):
        return blessed
    try:
        return named(read_run(reports / Path(run_id).name))
    except StoreError:
        return blessed


def read_blessed(reports: Path) -> RunData | None:
    """Read the blessed run beside the stored ones, or None where there is none to be read.

    The baseline keeps no answers; where the run that was blessed is still stored, its are read.
    """
    folder = reports / BASELINE
    try:
        run = read_run(folder) if folder.is_dir() else None
        if run is not None and run.outputs is None:
            source = reports / str(run.document.get("run_id"))
            return replace(run, outputs=read_columns(source, "outputs"))
        return run
    except StoreError:
        return None


def _suites(
    document: Mapping[str, Any], scores: Columns, cases: Columns | None
) -> Iterator[SuiteData]:
    names = {name: scores.codes(name) for name in ("suite", "case", "system", "metric")}
    states = scores.places("state", STATE_OF)
    epochs = np.nan_to_num(scores.numbers("epoch")).astype(np.int64)
    values = scores.numbers("value")
    ordered = _case_order(cases)
    for info in document.get("suites", ()):
        chosen = np.flatnonzero(scores.places("suite", (info["name"],)) == 0)
        present = {key: _present(codes[chosen], texts) for key, (codes, texts) in names.items()}
        axes = (
            tuple(_known(info.get("metrics"), present["metric"])),
            tuple(_known(info.get("systems"), present["system"])),
            tuple(ordered.get(info["name"]) or present["case"]),
        )
        depth = max(int(info.get("epochs") or 1), int(epochs[chosen].max(initial=0)) + 1)
        shape = (*map(len, axes), depth)
        at = [
            scores.places(k, a)[chosen]
            for k, a in zip(("metric", "system", "case"), axes, strict=True)
        ]
        kept = np.flatnonzero(at[2] >= 0)
        where = (*(index[kept] for index in at), epochs[chosen][kept])
        table, graded = np.zeros(shape, dtype=np.uint8), np.full(shape, np.nan)
        table[where], graded[where] = states[chosen][kept], values[chosen][kept]
        yield SuiteData(
            name=info["name"],
            info=info,
            metrics=axes[0],
            systems=axes[1],
            cases=axes[2],
            states=table,
            values=graded,
        )


def _case_order(cases: Columns | None) -> dict[str, list[str]]:
    order: dict[str, list[str]] = {}
    if cases is not None:
        for suite, case in zip(cases.texts("suite"), cases.texts("case"), strict=True):
            order.setdefault(str(suite), []).append(str(case))
    return order


def _present(codes: Index, texts: Sequence[str]) -> list[str]:
    return [texts[code] for code in np.unique(codes).tolist()]


def _known(named: Any, present: Sequence[str]) -> list[str]:
    """Keep the order that run.json names, and what is only in the table behind it."""
    listed = [name for name in (named or ()) if name in present]
    return listed + [name for name in present if name not in listed]
