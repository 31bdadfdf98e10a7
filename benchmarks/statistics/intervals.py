"""Coverage of the intervals: one rate, clusters, judges corrected by labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr
from scipy.stats import binom

from benchmarks.statistics.figures import Figure, average, share
from harness.statistics import (
    Clustered,
    JudgeQuality,
    clopper_pearson,
    clustered,
    clustered_pvalue,
    clustered_rate,
    jeffreys,
    mcnemar,
    ppi,
    rogan_gladen,
    sign_flip_pvalue,
    wilson,
)
from harness.statistics.rates import FloatArray, clustered_interval

COVERAGE = "Coverage of 95 % intervals of one rate, by enumeration over rates .60 to .99"
# n: (mean, worst) of Wald, Wilson, Clopper-Pearson, Jeffreys
PUBLISHED = {
    20: ((0.843, 0.182), (0.954, 0.895), (0.978, 0.961), (0.952, 0.895)),
    50: ((0.907, 0.395), (0.953, 0.911), (0.970, 0.953), (0.950, 0.884)),
    100: ((0.930, 0.633), (0.951, 0.921), (0.965, 0.952), (0.949, 0.911)),
    400: ((0.945, 0.854), (0.951, 0.932), (0.958, 0.951), (0.949, 0.929)),
}


def wald(passed: int, n: int) -> tuple[float, float]:
    """The textbook interval, for contrast."""
    p = passed / n
    half = 1.959964 * np.sqrt(p * (1 - p) / n)
    return p - half, p + half


def rate_coverage(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Exact coverage of each interval."""
    found = []
    rates = np.linspace(0.6, 0.99, 391)
    for n, published in PUBLISHED.items():
        mass = binom.pmf(np.arange(n + 1)[:, None], n, rates)
        for interval, (mean, worst) in zip(
            (wald, wilson, clopper_pearson, jeffreys), published, strict=True
        ):
            limits = np.array([interval(k, n) for k in range(n + 1)])
            held = (limits[:, :1] <= rates) & (rates <= limits[:, 1:])
            coverage = (mass * held).sum(axis=0)
            name = f"n = {n}, {interval.__name__}"
            # The worst rate depends on the grid, which the design does not give: .01 is allowed.
            found += [
                Figure(section=COVERAGE, what=f"{name}, mean", value=float(coverage.mean()), half=0.0,
                       design=mean, design_half=0.002),
                Figure(section=COVERAGE, what=f"{name}, worst", value=float(coverage.min()), half=0.0,
                       design=worst, design_half=0.01),
            ]  # fmt: skip
    return found


CLUSTERS = "Clustered cases: coverage of 95 % intervals at a pass rate of .8"


