"""A small project with a stored run, for the tests of the desk."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.store import write_document, write_table

SYSTEMS = ("few-shot", "rag-secret-name")
METRICS = {"states_the_policy": "e7dc4cc1aaaa", "tone": "e7dc4cc1aaaa-0123abcd-ffffeeee0000"}
ENVIRONMENT = "import sys; from harness.cli.{verb} import {verb}; {verb}(sys.argv[1:])"


@dataclass(frozen=True, kw_only=True)
class MadeRun:
    """What one suite of a made-up run holds."""

    cases: int = 30
    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by system; else made up
    inputs: Sequence[Any] = ()
    systems: Sequence[str] = SYSTEMS
    missed: float = 0.5


def write_project(
    folder: Path, made: MadeRun | None = None, *, run_id: str = "20260101-120000-aaaa"
) -> Path:
    """Write evals/rung.yaml and a stored run; returns the run's folder."""
    made = made or MadeRun()
    (folder / "evals").mkdir(parents=True, exist_ok=True)
    entries = "".join(
        f"  {name}: {{kind: recorded, outputs: {name}.jsonl}}\n" for name in made.systems
    )
    (folder / "evals" / "rung.yaml").write_text("systems:\n" + entries, "utf-8")
    run = folder / "reports" / run_id
    run.mkdir(parents=True)
    write_document(run, _document(made, run_id))
    for name, columns in _tables(made).items():
        write_table(run, name, columns)
    (folder / "reports" / "latest").unlink(missing_ok=True)
    (folder / "reports" / "latest").symlink_to(run_id)
    return run


def answer_of(system: str, number: int) -> str:
    """A made-up answer."""
    days = 14 if system == SYSTEMS[0] else 30
    return f"You can send parcel {number} back within {days} days and we pay the postage."


def _document(made: MadeRun, run_id: str) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "run_id": run_id,
        "suites": [
            {
                "name": "support",
                "metrics": METRICS,
                "champion": made.systems[0],
                "systems": list(made.systems),
                "decides": ["states_the_policy"],
            }
        ],
        "systems": [{"name": name, "kind": "recorded", "rung": "prompt"} for name in made.systems],
    }


def _tables(made: MadeRun) -> dict[str, dict[str, list[Any]]]:
    ids = [f"c{i:03d}" for i in range(made.cases)]
    cases: dict[str, list[Any]] = {
        "suite": ["support"] * made.cases,
        "case": ids,
        "input": [
            json.dumps(made.inputs[i] if i < len(made.inputs) else f"May I return parcel {i}?")
            for i in range(made.cases)
        ],
        "expected_output": [json.dumps("within 30 days")] * made.cases,
        "context": [json.dumps([{"id": "returns.md#deadline", "text": "Within 30 days."}])]
        * made.cases,
        "tags": [json.dumps(["refunds"])] * made.cases,
        "metadata": ["{}"] * made.cases,
    }
    outputs: dict[str, list[Any]] = {}
    scores: dict[str, list[Any]] = {}
    for system in made.systems:
        for i, case in enumerate(ids):
            _add(outputs, _output(made, system, i, case))
            missed = i % 10 < 10 * made.missed
            for metric in METRICS:
                state = "missed" if missed and (metric != "tone" or i % 3) else "passed"
                _add(scores, _score(system, case, metric, state))
    return {"cases": cases, "outputs": outputs, "scores": scores}


def _output(made: MadeRun, system: str, number: int, case: str) -> dict[str, Any]:
    given = made.answers.get(system, ())
    passages = [{"id": "hours.md#monday", "text": "We open at nine.", "rank": 1, "score": 0.44}]
    return {
        "suite": "support", "system": system, "case": case, "epoch": 0,
        "text": given[number] if number < len(given) else answer_of(system, number),
        "prompt": json.dumps([{"role": "system", "content": f"You are {system}."},
                              {"role": "user", "content": f"May I return parcel {number}?"}]),
        "passages": json.dumps(passages) if system != SYSTEMS[0] else None,
        "steps": None, "tool_calls": None, "prompt_tokens": 210, "completion_tokens": 24,
        "latency_s": 0.1234 if system == SYSTEMS[0] else 4.321, "attempts": 1,
        "finish_reason": "stop", "refused": False, "error": None, "cached": False,
    }  # fmt: skip


def _score(system: str, case: str, metric: str, state: str) -> dict[str, Any]:
    return {
        "suite": "support", "system": system, "case": case, "epoch": 0, "metric": metric,
        "state": state, "value": 1.0 if state == "passed" else 0.0,
        "reason": None if state == "passed" else "expected 'within 30 days'", "cached": False,
        "latency_s": 0.4, "prompt_tokens": 210, "completion_tokens": 24,
    }  # fmt: skip


def _add(table: dict[str, list[Any]], row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        table.setdefault(name, []).append(value)
