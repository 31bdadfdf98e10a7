"""One pass rate: intervals, exact tests, clusters, epochs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, binomtest
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.proportion import proportion_confint

from harness.statistics import (
    Clustered,
    above_pvalue,
    below_pvalue,
    clopper_pearson,
    clustered,
    clustered_pvalue,
    clustered_rate,
    jeffreys,
    pass_at_k,
    pass_hat_k,
    rate,
    wilson,
    worst_case,
)
from harness.statistics.rates import clustered_interval, jackknife_error

COUNTS = [(0, 1), (1, 1), (1, 2), (0, 10), (10, 10), (83, 100), (300, 300), (796_123, 1_000_000)]


@pytest.mark.parametrize(("passed", "n"), COUNTS)
@pytest.mark.parametrize(
    ("ours", "theirs"), [(wilson, "wilson"), (clopper_pearson, "beta"), (jeffreys, "jeffreys")]
)
def test_intervals_are_those_of_statsmodels(ours, theirs, passed, n):
    expected = proportion_confint(passed, n, alpha=0.05, method=theirs)
    assert ours(passed, n) == pytest.approx(expected, abs=1e-9)


def test_no_miss_in_three_hundred_is_an_interval_and_not_certainty():
    estimate = rate(300, 300, method="clopper-pearson")
    assert estimate.value == 1
    assert estimate.low == pytest.approx(0.9877790253, abs=1e-9)
    assert estimate.high == 1


def test_no_data_is_not_zero():
    estimate = rate(0, 0)
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (None, None, None, 0)
    assert clustered_rate([]).value is None


@pytest.mark.parametrize(("passed", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(passed, n):
    with pytest.raises(ValueError, match="between 0 and n"):
        rate(passed, n)


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(ValueError, match="wilson, clopper-pearson, jeffreys"):
        rate(1, 2, method="wald")


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 500), st.data(), st.sampled_from(["wilson", "clopper-pearson", "jeffreys"]))
def test_an_interval_holds_its_value_and_stays_within_zero_and_one(n, data, method):
    passed = data.draw(st.integers(0, n))
    estimate = rate(passed, n, method=method)
    assert 0 <= estimate.low <= estimate.high <= 1
    if method != "jeffreys":  # whose posterior leaves out an end that was observed
        assert estimate.low <= passed / n <= estimate.high


@pytest.mark.parametrize(("n", "mean", "worst"), [(20, 0.954, 0.895), (100, 0.951, 0.921)])
def test_wilson_covers_as_published(n, mean, worst):
    """Exact coverage over rates from .6 to .99 (Brown, Cai & DasGupta 2001, by enumeration)."""
    limits = np.array([wilson(k, n) for k in range(n + 1)])
    rates = np.linspace(0.6, 0.99, 391)
    held = (limits[:, :1] <= rates) & (rates <= limits[:, 1:])
    coverage = (binom.pmf(np.arange(n + 1)[:, None], n, rates) * held).sum(axis=0)
    assert coverage.mean() == pytest.approx(mean, abs=0.002)
    assert coverage.min() == pytest.approx(worst, abs=0.006)


@pytest.mark.parametrize(("passed", "n"), [(0, 1), (1, 1), (101, 120), (400, 500)])
@pytest.mark.parametrize("reference", [0.0, 0.3, 0.9, 1.0])
def test_one_sided_tests_are_the_binomial_ones(passed, n, reference):
    less = binomtest(passed, n, reference, alternative="less").pvalue
    greater = binomtest(passed, n, reference, alternative="greater").pvalue
    assert below_pvalue(passed, n, reference) == pytest.approx(less)
    assert above_pvalue(passed, n, reference) == pytest.approx(greater)


def test_cases_of_their_own_cluster_are_worth_themselves():
    data = clustered([1, 0, 1, 1, 0, 1, 1, 1])
    assert data.n_effective == pytest.approx(7)  # n - 1: the sample variance divides by it


def test_copies_of_a_case_are_worth_one():
    values = np.repeat([1, 0, 1, 1, 0, 1, 1, 1], 5)
    copies = clustered(values, np.repeat(np.arange(8), 5))
    assert copies.n_effective == pytest.approx(7)
    assert clustered_rate(values, np.repeat(np.arange(8), 5)).n == 40


def test_clusters_are_named_by_anything_hashable():
    values = [1, 0, 1, 1]
    by_name = clustered_rate(values, ["a", "a", "b", "c"])
    assert by_name == clustered_rate(values, np.array([0, 0, 1, 2]))


def test_one_cluster_says_nothing_about_others():
    estimate = clustered_rate([1, 1, 0], ["same"] * 3)
    assert (estimate.low, estimate.high, estimate.n_effective) == (0, 1, 1)
    assert clustered_pvalue(clustered([0, 0], ["a", "a"]), 0.9, below=True) == 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_clusters_that_all_agree_count_once_each(value):
    estimate = clustered_rate([value] * 40, np.repeat(np.arange(10), 4))
    assert estimate.n_effective == 10
    assert estimate.high - estimate.low > 0.2


def test_a_score_that_is_not_a_number_is_refused():
    with pytest.raises(ValueError, match="unscored"):
        clustered_rate([1, math.nan])


def test_epochs_narrow_the_interval_no_further_than_their_number():
    estimate = clustered_rate([0.5] * 20, scores=40)
    assert estimate.n_effective == 40


@pytest.mark.parametrize(
    ("clusters", "size", "icc", "covered"), [(40, 5, 0.2, 0.954), (20, 10, 0.3, 0.945)]
)
def test_clustered_interval_covers_as_published(clusters, size, icc, covered):
    """Intervals that ignore these clusters cover .87 and .73."""
    rng = np.random.default_rng(5)
    concentration = 1 / icc - 1
    hits = 0
    repeats, groups = 1500, np.repeat(np.arange(clusters), size)
    for _ in range(repeats):
        rates = rng.beta(0.8 * concentration, 0.2 * concentration, clusters)
        estimate = clustered_rate(rng.random(clusters * size) < rates[groups], groups)
        hits += estimate.low <= 0.8 <= estimate.high
    assert hits / repeats == pytest.approx(covered, abs=0.02)


SIZES = st.integers(1, 30)


@st.composite
def clustered_cases(draw, sizes=SIZES):
    """Pass fractions of cases in at least two clusters, and the cluster of each."""
    drawn = draw(st.lists(sizes, min_size=2, max_size=12))
    groups = np.repeat(np.arange(len(drawn)), drawn)
    passed = draw(st.lists(st.integers(0, 4), min_size=len(groups), max_size=len(groups)))
    return np.array(passed) / 4, groups


def left_out_one_by_one(values, groups):
    """The squared jackknife error, each cluster really left out."""
    names = np.unique(groups)
    means = np.array([values[groups != name].mean() for name in names])
    return (len(names) - 1) / len(names) * np.square(means - values.mean()).sum()


@settings(deadline=None, max_examples=60)
@given(clustered_cases())
def test_the_error_is_that_of_leaving_out_one_cluster_after_the_other(data):
    values, groups = data
    sums, sizes = np.bincount(groups, weights=values), np.bincount(groups).astype(float)
    squared = left_out_one_by_one(values, groups)
    assert jackknife_error(sums, sizes) ** 2 == pytest.approx(squared, abs=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20).flatmap(lambda size: clustered_cases(sizes=st.just(size))))
def test_clusters_of_one_size_have_the_error_of_statsmodels(data):
    values, groups = data
    fit = OLS(values, np.ones(len(values))).fit()
    expected = fit.get_robustcov_results("cluster", groups=groups).bse[0]
    sums, sizes = np.bincount(groups, weights=values), np.bincount(groups).astype(float)
    assert jackknife_error(sums, sizes) == pytest.approx(expected, abs=1e-9)
    assert clustered(values, groups).effective_clusters == len(sizes)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 20).flatmap(lambda size: clustered_cases(sizes=st.just(size))), st.booleans())
def test_clusters_of_one_size_are_worth_what_millers_error_says(data, epochs):
    """No more than there are scores: four of each case here, or one."""
    values, groups = data if epochs else (np.round(data[0]), data[1])
    count, n, mean = len(np.unique(groups)), len(values), values.mean()
    found = clustered(values, groups, scores=4 * n)
    assert found.degrees_of_freedom == count - 1
    residuals = np.bincount(groups, weights=values - mean)
    squared = count / (count - 1) * np.square(residuals).sum() / n**2
    most = n if np.isin(values, (0, 1)).all() else 4 * n
    if mean in (0, 1):
        assert found.n_effective == count
    elif squared > 1e-12:
        assert found.n_effective == pytest.approx(min(mean * (1 - mean) / squared, most))
    else:
        assert found.n_effective == most


@settings(deadline=None, max_examples=60)
@given(clustered_cases(), st.randoms(use_true_random=False))
def test_neither_the_order_of_cases_nor_the_names_of_clusters_matter(data, random):
    values, groups = data
    order = list(range(len(values)))
    random.shuffle(order)
    shuffled = clustered(values[order], [f"document {g}" for g in groups[order]])
    plain = clustered(values, groups)
    for name in ("mean", "n_effective", "clusters", "effective_clusters"):
        assert getattr(shuffled, name) == pytest.approx(getattr(plain, name))


@settings(deadline=None, max_examples=60)
@given(clustered_cases())
def test_clusters_count_in_full_only_where_all_are_of_one_size(data):
    values, groups = data
    found, sizes = clustered(values, groups), np.bincount(groups)
    assert 1 <= found.effective_clusters <= found.clusters
    assert (found.effective_clusters == found.clusters) == (len(set(sizes)) == 1)
    estimate = clustered_rate(values, groups)
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def test_a_document_of_a_thousand_cases_is_one_document():
    """Ten more of one case each do not say how documents vary."""
    groups = np.concatenate([np.zeros(1000, dtype=int), np.arange(1, 11)])
    for values in (np.ones(1010), np.arange(1010) % 10 > 0, groups > 0):
        data = clustered(values, groups)
        assert (data.clusters, round(data.effective_clusters, 2)) == (11, 1.02)
        assert data.n_effective == data.effective_clusters
        assert clustered_interval(data) == (0, 1)
        assert clustered_pvalue(data, 0.5, below=False) == 1
        assert clustered_pvalue(data, 0.5, below=True) == 1


def test_clusters_of_unknown_sizes_are_taken_to_be_alike():
    known = clustered([1, 0, 1, 1, 0, 1], [0, 0, 1, 1, 2, 2])
    counted = Clustered(mean=known.mean, n=6, n_effective=known.n_effective, clusters=3)
    assert clustered_interval(counted) == clustered_interval(known)
    assert clustered_pvalue(counted, 0.9, below=True) == clustered_pvalue(known, 0.9, below=True)


def share_of_runs(clusters, sizes, icc, rate, *, seed, repeats=1500):
    """How often the interval holds the true rate, and how often it is said to be above itself."""
    rng = np.random.default_rng(seed)
    held = above = 0
    for _ in range(repeats):
        groups = np.repeat(np.arange(clusters), rng.choice(sizes, size=clusters))
        spread = 1 / icc - 1
        alike = rng.random(clusters) < rate
        rates = rng.beta(rate * spread, (1 - rate) * spread, clusters) if spread else alike
        data = clustered(rng.random(len(groups)) < rates[groups], groups)
        low, high = clustered_interval(data)
        held += low <= rate <= high
        above += clustered_pvalue(data, rate, below=False) <= 0.05
    return held / repeats, above / repeats


@pytest.mark.parametrize(
    ("clusters", "sizes", "icc", "rate"),
    [
        (30, (1, 2, 5, 20), 0.2, 0.8),
        (20, (1, 1, 1, 40), 0.3, 0.8),
        (20, (1, 1, 1, 40), 0.3, 0.9),
        (12, (1, 1, 1, 60), 0.3, 0.8),
    ],
)
def test_intervals_of_unequal_clusters_cover_and_nothing_false_is_proven(
    clusters, sizes, icc, rate
):
    """On clusters - 1 and with Miller's error they cover .92, .85, .77 and .75."""
    held, above = share_of_runs(clusters, sizes, icc, rate, seed=12)
    assert held > 0.94
    assert above < 0.06


