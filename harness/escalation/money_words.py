"""What a step costs and is worth, in words: every figure with where it comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from harness.escalation.words import percent
from harness.types import Action, Verdict

# Verdicts that lead towards tuning, or away from it: others have no step to pay for.
ABOUT_TUNING: frozenset[Action] = frozenset({"collect_data", "run_pilot", "escalate_to_gpu"})
SECONDS_AN_HOUR = 3600


def money_lines(verdict: Verdict) -> Iterator[str]:
    """Net value with its interval, or the formula of what is missing; then every input."""
    money: Mapping[str, Any] | None = verdict.expected.get("economics")
    if money is None or not _about_tuning(verdict):
        return
    unit = money.get("currency") or "money"
    if money["assessed"]:
        low, median, high = (f"{money[f'net_{end}']:,.0f}" for end in ("low", "median", "high"))
        chance = percent(money["probability_positive"])
        yield f"worth: {median} {unit} net ({low} to {high}, four times in five); positive with {chance}"
        volume = money["break_even_volume"]
        yield (
            "it never pays at these prices"
            if volume is None
            else f"it pays from {volume:,.0f} calls a month on"
        )
    else:
        yield f"worth: not assessed, for want of {', '.join(money['missing'])}"
        yield f"it would pay from: {money['formula']}"
    given = ", ".join(_input(item) for item in money["inputs"])
    dated = f" (prices of {money['price_date']})" if money.get("price_date") else ""
    yield f"figures{dated}: {given}"
    if money.get("weeks"):
        skills = f", skills: {', '.join(money['skills'])}" if money.get("skills") else ""
        yield f"calendar: {money['weeks']:g} weeks{skills}"


def gpu_lines(verdict: Verdict) -> Iterator[str]:
    """Memory, time and money of the training on each kind of GPU, for adapters."""
    needs = [row for row in verdict.expected.get("gpu") or () if row["tuning"] == "lora"]
    if not needs or not _about_tuning(verdict):
        return
    kinds = "; ".join(_gpu(row) for row in needs)
    yield f"training on {needs[0]['rows']:,} rows (LoRA): {kinds}"


def _about_tuning(verdict: Verdict) -> bool:
    return verdict.action in ABOUT_TUNING or verdict.row in ("12", "14", "14b", "15", "16", "17a")


def _input(item: Mapping[str, Any]) -> str:
    name = item["name"].replace("_", " ")
    if item["name"] == "retrain_every_months" and item["value"] is None:
        return "trained once (default)"
    if item["value"] is None:
        return f"{name} ({item['source']})"
    return f"{name} {item['value']:,.6g} ({item['source']})"


def _gpu(row: Mapping[str, Any]) -> str:
    seconds = row["hours"] * SECONDS_AN_HOUR
    time = "under a minute" if seconds < 60 else _duration(seconds)
    money = "" if row["money"] is None else f", {row['money']:,.2f}"
    return f"{row['gpus']} x {row['gpu']}: {row['memory']['total']:.1f} GiB, {time}{money}"


def _duration(seconds: float) -> str:
    return (
        f"{seconds / 60:.0f} minutes"
        if seconds < SECONDS_AN_HOUR
        else f"{seconds / 3600:,.1f} hours"
    )