def clustered_coverage(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Intervals that ignore clusters against the one that counts effective cases."""
    found = []
    repeats = max(200, int(4000 * scale))
    for clusters, size, icc, naive, ours in (
        (40, 5, 0.2, 0.874, 0.954),
        (40, 10, 0.3, 0.685, 0.949),
        (20, 10, 0.3, 0.729, 0.945),
    ):
        groups = np.repeat(np.arange(clusters), size)
        hits = np.zeros(2, dtype=int)
        for _ in range(repeats):
            strength = 1 / icc - 1
            rates = rng.beta(0.8 * strength, 0.2 * strength, clusters)
            passed = (rng.random(len(groups)) < rates[groups]).astype(float)
            low, high = wilson(int(passed.sum()), len(groups))
            estimate = clustered_rate(passed, groups)
            hits += [low <= 0.8 <= high, estimate.low <= 0.8 <= estimate.high]  # type: ignore[operator]
        name = f"{clusters} x {size}, ICC {icc}"
        for what, count, design in zip(("Wilson, clusters ignored", "effective n"), hits, (naive, ours), strict=True):  # fmt: skip
            found.append(share(CLUSTERS, f"{name}: {what}", int(count), repeats, design=design, design_n=4000))  # fmt: skip
    return found


UNEQUAL = "Clusters of unequal size, and few of one size: 95 % intervals, a rate proven above itself at .05"


def unequal_clusters(rng: np.random.Generator, scale: float) -> list[Figure]:
    """The jackknife on effective clusters against Miller's error on clusters - 1."""
    found = []
    repeats = max(200, int(4000 * scale))
    for clusters, sizes, icc, rate in (
        (30, (1, 2, 5, 20), 0.2, 0.8),
        (20, (1, 1, 1, 40), 0.3, 0.8),
        (20, (1, 1, 1, 40), 0.3, 0.9),
        (12, (1, 1, 1, 60), 0.3, 0.8),
        (30, (1, 1, 1, 40), 0.9, 0.9),
        (8, (40,), 0.3, 0.9),
    ):
        held, above = np.zeros(2, dtype=int), np.zeros(2, dtype=int)
        for _ in range(repeats):
            groups = np.repeat(np.arange(clusters), rng.choice(sizes, size=clusters))
            strength = 1 / icc - 1
            rates = rng.beta(rate * strength, (1 - rate) * strength, clusters)
            passed = (rng.random(len(groups)) < rates[groups]).astype(float)
            for i, data in enumerate((_as_if_equal(passed, groups), clustered(passed, groups))):
                low, high = clustered_interval(data)
                held[i] += low <= rate <= high
                above[i] += clustered_pvalue(data, rate, below=False) <= 0.05
        name = f"{clusters} of {'/'.join(map(str, sizes))} cases, ICC {icc}, rate {rate}"
        for i, how in enumerate(("as if of one size", "ours")):
            found.append(share(UNEQUAL, f"{name}: {how} covers", int(held[i]), repeats))
            found.append(share(UNEQUAL, f"{name}: {how} proves", int(above[i]), repeats))
    return found


def _as_if_equal(passed: FloatArray, groups: npt.NDArray[np.int64]) -> Clustered:
    """Miller's error, and as many clusters as there are."""
    clusters, n, mean = int(groups.max()) + 1, len(passed), float(passed.mean())
    residuals = np.bincount(groups, weights=passed - mean)
    squared = clusters / (clusters - 1) * float(np.square(residuals).sum()) / n**2
    worth = min(mean * (1 - mean) / squared, n) if squared > 0 else clusters
    return Clustered(mean=mean, n=n, n_effective=worth, clusters=clusters)


PAIRED_CLUSTERS = "Clustered pairs, nothing different: two-sided tests at .05"


def clustered_pairs(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Size of McNemar's test and of the cluster sign-flip when documents favour one system."""
    repeats = max(100, int(1500 * scale))
    found = []
    for clusters, size, spread in ((40, 5, 0.10), (40, 10, 0.10), (20, 10, 0.08)):
        groups = np.repeat(np.arange(clusters), size)
        hits = np.zeros(2, dtype=int)
        for _ in range(repeats):
            tilt = np.clip(rng.normal(0, spread, clusters), -0.1, 0.1)[groups]
            draws = rng.random(len(groups))
            gained, lost = draws < 0.1 + tilt, draws > 0.9 + tilt
            flip = sign_flip_pvalue(gained * 1.0 - lost, groups, rng=rng, n_resamples=499)
            plain = float(mcnemar(gained.sum(), lost.sum(), mid=True))
            hits += [plain <= 0.05, flip <= 0.05]
        for what, count in zip(("McNemar mid-p", "cluster sign-flip"), hits, strict=True):
            found.append(
                share(PAIRED_CLUSTERS, f"{clusters} x {size}: {what}", int(count), repeats)
            )
    return found


JUDGES = "A judge corrected by labels: coverage and width of 95 % intervals"


def judge_correction(rng: np.random.Generator, scale: float) -> list[Figure]:
    """PPI++ where labels are a random part, Rogan-Gladen from other cases."""
    repeats = max(200, int(3000 * scale))
    found = []
    for p, sensitivity, specificity, labels, cases, ppi_design, rg_design in (
        (0.9, 0.95, 0.75, 100, 1000, (0.92, 0.091), (0.98, 0.206)),
        (0.8, 0.95, 0.75, 100, 1000, (0.93, 0.114), (0.97, 0.187)),
        (0.8, 0.95, 0.75, 300, 2000, (0.94, 0.067), (0.95, 0.105)),
        (0.8, 0.90, 0.60, 100, 1000, (None, 0.136), (None, 0.335)),
    ):
        hits, widths = np.zeros(2, dtype=int), np.zeros((repeats, 2))
        refused = 0
        for i in range(repeats):
            truth = rng.random(cases + labels) < p
            draws = rng.random(len(truth))
            judge = np.where(truth, draws < sensitivity, draws < 1 - specificity)
            first = ppi(truth[:labels] * 1.0, judge[:labels] * 1.0, judge[labels:] * 1.0)
            quality = _quality(rng, p, sensitivity, specificity, labels)
            second = rogan_gladen(int(judge[labels:].sum()), cases, quality)
            refused += second.value is None
            for j, e in enumerate((first, second)):
                if e.low is not None and e.high is not None:
                    hits[j] += e.low <= p <= e.high
                    widths[i, j] = e.high - e.low
        name = f"p {p}, Se {sensitivity}, Sp {specificity}, {labels} labels, {cases} judged"
        for j, (what, (covered, width)) in enumerate((("PPI++", ppi_design), ("Rogan-Gladen", rg_design))):  # fmt: skip
            judged = repeats - (refused if j else 0)
            found.append(share(JUDGES, f"{name}: {what} covers", int(hits[j]), judged, design=covered, design_n=1000))  # fmt: skip
            used = widths[widths[:, j] > 0, j]
            found.append(average(JUDGES, f"{name}: {what} width", used, design=width, design_n=1000, digits=3))  # fmt: skip
        if refused:
            found.append(share(JUDGES, f"{name}: refused", refused, repeats))
    return found


def _quality(
    rng: np.random.Generator, p: float, sensitivity: float, specificity: float, labels: int
) -> JudgeQuality:
    passes = int(rng.binomial(labels, p))
    right, refused = rng.binomial(passes, sensitivity), rng.binomial(labels - passes, specificity)
    return JudgeQuality(
        true_passes=int(right),
        false_misses=passes - int(right),
        true_misses=int(refused),
        false_passes=labels - passes - int(refused),
    )


FLOORS = "The gate `at_least`: chance of red at n cases"


def floor_gate(rng: np.random.Generator, scale: float) -> list[Figure]:
    """How often a floor of .80 fails, exactly, from the test that the gate uses."""
    found = []
    for n in (50, 100, 200, 400):
        reds = [k for k in range(n + 1) if bdtr(k, n, 0.8) <= 0.05]
        worst = max(reds)
        for p in (0.80, 0.75, 0.70):
            value = float(bdtr(worst, n, p))
            found.append(Figure(section=FLOORS, what=f"n = {n}, floor .80, true rate {p:.2f}", value=value, half=0.0))  # fmt: skip
    return found
