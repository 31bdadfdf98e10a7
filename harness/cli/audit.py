"""`rung audit-gates`: replay a stored run's scores to see what its gates would have said."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np

from harness.cli.sides import CaseRows, groups_in, is_graded, read_cases
from harness.cli.workspace import Workspace
from harness.config import load_project
from harness.errors import ConfigError
from harness.gates import Calibration, Gated, Rule, Stored, Subject, calibrate, gate_names
from harness.report.wording import percent, span
from harness.store import Document, ScoreTable, read_document, read_scores
from harness.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """The gates of a run by name, and the rates of their replays."""

    gated: Mapping[str, Gated]
    red: frozenset[str]  # failed in the run itself
    groups_unknown: tuple[str, ...]  # suites of which the run keeps no cases
    found: Calibration


@click.command(short_help="False alarms and detection of your gates.")
@click.argument("run", default="latest")
@click.option("--builds", type=click.IntRange(min=10), default=200, help="Replays of each kind.")
@click.option("--seed", type=int, default=0, help="Of the replays.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def audit_gates(run: str, builds: int, seed: int, as_json: bool) -> None:
    """Replay RUN (default: latest) unchanged, and with planted drops, through its own gates.

    \b
    pytest evals/ --epochs 5 && rung audit-gates
    rung calibrate latest --builds 1000        the same by its other name
    """
    workspace = Workspace()
    folder = workspace.store.find(run)
    decision = load_project(workspace.file).decision
    rule = Rule(alpha=decision.alpha, margin=decision.tolerated_loss, cap=decision.max_cases)
    audit = _audit(folder, builds=builds, seed=seed, rule=rule)
    if as_json:
        click.echo(json.dumps(_document(audit), indent=1))
    else:
        _show(audit)


def _audit(folder: Path, *, builds: int, seed: int, rule: Rule) -> Audit:
    document, cases = read_document(folder), read_cases(folder)
    gated = list(_gated(document, read_scores(folder), cases))
    if not gated:
        raise ConfigError(
            "this run judged no gates",
            hint="Mark a metric, @pytest.mark.gate(...), and run all of its cases.",
        )
    names = gate_names([gate.subject for gate in gated])
    red = {_subject(row) for row in document["gates"] if row["state"] == "failed"}
    suites = dict.fromkeys(gate.subject.suite for gate in gated)
    return Audit(
        gated=dict(zip(names, gated, strict=True)),
        red=frozenset(n for n, gate in zip(names, gated, strict=True) if gate.subject in red),
        groups_unknown=tuple(suite for suite in suites if suite not in cases),
        found=calibrate(gated, rng=np.random.default_rng(seed), builds=builds, rule=rule),
    )


def _subject(row: Mapping[str, Any]) -> Subject:
    return Subject(suite=row["suite"], metric=row["metric"], system=row["system"])


def _gated(
    document: Document, scores: ScoreTable, cases: Mapping[str, CaseRows]
) -> Iterator[Gated]:
    """Yield what is gated; a floor that was not judged is not written down, so it is left out."""
    floors: dict[Subject, dict[str, Any]] = {}
    for row in document["gates"]:
        if row["kind"] != "at_least" or row["margin"] is not None:
            marks = floors.setdefault(_subject(row), {})
            marks[row["kind"]] = row["margin"] if row["kind"] == "at_least" else True
    alike = {s["name"] for s in document["systems"] if s["kind"] in ("recorded", "classical")}
    groups = {suite: groups_in(document, suite, rows) for suite, rows in cases.items()}
    for subject, marks in floors.items():
        stored = scores.get((subject.suite, subject.metric, subject.system))
        if stored is not None:
            yield Gated(
                subject=subject,
                stored=Stored.from_scores(
                    stored,
                    groups=groups.get(subject.suite),
                    graded=is_graded(document, subject.suite, subject.metric),
                ),
                repeatable=subject.system not in alike,
                **marks,
            )


def _show(audit: Audit) -> None:
    found = audit.found
    click.echo(f"{found.builds} unchanged builds: any gate red in {_rate(found.false_alarms)}")
    for name, alarms in found.by_gate.items():
        already = "; it was red in that run too" if name in audit.red and alarms.value else ""
        click.echo(f"  {name}: red in {_rate(alarms)}{already}")
        graded = audit.gated[name].stored.graded
        for drop, caught in found.detections[name].items():
            lost = f"a mean lower by {drop:g}" if graded else f"a drop of {100 * drop:.0f} points"
            click.echo(f"    {lost}: {_caught(caught)}")
    for suite in audit.groups_unknown:
        click.secho(
            f"  {suite}: this run does not keep its cases, so no groups are known:"
            " every case was treated as independent",
            fg="yellow",
        )
    if found.epochs < 2:
        click.secho(
            "  one epoch is stored, so the replay has no noise to show:"
            " run `pytest evals/ --epochs 5` for an honest rate",
            fg="yellow",
        )


def _caught(estimate: Estimate) -> str:
    if not estimate.n:
        return "not planted, there is not so much to lose"
    return f"caught in {_rate(estimate)}"


def _rate(estimate: Estimate) -> str:
    return f"{percent(estimate.value)} % ({span(estimate.low, estimate.high)})"


def _document(audit: Audit) -> dict[str, Any]:
    found = audit.found
    return {
        "builds": found.builds,
        "epochs": found.epochs,
        "false_alarms": asdict(found.false_alarms),
        "gates": {
            name: asdict(gate.subject)
            | {"graded": gate.stored.graded, "groups": gate.stored.groups}
            for name, gate in audit.gated.items()
        },
        "groups_unknown": audit.groups_unknown,
        "by_gate": {name: asdict(rate) for name, rate in found.by_gate.items()},
        "detections": {
            name: {str(drop): asdict(rate) for drop, rate in drops.items()}
            for name, drops in found.detections.items()
        },
    }
