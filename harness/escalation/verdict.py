"""`judge(evidence)`: the verdict on one suite, a pure function of its evidence."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from harness.economics import Assessment, Model, Plan, Tuning, assess, estimate
from harness.errors import ConfigError
from harness.escalation.claims import FACTS_WORTH_RAG, Best, Claims, claims_of
from harness.escalation.conditions import conditions
from harness.escalation.document import evidence_from_json, evidence_to_json
from harness.escalation.evidence import Evidence, Training
from harness.escalation.faults import Fault
from harness.escalation.fragility import action_of, fewest_flips, targets_that_change
from harness.escalation.further_cases import more_for_rate, wants_cases
from harness.escalation.headroom import headroom, scope
from harness.escalation.sentences import cannot_settle, leaning, reasons, sentence
from harness.escalation.steps import next_step
from harness.escalation.table import Row, first_row
from harness.escalation.words import percent
from harness.statistics.claims import Claim
from harness.statistics.rates import above_pvalue, wilson
from harness.types import Verdict

DRAWS = 4000
USUAL_GPUS = ("l4", "a100-80gb", "h100-80gb")
ALMOST_SURE = 0.9999  # no count of cases makes anything certain


def judge(evidence: Evidence) -> Verdict:
    """Say which rung is justified, with reasons, confidence, the next step, and what would change it."""
    claims, row = decide(evidence)
    return Verdict(
        suite=evidence.suite,
        action=row.action,
        row=row.number,
        sentence=sentence(claims, row),
        leaning=leaning(claims, row),
        next_step=next_step(claims, row),
        conditions=conditions(claims, row),
        confidence=confidence(claims, row),
        reasons=reasons(claims),
        expected=_expected(claims, row),
        would_change=_would_change(claims, row),
        evidence=evidence_to_json(evidence),
    )


def decide(evidence: Evidence) -> tuple[Claims, Row]:
    """The claims and the row that wins, without the words around them."""
    claims = _with_leaks(with_money(claims_of(evidence)))
    return claims, first_row(claims)


def rejudge(verdict: Mapping[str, Any], *, target: float | None = None) -> Verdict:
    """Judge a stored verdict's evidence again, under another target where one is given.

    Raises
    ------
    ConfigError
        The verdict holds no evidence, or the target is not between 0 and 1.
    """
    document = verdict.get("evidence")
    if not document:
        raise ConfigError("this verdict holds no evidence to judge again", key="evidence")
    return judge(with_target(evidence_from_json(document), target))


def with_target(evidence: Evidence, target: float | None) -> Evidence:
    """The same evidence against another target."""
    if target is None:
        return evidence
    if not 0 < target < 1:
        raise ConfigError(f"a target lies between 0 and 1, not {target:g}", key="target")
    return replace(evidence, target=target)


def with_money(claims: Claims) -> Claims:
    """Assess the money side, its gain drawn from the forecast and from the doubt about what there is."""
    inputs = claims.evidence.economics
    if inputs is None:
        return claims
    best, reach, gains = claims.best_cheap, claims.reach, None
    if best is not None and reach is not None:
        rng = np.random.default_rng(claims.evidence.seed)
        rate = best.outcomes
        now = rng.beta(rate.passed + 0.5, rate.n - rate.passed + 0.5, DRAWS)
        tuned = None
        if reach.posterior is not None:
            tuned = reach.posterior.sample(reach.rows, DRAWS, rng=rng)
        elif claims.tuned is not None:
            own = claims.tuned.system.outcomes
            tuned = rng.beta(own.passed + 0.5, own.n - own.passed + 0.5, DRAWS)
        gains = None if tuned is None else tuned - now
    return replace(claims, economics=assess(inputs, gains))


def _with_leaks(claims: Claims) -> Claims:
    """Distrust an answer that depends on cases suspected to be in training data."""
    evidence, leakage = claims.evidence, claims.evidence.leakage
    if leakage is None or not leakage.suspected or not leakage.without:
        return claims
    systems = tuple(
        replace(s, outcomes=leakage.without.get(s.name, s.outcomes)) for s in evidence.systems
    )
    kept = tuple(
        p for p in evidence.pairs if not {p.baseline, p.candidate} & leakage.without.keys()
    )
    # Only what is left without the suspects is compared: pairs that they touch are left out of both.
    with_all = replace(evidence, pairs=kept, leakage=None)
    clean = replace(with_all, systems=systems)
    if action_of(with_all, claims.economics) == action_of(clean, claims.economics):
        return claims
    fault = Fault(
        "leak",
        f"{leakage.suspected} cases are suspected to have leaked into training data, "
        "and the answer changes without them",
    )
    return replace(claims, faults=(*claims.faults, fault))


def confidence(claims: Claims, row: Row) -> dict[str, Any]:
    """The weakest link over the claims that the row stands on, named; and every claim's state."""
    links = [link for link in _links(claims, row) if link[0] in row.uses]
    stated = {letter: _claim(letter, claims) for letter in "ABOPTCFG"}
    found: dict[str, Any] = {
        "value": None,
        "weakest": None,
        "claims": {letter: claim for letter, claim in stated.items() if claim is not None},
    }
    if claims.reach is not None:
        found["claims"]["R"] = {
            "rows": claims.reach.rows,
            "probability": round(claims.reach.now, 4),
            "most_rows": claims.reach.most_rows,
            "most_probability": round(claims.reach.most, 4),
        }
    if claims.facts is not None:
        found["claims"]["M"] = {
            "share": claims.facts.share, "low": claims.facts.low, "high": claims.facts.high,
        }  # fmt: skip
    if links:
        _, text, value = min(links, key=lambda link: link[2])
        found |= {"value": min(round(value, 4), ALMOST_SURE), "weakest": text}
    return found


