"""The cheapest next step of a verdict and what it costs.

Costs are in new `cases`, `calls` over cases that are there, `labels`, `prompts`, training `rows`,
`trainings`, `minutes`, `money_for_calls` and `money` for a training, as far as they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from harness.economics import Assessment
from harness.escalation.claims import PROMPTS_WANTED, TAGS_WANTED, Best, Claims
from harness.escalation.further_cases import more_for_pair, more_for_rate
from harness.escalation.readiness import (
    AUDITED_ROWS,
    LEAST_ROWS,
    audit_remedy,
    labels_wanting,
    remedies,
    rows_wanting,
)
from harness.escalation.sentences import SKILL_CASES, cannot_settle, on_context, train_method
from harness.escalation.table import Row

MINUTES_A_LABEL = 0.5
SIZES_WANTED = 4
SEEDS_WANTED = 3

Step = dict[str, Any]


def next_step(claims: Claims, row: Row) -> Step:
    """What to do next, with its cost."""
    step = _STEPS[row.number](claims)
    currency = (claims.evidence.economics or {}).get("currency")
    known = {} if currency is None else {"currency": currency}
    return step | {"cost": step["cost"] | _of_calls(claims, step["cost"])} | known


def _of_calls(c: Claims, cost: Mapping[str, float]) -> dict[str, float]:
    """Minutes and money of the calls that a step makes, as far as latency and prices are known.

    A new case is asked of every system of the suite. Minutes are at most: one call after the other,
    each as slow as the slowest twentieth.
    """
    systems = [s for s in c.evidence.systems if s.outcomes.n]
    calls = cost.get("calls") or cost.get("cases", 0) * len(systems)
    found: dict[str, float] = {}
    for name, values, unit in (
        ("money_for_calls", [s.cost_per_call for s in systems], 1.0),
        ("minutes", [s.latency_p95_s for s in systems], 60.0),
    ):
        known = [value for value in values if value is not None]
        if calls and len(known) == len(systems) and name not in cost:
            found[name] = float(f"{calls * sum(known) / len(known) / unit:.3g}")
    return found


def _step(do: str, command: str | None = None, **cost: float | int | None) -> Step:
    known = {name: value for name, value in cost.items() if value is not None}
    return {"do": do, "command": command, "cost": known}


def _fix_eval(c: Claims) -> Step:
    fault = c.faults[0].kind
    if fault == "missing":
        missing = sum(s.outcomes.missing for s in c.evidence.systems)
        return _step("make every case give a score", "pytest evals/ --lf", calls=missing)
    if fault == "leak":
        return _step(
            "remove the leaked cases from the suite or from the training data", "rung data"
        )
    if fault == "people":
        return _step(
            f"let two people judge the same {2 * AUDITED_ROWS} pairs of outputs blind, and mend the rubric until they agree",
            "rung review",
            labels=4 * AUDITED_ROWS,
            minutes=4 * AUDITED_ROWS * MINUTES_A_LABEL,
        )
    if fault == "judge":
        return _step(
            f"mend the judge's rubric, then check it against {2 * AUDITED_ROWS} human labels",
            "rung label",
            labels=2 * AUDITED_ROWS,
            minutes=2 * AUDITED_ROWS * MINUTES_A_LABEL,
        )
    return _step(
        "check every label of the suite, and correct the wrong ones",
        "rung label",
        labels=c.evidence.cases,
        minutes=c.evidence.cases * MINUTES_A_LABEL,
    )


def _do_not_ship(c: Claims) -> Step:
    shipping = c.evidence.shipping
    count = shipping.critical_misses + shipping.critical_unscored
    return _step(
        "mend what the gates name and run again", "pytest evals/ --lf", calls=count or None
    )


def _nothing(_: Claims) -> Step:
    return _step("nothing: watch for drift with the same suite", "pytest evals/")


def _stay_on_prompt(c: Claims) -> Step:
    """Nothing is to be done only where the deployed system is one that reaches the target."""
    assert c.prompt is not None
    deployed = c.champion is not None and c.champion.claim.state == "above"
    return _nothing(c) if deployed or c.evidence.champion is None else _crown(c.prompt)


def _step_down(c: Claims) -> Step:
    assert c.step_down is not None
    return _crown(c.step_down)


def _crown(best: Best) -> Step:
    return _step(f"make '{best.system.name}' the champion in rung.yaml", "pytest evals/")


def _cases(c: Claims, best: Best | None) -> Step:
    assert best is not None
    more = more_for_rate(c, best.system.outcomes)
    note = cannot_settle(c, more, best)
    if note is not None:
        step = _step(f"{note}; move the target, or accept what the leaning says")
        return step | {"open_at_cap": more.open_at_cap}
    step = _step("add cases of the same kind, and run", "pytest evals/", cases=more.median)
    return step | {"open_at_cap": more.open_at_cap}


def _more_prompt(c: Claims) -> Step:
    step = _cases(c, c.prompt)
    if c.rag is not None and c.rag.claim.state == "above":
        step["do"] += f"; until then '{c.rag.system.name}' surely reaches the target"
    return step


def _more_probe(c: Claims) -> Step:
    return _cases(c, c.probe)


def _sharpen(c: Claims) -> Step:
    assert c.evidence.pilot is not None
    have = c.evidence.pilot.points[-1].cases
    return _step(
        "judge the pilot's systems on more cases: no training needed",
        "pytest evals/",
        cases=max(c.evidence.settings.max_cases // 2 - have, 0),
    )


def _more_rag(c: Claims) -> Step:
    if c.rag is not None and c.rag.claim.state == "open":
        return _cases(c, c.rag)
    assert c.rag is not None
    assert c.oracle is not None
    pair = c.evidence.pair(c.rag.system.name, c.oracle.system.name)
    delta = c.evidence.settings.worthwhile_gain
    more = more_for_pair(c, pair, 2 * delta, delta / 2) if pair is not None else None
    cases = more.median if more is not None else None
    return _step(
        "add cases, and run RAG with and without the gold passages", "pytest evals/", cases=cases
    )


def _improve_prompt(c: Claims) -> Step:
    left = max(PROMPTS_WANTED - c.prompts_tried, 0 if c.few_shot_tried else 1)
    what = "one more prompt" if left == 1 else f"{left} more prompts"
    if not c.few_shot_tried:
        what += " with examples" if left == 1 else ", one of them with examples"
    n = c.prompt.system.outcomes.n if c.prompt is not None else None
    return _step(
        f"write {what}, tuned on cases kept apart from these",
        "pytest evals/",
        prompts=left,
        calls=left * n if n is not None else None,
    )


def _change_model(c: Claims) -> Step:
    assert c.probe is not None
    now = c.best_cheap.cost_per_call if c.best_cheap is not None else None
    return _step(
        f"deploy '{c.probe.system.name}'",
        cost_per_call=c.probe.system.cost_per_call,
        cost_per_call_now=now,
    )


def _look(c: Claims) -> Step:
    assert c.facts is not None
    known = c.facts.total - c.facts.left
    left = min(c.facts.left, max(TAGS_WANTED - known, 0) or c.facts.left)
    return _step(
        f"tag {left} misses with their cause",
        "rung label",
        labels=left,
        minutes=left * MINUTES_A_LABEL,
    )


def _build_rag(c: Claims) -> Step:
    return _step(
        "add a RAG system over the documents that hold the missing facts, and one with `retriever: oracle`",
        "pytest evals/",
        calls=c.evidence.cases,
    )


def _use_rag(c: Claims) -> Step:
    assert c.rag is not None
    return _crown(c.rag)


def _fix_retrieval(c: Claims) -> Step:
    return _step(
        "change chunking, retriever or k until the gold passages are among those shown",
        "pytest evals/",
        calls=c.evidence.cases,
    )


def _context(c: Claims) -> str:
    """What to train on where facts were missing: rows that hold what retrieval found."""
    return "; train on rows that hold the retrieved passages" if on_context(c) else ""


def _collect(c: Claims) -> Step:
    if c.unready is None:
        return _step(
            f"collect at least {LEAST_ROWS} clean rows, varied as the cases are; 400 make a pilot that says more",
            "rung data make",
            rows=LEAST_ROWS,
        )
    ready = c.evidence.readiness
    assert ready is not None
    labels = labels_wanting(ready)
    audit = audit_remedy(labels) if labels else None
    does = [text for text in (*remedies(ready), audit) if text is not None]
    return _step(
        "; then ".join(dict.fromkeys(does)) + _context(c),
        "rung data",
        rows=rows_wanting(ready) or None,
        labels=labels or None,
        minutes=labels * MINUTES_A_LABEL or None,
    )


def _pilot(c: Claims) -> Step:
    where = "on this machine where the model is small, on one GPU for about an hour, or as a hosted tuning job"
    step = _step(
        f"train on at least {SIZES_WANTED} nested sizes, three seeds at the largest ({where}){_context(c)}",
        "rung pilot",
        trainings=SIZES_WANTED + 2,
    )
    return step | {"method": train_method(c)}


def _remedy(_: Claims) -> Step:
    return _step(
        "mix general tasks into the training rows, lower the rank or the rate, or train fewer steps",
        "rung pilot",
        trainings=3,
    )


def _escalate(c: Claims) -> Step:
    money = _input(c.economics, "training_cost")
    weeks = c.economics.weeks if c.economics is not None else None
    step = _step(
        f"write the training job and run it{_context(c)}",
        "rung escalate",
        money=money,
        calendar_weeks=weeks,
        rows=c.reach.rows if c.reach is not None else None,
    )
    return step | {"method": train_method(c)}


def _input(economics: Assessment | None, name: str) -> float | None:
    if economics is None:
        return None
    return next(item.value for item in economics.inputs if item.name == name)


def _wait(c: Claims) -> Step:
    volume = c.economics.break_even_volume if c.economics is not None else None
    if volume is None:
        return _step("nothing: no volume of calls would pay for it at these prices")
    return _step(f"judge again when there are more than {volume:,.0f} calls a month")


def _collect_more(c: Claims) -> Step:
    assert c.reach is not None
    assert c.reach.posterior is not None
    wanted = c.reach.posterior.rows_to_reach(c.target) or c.reach.most_rows
    return _step(
        f"collect rows up to {2 * c.reach.posterior.last:,} first and pilot again before going to {wanted:,}",
        "rung data",
        rows=max(wanted - c.reach.rows, 0),
    )


def _elsewhere(_: Claims) -> Step:
    return _step("try another base model, a narrower task, or another target")


def _more_tuned(c: Claims) -> Step:
    if c.forgetting is None:
        return _step(
            "run the suite of general skills on the base and the tuned model",
            "pytest evals/",
            cases=SKILL_CASES,
            calls=2 * SKILL_CASES,
        )
    margin = c.evidence.settings.tolerated_loss
    pilot = c.evidence.pilot
    if pilot is not None and pilot.gain is None:
        return _step(
            "run the pilot model's own best prompt on the pilot's cases: nobody knows what tuning gains",
            "rung pilot",
            calls=pilot.points[-1].cases,
        )
    pair, refs = c.evidence.retained, (-margin, -margin)
    if c.forgetting.state != "open" and pilot is not None:
        pair, refs = pilot.gain, (0.0, 0.0)
    more = more_for_pair(c, pair, *refs) if pair is not None else None
    return _step(
        "add cases, and run", "pytest evals/", cases=more.median if more is not None else None
    )


def _larger_pilot(c: Claims) -> Step:
    posterior = c.reach.posterior if c.reach is not None else None
    if posterior is None:
        return _pilot(c)
    if _seeds_blur(c):
        return _step(
            f"train the largest size, {posterior.last:,} rows, with {SEEDS_WANTED} more seeds",
            "rung pilot",
            trainings=SEEDS_WANTED,
        )
    size, have = 2 * posterior.last, c.reach.rows if c.reach is not None else 0
    rows = max(size - have, 0)
    first = f"collect {rows:,} more rows, then " if rows else ""
    return _step(
        f"{first}train on {size:,} rows with three seeds",
        "rung pilot",
        trainings=3,
        rows=rows or None,
    )


def _seeds_blur(c: Claims) -> bool:
    """Whether the doubt about the forecast is mostly that of too few seeds at the largest size."""
    if c.reach is None or c.reach.posterior is None or c.evidence.pilot is None:
        return False
    posterior, seeds = c.reach.posterior, len(c.evidence.pilot.points[-1].passed)
    expected, noise = posterior.predict(c.reach.rows), posterior.seed_sd**2
    spread = (expected.high - expected.low) / 2.56  # an 80 % interval spans so many deviations
    # One training differs from another by the noise, however well the curve is known.
    return seeds < SEEDS_WANTED and noise / seeds > 0.5 * max(spread**2 - noise, 0.0)


def _more_of_tuned(c: Claims) -> Step:
    return _cases(c, c.tuned)


_STEPS: Mapping[str, Callable[[Claims], Step]] = {
    "0a": _fix_eval,
    "0b": _do_not_ship,
    "1": _step_down,
    "1b": _nothing,
    "2": _stay_on_prompt,
    "3": _more_prompt,
    "4": _improve_prompt,
    "5": _change_model,
    "5b": _more_probe,
    "6": _look,
    "7": _build_rag,
    "8": _use_rag,
    "9": _fix_retrieval,
    "9b": _more_rag,
    "10": _collect,
    "11": _pilot,
    "12": _remedy,
    "12a": _look,
    "13": _escalate,
    "14": _wait,
    "15": _collect_more,
    "16": _elsewhere,
    "17a": _more_tuned,
    "14a": _more_of_tuned,
    "14b": _sharpen,
    "17": _larger_pilot,
}
