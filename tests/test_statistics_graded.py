"""Means of graded scores and of paired differences."""

import math

import numpy as np
import pytest
from scipy.stats import bootstrap, permutation_test, t, ttest_1samp

from harness.statistics import mean, mean_pvalue, sign_flip_pvalue
from harness.statistics.graded import clustered_error, standard_error

RNG = np.random.default_rng(11)
SCORES = RNG.beta(4, 1.5, 80)
DIFFERENCES = RNG.normal(0.04, 0.15, 80)


def test_the_t_interval_is_that_of_scipy():
    expected = ttest_1samp(SCORES, 0).confidence_interval(0.95)
    estimate = mean(SCORES)
    assert (estimate.low, estimate.high) == pytest.approx((expected.low, expected.high))
    assert (estimate.value, estimate.n, estimate.kind) == (pytest.approx(SCORES.mean()), 80, "mean")


def test_the_bootstrap_interval_is_that_of_scipy():
    expected = bootstrap(
        (SCORES,), np.mean, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    ours = mean(SCORES, rng=np.random.default_rng(2), n_resamples=20_000)
    assert ours.method == "BCa bootstrap"
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=0.002)


def test_whole_clusters_are_drawn():
    groups = np.repeat(np.arange(40), 5)
    scores = np.repeat(RNG.random(40), 5)
    alone, together = mean(scores), mean(scores, groups, rng=np.random.default_rng(3))
    assert together.method == "BCa bootstrap by cluster"
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert together.n_effective == pytest.approx(40, rel=0.05)


def test_few_clusters_are_left_to_students_t():
    estimate = mean(SCORES[:20], rng=np.random.default_rng(0))
    assert estimate.method == "t"


@pytest.mark.parametrize("values", [[], [0.4]])
def test_no_case_or_one_has_no_interval(values):
    estimate = mean(values)
    assert (estimate.low, estimate.high) == (None, None)
    assert estimate.value == (values[0] if values else None)


def test_two_cases_have_a_wide_interval():
    estimate = mean([0.2, 0.8])
    assert estimate.low < -2
    assert estimate.high > 3


def test_one_cluster_has_no_interval():
    assert mean([0.1, 0.5, 0.9], ["a", "a", "a"]).low is None


def test_one_large_cluster_and_a_few_cases_have_no_interval_either():
    groups = np.concatenate([np.zeros(500, dtype=int), np.arange(1, 6)])
    values = np.linspace(0, 1, 505)
    assert mean(values, groups).low is None
    assert standard_error(values, groups) == (None, 6)
    assert mean_pvalue(values, groups, reference=2.0, below=True) == 1


def test_clusters_of_unequal_size_have_the_error_and_the_t_of_their_effective_number():
    """Cases (.2 .4) and (.9) and (.5 .7 .9): without each of them in turn, .75, .54 and .5."""
    values, groups = np.array([0.2, 0.4, 0.9, 0.5, 0.7, 0.9]), [0, 0, 1, 2, 2, 2]
    found = clustered_error(values, groups)
    left_out = np.array([3.0 / 4, 2.7 / 5, 1.5 / 3])
    assert found.value == pytest.approx(math.sqrt(2 / 3 * np.square(left_out - 0.6).sum()))
    assert found.effective_clusters == pytest.approx(36 / 14)
    half = t.ppf(0.975, 36 / 14 - 1) * found.value
    estimate = mean(values, groups)
    assert (estimate.low, estimate.high) == pytest.approx((0.6 - half, 0.6 + half))
    expected = t.cdf((0.6 - 1.0) / found.value, 36 / 14 - 1)
    assert mean_pvalue(values, groups, reference=1.0, below=True) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("clusters", "sizes", "icc"),
    [(30, (1, 2, 5, 20), 0.2), (20, (1, 1, 1, 40), 0.3), (12, (1, 1, 1, 60), 0.3)],
)
def test_means_of_clusters_of_unequal_size_are_covered(clusters, sizes, icc):
    """On clusters - 1 and with Miller's error: .92, .85 and .73."""
    rng = np.random.default_rng(13)
    held = proven = 0
    repeats = 2000
    for _ in range(repeats):
        groups = np.repeat(np.arange(clusters), rng.choice(sizes, size=clusters))
        shared = rng.normal(0, math.sqrt(icc), clusters)[groups]
        values = 0.6 + 0.2 * (shared + rng.normal(0, math.sqrt(1 - icc), len(groups)))
        estimate = mean(values, groups)
        held += estimate.low is None or estimate.low <= 0.6 <= estimate.high
        proven += mean_pvalue(values, groups, reference=0.6, below=True) <= 0.05
    assert held / repeats == pytest.approx(0.955, abs=0.02)
    assert proven / repeats < 0.07