def _best(letter: str, claims: Claims) -> Best | None:
    bests = {
        "A": claims.prompt, "B": claims.rag, "O": claims.oracle, "P": claims.probe,
        "T": claims.tuned, "S": claims.step_down, "H": claims.champion,
    }  # fmt: skip
    return bests.get(letter)


def _claim(letter: str, claims: Claims) -> dict[str, Any] | None:
    best = _best(letter, claims)
    own = {"C": claims.gap_claim, "F": claims.gain, "G": claims.forgetting}
    claim = best.claim if best is not None else own.get(letter)
    if claim is None:
        return None
    stated = asdict(claim)
    if best is not None:
        rate = best.system.outcomes
        stated |= {"system": best.system.name, "passed": rate.passed, "n": rate.n}
    if letter == "C":
        stated["gap"] = claims.gap
    return stated


def _links(claims: Claims, row: Row) -> list[tuple[str, str, float]]:
    links: list[tuple[str, str, float]] = []
    for letter in "ABOPSH":
        best = _best(letter, claims)
        if best is not None and best.claim.state != "open":
            side = "reaches" if best.claim.state == "above" else "misses"
            links.append((letter, f"'{best.system.name}' {side} the target", _sure(best.claim)))
    named = (
        ("C", "what better retrieval would add", claims.gap_claim),
        ("F", "the pilot beats its own prompt", claims.gain),
        ("G", "what tuning forgets", claims.forgetting),
    )
    links += [
        (letter, text, _sure(claim))
        for letter, text, claim in named
        if claim is not None and claim.state != "open"
    ]
    facts = claims.facts
    if facts is not None and facts.share is not None and row.number == "7":
        hits = round(facts.share * facts.inspected)
        links.append(
            ("M", "misses lack facts", 1 - above_pvalue(hits, facts.inspected, FACTS_WORTH_RAG))
        )
    if claims.reach is not None and row.number in ("12a", "13", "14", "15", "16"):
        chance = {"15": claims.reach.most, "16": 1 - claims.reach.most}.get(
            row.number, claims.reach.now
        )
        links.append(("R", f"the forecast at {claims.reach.rows:,} rows", chance))
    return links


def _sure(claim: Claim) -> float:
    return float(claim.confidence)


def _expected(claims: Claims, row: Row) -> dict[str, Any]:
    """The pass rate after the step (median and 80 % interval), what each rung could buy, the money."""
    found: dict[str, Any] = {"headroom": headroom(claims)}
    rate = _rate_after(claims, row)
    if rate is not None:
        found["pass_rate"] = rate
    posterior = claims.reach.posterior if claims.reach is not None else None
    if posterior is not None:
        sizes = [round(posterior.last * 2**k) for k in range(3)]
        found["learning_curve"] = [
            asdict(posterior.predict(rows))
            | {"reaches_target": posterior.reaches(claims.target, rows)}
            for rows in sizes
        ]
    if claims.economics is not None:
        found["economics"] = _money(claims.economics)
    if claims.evidence.training is not None:
        found["gpu"] = _hardware(claims, claims.evidence.training)
    return found


