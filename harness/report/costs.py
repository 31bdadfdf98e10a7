"""Tokens, money and seconds: what a correct answer costs on each system."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.report import charts
from harness.report.charts import Scale
from harness.report.data import RunData, SuiteData, inside
from harness.report.ladders import standings
from harness.report.wording import NONE, amount, described, phrase, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """One system on one suite. Tokens are prompt and completion together."""

    suite: str
    system: str
    champion: bool
    passed: str
    tokens: str
    tokens_each: float | None  # for a correct answer
    per_correct: str
    money: str
    bar: Markup | None
    latency: Markup | None
    seconds: str
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """What a verdict reckons of money: figures, and every input with its source."""

    suite: str
    sentences: tuple[str, ...]
    inputs: tuple[tuple[str, str, str], ...]


def rows(run: RunData) -> list[Cost]:
    """Build the table; systems whose usage nobody counted are shown without."""
    measured = [
        (suite, usage, _per_correct(run, suite, usage))
        for suite in run.suites.values()
        for usage in run.of_suite("usage", suite.name)
    ]
    if not any(
        usage.get("prompt_tokens") or usage.get("latency_p50_s") for _, usage, _ in measured
    ):
        return []
    most = max((value or 0 for _, _, (value, _) in measured), default=0)
    slow = max((usage.get("latency_p95_s") or 0 for _, usage, _ in measured), default=0) or 1.0
    return [_row(run, suite, usage, pair, (most, slow)) for suite, usage, pair in measured]


def finding(found: list[Cost]) -> str:
    """Name a system that is too slow, else where the champion is dearest beside another."""
    if not found:
        return "What the next step is worth"
    late = [row for row in found if row.late]
    if late:
        return f"{late[0].system} is slower than the limit on {late[0].suite}"
    dear: list[tuple[float, Cost, Cost]] = []
    for row in found:
        if row.champion and row.tokens_each:
            rivals = [r for r in found if r.suite == row.suite and r.tokens_each]
            cheapest = min(rivals, key=lambda r: r.tokens_each or 0.0)
            dear.append((row.tokens_each / (cheapest.tokens_each or 1.0), row, cheapest))
    ratio, champion, cheapest = max(
        dear, key=lambda item: item[0], default=(0.0, found[0], found[0])
    )
    if ratio < 1.1:
        return "What a correct answer costs, and how long it takes"
    return (
        f"A correct answer in {champion.suite} costs {champion.per_correct} tokens on "
        f"{champion.system}, {cheapest.per_correct} on {cheapest.system}"
    )


def money(run: RunData) -> list[Money]:
    """Return the economics of each verdict that has any."""
    found = []
    for verdict in run.rows("verdicts"):
        economics = inside(verdict, "expected", "economics")
        if isinstance(economics, Mapping):
            found.append(
                Money(
                    suite=verdict["suite"],
                    sentences=tuple(_reckoned(economics)),
                    inputs=tuple(_inputs(economics)),
                )
            )
    return found


def _per_correct(
    run: RunData, suite: SuiteData, usage: Mapping[str, Any]
) -> tuple[float | None, str]:
    standing = next((s for s in standings(run, suite) if s.system == usage["system"]), None)
    if standing is None or standing.reading.value is None:
        return None, NONE
    each = _tokens(usage)
    share = standing.reading.value
    return (each / share if each and share else None), standing.words


def _tokens(usage: Mapping[str, Any]) -> float | None:
    if usage.get("prompt_tokens") is None or not usage.get("outputs"):
        return None
    total = usage["prompt_tokens"] + (usage.get("completion_tokens") or 0)
    return float(total / usage["outputs"])


def _row(
    run: RunData,
    suite: SuiteData,
    usage: Mapping[str, Any],
    pair: tuple[float | None, str],
    most: tuple[float, float],
) -> Cost:
    system = usage["system"]
    per_correct, passed = pair
    tokens = _tokens(usage)
    evidence = next((v.get("evidence") for v in run.of_suite("verdicts", suite.name)), None)
    limit = inside(evidence, "limits", "latency_p95_s")
    prices = {s["name"]: s.get("cost_per_call") for s in inside(evidence, "systems") or ()}
    p50, p95 = usage.get("latency_p50_s"), usage.get("latency_p95_s")
    late = limit is not None and p95 is not None and p95 > limit
    scale = Scale(low=0.0, high=max(most[1], limit or 0.0))
    return Cost(
        suite=suite.name,
        system=system,
        champion=system == suite.champion,
        passed=passed,
        tokens=NONE if tokens is None else f"{tokens:,.0f}",
        tokens_each=per_correct,
        per_correct=NONE if per_correct is None else f"{per_correct:,.0f}",
        money="" if prices.get(system) is None else amount(prices[system]),
        bar=charts.bar(per_correct, most[0], f"{per_correct:,.0f} tokens a correct answer")
        if per_correct is not None
        else None,
        latency=None
        if p50 is None or p95 is None
        else charts.latency(p50, p95, scale, limit=limit, look="x" if late else ""),
        seconds=NONE if p50 is None else f"{seconds(p50)} / {seconds(p95)}",
        late=late,
    )


def _reckoned(economics: Mapping[str, Any]) -> list[str]:
    from harness.escalation.words import chance, figure

    unit = str(economics.get("currency") or "")
    if economics.get("missing"):
        named = ", ".join(phrase(str(name)) for name in economics["missing"])
        return [f"Not assessed: {named} missing.", str(economics.get("formula") or "")]
    lines = []
    if economics.get("net_median") is not None:
        low, middle, high = (economics[key] for key in ("net_low", "net_median", "net_high"))
        lines.append(
            f"Net value of the step over the horizon: {unit}{figure(middle)}, 80 % interval "
            f"{unit}{figure(low)} to {unit}{figure(high)}; positive with probability "
            f"{chance(economics['probability_positive'])}."
        )
    volume = economics.get("break_even_volume")
    if volume is not None:
        lines.append(f"It pays from {figure(volume)} calls a month.")
    elif economics.get("net_median") is not None:
        lines.append("No volume of calls would pay for it.")
    if economics.get("price_date"):
        lines.append(f"Prices of {economics['price_date']}.")
    return lines


def _inputs(economics: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [
        (
            phrase(str(row.get("name"))),
            NONE if row.get("value") is None else described(row["value"]),
            str(row.get("source") or ""),
        )
        for row in economics.get("inputs") or ()
    ]
