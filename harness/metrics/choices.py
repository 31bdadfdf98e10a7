"""Multiple choice: which option an answer chose, by what it says or by the options' likelihoods."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence

from harness.metrics.squad import normalize_answer
from harness.types import Output

_SAID = re.compile(
    r"\b(?:answer|option|choice)(?: is|:)?\s*\(?([A-Za-z0-9])\)?(?![\w'])", re.IGNORECASE
)
_ALONE = re.compile(r"\W*\(?([A-Za-z0-9])\)?(?:[.):,\s]|$)")


_OPTION = "option "  # how systems that choose by likelihood name the steps of an output


def option_loglikelihoods(output: Output) -> dict[str, float]:
    """The logarithm of each option's probability, from a system with `choice` in rung.yaml.

    Empty where the answer was written, not chosen: there is no likelihood then, and none is made up.
    """
    return {
        step.name.removeprefix(_OPTION): float(step.text)
        for step in output.steps
        if step.name.startswith(_OPTION)
    }


def chosen_option(text: str, options: Mapping[str, str]) -> str | None:
    """The label that an answer names ("B", "(B) Paris", "The answer is B"), or whose text it is.

    None if it names none, or several: what cannot be told is no choice.
    """
    labels = {label.upper(): label for label in options}
    said = {found.upper() for found in _SAID.findall(text)} & labels.keys()
    if len(said) == 1:
        return labels[said.pop()]
    first = _ALONE.match(text)
    if first and first[1] in labels and not said and not _is_article(first[1], text):
        return labels[first[1]]
    answer = f" {normalize_answer(text)} "
    in_text = [
        label for label, option in options.items() if f" {normalize_answer(option)} " in answer
    ]
    return in_text[0] if len(in_text) == 1 and normalize_answer(options[in_text[0]]) else None


def likeliest_option(
    loglikelihoods: Sequence[float], options: Sequence[str], *, per_character: bool = False
) -> int:
    """The index of the likeliest option; `per_character` divides by its length (`acc_norm`).

    Ties go to the first. A likelihood that is not a number is an error, not a miss.
    """
    if len(loglikelihoods) != len(options) or not options:
        raise ValueError(f"{len(loglikelihoods)} likelihoods for {len(options)} options")
    if any(math.isnan(value) for value in loglikelihoods):
        raise ValueError("a log-likelihood is not a number")
    lengths = [max(1, len(option)) if per_character else 1 for option in options]
    shares = [value / length for value, length in zip(loglikelihoods, lengths, strict=True)]
    return shares.index(max(shares))


def true_option_mass(loglikelihoods: Sequence[float], true: Collection[int]) -> float:
    """The probability of the true options among all given (TruthfulQA's MC2)."""
    top = max(loglikelihoods)
    masses = [math.exp(value - top) for value in loglikelihoods]
    return sum(masses[i] for i in set(true)) / sum(masses)


def _is_article(letter: str, text: str) -> bool:
    """ "A" or "I" that begins a sentence is a word: "A cat", "I think"."""
    after = text.lstrip()[1:2]
    return letter in "AI" and after == " " and len(text.split()) > 1
