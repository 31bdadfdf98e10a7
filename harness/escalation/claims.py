"""What the evidence says: every claim that the decision table reads, each with its state.

A best prompt against the target · B best RAG · O RAG with the gold passages · C the gap between B and O ·
P a stronger base model, prompted · T a tuned system that exists · D the training data · M the share of
misses that lack a fact · F the pilot's gain · G what tuning forgot · R the chance to reach the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from harness.economics import Assessment
from harness.escalation.evidence import Evidence, Paired, PilotPoint, SystemEvidence
from harness.escalation.faults import Fault, faults
from harness.escalation.readiness import unready
from harness.escalation.states import best_state, pair_state, rate_state
from harness.forecast import REACH, Point, Posterior, fit
from harness.statistics.claims import Claim
from harness.statistics.rates import wilson
from harness.types import RUNGS, Rung

FACTS_WORTH_RAG = 0.10
TAGS_WANTED = 50
PROMPTS_WANTED = 3

Gap = Literal["gap", "nogap", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Best:
    """The best system of a rung against the target."""

    system: SystemEvidence
    claim: Claim
    tried: int  # systems chosen among on the cases that judge them


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The share of misses for want of a fact, with a one-sided limit either way."""

    share: float | None
    low: float
    high: float
    inspected: int
    left: int  # misses that nobody has looked at, or that have no known cause
    total: int

    @property
    def known(self) -> bool:
        """Whether enough misses were looked at to say if facts are the bottleneck."""
        enough = self.inspected >= min(TAGS_WANTED, self.inspected + self.left)
        straddles = self.low < FACTS_WORTH_RAG <= self.high
        return enough and not (straddles and self.left > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The chance that a tuned system reaches the target."""

    rows: int  # training rows at hand, within what may be said
    now: float
    most_rows: int
    most: float
    posterior: Posterior | None  # None where a tuned system surely reaches it: nothing to forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """Everything that the rows of the table ask for; None where the evidence is absent."""

    evidence: Evidence
    target: (
        float  # what a tuned system must reach: the target, or parity with what a limit rules out
    )
    parity_with: SystemEvidence | None
    faults: tuple[Fault, ...]
    step_down: Best | None
    champion: Best | None
    prompt: Best | None
    rag: Best | None
    oracle: Best | None
    probe: Best | None
    tuned: Best | None
    gap: Gap | None
    gap_claim: Claim | None
    facts: Facts | None
    unready: tuple[str, ...] | None  # None: no training set
    gain: Claim | None
    gain_over_best: Claim | None
    forgetting: Claim | None
    economics: Assessment | None

    @property
    def reach(self) -> Reach | None:
        """The forecast: made when a row first asks for it, and remembered."""
        return _reach(self.evidence, self.target, self.tuned)

    @property
    def tuned_reaches(self) -> bool:
        """Whether a tuned system that was run on the suite surely reaches the target."""
        return self.tuned is not None and self.tuned.claim.state == "above"

    @property
    def prompts_tried(self) -> int:
        """Distinct prompt systems tried, over stored runs where they were counted."""
        counted = self.evidence.selection.prompt_systems
        here = sum(s.rung == "prompt" and not s.probe for s in self.evidence.systems)
        return max(counted or 0, here)

    @property
    def few_shot_tried(self) -> bool:
        """Whether one of the prompts tried had examples."""
        return bool(self.evidence.selection.few_shot_tried) or any(
            s.few_shot for s in self.evidence.systems
        )

    @property
    def effort_short(self) -> bool:
        """Whether prompting was given up too early."""
        return self.prompts_tried < PROMPTS_WANTED or not self.few_shot_tried

    @property
    def best_cheap(self) -> SystemEvidence | None:
        """The best system by prompt or RAG that may be used."""
        return _highest([best.system for best in (self.rag, self.prompt) if best is not None])


def allowed(evidence: Evidence, *rungs: Rung, probe: bool = False) -> list[SystemEvidence]:
    """Systems on some rungs that break no hard limit; never one that was given the gold passages.

    Those that miss a critical assertion only where there is no other.
    """
    usable = [s for s in _usable(evidence, *rungs, probe=probe) if s.outcomes.n]
    return [s for s in usable if not s.critical_misses] or usable


def _usable(evidence: Evidence, *rungs: Rung, probe: bool = False) -> list[SystemEvidence]:
    """`allowed`, and those of which no output has a score."""
    return [
        s
        for s in evidence.systems
        if s.rung in rungs
        and not s.oracle
        and s.probe == probe
        and evidence.limits.broken_by(s) is None
    ]


def _stood_on(evidence: Evidence, rung: Rung, best: Best | None) -> list[SystemEvidence]:
    """The best system of a rung; where none has a score, all that were asked for nothing."""
    if best is not None:
        return [best.system]
    return [s for s in _usable(evidence, rung) if s.outcomes.missing]


def best_of(evidence: Evidence, systems: Sequence[SystemEvidence], target: float) -> Best | None:
    """The best system and its claim: chosen on dev cases where all have them."""
    if not systems:
        return None
    rates = [s.dev.value if s.dev is not None else None for s in systems]
    if all(rate is not None for rate in rates):
        system = max(zip(systems, rates, strict=True), key=lambda pair: pair[1] or 0.0)[0]
        return Best(system=system, claim=rate_state(evidence, system.outcomes, target), tried=1)
    system = max(systems, key=lambda s: s.outcomes.value or 0.0)
    return Best(system=system, claim=best_state(evidence, systems, target), tried=len(systems))


def claims_of(evidence: Evidence, economics: Assessment | None = None) -> Claims:
    """State every claim that the evidence allows."""
    target = evidence.target
    prompt = best_of(evidence, allowed(evidence, "prompt"), target)
    rag = best_of(evidence, allowed(evidence, "rag"), target)
    oracles = [s for s in evidence.systems if s.oracle and s.outcomes.n]
    oracle = best_of(evidence, oracles, target)
    ruled_out = _ruled_out(evidence)
    goal = target
    if ruled_out is not None:
        goal = max((ruled_out.outcomes.value or 0.0) - evidence.settings.tolerated_loss, 0.01)
    gap_claim, gap = _gap(evidence, rag, oracle)
    tuned = best_of(evidence, allowed(evidence, "fine_tuned"), goal)
    gain, over = _gains(evidence, tuned, prompt, rag)
    return Claims(
        evidence=evidence,
        target=goal,
        parity_with=ruled_out,
        faults=faults(
            evidence, *_stood_on(evidence, "prompt", prompt), *_stood_on(evidence, "rag", rag)
        ),
        step_down=_step_down(evidence),
        champion=_champion(evidence),
        prompt=prompt,
        rag=rag,
        oracle=oracle,
        probe=best_of(evidence, allowed(evidence, "prompt", probe=True), target),
        tuned=tuned,
        gap=gap,
        gap_claim=gap_claim,
        facts=_facts(evidence, prompt, rag),
        unready=unready(evidence.readiness) if evidence.readiness is not None else None,
        gain=None if gain is None else pair_state(evidence, gain, 0.0, exact=True),
        gain_over_best=None if over is None else pair_state(evidence, over, 0.0, exact=True),
        forgetting=_forgetting(evidence),
        economics=economics,
    )


def _ruled_out(evidence: Evidence) -> SystemEvidence | None:
    """The best prompt or RAG system that reaches the target but breaks a hard limit."""
    found = [
        s
        for s in evidence.systems
        if s.rung in ("prompt", "rag")
        and not s.oracle
        and s.outcomes.n
        and evidence.limits.broken_by(s) is not None
    ]
    best = best_of(evidence, found, evidence.target)
    return best.system if best is not None and best.claim.state == "above" else None


def _champion(evidence: Evidence) -> Best | None:
    found = [s for s in evidence.systems if s.name == evidence.champion and s.outcomes.n]
    if not found or evidence.limits.broken_by(found[0]) is not None:
        return None
    claim = rate_state(evidence, found[0].outcomes, evidence.target)
    return Best(system=found[0], claim=claim, tried=1)


def _step_down(evidence: Evidence) -> Best | None:
    """The cheapest system below the champion that reaches the target and is not worse by the margin."""
    champion = next((s for s in evidence.systems if s.name == evidence.champion), None)
    if champion is None:
        return None
    lower = RUNGS[: RUNGS.index(champion.rung)]
    candidates = [s for s in allowed(evidence, *lower) if not s.critical_misses] if lower else []
    for system in sorted(candidates, key=lambda s: RUNGS.index(s.rung)):
        pair = evidence.pair(champion.name, system.name)
        claim = rate_state(evidence, system.outcomes, evidence.target, tried=len(candidates))
        if pair is None or claim.state != "above":
            continue
        margin = pair_state(evidence, pair, -evidence.settings.tolerated_loss)
        if margin.state == "above" and margin.pvalue_above * len(candidates) <= margin.alpha:
            return Best(system=system, claim=claim, tried=len(candidates))
    return None


def _gap(
    evidence: Evidence, rag: Best | None, oracle: Best | None
) -> tuple[Claim | None, Gap | None]:
    """What perfect retrieval would add: at least half a worthwhile gain, or surely too little.

    Too little is less than two worthwhile gains, and less than what RAG lacks to the target: a gap of
    six points is no small matter where five are missing.
    """
    if rag is None or oracle is None:
        return None, None
    pair = evidence.pair(rag.system.name, oracle.system.name)
    if pair is None:
        return None, None
    delta = evidence.settings.worthwhile_gain
    least = pair_state(evidence, pair, delta / 2)
    if least.state == "above":
        return least, "gap"
    lacking = evidence.target - (rag.system.outcomes.value or 0.0)
    most = pair_state(evidence, pair, min(max(lacking, delta / 2), 2 * delta))
    if most.state == "below":
        return most, "nogap"
    return least, "open"


def _facts(evidence: Evidence, *bests: Best | None) -> Facts | None:
    """None where nothing was missed; misses that nobody looked at may all lack a fact."""
    misses = evidence.misses
    if misses is None:
        rates = [best.system.outcomes for best in bests if best is not None]
        left = min((int(rate.n - rate.passed) for rate in rates), default=0)
        return _nothing_known(left) if left else None
    if misses.total == 0:
        return None
    inspected = sum(misses.causes.values())
    facts, unknown = misses.causes.get("missing_fact", 0), misses.causes.get("unknown", 0)
    left = misses.total - inspected + unknown
    if inspected == 0:
        return _nothing_known(left)
    level = 1 - 2 * evidence.settings.alpha
    return Facts(
        share=facts / inspected,
        low=wilson(facts, inspected, confidence_level=level)[0],
        high=wilson(facts + unknown, inspected, confidence_level=level)[1],
        inspected=inspected,
        left=left,
        total=misses.total,
    )


def _nothing_known(misses: int) -> Facts:
    return Facts(share=None, low=0.0, high=1.0, inspected=0, left=misses, total=misses)


def _gains(
    evidence: Evidence, tuned: Best | None, prompt: Best | None, rag: Best | None
) -> tuple[Paired | None, Paired | None]:
    """Tuning over the prompt of its own model, and over the best system by prompt or RAG.

    A tuned system that reaches the target speaks for itself; else the pilot does, else what there is.
    """
    pilot = evidence.pilot
    own, over = _tuned_gains(evidence, tuned, prompt, rag)
    if pilot is None or (tuned is not None and tuned.claim.state == "above" and own is not None):
        return own, over
    return pilot.gain, pilot.gain_over_best if pilot.same_model else None


def _tuned_gains(
    evidence: Evidence, tuned: Best | None, prompt: Best | None, rag: Best | None
) -> tuple[Paired | None, Paired | None]:
    if tuned is None:
        return None, None
    cheap = [best.system for best in (prompt, rag) if best is not None]
    own = [s for s in allowed(evidence, "prompt") if s.model == tuned.system.model]
    base = _highest(own) or (prompt.system if prompt is not None else None)
    pairs = [
        evidence.pair(system.name, tuned.system.name) if system is not None else None
        for system in (base, _highest(cheap))
    ]
    return pairs[0], pairs[1]


def _highest(systems: Sequence[SystemEvidence]) -> SystemEvidence | None:
    return max(systems, key=lambda s: s.outcomes.value or 0.0, default=None)


def _forgetting(evidence: Evidence) -> Claim | None:
    if evidence.retained is None:
        return None
    return pair_state(evidence, evidence.retained, -evidence.settings.tolerated_loss)


def _reach(evidence: Evidence, goal: float, tuned: Best | None) -> Reach | None:
    """What was measured goes before what a smaller pilot would forecast."""
    pilot = evidence.pilot
    rows = evidence.readiness.rows if evidence.readiness is not None else 0
    if tuned is not None and tuned.claim.state == "above":
        chance = 1 - tuned.claim.pvalue_above
        return Reach(rows=rows, now=chance, most_rows=rows, most=chance, posterior=None)
    if pilot is None:
        return None
    points = _curve(pilot.points, tuned)
    return _forecast(points, rows, goal) if len(points) >= 2 else None


def _curve(points: tuple[PilotPoint, ...], tuned: Best | None) -> tuple[PilotPoint, ...]:
    """The pilot's points, and a larger training that was run on the suite."""
    rows = tuned.system.training_rows if tuned is not None else None
    if tuned is None or rows is None or not points or rows <= points[-1].rows:
        return points
    rate = tuned.system.outcomes
    larger = PilotPoint(
        rows=rows, passed=(rate.passed,), cases=rate.n, n_effective=rate.n_effective
    )
    return (*points, larger)


def measured(point: PilotPoint) -> Point:
    """A point of the pilot as the forecast reads it: clustered cases count for what they are worth."""
    cases = point.cases
    if point.n_effective is not None:
        cases = max(min(round(point.n_effective), cases), 1)
    passed = tuple(value * cases / point.cases for value in point.passed)
    return Point(rows=point.rows, passed=passed, cases=cases)


@lru_cache(maxsize=4096)
def _forecast(points: tuple[PilotPoint, ...], have: int, goal: float) -> Reach:
    posterior = fit([measured(point) for point in points])
    most = REACH * posterior.last
    rows = min(max(have, posterior.last), most)
    return Reach(
        rows=rows,
        now=posterior.reaches(goal, rows),
        most_rows=most,
        most=posterior.reaches(goal, most),
        posterior=posterior,
    )
