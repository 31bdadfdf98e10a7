"""General skills that no tuning may cost: reading, copying, labels, formats."""

import pytest

# zero-shot is the base as it is; the tuned systems ask the same of the base with their adapter.
pytestmark = pytest.mark.suite(
    cases="retained.jsonl",
    systems=[
        "zero-shot",
        "retained-few-shot",
        "query-lora",
        "support-closed-book-lora",
        "rag-tuned",
    ],
)


def plain(text):
    return " ".join(text.split()).rstrip(".").casefold()


@pytest.mark.gate(at_least=0.50)
def test_keeps_the_skill(case, output):
    assert plain(output.text) == plain(case.expected_output)
