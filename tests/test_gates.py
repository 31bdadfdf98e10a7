"""Gates: floors that are broken beyond chance, held, or open, and never green on missing data."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.gates import (
    Gated,
    Measured,
    Rule,
    Stored,
    Subject,
    calibrate,
    comparability,
    compare_together,
    conjunction,
    judge_at_least,
    judge_critical,
    judge_no_worse_than,
    look,
    screen,
    watched,
)
from harness.statistics import Outcomes, Strata, unchanged_pvalue
from harness.types import Score

SUBJECT = Subject(suite="support", metric="policy", system="few-shot")


def outcomes(passed, missed, *, unscored=0, errored=0, not_run=0, **more):
    """One epoch of so many cases in each state."""
    sizes = {"passed": passed, "missed": missed, "unscored": unscored, "errored": errored, "not_run": not_run}  # fmt: skip
    n = sum(sizes.values())
    ends = np.cumsum(list(sizes.values()))
    place = np.searchsorted(ends, np.arange(n), side="right")
    counts = {state: (place == i).astype(int) for i, state in enumerate(sizes)}
    return Outcomes(case_ids=tuple(f"c{i}" for i in range(n)), **counts, **more)


def at_least(data, floor, **more):
    return judge_at_least(data, floor, subject=SUBJECT, **more)


class TestAtLeast:
    @pytest.mark.parametrize(
        ("passed", "missed", "floor", "state"),
        [
            (80, 20, 0.80, "passed"),
            (79, 21, 0.80, "undecided"),
            (74, 26, 0.80, "undecided"),
            (72, 28, 0.80, "failed"),
            (0, 100, 0.10, "failed"),
            (100, 0, 1.00, "passed"),
            (99, 1, 1.00, "failed"),
            (0, 100, 0.0, "passed"),
            (1, 0, 0.9, "passed"),
            (0, 1, 0.5, "undecided"),
            (0, 1, 0.96, "failed"),
            (1, 1, 0.5, "passed"),
            (1, 1, 0.8, "undecided"),
        ],
    )
    def test_a_floor_is_held_broken_beyond_chance_or_open(self, passed, missed, floor, state):
        assert at_least(outcomes(passed, missed), floor).state == state

    def test_the_result_names_itself_and_gives_its_numbers(self):
        result = at_least(outcomes(72, 28), 0.8)
        assert (result.suite, result.metric, result.system) == ("support", "policy", "few-shot")
        assert result.kind == "at_least"
        assert result.effect == 0.72
        assert result.low < 0.72 < result.high
        assert result.margin == 0.8
        assert result.pvalue_adjusted == pytest.approx(0.0342, abs=1e-3)
        assert 0.09 < result.mde < 0.15
        assert "72.0 % (72 of 100) is below the floor of 80.0 % beyond chance" in result.reason

    def test_an_open_gate_says_how_many_cases_would_settle_it(self):
        result = at_least(outcomes(74, 26), 0.8, rng=np.random.default_rng(0))
        assert result.state == "undecided"
        assert 0 < result.further_cases <= 700
        assert "would settle it" in result.reason

    def test_a_gate_on_its_floor_says_that_the_cap_would_not_settle_it(self):
        result = at_least(outcomes(399, 101), 0.8, rng=np.random.default_rng(0))
        assert result.further_cases is None
        assert "most likely not settle it" in result.reason

    @pytest.mark.parametrize("missing", ["unscored", "errored"])
    def test_missing_outputs_that_could_break_the_floor_fail_it(self, missing):
        result = at_least(outcomes(78, 18, **{missing: 4}), 0.8)
        assert result.state == "failed"
        assert result.effect == 78 / 96
        assert "78.0 %" in result.reason
        assert "82.0 %" in result.reason

    def test_missing_outputs_that_could_not_break_the_floor_do_not(self):
        assert at_least(outcomes(82, 14, errored=4), 0.8).state == "passed"

    def test_half_the_outputs_missing_is_never_green(self):
        assert at_least(outcomes(50, 0, errored=50), 0.8).state == "failed"
        assert at_least(outcomes(0, 0, unscored=3), 0.1).state == "failed"

    @settings(deadline=None, max_examples=50)
    @given(st.integers(0, 60), st.integers(0, 20), st.integers(1, 20), st.floats(0.05, 0.95))
    def test_a_system_gains_nothing_by_timing_out(self, passed, missed, missing, floor):
        green = {"passed": 2, "undecided": 1, "failed": 0}
        timed_out = at_least(outcomes(passed, missed, errored=missing), floor).state
        missed_them = at_least(outcomes(passed, missed + missing), floor).state
        assert green[timed_out] <= green[missed_them]

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            (outcomes(5, 0, left_out=3), "3 cases left out of this run"),
            (outcomes(5, 0, not_run=1), "1 case not run"),
            (outcomes(0, 0), "no cases"),
        ],
    )
    def test_what_was_left_out_is_not_judged(self, data, reason):
        for result in (at_least(data, 0.5), judge_critical(data, subject=SUBJECT)):
            assert (result.state, result.reason) == ("not_judged", reason)

    def test_more_gates_need_more_evidence(self):
        data = outcomes(72, 28)
        assert at_least(data, 0.8, rule=Rule(family=8)).state == "undecided"
        alone, of_eight = at_least(data, 0.8), at_least(data, 0.8, rule=Rule(family=8))
        assert of_eight.pvalue_adjusted == pytest.approx(8 * alone.pvalue_adjusted)

    def test_clusters_are_respected(self):
        copies = outcomes(72, 28, groups=tuple(i // 10 for i in range(100)))
        assert at_least(outcomes(72, 28), 0.8).state == "failed"
        assert at_least(copies, 0.8).state == "undecided"

    def test_epochs_of_a_case_are_averaged(self):
        ids = [f"c{i}" for i in range(50)]
        steady = Outcomes.from_counts(ids, [5] * 30 + [0] * 20, 5)
        result = at_least(steady, 0.8)
        assert (result.effect, result.state) == (0.6, "failed")
        assert "over 50 cases, 250 scores" in result.reason

    def test_one_cluster_proves_nothing(self):
        assert at_least(outcomes(0, 20, groups=("same",) * 20), 0.9).state == "undecided"

    def test_a_floor_that_no_rate_can_have_is_refused(self):
        with pytest.raises(ConfigError, match="a pass rate of at least"):
            at_least(outcomes(3, 0), 1.2)

    def test_graded_metrics_have_a_floor_too(self):
        rng = np.random.default_rng(1)
        data = outcomes(60, 0, values=rng.beta(6, 4, 60))
        assert at_least(data, 0.75).reason.startswith("A mean of 0.607 over 60 cases")
        assert at_least(data, 0.55).state == "passed"
        assert at_least(data, 0.75).state == "failed"

    def test_a_sequential_gate_needs_the_evidence_of_every_look(self):
        data, rule = outcomes(72, 28, not_run=300), Rule(sequential=True)
        assert at_least(outcomes(0, 0, not_run=300), 0.8, rule=rule).state == "not_judged"
        assert at_least(data, 0.8, rule=rule).state == "undecided"
        assert at_least(outcomes(40, 60, not_run=300), 0.8, rule=rule).state == "failed"

    def test_a_floor_that_is_just_held_seldom_fails(self):
        rng = np.random.default_rng(2)
        failed = [at_least(outcomes(k, 200 - k), 0.8).state == "failed" for k in rng.binomial(200, 0.8, 2000)]  # fmt: skip
        assert np.mean(failed) <= 0.06


class TestCritical:
    def test_one_miss_fails(self):
        result = judge_critical(outcomes(299, 1), subject=SUBJECT)
        assert result.state == "failed"
        assert "1 case missed of 300: c299" in result.reason

    def test_no_miss_is_an_interval_and_not_certainty(self):
        result = judge_critical(outcomes(300, 0), subject=SUBJECT)
        assert result.state == "passed"
        assert result.low == pytest.approx(0.98778, abs=1e-5)
        assert "up to 1.2 %" in result.reason

    def test_an_output_without_a_score_is_not_known_to_hold(self):
        assert judge_critical(outcomes(299, 0, unscored=1), subject=SUBJECT).state == "failed"
        assert judge_critical(outcomes(299, 0, errored=1), subject=SUBJECT).state == "failed"

    def test_a_miss_in_any_epoch_fails(self):
        data = Outcomes.from_counts(["a", "b"], [5, 4], 5)
        assert judge_critical(data, subject=SUBJECT).state == "failed"

    def test_a_miss_that_was_seen_counts_though_other_cases_were_not_run(self):
        assert judge_critical(outcomes(5, 1, not_run=4), subject=SUBJECT).state == "failed"
        assert judge_critical(outcomes(5, 1, left_out=4), subject=SUBJECT).state == "not_judged"


def flips(gained, lost, tied, **more):
    """Candidate and baseline with so many flips."""
    n = gained + lost + tied
    ids = [f"c{i}" for i in range(n)]
    after = [1] * gained + [0] * lost + [1] * tied
    before = [0] * gained + [1] * lost + [1] * tied
    return Outcomes.from_counts(ids, after, **more), Outcomes.from_counts(ids, before)


def no_worse(candidate, baseline, **more):
    return judge_no_worse_than(candidate, baseline, subject=SUBJECT, **more)


class TestNoWorseThan:
    @pytest.mark.parametrize(
        ("gained", "lost", "tied", "state"),
        [
            (0, 0, 100, "passed"),
            (9, 5, 100, "passed"),
            (5, 8, 387, "passed"),  # a loss of 5 points is excluded
            (5, 8, 87, "undecided"),
            (3, 14, 83, "failed"),
            (0, 5, 45, "failed"),
            (0, 1, 0, "undecided"),
            (0, 2, 0, "undecided"),
        ],
    )
    def test_one_look_at_recorded_systems(self, gained, lost, tied, state):
        assert no_worse(*flips(gained, lost, tied)).state == state

    def test_the_result_gives_its_numbers(self):
        result = no_worse(*flips(5, 8, 87), rng=np.random.default_rng(0))
        assert (result.kind, result.pairs, result.margin) == ("no_worse_than", 100, 0.05)
        assert result.effect == pytest.approx(-0.03)
        assert result.low < -0.03 < result.high
        assert result.further_cases is None or result.further_cases > 0
        assert result.mde > 0.05
        assert "5 cases gained, 8 lost, 87 tied (-3.0 points)" in result.reason

    def test_more_gates_need_more_evidence(self):
        assert no_worse(*flips(3, 14, 83), rule=Rule(family=8)).state == "undecided"

    def test_missing_outputs_of_the_candidate_are_misses(self):
        before = outcomes(100, 0)
        assert no_worse(outcomes(90, 0, errored=10), before).state == "failed"
        assert no_worse(outcomes(100, 0), before).state == "passed"

    def test_missing_outputs_that_decide_fail_the_gate(self):
        result = no_worse(outcomes(49, 0, unscored=1), outcomes(50, 0))
        assert result.state == "failed"
        assert "at worst this is -2.0 points, at best 0.0 points" in result.reason
        many = no_worse(outcomes(499, 0, unscored=1), outcomes(500, 0))
        assert many.state == "passed"
        assert no_worse(outcomes(42, 7, unscored=1), outcomes(45, 5)).state == "undecided"

    def test_cases_outside_the_overlap_are_reported(self):
        candidate, baseline = outcomes(30, 0), outcomes(20, 0)
        result = no_worse(candidate, baseline)
        assert (result.pairs, result.state) == (20, "passed")
        assert "10 unpaired" in result.reason

    def test_without_an_overlap_nothing_is_judged(self):
        other = Outcomes.from_counts(["elsewhere"], [1])
        assert no_worse(outcomes(3, 0), other).state == "not_judged"
        assert no_worse(outcomes(3, 0, left_out=2), outcomes(5, 0)).state == "not_judged"

    def test_graded_metrics_are_compared_by_case(self):
        rng = np.random.default_rng(3)
        before = rng.uniform(0.3, 0.9, 120)
        baseline = outcomes(120, 0, values=before)
        same = outcomes(120, 0, values=before + rng.normal(0, 0.02, 120))
        worse = outcomes(120, 0, values=before - 0.1 + rng.normal(0, 0.05, 120))
        assert no_worse(same, baseline).state == "passed"
        assert no_worse(worse, baseline).state == "failed"
        assert screen(worse, baseline).flagged

    @pytest.mark.parametrize("groups", [None, [i // 4 for i in range(60)]])
    def test_fractions_and_clusters_say_too_how_many_cases_would_settle_it(self, groups):
        rng = np.random.default_rng(2)
        ids, chances = [f"c{i}" for i in range(60)], rng.random(60)
        before = Outcomes.from_counts(ids, rng.binomial(5, chances), 5)
        after = Outcomes.from_counts(ids, rng.binomial(5, chances * 0.95), 5, groups=groups)
        found = no_worse(after, before, rng=rng)
        assert found.state == "undecided"
        assert 0 < found.further_cases <= 800
        assert "would settle it" in found.reason

    def test_a_sequential_gate_excludes_a_loss_or_proves_one(self):
        rule = Rule(sequential=True)
        assert no_worse(*flips(2, 2, 146), rule=rule).state == "passed"
        assert no_worse(*flips(12, 2, 86), rule=rule).state == "passed"
        assert no_worse(*flips(1, 2, 37), rule=rule).state == "undecided"
        assert no_worse(*flips(2, 16, 82), rule=rule).state == "failed"


class TestTwoStages:
    rates = np.random.default_rng(7).beta(2, 0.5, 300)
    ids = tuple(f"c{i}" for i in range(300))

    def drawn(self, rng, epochs, *, drop=0.0):
        broken = np.arange(300) < 300 * drop
        rates = np.where(broken, 0.0, self.rates)
        return Outcomes.from_counts(self.ids, rng.binomial(epochs, rates), epochs)

    def test_the_screen_is_the_exact_stratified_test(self):
        rng = np.random.default_rng(1)
        candidate, baseline = self.drawn(rng, 1), self.drawn(rng, 5)
        strata = Strata.of(candidate.passed, 1, baseline.passed, 5)
        assert screen(candidate, baseline).pvalue == pytest.approx(unchanged_pvalue(strata))

    def test_a_flag_is_not_a_failure_until_fresh_epochs_confirm_it(self):
        rng = np.random.default_rng(2)
        candidate, baseline = self.drawn(rng, 1, drop=0.15), self.drawn(rng, 5)
        first = screen(candidate, baseline)
        assert first.flagged
        waiting = no_worse(candidate, baseline, screened=first)
        assert waiting.state == "undecided"
        assert "fresh epochs of both decide" in waiting.reason
        confirmed = replace(first, fresh=(self.drawn(rng, 3, drop=0.15), self.drawn(rng, 3)))
        assert no_worse(candidate, baseline, screened=confirmed).state == "failed"

    def test_a_lucky_baseline_is_forgiven_by_fresh_epochs_of_it(self):
        rng = np.random.default_rng(3)
        lucky = Outcomes.from_counts(self.ids, np.full(300, 5), 5)
        candidate = self.drawn(rng, 1)
        first = screen(candidate, lucky)
        assert first.flagged
        fresh = replace(first, fresh=(self.drawn(rng, 3), self.drawn(rng, 3)))
        assert no_worse(candidate, lucky, screened=fresh).state in ("passed", "undecided")

    def test_a_stored_baseline_needs_stricter_proof_than_a_fresh_one(self):
        n = 300
        stored = Outcomes.from_counts(self.ids, np.full(n, 4), 5)
        candidate = Outcomes.from_counts(self.ids, np.arange(n) % 3 > 0)
        again = Outcomes.from_counts(self.ids, np.where(np.arange(n) < 115, 1, 3), 3)
        same = Outcomes.from_counts(self.ids, stored.passed.copy(), 5)
        first = screen(candidate, stored)
        pvalue = screen(again, stored).pvalue
        assert 0.0005 < pvalue < 0.005
        against_fresh = no_worse(candidate, stored, screened=replace(first, fresh=(again, same)))
        against_stored = no_worse(candidate, stored, screened=replace(first, fresh=(again, stored)))
        assert (against_fresh.state, against_stored.state) == ("failed", "undecided")

    def test_an_unflagged_first_look_never_fails(self):
        rng = np.random.default_rng(4)
        candidate, baseline = self.drawn(rng, 1), self.drawn(rng, 5)
        first = replace(screen(candidate, baseline), flagged=False, pvalue=1e-9)
        assert no_worse(candidate, baseline, screened=first).state != "failed"

    def test_a_small_drop_everywhere_shows_when_suites_are_looked_at_together(self):
        rng = np.random.default_rng(1)
        sides = [(self.drawn(rng, 1, drop=0.05), self.drawn(rng, 5)) for _ in range(8)]
        together = compare_together(sides, varies=True)
        assert together.state == "below"
        assert together.pvalue < min(screen(*side).pvalue for side in sides)
        assert "8 suites together" in together.sentence
        assert "worse beyond chance" in together.sentence

    def test_looked_at_together_no_loss_is_told_with_what_would_have_been_seen(self):
        rng = np.random.default_rng(3)
        sides = [(self.drawn(rng, 1), self.drawn(rng, 5)) for _ in range(8)]
        together = compare_together(sides, varies=True)
        assert (together.state, together.level) == ("open", 0.0005)
        assert 0 < together.mde < 0.1
        assert "would have been seen" in together.sentence

    def test_answers_that_do_not_vary_are_looked_at_together_at_the_usual_level(self):
        ids = [f"c{i}" for i in range(40)]
        before = Outcomes.from_counts(ids, [1] * 40)
        after = Outcomes.from_counts(ids, [0] * 3 + [1] * 37)
        sides = [(after, before), (after, before)]
        assert compare_together(sides, varies=False).state == "below"
        assert compare_together(sides, varies=True).state == "open"

    def test_nothing_together_is_nothing(self):
        together = compare_together([], varies=True)
        assert (together.state, together.difference, together.mde) == ("open", None, None)

    def test_a_case_passes_when_all_its_metrics_hold(self):
        def scores(metric, *states):
            return [
                Score(case_id=f"c{i}", epoch=0, metric=metric, state=state)
                for i, state in enumerate(states)
            ]

        both = conjunction(
            [
                scores("a", "passed", "passed", "errored", "missed", "passed"),
                scores("b", "passed", "missed", "passed", "errored"),
            ]
        )
        assert [s.state for s in both] == ["passed", "missed", "errored", "missed", "not_run"]


class TestUntilDecided:
    rule = Rule(sequential=True)

    def states(self, sequences, counts):
        return [sequence.look(counts) for sequence in sequences]

    def test_a_run_is_settled_when_floor_and_target_are(self):
        sequences = watched(at_least=0.6, target=0.95, rule=self.rule)
        assert self.states(sequences, look(outcomes(0, 0, not_run=400))) == ["open", "open"]
        assert self.states(sequences, look(outcomes(70, 30, not_run=300))) == ["open", "below"]
        assert self.states(sequences, look(outcomes(160, 40, not_run=200))) == ["above", "below"]

    def test_a_critical_gate_is_settled_by_a_miss_alone(self):
        sequences = watched(critical=True, rule=self.rule)
        assert self.states(sequences, look(outcomes(400, 0))) == ["open"]
        assert self.states(sequences, look(outcomes(3, 1, not_run=400))) == ["below"]

    def test_a_regression_is_proven_or_a_loss_excluded(self):
        sequences = watched(no_worse_than=True, rule=self.rule)
        for counts, state in [((2, 2, 146), "above"), ((2, 16, 82), "below"), ((1, 2, 37), "open")]:
            candidate, baseline = flips(*counts)
            assert self.states(sequences, look(candidate, baseline)) == [state]

    def test_time_outs_settle_nothing(self):
        candidate = outcomes(160, 0, errored=40)
        found = look(candidate, outcomes(200, 0))
        assert (found.lost, found.unpaired) == (0, 40)
        assert self.states(watched(no_worse_than=True, rule=self.rule), found) == ["open"]

    def test_clusters_are_bet_on_one_at_a_time(self):
        groups = tuple(i // 20 for i in range(200))
        sequences = watched(at_least=0.6, rule=self.rule)
        assert self.states(sequences, look(outcomes(170, 30, groups=groups))) == ["open"]
        assert self.states(sequences, look(outcomes(170, 30))) == ["above"]
        assert at_least(outcomes(0, 200, groups=groups), 0.9, rule=self.rule).state == "failed"

    def test_graded_scores_are_bet_on_in_order(self):
        scores = np.random.default_rng(0).beta(8, 2, 200)
        data = outcomes(200, 0, values=scores)
        assert self.states(watched(at_least=0.6, rule=self.rule), look(data)) == ["above"]
        other_scale = outcomes(200, 0, values=100 * scores)
        assert self.states(watched(at_least=0.6, rule=self.rule), look(other_scale)) == ["open"]
        assert at_least(other_scale, 90.0, rule=self.rule).state == "failed"

    def test_paired_epochs_are_bet_on_by_case(self):
        ids = [f"c{i}" for i in range(200)]
        before, after = (Outcomes.from_counts(ids, [k] * 200, 5) for k in (4, 3))
        found = look(after, before)
        assert found.differences.tolist() == pytest.approx([-0.2] * 200)
        assert self.states(watched(no_worse_than=True, rule=self.rule), found) == ["below"]
        assert no_worse(after, before, rule=self.rule).state == "failed"


class TestCalibration:
    def gated(self, **more):
        rates = np.random.default_rng(5).choice([0, 0.5, 0.9, 1], 200, p=[0.1, 0.1, 0.2, 0.6])
        passed = np.random.default_rng(6).binomial(5, rates)
        scores = [
            Score(
                case_id=f"c{i}", epoch=epoch, metric="policy",
                state="passed" if epoch < held else "missed", value=float(epoch < held),
            )
            for i, held in enumerate(passed)
            for epoch in range(5)
        ]  # fmt: skip
        return Gated(subject=SUBJECT, stored=Stored.from_scores(scores), **more)

    def test_an_honest_gate_keeps_quiet_and_catches_a_drop(self):
        found = calibrate(
            [self.gated(no_worse_than=True)],
            rng=np.random.default_rng(0), builds=60, drops=(0.15,),
        )  # fmt: skip
        assert found.false_alarms.value <= 0.03
        assert found.false_alarms.high > 0
        assert found.detections["support/policy"][0.15].value >= 0.9
        assert found.epochs == 5

    def test_a_floor_above_the_system_cries_all_the_time(self):
        found = calibrate(
            [self.gated(at_least=0.95)], rng=np.random.default_rng(0), builds=20, drops=()
        )
        assert found.false_alarms.value == 1
        assert found.by_gate["support/policy"].value == 1

    def test_the_same_seed_gives_the_same_rates(self):
        one, two = (
            calibrate([self.gated(critical=True)], rng=np.random.default_rng(0), builds=10)
            for _ in range(2)
        )
        assert one == two

    def test_no_gates_raise_no_alarm(self):
        assert calibrate([], rng=np.random.default_rng(0), builds=10).false_alarms.value == 0


class TestComparability:
    stored = Measured(cases={"a": "1", "b": "2", "c": "3"}, metrics={"policy": "1", "tone": "1"})

    def test_the_same_measurements_have_no_differences(self):
        found = comparability(self.stored, self.stored)
        assert found.same
        assert found.comparable
        assert found.differences == ()

    def test_what_differs_is_listed_and_the_overlap_kept(self):
        now = Measured(cases={"a": "1", "b": "9", "d": "4"}, metrics={"policy": "2", "tone": "1"})
        found = comparability(self.stored, now)
        assert found.cases == ("a",)
        assert found.metrics == ("tone",)
        assert found.differences == (
            "1 case changed since the baseline: b",
            "1 case not in the baseline: d",
            "1 case in the baseline only: c",
            "1 metric changed since the baseline: policy",
        )

    def test_what_is_not_known_is_taken_for_the_same(self):
        unknown = Measured(cases=dict.fromkeys("abc"), metrics={"policy": None, "tone": "1"})
        assert comparability(self.stored, unknown).same

    def test_nothing_in_common_is_not_comparable(self):
        other = Measured(cases={"z": "1"}, metrics={"policy": "1"})
        assert not comparability(self.stored, other).comparable
