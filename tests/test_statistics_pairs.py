"""Two systems on the same cases, from counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import binom, norm
from statsmodels.stats.contingency_tables import mcnemar as reference_mcnemar

from harness.statistics import bonett_price, mcnemar, tango, tango_pvalue, tango_z

small = st.integers(0, 60)


@pytest.mark.parametrize(("gained", "lost"), [(80, 56), (3, 9), (0, 5), (7, 7), (400, 300)])
def test_exact_mcnemar_is_that_of_statsmodels(gained, lost):
    expected = reference_mcnemar([[100, lost], [gained, 50]], exact=True).pvalue
    assert float(mcnemar(gained, lost)) == pytest.approx(expected)


def test_no_flip_is_no_evidence():
    for alternative in ("two-sided", "greater", "less"):
        for mid in (False, True):
            assert float(mcnemar(0, 0, alternative=alternative, mid=mid)) == 1


@settings(deadline=None, max_examples=50)
@given(small, small)
def test_mid_p_takes_half_the_probability_of_what_was_observed(gained, lost):
    flips = gained + lost
    expected = binom.sf(gained, flips, 0.5) + 0.5 * binom.pmf(gained, flips, 0.5) if flips else 1
    ours = float(mcnemar(gained, lost, alternative="greater", mid=True))
    assert ours == pytest.approx(expected, abs=1e-12)


@settings(deadline=None, max_examples=50)
@given(small, small)
def test_swapping_the_systems_swaps_the_sides(gained, lost):
    assert mcnemar(gained, lost) == pytest.approx(mcnemar(lost, gained))
    up = mcnemar(gained, lost, alternative="greater")
    assert up == pytest.approx(mcnemar(lost, gained, alternative="less"))


def test_many_counts_are_tested_at_once():
    many = mcnemar(np.array([80, 3]), np.array([56, 9]))
    assert many.tolist() == pytest.approx([float(mcnemar(80, 56)), float(mcnemar(3, 9))])


def test_a_million_flips_do_not_overflow():
    assert float(mcnemar(500_000, 500_000)) == 1
    assert float(mcnemar(501_000, 499_000)) == pytest.approx(0.0455, abs=5e-4)


def test_tango_at_zero_is_mcnemars_z():
    assert float(tango_z(30, 18, 200, 0.0)) == pytest.approx(12 / np.sqrt(48))


@pytest.mark.parametrize("reference", [-0.05, 0.05, 0.3])
@pytest.mark.parametrize(("gained", "lost"), [(30, 18), (0, 12), (4, 0), (0, 0)])
def test_tango_uses_the_restricted_maximum_likelihood(gained, lost, reference):
    n = 200

    def unlikelihood(q):  # q: chance of a loss when the difference is the reference
        cells = np.array([q + reference, q, 1 - 2 * q - reference])
        counts = np.array([gained, lost, n - gained - lost])
        return -np.sum(counts * np.log(np.maximum(cells, 1e-300)))

    bounds = (max(0.0, -reference), (1 - reference) / 2)
    q = minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    variance = (2 * q + reference - reference**2) / n
    expected = ((gained - lost) / n - reference) / np.sqrt(variance)
    assert float(tango_z(gained, lost, n, reference)) == pytest.approx(expected, rel=1e-3)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 100))
def test_tangos_interval_is_what_its_test_does_not_reject(gained, lost, tied):
    n = gained + lost + tied
    if n == 0:
        return
    low, high = tango(gained, lost, n)
    assert -1 <= low <= (gained - lost) / n <= high <= 1
    for limit, side in ((low, "greater"), (high, "less")):
        if -0.999 < limit < 0.999:
            pvalue = tango_pvalue(gained, lost, n, reference=limit, alternative=side)
            assert float(pvalue) == pytest.approx(0.025, abs=1e-4)


def test_published_example_of_21_children():
    """Airway hyper-responsiveness before and after: 7 and 1 changed (Fagerland et al. 2013, 2014)."""
    assert float(mcnemar(7, 1)) == pytest.approx(0.070, abs=5e-4)
    assert float(mcnemar(7, 1, mid=True)) == pytest.approx(0.039, abs=5e-4)
    assert tango(7, 1, 21) == pytest.approx((0.026, 0.517), abs=5e-4)
    assert bonett_price(7, 1, 21) == pytest.approx((0.013, 0.508), abs=5e-4)


def test_bonett_price_by_hand():
    """(c - b) / (n + 2) +- z sqrt(...), n = 98: q1 = 11/100, q2 = 21/100."""
    half = norm.ppf(0.975) * np.sqrt((0.11 + 0.21 - 0.1**2) / 100)
    assert bonett_price(20, 10, 98) == pytest.approx((0.1 - half, 0.1 + half))


def test_paired_intervals_cover():
    rng = np.random.default_rng(3)
    gained, lost, _ = rng.multinomial(150, [0.09, 0.04, 0.87], size=2000).T
    limits = [bonett_price(c, b, 150) for c, b in zip(gained, lost, strict=True)]
    assert 0.935 <= np.mean([low <= 0.05 <= high for low, high in limits]) <= 0.97
    held = np.abs(tango_z(gained, lost, 150, 0.05)) <= norm.ppf(0.975)
    assert 0.935 <= held.mean() <= 0.97
