"""Training sets: how varied, how clean, how much of the eval leaked into them; and a map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.report import charts
from harness.report.data import RunData, inside
from harness.report.wording import (
    amount,
    counted,
    described,
    listed,
    percent,
    phrase,
    sentence,
    span,
)

MAX_POINTS = 1500
MOST = 10  # of each list
NAMES = ("name", "set", "dataset", "path", "training", "suite")
# Measures in the order in which a reader asks for them, and the estimate that gives an interval.
MEASURES: Sequence[tuple[str, str, str]] = (
    ("rows", "Rows", ""),
    ("clean_rows", "Rows without copies and leaks", ""),
    ("effective_number", "Effective number of different rows", "effective_number"),
    ("near_duplicates", "Near-copies", "near_duplicate_rate"),
    ("leaked", "Rows leaked from a suite", ""),
    ("contradictions", "Rows that contradict another", ""),
    ("coverage", "Inputs of the suite with a row nearby", "coverage"),
    ("mean_cosine", "Mean similarity (shown, never judged)", ""),
)
KNOWN = {name for name, _, _ in MEASURES}
# Settings and hashes, which stand in run.json.
HIDDEN = {*NAMES, "ready", "encoder", "coverage_threshold", "data_hash", "clusters_covered"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Worklist:
    """Things to look at: each a title and the texts under it."""

    title: str
    entries: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One set of rows that was looked at."""

    name: str
    ready: bool | None
    reasons: tuple[tuple[str, str], ...]  # what, and how to mend it
    measures: Mapping[str, str]
    map: Markup | None
    worklists: tuple[Worklist, ...]


def datasets(run: RunData) -> list[Dataset]:
    """Read the diversity section of a run."""
    return [_dataset(row) for row in run.rows("diversity")]


def measures(found: Sequence[Dataset]) -> list[str]:
    """Return the names of all measures: those that readers ask for first, the others behind."""
    there = dict.fromkeys(name for dataset in found for name in dataset.measures)
    first = [title for _, title, _ in MEASURES if title in there]
    return first + [name for name in there if name not in first]


def finding(found: Sequence[Dataset]) -> str:
    """Say which sets are ready to train on."""
    ready = [dataset.name for dataset in found if dataset.ready]
    unready = [dataset.name for dataset in found if dataset.ready is False]
    parts = [
        f"the rows of {listed(names)} are {word}"
        for names, word in ((ready, "ready to train on"), (unready, "not ready"))
        if names
    ]
    return sentence("; ".join(parts)) or "What the data are like"


def _dataset(row: Mapping[str, Any]) -> Dataset:
    name = next((str(row[key]) for key in NAMES if row.get(key)), "data")
    if row.get("system"):
        name = f"{name}: outputs of {row['system']}"
    ready = row.get("ready")
    return Dataset(
        name=name,
        ready=ready if isinstance(ready, bool) else None,
        reasons=tuple(_reasons(row)),
        measures=_measures(row),
        map=_map(name, row.get("map") or row.get("points")),
        worklists=tuple(found for found in _worklists(row) if found.entries),
    )


def _measures(row: Mapping[str, Any]) -> dict[str, str]:
    found = {
        title: amount(row[key])
        if key == "mean_cosine"
        else _measure(row[key], inside(row, "estimates", estimate))
        for key, title, estimate in MEASURES
        if row.get(key) is not None
    }
    for key, value in row.items():
        plain = isinstance(value, int | float | str) and not isinstance(value, bool)
        if plain and key not in KNOWN and key not in HIDDEN:
            found[sentence(phrase(key))] = described(value)
    return found


def _measure(value: Any, estimate: Mapping[str, Any] | None) -> str:
    is_share = isinstance(value, float) and 0 <= value <= 1
    text = f"{percent(value)} %" if is_share and estimate != {} else described(value)
    if not estimate or estimate.get("low") is None:
        return text
    write = percent if estimate.get("kind") == "rate" else amount
    unit = " %" if estimate.get("kind") == "rate" else ""
    return f"{text} ({span(estimate['low'], estimate['high'], write=write)}{unit})"


def _reasons(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What stands in the way, in order of worth; what is only worth a note is left out."""
    findings = [f for f in row.get("findings") or () if f.get("severity") in ("blocks", "warns")]
    if findings:
        return [(str(f.get("message")), str(f.get("fix") or "")) for f in findings[:MOST]]
    return [(described(reason), "") for reason in row.get("reasons") or ()]


def _worklists(row: Mapping[str, Any]) -> list[Worklist]:
    groups, leaks = row.get("duplicate_groups") or (), row.get("leaks") or ()
    holes, following = row.get("holes") or (), row.get("label_next") or ()
    return [
        Worklist(
            title=_titled(len(groups), "group of near-copies", "groups of near-copies"),
            entries=tuple(
                (counted(int(g.get("size") or 0), "row"), tuple(map(str, g.get("texts") or ())))
                for g in sorted(groups, key=lambda g: -int(g.get("size") or 0))[:MOST]
            ),
        ),
        Worklist(
            title=_titled(len(leaks), "leak into a suite", "leaks into a suite"),
            entries=tuple(
                (
                    f"{leak.get('place')} and {leak.get('suite')}/{leak.get('case')}, {leak.get('kind')}",
                    (str(leak.get("row_text")), str(leak.get("case_text"))),
                )
                for leak in leaks[:MOST]
            ),
        ),
        Worklist(
            title=_titled(len(holes), "hole in the coverage", "holes in the coverage"),
            entries=tuple(
                (
                    f"{hole.get('name')}: {counted(int(hole.get('queries') or 0), 'case')}, "
                    f"{counted(int(hole.get('examples') or 0), 'row')}",
                    (str(hole.get("example")),),
                )
                for hole in holes[:MOST]
            ),
        ),
        Worklist(
            title=_titled(len(following), "row to label next", "rows to label next"),
            entries=tuple(
                (str(n.get("text") or n.get("input") or described(n)), ()) for n in following[:MOST]
            ),
        ),
    ]


def _titled(count: int, noun: str, plural: str) -> str:
    shown = f", the first {MOST}" if count > MOST else ""
    return f"{counted(count, noun, plural)}{shown}"


def _map(name: str, points: Any) -> Markup | None:
    """Draw the rows where their embeddings lie; marked ones are never left out."""
    if not isinstance(points, Sequence) or not points:
        return None
    known = [p for p in points if isinstance(p, Mapping) and "x" in p and "y" in p]
    marked = [p for p in known if p.get("mark")]
    plain = [p for p in known if not p.get("mark")]
    step = max(1, len(plain) // MAX_POINTS + 1)
    chosen = [*plain[::step], *marked]
    if not chosen:
        return None
    return charts.scatter(
        [
            charts.Spot(
                x=float(p["x"]),
                y=float(p["y"]),
                look=_look(p),
                title=f"{p.get('mark') or p.get('kind') or 'row'}: {str(p.get('text') or '')[:160]}",
            )
            for p in chosen
        ],
        f"{name}: rows by the meaning of their inputs",
    )


def _look(point: Mapping[str, Any]) -> str:
    """Marked ones stand out; cases of a suite are small crosses of one shade, rows shaded by cluster."""
    if point.get("mark"):
        return {"leaked": "un", "duplicate": "ev"}.get(str(point["mark"]), "k0")
    return "q" if point.get("kind") == "case" else f"k{int(point.get('cluster') or 0) % 4}"
