"""What a pilot stands on, and what of its evidence falls with each hash that is another now.

Points of the curve stand on the trainings, the cases and the metrics; all falls with them. Gains stand
on the prompts too that tuning was compared with, and forgetting on the suite of general skills: these
fall alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.pilot.findings import Scored
from harness.pilot.workshop import digest

TUNED, COMPARED, GENERAL = "tuned system ", "compared system ", "general "
SKILLS = f"{GENERAL}skills"
GENERAL_BASE = f"{GENERAL}system "
OF_SYSTEMS = (TUNED, COMPARED, GENERAL_BASE)  # fingerprints, by the beginning of their names
MEASURES = ("name", "content_hash", "split", "cluster")  # of a suite's row in run.json
# What falls alone, by the beginning of the hashes' names: places in the evidence, in words.
PARTS: Mapping[str, tuple[Sequence[str], str]] = {
    COMPARED: (("pilot.gain", "pilot.gain_over_best"), "what tuning gains"),
    GENERAL: (("retained",), "what tuning forgets"),
}
WORDS = {
    "cases": "cases",
    "training": "training rows",
    "model": "base model",
    "recipe": "recipe",
    "system": "prompt or settings",
    "metrics": "metrics",
    SKILLS: "general skills",
}


def skills_digest(suite: Mapping[str, Any], metrics: Iterable[str]) -> str:
    """Hash what forgetting was measured by: a row of run.json's `suites`, its metrics that decide."""
    versions = {name: suite["metrics"].get(name) for name in metrics}
    return digest({"metrics": versions, **{name: suite.get(name) for name in MEASURES}})


def hashes_beside(
    found: Mapping[str, Any],
    prints: Mapping[str, str],
    *,
    skills: Scored | None,
    base: str | None,
    imported: bool,
) -> dict[str, str]:
    """Hashes of what findings stand on beside cases, metrics, rows and what a training depends on.

    Parameters
    ----------
    found : mapping
        Findings as they are written.
    prints : mapping
        Fingerprints of systems, by name.
    skills, base
        General skills as they were scored, and the system there that tuning is compared with.
    imported : bool
        The systems of the curve are some of the project's: they were tuned elsewhere.
    """
    own = found["own_prompt"]
    compared = {own["system"] if own is not None else None, found["best_cheap"]} - {None}
    hashes = {f"{COMPARED}{name}": prints[name] for name in compared}
    if imported:
        hashes |= {f"{TUNED}{row['system']}": prints[row["system"]] for row in found["trainings"]}
    if skills is not None and base is not None:
        hashes[SKILLS] = skills_digest(skills.suite, skills.metrics)
        hashes[f"{GENERAL_BASE}{base}"] = prints[base]
    return hashes


def outdated(record: Mapping[str, Any], now: Mapping[str, str]) -> tuple[str, ...]:
    """Name what the pilot stood on and that is another now."""
    before: Mapping[str, str] = record["stands_on"]
    return tuple(name for name, value in before.items() if now.get(name) != value)


def stale(changed: Iterable[str]) -> list[str]:
    """Of what has changed, that with which the whole pilot falls."""
    return [name for name in changed if not name.startswith(tuple(PARTS))]


def standing_evidence(record: Mapping[str, Any], changed: Sequence[str]) -> dict[str, Any]:
    """The evidence of a record that still stands, and what is said of the rest."""
    if gone := stale(changed):
        return {"left_out": [_left_out(record, "the pilot", gone)]}
    found: dict[str, Any] = dict(record["evidence"])
    told = []
    for beginning, (places, part) in PARTS.items():
        if gone := [name for name in changed if name.startswith(beginning)]:
            found = _without(found, places)
            told.append(_left_out(record, part, gone))
    return {**found, "left_out": told} if told else found


def _without(evidence: Mapping[str, Any], places: Sequence[str]) -> dict[str, Any]:
    kept = {name: value for name, value in evidence.items() if name not in places}
    for section, _, gone in (place.partition(".") for place in places):
        if gone and section in kept:
            kept[section] = {name: v for name, v in kept[section].items() if name != gone}
    return kept


def _left_out(record: Mapping[str, Any], part: str, changed: Sequence[str]) -> str:
    what = ", ".join(map(_word, changed))
    return f"left out: {part} is stale (changed since: {what}); run `rung pilot {record['suite']}` again"


def _word(name: str) -> str:
    for beginning in OF_SYSTEMS:
        if name.startswith(beginning):
            return f"system {name.removeprefix(beginning)}"
    return WORDS.get(name, name)
