"""A stored verdict, judged again with what people have said of the run since."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.desk.calibrating import judge_evidence
from harness.desk.evidence import (
    RunOfSuite,
    StoredSuite,
    SuiteLabels,
    audit_evidence,
    read_suite_labels,
    with_causes,
)
from harness.desk.outputs import RunOutputs
from harness.errors import StoreError
from harness.escalation import Evidence, evidence_from_json, evidence_to_json, with_known
from harness.escalation.outcomes_of_run import deciding_metrics
from harness.escalation.run_evidence import best_cheap, tagged_misses
from harness.store import Document


def label_parts(
    run: RunOfSuite, said: SuiteLabels, *, metrics: list[str], systems: list[str]
) -> dict[str, Any]:
    """Parts of a suite's evidence that only labels can give: an audit, and the judge's errors."""
    found = {
        "audit": audit_evidence(said, run),
        "judge": judge_evidence(run, said, metrics=metrics, systems=systems) if metrics else None,
    }
    return {name: part for name, part in found.items() if part is not None}


def with_labels(
    row: Mapping[str, Any], document: Document, *, folder: Path, evals: Path
) -> dict[str, Any]:
    """Return a verdict's row whose evidence holds the labels as they are now.

    A run that was stored without its answers keeps the evidence that it has.
    """
    suite = next(s for s in document["suites"] if s["name"] == row["suite"])
    said = read_suite_labels(evals, suite["name"])
    if not _anything(said):
        return dict(row)
    try:
        outputs = RunOutputs(folder)
    except StoreError:
        return dict(row)
    run = StoredSuite(outputs, suite["name"])
    evidence = evidence_from_json(row["evidence"])
    judged = set(suite.get("judged") or ()) & set(deciding_metrics(document, suite))
    parts = label_parts(run, said, metrics=sorted(judged), systems=suite["systems"])
    misses = _tagged(evidence, run, said)
    if misses is not None:
        parts["misses"] = misses
    return {**row, "evidence": evidence_to_json(with_known(evidence, parts))}


def _tagged(evidence: Evidence, run: RunOfSuite, said: SuiteLabels) -> dict[str, Any] | None:
    best = best_cheap(evidence.systems)
    if best is None:
        return None
    misses = with_causes(said, run.misses(best.name))
    causes = Counter[str](miss.category for miss in misses if miss.by_hand)
    found = tagged_misses(best, causes)
    if found is None:
        return None
    return {"system": best.name, "total": found.total, "causes": dict(found.causes)}


def _anything(said: SuiteLabels) -> bool:
    return bool(said.labels) or said.misses_file.is_file() or bool(said.judge_files)
