"""Contradictions that a schema cannot see. Each is refused with the field named."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

from harness.economics import GPUS
from harness.error_analysis import CATEGORIES
from harness.errors import ConfigError, nearest
from harness.escalation.evidence import (
    ROUNDING,
    Evidence,
    Leakage,
    NamedPair,
    Paired,
    Pilot,
    Rate,
    Readiness,
)
from harness.escalation.headroom import REMEDIES

Problem = tuple[str, str]  # key, what is wrong with it
CAUSES = tuple(sorted({*REMEDIES, *CATEGORIES}))
# One or two letters off: `formt` is meant to be `format`, `formatting` is a cause of one's own.
ALIKE = 0.83


def check(evidence: Evidence, *, file: Path | str | None = None) -> None:
    """Raise ConfigError for the first contradiction."""
    for key, message in _problems(evidence):
        raise ConfigError(message, file=file, key=key)


def _problems(evidence: Evidence) -> Iterator[Problem]:
    yield from _systems(evidence)
    yield from _pairs(evidence)
    yield from _labels(evidence)
    if evidence.retained is not None:
        yield from _paired(evidence.retained, "retained")
    if evidence.training is not None:
        for gpu in evidence.training.gpus:
            if gpu not in GPUS:
                yield f"training.gpus.{gpu}", f"no GPU is called so. {nearest(gpu, GPUS)}"
    if evidence.pilot is not None:
        yield from _pilot(evidence, evidence.pilot)
    if evidence.readiness is not None:
        yield from _readiness(evidence, evidence.readiness)


def _size(evidence: Evidence) -> int | None:
    """The suite's cases; None where it may have more than were judged.

    A run is stopped by `-x`, or takes the cases in batches; what it stands on tells that it is one.
    """
    of_a_run = "metrics" in evidence.stands_on
    return None if of_a_run or evidence.settings.sequential else evidence.cases


def _systems(evidence: Evidence) -> Iterator[Problem]:
    names = [system.name for system in evidence.systems]
    if not any(system.outcomes.n for system in evidence.systems):
        yield "systems", "no system has a scored case: there is nothing to judge"
    for i, system in enumerate(evidence.systems):
        if names.index(system.name) != i:
            yield f"systems.{i}.name", f"the system '{system.name}' comes twice"
        yield from _rate(system.outcomes, f"systems.{i}.outcomes")
        if system.dev is not None:
            yield from _rate(system.dev, f"systems.{i}.dev")
        if system.oracle and system.rung != "rag":
            yield (
                f"systems.{i}.oracle",
                "only a system on the rung 'rag' can be given gold passages",
            )
    if evidence.champion is not None and evidence.champion not in names:
        yield "champion", f"no system is called so. {nearest(evidence.champion, names)}"
    yield from _slices(evidence, names)
    if evidence.leakage is not None:
        yield from _leakage(evidence, evidence.leakage)


def _slices(evidence: Evidence, names: list[str]) -> Iterator[Problem]:
    for i, part in enumerate(evidence.slices):
        if part.system is not None and part.system not in names:
            yield f"slices.{i}.system", f"no system is called so. {nearest(part.system, names)}"
        yield from _rate(part.outcomes, f"slices.{i}.outcomes")
        if part.outcomes.n > evidence.cases:
            yield f"slices.{i}.outcomes.n", f"more cases than the suite's {evidence.cases}"


def _leakage(evidence: Evidence, leakage: Leakage) -> Iterator[Problem]:
    size, rates = _size(evidence), {s.name: s.outcomes for s in evidence.systems}
    if size is not None and leakage.suspected > size:
        yield "leakage.suspected", f"more cases than the suite's {size}"
    for name, rate in leakage.without.items():
        key = f"leakage.without.{name}"
        if name not in rates:
            yield key, f"no system is called so. {nearest(name, rates)}"
            return
        yield from _rate(rate, key)
        most = rates[name].n
        least = max(most - leakage.suspected, 0)
        if not least <= rate.n <= most:
            yield (
                f"{key}.n",
                f"{rate.n} cases are left of {most}, of which {leakage.suspected} are suspected: "
                f"{least} to {most} can be",
            )


def _rate(rate: Rate, key: str) -> Iterator[Problem]:
    if rate.passed > rate.n:
        yield f"{key}.passed", f"more passed than the {rate.n} scored"
    if rate.unsure_passed > rate.passed + ROUNDING:
        yield f"{key}.unsure_passed", f"more than the {rate.passed:g} that passed"
    if rate.unsure_missed > rate.n - rate.passed + ROUNDING:
        yield f"{key}.unsure_missed", f"more than the {rate.n - rate.passed:g} that were missed"
    yield from _clusters(rate, key)
    if rate.clusters is not None and rate.clusters > rate.n:
        yield f"{key}.clusters", f"more clusters than the {rate.n} cases"
    if (rate.n_effective is None) != (rate.clusters is None):
        yield f"{key}.n_effective", "n_effective and clusters belong together"
    if rate.n_effective is None and rate.passed != int(rate.passed):
        yield f"{key}.passed", "a fraction of a case needs n_effective and clusters"


def _clusters(counts: Rate | Paired, key: str) -> Iterator[Problem]:
    if (counts.effective_clusters or 0) > (counts.clusters or 0) + ROUNDING:
        yield f"{key}.effective_clusters", f"more than the {counts.clusters or 0} clusters"


def _paired(pair: Paired, key: str) -> Iterator[Problem]:
    yield from _clusters(pair, key)
    if (pair.standard_error is None) != (pair.clusters is None):
        yield f"{key}.standard_error", "standard_error and clusters belong together"
    if pair.difference is not None and pair.standard_error is None:
        yield (
            f"{key}.difference",
            "a difference other than (gained - lost) / n needs standard_error",
        )
    if pair.clusters is not None and pair.clusters > pair.n:
        yield f"{key}.clusters", f"more clusters than the {pair.n} cases"


def _pairs(evidence: Evidence) -> Iterator[Problem]:
    rates = {system.name: system.outcomes for system in evidence.systems}
    yield from _compared_twice(evidence.pairs)
    for i, pair in enumerate(evidence.pairs):
        key, counts = f"pairs.{i}", pair.counts
        for side in ("baseline", "candidate"):
            if getattr(pair, side) not in rates:
                yield (
                    f"{key}.{side}",
                    f"no system is called so. {nearest(getattr(pair, side), rates)}",
                )
                return
        base, candidate = rates[pair.baseline], rates[pair.candidate]
        most = min(base.n, candidate.n)
        if counts.gained + counts.lost > most:
            yield (
                f"{key}.counts.gained",
                f"more gained and lost than the {most} cases that both have",
            )
        elif counts.n > most:
            yield f"{key}.counts.tied", f"more pairs than the {most} cases that both have"
        elif counts.n == base.n == candidate.n and counts.standard_error is None:
            gap = candidate.passed - base.passed
            if base.n_effective is None and counts.gained - counts.lost != gap:
                yield (
                    f"{key}.counts.gained",
                    f"gained minus lost is {counts.gained - counts.lost}, "
                    f"but the systems differ by {gap:g} passed cases",
                )
        yield from _paired(counts, f"{key}.counts")


def _compared_twice(pairs: tuple[NamedPair, ...]) -> Iterator[Problem]:
    found: dict[frozenset[str], int] = {}
    for i, pair in enumerate(pairs):
        first = found.setdefault(frozenset((pair.baseline, pair.candidate)), i)
        if pair.baseline == pair.candidate:
            yield f"pairs.{i}.candidate", f"'{pair.candidate}' is compared with itself"
        elif first != i:
            yield f"pairs.{i}", f"these two systems are compared in pairs.{first} already"


def _labels(evidence: Evidence) -> Iterator[Problem]:
    misses = evidence.misses
    if misses is not None and sum(misses.causes.values()) > misses.total:
        yield "misses.causes", f"more causes than the {misses.total} misses"
    if misses is not None:
        yield from _causes(tuple(misses.causes))
    if misses is not None and misses.system is not None:
        found = [s.outcomes for s in evidence.systems if s.name == misses.system]
        if not found:
            names = [s.name for s in evidence.systems]
            yield "misses.system", f"no system is called so. {nearest(misses.system, names)}"
        elif misses.total > found[0].n - found[0].passed + 1e-9:
            missed = found[0].n - found[0].passed
            yield "misses.total", f"more misses than the {missed:g} that the system has"
    if evidence.audit is not None and evidence.audit.wrong > evidence.audit.checked:
        yield "audit.wrong", "more wrong labels than labels checked"
    most = _auditable(evidence)
    if evidence.audit is not None and most is not None and evidence.audit.checked > most:
        yield "audit.checked", f"more labels checked than the suite's {most} cases have"


def _causes(causes: tuple[str, ...]) -> Iterator[Problem]:
    """A cause of one's own is welcome; a known one that is misspelt would lose its remedy."""
    for cause in causes:
        plain = "_".join(cause.casefold().replace("-", " ").replace("_", " ").split())
        close = difflib.get_close_matches(plain, CAUSES, n=1, cutoff=ALIKE)
        if cause not in CAUSES and close:
            yield f"misses.causes.{cause}", f"no cause is called so. Did you mean '{close[0]}'?"


