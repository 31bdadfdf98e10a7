"""`rung audit-gates`: replay a stored run's outcomes to see what its gates would have said."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import click
import numpy as np

from harness.cli.workspace import Workspace
from harness.config import load_project
from harness.errors import ConfigError
from harness.gates import Calibration, Rule, Subject, calibrate
from harness.gates.calibration import Gated
from harness.statistics.outcomes import Outcomes
from harness.store import read_document, read_scores
from harness.types import Estimate


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
    document = read_document(folder)
    gated = _gated(document, read_scores(folder))
    if not gated:
        raise ConfigError("this run has no gates", hint="Mark a metric: @pytest.mark.gate(...)")
    decision = load_project(workspace.file).decision
    rule = Rule(alpha=decision.alpha, margin=decision.tolerated_loss, cap=decision.max_cases)
    found = calibrate(gated, rng=np.random.default_rng(seed), builds=builds, rule=rule)
    if as_json:
        click.echo(json.dumps(_document(found), indent=1))
    else:
        red = {f"{g['suite']}/{g['metric']}" for g in document["gates"] if g["state"] == "failed"}
        _show(found, red)


def _gated(document: dict[str, Any], scores: Any) -> list[Gated]:
    floors: dict[tuple[str, str, str], dict[str, Any]] = {}
    for gate in document["gates"]:
        key = (gate["suite"], gate["metric"], gate["system"])
        marks = floors.setdefault(key, {})
        if gate["kind"] == "at_least":
            marks["at_least"] = gate["margin"]
        else:
            marks[gate["kind"]] = True
    recorded = {s["name"] for s in document["systems"] if s["kind"] == "recorded"}
    return [
        Gated(
            subject=Subject(suite=suite, metric=metric, system=system),
            outcomes=Outcomes.from_scores(scores[suite, metric, system]),
            repeatable=system not in recorded,
            **marks,
        )
        for (suite, metric, system), marks in floors.items()
        if (suite, metric, system) in scores
    ]


def _show(found: Calibration, red: set[str]) -> None:
    click.echo(f"{found.builds} unchanged builds: any gate red in {_rate(found.false_alarms)}")
    for name, alarms in found.by_gate.items():
        already = "; it was red in that run too" if name in red and alarms.value else ""
        click.echo(f"  {name}: red in {_rate(alarms)}{already}")
        for drop, caught in found.detections[name].items():
            click.echo(f"    a drop of {100 * drop:.0f} points: caught in {_rate(caught)}")
    if found.epochs < 2:
        click.secho(
            "  one epoch is stored, so the replay has no noise to show:"
            " run `pytest evals/ --epochs 5` for an honest rate",
            fg="yellow",
        )


def _rate(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "no builds"
    return f"{100 * estimate.value:.1f} % ({100 * estimate.low:.1f}-{100 * estimate.high:.1f})"


def _document(found: Calibration) -> dict[str, Any]:
    return {
        "builds": found.builds,
        "epochs": found.epochs,
        "false_alarms": asdict(found.false_alarms),
        "by_gate": {name: asdict(rate) for name, rate in found.by_gate.items()},
        "detections": {
            name: {str(drop): asdict(rate) for drop, rate in drops.items()}
            for name, drops in found.detections.items()
        },
    }
