"""Two systems on the same cases, paired by case id."""

import itertools
import json
import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.comparison import (
    Change,
    Names,
    adjust,
    changed_parts,
    compare,
    compare_all,
    compare_slices,
)
from harness.pairs import pair, worst_case_difference
from harness.statistics import Outcomes

DATA = Path(__file__).parents[2] / "shared" / "data"
NAMES = Names(suite="support", metric="policy", baseline="prompt", candidate="rag")


def rows(path):
    if not path.exists():
        pytest.skip(f"needs the public data set {path.parts[-3]}")
    return [json.loads(line) for line in path.read_text().splitlines()]


def of(gained, lost, tied):
    """Baseline and candidate with so many flips, half of the ties passed."""
    before = [0] * gained + [1] * lost + [i % 2 for i in range(tied)]
    after = [1] * gained + [0] * lost + [i % 2 for i in range(tied)]
    ids = [f"c{i}" for i in range(len(before))]
    return dict(zip(ids, before, strict=True)), dict(zip(ids, after, strict=True))


def test_flips_are_counted_and_the_difference_is_candidate_minus_baseline():
    found = compare(*of(61, 19, 320), names=NAMES)
    assert (found.gained, found.lost, found.tied, found.unpaired) == (61, 19, 320, 0)
    assert found.difference == pytest.approx(0.105)
    assert found.low < 0.105 < found.high
    assert found.state == "above"
    assert found.evalue > 20
    assert found.method == "exact McNemar, Bonett-Price"


def test_cases_are_joined_by_id_and_never_by_position():
    before, after = of(5, 3, 12)
    shuffled = dict(reversed(after.items()))
    straight, reordered = (compare(before, a, names=NAMES) for a in (after, shuffled))
    assert (straight.gained, straight.lost) == (reordered.gained, reordered.lost) == (5, 3)


def test_cases_that_one_side_lacks_are_listed_and_counted():
    before = {"a": 1, "b": 0, "c": None, "d": 1}
    after = {"b": 1, "c": 1, "d": math.nan, "e": 0}
    pairs = pair(before, after)
    assert pairs.case_ids == ("b",)
    assert sorted(pairs.unpaired) == ["a", "c", "d", "e"]
    assert compare(before, after, names=NAMES).unpaired == 4


def test_without_pairs_nothing_is_said():
    found = compare({"a": 1}, {"b": 1}, names=NAMES)
    assert found.state == "open"
    numbers = (found.difference, found.low, found.high, found.pvalue, found.evalue, found.mde)
    assert numbers == (None,) * 6
    assert found.unpaired == 2


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_pairs_prove_nothing(n):
    before, after = of(n, 0, 0)
    found = compare(before, after, names=NAMES)
    assert found.state == "open"
    assert found.pvalue == pytest.approx(2 / 2**n)


@pytest.mark.parametrize("value", [0, 1])
def test_two_systems_that_always_agree_are_not_called_different(value):
    scores = {f"c{i}": value for i in range(50)}
    found = compare(scores, scores, names=NAMES)
    assert (found.difference, found.pvalue, found.state) == (0, 1, "open")
    assert found.low < 0 < found.high
    assert found.mde > 0.05


def test_what_could_have_been_seen_stands_beside_no_difference():
    found = compare(*of(20, 20, 360), names=NAMES)
    assert found.state == "open"
    assert found.mde == pytest.approx(0.0516, abs=0.001)


def test_pass_fractions_over_epochs_are_compared_by_case():
    rng = np.random.default_rng(1)
    ids = [f"c{i}" for i in range(60)]
    before = Outcomes.from_counts(ids, rng.binomial(5, 0.5, 60), 5)
    after = Outcomes.from_counts(ids, rng.binomial(5, 0.7, 60), 5)
    found = compare(before, after, names=NAMES)
    assert found.method == "sign-flip test, BCa bootstrap"
    assert found.state == "above"
    assert found.gained + found.lost + found.tied == 60


def test_graded_scores_are_compared_by_case_too():
    before = {f"c{i}": 0.5 + (i % 7) / 50 for i in range(40)}
    after = {case: value + 0.01 * (i % 3 - 1) for i, (case, value) in enumerate(before.items())}
    found = compare(before, after, names=NAMES)
    assert found.method == "sign-flip test, BCa bootstrap"
    assert found.state == "open"


