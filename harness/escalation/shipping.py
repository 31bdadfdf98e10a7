"""What forbids a system to ship: critical assertions that it misses, and confirmed regressions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.escalation.evidence import Shipping
from harness.escalation.outcomes_of_run import Document, tables_of
from harness.store import Columns


def shipping(document: Document, scores: Columns, suite: Mapping[str, Any]) -> Shipping:
    """Failed critical gates and confirmed regressions of a suite's champion."""
    name, champion = suite["name"], suite["champion"]
    failed = [
        gate
        for gate in document["gates"]
        if (gate["suite"], gate["system"], gate["state"]) == (name, champion, "failed")
    ]
    critical = tuple(dict.fromkeys(g["metric"] for g in failed if g["kind"] == "critical"))
    worse = tuple(dict.fromkeys(g["metric"] for g in failed if g["kind"] == "no_worse_than"))
    fractions = tables_of(scores, name, critical) if critical else {}
    held = fractions[champion].fractions.values() if critical else ()
    missed = sum(f is not None and f < 1 for f in held)
    unscored = sum(f is None for f in held)
    if critical and not missed:  # some epoch of a case that passed in the others
        unscored = max(unscored, 1)
    return Shipping(
        critical_misses=missed,
        critical_unscored=unscored,
        critical_metrics=critical,
        regression=bool(worse),
        regression_metrics=worse,
    )


def critical_misses(document: Document, scores: Columns, suite: str, system: str) -> int:
    """Cases that a system missed on what the champion's critical gates forbid to miss."""
    critical = {
        gate["metric"]
        for gate in document["gates"]
        if (gate["suite"], gate["kind"]) == (suite, "critical")
    }
    held = tables_of(scores, suite, sorted(critical)).get(system) if critical else None
    return 0 if held is None else sum(f is not None and f < 1 for f in held.fractions.values())
