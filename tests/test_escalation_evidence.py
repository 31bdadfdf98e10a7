"""Evidence makes a verdict; what is absent is said, not assumed."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import pytest
from evidence_documents import earned, first_afternoon, pair, rate, system, without
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.config import schema
from harness.errors import ConfigError
from harness.escalation import evidence_from_json, evidence_to_json, judge, rejudge
from harness.escalation.evidence import (
    Evidence,
    Judge,
    Misses,
    Paired,
    Pilot,
    Rate,
    Readiness,
    Selection,
    Settings,
    SystemEvidence,
)
from harness.escalation.fragility import action_of
from harness.escalation.states import every_look
from harness.types import ACTIONS

GOLDEN = sorted((Path(__file__).parent / "golden_evidence").glob("*.json"))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1000).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))))
def test_any_counts_of_one_prompt_make_a_verdict(counts):
    n, passed = counts
    found = judge(evidence_from_json(first_afternoon(passed, n)))
    assert found.action in ("stay_on_prompt", "run_more_cases", "improve_prompt")
    json.dumps(found.evidence, allow_nan=False)


OPTIONAL = sorted(set(earned()) - {"suite", "target", "systems"})


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(OPTIONAL)), st.sets(st.integers(0, 4), min_size=1), st.data())
def test_any_part_of_the_evidence_makes_a_verdict_or_is_refused_with_a_field(gone, kept, data):
    document = without(earned(), *gone)
    document["systems"] = [document["systems"][i] for i in sorted(kept)]
    for one in document["systems"]:
        if data.draw(st.booleans()):
            one["outcomes"]["passed"] = data.draw(st.integers(-1, 401))
    refused = None
    try:
        found = judge(evidence_from_json(document))
    except ConfigError as error:
        refused = error
    if refused is not None:
        assert refused.key
    else:
        json.dumps(asdict(found), allow_nan=False)
        assert rejudge({"evidence": found.evidence}) == found


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_a_number_is_refused(value):
    with pytest.raises(ConfigError) as caught:
        evidence_from_json(first_afternoon() | {"target": value})
    assert caught.value.key == "target"


def test_no_scored_case_is_nothing_to_judge():
    with pytest.raises(ConfigError, match="nothing to judge"):
        evidence_from_json(first_afternoon(0, 0))


@pytest.mark.parametrize("document", [[], None, "evidence", {}])
def test_what_is_no_evidence_at_all_is_refused(document):
    with pytest.raises(ConfigError):
        evidence_from_json(document)


@pytest.mark.parametrize("file", GOLDEN, ids=[file.stem for file in GOLDEN])
def test_practitioners_cases_get_the_answer_that_was_given(file):
    known = json.loads(file.read_text("utf-8"))
    answer, found = known["answer"], judge(evidence_from_json(known["evidence"]))
    assert (found.action, found.row) == (answer["action"], answer["row"]), found.sentence
    for words in answer["says"]:
        assert words in " ".join((found.sentence, *found.conditions))
    if "method" in answer:
        assert found.next_step["method"] == answer["method"]
    if "reach" in answer:
        assert found.would_change["scope"]["several_tasks"]
        assert found.would_change["scope"]["reach"] == answer["reach"]
    assert len(found.would_change.get("opinions", ())) == answer.get("opinions", 0)
    assert known["evidence"]["assumes"]
    assert evidence_to_json(evidence_from_json(known["evidence"])) == found.evidence


class TestTheFirstHour:
    """120 cases, one prompt, nothing else."""

    def test_too_close_to_call_still_leans_and_says_what_it_costs(self):
        found = judge(evidence_from_json(first_afternoon(92)))
        assert found.action == "run_more_cases"
        assert found.leaning == "'zero-shot' leans to: falls short of the target"
        assert found.next_step["cost"]["cases"] > 0

    def test_a_target_within_a_point_cannot_be_settled_and_says_so(self):
        found = judge(evidence_from_json(first_afternoon(96)))
        note = found.would_change["further_cases"]["zero-shot"]["note"]
        assert "cannot settle" in note
        assert "cannot settle" in found.next_step["do"]

    def test_one_prompt_below_the_target_is_a_reason_to_write_more(self):
        found = judge(evidence_from_json(first_afternoon(60)))
        assert found.action == "improve_prompt"
        assert found.next_step["cost"] == {"prompts": 2, "calls": 240}

    def test_what_was_done_without_is_named(self):
        found = judge(evidence_from_json(first_afternoon(112)))
        said = " ".join(found.conditions)
        assert "unlocked: optimistic" in said
        assert "cases treated as independent" in said


class TestAbsentInputs:
    """Rows that lack their evidence are passed over, and named."""

    def said(self, document):
        return " ".join(judge(evidence_from_json(document)).conditions)

    def test_without_a_probe(self):
        assert "no stronger base model was tried" in self.said(earned())

    def test_without_an_oracle(self):
        document = earned()
        document["systems"].pop()
        document["pairs"].pop()
        assert "headroom of retrieval not measured" in self.said(document)

    def test_without_tags(self):
        document = without(earned(), "pairs", "misses")
        document["systems"] = document["systems"][:3]
        assert "misses are not tagged" in self.said(document)

    def test_without_a_retained_suite_there_is_no_gpu(self):
        found = judge(evidence_from_json(without(earned(), "retained")))
        assert found.action == "run_more_cases"
        assert any("forgetting not measured" in text for text in found.conditions)
        assert found.next_step["cost"]["cases"] == 600

    def test_without_labels_a_judge_is_not_calibrated(self):
        assert "judge not calibrated" in self.said(first_afternoon(112) | {"judged": True})

    def test_without_known_hosts_a_private_suite_says_so(self):
        document = first_afternoon(112) | {"limits": {"private": True}}
        assert "not known of zero-shot: whether its answers leave the house" in self.said(document)

    def test_without_prices(self):
        assert "not assessed: whether it is worth the money" in self.said(earned())

    def test_with_a_models_size_the_hardware_of_the_step_is_estimated(self):
        document = earned() | {"training": {"parameters": 7e9, "tokens_per_row": 900}}
        document["training"]["gpus"] = {"h100-80gb": 2.5, "t4": 0.4}
        rows = judge(evidence_from_json(document)).expected["gpu"]
        assert {row["gpu"] for row in rows} == {"h100-80gb", "t4"}
        assert {row["tuning"] for row in rows} == {"full", "lora", "qlora"}
        assert all(row["money"] > 0 and row["hours"] > 0 for row in rows)


class TestStatistics:
    """The claims behind the rows."""

    def state(self, document):
        return judge(evidence_from_json(document)).confidence["claims"]["A"]["state"]

    def test_one_exact_look_decides_at_the_published_counts(self):
        document = first_afternoon(101) | {"target": 0.9}
        assert self.state(document) == "below"
        document["systems"][0]["outcomes"]["passed"] = 102
        assert self.state(document) == "open"

    def test_looking_in_batches_needs_more(self):
        document = first_afternoon(96) | {"target": 0.9, "settings": {"sequential": True}}
        assert self.state(document) == "below"
        document["systems"][0]["outcomes"]["passed"] = 97
        assert self.state(document) == "open"

    def test_clusters_are_worth_fewer_cases(self):
        document = first_afternoon(104)
        assert self.state(document) == "above"
        document["systems"][0]["outcomes"] |= {"n_effective": 40.0, "clusters": 24}
        assert self.state(document) == "open"

    def test_looks_at_clusters_seldom_alarm_when_nothing_is_to_be_found(self):
        rng = np.random.default_rng(4)
        error = 0.5 / np.sqrt(np.arange(5, 200))
        walks = np.cumsum(rng.normal(size=(2000, 199)), axis=1)[:, 4:] / np.arange(5, 200) * 0.5
        ever = [
            any(
                every_look(float(z), float(e)) <= 0.05
                for z, e in zip(walk / error, error, strict=True)
            )
            for walk in walks[:400]
        ]
        assert np.mean(ever) <= 0.075

    def test_the_best_of_many_prompts_pays_for_the_choice_unless_made_on_dev_cases(self):
        document = first_afternoon(106)
        assert self.state(document) == "above"
        others = [system(f"try-{i}", "prompt", 95 + i % 5, 120) for i in range(9)]
        document["systems"] += others
        assert self.state(document) == "open"
        for i, one in enumerate(document["systems"]):
            one["dev"] = rate(100 if i == 0 else 80, 120)
        assert self.state(document) == "above"

    def test_a_judge_that_passes_bad_answers_is_seen_through(self):
        document = first_afternoon(345, 400) | {"judged": True}
        assert self.state(document) == "above"
        lenient = {"true_passes": 98, "false_misses": 2, "true_misses": 70, "false_passes": 30}
        assert self.state(document | {"judge": lenient}) == "open"

    def test_missing_outputs_count_at_their_worst(self):
        document = first_afternoon(107)
        assert self.state(document) == "above"
        document["systems"][0]["outcomes"] = rate(107, 120, missing=30)
        assert self.state(document) == "open"

    def test_few_flips_in_clusters_are_no_proof(self):
        document = earned()
        document["pilot"]["gain"] = {
            "gained": 3, "lost": 0, "tied": 397, "standard_error": 0.004, "clusters": 300,
        }  # fmt: skip
        claims = judge(evidence_from_json(document)).confidence["claims"]
        assert claims["F"]["state"] == "open"

    def test_confidence_is_the_weakest_link_and_named(self):
        document = earned()
        document["retained"] = {"gained": 10, "lost": 32, "tied": 758}
        found = judge(evidence_from_json(document))
        assert found.action == "escalate_to_gpu"
        assert found.confidence["weakest"] == "what tuning forgets"
        assert 0.95 < found.confidence["value"] < 0.999
        assert "some general skill is lost, surely less than is tolerated" in found.reasons


def stronger_model(passed, better):
    """Prompts that pass so many of 60 cases, and a stronger base model that passes some others."""
    return first_afternoon() | {
        "systems": [
            system("zero-shot", "prompt", passed, 60),
            system("described", "prompt", passed - 2, 60),
            system("few-shot", "prompt", passed - 5, 60, few_shot=True),
            system("bigger", "prompt", better, 60, probe=True),
        ],
    }


def action_at(document, target):
    return action_of(evidence_from_json(document | {"target": target}))


class TestWhatWouldChangeIt:
    """Fragility, other targets, scope."""

    def test_the_fewest_flips_are_the_fewest(self):
        document = first_afternoon(112)
        found = judge(evidence_from_json(document))
        flips = found.would_change["flips"]["cases"]
        document["systems"][0]["outcomes"]["passed"] = 112 - flips
        assert judge(evidence_from_json(document)).action == found.would_change["flips"]["becomes"]
        document["systems"][0]["outcomes"]["passed"] = 112 - flips + 1
        assert judge(evidence_from_json(document)).action == found.action

    def test_the_target_at_which_it_changes_changes_it(self):
        found = judge(evidence_from_json(first_afternoon(112)))
        higher = found.would_change["target"]["higher"]
        again = rejudge({"evidence": found.evidence}, target=higher["target"])
        assert again.action == higher["becomes"] != found.action
        assert rejudge({"evidence": found.evidence}, target=higher["target"] - 0.005).action == (
            found.action
        )

    @settings(max_examples=30)
    @example(passed=50, better=60, target=80)
    @given(passed=st.integers(20, 60), better=st.integers(20, 60), target=st.integers(40, 98))
    def test_no_nearer_target_changes_it(self, passed, better, target):
        # Between targets that the prompt may reach and those that nothing surely reaches lie a few
        # that a stronger model alone reaches: further out the action is what it was.
        document = stronger_model(passed, better) | {"target": target / 100}
        found = judge(evidence_from_json(document))
        half_points = [step / 200 for step in range(1, 200)]
        others = [t for t in half_points if action_at(document, t) != found.action]
        expected = {
            "lower": max((t for t in others if t < document["target"]), default=None),
            "higher": min((t for t in others if t > document["target"]), default=None),
        }
        named = found.would_change["target"]
        assert {side: at["target"] for side, at in named.items()} == {
            side: at for side, at in expected.items() if at is not None
        }
        assert all(action_at(document, at["target"]) == at["becomes"] for at in named.values())

    def test_a_verdict_judged_again_under_its_own_target_is_the_same(self):
        found = judge(evidence_from_json(earned()))
        assert rejudge({"evidence": found.evidence}) == found

    def test_a_target_that_cannot_be_is_refused(self):
        found = judge(evidence_from_json(first_afternoon()))
        with pytest.raises(ConfigError, match="between 0 and 1"):
            rejudge({"evidence": found.evidence}, target=85)
        with pytest.raises(ConfigError, match="holds no evidence"):
            rejudge({})

    def test_tags_that_differ_make_several_tasks(self):
        document = first_afternoon(300, 400)
        document["slices"] = [
            {"tag": "easy", "system": "zero-shot", "outcomes": rate(195, 200)},
            {"tag": "hard", "system": "zero-shot", "outcomes": rate(105, 200)},
        ]
        scope = judge(evidence_from_json(document)).would_change["scope"]
        assert scope["reach"] == ["easy"]
        assert [part["tag"] for part in scope["rest"]] == ["hard"]
        document["slices"][0]["outcomes"]["passed"] = 155
        document["slices"][1]["outcomes"]["passed"] = 145
        assert "scope" not in judge(evidence_from_json(document)).would_change

    def test_misses_fall_by_cause(self):
        document = without(earned(), "pairs", "pilot", "retained", "readiness")
        document["systems"] = document["systems"][:3]
        causes = {"missing_fact": 60, "format": 20, "bad_label": 4}
        document["misses"] = {"system": "few-shot", "total": 180, "causes": causes}
        headroom = judge(evidence_from_json(document)).expected["headroom"]
        assert [row["cause"] for row in headroom["waterfall"]] == [
            "unknown", "missing_fact", "format", "bad_label",
        ]  # fmt: skip
        assert headroom["waterfall"][1]["points"] == 0.15
        assert headroom["at_most"]["retrieval"] == "not measured"

    def test_leaks_that_change_nothing_are_a_condition_only(self):
        document = first_afternoon(112)
        document["leakage"] = {"suspected": 10, "without": {"zero-shot": rate(103, 110)}}
        found = judge(evidence_from_json(document))
        assert found.action == "stay_on_prompt"
        assert any("the answer stays without them" in text for text in found.conditions)


def test_two_systems_stored_in_either_order_compare_the_same():
    document = earned()
    turned = earned()
    turned["pairs"][1] = pair("oracle", "rag", 15, 20)
    assert judge(evidence_from_json(document)).row == judge(evidence_from_json(turned)).row


def test_the_published_schema_names_every_field_and_no_other():
    found = schema("evidence")

    def fields_of(record, properties):
        return {field.name for field in fields(record)} == set(properties)

    assert fields_of(Evidence, found["properties"].keys() - {"schema_version"})
    assert fields_of(SystemEvidence, found["$defs"]["system"]["properties"])
    assert fields_of(Rate, found["$defs"]["rate"]["properties"])
    assert fields_of(Paired, found["$defs"]["paired"]["properties"])
    for name, record in (("pilot", Pilot), ("readiness", Readiness), ("misses", Misses)):
        assert fields_of(record, found["properties"][name]["properties"])
    for name, record in (("settings", Settings), ("selection", Selection), ("judge", Judge)):
        assert fields_of(record, found["properties"][name]["properties"])
    known = found["properties"]["opinions"]["items"]["properties"]["action"]["enum"]
    assert set(known) == set(ACTIONS)
