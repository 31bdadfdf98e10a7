"""What a pilot found: points of the curve, gains case by case, tiers by tag, what was forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.escalation import columns_of
from harness.escalation.evidence import Paired, Pilot, PilotPoint
from harness.escalation.outcomes_of_run import (
    CaseInfo,
    Table,
    averaged,
    cases_of,
    deciding_metrics,
    in_split,
    paired,
    tables_of,
)
from harness.pilot.plan import Training
from harness.store import read_document, read_table

LEAST_CASES_OF_A_TAG = 8
CLUSTER = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One suite as several stored runs scored it."""

    suite: Mapping[str, Any]  # its row of run.json
    metrics: Mapping[str, str]  # the deciding ones, with their versions
    tables: Mapping[str, Table]  # by system
    cases: Mapping[str, CaseInfo]
    judged_on: Sequence[str]
    dev: Sequence[str]

    def passed(self, system: str) -> float:
        """Cases passed of those that judge; a case without a score is not passed."""
        fractions = self.tables[system].fractions
        return sum(fractions.get(case) or 0.0 for case in self.judged_on)

    def missing(self, system: str) -> int:
        """Cases without a score."""
        fractions = self.tables[system].fractions
        return sum(fractions.get(case) is None for case in self.judged_on)

    def best(self, systems: Sequence[str]) -> str | None:
        """The best of some systems, chosen on dev cases where there are any."""
        chosen_on = self.dev or self.judged_on

        def rate(name: str) -> float:
            return sum(self.tables[name].fractions.get(case) or 0.0 for case in chosen_on)

        return max((name for name in systems if name in self.tables), key=rate, default=None)

    def compare(self, baseline: str, candidates: Sequence[str]) -> Paired | None:
        """The mean of some systems against another, case by case."""
        mean = averaged([self.tables[name] for name in candidates])
        return paired(self.tables[baseline], mean, self.cases, self.judged_on)


