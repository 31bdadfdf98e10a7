"""The embedded model has seen nothing of the demo company: no case, no fact in its words, no label."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXTS = 4_000
RUN = 8  # words in a row that two texts written apart do not share
GREETING = "to whom it may concern"  # one formula, counted as one word


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower().replace(GREETING, "greeting"))


def runs(text: str, size: int = RUN) -> Iterator[tuple[str, ...]]:
    found = words(text)
    return (tuple(found[i : i + size]) for i in range(len(found) - size + 1))


def cases_of(suite: str) -> list[dict]:
    text = (ROOT / "evals" / f"{suite}.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture(scope="module")
def training() -> list[str]:
    sys.path.insert(0, str(ROOT / "fixtures"))
    try:
        from training.mixture import training_texts

        return list(training_texts(seed=7, n=TEXTS))
    finally:
        sys.path.remove(str(ROOT / "fixtures"))


@pytest.fixture(scope="module")
def seen(training: list[str]) -> set[tuple[str, ...]]:
    return {run for text in training for run in runs(text)}


@pytest.fixture(scope="module")
def written() -> set[tuple[str, ...]]:
    """Runs of every line that handbooks and queues hold, drawn or not."""
    folders = [ROOT / "fixtures" / "training" / name for name in ("handbooks", "queues")]
    lines = [s for f in folders for p in f.glob("*.txt") for s in p.read_text("utf-8").split("\n")]
    assert len(lines) > 10_000
    return {run for line in lines for run in runs(line)}


@pytest.mark.parametrize("suite", ["support", "query", "routing", "safety"])
def test_no_case_is_in_what_was_written_for_training(written, suite) -> None:
    cases = cases_of(suite)
    assert [
        case["id"] for case in cases if any(r in written for r in runs(str(case["input"])))
    ] == []


def test_no_sentence_of_the_handbook_is_in_what_was_written_for_training(written) -> None:
    pages = sorted((ROOT / "fixtures" / "handbook").glob("*.md"))
    shared = [(p.name, r) for p in pages for r in runs(p.read_text("utf-8")) if r in written]
    assert shared == []


@pytest.mark.parametrize("suite", ["support", "query", "routing", "safety"])
def test_no_case_is_in_the_training_data(seen, suite) -> None:
    cases = cases_of(suite)
    shared = [case["id"] for case in cases if any(r in seen for r in runs(str(case["input"])))]
    assert shared == []


def test_no_sentence_of_the_handbook_is_in_the_training_data(seen) -> None:
    pages = sorted((ROOT / "fixtures" / "handbook").glob("*.md"))
    assert len(pages) >= 10
    shared = [(p.name, r) for p in pages for r in runs(p.read_text("utf-8")) if r in seen]
    assert shared == []


def test_no_label_of_the_demo_is_in_the_training_data(training) -> None:
    cases = cases_of("routing")
    labels = {case["expected_output"] for case in cases}
    assert len(labels) >= 6
    assert [label for label in labels for text in training if label in text.lower()] == []


def test_the_query_language_is_not_in_the_training_data(training) -> None:
    cases = cases_of("query")
    keys = {key for case in cases for key in case["expected_output"]}
    assert len(keys) >= 3
    marks = [f'"{key}":' for key in keys]
    assert [text for text in training if sum(mark in text for mark in marks) >= 2] == []


def test_no_prompt_of_the_demo_is_in_the_training_data(seen) -> None:
    prompts = sorted((ROOT / "evals" / "prompts").glob("*.j2"))
    assert prompts
    shared = [(p.name, r) for p in prompts for r in runs(p.read_text("utf-8")) if r in seen]
    assert shared == []
