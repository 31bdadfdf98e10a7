"""Why an output was missed: a first pass by rules, each of which looks at one thing.

What no rule can see is `unknown`. Nothing is guessed: whether a fact was missing can be told only
where the case names its gold passages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from harness.metrics.labels import INVALID_LABEL
from harness.metrics.numbers import extract_numbers
from harness.metrics.refusal import is_abstention, is_refusal
from harness.metrics.retrieval import names_of
from harness.metrics.squad import normalize_answer
from harness.metrics.support import content_words
from harness.metrics.variety import repetition
from harness.types import (
    INPUT_REFUSED,
    MODERATION,
    OUTPUT_WITHHELD,
    Case,
    Output,
    Passage,
    Score,
)

Category = Literal[
    "error",  # no answer: the system failed
    "truncated",  # cut off at the token limit
    "refused",
    "invalid_label",  # an answer outside the list of labels
    "format",  # does not parse, or does not fit its schema
    "too_long",
    "repetitive",
    "misspelled",  # the right answer, almost
    "missing_fact",  # no gold passage was given to the model
    "unused_fact",  # a gold passage was given, and not used
    "wrong_fact",  # a gold passage was given, and a number is said that no passage has
    "off_topic",
    "reasoning",  # by hand only
    "bad_label",  # by hand only: the expected answer is wrong
    "unknown",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)

_FORMAT_REASON = re.compile(
    r"^expected (?:JSON|a JSON|YAML|a YAML|XML|SQL|Python|a value that fits the JSON Schema)\b"
)
_LENGTH_REASON = re.compile(r"^expected (?:at most|exactly) (\d+) (?:words|sentences); found (\d+)")
_REPETITIVE = 0.5  # share of word trigrams said before
_REPETITIVE_WORDS = 20
_MISSPELLED_LETTERS = 5  # shorter words are one letter from too many others
_TIMES_AS_LONG = 4.0
_WORDS_TO_BE_ABOUT = 8  # a short wrong answer may share no word with its question either


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A category, and what the rule saw."""

    category: Category
    why: str


def categorize(case: Case, output: Output, score: Score) -> Finding:
    """The category of one miss, by the first rule that holds.

    `score` is the missed score: its reason tells a broken format from a wrong label.
    """
    for rule in _RULES:
        found = rule(case, output, score)
        if found is not None:
            return found
    return Finding(category="unknown", why=_why_unknown(case))


def _error(case: Case, output: Output, score: Score) -> Finding | None:
    if output.error is None:
        return None
    return Finding(category="error", why=output.error[:120])


def _truncated(case: Case, output: Output, score: Score) -> Finding | None:
    if output.finish_reason not in ("length", "max_tokens"):
        return None
    if _says(output.text, case.expected_output):  # the answer was there before the cut
        return None
    return Finding(category="truncated", why=f"finish reason {output.finish_reason!r}")


def _refused(case: Case, output: Output, score: Score) -> Finding | None:
    expected = case.expected_output
    if isinstance(expected, str) and (is_refusal(expected) or is_abstention(expected)):
        return None
    if output.refused:
        return Finding(category="refused", why=_refusal(output))
    if is_refusal(output.text):
        return Finding(category="refused", why="the answer declines")
    return None


def _refusal(output: Output) -> str:
    """Who refused: the system's moderation, in its words, or the server."""
    said = next((f": {step.text}" for step in output.steps if step.name == MODERATION), "")
    if output.finish_reason == INPUT_REFUSED:
        return f"moderation refused the input{said}"[:120]
    if output.finish_reason == OUTPUT_WITHHELD:
        return f"moderation withheld the output{said}"[:120]
    return "the server said so"


def _invalid_label(case: Case, output: Output, score: Score) -> Finding | None:
    if not (score.reason or "").startswith(INVALID_LABEL):
        return None
    return Finding(category="invalid_label", why=(score.reason or "")[:120])


def _repetitive(case: Case, output: Output, score: Score) -> Finding | None:
    if len(output.text.split()) < _REPETITIVE_WORDS:
        return None
    share = repetition(output.text, n=3)
    if share is None or share < _REPETITIVE:
        return None
    return Finding(category="repetitive", why=f"{share:.0%} of its word trigrams are repeated")


def _format(case: Case, output: Output, score: Score) -> Finding | None:
    if _FORMAT_REASON.match(score.reason or ""):
        return Finding(category="format", why=(score.reason or "")[:120])
    if not output.text.strip() and not output.tool_calls:
        return Finding(category="format", why="an empty answer")
    if _is_structured(case.expected_output) and not _is_structured(output.text):
        return Finding(category="format", why="JSON was expected, and the answer is not")
    return None


