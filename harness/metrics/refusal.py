"""Does an answer refuse, or say that it cannot be known? Rules by language, read from its start."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from harness.errors import ConfigError, nearest

_READ = 256  # characters: a refusal says so at its beginning


@dataclass(frozen=True, slots=True)
class _Rules:
    hints: frozenset[str]
    refusal: re.Pattern[str]
    abstention: re.Pattern[str]


def is_refusal(text: str, *, languages: Collection[str] | None = None) -> bool:
    """Whether the answer declines to do what was asked ("I can't help with that").

    By rules for the languages of `refusal_languages()`, all of them or those named by their code. In
    any other language nothing is recognised; where a system's server says so, `output.refused`
    knows better.
    """
    beginning = _beginning(text)
    return any(
        rules.refusal.search(beginning) is not None for rules in _hinted(beginning, languages)
    )


def is_abstention(text: str, *, languages: Collection[str] | None = None) -> bool:
    """Whether the answer says that the question cannot be answered from what is given.

    By rules for the languages of `refusal_languages()`, all of them or those named by their code.
    """
    beginning = _beginning(text)
    return any(
        rules.abstention.search(beginning) is not None for rules in _hinted(beginning, languages)
    )


def refusal_languages() -> tuple[str, ...]:
    """The languages whose refusals and abstentions are recognised, by ISO 639-1 code."""
    return tuple(_rules())


def _beginning(text: str) -> str:
    return text[:_READ].strip().lower().replace("’", "'")


def _hinted(beginning: str, languages: Collection[str] | None) -> list[_Rules]:
    """Rules of the languages that have a hint in the text: the others cannot match."""
    known = _rules()
    asked = known if languages is None else languages
    for code in asked:
        if code not in known:
            raise ConfigError(f"no rules for the language '{code}'. {nearest(code, known)}")
    words = set(_words(beginning))
    return [known[code] for code in asked if not known[code].hints.isdisjoint(words)]


def _words(text: str) -> list[str]:
    # Replacing one mark after the other takes a third of the time of a regex.
    for mark in ".,;:!?'-()\"":
        text = text.replace(mark, " ")
    return text.split()


@cache
def _rules() -> Mapping[str, _Rules]:
    text = files("harness.metrics").joinpath("refusals.toml").read_text("utf-8")
    return MappingProxyType(
        {
            code: _Rules(
                frozenset(entry["hints"]),
                _compiled(entry["refusal"], start=entry["refusal_start"]),
                _compiled(entry["abstention"], whole=entry["whole"]),
            )
            for code, entry in tomllib.loads(text).items()
        }
    )


def _compiled(
    anywhere: list[str], *, start: Collection[str] = (), whole: Collection[str] = ()
) -> re.Pattern[str]:
    # One word boundary before everything, and lower case throughout: a tenth of the time.
    parts = [rf"\b(?:{'|'.join(anywhere)})"]
    if start:
        parts.append(rf"^\W*(?:{'|'.join(start)})")
    if whole:
        parts.append(rf"^\W*(?:{'|'.join(whole)})\W*$")
    return re.compile("|".join(parts), re.DOTALL)
