"""The decision table: rows from top to bottom, and the first that holds wins.

A row whose evidence is absent does not hold; `needs` names that evidence, so that the verdict can say
what it did without. `uses` names the claims that a row stands on; its confidence is the weakest of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness.escalation.claims import FACTS_WORTH_RAG, Best, Claims
from harness.types import Action

LIKELY, UNLIKELY = 0.8, 0.2
WORTH_THE_MONEY = 0.2

# On the parity track a hard limit rules out a system that reaches the target: a tuned one need only
# match it, and how the prompts that may be used do is beside the point.
Track = Literal["main", "both"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of the table."""

    number: str
    when: str
    action: Action
    holds: Callable[[Claims], bool]
    uses: str = ""  # letters of claims.py
    needs: tuple[str, ...] = ()
    track: Track = "both"


def above(best: Best | None) -> bool:
    """Whether a system is proven to reach the target."""
    return best is not None and best.claim.state == "above"


def below(best: Best | None) -> bool:
    """Whether a system is proven to miss the target."""
    return best is not None and best.claim.state == "below"


def is_open(best: Best | None) -> bool:
    """Whether a system was measured and the target lies within its doubt."""
    return best is not None and best.claim.state == "open"


def climbed(claims: Claims) -> bool:
    """Whether the champion stands off the prompt's rung and is proven to reach the target."""
    return (
        above(claims.champion)
        and claims.champion is not None
        and (claims.champion.system.rung != "prompt")
    )


def no_rag(claims: Claims) -> bool:
    """Whether nobody has built retrieval yet."""
    return not any(s.rung == "rag" and not s.oracle for s in claims.evidence.systems)


def gap_matters(claims: Claims) -> bool:
    """Whether better retrieval could still reach the target."""
    return claims.oracle is not None and not below(claims.oracle)


def facts_wanting(claims: Claims) -> bool:
    """Whether enough misses surely lack a fact."""
    return claims.facts is not None and claims.facts.low >= FACTS_WORTH_RAG


def facts_unknown(claims: Claims) -> bool:
    """Whether there are misses, and too few, or none, were looked at."""
    return claims.facts is not None and not claims.facts.known


def looked_at(claims: Claims) -> bool:
    """Whether a person looked at misses: what rules make out of them asks nobody to go on."""
    return claims.evidence.misses is not None and not claims.evidence.misses.by_rule


def has_tuned(claims: Claims) -> bool:
    """Whether tuning was tried: a pilot, or a tuned system that does not surely fall short."""
    return claims.evidence.pilot is not None or above(claims.tuned) or is_open(claims.tuned)


def data_wanting(claims: Claims) -> bool:
    """Whether rows are missing or to be mended.

    A tuned system that surely reaches the target shows that its rows were enough, unless they held
    the answers.
    """
    if claims.tuned_reaches:
        return bool(claims.evidence.readiness and claims.evidence.readiness.leaked)
    return claims.unready is None or bool(claims.unready)


def forgets(claims: Claims) -> bool:
    """Whether tuning surely costs more of the general skills than is tolerated."""
    return claims.forgetting is not None and claims.forgetting.state == "below"


def safe(claims: Claims) -> bool:
    """Whether tuning surely costs less of the general skills than is tolerated."""
    return claims.forgetting is not None and claims.forgetting.state == "above"


def gains(claims: Claims) -> bool:
    """Whether tuning is surely better than the prompt of the same model, and than the best system."""
    own = claims.gain is not None and claims.gain.state == "above"
    if claims.parity_with is not None or claims.gain_over_best is None:
        return own
    return own and claims.gain_over_best.state == "above"


def reaches(claims: Claims) -> bool:
    """Whether the rows at hand probably reach the target."""
    return claims.reach is not None and claims.reach.now >= LIKELY


def reaches_with_more(claims: Claims) -> bool:
    """Whether more rows, within what may be said, probably reach the target."""
    return claims.reach is not None and claims.reach.now < LIKELY <= claims.reach.most


