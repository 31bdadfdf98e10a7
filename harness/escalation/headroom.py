"""What each step could buy at most: misses by cause, the gold passages, and scope by tag."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scipy.special import ndtr

from harness.escalation.claims import Claims
from harness.escalation.evidence import Evidence, Misses, Rate, Slice
from harness.escalation.states import rate_state
from harness.escalation.table import Row
from harness.statistics.multiplicity import holm

LEAST_CASES_OF_A_TAG = 20
# What mends a miss of this cause.
REMEDIES: Mapping[str, str] = {
    "missing_fact": "RAG",
    "retrieval": "better retrieval",
    "format": "prompting or tuning",
    "behaviour": "prompting or tuning",
    "reasoning": "a stronger model",
    "bad_label": "correct labels",
    "unknown": "tagging",
    # By rule alone.
    "error": "a system that answers",
    "truncated": "more tokens to answer in",
    "refused": "prompting",
    "invalid_label": "prompting or tuning",
    "too_long": "prompting",
    "repetitive": "decoding, or a stronger model",
    "misspelled": "a stronger model, or tuning",
    "unused_fact": "prompting, tuning or a stronger model",
    "wrong_fact": "prompting, tuning or a stronger model",
    "off_topic": "prompting",
}


def waterfall(claims: Claims) -> list[dict[str, Any]]:
    """Misses of the best cheap system by cause, the largest first, in points of its pass rate.

    Each row: `cause`, `misses`, `points` (what the pass rate would gain were all of them mended),
    `remedy`. Misses that nobody tagged are the cause `unknown`.
    """
    evidence, misses = claims.evidence, _misses(claims)
    if misses is None:
        return []
    cases = _cases(evidence, misses.system) or misses.total
    causes = dict(misses.causes)
    causes["unknown"] = misses.total - misses.tagged
    return [
        {
            "cause": cause,
            "misses": count,
            "points": round(count / cases, 4),
            "remedy": _remedy(cause, evidence, misses),
        }
        for cause, count in sorted(causes.items(), key=lambda item: -item[1])
        if count
    ]


def _misses(claims: Claims) -> Misses | None:
    """The misses as evidence has them, else those of the best cheap system, their causes unknown."""
    best = claims.best_cheap
    if claims.evidence.misses is not None or best is None:
        return claims.evidence.misses
    return Misses(system=best.name, total=int(best.outcomes.n - best.outcomes.passed), causes={})


def _remedy(cause: str, evidence: Evidence, misses: Misses) -> str:
    # Retrieval that is there and brought no gold passage is not mended by having retrieval.
    rung = next((s.rung for s in evidence.systems if s.name == misses.system), None)
    known = "retrieval" if cause == "missing_fact" and rung == "rag" else cause
    return REMEDIES.get(known, "depends on the cause")


def _cases(evidence: Evidence, system: str | None) -> int | None:
    return next((s.outcomes.n for s in evidence.systems if s.name == system), None)


def headroom(claims: Claims) -> dict[str, Any]:
    """What retrieval, facts and labels could buy at most; `not measured` where nobody looked."""
    evidence, found = claims.evidence, {}
    best = claims.best_cheap
    value = best.outcomes.value if best is not None else None
    if claims.oracle is not None and claims.rag is not None:
        oracle, rag = claims.oracle.system.outcomes.value, claims.rag.system.outcomes.value
        found["retrieval"] = round(max((oracle or 0.0) - (rag or 0.0), 0.0), 4)
    elif claims.oracle is not None and value is not None:
        found["retrieval"] = round(
            max((claims.oracle.system.outcomes.value or 0.0) - value, 0.0), 4
        )
    facts = _facts_at_most(evidence.misses)
    if facts is not None and value is not None:
        found["facts"] = round(facts * (1 - value), 4)
    if evidence.audit is not None and evidence.audit.checked:
        found["labels"] = round(evidence.audit.wrong / evidence.audit.checked, 4)
    measured: dict[str, Any] = {
        name: found.get(name, "not measured") for name in ("retrieval", "facts", "labels")
    }
    return {"at_most": measured, "waterfall": waterfall(claims)}


def _facts_at_most(misses: Misses | None) -> float | None:
    """The share of misses that may lack a fact: every one of unknown cause may. None: no cause known."""
    if misses is None or not misses.tagged:
        return None
    may = misses.causes.get("missing_fact", 0) + misses.causes.get("unknown", 0)
    return may / sum(misses.causes.values())


def several_tasks(claims: Claims, row: Row) -> tuple[tuple[Slice, ...], tuple[Slice, ...]] | None:
    """Tags that already reach the target and those that do not, where the suite is several tasks.

    It is when some tag's pass rate differs from that of the other cases by more than twice a
    worthwhile gain, and by more than chance (Holm over the tags). The system is the one that the
    verdict speaks about.
    """
    evidence, tags = claims.evidence, _tags(claims, row)
    if len(tags) < 2:
        return None
    passed, n = _whole(evidence, tags)
    gaps, pvalues = [], []
    for part in tags:
        k, m = part.outcomes.passed, part.outcomes.n
        if m >= n:
            continue
        gap = k / m - (passed - k) / (n - m)
        spread = passed / n * (1 - passed / n) * (1 / m + 1 / (n - m))
        gaps.append(abs(gap))
        pvalues.append(2 * float(ndtr(-abs(gap) / spread**0.5)) if spread > 0 else 1.0)
    least, alpha = 2 * evidence.settings.worthwhile_gain, evidence.settings.alpha
    if not any(
        gap > least and p <= alpha for gap, p in zip(gaps, holm(pvalues).tolist(), strict=True)
    ):
        return None
    reach = tuple(
        s
        for s in tags
        if rate_state(evidence, s.outcomes, evidence.target, tried=len(tags)).state == "above"
    )
    return reach, tuple(s for s in tags if s not in reach)


def _tags(claims: Claims, row: Row) -> list[Slice]:
    """The system that the verdict speaks about by tag; of an unnamed system all that there is."""
    tags = [s for s in claims.evidence.slices if s.outcomes.n >= LEAST_CASES_OF_A_TAG]
    if all(s.system is None for s in tags):
        return tags
    name = spoken_of(claims, row)
    return [s for s in tags if s.system == name]


def spoken_of(claims: Claims, row: Row) -> str | None:
    """The system whose pass rate the verdict's sentence names."""
    named = {
        "0b": claims.champion, "1": claims.step_down, "1b": claims.champion,
        "2": claims.prompt, "3": claims.prompt, "4": claims.prompt,
        "5": claims.probe, "5b": claims.probe, "8": claims.rag, "14a": claims.tuned,
    }.get(row.number)  # fmt: skip
    system = named.system if named is not None else claims.best_cheap
    return system.name if system is not None else None


