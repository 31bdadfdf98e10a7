"""Failed gates as workflow commands of GitHub Actions, which shows them beside the code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np

from harness.design import visible
from harness.report import gates
from harness.report.data import MISSED, RunData
from harness.report.wording import counted, phrase

MOST = 10  # GitHub shows ten errors of a step, and no more
Level = Literal["error", "warning"]


def open_gates(run: RunData) -> list[str]:
    """Return one line for each missed case of a failed critical gate, and for every other open gate.

    >>> from harness.report.workflow_commands import command
    >>> command("error", "miss: 50 %", file="evals/test_a,b.py", title="never swears")
    '::error file=evals/test_a%2Cb.py,title=never swears::miss: 50 %25'
    """
    found: list[str] = []
    for gate in gates.ordered(run.rows("gates")):
        if gate["state"] == "failed" and gate["kind"] == "critical":
            found += _missed(run, gate)
        elif gate["state"] in ("failed", "undecided"):
            found.append(_of_gate(run, gate))
    if len(found) > MOST:
        rest = counted(
            len(found) - MOST + 1, "more miss or open gate", "more misses and open gates"
        )
        found = [*found[: MOST - 1], command("error", f"{rest}: see report.html", title="Rung")]
    return found


def command(level: Level, message: str, **properties: str) -> str:
    """Write one workflow command; what a model wrote cannot end it or begin another."""
    fields = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{level} {fields}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _missed(run: RunData, gate: Mapping[str, Any]) -> Iterator[str]:
    suite = run.suites.get(gate["suite"])
    known = (
        suite is not None and gate["metric"] in suite.metrics and gate["system"] in suite.systems
    )
    if suite is None or not known:
        yield _of_gate(run, gate)
        return
    states = suite.of(gate["metric"], gate["system"])
    for case in np.flatnonzero((states == MISSED).any(1)).tolist():
        yield command(
            "error",
            visible(f"case {suite.cases[case]} is missed by {gate['system']}"),
            file=_file(run, gate["suite"]),
            title=visible(f"critical: {gate['suite']} {gate['metric']}"),
        )


def _of_gate(run: RunData, gate: Mapping[str, Any]) -> str:
    return command(
        "error" if gate["state"] == "failed" else "warning",
        visible(f"{gate['system']}: {gate.get('reason') or phrase(gate['kind'])}"),
        file=_file(run, gate["suite"]),
        title=visible(f"gate {gate['state']}: {gate['suite']} {gate['metric']}"),
    )


def _file(run: RunData, suite: str) -> str:
    """The suite's file, from the root of the repository."""
    found = run.suites.get(suite)
    file = str(found.info.get("file") or f"test_{suite}.py") if found else f"test_{suite}.py"
    return file if "/" in file else f"evals/{file}"
