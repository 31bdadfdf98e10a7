"""The gates of a run: state, effect, interval and margin, failures first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from markupsafe import Markup

from harness.report import charts
from harness.report.charts import Reading, Scale
from harness.report.data import RunData, inside
from harness.report.wording import (
    NONE,
    amount,
    counted,
    glyph,
    listed,
    percent,
    phrase,
    pvalue,
    sentence,
    signed,
    signed_amount,
    spelled,
)

Write: TypeAlias = Callable[[float | None], str]

ORDER = ("failed", "undecided", "not_judged", "passed")
KINDS = (  # kind, whether of means, title, note
    ("critical", False, "Critical", "one miss fails it"),
    ("no_worse_than", False, "No worse than the blessed run", "difference in points"),
    ("no_worse_than", True, "No worse than the blessed run", "difference of means"),
    ("at_least", False, "Floor", "pass rate in per cent"),
    ("at_least", True, "Floor", "mean"),
)
LOOKS = {"failed": "x"}


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRow:
    """One line of the gate table."""

    state: str
    glyph: str
    suite: str
    metric: str
    system: str
    reason: str
    plot: Markup | None
    effect: str
    limits: str
    margin: str
    mde: str
    pairs: str
    pvalue: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateGroup:
    """Gates of one kind, which share an axis."""

    title: str
    note: str
    axis: Markup
    rows: tuple[GateRow, ...]


def ordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Sort gates by what needs attention first, then by name: the same in every run."""
    return sorted(
        rows,
        key=lambda g: (ORDER.index(g["state"]), g["suite"], g["metric"], g["system"], g["kind"]),
    )


def groups(run: RunData) -> list[GateGroup]:
    """Build the table of gates."""
    found = []
    for kind, graded, title, note in KINDS:
        rows = ordered(
            [
                row
                for row in run.rows("gates")
                if row["kind"] == kind and _is_graded(run, row) == graded
            ]
        )
        if rows:
            scale, ticks = _scale(kind, rows, graded=graded)
            found.append(
                GateGroup(
                    title=title,
                    note=note,
                    axis=charts.axis(scale, ticks),
                    rows=tuple(_row(row, run, scale, graded=graded) for row in rows),
                )
            )
    return found


def tally(run: RunData) -> dict[str, int]:
    """Count the gates by state."""
    states = [row["state"] for row in run.rows("gates")]
    return {state: states.count(state) for state in ORDER}


def finding(run: RunData) -> str:
    """State the outcome of all gates in a sentence."""
    counts = tally(run)
    total = sum(counts.values())
    if not total:
        return "No gate is set"
    if counts["passed"] == total:
        return "The one gate holds" if total == 1 else f"All {spelled(total)} gates hold"
    if counts["not_judged"] == total:
        return "No gate was judged"
    one = {"failed": "failed", "undecided": "is undecided", "not_judged": "was not judged"}
    many = one | {"undecided": "are undecided", "not_judged": "were not judged"}
    parts = [
        f"{spelled(counts[s])} {(one if counts[s] == 1 else many)[s]}" for s in one if counts[s]
    ]
    first, *rest = parts
    number, words = first.split(" ", 1)
    if total == 1:
        return f"The one gate {words}"
    return sentence(listed([f"{number} of {spelled(total)} gates {words}", *rest]))


def together(run: RunData) -> str | None:
    """State what all suites say as one; None where that was not looked at."""
    said = inside(run.document, "together", "sentence")
    return None if said is None else str(said)


def headline(run: RunData) -> tuple[str, str]:
    """Return the state of the build in a glyph's state and a few words."""
    counts = tally(run)
    if counts["failed"]:
        return "failed", "a gate failed" if counts[
            "failed"
        ] == 1 else f"{counts['failed']} gates failed"
    if counts["undecided"]:
        return "undecided", f"{counted(counts['undecided'], 'gate')} undecided"
    if counts["passed"]:
        return "passed", "gates passed" if counts["passed"] > 1 else "gate passed"
    return "not_judged", "no gate judged" if counts["not_judged"] else "no gates"


def _is_graded(run: RunData, row: Mapping[str, Any]) -> bool:
    """Whether a gate is on a mean; a critical one is on misses, whatever its metric."""
    estimate = run.estimate(row["suite"], row["metric"], row["system"])
    is_mean = estimate is not None and estimate.get("kind") == "mean"
    return is_mean and row["kind"] != "critical"


def _scale(
    kind: str, rows: list[dict[str, Any]], *, graded: bool
) -> tuple[Scale, list[tuple[float, str]]]:
    if kind == "no_worse_than":
        ends = [abs(row[key]) for row in rows for key in ("low", "high", "margin") if row.get(key)]
        most = max(ends, default=0.1)
        reach = next((r for r in (0.05, 0.1, 0.2, 0.5, 1.0) if most <= r), math.ceil(most))
        text = f"{reach:g}" if graded else f"{100 * reach:.0f}"
        return Scale(low=-reach, high=reach), [(-reach, f"−{text}"), (0, "0"), (reach, f"+{text}")]
    keys = ("low", "effect", "margin", "high")
    ends = [row[key] for row in rows for key in keys if row.get(key) is not None]
    # A mean may lie anywhere; a rate never outside of 0 and 1.
    low, high = min([0.0, *ends]), max([1.0, *ends])
    start = next((s for s in (0.9, 0.8, 0.5) if min(ends, default=0) >= s), low)
    middle = (start + high) / 2
    scale = Scale(low=start, high=high)
    if graded:
        return scale, [(value, amount(value)) for value in (start, middle, high)]
    ticks = [(start, percent(start, digits=0)), (middle, percent(middle, digits=0)), (1, "100 %")]
    return scale, ticks


def _writers(kind: str, graded: bool) -> tuple[Write, Write]:
    """How effects, and how sizes of effects, are written."""
    size = amount if graded else percent
    if kind == "no_worse_than":
        return signed_amount if graded else signed, size
    return size, size


def _row(row: Mapping[str, Any], run: RunData, scale: Scale, *, graded: bool) -> GateRow:
    paired = row["kind"] == "no_worse_than"
    reading = Reading(value=row.get("effect"), low=row.get("low"), high=row.get("high"))
    margin = row.get("margin")
    floor = (
        1.0
        if row["kind"] == "critical"
        else None
        if margin is None
        else -abs(margin)
        if paired
        else margin
    )
    write, size = _writers(row["kind"], graded)
    plot = None
    if reading.value is not None:
        references = [(0.0, "zero")] if paired else []
        if floor is not None:
            references.append((floor, "tgt"))
        label = f"{row['suite']} {row['metric']}: {write(reading.value)} ({write(reading.low)} to {write(reading.high)})"
        plot = charts.interval(
            reading, scale, label, references=references, look=LOOKS.get(row["state"], "")
        )
    pairs = row.get("pairs")
    if pairs is None:
        estimate = run.estimate(row["suite"], row["metric"], row["system"])
        pairs = estimate.get("n") if estimate else None
    return GateRow(
        state=row["state"],
        glyph=glyph(row["state"]),
        suite=row["suite"],
        metric=row["metric"],
        system=row["system"],
        reason=row.get("reason") or phrase(row["kind"]),
        plot=plot,
        effect=write(reading.value),
        limits=NONE if reading.low is None else f"{write(reading.low)} to {write(reading.high)}",
        margin=write(floor),
        mde=size(row.get("mde")),
        pairs=NONE if pairs is None else f"{pairs:,}",
        pvalue=pvalue(row.get("pvalue_adjusted")),
    )
