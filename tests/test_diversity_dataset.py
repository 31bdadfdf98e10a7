"""A set of training rows in tests: measures compare as numbers and know their intervals."""

import math

import pytest
from diversity_sets import HashingEncoder, Topics

from harness.diversity.dataset import Dataset
from harness.diversity.measure import Measure
from harness.types import Case, Estimate


@pytest.fixture
def topics():
    return Topics()


@pytest.fixture
def dataset(topics):
    cases = [
        Case(id=f"c{i}", input=topics.text(i % 8), expected_output=topics.labels[i % 8])
        for i in range(80)
    ]
    rows = topics.rows(300)
    return Dataset(rows, encoder=HashingEncoder(), eval_suites={"routing": cases})


def estimate(value, low, high):
    return Estimate(
        value=value, low=low, high=high, confidence_level=0.95, n=1, n_effective=1, method="m"
    )


def test_a_suite_reads_like_the_others(dataset, topics):
    assert dataset.size == 300
    assert dataset.effective_number >= 20
    assert dataset.near_duplicate_rate <= 0.05
    assert dataset.mean_cosine < 0.5
    assert not dataset.leaked
    assert dataset.coverage_of([topics.text(i % 8) for i in range(50)]) >= 0.7
    assert dataset.drift_from([topics.text(i % 8) for i in range(50)]) < 0.7
    assert not dataset.ready
    assert "0 of 50 rows" in dataset.reasons[0]


def test_measures_agree_with_the_report(dataset):
    assert dataset.near_duplicate_rate == dataset.report.near_duplicate_rate.value
    assert dataset.leaked == dataset.report.leaked
    assert dataset.effective_number == pytest.approx(
        dataset.report.effective_number.value, rel=0.05
    )


def test_leaks_are_found_from_a_test(topics):
    rows = topics.rows(20)
    cases = [Case(id="c", input=rows[4].input)]
    found = Dataset(rows, encoder=HashingEncoder(), eval_suites={"s": cases})
    assert found.leaked == (4,)
    assert [leak.row for leak in found.leaks_into(cases)] == [4]


@pytest.mark.parametrize(("floor", "state"), [(30, "passed"), (40, "undecided"), (60, "failed")])
def test_a_gate_fails_only_where_the_interval_says_so(floor, state):
    number = Measure(estimate(45.0, 35.0, 55.0))
    assert number.at_least(floor) == state
    mirrored = {"passed": "failed", "failed": "passed", "undecided": "undecided"}
    assert number.at_most(floor) == mirrored[state]


def test_an_assertion_that_fails_shows_the_interval():
    assert repr(Measure(estimate(45.0, 35.0, 55.0))) == "45 (35 to 55)"
    assert repr(Measure(estimate(45.0, None, None))) == "45"


def test_no_data_is_not_zero():
    empty = Dataset([], encoder=HashingEncoder())
    for measured in (empty.effective_number, empty.near_duplicate_rate, empty.coverage_of([])):
        assert math.isnan(measured)
        assert not measured >= 0
        assert not measured <= 1
        assert measured.at_least(0) == "not_judged"
        assert repr(measured) == "no data"
