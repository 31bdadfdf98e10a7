"""The outputs of a stored run, looked up one at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import ConfigError, nearest
from harness.store import read_document, read_table
from harness.types import Case, Output, Passage, Score, Step, ToolCall, Usage

Row: TypeAlias = dict[str, Any]
Place: TypeAlias = tuple[str, int]  # case id, epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An output with its case and its scores."""

    suite: str
    system: str
    case: Case
    output: Output
    scores: tuple[Score, ...]


class RunOutputs:
    """A stored run; tables are read once, and rows made into records when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        document = read_document(folder)
        self.run_id: str = document["run_id"]
        self.suites: dict[str, Row] = {suite["name"]: suite for suite in document["suites"]}
        self._cases = {(row["suite"], row["case"]): row for row in read_table(folder, "cases")}
        self._outputs: dict[tuple[str, str], dict[Place, Row]] = {}
        for row in read_table(folder, "outputs"):
            table = self._outputs.setdefault((row["suite"], row["system"]), {})
            table[row["case"], row["epoch"]] = row
        self._scores: dict[tuple[str, str], dict[Place, list[Score]]] = {}
        for row in read_table(folder, "scores"):
            scores = self._scores.setdefault((row["suite"], row["system"]), {})
            scores.setdefault((row["case"], row["epoch"]), []).append(_score(row))

    def systems(self, suite: str) -> list[str]:
        """Return the systems that answered the suite, the champion first."""
        champion = self.suites[suite].get("champion")
        return sorted(
            (system for name, system in self._outputs if name == suite),
            key=lambda system: system != champion,
        )

    def places(self, suite: str, system: str) -> list[Place]:
        """Return every output of a system, in the run's order."""
        return list(self._outputs.get((suite, system), {}))

    def scores(self, suite: str, system: str) -> Mapping[Place, Sequence[Score]]:
        """Return the scores of a system by output."""
        return self._scores.get((suite, system), {})

    def text(self, suite: str, system: str, place: Place) -> str:
        """Return what was answered; no answer is empty."""
        return self._outputs[suite, system][place]["text"] or ""

    def cases(self, suite: str) -> dict[str, Case]:
        """Return the cases of a suite by id."""
        return {case: _case(row) for (name, case), row in self._cases.items() if name == suite}

    def case(self, suite: str, case_id: str) -> Case:
        """Return a case."""
        return _case(self._cases[suite, case_id])

    def output(self, suite: str, system: str, place: Place) -> Output:
        """Return an output."""
        return _output(self._outputs[suite, system][place])

    def has(self, suite: str, system: str, place: Place) -> bool:
        """Tell whether the run has this output."""
        return place in self._outputs.get((suite, system), {})

    def item(self, suite: str, system: str, place: Place) -> Item:
        """Return an output with everything that is shown beside it."""
        return Item(
            suite=suite,
            system=system,
            case=self.case(suite, place[0]),
            output=self.output(suite, system, place),
            scores=tuple(self.scores(suite, system).get(place, ())),
        )

    def check_suite(self, suite: str) -> str:
        """Return the name of a suite of this run, or say which there are."""
        if suite not in self.suites or not self.systems(suite):
            known = [name for name in self.suites if self.systems(name)]
            raise ConfigError(f"this run has no suite '{suite}'. {nearest(suite, known)}")
        return suite

    def check_system(self, suite: str, system: str) -> str:
        """Return the name of a system of the suite, or say which there are."""
        known = self.systems(self.check_suite(suite))
        if system not in known:
            raise ConfigError(f"'{system}' did not answer {suite}. {nearest(system, known)}")
        return system

    def check_metric(self, suite: str, metric: str) -> str:
        """Return the name of a metric of the suite, or say which there are."""
        known = list(self.suites[self.check_suite(suite)]["metrics"])
        if metric not in known:
            message = f"{suite} has no metric '{metric[:40]}'. {nearest(metric, known)}"
            raise ConfigError(message, key="--metric")
        return metric

    def judged(self, suite: str) -> list[str]:
        """Return the metrics that a judge answers."""
        # A judged metric's version names its function, its rubric and its judge.
        metrics = self.suites[suite]["metrics"]
        return [name for name, version in metrics.items() if str(version).count("-") == 2]


def _score(row: Row) -> Score:
    return Score(
        case_id=row["case"],
        epoch=row["epoch"],
        metric=row["metric"],
        state=row["state"],
        value=row["value"],
        reason=row["reason"],
    )


def _case(row: Row) -> Case:
    context = json.loads(row["context"] or "[]")
    return Case(
        id=row["case"],
        input=json.loads(row["input"]),
        expected_output=json.loads(row["expected_output"]) if row["expected_output"] else None,
        context=tuple(Passage(id=p["id"], text=p.get("text")) for p in context),
        tags=tuple(json.loads(row["tags"] or "[]")),
        metadata=json.loads(row["metadata"] or "{}"),
    )


def _output(row: Row) -> Output:
    tokens = row["prompt_tokens"], row["completion_tokens"]
    return Output(
        case_id=row["case"],
        epoch=row["epoch"],
        text=row["text"] or "",
        tool_calls=tuple(ToolCall(**call) for call in _listed(row["tool_calls"])),
        passages=tuple(Passage(**passage) for passage in _listed(row["passages"])),
        steps=tuple(Step(**step) for step in _listed(row["steps"])),
        usage=None
        if None in tokens
        else Usage(prompt_tokens=tokens[0], completion_tokens=tokens[1]),
        latency_s=row["latency_s"],
        attempts=row["attempts"] or 1,
        finish_reason=row["finish_reason"],
        refused=bool(row["refused"]),
        prompt=json.loads(row["prompt"]) if row["prompt"] else None,
        error=row["error"],
    )


def _listed(text: str | None) -> list[dict[str, Any]]:
    return json.loads(text) if text else []