def reaches_never(claims: Claims) -> bool:
    """Whether tuning this very model probably never reaches the target."""
    pilot, reach = claims.evidence.pilot, claims.reach
    if pilot is None or not pilot.same_model or is_open(claims.tuned):
        return False
    return reach is not None and reach.posterior is not None and reach.most <= UNLIKELY


def pays(claims: Claims) -> bool:
    """Whether the step may be worth its money; true where nobody gave prices."""
    chance = claims.economics.probability_positive if claims.economics is not None else None
    return chance is None or chance >= WORTH_THE_MONEY


def proven(claims: Claims) -> bool:
    """Everything that a GPU needs but the money."""
    return safe(claims) and gains(claims) and reaches(claims)


def tuning_undecided(claims: Claims) -> bool:
    """Whether more cases are what the gain or the forgetting wants, whatever the forecast says."""
    if any(c is not None and c.state == "open" for c in (claims.gain, claims.forgetting)):
        return True
    return reaches(claims) and not (gains(claims) and safe(claims))


def blurred(claims: Claims) -> bool:
    """Whether a forecast that says neither yes nor never is sharpened most cheaply by more cases."""
    reach, pilot = claims.reach, claims.evidence.pilot
    if reach is None or reach.posterior is None or pilot is None:
        return False
    if reaches(claims) or reach.most <= UNLIKELY:
        return False
    last = pilot.points[-1]
    if last.cases >= claims.evidence.settings.max_cases / 2:
        return False
    rate = sum(last.passed) / len(last.passed) / last.cases
    sampling = rate * (1 - rate) / last.cases
    return sampling > reach.posterior.seed_sd**2 / len(last.passed)


