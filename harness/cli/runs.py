"""`rung runs`, `rung report`, `rung bless`: what has been stored, and the baseline."""

from __future__ import annotations

import getpass
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from harness.cli.workspace import Workspace
from harness.errors import StoreError
from harness.store import (
    BASELINE,
    DOCUMENT,
    RunStore,
    read_document,
    read_scores,
    write_document,
    write_table,
)


@click.command(short_help="List, show and clean stored runs.")
@click.argument("run", required=False)
@click.option(
    "--keep",
    type=click.IntRange(min=1),
    metavar="N",
    help="Delete all but the last N runs and the one that `latest` names.",
)
@click.option("--clear-cache", is_flag=True, help="Delete the cache of outputs.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def runs(run: str | None, keep: int | None, clear_cache: bool, as_json: bool) -> None:
    """List the stored runs, show one, or clean up.

    \b
    rung runs
    rung runs latest
    rung runs --keep 20
    """
    workspace = Workspace()
    store = workspace.store
    if keep is not None:
        latest = store.latest()
        for name in store.run_ids()[:-keep]:
            if name == latest:
                continue
            shutil.rmtree(store.reports / name)
            click.echo(f"deleted {name}")
    if clear_cache:
        for file in workspace.state.folder.glob(f"{workspace.state.cache.name}*"):
            file.unlink()
            click.echo(f"deleted {file}")
    unread: list[str] = []
    if run is not None:
        documents = [read_document(store.find(run))]
    else:
        documents, unread = store.documents()
    rows = [_row(document) for document in documents]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    elif not rows and not unread:
        click.echo(f"no runs in {store.reports}: pytest evals/ makes one")
    else:
        for row in rows:
            click.echo(_line(row))
    for name in unread:
        click.echo(f"{name} cannot be read: `rung runs {name}` says why", err=True)


def _row(document: dict[str, Any]) -> dict[str, Any]:
    states = [gate["state"] for gate in document["gates"]]
    return {
        "run": document["run_id"],
        "started": document["started"],
        "commit": (document["git"] or {}).get("commit"),
        "suites": [suite["name"] for suite in document["suites"]],
        "counts": document["counts"],
        "gates": {state: states.count(state) for state in sorted(set(states))},
    }


def _line(row: dict[str, Any]) -> str:
    gates = ", ".join(f"{n} {state.replace('_', ' ')}" for state, n in row["gates"].items())
    return (
        f"{row['run']}  {row['started']}  {row['commit'][:8] if row['commit'] else 'no commit'}"
        f"  {row['counts']['planned']:,} outputs  {', '.join(row['suites'])}  gates: {gates or 'none'}"
    )


@click.command(short_help="Render a stored run again.")
@click.argument("run", default="latest")
@click.option("--baseline", metavar="RUN", help="Compare with this one, not the blessed one.")
@click.option(
    "--compare", "before", metavar="RUN", help="Write a page of its own against this one."
)
def report(run: str, baseline: str | None, before: str | None) -> None:
    """Write report.html and summary.md of RUN (default: latest) again, also of an older schema.

    \b
    rung report
    rung report 20260131-120000-ab12
    rung report latest --compare baseline
    """
    from harness.report import write_comparison, write_pages

    store = Workspace().store
    folder = store.find(run)
    read_document(folder)
    if before is not None:
        click.echo(str(write_comparison(store.find(before), folder)))
        return
    write_pages(folder, baseline=None if baseline is None else store.find(baseline))
    click.echo(str(folder / "report.html"))


@click.command(short_help="Move the baseline, on purpose.")
@click.argument("run")
@click.option("--why", default="", help="The reason, kept with the baseline.")
@click.option("--force", is_flag=True, help="Also a run of other cases or metrics than today's.")
def bless(run: str, why: str, force: bool) -> None:
    """Make RUN the baseline that gates and reports compare with.

    Stores its run.json and scores in reports/baseline/, small enough to commit. Runs of several
    epochs make the sharper baselines: pytest evals/ --epochs 5

    \b
    rung bless latest --why "release 1.4"
    """
    workspace = Workspace()
    folder = workspace.store.find(run)
    document = read_document(folder)
    narrowed = [suite["name"] for suite in document["suites"] if suite["narrowed"]]
    if document.get("stopped"):
        raise StoreError(
            "this run was stopped before its end: it cannot be a baseline",
            file=folder,
            hint="Bless a run of `pytest evals/` that went through; -x and --maxfail stop one.",
        )
    if narrowed:
        raise StoreError(
            f"this run left cases out of {', '.join(narrowed)}: it cannot be a baseline",
            file=folder,
            hint="Bless a run of `pytest evals/` without --case, -k or -m.",
        )
    differences = list(_differences(workspace, folder, document))
    if differences and not force:
        raise StoreError(
            "this run measured something else than the suites do now:\n  "
            + "\n  ".join(differences),
            file=folder,
            hint="Bless a new run of `pytest evals/`; or this one with --force: gates then compare"
            " what both have, and say what they leave out.",
        )
    document["blessed"] = {
        "by": _user(),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "why": why,
    }
    _replace_baseline(workspace.store, folder, document)
    click.echo(f"{document['run_id']} is the baseline: {workspace.store.reports / BASELINE}")
    for line in differences:
        click.secho(f"  {line}", fg="yellow")
    repeatable = any(s["kind"] not in ("recorded", "classical") for s in document["systems"])
    if repeatable and any(suite["epochs"] == 1 for suite in document["suites"]):
        click.echo("  of one epoch; five see smaller losses: pytest evals/ --epochs 5")


def _differences(workspace: Workspace, folder: Path, document: dict[str, Any]) -> Iterator[str]:
    """Say what the run measured otherwise than the suites do as they stand now."""
    from harness.gates import comparability
    from harness.measured import measured_by, measured_in, metrics_in_source

    before = measured_in(folder, document)
    today = {suite.name: suite for suite in workspace.catalogue().suites.values()}
    for name, measured in before.items():
        if name not in today:
            yield f"{name}: there is no such suite now"
            continue
        metrics = metrics_in_source(today[name], measured.metrics)
        found = comparability(measured, measured_by(today[name], metrics))
        yield from (
            f"{name}: {line}"
            for line in found.in_words("changed since the run", "not in the run", "in the run only")
        )
    yield from (f"{name}: not in the run" for name in today if name not in before)


def _replace_baseline(store: RunStore, folder: Path, document: dict[str, Any]) -> None:
    from harness.measured import HASHES, hash_columns, read_hashes

    read_scores(folder)  # a damaged table must not take the place of a good one
    with store.writing(BASELINE) as target:
        write_document(target, document)
        shutil.copyfile(folder / "scores.parquet", target / "scores.parquet")
        write_table(target, HASHES, hash_columns(read_hashes(folder)))
    if not (store.reports / BASELINE / DOCUMENT).is_file():
        raise StoreError("the baseline was not written", file=store.reports / BASELINE)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return None