def _auditable(evidence: Evidence) -> int | None:
    """The suite's cases, whichever split they are in; None where some are not in the evidence."""
    dev = [s.dev.n + s.dev.missing for s in evidence.systems if s.dev is not None]
    size = _size(evidence) if evidence.selection.split != "dev" else None
    return None if size is None else size + max(dev, default=0)


def _readiness(evidence: Evidence, ready: Readiness) -> Iterator[Problem]:
    data = evidence.stands_on.get("training")
    pilot = evidence.pilot.data_hash if evidence.pilot is not None else None
    if ready.data_hash and data and ready.data_hash != data:
        yield "readiness.data_hash", "readiness was measured on other training data"
    elif ready.data_hash and pilot and ready.data_hash != pilot:
        yield "readiness.data_hash", "readiness was measured on other training data than the pilot"
    if ready.audit is None:
        return
    if ready.audit.wrong > ready.audit.checked:
        yield "readiness.audit.wrong", "more wrong labels than labels checked"
    # An audit is drawn before rows are cleaned. Where little was left of them, `ready` is false.
    if ready.ready is not False and ready.audit.checked > ready.rows:
        yield "readiness.audit.checked", f"more labels checked than the {ready.rows} rows have"


def _pilot(evidence: Evidence, pilot: Pilot) -> Iterator[Problem]:
    for kind, own in (("cases", pilot.cases_hash), ("training", pilot.data_hash)):
        known = evidence.stands_on.get(kind)
        if own is not None and known is not None and own != known:
            field = "cases_hash" if kind == "cases" else "data_hash"
            what = "cases than the systems" if kind == "cases" else "training data"
            yield f"pilot.{field}", f"the pilot was run on other {what}"
    rows = [point.rows for point in pilot.points]
    if sorted(set(rows)) != rows:
        yield "pilot.points", "sizes must grow from point to point: the subsets are nested"
    size = _size(evidence)
    for i, point in enumerate(pilot.points):
        if point.cases != pilot.points[0].cases:
            yield (
                f"pilot.points.{i}.cases",
                f"the first size was judged on {pilot.points[0].cases}: all are judged on the same",
            )
        if size is not None and point.cases > size:
            yield f"pilot.points.{i}.cases", f"more cases than the suite's {size}"
        if any(passed > point.cases for passed in point.passed):
            yield f"pilot.points.{i}.passed", f"more passed than the {point.cases} cases"
        if point.n_effective is not None and point.n_effective > point.cases:
            yield f"pilot.points.{i}.n_effective", f"more than the {point.cases} cases"
    if pilot.gain is not None:
        yield from _paired(pilot.gain, "pilot.gain")
        cases = pilot.points[-1].cases
        if pilot.gain.n > cases:
            yield "pilot.gain", f"{pilot.gain.n} pairs, but the pilot was judged on {cases} cases"
    if pilot.gain_over_best is not None:
        yield from _paired(pilot.gain_over_best, "pilot.gain_over_best")
        if size is not None and pilot.gain_over_best.n > size:
            yield "pilot.gain_over_best", f"more pairs than the suite's {size} cases"
