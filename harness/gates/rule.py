"""What every gate is judged by, and the words in which its result is given."""

from __future__ import annotations

from dataclasses import dataclass

from harness.statistics.outcomes import Outcomes
from harness.statistics.power import FurtherCases
from harness.types import GateKind, GateResult, GateState


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Whose floor is judged."""

    suite: str
    metric: str
    system: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Error levels, fixed before the run."""

    alpha: float = 0.05
    family: int = 1  # gates judged in the same run, over all suites
    margin: float = 0.05  # the loss against the baseline that is tolerated
    cap: int = 800  # cases at most, for "how many more would settle it"
    sequential: bool = False  # judged at every look of `--until-decided`
    screen_alpha: float = 0.10  # first stage of the two-stage gate, over the family
    confirm_alpha: float = 0.005  # second stage, on fresh epochs of both systems
    stored_alpha: float = 0.0005  # second stage, where the stored baseline cannot be run again

    def adjusted(self, pvalue: float) -> float:
        """A p-value times the number of gates.

        Holm's first step: gates are judged one at a time, on whichever worker has the suite, where
        the other gates' p-values are not known.
        """
        return min(1.0, pvalue * self.family)


def not_judged(
    outcomes: Outcomes, *, subject: Subject, kind: GateKind, rule: Rule
) -> GateResult | None:
    """The result of a gate that cannot be judged on these outcomes, or None when it can."""
    not_run = int((outcomes.not_run > 0).sum())
    if outcomes.left_out:
        reason = f"{counted(outcomes.left_out, 'case')} left out of this run"
    elif outcomes.n == 0:
        reason = "no cases"
    elif not_run and not (rule.sequential and not_run < outcomes.n):
        reason = f"{counted(not_run, 'case')} not run"
    else:
        return None
    return result(subject, kind, "not_judged", reason)


def result(
    subject: Subject, kind: GateKind, state: GateState, reason: str, **numbers: float | int | None
) -> GateResult:
    """A GateResult about a subject."""
    return GateResult(
        suite=subject.suite,
        metric=subject.metric,
        system=subject.system,
        kind=kind,
        state=state,
        reason=reason,
        **numbers,  # type: ignore[arg-type]
    )


def counted(number: int, noun: str) -> str:
    """A number and its noun: 1 case, 2 cases."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def percent(value: float) -> str:
    """A share as per cent with one digit."""
    return f"{100 * value:.1f} %"


def points(value: float) -> str:
    """A difference of shares in percentage points."""
    return f"{100 * value:.1f} points"


def chance(pvalue: float) -> str:
    """A p-value, not smaller than anyone needs."""
    return f"p = {pvalue:.2g}" if pvalue >= 0.0001 else "p < 0.0001"


def prospects(further: FurtherCases | None, mde: float | None, *, graded: bool = False) -> str:
    """What would settle an undecided gate."""
    seen = ""
    if mde is not None:
        seen = f"; {f'{mde:.2g}' if graded else points(mde)} is the least these cases can show"
    if further is None:
        return seen
    if further.exhausted:
        return f"; these cases do not settle it{seen}"
    if further.median is None:
        return f"; {further.cap:,} cases would most likely not settle it{seen}"
    return f"; about {counted(further.median, 'further case')} would settle it{seen}"
