"""What the list of cases needs of every case: ids, tags, states, causes, the beginnings of inputs."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.report.data import PASSED, STATE_OF, RunData, SuiteData
from harness.report.rows import CaseColumns, rows_of

# Characters of an input in the list of cases, by how many cases it has.
PREVIEW = 140
PREVIEWS = ((20_000, PREVIEW), (100_000, 60))
LETTERS = bytes({"absent": " ", "not_run": "n"}.get(s, s[0]).encode()[0] for s in STATE_OF)


def suite_index(
    run: RunData, suite: SuiteData, cases: CaseColumns, old: SuiteData | None
) -> dict[str, Any]:
    """Say of each case what can be listed and filtered without its texts."""
    rows = cases.rows(suite)
    length = next((most for count, most in PREVIEWS if len(rows) <= count), 0)
    tags: dict[str, int] = {}
    known: dict[str | None, list[int]] = {None: []}
    tagged = []
    for stored in (cases.get("tags", row) for row in rows):
        if stored not in known:
            known[stored] = [tags.setdefault(tag, len(tags)) for tag in json.loads(stored)]
        tagged.append(known[stored])
    return {
        "name": suite.name,
        "file": suite.info.get("file") or f"test_{suite.name}.py",
        "champion": suite.champion,
        "systems": suite.systems,
        "metrics": suite.metrics,
        "epochs": suite.epochs,
        "ids": suite.cases,
        "previews": [preview(cases.get("input", row), length) for row in rows],
        "tags": list(tags),
        "tagged": tagged if tags else None,
        "states": _letters(suite),
        "values": _values(suite),
        "before": _letters_before(suite, old),
        **_causes(run, suite),
    }


def _causes(run: RunData, suite: SuiteData) -> dict[str, Any]:
    """Name the causes of misses; one character a case, by metric and system, blank for none.

    Of several epochs the first miss speaks.
    """
    codes, names = run.scores.codes("category")
    rows, system, case, _ = rows_of(run.scores, suite)
    said = np.flatnonzero(codes[rows] >= 0)[::-1]
    if not said.size:
        return {"categories": [], "causes": None}
    metric = run.scores.places("metric", suite.metrics)[rows[said]]
    shape = (len(suite.metrics), len(suite.systems), len(suite.cases))
    table = np.full(shape, ord(" "), dtype=np.uint8)
    table[metric, system[said], case[said]] = ord("a") + codes[rows[said]]
    return {
        "categories": names,
        "causes": [[cell.tobytes().decode("ascii") for cell in row] for row in table],
    }


def _letters(suite: SuiteData) -> list[list[str]]:
    """One letter for each case and epoch, by metric and system."""
    table = np.frombuffer(LETTERS, dtype=np.uint8)[suite.states]
    return [[cell.tobytes().decode("ascii") for cell in row] for row in table]


def _letters_before(suite: SuiteData, old: SuiteData | None) -> list[list[str | None]] | None:
    """The blessed run's states of the same cases, one letter a case: p, m, or x for mixed."""
    if old is None:
        return None
    place = {case: i for i, case in enumerate(old.cases)}
    order = np.array([place.get(case, -1) for case in suite.cases], dtype=np.int64)
    found: list[list[str | None]] = []
    for metric in suite.metrics:
        found.append([])
        for system in suite.systems:
            if metric not in old.metrics or system not in old.systems:
                found[-1].append(None)
                continue
            states = old.of(metric, system)[order]
            passed = (states == PASSED).any(1) & (order >= 0)
            missed = (states == PASSED + 1).any(1) & (order >= 0)
            letters = np.select([passed & missed, passed, missed], [120, 112, 109], 32)
            found[-1].append(letters.astype(np.uint8).tobytes().decode("ascii"))
    return found


def _values(suite: SuiteData) -> list[list[list[float | None] | None]]:
    """Means over epochs of graded metrics, by metric and system; None for plain pass and miss."""
    found: list[list[list[float | None] | None]] = []
    for metric in range(len(suite.metrics)):
        values = suite.values[metric]
        graded = bool(((values != 0) & (values != 1) & ~np.isnan(values)).any())
        found.append([_means(cell) if graded else None for cell in values])
    return found


def _means(values: npt.NDArray[np.float64]) -> list[float | None]:
    scored = ~np.isnan(values)
    counts = scored.sum(1)
    sums = np.where(scored, values, 0.0).sum(1)
    return [
        round(total / count, 4) if count and math.isfinite(total) else None
        for total, count in zip(sums.tolist(), counts.tolist(), strict=True)
    ]


def preview(stored: str | None, length: int = PREVIEW) -> str:
    """The beginning of an input: of chat messages the last, of an object its fields."""
    if stored is None or not length:
        return ""
    value = json.loads(stored)
    if isinstance(value, list):
        last = value[-1] if value else ""
        value = last.get("content", "") if isinstance(last, Mapping) else last
    if isinstance(value, Mapping):
        value = " · ".join(f"{key}: {inner}" for key, inner in value.items())
    return " ".join(str(value)[: 2 * length].split())[:length]
