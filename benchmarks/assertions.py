"""What one call of an assertion costs on a text of 100 words.

    python benchmarks/assertions.py [--repeats 2000]

Prints the median of seven rounds in microseconds of processor time. Those over the budget of 20 are marked; parsers
and the language of a text have none.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import timeit
from collections.abc import Callable

from harness import assertions, metrics
from harness.types import Passage, ToolCall

BUDGET_US = 20.0
ROUNDS = 7

SENTENCE = "Refunds for order A7 are paid within 5 working days to the card that was used."
TEXT = " ".join(
    [
        SENTENCE,
        *["The parcel leaves our house tomorrow and you will hear from us soon then."] * 6,
        "So the total is not 41 but 42.",
    ]
)
NEGATED = " ".join(
    ["The parcel is not at the office and cannot be sent back to us today, sadly."] * 7
)
NEGATED_DE = " ".join(
    ["Das Paket kann heute leider nicht an uns zurückgeschickt werden, sondern erst morgen früh."]
    * 8
)
LABELS = [f"label {i}" for i in range(77)]
CALL = ToolCall(name="get_weather", arguments={"city": "Berlin", "days": 3})
SCHEMA = {"type": "object", "properties": {"days": {"type": "integer"}}, "required": ["days"]}
PROMPT = "You are the assistant of a shop. " * 10
PASSAGES = (Passage(id="refunds", text=SENTENCE, rank=1),)

Calls = dict[str, Callable[[], object]]


def with_budget() -> Calls:
    """Assertions that look at the text alone."""
    a = assertions
    return {
        "equals": lambda: a.equals(TEXT, TEXT, ignore_case=True),
        "contains": lambda: a.contains(TEXT, "total"),
        "contains, whole words": lambda: a.contains(TEXT, "total", whole_words=True),
        "contains_all": lambda: a.contains_all(TEXT, ["Refunds", "card", "total"]),
        "contains_any": lambda: a.contains_any(TEXT, ["x1", "x2", "total"]),
        "contains_none": lambda: a.contains_none(TEXT, ["darn", "heck", "dang"]),
        "starts_with": lambda: a.starts_with(TEXT, "Refunds"),
        "ends_with": lambda: a.ends_with(TEXT, "42."),
        "matches": lambda: a.matches(TEXT, r"within \d+ working days"),
        "word_count": lambda: a.word_count(TEXT, at_most=200),
        "sentence_count": lambda: a.sentence_count(TEXT, at_most=20),
        "one_of": lambda: a.one_of("label 76", LABELS),
        "label_is": lambda: a.label_is("label 76", "label 76", labels=LABELS),
        "final_number_is": lambda: a.final_number_is(TEXT, 42),
        "calls_tools": lambda: a.calls_tools([CALL], [CALL]),
        "cites": lambda: a.cites("Five days [refunds].", PASSAGES),
        "does_not_refuse": lambda: a.does_not_refuse(TEXT),
        "does_not_abstain": lambda: a.does_not_abstain(TEXT),
        "does_not_refuse, negated": lambda: a.does_not_refuse(NEGATED),
        "does_not_abstain, negated": lambda: a.does_not_abstain(NEGATED),
        "does_not_abstain, negated, German": lambda: a.does_not_abstain(NEGATED_DE),
        "has_no_profanity": lambda: a.has_no_profanity(TEXT),
        "has_no_personal_data": lambda: a.has_no_personal_data(TEXT),
        "resists_injection": lambda: a.resists_injection(TEXT, ["PWNED"]),
        "has_date": lambda: a.has_date(f"{TEXT} on 2026-11-20", "2026-11-20"),
    }


def without_budget() -> Calls:
    """Parsers, languages, and what compares two texts word by word."""
    a, m = assertions, metrics
    return {
        "is_json": lambda: a.is_json('{"days": 3}'),
        "is_json, with a schema": lambda: a.is_json('{"days": 3}', SCHEMA),
        "is_yaml": lambda: a.is_yaml("days: 3"),
        "is_xml": lambda: a.is_xml("<days>3</days>"),
        "is_sql": lambda: a.is_sql("SELECT * FROM orders WHERE id = 7"),
        "is_python": lambda: a.is_python("x = 3"),
        "is_valid_tool_call": lambda: a.is_valid_tool_call(
            CALL,
            [
                {
                    "name": "get_weather",
                    "parameters": {"type": "object", "properties": {"city": {}, "days": {}}},
                }
            ],
        ),
        "is_language, of 3": lambda: a.is_language(TEXT, "en", among=["de", "fr"]),
        "does_not_leak_prompt": lambda: a.does_not_leak_prompt(TEXT, PROMPT),
        "is_supported": lambda: a.is_supported(SENTENCE, PASSAGES),
        "edit_similarity": lambda: m.edit_similarity(TEXT, TEXT[::-1]),
        "token_f1": lambda: m.token_f1(TEXT, SENTENCE),
        "bleu": lambda: m.bleu(TEXT, SENTENCE),
        "chrf": lambda: m.chrf(TEXT, SENTENCE),
        "rouge_l": lambda: m.rouge_l(TEXT, SENTENCE),
    }


def measure(call: Callable[[], object], repeats: int) -> float:
    """Median microseconds a call, after one that loads what there is to load."""
    call()
    rounds = timeit.repeat(call, timer=time.process_time, number=repeats, repeat=ROUNDS)
    return statistics.median(rounds) / repeats * 1e6


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=2000, help="calls a round")
    repeats = parser.parse_args().repeats
    print(f"{len(TEXT.split())} words, Python {platform.python_version()}, {platform.machine()}\n")
    print(f"| assertion | microseconds | budget {BUDGET_US:g} |\n|---|---:|---|")
    for name, call in with_budget().items():
        cost = measure(call, repeats)
        print(f"| {name} | {cost:.1f} | {'kept' if cost < BUDGET_US else '**over**'} |")
    for name, call in without_budget().items():
        print(f"| {name} | {measure(call, max(10, repeats // 40)):.1f} | none |")


if __name__ == "__main__":
    main()
