"""What a verdict takes for granted, and what it did without."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.escalation.claims import Claims
from harness.escalation.evidence import ROUNDING, Evidence, Pilot
from harness.escalation.headroom import several_tasks
from harness.escalation.sentences import SKILL_CASES
from harness.escalation.states import usable
from harness.escalation.table import TABLE, Row, has_tuned, no_rag, passed_over
from harness.escalation.words import already_reach, counted, goal, percent
from harness.types import Action

POSITIVE: frozenset[Action] = frozenset(
    {"step_down", "stay_on_prompt", "change_model", "climb_to_rag", "escalate_to_gpu"}
)
# From here on a verdict has asked whether facts are missing.
ROW_OF_FACTS = next(place for place, row in enumerate(TABLE) if row.number == "6")
ABSENT: Mapping[str, str] = {
    "champion": "no champion among these systems: whether a cheaper one would do was not asked",
    "prompt": "no prompt system that may be used was measured",
    "probe": "no stronger base model was tried (mark one with `probe: true`)",
    "misses": "the misses are not tagged: whether facts are missing was not asked",
    "oracle": "headroom of retrieval not measured (run RAG with `retriever: oracle`)",
    "retained": "forgetting not measured (run the suite of general skills on base and tuned model)",
}


def conditions(claims: Claims, row: Row) -> tuple[str, ...]:
    """Every condition of a verdict, the gravest first."""
    evidence = claims.evidence
    found = [
        *evidence.left_out,
        *_parity(claims),
        *_selection(claims, row),
        *_critical(claims),
        *_trained_on(evidence),
        *_measurement(evidence),
    ]
    found += [ABSENT[name] for name in passed_over(claims, row)]
    found += _facts(claims, row)
    found += _limits(evidence)
    if evidence.pilot is not None and row.number in (
        "12",
        "13",
        "14",
        "15",
        "16",
        "17",
        "17a",
        "14b",
    ):
        found += _pilot(claims, evidence.pilot)
    if (
        has_tuned(claims)
        and row.number in ("12", "13", "14", "17a")
        and evidence.retained is not None
    ) and evidence.retained.n < SKILL_CASES:
        found.append(
            f"general skills were checked on {evidence.retained.n} cases, fewer than {SKILL_CASES}"
        )
    if row.number == "13" and (claims.economics is None or not claims.economics.assessed):
        found.append("not assessed: whether it is worth the money")
    return (*found, *_asides(claims, row))


def _asides(claims: Claims, row: Row) -> Iterator[str]:
    parts = several_tasks(claims, row)
    if parts is not None:
        reach = [s.tag for s in parts[0]]
        yield f"this is several tasks{f': {already_reach(reach)}' if reach else ''}"
    for opinion in claims.evidence.opinions:
        yield f"{opinion.by} would say {opinion.action}: {opinion.because}"


def _parity(claims: Claims) -> Iterator[str]:
    other = claims.parity_with
    if other is not None:
        limit = claims.evidence.limits.broken_by(other)
        yield (
            f"held to match '{other.name}', which a hard limit rules out ({limit}): "
            f"{goal(claims.target)}"
        )


def _selection(claims: Claims, row: Row) -> Iterator[str]:
    evidence, selection = claims.evidence, claims.evidence.selection
    if row.action in POSITIVE and selection.split != "locked":
        yield "unlocked: optimistic (prompts may have been tuned on the cases that judge them)"
    if selection.locked_uses is not None:
        yield f"locked cases judged on {counted(selection.locked_uses, 'time')}"
    chosen = next((b for b in (claims.prompt, claims.rag) if b is not None and b.tried > 1), None)
    if chosen is not None:
        yield f"the best of {chosen.tried} systems was chosen on the cases that judge it; corrected for"
    if selection.prompt_systems is None and row.number not in ("0a", "0b", "1"):
        yield f"effort counted from this run alone: {counted(claims.prompts_tried, 'prompt system')}"
    if evidence.settings.sequential and any(s.outcomes.clusters for s in evidence.systems):
        yield "looked at in batches and clustered: the claims hold as the number of clusters grows"


def _critical(claims: Claims) -> Iterator[str]:
    """Systems that the verdict speaks about and that could not ship as they are."""
    bests = (claims.prompt, claims.rag, claims.probe, claims.tuned)
    for system in (best.system for best in bests if best is not None):
        if system.critical_misses and system.name != claims.evidence.champion:
            yield (
                f"'{system.name}' misses a critical assertion in "
                f"{counted(system.critical_misses, 'case')}: it cannot ship as it is"
            )


def _trained_on(evidence: Evidence) -> Iterator[str]:
    for system in evidence.systems:
        if system.trained_on_cases:
            seen = counted(system.trained_on_cases, "case")
            yield f"'{system.name}' was trained on {seen} of this suite: its pass rate is no evidence"


def _measurement(evidence: Evidence) -> Iterator[str]:
    if not any(s.outcomes.clusters for s in evidence.systems):
        yield "cases treated as independent (no clusters named)"
    if evidence.judged and not usable(evidence.judge):
        labels = evidence.judge.labels if evidence.judge is not None else 0
        yield f"judge not calibrated ({counted(labels, 'human label')} of at least 100)"
    missing = sum(s.outcomes.missing for s in evidence.systems)
    if missing:
        yield f"{counted(missing, 'output')} without a score, counted at their worst"
    unsure = sum(s.outcomes.unsure_passed + s.outcomes.unsure_missed for s in evidence.systems)
    if unsure > ROUNDING:
        yield f"some epochs have no score: worth {unsure:.3g} cases, counted at their worst"
    if evidence.leakage is not None and evidence.leakage.suspected:
        without = (
            "the answer stays without them"
            if evidence.leakage.without
            else "not judged without them"
        )
        yield f"{counted(evidence.leakage.suspected, 'case')} suspected to be leaked: {without}"


def _facts(claims: Claims, row: Row) -> Iterator[str]:
    misses, facts = claims.evidence.misses, claims.facts
    if misses is None or facts is None:
        return
    if misses.by_rule and no_rag(claims) and TABLE.index(row) >= ROW_OF_FACTS:
        yield "causes of misses set by rule, not by a person"
    if row.number in ("10", "11") and facts.high >= 0.1 and facts.share is not None:
        yield f"up to {percent(facts.high)} of the misses may lack a fact"


def _limits(evidence: Evidence) -> Iterator[str]:
    limits = evidence.limits
    checks = (
        (limits.private, "hosted", "whether its answers leave the house"),
        (limits.latency_p95_s is not None, "latency_p95_s", "its latency"),
        (limits.cost_per_call is not None, "cost_per_call", "its cost per call"),
    )
    for limited, field, what in checks:
        unknown = [s.name for s in evidence.systems if getattr(s, field) is None]
        if limited and unknown:
            yield f"not known of {', '.join(unknown)}: {what}"


def _pilot(claims: Claims, pilot: Pilot) -> Iterator[str]:
    if not pilot.same_model:
        times = f"a {pilot.times_smaller:g}-times smaller" if pilot.times_smaller else "another"
        yield f"measured on {times} model than the one to be tuned"
    if len(pilot.points) < 4:
        yield f"the pilot has {counted(len(pilot.points), 'size')}, fewer than four"
    if len(pilot.points[-1].passed) < 3:
        yield f"the largest size was trained with {counted(len(pilot.points[-1].passed), 'seed')}, fewer than three"
    if pilot.same_model and pilot.gain_over_best is None and claims.parity_with is None:
        yield "the pilot was not compared with the best system case by case"
    have = claims.evidence.readiness
    if claims.reach is not None and have is not None and have.rows > claims.reach.rows:
        yield f"no claim beyond {claims.reach.rows:,} rows: four times the largest pilot"
