"""The company's own data: is there variety in what is trained on, and in what systems answer?

Ordinary tests beside the suites, measured with the encoder of rung.yaml. `at_least` looks at the whole
interval of a number: a test fails where all of it lies below.
"""

import pytest

queries = pytest.mark.dataset("query/train.jsonl")
tickets = pytest.mark.dataset("routing/train.jsonl")
questions = pytest.mark.dataset("support/train.jsonl")


@queries
def test_queries_are_diverse(dataset):
    assert dataset.effective_number.at_least(24) == "passed"
    assert dataset.near_duplicate_rate <= 0.05


@tickets
def test_tickets_are_diverse(dataset):
    assert dataset.effective_number.at_least(35) == "passed"
    assert dataset.near_duplicate_rate <= 0.05


# Each fact is asked for in two or three wordings: nearly half of the rows are a near copy of another.
@questions
def test_questions_are_diverse(dataset):
    assert dataset.effective_number.at_least(32) == "passed"
    assert dataset.near_duplicate_rate <= 0.50


@queries
def test_queries_hold_no_case(dataset):
    assert not dataset.leaked


@tickets
def test_tickets_hold_no_case(dataset):
    assert not dataset.leaked


@questions
def test_questions_hold_no_case(dataset):
    assert not dataset.leaked


def test_answers_differ_from_case_to_case(outputs):
    from_handbook = outputs("support", "rag")
    assert from_handbook.effective_number.at_least(8) != "failed"
    assert from_handbook.self_bleu <= 0.92
    assert not from_handbook.compared_with(outputs("support", "few-shot")).collapsed
