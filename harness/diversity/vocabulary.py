"""What a suite asks for by name: the labels, keys, tools and operators of its expected outputs."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.diversity.labels import are_labels
from harness.diversity.plain_text import words
from harness.training_rows import text_of
from harness.types import Case

COMES_OFTEN = 5  # expected outputs: from there a word is a part of the language that they speak
COPIED = 0.10  # of these outputs whose input holds the word too: then it is taken from the input
_NAME = re.compile(r"[^\W\d_][\w-]*")


def vocabulary_of(cases: Sequence[Case]) -> dict[str, list[str]]:
    """Read the names that training rows have to teach off the expected outputs of cases.

    Labels where outputs come from a short list; of JSON outputs the keys, the tools that are called,
    and operators: words that outputs share and that do not come from the input.
    """
    known = [case for case in cases if case.expected_output is not None]
    texts = [text_of(case.expected_output) for case in known]
    if are_labels(texts):
        return {"label": sorted(set(texts))}
    values = [_value(case.expected_output) for case in known]
    structured = [(c, v) for c, v in zip(known, values, strict=True) if v is not None]
    found = {
        "tool": {name for _, value in structured for name in _tools(value)},
        "key": _frequent(set(_keys(value)) for _, value in structured),
        "operator": _operators(structured),
    }
    found["operator"] -= {word.casefold() for word in found["key"] | found["tool"]}
    return {kind: sorted(names) for kind, names in found.items() if names}


def _value(expected: object) -> Any | None:
    if isinstance(expected, str):
        if expected.lstrip()[:1] not in ("{", "["):
            return None
        try:
            expected = json.loads(expected)
        except (ValueError, RecursionError):
            return None
    return expected if isinstance(expected, Mapping | list) else None


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        called = "name" in value and "arguments" in value
        for key, inner in value.items():
            if not called:
                yield str(key)
            yield from _keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _keys(inner)


def _tools(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and "arguments" in value:
            yield value["name"]
        for inner in value.values():
            yield from _tools(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _tools(inner)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    elif isinstance(value, str):
        yield value


def _operators(structured: Sequence[tuple[Case, Any]]) -> set[str]:
    said: Counter[str] = Counter()
    copied: Counter[str] = Counter()
    for case, value in structured:
        own = {word.casefold() for text in _leaves(value) for word in _NAME.findall(text)}
        said.update(own)
        copied.update(own & set(words(text_of(case.input))))
    return {w for w, n in said.items() if n >= COMES_OFTEN and copied[w] <= COPIED * n}


def _frequent(sets: Iterator[set[str]]) -> set[str]:
    counts = Counter(name for names in sets for name in names)
    return {name for name, count in counts.items() if count >= COMES_OFTEN}