def test_large_clusters_that_all_pass_are_not_told_apart_by_small_ones_that_miss():
    """The cases of a cluster are all alike; the jackknife alone would cover .60 and be wrong in .40."""
    held, above = share_of_runs(30, (1, 1, 1, 40), 1.0, 0.9, seed=12)
    assert held > 0.94
    assert above < 0.06
    groups = np.repeat(np.arange(30), [40] * 6 + [1] * 24)
    data = clustered(groups != 29, groups)
    assert data.n_effective == pytest.approx(data.effective_clusters)


def test_worst_case_bounds_assume_nothing_of_the_missing():
    assert worst_case(50, 50, 50) == (0.5, 1.0)
    assert worst_case(0, 0, 0) is None


def test_pass_at_k_and_pass_hat_k_over_five_epochs():
    assert pass_at_k([0, 2, 5], 5, 2).tolist() == pytest.approx([0, 0.7, 1])
    assert pass_hat_k([0, 2, 5], 5, 2).tolist() == pytest.approx([0, 0.1, 1])


def test_at_one_epoch_both_are_the_pass_fraction():
    assert pass_at_k([0, 2, 5], 5, 1).tolist() == pass_hat_k([0, 2, 5], 5, 1).tolist()


def test_more_epochs_than_were_scored_are_refused():
    with pytest.raises(ValueError, match="at least that many"):
        pass_at_k([1, 2], [3, 2], 3)
