"""Tickets: is the desk that the answer names the right one?"""

import pytest

from harness.assertions import one_of

pytestmark = pytest.mark.suite(
    cases="routing.jsonl", systems=["routing-classical", "routing-zero-shot", "routing-few-shot"]
)

DESKS = [
    "puncture call-out",
    "stolen bicycle",
    "deposit payback",
    "handover slot",
    "battery swap",
    "app sign-in",
    "plan pause",
    "crash report",
]


@pytest.mark.gate(at_least=0.60)
def test_right_label(case, output):
    assert output.text.strip() == case.expected_output


@pytest.mark.gate(at_least=0.90)
def test_known_label(output):
    one_of(output.text.strip(), DESKS)
