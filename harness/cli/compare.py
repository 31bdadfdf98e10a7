"""`rung compare A B`: two runs, or two systems of a run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import click

from harness.cli.other_answers import OtherAnswers, other_answers
from harness.cli.sides import Sides, is_graded, read_sides
from harness.cli.workspace import Workspace
from harness.comparison import (
    Change,
    Names,
    adjust,
    changed_parts,
    compare_slices,
)
from harness.comparison import compare as compare_outcomes
from harness.errors import ConfigError
from harness.gates.rule import counted
from harness.pairs import Pairs, pair, worst_case_difference
from harness.types import Comparison

FLIPS_SHOWN = 10
WORDS = ("not the same in both", "in the second run only", "in the first run only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison with what it was made of."""

    comparison: Comparison
    pairs: Pairs
    graded: bool
    missing: int  # outputs unscored or errored on either side
    bounds: tuple[float, float] | None  # of the difference, by what the missing ones might be


@click.command(short_help="Two runs or two systems.")
@click.argument("a")
@click.argument("b")
@click.option("--run", "run_name", help="The run whose systems are compared (default: latest).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(a: str, b: str, run_name: str | None, as_json: bool) -> None:
    """Compare B with A: two runs, or two systems of one run.

    Flips come first, then the difference, how many answers are another text, the tags that
    stand out, and what changed. Cases and
    metrics that are not the same in both are left out, and named.

    \b
    rung compare baseline latest
    rung compare zero-shot few-shot
    rung compare baseline:few-shot latest:rag
    """
    sides = read_sides(Workspace().store, a, b, run_name)
    rows = list(_rows(sides))
    if not rows:
        raise ConfigError(f"'{a}' and '{b}' have no suite, metric and case in common")
    rows = [
        replace(row, comparison=found)
        for row, found in zip(rows, adjust([row.comparison for row in rows]), strict=True)
    ]
    compared = list(dict.fromkeys(row.comparison.suite for row in rows))
    unknown = [suite for suite in compared if not sides.cases[suite]]
    changes = _changes(sides)
    differences = {name: found.in_words(*WORDS) for name, found in sides.overlap.items()}
    slices, others = list(_slices(sides, rows)), list(_others(sides, compared))
    if as_json:
        found = _document(rows, slices, changes, differences)
        found["other_answers"] = [asdict(other) for other in others]
        found["groups_unknown"] = unknown
        click.echo(json.dumps(found, indent=1))
        return
    if sides.first.run != sides.second.run:
        click.echo(f"{sides.first.run} -> {sides.second.run}")
    for row in rows:
        _show(row)
    _show_unknown(unknown)
    _show_others(others)
    _show_slices(slices)
    _show_left_out(differences)
    _show_changes(changes)


def _rows(sides: Sides) -> Iterator[Row]:
    first, second = sides.first, sides.second
    for before, after in sides.systems():
        for suite, metric, system in first.scores:
            same = sides.overlap.get(suite)
            if system != before or (suite, metric, after) not in second.scores:
                continue
            if same is None or metric not in same.metrics:
                continue
            names = Names(
                suite=suite,
                metric=metric,
                baseline=f"{first.run}:{before}" if before == after else before,
                candidate=f"{second.run}:{after}" if before == after else after,
            )
            yield _row(sides, names, (before, after))


def _row(sides: Sides, names: Names, systems: tuple[str, str]) -> Row:
    graded = is_graded(sides.second.document, names.suite, names.metric)
    before, after = sides.outcomes(names.suite, names.metric, systems, graded=graded)
    groups = sides.groups[names.suite]
    missing = int(before.missing.sum() + after.missing.sum())
    return Row(
        comparison=compare_outcomes(before, after, names=names, groups=groups),
        pairs=pair(before, after, groups=groups),
        graded=graded,
        missing=missing,
        # A graded score may be anything: it has no bounds.
        bounds=worst_case_difference(before, after) if missing and not graded else None,
    )


def _others(sides: Sides, suites: list[str]) -> Iterator[OtherAnswers]:
    return other_answers(
        sides.first.folder,
        sides.second.folder,
        systems=dict(sides.systems()),
        cases={suite: sides.overlap[suite].cases for suite in suites},
    )


def _changes(sides: Sides) -> dict[str, tuple[Change, ...]]:
    found = {}
    for before, after in sides.systems():
        changes = changed_parts(sides.first.parts(before), sides.second.parts(after))
        if changes:
            found[before if before == after else f"{before} -> {after}"] = changes
    return found


def _show(row: Row) -> None:
    found = row.comparison
    click.secho(_title(found), bold=True)
    gained, lost = row.pairs.flips()
    unpaired = row.pairs.unpaired
    more = f", unpaired {len(unpaired):,}" if unpaired else ""
    click.echo(f"  gained {found.gained:,}, lost {found.lost:,}, tied {found.tied:,}{more}")
    for word, ids in (("lost", lost), ("gained", gained), ("unpaired", unpaired)):
        if ids:
            rest = f" and {len(ids) - FLIPS_SHOWN:,} more" if len(ids) > FLIPS_SHOWN else ""
            click.echo(f"  {word}: {', '.join(ids[:FLIPS_SHOWN])}{rest}")
    if found.difference is None:
        click.echo("  no case has a score on both sides")
    else:
        limits = ""
        if found.low is not None and found.high is not None:
            limits = f" ({_amount(row, found.low)} to {_amount(row, found.high)}; {found.method})"
        click.echo(
            f"  difference {_amount(row, found.difference, unit=True)}{limits}"
            f" on {counted(len(row.pairs.case_ids), 'case')}{_chance(found)}"
        )
        click.echo(f"  {_finding(row)}")
    if row.missing:
        click.echo(f"  {counted(row.missing, 'output')} unscored or errored{_at_the_ends(row)}")


def _at_the_ends(row: Row) -> str:
    if row.bounds is None:
        return ""
    low, high = (_amount(row, bound, unit=True) for bound in row.bounds)
    return f": at worst {low}, at best {high}"


def _title(found: Comparison) -> str:
    """Name what is compared; of two runs the system alone, since the runs stand above."""
    _, run, system = found.baseline.rpartition(":")
    between = f" [{system}]" if run else f": {found.baseline} -> {found.candidate}"
    return f"{found.suite} · {found.metric}{between}"


def _finding(row: Row) -> str:
    found = row.comparison
    if found.state != "open":
        return "better, beyond chance" if found.state == "above" else "worse, beyond chance"
    # The distance is a normal approximation: of a few pairs it may promise what no test could see.
    if found.mde is None or abs(found.difference or 0.0) >= found.mde:
        return "no difference found"
    least = _amount(row, found.mde, unit=True).lstrip("+")
    return f"no difference found; {least} would have been seen 9 times in 10"


def _amount(row: Row, value: float, *, unit: bool = False) -> str:
    """Write a difference: of rates in points, of graded scores as it is."""
    if row.graded:
        return f"{value:+.3g}"
    return f"{100 * value:+.1f}" + (" points" if unit else "")


def _chance(found: Comparison) -> str:
    if found.pvalue_adjusted is None:
        return ""
    return f", p = {found.pvalue:.3g}, corrected {found.pvalue_adjusted:.3g}"


def _slices(sides: Sides, rows: list[Row]) -> Iterator[tuple[str, Row]]:
    """Compare within each tag, by Benjamini-Hochberg."""
    for row in rows:
        tags = sides.tags[row.comparison.suite]
        names = Names(**{f.name: getattr(row.comparison, f.name) for f in fields(Names)})
        for tag, found in compare_slices(row.pairs, tags, names=names).items():
            yield tag, replace(row, comparison=found)


def _show_unknown(suites: list[str]) -> None:
    for suite in suites:
        click.secho(
            f"{suite}: neither side keeps its cases, so no groups are known:"
            " every case was treated as independent",
            fg="yellow",
        )


def _show_others(others: list[OtherAnswers]) -> None:
    for other in others:
        click.echo(f"not the same text: {other.suite} [{other.system}]: {other}")


def _show_slices(slices: list[tuple[str, Row]]) -> None:
    if not slices:
        return
    standing = [(tag, row) for tag, row in slices if row.comparison.state != "open"]
    click.secho("tags (exploratory, by Benjamini-Hochberg)", bold=True)
    for tag, row in standing:
        found = row.comparison
        n = found.gained + found.lost + found.tied
        click.echo(
            f"  {_title(found)}, {tag}:"
            f" {_amount(row, found.difference or 0.0, unit=True)} on {counted(n, 'case')}"
        )
    if not standing:
        click.echo(f"  no difference found in any of {len(slices):,}")


def _show_left_out(differences: Mapping[str, tuple[str, ...]]) -> None:
    for suite, lines in differences.items():
        if lines:
            click.secho(f"left out of {suite}", bold=True)
        for line in lines:
            click.echo(f"  {line}")


def _show_changes(changes: Mapping[str, tuple[Change, ...]]) -> None:
    for name, parts in changes.items():
        click.secho(f"what changed: {name}", bold=True)
        for change in parts:
            click.echo(f"  {change.part}:")
            before, after = (
                (change.baseline or "").splitlines(),
                (change.candidate or "").splitlines(),
            )
            for line in difflib.unified_diff(before, after, lineterm="", n=1):
                if not line.startswith(("---", "+++", "@@")):
                    click.echo(f"    {line[:160]}")


def _document(
    rows: list[Row],
    slices: list[tuple[str, Row]],
    changes: Mapping[str, tuple[Change, ...]],
    differences: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    return {
        "comparisons": [_as_json(row) for row in rows],
        "slices": [{"tag": tag} | asdict(row.comparison) for tag, row in slices],
        "left_out": differences,
        "changes": {name: [asdict(c) for c in parts] for name, parts in changes.items()},
    }


def _as_json(row: Row) -> dict[str, Any]:
    gained, lost = row.pairs.flips()
    return asdict(row.comparison) | {
        "lost_cases": lost,
        "gained_cases": gained,
        "unpaired_cases": row.pairs.unpaired,
        "missing": row.missing,
        "worst_case": row.bounds,
    }
