"""Gates over many builds: false alarms when nothing changed, and drops that are caught."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from benchmarks.statistics.figures import Figure, share
from harness.gates import Rule
from harness.statistics import Strata, holm, mcnemar, unchanged_pvalue

FloatArray = npt.NDArray[np.float64]

SUITES, BUILDS = 8, 100
RULE = Rule(family=SUITES)


def case_rates(rng: np.random.Generator, n: int, flips: float) -> FloatArray:
    """Chances of n cases to pass, mean .8, such that two answers differ at the flip rate."""
    ratio = flips / 0.32  # s / (s + 1), for Beta(.8 s, .2 s)
    strength = ratio / (1 - ratio)
    return rng.beta(0.8 * strength, 0.2 * strength, n)


def two_stage(
    rng: np.random.Generator, now: FloatArray, before: FloatArray, stored: npt.NDArray[np.int64]
) -> tuple[bool, bool]:
    """Whether a suite is flagged, and whether fresh epochs confirm it: the gate's two tests."""
    first = unchanged_pvalue(Strata.of(rng.binomial(1, now), 1, stored, 5))
    if RULE.adjusted(first) > RULE.screen_alpha:
        return False, False
    fresh = Strata.of(rng.binomial(3, now), 3, rng.binomial(3, before), 3)
    return True, unchanged_pvalue(fresh) <= RULE.confirm_alpha


ALARMS = f"{BUILDS} unchanged builds x {SUITES} suites: false alarms"


def false_alarms(
    rng: np.random.Generator, scale: float, *, n: int, flips: float, design: float
) -> list[Figure]:
    """Share of series with any alarm, and of builds, for the two-stage gate."""
    series = max(4, int(250 * scale))
    alarmed = builds = flagged = 0
    for _ in range(series):
        rates = [case_rates(rng, n, flips) for _ in range(SUITES)]
        stored = [rng.binomial(5, r) for r in rates]
        any_alarm = False
        for _ in range(BUILDS):
            looks = [two_stage(rng, r, r, s) for r, s in zip(rates, stored, strict=True)]
            flagged += sum(flag for flag, _ in looks)
            failed = any(confirmed for _, confirmed in looks)
            builds += failed
            any_alarm |= failed
        alarmed += any_alarm
    name = f"two-stage, n {n}, flips {flips}"
    return [
        share(ALARMS, f"{name}: series with any alarm", alarmed, series, design=design, design_n=250),
        share(ALARMS, f"{name}: builds with an alarm", builds, series * BUILDS, design=0.00026, design_n=25_000),
        share(ALARMS, f"{name}: suites run again", flagged, series * BUILDS * SUITES),
    ]  # fmt: skip