def _hardware(claims: Claims, training: Training) -> list[dict[str, Any]]:
    """The step at the rows that the forecast speaks of, else at those that are there."""
    have = claims.evidence.readiness.rows if claims.evidence.readiness is not None else 0
    return hardware(training, claims.reach.rows if claims.reach is not None else have)


def hardware(training: Training, rows: int) -> list[dict[str, Any]]:
    """Memory, hours and money of a training, by kind of GPU and way of tuning.

    What cannot fit is left out.
    """
    model, found = Model.of_size(training.parameters), []
    ways: tuple[Tuning, ...] = ("qlora", "lora", "full")
    for way in ways:
        plan = Plan(tuning=way, context=training.tokens_per_row, rows=rows, epochs=training.epochs)
        for gpu, price in (training.gpus or dict.fromkeys(USUAL_GPUS)).items():
            with suppress(ConfigError):
                needs = estimate(model, plan, gpu, price_an_hour=price)
                found.append({"tuning": way, "rows": rows, **asdict(needs)})
    return found


def _money(assessment: Assessment) -> dict[str, Any]:
    return {**asdict(assessment), "assessed": assessment.assessed}


def _rate_after(claims: Claims, row: Row) -> dict[str, Any] | None:
    steps = {"1": "S", "1b": "H", "2": "A", "5": "P", "8": "B"}
    if claims.tuned_reaches:
        steps |= dict.fromkeys(("13", "14", "17a"), "T")
    best = _best(steps[row.number], claims) if row.number in steps else None
    if row.number in ("9", "9b") and claims.oracle is not None:
        best = claims.oracle
    if best is not None and best.system.outcomes.n:
        rate = best.system.outcomes
        n = rate.n_effective if rate.n_effective is not None else float(rate.n)
        low, high = wilson((rate.value or 0.0) * n, n, confidence_level=0.8)
        at_most = row.number in ("9", "9b")
        return {"median": rate.value, "low": low, "high": high, "at_most": at_most}
    if row.number == "7" and claims.facts is not None and claims.best_cheap is not None:
        now, facts = claims.best_cheap.outcomes.value or 0.0, claims.facts
        left = 1 - now
        gained = (facts.share or 0.0, facts.low, facts.high)
        median, low, high = (now + share * left for share in gained)
        return {"median": median, "low": low, "high": high, "at_most": True}
    reach = claims.reach
    if reach is not None and reach.posterior is not None and row.number not in ("0a", "0b"):
        return asdict(reach.posterior.predict(reach.rows)) | {"at_most": False}
    return None


def _would_change(claims: Claims, row: Row) -> dict[str, Any]:
    """Flipped cases, further cases, other targets, and evidence that nobody has."""
    evidence = claims.evidence
    found: dict[str, Any] = {"flips": None, "target": {}, "further_cases": {}}
    if row.number not in ("0a", "0b"):
        flip = fewest_flips(claims, row.action)
        found["flips"] = asdict(flip) if flip is not None else None
        found["target"] = targets_that_change(claims, row.action)
    for best in (claims.prompt, claims.probe, claims.rag):
        if best is None or best.claim.state != "open":
            continue
        if wants_cases(claims, best.system.outcomes):
            more = more_for_rate(claims, best.system.outcomes)
            found["further_cases"][best.system.name] = {
                "median": more.median,
                "open_at_cap": more.open_at_cap,
                "cap": more.cap,
                "exhausted": more.exhausted,
                "note": cannot_settle(claims, more, best),
            }
    parts = scope(claims, row)
    if parts is not None:
        found["scope"] = parts
    if evidence.opinions:
        found["opinions"] = [asdict(opinion) for opinion in evidence.opinions]
    if claims.parity_with is not None:
        found["parity"] = {
            "with": claims.parity_with.name,
            "limit": evidence.limits.broken_by(claims.parity_with),
            "target": claims.target,
        }
    return found


def summary(verdict: Verdict) -> str:
    """One line for a terminal: the sentence, and how sure it is."""
    value = verdict.confidence.get("value")
    if value is None:
        return verdict.sentence
    return (
        f"{verdict.sentence} (weakest link: {verdict.confidence['weakest']}, {percent(value)} sure)"
    )
