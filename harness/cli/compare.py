"""`rung compare A B`: two runs, or two systems of a run."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import click

from harness.cli.other_answers import OtherAnswers, other_answers
from harness.cli.workspace import Workspace
from harness.comparison import (
    Change,
    Names,
    Pairs,
    adjust,
    changed_parts,
    compare_pairs,
    compare_slices,
    pair,
    worst_case_difference,
)
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
from harness.types import Comparison

FLIPS_SHOWN = 10
WORDS = ("not the same in both", "in the second run only", "in the first run only")


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a comparison: a system of a run; without a system, all of them."""

    run: str
    system: str | None
    document: Document
    scores: ScoreTable
    folder: Path

    def parts(self, system: str) -> Mapping[str, str]:
        """Return the hashed parts of a system."""
        rows = [s for s in self.document["systems"] if s["name"] == system]
        return dict(rows[0]["parts"]) if rows else {}

    @cached_property
    def cases(self) -> Mapping[str, Mapping[str, dict[str, Any]]]:
        """Return the rows of the run's cases by suite and id; the blessed run keeps none."""
        found: dict[str, dict[str, dict[str, Any]]] = {}
        try:
            rows = read_table(self.folder, "cases")
        except StoreError:
            return {}
        for row in rows:
            found.setdefault(row["suite"], {})[row["case"]] = row
        return found

    def groups(self, suite: str) -> dict[str, str] | None:
        """Return the cluster of each case; None where every case stands alone, or none is known."""
        info: Mapping[str, Any] = next(
            (s for s in self.document["suites"] if s["name"] == suite), {}
        )
        cases = self.cases.get(suite, {})
        return stored_groups(info, {case: row["metadata"] for case, row in cases.items()})


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
@click.option("--run", "run_name", default="latest", help="The run whose systems are compared.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def compare(a: str, b: str, run_name: str, as_json: bool) -> None:
    """Compare B with A: two runs, or two systems of one run.

    Flips come first, then the difference, how many answers are another text, the tags that
    stand out, and what changed. Cases and
    metrics that are not the same in both are left out, and named.

    \b
    rung compare baseline latest
    rung compare zero-shot few-shot
    rung compare baseline:few-shot latest:rag
    """
    store = Workspace().store
    first, second = _side(store, a, run_name), _side(store, b, run_name)
    overlap = _overlap(first, second)
    rows = list(_rows(first, second, overlap))
    if not rows:
        raise ConfigError(f"'{a}' and '{b}' have no suite, metric and case in common")
    rows = [
        replace(row, comparison=found)
        for row, found in zip(rows, adjust([row.comparison for row in rows]), strict=True)
    ]
    changes = _changes(first, second)
    differences = {name: found.in_words(*WORDS) for name, found in overlap.items()}
    slices = list(_slices(second, rows))
    others = list(
        other_answers(first.folder, second.folder, dict(_pairs_of_systems(first, second)))
    )
    if as_json:
        found = _document(rows, slices, changes, differences)
        found["other_answers"] = [asdict(other) for other in others]
        click.echo(json.dumps(found, indent=1))
        return
    if first.run != second.run:
        click.echo(f"{first.run} -> {second.run}")
    for row in rows:
        _show(row)
    _show_others(others)
    _show_slices(slices)
    _show_left_out(differences)
    _show_changes(changes)


def _side(store: RunStore, text: str, run_name: str) -> Side:
    """Read `RUN`, `SYSTEM` (of --run) or `RUN:SYSTEM`."""
    run, _, system = text.rpartition(":")
    if not run:
        document = read_document(store.find(run_name)) if _is_run(store, run_name) else None
        names = [s["name"] for s in document["systems"]] if document else []
        run, system = (run_name, text) if text in names else (text, "")
        if not _is_run(store, run):
            if run == BASELINE:
                raise StoreError("no run is blessed yet", hint="Bless one: rung bless latest")
            known = [*names, *store.run_ids()[-5:], LATEST]
            raise ConfigError(f"'{text}' is no system and no run. {nearest(text, known)}")
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


def _pairs_of_systems(first: Side, second: Side) -> Iterator[tuple[str, str]]:
    if first.system or second.system:
        if not (first.system and second.system):
            raise ConfigError("compare two runs or two systems, not a run with a system")
        yield first.system, second.system
        return
    names = {s["name"] for s in second.document["systems"]}
    yield from ((s["name"], s["name"]) for s in first.document["systems"] if s["name"] in names)


def _overlap(first: Side, second: Side) -> dict[str, Comparability]:
    """Return what both runs measured of each suite that both have."""
    before, after = (measured_in(side.folder, side.document) for side in (first, second))
    return {name: comparability(before[name], after[name]) for name in before if name in after}


def _rows(first: Side, second: Side, overlap: Mapping[str, Comparability]) -> Iterator[Row]:
    for before, after in _pairs_of_systems(first, second):
        for suite, metric, system in first.scores:
            other = second.scores.get((suite, metric, after))
            same = overlap.get(suite)
            if system != before or not other or same is None or metric not in same.metrics:
                continue
            names = Names(
                suite=suite,
                metric=metric,
                baseline=f"{first.run}:{before}" if before == after else before,
                candidate=f"{second.run}:{after}" if before == after else after,
            )
            graded = any(
                e["kind"] == "mean"
                for e in second.document["estimates"]
                if (e["suite"], e["metric"]) == (suite, metric)
            )
            kept = set(same.cases)
            was, now = (
                Outcomes.from_scores((s for s in scores if s.case_id in kept), graded=graded)
                for scores in (first.scores[suite, metric, before], other)
            )
            yield _row(names, was, now, groups=second.groups(suite))


def _row(
    names: Names,
    before: Outcomes,
    after: Outcomes,
    *,
    groups: Mapping[str, str] | None,
) -> Row:
    pairs = pair(before, after, groups=groups)
    missing = int(before.missing.sum() + after.missing.sum())
    return Row(
        comparison=compare_pairs(pairs, names=names),
        pairs=pairs,
        graded=after.values is not None,
        missing=missing,
        bounds=worst_case_difference(before, after) if missing else None,
    )


def _changes(first: Side, second: Side) -> dict[str, tuple[Change, ...]]:
    found = {}
    for before, after in _pairs_of_systems(first, second):
        changes = changed_parts(first.parts(before), second.parts(after))
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
            f" on {len(row.pairs.case_ids):,} cases{_chance(found)}"
        )
        click.echo(f"  {_finding(row)}")
    if row.bounds is not None:
        low, high = (_amount(row, bound, unit=True) for bound in row.bounds)
        click.echo(f"  {row.missing:,} outputs unscored or errored: at worst {low}, at best {high}")


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


def _slices(second: Side, rows: list[Row]) -> Iterator[tuple[str, Row]]:
    """Compare within each tag, by Benjamini-Hochberg."""
    for row in rows:
        cases = second.cases.get(row.comparison.suite, {})
        tags = {case: json.loads(found["tags"] or "[]") for case, found in cases.items()}
        names = Names(**{f.name: getattr(row.comparison, f.name) for f in fields(Names)})
        for tag, found in compare_slices(row.pairs, tags, names=names).items():
            yield tag, replace(row, comparison=found)


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
            f" {_amount(row, found.difference or 0.0, unit=True)} on {n:,} cases"
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
