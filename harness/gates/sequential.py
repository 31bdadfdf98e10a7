"""What `--until-decided` watches: the gates and claims of a suite as sequences, and one look at them.

A runner asks `watched` once, `look` after every batch, and stops a suite and system when no sequence is
open. The gates are then judged with `Rule(sequential=True)`.
"""

from __future__ import annotations

import numpy as np

from harness.gates.rule import Rule
from harness.pairs import Pairs, pair
from harness.statistics.outcomes import Outcomes
from harness.statistics.rates import FloatArray, cluster_means
from harness.statistics.sequences import Look, PairSequence, RateSequence, Sequence


def watched(
    *,
    at_least: float | None = None,
    critical: bool = False,
    no_worse_than: bool = False,
    target: float | None = None,
    rule: Rule | None = None,
) -> tuple[Sequence, ...]:
    """The sequences of one metric on one system: its floors, and the target of the verdict.

    A critical gate is settled by a miss alone: no number of passes excludes the next one.
    """
    rule = rule or Rule()
    level = rule.alpha / rule.family
    found: list[Sequence] = []
    if at_least is not None:
        found.append(RateSequence(reference=at_least, alpha=level))
    if critical:
        found.append(RateSequence(reference=1.0, alpha=level))
    if no_worse_than:
        found.append(PairSequence(low=0.0, high=-rule.margin, alpha=level))
    if target is not None:
        found.append(RateSequence(reference=target, alpha=rule.alpha))
    return tuple(found)


def look(candidate: Outcomes, baseline: Outcomes | None = None) -> Look:
    """Count what has been run so far; cases that were not run are left out.

    The order of the outcomes' cases must be the order of the run, fixed by seed beforehand.
    """
    ran = candidate.scored + candidate.missing > 0
    scores = best = differences = best_differences = None
    worst_pairs = best_pairs = None
    if baseline is not None:
        worst_pairs, best_pairs = (
            _against(candidate, baseline, 0.0),
            _against(candidate, baseline, 1.0),
        )
        if not (worst_pairs.binary and best_pairs.binary and worst_pairs.groups is None):
            differences, best_differences = _units(worst_pairs), _units(best_pairs)
    if not candidate.single:
        groups = candidate.clusters(ran)
        scores = cluster_means(candidate.fractions(missing_as=0.0)[ran], groups)
        best = cluster_means(candidate.fractions(missing_as=1.0)[ran], groups)
    gained, lost, tied, unpaired = _counts(worst_pairs, best_pairs)
    return Look(
        passed=int(candidate.passed.sum()),
        missed=int(candidate.missed.sum()),
        missing=int(candidate.missing.sum()),
        gained=gained,
        lost=lost,
        tied=tied,
        unpaired=unpaired,
        scores=scores,
        best_scores=best,
        differences=differences,
        best_differences=best_differences,
    )


def _against(candidate: Outcomes, baseline: Outcomes, missing_as: float) -> Pairs:
    values = candidate.fractions(missing_as=missing_as).tolist()
    scores = dict(zip(candidate.case_ids, values, strict=True))
    groups = None
    if candidate.groups is not None:
        groups = dict(zip(candidate.case_ids, candidate.groups, strict=True))
    return pair(baseline, scores, groups=groups)


def _units(pairs: Pairs) -> FloatArray:
    return cluster_means(pairs.differences, pairs.groups)


def _counts(worst: Pairs | None, best: Pairs | None) -> tuple[int, int, int, int]:
    """Gained, lost, tied, and the pairs that a missing output leaves out of the three."""
    if worst is None or best is None:
        return 0, 0, 0, 0
    known = worst.candidate == best.candidate
    before, after = worst.baseline[known], worst.candidate[known]
    gained, lost = int((after > before).sum()), int((after < before).sum())
    return gained, lost, len(before) - gained - lost, int(np.sum(~known))