def test_a_bootstrap_needs_thirty_effective_clusters():
    groups = np.concatenate([np.repeat(np.arange(10), 30), np.arange(10, 50)])
    values = np.random.default_rng(4).random(len(groups))
    assert mean(values, groups, rng=np.random.default_rng(0)).method == "t, clustered"


def test_identical_scores_of_unequal_clusters_prove_as_much_as_their_effective_number():
    groups = np.repeat([0, 1, 2, 3], [40, 20, 20, 20])
    found = mean_pvalue(np.zeros(100), groups, reference=0.5, below=True)
    assert found == pytest.approx(math.exp(-2 * (100**2 / 2800) * 0.25))


def test_the_same_seed_gives_the_same_interval():
    one, two = (mean(SCORES, rng=np.random.default_rng(9)) for _ in range(2))
    assert one == two


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="finite"):
        mean([0.3, math.nan])


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_sign_flips_of_few_cases_are_enumerated_as_in_scipy(alternative):
    few = DIFFERENCES[:9]
    expected = permutation_test(
        (few, np.zeros(9)),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
        alternative=alternative,
    ).pvalue
    ours = sign_flip_pvalue(few, rng=np.random.default_rng(0), alternative=alternative)
    # scipy doubles the smaller tail where we count sums as far from 0: the same by symmetry.
    assert ours == pytest.approx(expected)


@pytest.mark.parametrize("size", [80, 8000])
def test_sign_flips_of_many_cases_agree_with_the_t_test(size):
    differences = np.random.default_rng(5).normal(1.5 / math.sqrt(size), 1, size)
    expected = ttest_1samp(differences, 0).pvalue
    ours = sign_flip_pvalue(differences, rng=np.random.default_rng(6))
    assert ours == pytest.approx(expected, abs=0.015)


def test_no_difference_is_no_evidence():
    assert sign_flip_pvalue([0.0, 0.0], rng=np.random.default_rng(0)) == 1


def test_clusters_swap_their_signs_together():
    rng = np.random.default_rng(0)
    copies = np.repeat([1, 1, 1, 0, -1], 10)
    assert sign_flip_pvalue(copies, rng=rng) < 0.01
    assert sign_flip_pvalue(copies, np.repeat(np.arange(5), 10), rng=rng) == pytest.approx(10 / 16)


@pytest.mark.parametrize(("clusters", "size", "icc"), [(40, 10, 0.3)])
def test_the_clustered_sign_flip_holds_its_level_where_mcnemar_does_not(clusters, size, icc):
    rng = np.random.default_rng(8)
    groups = np.repeat(np.arange(clusters), size)
    hits = 0
    for _ in range(400):
        shift = rng.normal(0, 0.25, clusters)[groups]  # a system is better on some documents
        draws = rng.random(len(groups))
        differences = np.where(
            draws < 0.15 + shift / 4, 1, np.where(draws > 0.85 + shift / 4, -1, 0)
        )
        hits += sign_flip_pvalue(differences, groups, rng=rng, n_resamples=399) <= 0.05
    assert hits / 400 <= 0.08


def test_a_mean_is_tested_from_either_side():
    below = mean_pvalue(SCORES, reference=0.8, below=True)
    assert below == pytest.approx(ttest_1samp(SCORES, 0.8, alternative="less").pvalue)
    assert below + mean_pvalue(SCORES, reference=0.8, below=False) == pytest.approx(1)


def test_identical_scores_prove_something_only_in_numbers():
    assert mean_pvalue([0.0] * 3, reference=0.5, below=True) > 0.1
    assert mean_pvalue([0.0] * 100, reference=0.5, below=True) < 1e-9
    assert mean_pvalue([0.0] * 100, reference=0.0, below=True) == 1
    assert mean_pvalue([0.3], reference=0.9, below=True) == 1
