"""How numbers and states are written, in the page and in Markdown alike."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

from harness.design import GLYPHS, visible

NONE = "–"
NO_BREAK = "\u00a0"
BEFORE_UNIT = re.compile(r"(?<=\d) (?=%|(?:points?|s|min|h|GiB)\b)")
MINUS = "−"

ACTION_GLYPHS: Mapping[str, str] = MappingProxyType(
    {
        "do_not_ship": "✕",
        "fix_eval": "!",
        "escalate_to_gpu": "▲",
        "climb_to_rag": "▲",
        "step_down": "▼",
        "stay_on_prompt": "✓",
        "stay_on_best_rung": "✓",
        "run_more_cases": "◐",
    }
)


def phrase(word: str) -> str:
    """Write a stored word as people read it: `not_run` as "not run"."""
    if word == "fine_tuned":
        return "fine-tuned"
    return word.replace("_to_gpu", " to GPU").replace("_rag", " RAG").replace("_", " ")


def coded(text: str) -> Markup:
    """Set a sentence: backticks make code, numbers stay with their units; everything is escaped.

    >>> str(coded("run `rung data` <now>"))
    'run <code>rung data</code> &lt;now&gt;'
    >>> str(coded("98 % of `tail -n 3 s`"))
    '98\\xa0% of <code>tail -n 3 s</code>'
    """
    pieces = visible(text).split("`")
    if len(pieces) % 2 == 0:
        return escape(_kept_together(visible(text)))
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if i % 2 else escape(_kept_together(piece))
        for i, piece in enumerate(pieces)
    )


def _kept_together(text: str) -> str:
    """Put a no-break space between a number and its unit."""
    return BEFORE_UNIT.sub(NO_BREAK, text)


def glyph(state: str) -> str:
    return GLYPHS.get(state) or ACTION_GLYPHS.get(state, "→")


def percent(value: float | None, *, digits: int = 1) -> str:
    """A share in per cent, without the sign: tables name the unit once."""
    return NONE if value is None else f"{100 * value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference of shares in points."""
    if value is None:
        return NONE
    text = f"{100 * value:+.1f}".replace("-", MINUS)
    return text if float(f"{100 * value:.1f}") else "0.0"


def amount(value: float | None) -> str:
    """A mean of a graded metric: three significant digits."""
    return NONE if value is None else f"{value:.3g}".replace("-", MINUS)


def signed_amount(value: float | None) -> str:
    """A difference of means."""
    return NONE if value is None else f"{value:+.3g}".replace("-", MINUS) if value else "0"


def span(low: float | None, high: float | None, *, write: Any = percent) -> str:
    return NONE if low is None or high is None else f"{write(low)} to {write(high)}"


def pvalue(value: float | None) -> str:
    if value is None:
        return NONE
    return "<.001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}"


def duration(value: float) -> str:
    """Seconds as people say them."""
    if value < 90:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 5400 else f"{value / 3600:.1f} h"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number and its noun: 1 case, 2 cases."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def spelled(number: int) -> str:
    """Small numbers as words, for headings."""
    return WORDS[number] if number < len(WORDS) else f"{number:,}"


def agreeing(number: int, one: str, many: str) -> str:
    """The form of a verb that goes with a number: one falls, two fall."""
    return one if number == 1 else many


def listed(words: Sequence[str]) -> str:
    """Join words: a, b and c."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def sentence(text: str) -> str:
    """Begin with a capital and keep the rest."""
    return text[:1].upper() + text[1:]


def day(stamp: str | None) -> str:
    """An ISO time as a day: 6 May 2026."""
    try:
        moment = datetime.fromisoformat(stamp or "")
    except ValueError:
        return NONE
    return f"{moment.day} {moment:%b %Y}"


def described(value: Any) -> str:
    """Write a small structure of a verdict as prose; its keys are words of the design."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return amount(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, Mapping):
        parts = [(phrase(str(key)), described(inner)) for key, inner in value.items()]
        return "; ".join(f"{key} {text}" for key, text in parts if text)
    if isinstance(value, list | tuple):
        return "; ".join(filter(None, map(described, value)))
    return str(value)
