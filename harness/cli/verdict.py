"""`rung verdict`: which rung each suite justifies, why, and what would change it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from harness.cli.no_verdict import Lack, lacking, refusal
from harness.cli.workspace import Workspace
from harness.config import Project
from harness.errors import ConfigError
from harness.escalation import judge, project_sentence, read_evidence, rejudge, stale_sentence
from harness.escalation import stands_on as standing
from harness.escalation.money_words import calendar_lines, gpu_lines, money_lines
from harness.escalation.outlook_words import change_lines, cost_words, expected_lines
from harness.escalation.words import chance
from harness.run import Suite
from harness.store import Document, read_document
from harness.types import Fingerprint, SystemSpec, Verdict


@click.command(short_help="Which rung each suite justifies.")
@click.argument("run", required=False)
@click.option("--suite", metavar="NAME", help="This suite only.")
@click.option("--target", type=float, help="Judge the same evidence against another target.")
@click.option("--evidence", type=click.Path(path_type=Path), help="Judge a file, not a run.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verdict(
    run: str | None, suite: str | None, target: float | None, evidence: Path | None, as_json: bool
) -> None:
    """Say which rung each suite of RUN (default: latest) justifies.

    \b
    rung verdict
    rung verdict --suite support --target 0.85
    rung verdict --evidence evidence.json --json
    """
    lacks: list[Lack] = []
    if evidence is not None:
        _refuse_with_file({"RUN": run, "--suite": suite})
        found = judge(read_evidence(evidence))
        verdicts = [rejudge(asdict(found), target=target) if target is not None else found]
        notes: dict[str, str] = {}
    else:
        run = run or "latest"
        workspace = Workspace()
        folder = workspace.store.find(run)
        document = read_document(folder)
        rows = labelled(workspace, run, document, _rows(document, folder, suite))
        verdicts = [rejudge(row, target=target) for row in rows]
        notes = stale_notes(document, rows, workspace)
        if suite is None and not as_json:
            lacks = list(lacking(document, folder, with_target=True))
    sentence = project_sentence(verdicts)
    if as_json:
        rows = [asdict(v) | {"stale": notes.get(v.suite)} for v in verdicts]
        click.echo(json.dumps({"verdicts": rows, "project_verdict": sentence}, indent=1))
        return
    for item in verdicts:
        _show(item, notes.get(item.suite))
    for lack in lacks:
        _show_lack(lack)
    if sentence and len(verdicts) > 1:
        click.secho(sentence, bold=True)


def _rows(document: Document, folder: Path, suite: str | None) -> list[dict[str, Any]]:
    rows = [v for v in document["verdicts"] if suite is None or v["suite"] == suite]
    if not rows:
        raise refusal(document, folder, suite)
    return rows


def _refuse_with_file(given: Mapping[str, str | None]) -> None:
    for name, value in given.items():
        if value is not None:
            raise ConfigError(
                f"{name} chooses among stored verdicts, and --evidence judges a file",
                key=name,
                hint="Leave one of the two out.",
            )


def labelled(
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
    present = {suite.name: suite for suite in workspace.catalogue().suites.values()}
    notes = {}
    for row in rows:
        suite = present.get(row["suite"])
        if suite is None:
            notes[row["suite"]] = "this suite is gone"
            continue
        concerned = [suite, *filter(None, [present.get(suite.config.retained or "")])]
        now = _as_of_today(document, concerned, workspace)
        if sentence := stale_sentence(row, standing(now, now["suites"][0], suite.project)):
            notes[row["suite"]] = sentence
    return notes


def _as_of_today(document: Document, suites: list[Suite], workspace: Workspace) -> Document:
    """What a run would say now of all that a verdict on the first of these suites stands on."""
    memo = workspace.state.hashes
    before = {row["name"]: row for row in document["suites"]}
    specs = {spec.name: spec for spec in suites[0].systems}
    # Of the general skills only the champion: what it stands on of them is measured from there.
    specs |= {s.name: s for suite in suites[1:] for s in suite.systems if s.name == suite.champion}
    return {
        "suites": [_suite_row(s, before[s.name]) for s in suites if s.name in before],
        "systems": [
            {"name": name, "fingerprint": found.digest, "parts": found.parts}
            for name, spec in specs.items()
            if (found := _fingerprint(spec, memo)) is not None
        ],
        "judges": list(_judge_rows(document, suites[0].project, memo)),
    }


def _fingerprint(spec: SystemSpec, memo: Path) -> Fingerprint | None:
    """The fingerprint; None where a file of it is not there: an adapter may be trained later."""
    from systems.fingerprint import fingerprint

    try:
        return fingerprint(spec, memo=memo)
    except ConfigError:
        return None


def _suite_row(suite: Suite, before: Mapping[str, Any]) -> dict[str, Any]:
    from harness.cases import content_hash

    return {
        "name": suite.name,
        "file": str(suite.file),
        "content_hash": content_hash(suite.cases),
        "metrics": dict(_versions(suite, before["metrics"])),
        "systems": [spec.name for spec in suite.systems],
        "champion": suite.champion,
        "target": suite.config.target,
        "decides": list(suite.config.decides),
        "split": suite.config.split,
        "cluster": suite.cluster,
    }


def _versions(suite: Suite, before: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The metrics as their source stands; one whose source is elsewhere counts as unchanged."""
    from harness.declared import declared_in
    from harness.measured import metrics_in_source

    source, found = suite.file.read_text("utf-8"), metrics_in_source(suite, before)
    elsewhere = not declared_in(ast.parse(source)).complete
    for name in {**before, **found}:
        version = found.get(name)
        if version is not None:
            yield name, version
        elif name in before and (elsewhere or _function_of(name) in source):
            yield name, before[name]


def _function_of(metric: str) -> str:
    """The test function of a metric, less the classes and the parameters in its name."""
    return f"test_{metric.partition('[')[0].rpartition('.')[2]}"


def _judge_rows(document: Document, project: Project, memo: Path) -> Iterator[dict[str, Any]]:
    for row in document.get("judges", ()):
        spec = project.systems.get(row["judge"])
        found = None if spec is None else _fingerprint(spec, memo)
        if found is not None:
            yield {**row, "version": f"-{found.digest[:12]}"}


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
        click.echo(f"  next: {item.next_step['do']}{cost_words(item.next_step)}")
    for line in _outlook(item):
        click.echo(f"  {line}")
    for condition in item.conditions:
        click.echo(f"  on condition: {condition}")
    click.echo(f"  (row {item.row} of the decision table)")


def _show_lack(lack: Lack) -> None:
    click.secho(f"{lack.suite}: no verdict", bold=True)
    click.echo(f"  {lack.why}")


def _outlook(item: Verdict) -> Iterator[str]:
    """How sure, what to expect, what would change it, and what it costs."""
    row = asdict(item)
    value = item.confidence.get("value")
    if value is not None:
        yield f"sure: {chance(value, digits=1)} (weakest link: {item.confidence['weakest']})"
    yield from expected_lines(item.expected)
    yield from change_lines(item.would_change)
    for lines in (money_lines, gpu_lines, calendar_lines):
        yield from lines(row)
