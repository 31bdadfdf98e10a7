"""How many more cases settle an open claim: continuations of what was counted, drawn from a seed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from harness.escalation.claims import Claims
from harness.escalation.evidence import Paired, Rate, Settings
from harness.statistics.power import FurtherCases, further_cases_for_pairs, further_cases_for_rate


def more_for_rate(c: Claims, rate: Rate) -> FurtherCases:
    """Cases until an open rate is settled; clustered cases count for what they are worth."""
    return _more_for_rate(c.evidence.settings, rate, c.evidence.target, c.evidence.seed)


@lru_cache(maxsize=256)
def _more_for_rate(settings: Settings, rate: Rate, target: float, seed: int) -> FurtherCases:
    worth = 1.0
    if rate.n_effective is not None and rate.n:
        worth = max(min(rate.n_effective / rate.n, 1.0), 1e-3)
    effective = max(round(rate.n * worth), 1)
    cap = max(round(settings.max_cases * worth), 1)
    found = further_cases_for_rate(
        round((rate.value or 0.0) * effective),
        effective,
        target,
        rng=np.random.default_rng(seed),
        alpha=settings.alpha,
        cap=cap,
    )
    median = None if found.median is None else round(found.median / worth)
    return FurtherCases(median=median, open_at_cap=found.open_at_cap, cap=settings.max_cases)


def more_for_pair(c: Claims, pair: Paired, below: float, above: float) -> FurtherCases:
    """Pairs until a difference is proven below one reference or above the other."""
    return further_cases_for_pairs(
        (pair.gained, pair.lost, pair.tied),
        (below, above),
        rng=np.random.default_rng(c.evidence.seed),
        alpha=c.evidence.settings.alpha,
        cap=max(c.evidence.settings.max_cases, pair.n + 1),
    )