def test_clusters_are_the_unit_where_they_are_given():
    before, after = of(30, 10, 60)
    groups = {case: i // 10 for i, case in enumerate(before)}
    alone = compare(before, after, names=NAMES)
    together = compare(before, after, names=NAMES, groups=groups)
    assert alone.state == "above"
    assert together.state == "open"
    assert together.pvalue > alone.pvalue


def test_clusters_that_all_gain_alike_are_no_proof_of_nothing():
    before = {f"c{i}": 0 for i in range(100)}
    after = {case: i % 2 for i, case in enumerate(before)}
    groups = {case: i // 10 for i, case in enumerate(before)}
    found = compare(before, after, names=NAMES, groups=groups)
    assert found.pvalue == pytest.approx(2 / 2**10)  # two of the 1,024 ways to swap ten signs
    assert found.state == "above"


def test_five_clusters_prove_nothing_at_the_five_percent_level():
    before = {f"c{i}": 0 for i in range(50)}
    after = {case: i % 10 < 5 + i // 10 for i, case in enumerate(before)}
    groups = {case: i // 10 for i, case in enumerate(before)}
    found = compare(before, after, names=NAMES, groups=groups)
    assert found.pvalue == pytest.approx(2 / 2**5)
    assert found.state == "open"


def test_every_pair_is_compared_from_the_lower_rung():
    systems = {"lora": {"a": 1}, "rag": {"a": 1}, "zero": {"a": 0}, "few": {"a": 1}}
    rungs = {"lora": "fine_tuned", "rag": "rag", "zero": "prompt", "few": "prompt"}
    found = compare_all(systems, suite="s", metric="m", rungs=rungs)
    assert [(c.baseline, c.candidate) for c in found] == [
        ("zero", "few"), ("zero", "rag"), ("zero", "lora"),
        ("few", "rag"), ("few", "lora"), ("rag", "lora"),
    ]  # fmt: skip


def test_a_correction_takes_proof_away_and_never_adds_it():
    strong, weak = compare(*of(60, 10, 330), names=NAMES), compare(*of(30, 16, 354), names=NAMES)
    nothing = compare({"a": 1}, {"b": 1}, names=NAMES)
    adjusted = adjust([strong, weak, weak, nothing])
    assert [c.state for c in adjusted] == ["above", "open", "open", "open"]
    assert adjusted[3].pvalue_adjusted is None
    assert all(c.pvalue_adjusted >= c.pvalue for c in adjusted[:3])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=40))
def test_swapping_the_systems_turns_everything_round(outcomes):
    before = {f"c{i}": a for i, (a, _) in enumerate(outcomes)}
    after = {f"c{i}": b for i, (_, b) in enumerate(outcomes)}
    one, other = compare(before, after, names=NAMES), compare(after, before, names=NAMES)
    assert (one.gained, one.lost) == (other.lost, other.gained)
    assert one.low == pytest.approx(-other.high)
    assert one.pvalue == pytest.approx(other.pvalue)
    assert one.evalue == pytest.approx(other.evalue)


def test_flips_are_named():
    pairs = pair({"a": 0, "b": 1, "c": 1}, {"a": 1, "b": 0, "c": 1})
    assert pairs.flips() == (("a",), ("b",))


def test_slices_are_explored_by_tag():
    before, after = of(40, 2, 158)
    tags = {case: ["hard"] if i < 60 else ["easy", "long"] for i, case in enumerate(before)}
    found = compare_slices(pair(before, after), tags, names=NAMES)
    assert list(found) == ["easy", "hard", "long"]
    assert found["hard"].state == "above"
    assert found["easy"].state == "open"
    assert all(c.pvalue_adjusted >= c.pvalue for c in found.values())


def test_a_system_that_lacks_half_its_outputs_is_bounded():
    ids = [f"c{i}" for i in range(100)]
    before = Outcomes.from_counts(ids, [1] * 80 + [0] * 20)
    zero = np.zeros(100, dtype=int)
    half = np.arange(100) < 50
    after = Outcomes(
        case_ids=tuple(ids), passed=half.astype(int), missed=zero, unscored=zero,
        errored=(~half).astype(int), not_run=zero,
    )  # fmt: skip
    found = compare(before, after, names=NAMES)
    assert found.unpaired == 50
    assert worst_case_difference(before, after) == pytest.approx((-0.3, 0.2))
    other = Outcomes.from_counts(["elsewhere"], [1])
    assert worst_case_difference(before, other) is None


def scored(states):
    """Outcomes of one epoch: 1 passed, 0 missed, None errored."""
    made = [np.array([state is want for state in states], dtype=int) for want in (1, 0, None)]
    zero = np.zeros(len(states), dtype=int)
    return Outcomes(
        case_ids=tuple(f"c{i}" for i in range(len(states))),
        passed=made[0],
        missed=made[1],
        errored=made[2],
        unscored=zero,
        not_run=zero,
    )


def test_outputs_that_got_lost_prove_no_difference():
    before = scored([1] * 70 + [0] * 30)
    after = scored([1] * 65 + [None] * 35)
    found = compare(before, after, names=NAMES)
    assert (found.unpaired, found.state) == (35, "open")
    assert found.low < -0.04 < found.difference
    assert found.method.endswith("missing outputs at their worst")
    (adjusted,) = adjust([found])
    assert adjusted.state == "open"


def test_a_difference_that_the_lost_outputs_cannot_undo_is_proven():
    before = scored([1] * 40 + [0] * 160)
    after = scored([None] * 5 + [1] * 95 + [0] * 100)
    found = compare(before, after, names=NAMES)
    assert found.state == "above"
    assert found.pvalue > compare(before, scored([1] * 100 + [0] * 100), names=NAMES).pvalue


STATES = st.lists(
    st.tuples(*[st.sampled_from([1, 1, 0, None])] * 2, st.booleans(), st.booleans()), min_size=1
)


@given(rows=STATES)
def test_what_is_proven_holds_whatever_the_lost_outputs_would_have_been(rows):
    before, after, fill_before, fill_after = zip(*rows, strict=True)
    found = compare(scored(before), scored(after), names=NAMES)
    filled = [
        scored([int(as_) if state is None else state for state, as_ in zip(*side, strict=True)])
        for side in ((before, fill_before), (after, fill_after))
    ]
    known = compare(*filled, names=NAMES)
    assert found.low is None or found.low <= known.difference + 1e-9
    assert found.high is None or found.high >= known.difference - 1e-9
    if found.state != "open":
        assert found.state == known.state
        assert known.pvalue <= found.pvalue + 1e-12


def test_what_changed_stands_side_by_side():
    changes = changed_parts({"prompt": "a", "model": "m"}, {"prompt": "b", "model": "m", "k": "4"})
    assert changes == (
        Change(part="k", baseline=None, candidate="4"),
        Change(part="prompt", baseline="a", candidate="b"),
    )


def test_a_million_cases_are_compared():
    rng = np.random.default_rng(0)
    ids = tuple(f"c{i}" for i in range(1_000_000))
    before = rng.random(len(ids)) < 0.8
    after = np.where(rng.random(len(ids)) < 0.05, ~before, before)
    systems = {"a": Outcomes.from_counts(ids, before), "b": Outcomes.from_counts(ids, after)}
    (found,) = compare_all(systems, suite="s", metric="m")
    assert found.gained + found.lost + found.tied == 1_000_000
    assert found.state == "below"


def banking77():
    folder = DATA / "banking77"
    truth = {row["id"]: row["label"] for row in rows(folder / "test.jsonl")}
    return {
        name: {
            row["id"]: float(row["output"] == truth[row["id"]])
            for row in rows(folder / "outputs" / f"{name}.jsonl")
        }
        for name in ("knn_word", "logreg_word", "logreg_char")
    }


def test_banking77_char_against_word_is_not_called_proven_among_three():
    systems = banking77()
    assert {name: sum(s.values()) for name, s in systems.items()} == {
        "knn_word": 2437, "logreg_word": 2772, "logreg_char": 2796,
    }  # fmt: skip
    found = {
        (c.baseline, c.candidate): c for c in compare_all(systems, suite="b77", metric="right")
    }
    close = found["logreg_word", "logreg_char"]
    assert (close.gained, close.lost) == (80, 56)
    assert round(close.pvalue, 4) == 0.0482
    assert close.pvalue_adjusted > 0.05
    assert close.state == "open"
    assert found["knn_word", "logreg_char"].state == "above"


def bbh(prompt):
    """Right or wrong per task and question, scored as the data set says."""
    scores = defaultdict(dict)
    for row in rows(DATA / "bbh" / "outputs" / f"{prompt}.jsonl"):
        answer = row["output"]
        if prompt == "cot":
            answer = answer.split("answer is ", 1)[-1].strip()
            answer = answer[:-1] if answer.endswith(".") else answer
        scores[row["task"]][row["id"]] = float(answer.strip() == row["target"])
    return scores


def test_bbh_accuracies_are_the_recorded_ones_and_each_task_is_compared():
    systems = {prompt: bbh(prompt) for prompt in ("direct", "cot")}
    for prompt, tasks in systems.items():
        for row in rows(DATA / "bbh" / "recorded" / f"{prompt}.jsonl"):
            scores = tasks[row["task"]]
            assert 100 * sum(scores.values()) / len(scores) == pytest.approx(row["accuracy"])
    found = adjust(
        [
            compare(systems["direct"][task], systems["cot"][task],
                    names=Names(suite=task, metric="right", baseline="direct", candidate="cot"))
            for task in systems["direct"]
        ]
    )  # fmt: skip
    assert len(found) == 9
    assert {c.suite: c.state for c in found}["multistep_arithmetic_two"] == "above"
    for c in found:
        paired = itertools.chain([c.gained, c.lost, c.tied])
        assert sum(paired) == len(systems["cot"][c.suite])
