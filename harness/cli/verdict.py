"""`rung verdict`: which rung each suite justifies, why, and what would change it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from harness.cli.workspace import Workspace
from harness.errors import ConfigError, nearest
from harness.escalation import judge, project_sentence, read_evidence, rejudge, stale_sentence
from harness.escalation import stands_on as standing
from harness.escalation.money_words import gpu_lines, money_lines
from harness.store import Document, read_document
from harness.types import Verdict


@click.command(short_help="Which rung each suite justifies.")
@click.argument("run", default="latest")
@click.option("--suite", metavar="NAME", help="This suite only.")
@click.option("--target", type=float, help="Judge the same evidence against another target.")
@click.option("--evidence", type=click.Path(path_type=Path), help="Judge a file, not a run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verdict(
    run: str, suite: str | None, target: float | None, evidence: Path | None, as_json: bool
) -> None:
    """Say which rung each suite of RUN (default: latest) justifies.

    \b
    rung verdict
    rung verdict --suite support --target 0.85
    rung verdict --evidence evidence.json --json
    """
    if evidence is not None:
        found = judge(read_evidence(evidence))
        verdicts = [rejudge(asdict(found), target=target) if target is not None else found]
        notes: dict[str, str] = {}
    else:
        workspace = Workspace()
        document = read_document(workspace.store.find(run))
        rows = _with_labels(workspace, run, document, _rows(document, suite))
        verdicts = [rejudge(row, target=target) for row in rows]
        notes = stale_notes(document, rows, workspace)
    sentence = project_sentence(verdicts)
    if as_json:
        rows = [asdict(v) | {"stale": notes.get(v.suite)} for v in verdicts]
        click.echo(json.dumps({"verdicts": rows, "project_verdict": sentence}, indent=1))
        return
    for item in verdicts:
        _show(item, notes.get(item.suite))
    if sentence and len(verdicts) > 1:
        click.secho(sentence, bold=True)


def _rows(document: Document, suite: str | None) -> list[dict[str, Any]]:
    rows = [v for v in document["verdicts"] if suite is None or v["suite"] == suite]
    if not rows:
        names = [v["suite"] for v in document["verdicts"]]
        raise ConfigError(
            f"this run has no verdict on '{suite}'. {nearest(suite, names)}"
            if suite is not None and names
            else "this run has no verdict: no suite in rung.yaml has a target",
            hint="Give the suite a `target:` under `suites:` and run `pytest evals/` again.",
        )
    return rows


def _with_labels(
    workspace: Workspace, run: str, document: Document, rows: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Put into the evidence what people have said of the run's outputs since it was stored."""
    from harness.desk.verdicts import with_labels

    folder, evals = workspace.store.find(run), workspace.file.parent
    return [with_labels(row, document, folder=folder, evals=evals) for row in rows]


def stale_notes(
    document: Document, rows: list[dict[str, Any]], workspace: Workspace
) -> dict[str, str]:
    """Say of each verdict what has changed since it was given."""
    from harness.cases import content_hash
    from systems.fingerprint import fingerprint

    present = {suite.name: suite for suite in workspace.catalogue().suites.values()}
    notes = {}
    for row in rows:
        suite = present.get(row["suite"])
        before: Mapping[str, Any] = next(s for s in document["suites"] if s["name"] == row["suite"])
        if suite is None:
            notes[row["suite"]] = "this suite is gone"
            continue
        memo = workspace.state.hashes
        now: dict[str, Any] = {
            **before,
            "content_hash": content_hash(suite.cases),
            "target": suite.config.target,
            "systems": [spec.name for spec in suite.systems],
        }
        systems = [
            {"name": spec.name, "fingerprint": fingerprint(spec, memo=memo).digest}
            for spec in suite.systems
        ]
        stands = standing({**document, "systems": systems}, now, suite.project)
        if sentence := stale_sentence(row, stands):
            notes[row["suite"]] = sentence
    return notes


def _show(item: Verdict, note: str | None) -> None:
    click.secho(f"{item.suite}: {item.action.replace('_', ' ')}", bold=True)
    click.echo(f"  {item.sentence}")
    if note:
        click.secho(f"  {note}", fg="yellow")
    if item.leaning:
        click.echo(f"  leaning: {item.leaning}")
    for reason in item.reasons:
        click.echo(f"  - {reason}")
    if item.next_step.get("do"):
        click.echo(f"  next: {item.next_step['do']}{_cost(item.next_step.get('cost') or {})}")
    value = item.confidence.get("value")
    if value is not None:
        click.echo(f"  sure: {100 * value:.1f} % (weakest link: {item.confidence['weakest']})")
    flips = item.would_change.get("flips")
    if flips:
        click.echo(f"  would change: {flips['what']} -> {flips['becomes'].replace('_', ' ')}")
    for line in (*money_lines(item), *gpu_lines(item)):
        click.echo(f"  {line}")
    for condition in item.conditions:
        click.echo(f"  on condition: {condition}")
    click.echo(f"  (row {item.row} of the decision table)")


def _cost(cost: Mapping[str, Any]) -> str:
    parts = [
        f"{value:,.6g} {unit.replace('_', ' ')}"
        for unit, value in cost.items()
        if isinstance(value, int | float)
    ]
    return f" ({', '.join(parts)})" if parts else ""
