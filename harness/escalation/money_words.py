"""What a step costs and is worth, in words: every figure with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.escalation.words import chance, figure, percent
from harness.types import Action

# Verdicts that lead towards tuning, or away from it: others have no step to pay for.
ABOUT_TUNING: frozenset[Action] = frozenset({"collect_data", "run_pilot", "escalate_to_gpu"})
ROWS_ABOUT_TUNING = frozenset({"12", "14", "14a", "14b", "15", "16", "17a"})
WAYS: Mapping[str, str] = {"full": "full", "lora": "LoRA", "qlora": "QLoRA"}
SECONDS_AN_HOUR = 3600
LEAST_MONEY = 0.0001
LEAST_GIB = 0.01

Row = Mapping[str, Any]


def money_lines(verdict: Row) -> Iterator[str]:
    """Net value with its interval, or the formula of what is missing; then every input."""
    money = _money(verdict)
    if not money:
        return
    unit = money.get("currency") or "money"
    if money["assessed"]:
        low, median, high = (figure(money[f"net_{end}"]) for end in ("low", "median", "high"))
        positive = chance(money["probability_positive"])
        yield f"worth: {median} {unit} net ({low} to {high}, four times in five); positive with {positive}"
        volume = money["break_even_volume"]
        yield (
            "it never pays at these prices"
            if volume is None
            else f"it pays from {figure(volume)} calls a month on"
        )
    else:
        yield f"worth: not assessed, for want of {', '.join(money['missing'])}"
        yield f"it would pay from: {money['formula']}"
    given = ", ".join(_input(item) for item in money["inputs"])
    dated = f" (prices of {money['price_date']})" if money.get("price_date") else ""
    yield f"figures{dated}: {given}"


def calendar_lines(verdict: Row) -> Iterator[str]:
    """The weeks that the step takes and the skills that it needs, as far as they were given."""
    money = _money(verdict)
    if money.get("weeks"):
        yield f"calendar: {figure(money['weeks'])} {'week' if money['weeks'] == 1 else 'weeks'}"
    if money.get("skills"):
        yield f"skills: {', '.join(money['skills'])}"


def gpu_lines(verdict: Row) -> Iterator[str]:
    """Memory, time and money of the training, each way on the cheapest kind of GPU that holds it."""
    needs: Sequence[Row] | None = verdict["expected"].get("gpu")
    if needs is None or not _about_tuning(verdict):
        return
    if not needs:
        yield "training: no kind of GPU holds it, however it is tuned"
        return
    unit = _money(verdict).get("currency")
    rows, efficiency = needs[0]["rows"], needs[0].get("efficiency")
    on = f"on {rows:,} rows" if rows else "(no rows yet: memory alone)"
    rate = f", at an assumed {percent(efficiency)} of a GPU's peak rate" if efficiency else ""
    yield f"training {on}{rate}: " + "; ".join(_way(way, needs, unit) for way in WAYS)


def _money(verdict: Row) -> Row:
    return (verdict["expected"].get("economics") or {}) if _about_tuning(verdict) else {}


def _about_tuning(verdict: Row) -> bool:
    return verdict["action"] in ABOUT_TUNING or verdict["row"] in ROWS_ABOUT_TUNING


def _input(item: Row) -> str:
    name = item["name"].replace("_", " ")
    if item["name"] == "retrain_every_months" and item["value"] is None:
        return "trained once (default)"
    if item["value"] is None:
        return f"{name} ({item['source']})"
    return f"{name} {item['value']:,.6g} ({item['source']})"


def _way(way: str, needs: Sequence[Row], unit: str | None) -> str:
    found = [row for row in needs if row["tuning"] == way]
    if not found:
        return f"{WAYS[way]}: fits no kind of GPU"
    return f"{WAYS[way]} on {_gpu(min(found, key=_dearness), unit)}"


def _dearness(row: Row) -> tuple[int, float]:
    """Fewest GPUs first, then the least money; without prices the first that was named."""
    return row["gpus"], row["money"] or 0.0


def _gpu(row: Row, unit: str | None) -> str:
    memory = f"{figure(row['memory']['total'], least=LEAST_GIB)} GiB"
    parts = [f"{row['gpus']} x {row['gpu']}: {memory}{' in all' if row['gpus'] > 1 else ''}"]
    if row["rows"]:
        parts.append(_duration(row["hours"] * SECONDS_AN_HOUR))
        if row["money"] is not None:
            paid = figure(row["money"], least=LEAST_MONEY)
            parts.append(f"{paid} {unit}" if unit else paid)
    return ", ".join(parts)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return "under a minute"
    if seconds < SECONDS_AN_HOUR:
        return f"{seconds / 60:.0f} minutes"
    return f"{figure(seconds / SECONDS_AN_HOUR)} hours"
