"""All suites looked at as one: for a small loss everywhere, too small to show in any of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from harness.gates.regression import strata_of
from harness.gates.rule import Rule, chance, counted, points
from harness.statistics.graded import mean, standard_error
from harness.statistics.outcomes import Outcomes
from harness.statistics.power import mean_mde, pair_mde
from harness.statistics.strata import Strata, unchanged_pvalue
from harness.types import Score, ScoreState

# The first of these that any metric of a case has is the case's; passed when none has.
WORST_FIRST: tuple[ScoreState, ...] = ("missed", "errored", "unscored", "not_run")


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """One test over all suites against the baseline. The difference is candidate minus baseline."""

    state: Literal["below", "open"]  # proven worse, or not
    suites: int
    pairs: int
    difference: float | None
    low: float | None
    high: float | None
    pvalue: float
    level: float
    mde: float | None

    @property
    def sentence(self) -> str:
        """What was found, and what would have been."""
        if self.difference is None or self.low is None or self.high is None:
            return f"{counted(self.suites, 'suite')} together: no case is in both runs"
        said = (
            f"{counted(self.suites, 'suite')} together: {100 * self.difference:+.1f} points "
            f"({100 * self.low:+.1f} to {100 * self.high:+.1f}) on {counted(self.pairs, 'case')}"
        )
        if self.state == "below":
            return f"{said}: worse beyond chance ({chance(self.pvalue)})"
        least = "" if self.mde is None else f"; {points(self.mde)} would have been seen"
        return f"{said}: no loss found{least}"


def compare_together(
    sides: Sequence[tuple[Outcomes, Outcomes]], *, varies: bool, rule: Rule | None = None
) -> Together:
    """Test whether all suites together have become worse than the baseline.

    Parameters
    ----------
    sides : sequence of (candidate, baseline)
        One pass/miss metric a suite; missing outputs of the candidate are misses.
    varies : bool
        Whether any of the systems could answer otherwise when asked again. The stored epochs are then
        as lucky in every later build, and nothing is asked again: the level is `rule.stored_alpha`.

    Notes
    -----
    It is one test, so no family is paid for. Suites weigh by their cases.
    """
    rule = rule or Rule()
    level = rule.stored_alpha if varies else rule.alpha
    parts = [strata_of(candidate, baseline) for candidate, baseline in sides]
    pooled = Strata.pool(parts) if parts else Strata.of([], [], [], [])
    differences = (
        pooled.candidate_passed / pooled.candidate_epochs
        - pooled.baseline_passed / pooled.baseline_epochs
    )
    interval, pvalue = mean(differences), unchanged_pvalue(pooled)
    worse = interval.value is not None and interval.value < 0 and pvalue <= level
    flips = float(np.count_nonzero(differences))
    n = len(differences)
    mde = mean_mde(standard_error(differences)[0] if n else None, alpha=level)
    return Together(
        state="below" if worse else "open",
        suites=len(sides),
        pairs=n,
        difference=interval.value,
        low=interval.low,
        high=interval.high,
        pvalue=pvalue,
        level=level,
        mde=pair_mde(n, (flips + 0.5) / (n + 1), alpha=level) if mde is None else mde,
    )


def conjunction(metrics: Sequence[Iterable[Score]], *, name: str = "all") -> list[Score]:
    """Score cases by several metrics at once: passed when all hold."""
    rank = {state: place for place, state in enumerate(WORST_FIRST)}
    found: dict[tuple[str, int], list[ScoreState]] = {}
    for scores in metrics:
        for score in scores:
            found.setdefault((score.case_id, score.epoch), []).append(score.state)
    for states in found.values():
        if len(states) < len(metrics):
            states.append("not_run")  # by one of the metrics
    return [
        Score(
            case_id=case_id,
            epoch=epoch,
            metric=name,
            state=min(states, key=lambda state: rank.get(state, len(rank))),
        )
        for (case_id, epoch), states in found.items()
    ]