def _whole(evidence: Evidence, tags: list[Slice]) -> tuple[float, int]:
    """The cases that the tags are parts of: the system's, or the sum where tags do not overlap."""
    system = next((s for s in evidence.systems if s.name == tags[0].system), None)
    if system is not None:
        return system.outcomes.passed, system.outcomes.n
    return sum(s.outcomes.passed for s in tags), sum(s.outcomes.n for s in tags)


def scope(claims: Claims, row: Row) -> dict[str, Any] | None:
    """The report's view of `several_tasks`: who reaches, who does not, and the rest taken together."""
    evidence, found = claims.evidence, several_tasks(claims, row)
    if found is None:
        return None
    reach, rest = found
    n = sum(s.outcomes.n for s in rest)
    joint = Rate(passed=sum(s.outcomes.passed for s in rest), n=n)
    partition = sum(s.outcomes.n for s in (*reach, *rest)) <= evidence.cases
    state = rate_state(evidence, joint, evidence.target).state if n and partition else None
    return {
        "several_tasks": True,
        "system": (*reach, *rest)[0].system,
        "reach": [s.tag for s in reach],
        "rest": [
            {"tag": s.tag, "passed": s.outcomes.passed, "n": s.outcomes.n}
            for s in sorted(rest, key=lambda s: s.outcomes.value or 0.0)
        ],
        "rest_against_target": state,
    }
