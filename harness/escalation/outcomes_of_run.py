"""Which cases a system passed in a stored run, on all deciding metrics together."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harness.declared import metrics_named
from harness.escalation.evidence import Paired, Rate
from harness.statistics.graded import clustered_error
from harness.statistics.rates import clustered
from harness.store import Columns

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseInfo:
    """What the verdict needs of a case."""

    tags: tuple[str, ...] = ()
    group: str | None = None
    split: str | None = None
    gold: bool = False  # names the passages that hold its answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One system's cases: pass fraction over epochs, None where no epoch has a score."""

    fractions: Mapping[str, float | None]
    bounds: Mapping[str, tuple[float, float]]  # were epochs without a score missed, and passed
    epochs: Mapping[str, int]  # scored, of each case

    def rate(self, cases: Mapping[str, CaseInfo], kept: Iterable[str]) -> Rate:
        """The pass rate over some cases, clustered where they share groups or epochs were averaged."""
        ids = [i for i in kept if i in self.fractions]
        scored = [i for i in ids if self.fractions[i] is not None]
        values = np.array([self.fractions[i] for i in scored], dtype=float)
        bounds = np.array([self.bounds[i] for i in scored], dtype=float).reshape(-1, 2)
        passed = float(values.sum())
        found = Rate(
            passed=int(passed) if passed.is_integer() else passed,
            n=len(scored),
            missing=len(ids) - len(scored),
            unsure_passed=float((values - bounds[:, 0]).sum()),
            unsure_missed=float((bounds[:, 1] - values).sum()),
        )
        groups = [cases[i].group or f"case:{i}" for i in scored]
        repeated = len(set(groups)) < len(groups)
        if not scored or (not repeated and bool(np.isin(values, (0.0, 1.0)).all())):
            return found
        scores = sum(self.epochs[i] for i in scored)
        data = clustered(values, groups if repeated else None, scores=scores)
        return replace(
            found,
            n_effective=data.n_effective,
            clusters=data.clusters,
            effective_clusters=_if_unequal(data.effective_clusters, data.clusters),
        )


@dataclass(slots=True, kw_only=True)
class _Tally:
    """Epochs of one case and system by what the deciding metrics said."""

    asked: set[int] = field(default_factory=set)
    missed: set[int] = field(default_factory=set)
    passed: dict[int, int] = field(default_factory=lambda: defaultdict(int))


def deciding_metrics(document: Document, suite: Mapping[str, Any]) -> list[str]:
    """Metrics that together make a case pass: those named, else those gated, else all.

    A graded metric has no case that passes or misses, so it never decides. The name of a parametrized
    test function means each of its metrics.
    """
    graded = {
        row["metric"]
        for row in document.get("estimates", ())
        if row["suite"] == suite["name"] and row["kind"] == "mean"
    }
    metrics = [name for name in suite["metrics"] if name not in graded]
    if suite.get("decides"):
        return metrics_named(metrics, suite["decides"])
    gated = {row["metric"] for row in document.get("gates", ()) if row["suite"] == suite["name"]}
    return [name for name in metrics if name in gated] or metrics


def in_split(cases: Mapping[str, CaseInfo], split: str | None) -> list[str]:
    """The cases that a split judges: all of them where none is marked."""
    marked = any(case.split for case in cases.values())
    if split not in ("locked", "dev") or not marked:
        return list(cases)
    return [name for name, case in cases.items() if case.split == split]


def averaged(tables: Sequence[Table]) -> Table:
    """Several trainings as one system: each case's mean, where all of them have a score."""
    fractions: dict[str, float | None] = {}
    bounds: dict[str, tuple[float, float]] = {}
    for case in tables[0].fractions:
        values = [table.fractions.get(case) for table in tables]
        known = [value for value in values if value is not None]
        fractions[case] = sum(known) / len(known) if len(known) == len(values) else None
        limits = [table.bounds.get(case, (0.0, 1.0)) for table in tables]
        low, high = (sum(ends) / len(ends) for ends in zip(*limits, strict=True))
        bounds[case] = (low, high)
    epochs = {case: sum(table.epochs.get(case, 0) for table in tables) for case in fractions}
    return Table(fractions=fractions, bounds=bounds, epochs=epochs)