def read_scored(runs: Sequence[Path], suite: str) -> Scored:
    """Read one suite of several stored runs, which must have judged the same cases alike.

    Raises
    ------
    ConfigError
        Two of the runs judged other cases, or by other metrics.
    """
    tables: dict[str, Table] = {}
    first: dict[str, Any] | None = None
    versions: dict[str, str] = {}
    cases: dict[str, CaseInfo] = {}
    for run in runs:
        document = read_document(run)
        row = next((s for s in document["suites"] if s["name"] == suite), None)
        if row is None:
            continue
        metrics = deciding_metrics(document, row)
        found = {name: str(row["metrics"][name]) for name in metrics}
        if first is None:
            first, versions = row, found
            cluster = row.get("cluster") or CLUSTER
            cases = cases_of(columns_of(read_table(run, "cases")), suite, cluster)
        elif (row["content_hash"], found) != (first["content_hash"], versions):
            raise ConfigError(f"'{suite}' was changed while the pilot ran: run it again", file=run)
        tables |= tables_of(columns_of(read_table(run, "scores")), suite, metrics)
    if first is None:
        raise ConfigError(f"no run of the pilot judged '{suite}'")
    judged_on = in_split(cases, first.get("split"))
    dev = in_split(cases, "dev") if len(judged_on) < len(cases) else []
    return Scored(
        suite=first, metrics=versions, tables=tables, cases=cases, judged_on=judged_on, dev=dev
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilots:
    """Which systems were judged, by their part in the pilot."""

    trained: Mapping[Training, str]  # by size and seed
    prompts: Sequence[str]  # of the pilot's own model
    cheap: Sequence[str]  # prompt and RAG systems that compete with tuning
    many_shot: Mapping[int, str]  # by examples in the prompt
    general: Sequence[str] = ()  # tuned systems on the suite of general skills
    general_base: str | None = None

    @property
    def largest(self) -> list[str]:
        """The systems of the largest size."""
        most = max(training.rows for training in self.trained)
        return [name for training, name in self.trained.items() if training.rows == most]


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """Everything that a pilot found."""

    pilot: Pilot
    retained: Paired | None
    own_prompt: Mapping[str, Any] | None
    best_cheap: str | None
    trainings: Sequence[Mapping[str, Any]]
    many_shot: Sequence[Mapping[str, Any]]
    tiers: Sequence[Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """For the committed record; the evidence in the words of its schema."""
        evidence = {"pilot": _plain(asdict(self.pilot))}
        if self.retained is not None:
            evidence["retained"] = _plain(asdict(self.retained))
        return {
            "own_prompt": self.own_prompt,
            "best_cheap": self.best_cheap,
            "trainings": list(self.trainings),
            "many_shot": list(self.many_shot),
            "tiers": list(self.tiers),
            "evidence": evidence,
        }


def findings_of(
    scored: Scored, pilots: Pilots, *, target: float, general: Scored | None = None
) -> Findings:
    """Put the stored runs of a pilot together."""
    own, best = scored.best(pilots.prompts), scored.best(pilots.cheap)
    largest = pilots.largest
    sizes: dict[int, list[str]] = {}
    for training, name in pilots.trained.items():
        sizes.setdefault(training.rows, []).append(name)
    points = tuple(_point(scored, rows, names) for rows, names in sorted(sizes.items()))
    retained = None
    if general is not None and pilots.general_base is not None and pilots.general:
        retained = general.compare(pilots.general_base, pilots.general)
    return Findings(
        pilot=Pilot(
            points=points,
            gain=scored.compare(own, largest) if own is not None else None,
            gain_over_best=scored.compare(best, largest) if best is not None else None,
        ),
        retained=retained,
        own_prompt=_outcome(scored, own) if own is not None else None,
        best_cheap=best,
        trainings=[
            {"rows": t.rows, "seed": t.seed, **_outcome(scored, name)}
            for t, name in pilots.trained.items()
        ],
        many_shot=[
            {"examples": k, **_outcome(scored, name)}
            for k, name in sorted(pilots.many_shot.items())
        ],
        tiers=_tiers(scored, sizes, target),
    )


def _point(scored: Scored, rows: int, names: Sequence[str]) -> PilotPoint:
    mean = averaged([scored.tables[name] for name in names])
    worth = mean.rate(scored.cases, scored.judged_on).n_effective
    cases = len(scored.judged_on)
    return PilotPoint(
        rows=rows,
        passed=tuple(scored.passed(name) for name in names),
        cases=cases,
        n_effective=None if worth is None else min(worth, float(cases)),
    )


def _outcome(scored: Scored, system: str) -> dict[str, Any]:
    return {
        "system": system,
        "passed": scored.passed(system),
        "cases": len(scored.judged_on),
        "missing": scored.missing(system),
    }


def _tiers(
    scored: Scored, sizes: Mapping[int, Sequence[str]], target: float
) -> list[dict[str, Any]]:
    """How each tag learns: its pass rate by size, and the first size at which it reaches the target."""
    by_tag: dict[str, list[str]] = {}
    for case in scored.judged_on:
        for tag in scored.cases[case].tags:
            by_tag.setdefault(tag, []).append(case)
    found = []
    for tag, ids in sorted(by_tag.items()):
        if len(ids) < LEAST_CASES_OF_A_TAG:
            continue
        rates = []
        for rows, names in sorted(sizes.items()):
            total = sum(scored.tables[n].fractions.get(case) or 0.0 for n in names for case in ids)
            rates.append({"rows": rows, "rate": round(total / len(names) / len(ids), 4)})
        reached = next((rate["rows"] for rate in rates if rate["rate"] >= target), None)
        found.append({"tag": tag, "cases": len(ids), "rates": rates, "reached_at": reached})
    return sorted(found, key=lambda tier: -float(tier["rates"][-1]["rate"]))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return round(value, 6) if isinstance(value, float) else value
