"""What is said of an open claim: how many further cases, or that those that were run do not settle it."""

import numpy as np
import pytest
from evidence_documents import Document, first_afternoon

from harness.escalation import evidence_from_json, judge
from harness.escalation.claims import claims_of
from harness.escalation.further_cases import more_for_rate, wants_cases
from harness.gates import Rule, Subject, judge_at_least, judge_no_worse_than
from harness.statistics import Outcomes, rate_mde

SUBJECT = Subject(suite="support", metric="policy", system="few-shot")
CAP = Rule().cap


def answers(passed: int, missed: int, **more) -> Outcomes:
    """One epoch of so many cases, passes first."""
    ids = [f"c{i}" for i in range(passed + missed)]
    return Outcomes.from_counts(ids, [1] * passed + [0] * missed, **more)


def at_least(data: Outcomes, floor: float):
    return judge_at_least(data, floor, subject=SUBJECT, rng=np.random.default_rng(1))


def no_worse(after: list[int], before: list[int], **more):
    ids = [f"c{i}" for i in range(len(after))]
    sides = (Outcomes.from_counts(ids, side, **more) for side in (after, before))
    rule = Rule(margin=0.001)
    return judge_no_worse_than(*sides, subject=SUBJECT, rule=rule, rng=np.random.default_rng(1))


class TestAGateOfMoreCasesThanTheCap:
    """A suite of 5,000 cases was run, whatever `max_cases` would ask for: what it says is of those."""

    @pytest.mark.parametrize("groups", [None, [i // 2 for i in range(5000)]])
    def test_a_floor_is_not_settled_by_these_cases(self, groups):
        found = at_least(answers(3975, 1025, groups=groups), 0.8)
        assert (found.state, found.further_cases) == ("undecided", None)
        assert "; these cases do not settle it; " in found.reason
        assert f"{CAP} cases" not in found.reason

    @pytest.mark.parametrize("groups", [None, [i // 2 for i in range(5000)]])
    def test_nor_is_a_difference(self, groups):
        found = no_worse([1] * 20 + [0] * 25 + [1] * 4955, [0] * 20 + [1] * 4980, groups=groups)
        assert (found.state, found.further_cases) == ("undecided", None)
        assert "; these cases do not settle it; " in found.reason

    def test_below_the_cap_it_is_said_of_the_cap(self):
        found = at_least(answers(399, 101), 0.8)
        assert f"; {CAP} cases would most likely not settle it; " in found.reason


def test_so_few_cases_that_misses_alone_could_not_break_a_floor_are_said_to_show_nothing():
    found = at_least(answers(0, 1), 0.5)
    assert (found.state, found.mde) == ("undecided", None)
    assert "points is the least" not in found.reason


def claims(document: Document):
    return claims_of(evidence_from_json(document))


def outcomes(document: Document, **more: float) -> Document:
    document["systems"][0]["outcomes"] |= more
    return document


class TestAVerdict:
    def test_of_more_cases_than_the_cap_speaks_of_those(self):
        found = judge(evidence_from_json(first_afternoon(4025, 5000)))
        further = found.would_change["further_cases"]["zero-shot"]
        assert (further["median"], further["open_at_cap"], further["cap"]) == (None, 1, 5000)
        seen = f"these 5,000 cases can see {100 * rate_mde(5000, 0.8):.1f} points or more"
        assert seen in further["note"]
        assert seen in found.next_step["do"]

    def test_below_the_cap_speaks_of_the_cap_and_of_what_its_cases_are_worth(self):
        document = outcomes(first_afternoon(96), n_effective=60.0, clusters=30)
        note = judge(evidence_from_json(document)).would_change["further_cases"]["zero-shot"][
            "note"
        ]
        assert f"; {CAP} cases can see {100 * rate_mde(CAP / 2, 0.8):.1f} points or more" in note

    def test_missing_outputs_that_alone_keep_a_claim_open_are_no_want_of_cases(self):
        found = claims(outcomes(first_afternoon(300, 310), missing=90))
        assert found.prompt.claim.state == "open"
        assert not wants_cases(found, found.prompt.system.outcomes)

    def test_a_claim_that_is_open_without_them_too_wants_cases(self):
        for document in (first_afternoon(92), outcomes(first_afternoon(92), missing=5)):
            found = claims(document)
            assert found.prompt.claim.state == "open"
            assert wants_cases(found, found.prompt.system.outcomes)

    def test_missing_outputs_make_more_cases_needed(self):
        few = claims(first_afternoon(108, 130))
        held_back = claims(outcomes(first_afternoon(108, 130), missing=5))
        with_all = more_for_rate(few, few.prompt.system.outcomes).median
        assert more_for_rate(held_back, held_back.prompt.system.outcomes).median > with_all
