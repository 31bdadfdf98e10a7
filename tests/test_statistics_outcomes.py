"""What a metric said of a system, case by case: nothing is dropped."""

import math

import numpy as np
import pytest

from harness.errors import CaseError
from harness.statistics import Outcomes, rate
from harness.types import Score


def score(case_id, state, value=None, epoch=0):
    if value is None and state in ("passed", "missed"):
        value = float(state == "passed")
    return Score(case_id=case_id, epoch=epoch, metric="m", state=state, value=value)


def test_every_state_is_counted_for_its_case():
    states = ["passed", "missed", "unscored", "errored", "not_run"]
    outcomes = Outcomes.from_scores([score(f"c{i}", state) for i, state in enumerate(states)])
    assert outcomes.case_ids == ("c0", "c1", "c2", "c3", "c4")
    assert outcomes.scored.tolist() == [1, 1, 0, 0, 0]
    assert outcomes.missing.tolist() == [0, 0, 1, 1, 0]
    assert outcomes.not_run.tolist() == [0, 0, 0, 0, 1]


def test_a_case_without_any_score_was_not_run():
    outcomes = Outcomes.from_scores([score("a", "passed")], case_ids=["a", "b"])
    assert outcomes.not_run.tolist() == [0, 1]


def test_a_score_that_is_not_a_number_is_unscored():
    outcomes = Outcomes.from_scores([score("a", "passed", math.nan), score("b", "passed")])
    assert outcomes.unscored.tolist() == [1, 0]
    assert outcomes.estimate().n == 1


def test_a_second_score_for_an_epoch_is_an_error():
    with pytest.raises(CaseError, match="two scores for epoch 0"):
        Outcomes.from_scores([score("a", "passed"), score("a", "missed")])


def test_a_score_for_an_unknown_case_is_an_error():
    with pytest.raises(CaseError, match="'b'"):
        Outcomes.from_scores([score("b", "passed")], case_ids=["a"])


def test_a_case_id_occurs_once():
    with pytest.raises(CaseError, match="'a' occurs twice"):
        Outcomes.from_counts(["a", "a"], [1, 0])


def test_single_outcomes_are_estimated_as_a_rate():
    outcomes = Outcomes.from_counts([f"c{i}" for i in range(10)], [1] * 8 + [0] * 2)
    assert outcomes.single
    assert outcomes.estimate() == rate(8, 10)


def test_epochs_are_averaged_within_their_case():
    outcomes = Outcomes.from_counts(["a", "b", "c"], [5, 1, 0], [5, 5, 1])
    estimate = outcomes.estimate()
    assert estimate.value == pytest.approx(0.4)
    assert estimate.n == 3
    assert estimate.method == "wilson, by case"


def test_groups_reach_the_estimate():
    scores = [score(f"c{i}", "passed" if i % 3 else "missed") for i in range(12)]
    groups = {f"c{i}": i // 4 for i in range(12)}
    estimate = Outcomes.from_scores(scores, groups=groups).estimate()
    assert estimate.method == "wilson, clustered"


def test_graded_scores_are_estimated_as_a_mean():
    scores = [score("a", "passed", 0.8), score("b", "missed", 0.3), score("c", "unscored")]
    outcomes = Outcomes.from_scores(scores, graded=True)
    assert outcomes.estimate().value == pytest.approx(0.55)
    assert outcomes.estimate().kind == "mean"
    assert np.isnan(outcomes.fractions()[2])


def test_missing_outputs_may_be_counted_as_either_end():
    outcomes = Outcomes.from_scores(
        [score("a", "passed"), score("a", "errored", epoch=1), score("b", "unscored")]
    )
    assert outcomes.fractions(missing_as=0).tolist() == [0.5, 0.0]
    assert outcomes.fractions(missing_as=1).tolist() == [1.0, 1.0]


def test_no_scores_have_no_estimate():
    assert Outcomes.from_scores([]).estimate().value is None
    assert Outcomes.from_scores([score("a", "errored")]).estimate().value is None


def test_reliability_over_epochs_is_an_estimate_too():
    ids = [f"c{i}" for i in range(40)]
    outcomes = Outcomes.from_counts(ids, [5] * 20 + [2] * 10 + [0] * 10, 5)
    at, hat = outcomes.pass_at(2), outcomes.pass_hat(2, rng=np.random.default_rng(0))
    assert at.value == pytest.approx((20 + 10 * 0.7) / 40)
    assert hat.value == pytest.approx((20 + 10 * 0.1) / 40)
    assert hat.low < hat.value < hat.high
    assert (at.n, at.method) == (40, "pass@2, t")
    assert hat.method == "pass^2, BCa bootstrap"
    with pytest.raises(ValueError, match="at least that many"):
        outcomes.pass_hat(6)


def test_thirty_cases_that_passed_every_time_are_no_certainty():
    outcomes = Outcomes.from_counts([f"c{i}" for i in range(30)], [2] * 30, 2)
    hat = outcomes.pass_hat(2, rng=np.random.default_rng(0))
    assert hat.value == 1
    assert hat.low == pytest.approx(30 / (30 + 2.0452**2), abs=1e-4)  # Wilson on t with 29
    assert hat.method == "pass^2, wilson, by case"


def test_answers_that_only_repeat_themselves_make_a_rate_no_surer():
    ids = [f"c{i}" for i in range(200)]
    passed = np.array([i % 10 < 3 for i in range(200)])  # in each of 20 documents three of ten
    groups = [i // 10 for i in range(200)]
    once, often = (
        Outcomes.from_counts(ids, passed * k, k, groups=groups).estimate() for k in (1, 5)
    )
    assert (once.low, once.high) == (often.low, often.high)


def test_a_case_may_have_to_pass_in_every_epoch():
    scores = [
        Score(case_id=case, epoch=epoch, metric="m", state=state)
        for case, states in {
            "always": ("passed", "passed"),
            "once": ("passed", "missed"),
            "crashed": ("passed", "errored"),
            "crashed and missed": ("missed", "errored"),
        }.items()
        for epoch, state in enumerate(states)
    ]
    every = Outcomes.from_scores(scores).every_epoch()
    assert every.single
    assert every.passed.tolist() == [1, 0, 0, 0]
    assert every.missed.tolist() == [0, 1, 0, 1]
    assert every.errored.tolist() == [0, 0, 1, 0]
    assert every.estimate().value == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="graded"):
        Outcomes.from_scores(scores, graded=True).every_epoch()
