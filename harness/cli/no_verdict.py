"""Why a stored run has no verdict on a suite: no target, only a part of it, or no deciding score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.design import visible
from harness.errors import ConfigError, StoreError, nearest
from harness.escalation import columns_of
from harness.escalation.outcomes_of_run import cases_of, deciding_metrics, in_split
from harness.store import Document, read_table

MOST_OF_A_REASON = 120  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Lack:
    """What a suite lacks for a verdict."""

    suite: str
    why: str
    hint: str

    def __str__(self) -> str:
        return f"'{self.suite}': {self.why}"


def lacking(document: Document, folder: Path, *, with_target: bool = False) -> Iterator[Lack]:
    """Say of each suite without a verdict what it lacks; `with_target`: of those that want one."""
    judged = {verdict["suite"] for verdict in document["verdicts"]}
    for suite in document["suites"]:
        if suite["name"] not in judged and (suite.get("target") is not None or not with_target):
            yield _lack(suite, document, folder)


def refusal(document: Document, folder: Path, suite: str | None) -> ConfigError:
    """The error of a run that has no verdict, or none on the suite that was asked for."""
    names = [row["name"] for row in document["suites"]]
    if suite is not None and suite not in names:
        return ConfigError(f"this run has no suite '{suite}'. {nearest(suite, names)}")
    found = [lack for lack in lacking(document, folder) if suite in (None, lack.suite)]
    if len(found) == 1:
        message = f"this run has no verdict on {found[0]}"
    else:
        message = f"this run has no verdict on any suite: {'; '.join(map(str, found))}"
    hints = dict.fromkeys(lack.hint for lack in found)
    return ConfigError(message, hint="\n  ".join(hints) or None)


def _lack(suite: Mapping[str, Any], document: Document, folder: Path) -> Lack:
    name = str(suite["name"])
    if suite.get("target") is None:
        hint = (
            "Give a suite a `target:` under `suites:` in rung.yaml and run `pytest evals/` again."
        )
        return Lack(suite=name, why="it has no target", hint=hint)
    if suite.get("narrowed"):
        why = "cases or metrics were left out of it"
        return Lack(suite=name, why=why, hint="Run `pytest evals/` whole.")
    why = f"no output has a deciding score ({_states(suite, document, folder)})"
    return Lack(suite=name, why=why, hint="Mend what has no score and run `pytest evals/` again.")


def _states(suite: Mapping[str, Any], document: Document, folder: Path) -> str:
    """Each deciding metric with what became of it on the judged cases, and the commonest reason."""
    judged_on = _judged_on(suite, folder)
    rows = [
        row
        for row in read_table(folder, "scores")
        if row["suite"] == suite["name"] and (judged_on is None or row["case"] in judged_on)
    ]
    parts, reasons = [], Counter[str]()
    for metric in deciding_metrics(document, suite):
        mine = [row for row in rows if row["metric"] == metric]
        states = Counter(row["state"].replace("_", " ") for row in mine)
        counts = ", ".join(f"{count:,} {state}" for state, count in states.most_common())
        parts.append(f"{metric}: {counts or 'not measured'}")
        reasons.update(r["reason"] for r in mine if r["state"] != "passed" and r["reason"])
    said = "; ".join(parts)
    if not reasons:
        return said
    reason = " ".join(visible(reasons.most_common(1)[0][0]).split())[:MOST_OF_A_REASON]
    return f"{said}; most often {reason}"


def _judged_on(suite: Mapping[str, Any], folder: Path) -> set[str] | None:
    """The cases that a verdict counts; None for all of them."""
    if suite.get("split") not in ("locked", "dev"):
        return None
    with suppress(StoreError):  # a blessed run keeps no cases
        columns = columns_of(read_table(folder, "cases"))
        return set(in_split(cases_of(columns, suite["name"], ""), suite["split"]))
    return None
