"""What a suite can see, and how many more cases would settle a claim."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.statistics import (
    FurtherCases,
    below_pvalue,
    further_cases_for_mean,
    further_cases_for_pairs,
    further_cases_for_rate,
    mcnemar,
    pair_mde,
    pairs_needed,
    rate_mde,
)
from harness.statistics.power import POWER


@pytest.mark.parametrize(
    ("difference", "flips", "alpha", "needed"),
    [
        (0.05, 0.06, 0.05, 202), (0.05, 0.10, 0.05, 339), (0.05, 0.20, 0.05, 682),
        (0.03, 0.06, 0.05, 568), (0.03, 0.10, 0.05, 948), (0.03, 0.20, 0.05, 1900),
        (0.05, 0.06, 0.05 / 8, 338), (0.05, 0.10, 0.05 / 8, 567), (0.05, 0.20, 0.05 / 8, 1138),
    ],
)  # fmt: skip
def test_cases_needed_are_those_of_the_design(difference, flips, alpha, needed):
    assert pairs_needed(difference, flips, alpha=alpha) == pytest.approx(needed, abs=1)


@pytest.mark.parametrize(("n", "points"), [(100, 9.1), (200, 6.5), (400, 4.6), (1000, 2.9)])
def test_minimum_detectable_effects_are_those_of_the_design(n, points):
    assert 100 * pair_mde(n, 0.10) == pytest.approx(points, abs=0.05)


def test_the_detectable_effect_is_found_nine_times_in_ten():
    effect = pair_mde(400, 0.1)
    lost, gained = (0.1 + effect) / 2, (0.1 - effect) / 2
    draws = np.random.default_rng(1).multinomial(400, [gained, lost, 0.9], size=4000)
    found = mcnemar(draws[:, 0], draws[:, 1], alternative="less", mid=True) <= 0.05
    assert found.mean() == pytest.approx(POWER, abs=0.02)


def test_few_cases_can_only_show_many_flips():
    assert pair_mde(20, 0.02) > 0.2
    assert pair_mde(4, 0.1) is None  # four flips one way are chance at .05: 1 in 16
    assert pair_mde(5, 0.1) > 0.8
    assert pair_mde(0, 0.1) is None


def test_a_floor_has_a_shortfall_that_can_be_seen():
    shortfall = rate_mde(400, 0.8)
    passed = np.random.default_rng(2).binomial(400, 0.8 - shortfall, 4000)
    limit = max(k for k in range(401) if below_pvalue(k, 400, 0.8) <= 0.05)
    assert np.mean(passed <= limit) == pytest.approx(POWER, abs=0.03)
    assert rate_mde(0, 0.8) is None
    assert rate_mde(10, 0.0) is None


@pytest.mark.parametrize(("n", "floor"), [(1, 0.5), (3, 0.5), (4, 0.5), (2, 0.3), (1.2, 0.8)])
def test_a_floor_that_even_misses_alone_could_not_break_has_none(n, floor):
    assert (1 - floor) ** n > 0.05
    assert rate_mde(n, floor) is None


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 2000), st.floats(0.01, 1.0), st.sampled_from([0.05, 0.01, 1e-4]))
def test_a_shortfall_that_can_be_seen_is_one_that_misses_alone_would_show(n, floor, alpha):
    shortfall = rate_mde(n, floor, alpha=alpha)
    assert (shortfall is None) == (below_pvalue(0, n, floor) > alpha)
    assert shortfall is None or 0 < shortfall <= floor


def test_a_shortfall_is_at_most_the_floor():
    """26 misses of 26 break a floor of .3 at .0001; the normal approximation asks for 33."""
    assert rate_mde(26, 0.3, alpha=1e-4) == 0.3


def test_an_effect_larger_than_the_flips_is_refused():
    with pytest.raises(ValueError, match="flip_rate"):
        pairs_needed(0.2, 0.1)


def test_a_clear_shortfall_needs_few_further_cases():
    found = further_cases_for_rate(38, 50, 0.9, rng=np.random.default_rng(3))
    assert 0 < found.median < 60
    assert found.open_at_cap < 0.05


def test_a_rate_on_its_floor_is_not_settled_by_any_cap():
    found = further_cases_for_rate(170, 200, 0.85, rng=np.random.default_rng(3))
    assert found.median is None
    assert found.open_at_cap > 0.5


def test_at_the_cap_the_one_look_is_at_what_was_run():
    rng = np.random.default_rng(3)
    closed = further_cases_for_rate(170, 200, 0.8, rng=rng, cap=200)  # P(170 or more) = .043
    still = further_cases_for_rate(168, 200, 0.8, rng=rng, cap=200)
    assert (closed.median, closed.open_at_cap, closed.exhausted) == (0, 0, True)
    assert (still.median, still.open_at_cap, still.exhausted) == (None, 1, True)


def test_the_cap_is_no_fewer_than_were_run():
    how = {"rng": np.random.default_rng(3), "cap": 800}
    open_still = FurtherCases.none_left(5000)
    assert (open_still.median, open_still.open_at_cap, open_still.cap) == (None, 1, 5000)
    assert further_cases_for_rate(3975, 5000, 0.8, **how) == open_still
    assert further_cases_for_pairs((40, 41, 4919), **how) == open_still
    assert further_cases_for_mean([1.0, -1.0] * 2500, **how) == open_still


def test_what_is_settled_beyond_the_cap_needs_no_more():
    how = {"rng": np.random.default_rng(3), "cap": 800}
    closed = FurtherCases(median=0, open_at_cap=0, cap=5000, n=5000)
    assert further_cases_for_rate(3000, 5000, 0.8, **how) == closed
    assert further_cases_for_pairs((40, 400, 4560), **how) == closed
    assert further_cases_for_mean([0.1, -0.05] * 2500, **how) == closed


def test_missing_outputs_count_at_their_worst_in_every_continuation():
    """300 of 310 are above .8 beyond doubt; with 90 without a score they are 300 of 400 at worst."""
    rng = np.random.default_rng(3)
    assert further_cases_for_rate(300, 310, 0.8, rng=rng, cap=310).median == 0
    found = further_cases_for_rate(300, 310, 0.8, missing=90, rng=rng)
    assert 150 < found.median < 300


def test_the_same_seed_gives_the_same_answer():
    one, two = (
        further_cases_for_pairs((8, 14, 178), (0, -0.05), rng=np.random.default_rng(4))
        for _ in range(2)
    )
    assert one == two


def test_a_margin_settles_what_a_tie_cannot():
    rng = np.random.default_rng(5)
    counts = (6, 6, 108)
    assert further_cases_for_pairs(counts, rng=rng).median is None
    assert further_cases_for_pairs(counts, (0, -0.05), rng=rng).median < 400


def test_more_cases_are_simulated_from_no_cases_at_all():
    found = further_cases_for_rate(0, 0, 0.8, rng=np.random.default_rng(6))
    assert found.median is not None


def test_fractional_differences_are_settled_about_when_pairs_would_be():
    """Seven cases gained and eight lost of 100, by either simulation."""
    rng = np.random.default_rng(0)
    pairs = further_cases_for_pairs((7, 8, 85), (0.0, -0.05), rng=rng)
    differences = [1.0] * 7 + [-1.0] * 8 + [0.0] * 85
    mean = further_cases_for_mean(differences, (0.0, -0.05), rng=rng)
    assert pairs.median is not None
    assert mean.median is not None
    assert 0.6 < mean.median / pairs.median < 1.7


@pytest.mark.parametrize("differences", [[], [0.2]])
def test_one_difference_says_nothing_of_more(differences):
    found = further_cases_for_mean(differences, rng=np.random.default_rng(0))
    assert (found.median, found.open_at_cap) == (None, 1.0)


def test_differences_that_are_all_alike_are_settled_at_once():
    found = further_cases_for_mean([0.0] * 50, (0.0, -0.05), rng=np.random.default_rng(0))
    assert found.median is not None
    assert found.median <= 20
