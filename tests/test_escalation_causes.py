"""Causes of misses found by rule, and tasks that one suite holds, in the evidence of a run."""

from __future__ import annotations

from dataclasses import replace

import pytest
from test_escalation_run import Toy, states

from harness.error_analysis import CATEGORIES
from harness.escalation import judge
from harness.escalation.headroom import REMEDIES

CLASSICAL = """
models:
  base: {transformers: some/model}
systems:
  keywords: {kind: classical, training: train.jsonl}
  zero-shot: {kind: prompt, model: base, prompt: p.j2}
suites:
  toy: {champion: zero-shot, target: 0.7}
"""


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


def categorise(toy, system, *causes):
    """Give the misses of a system their causes, in order, as the rules of a run do."""
    left = list(causes)
    for row in toy.scores:
        mine = row["system"] == system and row["state"] == "missed"
        row["category"] = (left.pop(0) if left else "unknown") if mine else None


def waterfall(evidence):
    rows = judge(evidence).expected["headroom"]["waterfall"]
    return {row["cause"]: (row["misses"], row["remedy"]) for row in rows}


class TestCausesByRule:
    def test_fill_the_waterfall_of_a_system_that_retrieves(self, toy):
        toy.suite("toy", {"zero-shot": states(10, 90), "rag": states(40, 60)})
        categorise(toy, "rag", *["unused_fact"] * 30, *["missing_fact"] * 20)
        evidence = toy.evidence()
        assert evidence.misses.by_rule
        assert dict(evidence.misses.causes) == {
            "unused_fact": 30, "missing_fact": 20, "unknown": 10,
        }  # fmt: skip
        assert waterfall(evidence) == {
            "unused_fact": (30, REMEDIES["unused_fact"]),
            "missing_fact": (20, "better retrieval"),
            "unknown": (10, "tagging"),
        }

    def test_an_unused_fact_was_there_and_is_none_that_retrieval_could_bring(self, toy):
        toy.suite("toy", {"zero-shot": states(10, 90), "rag": states(40, 60)})
        categorise(toy, "rag", *["unused_fact"] * 60)
        at_most = judge(toy.evidence()).expected["headroom"]["at_most"]
        assert at_most["facts"] == 0.0

    def test_misses_of_unknown_cause_may_all_lack_a_fact(self, toy):
        toy.suite("toy", {"zero-shot": states(10, 90), "rag": states(40, 60)})
        categorise(toy, "rag", *["unused_fact"] * 20)
        at_most = judge(toy.evidence()).expected["headroom"]["at_most"]
        assert at_most["facts"] == pytest.approx(0.4)
        categorise(toy, "rag")
        at_most = judge(toy.evidence()).expected["headroom"]["at_most"]
        assert at_most["facts"] == "not measured"
        assert waterfall(toy.evidence()) == {"unknown": (60, "tagging")}

    def test_ask_nobody_to_go_on_looking_as_causes_by_hand_do(self, toy):
        toy.suite("toy", {"zero-shot": states(20, 80), "few-shot": states(30, 70)})
        categorise(toy, "few-shot", *["format"] * 60)
        by_rule = toy.evidence()
        by_hand = replace(by_rule, misses=replace(by_rule.misses, by_rule=False))
        selection = replace(by_rule.selection, prompt_systems=5)
        found = [judge(replace(evidence, selection=selection)) for evidence in (by_rule, by_hand)]
        assert [verdict.action for verdict in found] == ["collect_data", "look_at_misses"]
        assert "causes of misses set by rule, not by a person" in found[0].conditions

    def test_what_a_person_said_goes_before_them(self, toy):
        toy.suite("toy", {"zero-shot": states(10, 90), "rag": states(40, 60)})
        categorise(toy, "rag", *["unused_fact"] * 60)
        toy.categories = [
            {"suite": "toy", "system": "rag", "category": "reasoning", "count": 5, "by_hand": 5}
        ]
        misses = toy.evidence().misses
        assert not misses.by_rule
        assert dict(misses.causes) == {"reasoning": 5}

    def test_a_case_counts_once_and_only_where_it_is_judged(self, toy):
        cases = {i: {"metadata": {"split": "locked" if i < 50 else "dev"}} for i in range(100)}
        metrics = ("right", "short")
        systems = {"zero-shot": states(0, 100), "rag": states(10, 80) + states(10, 0)}
        toy.suite("toy", systems, cases=cases, metrics=metrics, split="locked")
        categorise(toy, "rag", *["format"] * 160)
        for row in toy.scores:  # two metrics that disagree name no cause
            if row["system"] == "rag" and row["case"] == "c10" and row["metric"] == "short":
                row["category"] = "truncated"
        assert dict(toy.evidence().misses.causes) == {"format": 39, "unknown": 1}

    def test_averaged_epochs_count_for_as_much_as_was_missed(self, toy):
        toy.suite("toy", {"zero-shot": states(0, 40), "rag": states(0, 40)})
        for i in range(40):
            toy.score("toy", "rag", i, "right", "passed", epoch=1)
        categorise(toy, "rag", *["format"] * 40)
        misses = toy.evidence().misses
        assert (misses.total, dict(misses.causes)) == (20, {"format": 20})

    def test_every_cause_that_a_rule_can_name_has_a_remedy(self):
        assert set(CATEGORIES) <= REMEDIES.keys()


class TestScope:
    def cases(self):
        return {i: {"tags": ["easy" if i < 100 else "hard"]} for i in range(200)}

    def scope(self, toy):
        return judge(toy.evidence()).would_change.get("scope")

    def test_is_of_the_system_that_the_verdict_speaks_about(self, tmp_path):
        toy = Toy(tmp_path, CLASSICAL)
        systems = {"keywords": states(160, 40), "zero-shot": states(10, 190)}
        toy.suite("toy", systems, cases=self.cases())
        evidence = toy.evidence()
        assert judge(evidence).action == "step_down"
        scope = self.scope(toy)
        assert (scope["system"], scope["reach"]) == ("keywords", ["easy"])
        assert [part["tag"] for part in scope["rest"]] == ["hard"]

    def test_another_systems_tasks_are_not_the_verdicts(self, tmp_path):
        toy = Toy(tmp_path, CLASSICAL)
        even = ["passed", "passed", "passed", "passed", "missed"] * 40
        systems = {"keywords": even, "zero-shot": states(60, 140)}
        toy.suite("toy", systems, cases=self.cases())
        assert judge(toy.evidence()).action == "step_down"
        assert self.scope(toy) is None


class TestTrainingRows:
    def test_are_read_from_what_a_training_left_beside_its_adapter(self, toy):
        toy.suite("toy", {"few-shot": states(30, 70), "lora": states(60, 40)})
        (toy.folder / "a").mkdir()
        assert [s.training_rows for s in toy.evidence().systems] == [None, None]
        (toy.folder / "a" / "rung.json").write_text('{"rows": 754}')
        assert [s.training_rows for s in toy.evidence().systems] == [None, 754]

    def test_of_a_broken_record_are_not_known(self, toy):
        toy.suite("toy", {"lora": states(60, 40)})
        (toy.folder / "a").mkdir()
        for text in ("{", "[]", '{"rows": "many"}', '{"rows": 0}'):
            (toy.folder / "a" / "rung.json").write_text(text)
            assert toy.evidence().systems[0].training_rows is None
