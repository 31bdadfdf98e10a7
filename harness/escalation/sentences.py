"""The verdict in plain words: its first sentence, the facts it stands on, and what to do next.

The sentence is for someone who has never heard of a confidence interval; numbers of tests stay in the
claims.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.escalation.claims import Best, Claims
from harness.escalation.evidence import Evidence, Paired, SystemEvidence
from harness.escalation.further_cases import worth
from harness.escalation.headroom import several_tasks
from harness.escalation.readiness import method
from harness.escalation.states import pair_state
from harness.escalation.table import Row
from harness.escalation.words import already_reach, beside, chance, counted, goal, percent
from harness.statistics.power import FurtherCases, rate_mde
from harness.types import Action

# Answers that ask for work on the whole of a suite of which a part may be done.
NARROWING: frozenset[Action] = frozenset(
    {
        "improve_prompt", "look_at_misses", "climb_to_rag", "fix_retrieval", "collect_data", "run_pilot",
        "stay_on_best_rung", "escalate_to_gpu",
    }
)  # fmt: skip
SKILL_CASES = 600  # what a tolerated loss of five points needs to be shown


def passes(system: SystemEvidence, target: float) -> str:
    """`'few-shot' passes 83 of 120 cases (69 %)`, as exactly as tells it from the target."""
    rate = system.outcomes
    share = beside(rate.value or 0.0, target)
    return f"'{system.name}' passes {rate.passed:.0f} of {rate.n} cases ({share})"


def against(evidence: Evidence, name: str, over: str, pair: Paired) -> str:
    """`'rag' beats 'prompt': 61 gained, 19 lost, 320 tied`; neither beats the other by chance alone."""
    verbs = {"above": "beats", "below": "loses to", "open": "does not clearly differ from"}
    verb = verbs[pair_state(evidence, pair, 0.0).state]
    return f"{name} {verb} {over}: {pair.gained} gained, {pair.lost} lost, {pair.tied} tied"


def sentence(claims: Claims, row: Row) -> str:
    """The verdict in one plain sentence; a second one where the suite is several tasks."""
    said = _SENTENCES[row.number](claims)
    parts = several_tasks(claims, row)
    if parts is None or not parts[0] or row.action not in NARROWING:
        return said
    reach = already_reach([part.tag for part in parts[0]])
    return f"{said} This is several tasks: {reach}, so judge the rest apart."


def _target(claims: Claims) -> str:
    return goal(claims.evidence.target)


def _short(claims: Claims) -> str:
    """Who falls short, in half a sentence."""
    if claims.parity_with is not None:
        x = claims.parity_with
        limit = claims.evidence.limits.broken_by(x)
        return f"'{x.name}' would reach {_target(claims)}, but a hard limit rules it out ({limit})"
    best = claims.best_cheap
    if best is None:
        return (
            f"no prompt or RAG system that may be used was run, and the target is {_target(claims)}"
        )
    return f"{passes(best, claims.evidence.target)} and the target is {_target(claims)}"


def _fix_eval(c: Claims) -> str:
    return f"Fix the evaluation before deciding anything: {c.faults[0].text}."


def _do_not_ship(c: Claims) -> str:
    shipping = c.evidence.shipping
    who = f"'{c.evidence.champion}'" if c.evidence.champion else "the deployed system"
    if shipping.critical_misses or shipping.critical_unscored:
        names = ", ".join(shipping.critical_metrics)
        found = (
            ("misses", shipping.critical_misses),
            ("has no score for", shipping.critical_unscored),
        )
        what = " and ".join(f"{verb} {counted(n, 'critical case')}" for verb, n in found if n)
        return f"Do not ship this build: {who} {what}{f' ({names})' if names else ''}."
    names = ", ".join(shipping.regression_metrics)
    return f"Do not ship this build: {who} has become worse than the baseline{f' ({names})' if names else ''}."


def _step_down(c: Claims) -> str:
    assert c.step_down is not None
    return (
        f"Step down to '{c.step_down.system.name}': it is cheaper than '{c.evidence.champion}', "
        f"reaches the target of {_target(c)} as well ({passes(c.step_down.system, c.evidence.target)}), and is not worse."
    )


def _stay_climbed(c: Claims) -> str:
    assert c.champion is not None
    return f"Stay where you are: {passes(c.champion.system, c.evidence.target)}, which reaches the target of {_target(c)}."


def _stay_on_prompt(c: Claims) -> str:
    assert c.prompt is not None
    return (
        f"Stay on the prompt: {passes(c.prompt.system, c.evidence.target)}, which reaches the target of {_target(c)}; "
        "nothing dearer is needed."
    )


def _too_close(best: Best | None, c: Claims) -> str:
    assert best is not None
    side = {"above": "above", "below": "below"}.get(best.claim.leaning or "", "at")
    return f"{passes(best.system, c.evidence.target)}, {side} the target of {_target(c)} but too close to call"


def _more_cases(c: Claims) -> str:
    return f"Run more cases: {_too_close(c.prompt, c)}."


def _more_cases_rag(c: Claims) -> str:
    if c.rag is not None and c.rag.claim.state == "open":
        return f"Run more cases: {_too_close(c.rag, c)}."
    return (
        "Run more cases: it is not yet clear whether better retrieval would help "
        f"({_short(c)}; with the right passages given, {percent(_value(c.oracle))})."
    )


def _value(best: Best | None) -> float:
    return (best.system.outcomes.value or 0.0) if best is not None else 0.0


def _improve_prompt(c: Claims) -> str:
    assert c.prompt is not None
    tried = c.prompts_tried
    count = "only one prompt has" if tried == 1 else f"only {tried} prompts have"
    why = f"{count} been tried" if tried < 3 else "no prompt with examples has been tried"
    return f"Improve the prompt first: {passes(c.prompt.system, c.evidence.target)} and the target is {_target(c)}, but {why}."


def _change_model(c: Claims) -> str:
    assert c.probe is not None
    return (
        f"Change the base model instead of training one: with a prompt alone, {passes(c.probe.system, c.evidence.target)}, "
        f"which reaches the target of {_target(c)}."
    )


def _more_cases_probe(c: Claims) -> str:
    return (
        f"Run more cases: on a stronger base model, {_too_close(c.probe, c)}; "
        "changing the model may be cheaper than training one."
    )


def _look_at_misses(c: Claims) -> str:
    assert c.facts is not None
    return (
        f"Look at the misses first: {_short(c)}, and nobody can say yet whether the "
        f"{c.facts.total} misses lack facts (which RAG would bring) or skill (which it would not)."
    )


def _look_before_training(c: Claims) -> str:
    assert c.facts is not None
    return (
        f"Look at the misses before buying a GPU: {_reached(c)}, but nobody has looked whether the "
        f"{c.facts.total} misses lack facts, which RAG would bring for less."
    )


def _build_rag(c: Claims) -> str:
    assert c.facts is not None
    assert c.facts.share is not None
    return (
        f"Climb to RAG: {_short(c)}, and {percent(c.facts.share)} of the misses lack a fact "
        "that retrieval could bring."
    )


def _use_rag(c: Claims) -> str:
    assert c.rag is not None
    start = f"{passes(c.rag.system, c.evidence.target)}, which reaches the target of {_target(c)}"
    if c.prompt is None:
        return f"Climb to RAG: {start}."
    prompt = c.prompt.system
    return f"Climb to RAG: {start}; the best prompt, '{prompt.name}', stops at {percent(_value(c.prompt))}."


def _fix_retrieval(c: Claims) -> str:
    return (
        f"Fix retrieval, not the model: {_short(c)}; with the right passages given it would be "
        f"{percent(_value(c.oracle))}."
    )


def _collect_first(c: Claims) -> str:
    if c.unready is None:
        return f"Collect training data before thinking of a GPU: {_short(c)}, and there is no training set."
    return f"Mend the training data before thinking of a GPU: {_short(c)}, and {c.unready[0]}."


def _first_pilot(c: Claims) -> str:
    return f"Run a small tuning pilot: {_short(c)}, and the training data are ready."


def _pilot_again(c: Claims) -> str:
    assert c.forgetting is not None
    lost = percent(abs(c.forgetting.value or 0.0))
    return f"Do not ship the tuned model: it loses {lost} of its general skills; repeat the pilot with a remedy."


def _reached(c: Claims) -> str:
    assert c.reach is not None
    if c.reach.posterior is None:
        return f"the tuned system reaches {goal(c.target)} ({passes(_tuned(c).system, c.target)})"
    expected = c.reach.posterior.predict(c.reach.rows)
    return (
        f"training on {c.reach.rows:,} rows is expected to pass {percent(expected.median)}, "
        f"and reaches {goal(c.target)} with probability {chance(c.reach.now)}"
    )


def _tuned(c: Claims) -> Best:
    assert c.tuned is not None
    return c.tuned


def _escalate(c: Claims) -> str:
    return f"You have earned the GPU: {_short(c)}; {_reached(c)}, and general skills are kept."


def _not_worth_it(c: Claims) -> str:
    earned = c.economics.probability_positive if c.economics is not None else None
    return (
        f"Stay on the best rung you have: {_reached(c)}, but it is not worth the money "
        f"(chance to earn its cost back: {percent(earned or 0.0)})."
    )


def _collect_more(c: Claims) -> str:
    assert c.reach is not None
    assert c.reach.posterior is not None
    rows = c.reach.posterior.rows_to_reach(c.target) or c.reach.most_rows
    return (
        f"Collect more training data: {_reached(c)}; about {rows:,} rows would probably reach it."
    )


def _never(c: Claims) -> str:
    assert c.reach is not None
    return (
        f"Stay on the best rung you have: tuning this model is not expected to reach {goal(c.target)} "
        f"(probability {chance(c.reach.most)} even with {c.reach.most_rows:,} rows)."
    )


def _almost(c: Claims) -> str:
    so_far = _reached(c) if c.reach is not None else _short(c)
    if c.forgetting is None:
        return (
            f"Measure what tuning forgets before buying a GPU: {so_far}, "
            "but nobody has checked its general skills."
        )
    open_part = (
        "how much it forgets" if c.forgetting.state == "open" else "whether it beats what you have"
    )
    return f"Run more cases: {so_far}, but it is not clear yet {open_part}."


def _tuned_open(c: Claims) -> str:
    return f"Run more cases: the tuned system is too close to call ({_too_close(c.tuned, c)})."


def _blurred(c: Claims) -> str:
    return f"Run more cases: {_reached(c)}, and too few cases blur that forecast."


def _undecided_pilot(c: Claims) -> str:
    if c.reach is None:
        return f"Run a pilot at growing sizes: {_short(c)}, and one size does not make a forecast."
    return (
        f"Run a larger pilot: {_reached(c)}; that is neither likely enough to pay for a GPU "
        "nor unlikely enough to stop."
    )


_SENTENCES: Mapping[str, Callable[[Claims], str]] = {
    "0a": _fix_eval,
    "0b": _do_not_ship,
    "1": _step_down,
    "1b": _stay_climbed,
    "2": _stay_on_prompt,
    "3": _more_cases,
    "4": _improve_prompt,
    "5": _change_model,
    "5b": _more_cases_probe,
    "6": _look_at_misses,
    "7": _build_rag,
    "8": _use_rag,
    "9": _fix_retrieval,
    "9b": _more_cases_rag,
    "10": _collect_first,
    "11": _first_pilot,
    "12": _pilot_again,
    "12a": _look_before_training,
    "13": _escalate,
    "14": _not_worth_it,
    "15": _collect_more,
    "16": _never,
    "17a": _almost,
    "14a": _tuned_open,
    "14b": _blurred,
    "17": _undecided_pilot,
}


def reasons(claims: Claims) -> tuple[str, ...]:
    """The facts behind the verdict, with their counts."""
    evidence = claims.evidence
    bests = (
        (claims.step_down, ""), (claims.prompt, ""), (claims.rag, ""), (claims.oracle, ""),
        (claims.probe, " (stronger base model)"), (claims.tuned, " (tuned)"), (claims.champion, ""),
    )  # fmt: skip
    known: dict[str, str] = {}
    for best, note in bests:
        if best is not None:
            known.setdefault(best.system.name, passes(best.system, evidence.target) + note)
    found = list(known.values())
    for pair in evidence.pairs:
        if pair.baseline in known and pair.candidate in known:
            candidate, baseline = f"'{pair.candidate}'", f"'{pair.baseline}'"
            found.append(against(evidence, candidate, baseline, pair.counts))
    if evidence.pilot is not None and evidence.pilot.gain is not None:
        found.append(against(evidence, "the pilot", "its own prompt", evidence.pilot.gain))
    if evidence.retained is not None:
        found.append(
            against(
                evidence, "the tuned model", "the base model on general skills", evidence.retained
            )
        )
    kept = claims.forgetting is not None and claims.forgetting.state == "above"
    lost = evidence.retained is not None and pair_state(evidence, evidence.retained, 0.0)
    if kept and lost and lost.state == "below":
        found.append("some general skill is lost, surely less than is tolerated")
    return tuple(found)


def leaning(claims: Claims, row: Row) -> str | None:
    """On which side an undecided verdict leans."""
    best = {"3": claims.prompt, "5b": claims.probe, "9b": claims.rag}.get(row.number)
    if best is not None and best.claim.state == "open":
        side = best.claim.leaning
        rest = {"above": "reaches the target", "below": "falls short of the target"}.get(side or "")
        return f"'{best.system.name}' leans to: {rest}" if rest else "exactly at the target"
    if row.number in ("17", "14b") and claims.reach is not None:
        return f"probability to reach the target {chance(claims.reach.now)}"
    return None


def cannot_settle(claims: Claims, more: FurtherCases | None, best: Best | None) -> str | None:
    """Say so when no affordable number of cases settles it."""
    if more is None or best is None or more.median is not None:
        return None
    cases = more.cap * worth(best.system.outcomes)
    least = rate_mde(cases, claims.evidence.target, alpha=claims.evidence.settings.alpha)
    these = f"{'these ' if more.exhausted else ''}{more.cap:,} cases"
    seen = f"; {these} can see {100 * least:.1f} points or more" if least is not None else ""
    return f"this suite cannot settle it: the truth is too close to the target{seen}"


def train_method(claims: Claims) -> str:
    """The training method: `sft`, `dpo`, or one after the other."""
    return method(claims.evidence.readiness)


def on_context(claims: Claims) -> bool:
    """Whether to train on retrieved context: RAG surely helps, and its best falls short all the same."""
    if claims.rag is None or claims.prompt is None:
        return False
    pair = claims.evidence.pair(claims.prompt.system.name, claims.rag.system.name)
    return pair is not None and pair_state(claims.evidence, pair, 0.0).state == "above"