def _too_long(case: Case, output: Output, score: Score) -> Finding | None:
    said = _LENGTH_REASON.match(score.reason or "")
    if said and int(said[2]) > int(said[1]):
        return Finding(category="too_long", why=(score.reason or "")[:120])
    expected = case.expected_output
    if not isinstance(expected, str) or not _says(output.text, expected):
        return None
    times = len(output.text.split()) / max(1, len(expected.split()))
    if times < _TIMES_AS_LONG:
        return None
    return Finding(category="too_long", why=f"the answer is there, in {times:.0f} times the words")


def _misspelled(case: Case, output: Output, score: Score) -> Finding | None:
    expected = case.expected_output
    if not isinstance(expected, str):
        return None
    found, wanted = normalize_answer(output.text).split(), normalize_answer(expected).split()
    if len(found) != len(wanted):
        return None
    wrong = [(a, b) for a, b in zip(found, wanted, strict=True) if a != b]
    if not wrong or not all(_is_slip(a, b) for a, b in wrong):
        return None
    return Finding(category="misspelled", why=f"{wrong[0][0]!r:.60} for {wrong[0][1]!r:.60}")


def _facts(case: Case, output: Output, score: Score) -> Finding | None:
    """Only where gold passages are named, and the answer lacks what was expected."""
    expected = case.expected_output
    if not case.context or expected is None or _says(output.text, expected):
        return None
    given = [gold for gold in case.context if _was_given(gold, output)]
    if not given:
        ids = ", ".join(gold.id for gold in case.context[:3])
        why = f"no gold passage among the {len(output.passages)} given: {ids}"
        return Finding(category="missing_fact", why=why)
    if found := _off_topic(case, output, score):
        return found
    if invented := _invented_numbers(case, output):
        return Finding(category="wrong_fact", why=f"no passage has the number {invented[0]:g}")
    return Finding(category="unused_fact", why=f"the gold passage {given[0].id} was given")


def _invented_numbers(case: Case, output: Output) -> list[float]:
    """Numbers of the answer that nothing given to the model has; none if not all of it is known."""
    sources = [passage.text for passage in output.passages]
    if output.prompt is None and (None in sources or not sources):
        return []
    given = (*sources, _plain(output.prompt), _plain(case.input))
    known = {number for text in given if text for number in extract_numbers(text)}
    return [number for number in extract_numbers(output.text) if number not in known]


def _off_topic(case: Case, output: Output, score: Score) -> Finding | None:
    words = content_words(output.text)
    about = content_words(_plain(case.input)) | content_words(_plain(case.expected_output))
    for passage in (*output.passages, *case.context):
        about |= content_words(passage.text or "")
    says_little = len(words) < _WORDS_TO_BE_ABOUT or is_abstention(output.text)
    if says_little or not about or words & about:
        return None
    return Finding(category="off_topic", why="not a word of the question, the answer or a passage")


_RULES = (
    _error,
    _truncated,
    _refused,
    _invalid_label,
    _repetitive,
    _format,
    _too_long,
    _misspelled,
    _facts,
    _off_topic,
)


def _was_given(gold: Passage, output: Output) -> bool:
    """By id, by a chunk of it (`id~3`), or by its text in what was sent to the model."""
    if any(gold.id in names_of(passage.id) for passage in output.passages):
        return True
    return bool(gold.text and gold.text.strip()) and _squeezed(gold.text) in _squeezed(
        _plain(output.prompt)
    )


def _squeezed(text: str | None) -> str:
    return " ".join((text or "").split())


def _says(text: str, expected: Any) -> bool:
    """Whether the expected answer stands in the text, up to SQuAD's normalisation."""
    if expected is None or isinstance(expected, (dict, list)):
        return False
    wanted = normalize_answer(str(expected))
    return bool(wanted) and f" {wanted} " in f" {normalize_answer(text)} "


def _is_slip(found: str, wanted: str) -> bool:
    """One letter too many, too few, changed, or two swapped; not the first: "billion" is no "million".

    A wrong digit is a wrong fact, not a slip of spelling.
    """
    if len(wanted) < _MISSPELLED_LETTERS or found[:1] != wanted[:1]:
        return False
    if not (found.isalpha() and wanted.isalpha()):
        return False
    while found and wanted and found[0] == wanted[0]:
        found, wanted = found[1:], wanted[1:]
    while found and wanted and found[-1] == wanted[-1]:
        found, wanted = found[:-1], wanted[:-1]
    swapped = len(found) == 2 and found == wanted[::-1]
    return swapped or (len(found) <= 1 and len(wanted) <= 1)


def _is_structured(value: Any) -> bool:
    if isinstance(value, (dict, list)):
        return True
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return False
    try:
        return isinstance(json.loads(value), (dict, list))
    except (ValueError, RecursionError):
        return False


def _plain(value: Any) -> str:
    """All the text of an input, a prompt or an expected answer."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "\n".join(_plain(part) for part in value.values())
    if isinstance(value, (list, tuple)):
        return "\n".join(_plain(part) for part in value)
    return "" if value is None else str(value)


def _why_unknown(case: Case) -> str:
    return "no rule holds" if case.context else "no rule holds, and the case names no gold passage"
