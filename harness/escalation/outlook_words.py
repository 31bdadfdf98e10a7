"""What a verdict expects and what would change it, in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.escalation.words import chance, counted, figure, percent

LEAST_MINUTES = 0.01


def expected_lines(expected: Mapping[str, Any]) -> Iterator[str]:
    """The pass rate after the step, with its interval."""
    rate = expected.get("pass_rate")
    if not rate or rate.get("median") is None:
        return
    text = f"{'at most ' if rate.get('at_most') else ''}{percent(rate['median'])}"
    if rate.get("low") is not None:
        low, high = (percent(rate[end]).removesuffix(" %") for end in ("low", "high"))
        text += f" ({percent(rate.get('confidence_level', 0.8))} interval {low} to {high})"
    if rate.get("rows"):
        text += f" with {counted(rate['rows'], 'training row')}"
    yield f"expected after the step: {text}"


def change_lines(would_change: Mapping[str, Any]) -> Iterator[str]:
    """The cases, the targets and the further cases that would change the answer."""
    flips = would_change.get("flips")
    if flips:
        yield f"would change: {flips['what']} -> {_words(flips['becomes'])}"
    target = would_change.get("target") or {}
    for side, where in (
        ("lower", "at a target of {} or less"),
        ("higher", "from a target of {} on"),
    ):
        if target.get(side):
            at = where.format(f"{100 * target[side]['target']:g} %")
            yield f"another answer {at}: {_words(target[side]['becomes'])}"
    for system, more in (would_change.get("further_cases") or {}).items():
        yield further_line(system, more)


def further_line(system: str, more: Mapping[str, Any]) -> str:
    """How many more cases would settle an open claim about a system."""
    if more.get("median"):
        return f"about {counted(more['median'], 'further case')} would settle '{system}'"
    if more.get("exhausted"):
        return f"'{system}' is still open at all of {more['cap']:,} cases"
    return (
        f"'{system}' is still open at {more['cap']:,} cases "
        f"with probability {chance(more['open_at_cap'])}"
    )


def cost_words(step: Mapping[str, Any]) -> str:
    """What a step costs, in brackets; empty where nothing is known of it."""
    parts = cost_parts(step)
    return f" ({', '.join(parts)})" if parts else ""


def cost_parts(step: Mapping[str, Any]) -> list[str]:
    """What a step costs, in each unit: `105 cases`, `0.0026 EUR for calls`."""
    currency = step.get("currency") or "money"
    return [
        _cost(unit, value, currency)
        for unit, value in (step.get("cost") or {}).items()
        if isinstance(value, int | float)
    ]


def _cost(unit: str, value: float, currency: str) -> str:
    name = _words(unit).replace("money", currency)
    if isinstance(value, int) and name.endswith("s"):
        return counted(value, name.removesuffix("s"))
    return f"{figure(value, least=LEAST_MINUTES if unit == 'minutes' else 0.0)} {name}"


def _words(stored: str) -> str:
    return stored.replace("_", " ")
