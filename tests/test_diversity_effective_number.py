"""The effective number counts different things, whatever the number of rows."""

import numpy as np
import pytest
from diversity_sets import random_unit
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.diversity.effective_number import (
    effective_number,
    mean_cosine,
    vendi,
    vendi_of_similarities,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_it_equals_the_published_examples():
    # The README of vertaix/Vendi-Score: 2.1573 for the matrix, 2.9999 for three pairs of numbers.
    assert vendi_of_similarities([[1, 0.9, 0], [0.9, 1, 0], [0, 0, 1]]) == pytest.approx(
        2.1573, abs=5e-5
    )
    samples = np.array([0, 0, 10, 10, 20, 20])
    kernel = np.exp(-np.abs(samples[:, None] - samples[None, :]))
    assert vendi_of_similarities(kernel) == pytest.approx(2.9999, abs=1e-4)


def test_the_dual_form_equals_the_primal_one(rng):
    unit = random_unit(rng, 300, 64)
    assert vendi(unit) == pytest.approx(vendi_of_similarities(unit @ unit.T), rel=1e-4)
    assert vendi(unit[:20]) == pytest.approx(
        vendi_of_similarities(unit[:20] @ unit[:20].T), rel=1e-4
    )


@pytest.mark.parametrize(("q", "expected"), [(0.5, 4), (1, 4), (2, 4), (np.inf, 4)])
def test_rows_at_right_angles_count_one_each_at_every_order(q, expected):
    assert vendi(np.eye(4), q=q) == pytest.approx(expected)


def test_low_orders_count_rare_rows_more():
    rows = np.vstack([np.tile([1, 0, 0], (98, 1)), [[0, 1, 0], [0, 0, 1]]])
    assert vendi(rows, q=0.1) > vendi(rows, q=1) > vendi(rows, q=np.inf)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(1, 30), st.integers(1, 8)),
        elements=st.floats(-5, 5, width=32),
    )
)
def test_it_lies_between_one_and_the_smaller_side(vectors):
    score = vendi(vectors)
    filled = int((np.abs(vectors) > 0).any(axis=1).sum())
    if not filled:
        assert score is None
    else:
        assert 1 - 1e-6 <= score <= min(filled, vectors.shape[1]) + 1e-3


def test_a_row_of_zeros_beside_it_leaves_a_row_one():
    assert vendi(np.array([[0.125, 4], [0, 0]])) == pytest.approx(1, abs=1e-6)
    assert vendi(np.array([[0.9996, 0], [0, 0.9996]])) == pytest.approx(2, abs=1e-6)


def test_copies_of_every_row_change_nothing(rng):
    unit = random_unit(rng, 40, 16)
    assert vendi(np.vstack([unit] * 5)) == pytest.approx(vendi(unit), rel=1e-5)


def test_the_rarefied_number_does_not_grow_with_the_set(rng):
    centres = random_unit(rng, 100, 64)

    def draw(n):
        return centres[rng.integers(100, size=n)] + 0.3 * random_unit(rng, n, 64)

    small, large = draw(400), draw(8000)
    assert vendi(large) > 1.05 * vendi(small[:200])
    few = effective_number(small, rng=rng).value
    many = effective_number(large, rng=rng).value
    assert many == pytest.approx(few, rel=0.03)


def test_duplicates_lower_it_where_the_mean_cosine_hardly_moves(rng):
    unit = random_unit(rng, 1000, 256)
    doubled = np.vstack([unit[:500], np.repeat(unit[500:510], 50, axis=0)])
    before, after = (effective_number(x, rng=rng).value for x in (unit, doubled))
    assert after < 0.7 * before
    assert abs(mean_cosine(doubled) - mean_cosine(unit)) < 0.03


def test_its_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    centres = random_unit(rng, 60, 32)
    shares = rng.dirichlet(np.full(60, 0.5))

    def draw(n):
        return centres[rng.choice(60, n, p=shares)] + 0.4 * random_unit(rng, n, 32)

    truth = np.mean([vendi(draw(100)) for _ in range(300)])
    held = 0
    for _ in range(60):
        found = effective_number(draw(400), rng=rng, sample=100, n_resamples=8)
        held += found.low <= truth <= found.high
    assert held >= 51  # 95 % of 60 is 57; fewer than 51 comes in less than 1 % of runs


def test_no_rows_have_no_effective_number(rng):
    assert vendi(np.zeros((0, 8))) is None
    assert mean_cosine(np.zeros((0, 8))) is None
    found = effective_number([], rng=rng)
    assert (found.value, found.low, found.n) == (None, None, 0)


def test_one_row_and_identical_rows_are_one_thing(rng):
    assert effective_number([[3.0, 4.0]], rng=rng).value == pytest.approx(1)
    same = np.tile(random_unit(rng, 1, 16), (500, 1))
    found = effective_number(same, rng=rng)
    assert (found.value, found.low, found.high) == pytest.approx((1, 1, 1), abs=1e-4)
    assert mean_cosine(same) == pytest.approx(1, abs=1e-5)


def test_rows_of_zeros_are_left_out(rng):
    unit = random_unit(rng, 50, 16)
    with_blanks = np.vstack([unit, np.zeros((30, 16))])
    assert vendi(with_blanks) == pytest.approx(vendi(unit), rel=1e-6)
    assert effective_number(with_blanks, rng=rng).n == 50
    assert vendi(np.zeros((5, 4))) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_broken_encoder_is_named_by_its_row(bad):
    with pytest.raises(ValueError, match="row 1 holds NaN or infinity"):
        vendi([[1.0, 0.0], [bad, 0.0]])


def test_vectors_of_any_length_are_made_unit_rows():
    assert vendi([[1e30, 0], [0, 1e-20]]) == pytest.approx(2)


def test_a_matrix_without_ones_on_its_diagonal_is_refused():
    with pytest.raises(ValueError, match="ones on its diagonal"):
        vendi_of_similarities([[2, 0], [0, 2]])
