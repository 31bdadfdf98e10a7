"""Replayed builds: what is drawn from stored scores, and what the gates say of it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from harness.gates import Gated, Stored, Subject, calibrate, gate_names
from harness.types import Score

CASES, GROUPS = 200, 10
IDS = [f"c{i}" for i in range(CASES)]
DOCUMENTS = {case: f"d{i // (CASES // GROUPS)}" for i, case in enumerate(IDS)}


def subject(metric: str = "policy", system: str = "few-shot") -> Subject:
    return Subject(suite="support", metric=metric, system=system)


def scores(values: Iterable[Iterable[float]], *, graded: bool = False) -> list[Score]:
    """Score the epochs of each case: 1 or more passed, less missed; graded ones all passed."""
    return [
        Score(
            case_id=IDS[i], epoch=epoch, metric="policy",
            state="passed" if graded or value >= 1 else "missed", value=value,
        )
        for i, case in enumerate(values)
        for epoch, value in enumerate(case)
    ]  # fmt: skip


def noisy(rate: float, epochs: int = 5) -> list[list[float]]:
    """Epochs that pass at a rate."""
    drawn = np.random.default_rng(2).random((CASES, epochs)) < rate
    return drawn.astype(float).tolist()


def spread(mean: float, epochs: int = 5) -> list[list[float]]:
    """Graded epochs around a mean."""
    drawn = np.random.default_rng(2).normal(mean, 0.1, (CASES, epochs))
    return np.clip(drawn, 0, 1).tolist()


def caught(stored: Stored, *, drop: float, **floors) -> float:
    """The share of builds with a drop in which the gate is red."""
    found = calibrate(
        [Gated(subject=subject(), stored=stored, **floors)],
        rng=np.random.default_rng(0), builds=100, drops=(drop,),
    )  # fmt: skip
    value = found.detections["support/policy"][drop].value
    assert value is not None
    return value


class TestDrawing:
    @pytest.mark.parametrize("groups", [None, DOCUMENTS])
    @pytest.mark.parametrize(
        ("values", "graded"), [(noisy(0.8), False), (spread(0.6), True), (spread(3.5), True)]
    )
    def test_a_drop_lowers_the_mean_by_itself(self, values, graded, groups):
        stored = Stored.from_scores(scores(values, graded=graded), groups=groups, graded=graded)
        rng = np.random.default_rng(0)
        means = [
            np.mean([stored.drawn(1, rng, broken=b).fractions().mean() for b in lost])
            for lost in ([None] * 200, [stored.broken(0.1, rng) for _ in range(200)])
        ]
        assert means[0] - means[1] == pytest.approx(0.1, abs=0.01)

    def test_a_group_breaks_as_a_whole(self):
        stored = Stored.from_scores(scores([[1.0]] * CASES), groups=DOCUMENTS)
        broken = stored.broken(0.2, np.random.default_rng(0))
        assert int(broken.sum()) == 40
        lost = {DOCUMENTS[case] for case, gone in zip(IDS, broken, strict=True) if gone}
        assert len(lost) == 2, "two documents of twenty cases"

    def test_cases_of_a_group_are_drawn_from_the_same_epoch(self):
        epochs = [[1.0, 0.0]] * CASES  # one good day and one bad one
        stored = Stored.from_scores(scores(epochs), groups=DOCUMENTS)
        outcomes = stored.drawn(1, np.random.default_rng(0))
        assert outcomes.groups is not None
        by_group = dict(zip(outcomes.groups, outcomes.passed.tolist(), strict=True))
        assert outcomes.passed.tolist() == [by_group[group] for group in outcomes.groups]
        assert 0 < sum(by_group.values()) < GROUPS

    def test_graded_scores_stay_what_they_were(self):
        values = spread(0.5)
        stored = Stored.from_scores(scores(values, graded=True), graded=True)
        drawn = stored.drawn(1, np.random.default_rng(0)).fractions().tolist()
        assert all(value in case for value, case in zip(drawn, values, strict=True))
        broken = np.ones(CASES, dtype=bool)
        lost = stored.drawn(1, np.random.default_rng(0), broken=broken)
        assert set(lost.fractions().tolist()) == {0.0}

    def test_what_has_no_score_is_left_out(self):
        rows = scores([[1.0], [1.0]])
        rows.append(Score(case_id="x", epoch=0, metric="policy", state="errored", value=None))
        rows.append(Score(case_id="y", epoch=0, metric="policy", state="passed", value=np.nan))
        assert Stored.from_scores(rows).case_ids == ("c0", "c1")


class TestRates:
    def test_a_clustered_suite_is_judged_by_cluster(self):
        """Ten documents that differ cannot show what two hundred cases of their own would."""
        values = noisy(0.85)
        for i in range(CASES):
            if DOCUMENTS[IDS[i]] in ("d8", "d9"):
                values[i] = [float(i % 2)] * 5
        alone = Stored.from_scores(scores(values))
        together = Stored.from_scores(scores(values), groups=DOCUMENTS)
        assert caught(alone, drop=0.12, at_least=0.76) > 0.6
        assert caught(together, drop=0.12, at_least=0.76) < 0.2

    def test_a_graded_metric_is_judged_by_its_mean(self):
        stored = Stored.from_scores(scores(spread(0.53), graded=True), graded=True)
        assert caught(stored, drop=0.0, at_least=0.5) == 0
        assert caught(stored, drop=0.15, at_least=0.5) > 0.9
        assert caught(stored, drop=0.0, at_least=0.6) == 1
        assert caught(stored, drop=0.15, no_worse_than=True) > 0.9

    def test_more_than_there_is_cannot_be_lost(self):
        stored = Stored.from_scores(scores([[1.0]] * 4 + [[0.0]] * 96))
        found = calibrate(
            [Gated(subject=subject(), stored=stored, at_least=0.01)],
            rng=np.random.default_rng(0), builds=10, drops=(0.02, 0.10),
        )  # fmt: skip
        rates = found.detections["support/policy"]
        assert rates[0.02].n == 10
        assert (rates[0.10].value, rates[0.10].n) == (None, 0)

    def test_floors_are_no_family_as_in_a_run(self):
        """72 of 100 break a floor of .80 at one test, and at two they would not."""
        stored = Stored.from_scores(scores([[1.0]] * 72 + [[0.0]] * 28))
        gated = [
            Gated(subject=subject(metric), stored=stored, at_least=0.8) for metric in ("a", "b")
        ]
        found = calibrate(gated, rng=np.random.default_rng(0), builds=10, drops=())
        assert [rate.value for rate in found.by_gate.values()] == [1, 1]


def test_the_system_is_named_where_one_metric_has_several_gates():
    subjects = [subject(), subject(system="rag"), subject("tone")]
    assert gate_names(subjects) == [
        "support/policy [few-shot]",
        "support/policy [rag]",
        "support/tone",
    ]
