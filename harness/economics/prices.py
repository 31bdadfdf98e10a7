"""The dated file of prices that the user owns.

    date: 2026-11-20
    currency: EUR
    models: {hosted: {input_per_million: 2.5, output_per_million: 10}}     # by name in rung.yaml
    gpus: {h100-80gb: 2.4}                                                 # an hour
    step: {value_per_pass: 0.05, data_cost: 800, training_cost: 60, hosting_per_month: 300,
           cost_per_call_tuned: 0.002, horizon_months: 12, retrain_every_months: 6, weeks: 3,
           skills: [training, serving]}

Everything but the date and the currency may be absent; what is absent is missing, never guessed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import yaml

from harness.economics.net_value import NOTES, SYMBOLS, read_inputs
from harness.errors import ConfigError, nearest
from harness.yaml_keys import dotted, key_lines

MILLION = 1_000_000
KEYS = ("date", "currency", "models", "gpus", "step")
TOKEN_PRICES = ("input_per_million", "output_per_million")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """A checked file of prices."""

    date: str
    currency: str
    models: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    gpus: Mapping[str, float] = field(default_factory=dict)  # an hour
    step: Mapping[str, Any] = field(default_factory=dict)  # inputs of `net_value`

    def cost_per_call(
        self, model: str | None, prompt_tokens: float, completion_tokens: float
    ) -> float | None:
        """Money for a call with so many tokens on average; None where the model has no price."""
        price = self.models.get(model) if model is not None else None
        if price is None:
            return None
        sent = prompt_tokens * price["input_per_million"]
        return (sent + completion_tokens * price["output_per_million"]) / MILLION


def read_prices(file: Path) -> Prices:
    """Read a file of prices.

    Raises
    ------
    ConfigError
        It is missing, undated, or holds something that is no price; the key is named.
    """
    try:
        text = file.read_text("utf-8-sig")
        lines = {dotted(path): line for path, line in key_lines(text, file).items()}
        document = yaml.safe_load(text)
    except FileNotFoundError:
        raise ConfigError("there is no such file of prices", file=file) from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"not YAML: {error}", file=file) from None
    try:
        return _checked(document, file)
    except ConfigError as error:
        error.line = _line_of(error.key or "", lines)
        raise


def _line_of(key: str, lines: Mapping[str, int]) -> int | None:
    """The line of a key, or of the one above that lacks it; names of models may hold dots."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _checked(document: Any, file: Path) -> Prices:
    _check_keys(document, KEYS, "", file)
    for key in ("date", "currency"):
        if not document.get(key):
            raise ConfigError("this key is missing", file=file, key=key)
    if not isinstance(document["date"], date):
        raise ConfigError("a day such as 2026-11-20", file=file, key="date")
    models = document.get("models") or {}
    for name, price in models.items():
        _check_keys(price, TOKEN_PRICES, f"models.{name}", file)
        for key in TOKEN_PRICES:
            _amount(price.get(key), f"models.{name}.{key}", file)
    for name, price in (document.get("gpus") or {}).items():
        _amount(price, f"gpus.{name}", file)
    step = document.get("step") or {}
    _check_keys(step, (*SYMBOLS, *NOTES), "step", file)
    _check_step(step, file)
    return Prices(
        date=document["date"].isoformat(),
        currency=str(document["currency"]),
        models=models,
        gpus=document.get("gpus") or {},
        step=step,
    )


def _check_step(step: Mapping[str, Any], file: Path) -> None:
    for key in SYMBOLS:
        if key in step and key != "value_per_pass":
            _amount(step[key], f"step.{key}", file)
    try:
        read_inputs(step)
    except ConfigError as error:
        key = (error.key or "").replace("economics.", "step.", 1)
        raise ConfigError(error.message, file=file, key=key, hint=error.hint) from None
    if step.get("weeks") is not None:
        _amount(step["weeks"], "step.weeks", file)
    skills = step.get("skills")
    if skills is not None and not (
        isinstance(skills, list) and all(isinstance(s, str) for s in skills)
    ):
        raise ConfigError(
            "a list of texts such as [training, serving]", file=file, key="step.skills"
        )


def _check_keys(value: object, known: tuple[str, ...], place: str, file: Path) -> None:
    if not isinstance(value, Mapping):
        raise ConfigError("a mapping is expected here", file=file, key=place or None)
    for key in value:
        if key not in known:
            full = f"{place}.{key}" if place else str(key)
            raise ConfigError(
                f"unknown key '{key}'. {nearest(str(key), known)}", file=file, key=full
            )


def _amount(value: object, key: str, file: Path) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value < math.inf:  # type: ignore[operator]
        raise ConfigError(f"{value!r} is not an amount of money", file=file, key=key)
