"""Why a system missed, by the rules of the error analysis, as evidence."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from harness.escalation.evidence import Misses, SystemEvidence
from harness.store import Columns

UNKNOWN = "unknown"


def causes_of(scores: Columns, suite: str, system: str, metrics: Collection[str]) -> dict[str, str]:
    """One cause for each missed case: that of most of its misses, `unknown` if none has a majority."""
    by_case: dict[str, list[str]] = defaultdict(list)
    names = ("suite", "system", "metric", "state", "case", "category")
    rows = zip(*(scores[n] for n in names), strict=True) if "category" in scores else ()
    for *where, metric, state, case, cause in rows:
        if where == [suite, system] and metric in metrics and state == "missed" and cause:
            by_case[case].append(cause)
    return {case: _majority(found) for case, found in by_case.items()}


def _majority(causes: list[str]) -> str:
    cause, count = Counter(causes).most_common(1)[0]
    return cause if 2 * count > len(causes) else UNKNOWN


def misses_by_rule(
    best: SystemEvidence, causes: Mapping[str, str], missed: Mapping[str, float]
) -> Misses | None:
    """Misses of a known cause, and the rest as unknown; None where no cause is known.

    `missed` holds the share of epochs that each case missed: a case counts for as much.
    """
    shares: dict[str, float] = defaultdict(float)
    for case, share in missed.items():
        shares[causes.get(case, UNKNOWN)] += share
    total = left = int(best.outcomes.n - best.outcomes.passed)
    found = {}
    for cause, share in sorted(shares.items(), key=lambda item: (-item[1], item[0])):
        if cause != UNKNOWN and (count := min(int(share + 1e-9), left)):
            found[cause] = count
            left -= count
    if not found:
        return None
    if left:
        found[UNKNOWN] = left
    return Misses(system=best.name, total=total, causes=found, by_rule=True)
