"""What a pilot says of more rows, and what it may not say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.forecast import Point, fit

SIZES = (50, 100, 200, 400, 800)


def pilot(curve, *, cases=400, seeds=3):
    """Points without noise."""
    return [
        Point(rows=n, passed=(curve(n) * cases,) * (seeds if n == SIZES[-1] else 1), cases=cases)
        for n in SIZES
    ]


def saturated(n):
    return 0.9 - 0.5 * np.exp(-n / 80)


def rising(n):
    return 0.4 + 0.08 * np.log2(n / 50)


def test_a_saturated_curve_is_expected_to_stay():
    posterior = fit(pilot(saturated))
    expected = posterior.predict(1600)
    assert expected.median == pytest.approx(0.9, abs=0.02)
    assert posterior.reaches(0.85, 1600) > 0.9
    assert posterior.reaches(0.97, 1600) < 0.1


def test_a_rising_curve_is_expected_to_rise_with_more_doubt_further_out():
    posterior = fit(pilot(rising))
    widths = [(f := posterior.predict(n)).high - f.low for n in (800, 1600, 3200)]
    medians = [posterior.predict(n).median for n in (800, 1600, 3200)]
    assert medians == sorted(medians)
    assert widths == sorted(widths)
    assert posterior.rows_to_reach(0.72) is not None
    assert posterior.rows_to_reach(0.99) is None


@pytest.mark.parametrize("takeoff", [120, 160, 200, 240, 300, 360, 430, 520])
def test_a_curve_is_followed_wherever_it_takes_off(takeoff):
    def steep(n):
        return 0.88 / (1 + (takeoff / n) ** 3.5)

    sizes = (40, 80, 160, 320, 754)
    points = [Point(rows=n, passed=(steep(n) * 166,), cases=166) for n in sizes]
    expected = fit(points).predict(754)
    assert expected.median == pytest.approx(steep(754), abs=0.05)
    assert expected.low < steep(754) < expected.high


def test_nothing_is_said_beyond_four_times_the_largest_size():
    posterior = fit(pilot(saturated))
    posterior.predict(3200)
    with pytest.raises(ValueError, match="no claim is made beyond 4 times"):
        posterior.predict(3201)
    with pytest.raises(ValueError, match="nothing is known"):
        posterior.reaches(0.8, 40)


def test_more_seeds_and_more_cases_make_it_surer():
    wide = fit(pilot(saturated, cases=100, seeds=1)).predict(1600)
    narrow = fit(pilot(saturated, cases=800, seeds=5)).predict(1600)
    assert narrow.high - narrow.low < wide.high - wide.low


def test_seeds_that_disagree_make_it_less_sure():
    calm, noisy = pilot(saturated), pilot(saturated)
    noisy[-1] = Point(rows=800, passed=(320, 360, 400), cases=400)
    calm, noisy = fit(calm).predict(1600), fit(noisy).predict(1600)
    assert noisy.high - noisy.low > calm.high - calm.low


def test_a_curve_from_nothing_is_within_the_grid():
    posterior = fit(
        [
            Point(rows=n, passed=(k,), cases=300)
            for n, k in ((50, 33), (100, 126), (200, 210), (400, 249))
        ]
    )
    assert 0.8 < posterior.predict(800).median < 0.97


def test_draws_agree_with_the_interval():
    posterior = fit(pilot(rising))
    draws = posterior.sample(1600, 20_000, rng=np.random.default_rng(1))
    expected = posterior.predict(1600)
    assert np.quantile(draws, [0.1, 0.5, 0.9]) == pytest.approx(
        [expected.low, expected.median, expected.high], abs=0.006
    )
    assert (draws >= 0.75).mean() == pytest.approx(posterior.reaches(0.75, 1600), abs=0.02)


def test_sizes_must_grow():
    with pytest.raises(ValueError, match="at least two sizes"):
        fit([Point(rows=50, passed=(1,), cases=2)])
    with pytest.raises(ValueError, match="each larger than the last"):
        fit([Point(rows=50, passed=(1,), cases=2), Point(rows=50, passed=(1,), cases=2)])


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=4, max_size=4))
def test_any_pilot_gives_ordered_limits_and_probabilities(passed):
    points = [Point(rows=50 * 2**i, passed=(float(k),), cases=60) for i, k in enumerate(passed)]
    posterior = fit(points)
    expected = posterior.predict(800)
    assert 0 <= expected.low <= expected.median <= expected.high <= 1
    assert 1 >= posterior.reaches(0.2, 800) >= posterior.reaches(0.8, 800) >= 0