def alarms_200(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Two-stage gate, 200 cases a suite, flip rate .19."""
    return false_alarms(rng, scale, n=200, flips=0.19, design=0.020)


def alarms_400(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Two-stage gate, 400 cases a suite, flip rate .11."""
    return false_alarms(rng, scale, n=400, flips=0.11, design=0.028)


STORED = "The same where the baseline cannot be run again: fresh epochs of the candidate alone"


def stored_baseline(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Series with an alarm, and 5-point drops caught, when the stored epochs serve both looks.

    A lucky baseline stays lucky for all later builds, so the level of the second look matters.
    """
    series, repeats = max(2, int(60 * scale)), max(20, int(300 * scale))
    found = []
    for n, flips in ((200, 0.19), (400, 0.11)):
        least = np.empty(series)
        for i in range(series):
            rates = [case_rates(rng, n, flips) for _ in range(SUITES)]
            least[i] = min(
                _against_stored(rng, r, s)
                for r, s in ((r, rng.binomial(5, r)) for r in rates)
                for _ in range(BUILDS)
            )
        drops = np.empty(repeats)
        for i in range(repeats):
            r = case_rates(rng, n, flips)
            drops[i] = _against_stored(rng, r * (1 - 0.05 / 0.8), rng.binomial(5, r))
        for level in (RULE.confirm_alpha, RULE.stored_alpha):
            name = f"n {n}, flips {flips}, second look at {level:g}"
            found += [
                share(
                    STORED, f"{name}: series with any alarm", int((least <= level).sum()), series
                ),
                share(
                    STORED, f"{name}: 5-point drops caught", int((drops <= level).sum()), repeats
                ),
            ]
    return found


def _against_stored(
    rng: np.random.Generator, now: FloatArray, stored: npt.NDArray[np.int64]
) -> float:
    """p-value of the second look against the stored epochs; 1 where the first does not flag."""
    first = unchanged_pvalue(Strata.of(rng.binomial(1, now), 1, stored, 5))
    if RULE.adjusted(first) > RULE.screen_alpha:
        return 1.0
    return unchanged_pvalue(Strata.of(rng.binomial(3, now), 3, stored, 5))


TOGETHER = f"{SUITES} suites looked at as one, against stored epochs, once a build"


def together(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Series of unchanged builds with an alarm, and a small loss in every suite that is found."""
    series, repeats = max(2, int(60 * scale)), max(20, int(300 * scale))
    found = []
    for n, flips in ((200, 0.19), (400, 0.11)):
        alarmed = 0
        for _ in range(series):
            rates = np.concatenate([case_rates(rng, n, flips) for _ in range(SUITES)])
            stored = rng.binomial(5, rates)
            alarmed += any(
                unchanged_pvalue(Strata.of(rng.binomial(1, rates), 1, stored, 5))
                <= RULE.stored_alpha
                for _ in range(BUILDS)
            )
        name = f"n {n}, flips {flips}"
        what = f"{name}: series of {BUILDS} unchanged builds with any alarm"
        found.append(share(TOGETHER, what, alarmed, series))
        for drop in (0.02, 0.03, 0.05):
            caught = 0
            for _ in range(repeats):
                rates = np.concatenate([case_rates(rng, n, flips) for _ in range(SUITES)])
                now = rng.binomial(1, rates * (1 - drop / 0.8))
                strata = Strata.of(now, 1, rng.binomial(5, rates), 5)
                caught += unchanged_pvalue(strata) <= RULE.stored_alpha
            what = f"{name}: a loss of {100 * drop:.0f} points in every suite, found"
            found.append(share(TOGETHER, what, caught, repeats))
    return found


USUAL = (
    "The usual gates, 8 suites x 200 cases, nothing changed: builds with an alarm (flips .11, .19)"
)


def usual_gates(rng: np.random.Generator, scale: float) -> list[Figure]:
    """What a drop in points or an uncorrected test does, one stored epoch against one new one."""
    builds = max(200, int(5000 * scale))
    found = []
    for flips, low in ((0.11, True), (0.19, False)):
        hits = dict.fromkeys(("any drop", "> 2 points", "> 5 points", "unpaired z .05", "mid-p .05", "exact + Holm"), 0)  # fmt: skip
        for _ in range(builds):
            rates = np.stack([case_rates(rng, 200, flips) for _ in range(SUITES)])
            before, after = rng.binomial(1, rates), rng.binomial(1, rates)
            gained, lost = (after > before).sum(axis=1), (after < before).sum(axis=1)
            drop = (lost - gained) / 200
            pooled = (before + after).mean(axis=1) / 2
            z = drop / np.sqrt(2 * pooled * (1 - pooled) / 200)
            exact = mcnemar(gained, lost, alternative="less")
            mid = mcnemar(gained, lost, alternative="less", mid=True)
            alarms = (drop > 0, drop > 0.02 + 1e-9, drop > 0.05 + 1e-9, ndtr(-z) <= 0.05, mid <= 0.05, holm(exact) <= 0.05)  # fmt: skip
            for name, fired in zip(hits, alarms, strict=True):
                hits[name] += bool(fired.any())
        # The design gives ranges over its worlds, lower end at the lower flip rate.
        designs = (0.99, 0.74 if low else 0.88, 0.08 if low else 0.30, 0.015 if low else 0.127, 0.28 if low else 0.33, 0.019 if low else 0.029)  # fmt: skip
        found += [
            share(USUAL, f"flips {flips}: {name}", count, builds, design=d, design_n=1000)
            for (name, count), d in zip(hits.items(), designs, strict=True)
        ]
    return found


DETECTION = "A drop in one of 8 suites: caught by the two-stage gate in one build"


def detection(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Drops spread over all cases in proportion, and drops that break some cases for good."""
    repeats = max(40, int(800 * scale))
    found = []
    for n, flips, drop, design in (
        (200, 0.19, 0.05, 0.17), (200, 0.11, 0.05, 0.46), (400, 0.19, 0.05, 0.58), (400, 0.11, 0.05, 0.85),
        (200, 0.19, 0.10, 0.85), (200, 0.11, 0.10, None), (400, 0.19, 0.10, None), (400, 0.11, 0.10, 1.0),
    ):  # fmt: skip
        for kind in ("spread", "broken cases"):
            caught = 0
            for _ in range(repeats):
                rates = case_rates(rng, n, flips)
                share_lost = drop / 0.8
                kept = 1 - share_lost if kind == "spread" else rng.random(n) >= share_lost
                stored = rng.binomial(5, rates)
                caught += two_stage(rng, rates * kept, rates, stored)[1]
            compared = design if kind == "spread" else None
            found.append(share(DETECTION, f"{100 * drop:.0f} points, n {n}, flips {flips}, {kind}", caught, repeats, design=compared, design_n=400))  # fmt: skip
    return found


EPOCHS = "What stored epochs buy: a 5-point drop at n 400, one suite, level .05 (and .05 / 8)"
BOUGHT = {
    (0.19, 1, 1): (0.62, 0.29), (0.19, 5, 1): (0.84, 0.59), (0.19, 10, 1): (0.91, 0.66), (0.19, 3, 3): (0.98, 0.86),
    (0.11, 1, 1): (0.83, 0.52), (0.11, 5, 1): (0.94, 0.80), (0.11, 10, 1): (0.96, 0.86), (0.11, 3, 3): (1.00, 0.98),
}  # fmt: skip


def epochs(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Power of the stratified test by epochs of baseline and candidate."""
    repeats = max(60, int(1000 * scale))
    found = []
    for (flips, stored, fresh), designs in BOUGHT.items():
        pvalues = np.empty(repeats)
        for i in range(repeats):
            rates = case_rates(rng, 400, flips)
            now = rng.binomial(fresh, rates * (1 - 0.05 / 0.8))
            pvalues[i] = unchanged_pvalue(
                Strata.of(now, fresh, rng.binomial(stored, rates), stored)
            )
        for level, design in zip((0.05, 0.05 / 8), designs, strict=True):
            name = f"flips {flips}, baseline {stored}, candidate {fresh}, level {level:.3g}"
            found.append(share(EPOCHS, name, int((pvalues <= level).sum()), repeats, design=design, design_n=500))  # fmt: skip
    return found
