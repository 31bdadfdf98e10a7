"""Judges against the labels that people gave: agreement, errors, and the corrected pass rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.data import RunData
from harness.report.wording import NONE, counted, percent, sentence, signed


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeRow:
    """One judged metric on one system."""

    suite: str
    metric: str
    system: str
    judge: str
    labels: int
    human: bool
    kappa: str
    sensitivity: str
    specificity: str
    raw: str
    corrected: str
    limits: str
    refusal: str | None
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferenceRow:
    """Two systems by a judge, as people would see them."""

    suite: str
    metric: str
    baseline: str
    candidate: str
    raw: str
    corrected: str
    limits: str
    pairs: int


def rows(run: RunData) -> list[JudgeRow]:
    """Build the table, refused judges first, then those with labels."""
    found = [_row(row) for row in run.rows("judges")]
    return sorted(found, key=lambda row: (row.refusal is None, -row.labels))


def differences(run: RunData) -> list[DifferenceRow]:
    """Build the table of corrected differences."""
    return [
        DifferenceRow(
            suite=row["suite"],
            metric=row["metric"],
            baseline=row["baseline"],
            candidate=row["candidate"],
            raw=signed(row["raw"]),
            corrected=signed(row["difference"]["value"]),
            limits=_limits(row["difference"], signed),
            pairs=row["pairs"],
        )
        for row in run.rows("judge_differences")
    ]


def waiting(run: RunData) -> list[str]:
    """Say of each suite which labels do not count in this run."""
    return [f"{row['suite']}: {row['waiting']}" for row in run.rows("labels") if row.get("waiting")]


def finding(found: Sequence[JudgeRow]) -> str:
    """State in a sentence what the judges' word is worth."""
    refused = [row for row in found if row.refusal is not None]
    checked = [row for row in found if row.labels and row.human]
    if refused:
        return sentence(f"no gate may rest on the judge of {refused[0].metric}: it says too little")
    if not checked:
        return "No judge was checked by people"
    if len(checked) < len(found):
        return f"{len(checked)} of {counted(len(found), 'judged metric')} checked by people"
    return "Judges are checked by people's labels"


def _row(row: Mapping[str, Any]) -> JudgeRow:
    corrected = row["pass_rate"] if row["refusal"] is None else {}
    return JudgeRow(
        suite=row["suite"],
        metric=row["metric"],
        system=row["system"],
        judge=row["judge"],
        labels=row["labels"],
        human=row["source"] == "human",
        kappa=_two(row["kappa"]["value"]),
        sensitivity=_two(row["sensitivity"]["value"]),
        specificity=_two(row["specificity"]["value"]),
        raw=percent(row["raw_pass_rate"]),
        corrected=percent(corrected.get("value")),
        limits=_limits(corrected, percent),
        refusal=row["refusal"],
        conditions=tuple(row["conditions"]),
    )


def _two(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _limits(found: Mapping[str, Any], shown: Any) -> str:
    if found.get("low") is None or found.get("high") is None:
        return ""
    return f"{shown(found['low'])} to {shown(found['high'])}"