def cases_of(columns: Columns, suite: str, cluster: str) -> dict[str, CaseInfo]:
    """Read the cases of one suite from cases.parquet's columns."""
    found = {}
    names = ("suite", "case", "tags", "metadata", "context")
    for name, case, tags, metadata, context in zip(*(columns[n] for n in names), strict=True):
        if name != suite:
            continue
        meta = json.loads(metadata) if metadata else {}
        group = meta.get(cluster)
        found[case] = CaseInfo(
            tags=tuple(json.loads(tags)) if tags else (),
            group=None if group is None else str(group),
            split=meta.get("split"),
            gold=bool(context and json.loads(context)),
        )
    return found


def tables_of(
    columns: Columns, suite: str, metrics: Sequence[str], *, not_run_counts: bool = True
) -> dict[str, Table]:
    """Put the deciding metrics of one suite together, by system.

    An epoch passes when every metric holds, misses when one does not, and has no score otherwise.
    """
    wanted = set(metrics)
    tallies: dict[str, dict[str, _Tally]] = defaultdict(lambda: defaultdict(_Tally))
    names = ("suite", "system", "case", "epoch", "metric", "state")
    for name, system, case, epoch, metric, state in zip(*(columns[n] for n in names), strict=True):
        if name != suite or metric not in wanted or (state == "not_run" and not not_run_counts):
            continue
        tally = tallies[system][case]
        tally.asked.add(epoch)
        if state == "passed":
            tally.passed[epoch] += 1
        elif state == "missed":
            tally.missed.add(epoch)
    return {system: _table(by_case, len(wanted)) for system, by_case in tallies.items()}


def _table(by_case: Mapping[str, _Tally], metrics: int) -> Table:
    fractions: dict[str, float | None] = {}
    bounds: dict[str, tuple[float, float]] = {}
    epochs: dict[str, int] = {}
    for case, tally in by_case.items():
        passed = sum(
            count == metrics and epoch not in tally.missed for epoch, count in tally.passed.items()
        )
        epochs[case] = passed + len(tally.missed)
        fractions[case] = passed / epochs[case] if epochs[case] else None
        asked = len(tally.asked)
        bounds[case] = (passed / asked, (asked - len(tally.missed)) / asked)
    return Table(fractions=fractions, bounds=bounds, epochs=epochs)


def paired(
    baseline: Table, candidate: Table, cases: Mapping[str, CaseInfo], kept: Iterable[str]
) -> Paired | None:
    """Two systems on the cases that both were asked; None where no case has a score on both sides."""
    asked = [i for i in kept if i in baseline.fractions and i in candidate.fractions]
    both = [
        i for i in asked if baseline.fractions[i] is not None and candidate.fractions[i] is not None
    ]
    if not both:
        return None
    base = np.array([baseline.fractions[i] for i in both], dtype=float)
    new = np.array([candidate.fractions[i] for i in both], dtype=float)
    differences = new - base
    gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
    observed = dict(zip(both, differences.tolist(), strict=True))
    limits = {i: _limits(baseline, candidate, i) for i in asked}
    found = Paired(
        gained=gained,
        lost=lost,
        tied=len(both) - gained - lost,
        unpaired=len(asked) - len(both),
        may_lose=sum(observed.get(i, 0.0) - low for i, (low, _) in limits.items()),
        may_gain=sum(high - observed.get(i, 0.0) for i, (_, high) in limits.items()),
    )
    groups = [cases[i].group or f"case:{i}" for i in both]
    repeated = len(set(groups)) < len(groups)
    known = all(low == high for low, high in map(limits.__getitem__, both))  # every epoch of them
    whole = known and bool(np.isin(differences, (-1.0, 0.0, 1.0)).all())
    if whole and not repeated:
        return found
    error = clustered_error(differences, groups if repeated else None)
    return replace(
        found,
        difference=None if whole else float(differences.mean()),
        standard_error=error.value if error.value is not None else 1.0,
        clusters=error.clusters,
        effective_clusters=_if_unequal(error.effective_clusters, error.clusters),
    )


def _if_unequal(effective: float | None, clusters: int) -> float | None:
    """What clusters are worth, where that is not their number."""
    same = effective is None or math.isclose(effective, clusters)
    return None if same else effective


def _limits(baseline: Table, candidate: Table, case: str) -> tuple[float, float]:
    """A case's difference with every output without a score against, and for, the candidate."""
    (least_base, most_base), (least, most) = baseline.bounds[case], candidate.bounds[case]
    return least - most_base, most - least_base
