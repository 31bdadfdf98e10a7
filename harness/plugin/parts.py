"""What a worker hands to the controller: its suites' answers, scores and gates, in one file."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.records import dumps, output_from_json, output_to_json
from harness.run import GateMark, JudgeMark, Metric, Run, SuiteRun
from harness.runner import Answer
from harness.store import explained, sweep
from harness.suites import Catalogue
from harness.types import GateResult, Score


def write(folder: Path, worker: str, run: Run) -> None:
    """Write what this worker did, whole or not at all."""
    # A suite that pytest skipped has scores that say so, and no answers.
    suites = [_to_json(done) for done in run.runs.values() if done.answers or done.scores]
    if not suites:
        return
    with explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{worker}.partial"
        partial.write_text(dumps(suites), "utf-8")
        os.replace(partial, folder / f"{worker}.json")


def merge(folder: Path, run: Run, catalogue: Catalogue) -> None:
    """Take in what the workers wrote, in the order of the suites, whichever worker had which.

    Where two had the same score, the later file holds.
    """
    sweep(folder.parent, "*")
    if not folder.is_dir():
        return
    files = [json.loads(file.read_text("utf-8")) for file in sorted(folder.glob("*.json"))]
    for suite in catalogue.suites.values():
        for part in (part for parts in files for part in parts if part["suite"] == suite.name):
            _take_in(run.run_of(suite), part)
    shutil.rmtree(folder, ignore_errors=True)


def _to_json(run: SuiteRun) -> dict[str, Any]:
    return {
        "suite": run.suite.name,
        "narrowed": run.narrowed,
        "metrics": [asdict(metric) for metric in run.metrics.values()],
        "planned": {system: list(cases) for system, cases in run.planned.items()},
        "answers": {
            system: [
                [
                    case,
                    epoch,
                    answer.cached,
                    output_to_json(answer.output) if answer.output else None,
                    answer.reason,
                ]
                for (case, epoch), answer in answers.items()
            ]
            for system, answers in run.answers.items()
        },
        "scores": [
            [
                metric,
                system,
                [[s.case_id, s.epoch, s.state, s.value, s.reason] for s in table.values()],
            ]
            for (metric, system), table in run.scores.items()
        ],
        "gates": [
            [metric, system, [asdict(result) for result in results]]
            for (metric, system), results in run.gates.items()
        ],
    }


def _take_in(run: SuiteRun, part: dict[str, Any]) -> None:
    run.narrowed |= part["narrowed"]
    cases = {case.id: case for case in run.suite.cases}
    for row in part["metrics"]:
        marks = {
            "gate": GateMark(**row["gate"]) if row["gate"] else None,
            "judge": JudgeMark(**row["judge"]) if row["judge"] else None,
        }
        metric = run.metrics.setdefault(row["name"], Metric(**(row | marks)))
        metric.graded |= row["graded"]
    for system, ids in part["planned"].items():
        run.plan(system, [cases[i] for i in ids])
    for system, rows in part["answers"].items():
        run.answers.setdefault(system, {}).update(
            (
                (case, epoch),
                Answer(output=output_from_json(o) if o else None, cached=cached, reason=why),
            )
            for case, epoch, cached, o, why in rows
        )
    for metric_name, system, rows in part["scores"]:
        scores = [
            Score(case_id=c, epoch=e, metric=metric_name, state=s, value=v, reason=r)
            for c, e, s, v, r in rows
        ]
        run.record(metric_name, system, scores)
    for metric_name, system, results in part["gates"]:
        run.gates[metric_name, system] = [GateResult(**result) for result in results]