TABLE: tuple[Row, ...] = (
    Row(
        number="0a",
        when="the evaluation itself cannot be trusted",
        action="fix_eval",
        holds=lambda c: bool(c.faults),
    ),
    Row(
        number="0b",
        when="the champion misses a critical assertion or lacks its score, or has surely become worse",
        action="do_not_ship",
        holds=lambda c: c.evidence.shipping.forbidden,
    ),
    Row(
        number="1",
        when="a system on a lower rung than the champion reaches the target as well",
        action="step_down",
        holds=lambda c: c.step_down is not None,
        uses="S",
        needs=("champion",),
    ),
    Row(
        number="1b",
        when="the champion, on another rung than the prompt, reaches the target, and no lower one surely does",
        action="stay_on_best_rung",
        holds=lambda c: climbed(c) and not above(c.prompt),
        uses="H",
    ),
    Row(
        number="2",
        when="the best prompt reaches the target",
        action="stay_on_prompt",
        holds=lambda c: above(c.prompt),
        uses="A",
        needs=("prompt",),
    ),
    Row(
        number="3",
        when="the best prompt may or may not reach the target",
        action="run_more_cases",
        holds=lambda c: is_open(c.prompt),
        uses="A",
        needs=("prompt",),
        track="main",
    ),
    Row(
        number="4",
        when="prompting falls short, and fewer than three prompts were tried, few-shot among them",
        action="improve_prompt",
        holds=lambda c: below(c.prompt) and c.effort_short,
        uses="A",
        needs=("prompt",),
        track="main",
    ),
    Row(
        number="5",
        when="a stronger base model reaches the target by prompt alone",
        action="change_model",
        holds=lambda c: above(c.probe),
        uses="AP",
        needs=("probe",),
    ),
    Row(
        number="5b",
        when="a stronger base model may or may not reach the target by prompt alone",
        action="run_more_cases",
        holds=lambda c: is_open(c.probe),
        uses="AP",
        needs=("probe",),
    ),
    Row(
        number="6",
        when="nobody has built retrieval, and too few misses were looked at to say if facts are missing",
        action="look_at_misses",
        holds=lambda c: no_rag(c) and facts_unknown(c) and looked_at(c),
        uses="A",
        needs=("misses",),
        track="main",
    ),
    Row(
        number="7",
        when="nobody has built retrieval, and surely a tenth of the misses lack a fact",
        action="climb_to_rag",
        holds=lambda c: no_rag(c) and facts_wanting(c),
        uses="AM",
        needs=("misses",),
        track="main",
    ),
    Row(
        number="8",
        when="RAG reaches the target",
        action="climb_to_rag",
        holds=lambda c: above(c.rag),
        uses="AB",
    ),
    Row(
        number="9",
        when="RAG falls short; with the gold passages it reaches the target, or gains and may reach it",
        action="fix_retrieval",
        holds=lambda c: below(c.rag) and (above(c.oracle) or (c.gap == "gap" and gap_matters(c))),
        uses="ABC",
        needs=("oracle",),
        track="main",
    ),
    Row(
        number="9b",
        when="RAG may or may not reach the target, or it is open what better retrieval would add",
        action="run_more_cases",
        holds=lambda c: is_open(c.rag) or (c.gap == "open" and gap_matters(c)),
        uses="ABC",
        track="main",
    ),
    Row(
        number="10",
        when="there are no training data, or they are not ready",
        action="collect_data",
        holds=data_wanting,
        uses="AB",
    ),
    Row(
        number="11",
        when="the data are ready and nothing was tuned yet",
        action="run_pilot",
        holds=lambda c: not has_tuned(c),
        uses="ABO",
    ),
    Row(
        number="12",
        when="tuning loses general skills",
        action="run_pilot",
        holds=forgets,
        uses="G",
        needs=("retained",),
    ),
    Row(
        number="12a",
        when="all is proven but that facts are not what is missing: no retrieval, and nobody looked",
        action="look_at_misses",
        holds=lambda c: no_rag(c) and facts_unknown(c) and proven(c),
        uses="AFGR",
        track="main",
    ),
    Row(
        number="13",
        when="tuning gains, forgets nothing, probably reaches the target, and may be worth its money",
        action="escalate_to_gpu",
        holds=lambda c: proven(c) and pays(c),
        uses="ABFGR",
        needs=("retained",),
    ),
    Row(
        number="14",
        when="the same, but it is not worth its money",
        action="stay_on_best_rung",
        holds=lambda c: proven(c) and not pays(c),
        uses="ABFGR",
    ),
    Row(
        number="14a",
        when="a tuned system that was run may or may not reach the target",
        action="run_more_cases",
        holds=lambda c: is_open(c.tuned) and not reaches(c),
        uses="ABT",
    ),
    Row(
        number="14b",
        when="the forecast is blurred more by too few cases than by too few rows or seeds",
        action="run_more_cases",
        holds=blurred,
        uses="ABR",
    ),
    Row(
        number="15",
        when="the rows at hand probably do not reach the target, but more would",
        action="collect_data",
        holds=reaches_with_more,
        uses="ABR",
    ),
    Row(
        number="16",
        when="tuning this model is not expected to reach the target",
        action="stay_on_best_rung",
        holds=reaches_never,
        uses="ABR",
    ),
    Row(
        number="17a",
        when="the gain or the forgetting is open",
        action="run_more_cases",
        holds=tuning_undecided,
        uses="FG",
        needs=("retained",),
    ),
    Row(
        number="17",
        when="none of these",
        action="run_pilot",
        holds=lambda _: True,
        uses="ABR",
    ),
)


def first_row(claims: Claims) -> Row:
    """The row that decides."""
    parity = claims.parity_with is not None
    return next(row for row in TABLE if not (parity and row.track == "main") and row.holds(claims))


def passed_over(claims: Claims, row: Row) -> tuple[str, ...]:
    """Evidence that rows at or above this one would have needed and that is absent."""
    absent = {
        "champion": claims.evidence.champion is None,
        "prompt": claims.prompt is None,
        "probe": claims.probe is None,
        "misses": no_rag(claims) and claims.evidence.misses is None,
        "oracle": claims.rag is not None and claims.gap is None,
        "retained": has_tuned(claims) and claims.forgetting is None,
    }
    parity = claims.parity_with is not None
    rows = TABLE[: TABLE.index(row) + 1]
    asked = (n for r in rows if not (parity and r.track == "main") for n in r.needs)
    return tuple(dict.fromkeys(name for name in asked if absent[name]))
