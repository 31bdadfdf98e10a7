"""How many more cases settle an open claim: continuations of what was counted, drawn from a seed."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np

from harness.escalation.claims import Claims
from harness.escalation.evidence import Paired, Rate, Settings
from harness.escalation.states import rate_state
from harness.statistics.power import FurtherCases, further_cases_for_pairs, further_cases_for_rate


def wants_cases(c: Claims, rate: Rate) -> bool:
    """Whether more cases could settle an open rate; not where the missing outputs alone keep it open."""
    known = replace(rate, missing=0, unsure_passed=0.0, unsure_missed=0.0)
    return known == rate or rate_state(c.evidence, known, c.evidence.target).state == "open"


def worth(rate: Rate) -> float:
    """What one case counts for under clusters or epochs, at most a whole one."""
    if rate.n_effective is None or not rate.n:
        return 1.0
    return max(min(rate.n_effective / rate.n, 1.0), 1e-3)


def more_for_rate(c: Claims, rate: Rate) -> FurtherCases:
    """Cases until an open rate is settled; clustered cases count for what they are worth."""
    return _more_for_rate(c.evidence.settings, rate, c.evidence.target, c.evidence.seed)


@lru_cache(maxsize=256)
def _more_for_rate(settings: Settings, rate: Rate, target: float, seed: int) -> FurtherCases:
    if rate.total >= settings.max_cases:
        return FurtherCases.none_left(rate.total)
    each, missing = worth(rate), rate.best - rate.worst
    known = rate.total - missing
    effective = max(round(known * each), 1)
    found = further_cases_for_rate(
        round(rate.worst / known * effective) if known else 0,
        effective,
        target,
        missing=round(missing * each),
        rng=np.random.default_rng(seed),
        alpha=settings.alpha,
        cap=max(round(settings.max_cases * each), effective + 1),
    )
    median = None if found.median is None else round(found.median / each)
    return replace(found, median=median, cap=settings.max_cases, n=rate.total)


def more_for_pair(c: Claims, pair: Paired, below: float, above: float) -> FurtherCases:
    """Pairs until an open difference is proven below one reference or above the other."""
    if pair.n >= c.evidence.settings.max_cases:
        return FurtherCases.none_left(pair.n)
    return further_cases_for_pairs(
        (pair.gained, pair.lost, pair.tied),
        (below, above),
        rng=np.random.default_rng(c.evidence.seed),
        alpha=c.evidence.settings.alpha,
        cap=c.evidence.settings.max_cases,
    )
