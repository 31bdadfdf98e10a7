"""Each row of the decision table is reached, and says what it should."""

import json
from dataclasses import asdict, replace

import pytest
from evidence_documents import curve, earned, first_afternoon, pair, rate, system, without

from harness.escalation import evidence_from_json, judge
from harness.escalation.claims import claims_of
from harness.escalation.table import TABLE, first_row
from harness.types import ACTIONS


def verdict(document):
    return judge(evidence_from_json(document))


def judged(document, *, passes, misses):
    """The document with a judge who is right on so many of 100 passes and of 100 misses."""
    labels = {
        "true_passes": passes,
        "false_misses": 100 - passes,
        "true_misses": misses,
        "false_passes": 100 - misses,
    }
    return document | {"judged": True, "judge": labels}


def bad_judge():
    return judged(earned(), passes=70, misses=70)


def people_disagree():
    return earned() | {"judged": True, "judge": {"human_agreement": 0.7}}


def wrong_labels():
    return earned() | {"audit": {"checked": 50, "wrong": 9}}


def many_lost_outputs():
    document = first_afternoon()
    document["systems"][0]["outcomes"] = rate(80, 100, missing=20)
    return document


def nothing_scored(document, *names):
    """The document with every output of some systems errored."""
    for known in document["systems"]:
        if known["name"] in names:
            known["outcomes"] = rate(0, 0, missing=400)
    document["pairs"] = [
        p for p in document.get("pairs", ()) if not {p["baseline"], p["candidate"]} & {*names}
    ]
    return document


def answer_hangs_on_leaks():
    document = first_afternoon(112)
    leaked = {"suspected": 30, "without": {"zero-shot": rate(52, 90)}}
    return document | {"leakage": leaked}


def critical_miss():
    return first_afternoon() | {
        "champion": "zero-shot",
        "shipping": {"critical_misses": 1, "critical_metrics": ["never_swears"]},
    }


def regression():
    return earned() | {"shipping": {"regression": True}}


def cheaper_system_does():
    document = first_afternoon(112)
    document["systems"].append(system("rag", "rag", 112, 120))
    return document | {"champion": "rag", "pairs": [pair("zero-shot", "rag", 1, 1, 120)]}


def rag_already_deployed():
    document = first_afternoon(70)
    document["systems"].append(system("rag", "rag", 112, 120))
    return document | {"champion": "rag"}


def stronger_model(passed):
    document = earned()
    document["systems"].append(system("bigger", "prompt", passed, probe=True))
    return document


def no_rag(causes):
    document = without(earned(), "pairs", "pilot", "retained", "readiness", "misses")
    document["systems"] = document["systems"][:3]
    return document | {"misses": {"system": "few-shot", "total": 180, "causes": causes}}


def with_rag(rag, oracle, gained, lost):
    document = without(earned(), "pilot", "retained")
    document["systems"][3:] = [
        system("rag", "rag", rag),
        system("oracle", "rag", oracle, oracle=True),
    ]
    document["pairs"] = [pair("rag", "oracle", gained, lost)]
    return without(document, "misses")


def with_pilot(*passed, gained=160, **more):
    document = earned()
    document["pilot"] |= {"points": curve(*passed), **more}
    document["pilot"]["gain"] = {"gained": gained, "lost": 8, "tied": 392 - gained}
    return document


def harmed():
    return earned() | {"retained": {"gained": 5, "lost": 100, "tied": 695}}


def too_dear():
    costs = {
        "volume_per_month": 500, "cost_per_call_now": 0.01, "cost_per_call_tuned": 0.01,
        "value_per_pass": 0.02, "data_cost": 4000, "training_cost": 900, "hosting_per_month": 700,
    }  # fmt: skip
    return earned() | {"economics": costs}


def with_lora(passed, *absent, rows=None):
    """A tuned system that was run on the suite, and what is absent."""
    document = without(earned(), *absent)
    known = {} if rows is None else {"training_rows": rows}
    document["systems"].append(system("lora", "fine_tuned", passed, model="base", **known))
    gained = passed - 240 + 5
    document["pairs"] += [
        pair("few-shot", "lora", passed - 220 + 5, 5),
        pair("rag", "lora", gained, 5),
    ]
    return document


def untagged():
    document = without(earned(), "pairs", "misses")
    document["systems"] = document["systems"][:3]
    return document


def few_cases():
    document = with_pilot(19, 28, 35, 69, gained=30)
    document["pilot"]["points"] = curve(40, 55, 64, 69, cases=80)
    document["pilot"]["gain"] = {"gained": 30, "lost": 1, "tied": 49}
    document["pilot"]["gain_over_best"] = {"gained": 25, "lost": 2, "tied": 53}
    return document


def rows_fall_short():
    document = with_pilot(200, 246, 295, 340)
    document["readiness"]["rows"] = 800
    return document


REACHED = [
    ("0a", "fix_eval", bad_judge()),
    ("0a", "fix_eval", people_disagree()),
    ("0a", "fix_eval", wrong_labels()),
    ("0a", "fix_eval", many_lost_outputs()),
    ("0a", "fix_eval", nothing_scored(earned(), "zero-shot", "described", "few-shot")),
    ("0a", "fix_eval", nothing_scored(without(earned(), "misses"), "rag")),
    ("0a", "fix_eval", answer_hangs_on_leaks()),
    ("0b", "do_not_ship", critical_miss()),
    ("0b", "do_not_ship", regression()),
    ("1", "step_down", cheaper_system_does()),
    ("1b", "stay_on_best_rung", rag_already_deployed()),
    ("2", "stay_on_prompt", first_afternoon(112)),
    ("3", "run_more_cases", first_afternoon(94)),
    ("4", "improve_prompt", first_afternoon(60)),
    ("5", "change_model", stronger_model(380)),
    ("5b", "run_more_cases", stronger_model(342)),
    ("6", "look_at_misses", no_rag({"format": 10})),
    ("7", "climb_to_rag", no_rag({"missing_fact": 40, "format": 20})),
    ("8", "climb_to_rag", with_rag(372, 380, 12, 4)),
    ("9", "fix_retrieval", with_rag(250, 370, 125, 5)),
    ("9b", "run_more_cases", with_rag(338, 345, 20, 13)),
    ("10", "collect_data", without(earned(), "readiness", "pilot", "retained")),
    ("10", "collect_data", earned() | {"readiness": {"rows": 60}}),
    ("10", "collect_data", earned() | {"readiness": {"rows": 1600}}),
    ("10", "collect_data", with_lora(385, "pilot") | {"readiness": {"rows": 1600, "leaked": 9}}),
    ("11", "run_pilot", without(earned(), "pilot", "retained")),
    ("11", "run_pilot", with_lora(270, "pilot")),
    ("12", "run_pilot", harmed()),
    ("12a", "look_at_misses", untagged()),
    ("13", "escalate_to_gpu", earned()),
    ("14", "stay_on_best_rung", too_dear()),
    ("13", "escalate_to_gpu", with_lora(385, "pilot", "readiness")),
    ("14a", "run_more_cases", with_lora(342, "pilot")),
    ("14b", "run_more_cases", few_cases()),
    ("15", "collect_data", rows_fall_short()),
    ("16", "stay_on_best_rung", with_pilot(200, 240, 262, 270)),
    ("17a", "run_more_cases", without(earned(), "retained")),
    (
        "17a",
        "run_more_cases",
        with_pilot(240, 290, 318, 334) | {"retained": {"gained": 30, "lost": 60, "tied": 400}},
    ),
    ("17", "run_pilot", with_pilot(240, 290, 318, 334)),
]


NAMES = [f"{place}: row {reached[0]}" for place, reached in enumerate(REACHED)]


@pytest.mark.parametrize(("row", "action", "document"), REACHED, ids=NAMES)
def test_a_row_is_reached_by_the_evidence_it_names(row, action, document):
    found = verdict(document)
    assert (found.row, found.action) == (row, action), found.sentence


def test_every_row_is_reached():
    assert {row.number for row in TABLE} == {row for row, _, _ in REACHED}


def test_every_action_is_reached():
    assert {action for _, action, _ in REACHED} == set(ACTIONS)


@pytest.mark.parametrize("document", [r[2] for r in REACHED], ids=NAMES)
def test_a_verdict_is_plain_json_and_plain_language(document):
    found = verdict(document)
    json.dumps(asdict(found), allow_nan=False)
    said = found.sentence.lower()
    assert said.endswith(".")
    for word in ("p-value", "e-value", "null", "alpha", "mcnemar", "posterior", "interval"):
        assert word not in said
    assert found.next_step["do"]
    assert evidence_from_json(found.evidence) == evidence_from_json(document)


def test_a_pilot_on_a_smaller_model_may_not_say_never():
    found = verdict(with_pilot(200, 240, 262, 270, same_model=False, times_smaller=20))
    assert found.row == "17"
    assert any("20-times smaller" in text for text in found.conditions)


def test_a_hard_limit_rules_a_system_out_and_parity_is_enough():
    document = with_pilot(240, 290, 325, 338)
    document["systems"].append(system("hosted", "prompt", 372, hosted=True, few_shot=True))
    document["limits"] = {"private": True}
    found = verdict(document)
    assert found.would_change["parity"]["with"] == "hosted"
    assert found.would_change["parity"]["target"] == pytest.approx(0.88)
    assert any("hard limit" in condition for condition in found.conditions)
    assert verdict(without(document, "limits")).action == "stay_on_prompt"


def test_slow_and_dear_systems_are_ruled_out_too():
    for limit, measured in (("latency_p95_s", 3.0), ("cost_per_call", 0.05)):
        document = first_afternoon(115)
        document["systems"][0][limit] = measured
        document["limits"] = {limit: measured / 2}
        assert verdict(document).action != "stay_on_prompt"
        document["limits"] = {limit: measured * 2}
        assert verdict(document).action == "stay_on_prompt"


def test_harm_to_one_challenger_does_not_stop_what_already_works():
    document = harmed()
    document["systems"][2]["outcomes"] = rate(375)
    document.pop("pairs")
    document.pop("misses")
    assert verdict(document).action == "stay_on_prompt"


def test_a_tuned_system_that_was_run_on_the_suite_counts_without_a_pilot():
    document = without(earned(), "pilot")
    document["systems"].append(system("lora", "fine_tuned", 372, model="base"))
    document["pairs"].append(pair("few-shot", "lora", 160, 8))
    found = verdict(document)
    assert found.action == "escalate_to_gpu"
    assert "'lora' passes 372 of 400" in found.sentence


def test_data_of_preferences_alone_are_trained_on_by_preference():
    document = without(earned(), "pilot", "retained")
    document["readiness"] = {
        "rows": 200,
        "ready": True,
        "desired_outputs": False,
        "preference_pairs": 200,
    }
    assert verdict(document).next_step["method"] == "dpo"


def test_retrieval_that_is_proven_enough_with_gold_passages_is_mended_before_training():
    assert verdict(with_rag(320, 372, 55, 3)).row == "9"


def test_money_never_blocks_when_nobody_gave_prices():
    found = verdict(earned() | {"economics": {"volume_per_month": 1000}})
    assert found.action == "escalate_to_gpu"
    assert not found.expected["economics"]["assessed"]
    assert "C_train" in found.expected["economics"]["formula"]


def test_the_decision_alone_is_the_verdicts():
    for _, action, document in REACHED:
        evidence = replace(evidence_from_json(document), leakage=None, economics=None)
        if evidence_from_json(document) == evidence:
            assert first_row(claims_of(evidence)).action == action


def test_a_tuned_system_that_reaches_the_target_outweighs_a_pilot_that_would_not():
    document = with_lora(385)
    document["pilot"]["points"] = curve(4, 6, 20, 85)
    found = verdict(document)
    assert found.action == "escalate_to_gpu"
    assert "'lora' passes 385 of 400" in found.sentence
    assert found.expected["pass_rate"]["median"] == pytest.approx(385 / 400)


def test_a_larger_training_that_was_run_is_a_point_of_the_curve():
    document = with_lora(300)
    document["pilot"]["points"] = curve(4, 6, 20, 85)
    document["readiness"]["rows"] = 1600
    blind = verdict(document).expected["pass_rate"]["median"]
    document["systems"][-1]["training_rows"] = 1600
    seen = verdict(document).expected["pass_rate"]["median"]
    assert blind < 0.7
    assert seen == pytest.approx(0.75, abs=0.04)


def test_a_tuned_system_too_close_to_call_forbids_to_say_never():
    document = with_lora(338)
    document["pilot"]["points"] = curve(200, 240, 262, 270)
    assert verdict(document).row == "14a"


def test_the_step_towards_ready_data_says_what_to_do_and_what_it_costs():
    asked = earned() | {"readiness": {"rows": 60, "ready": False, "near_duplicates": 0.2}}
    step = verdict(asked).next_step
    assert "collect 40 more rows" in step["do"]
    assert "keep one row of each group of copies" in step["do"]
    assert "check 50 rows by hand" in step["do"]
    assert step["cost"] == {"rows": 40, "labels": 50, "minutes": 25.0}


def test_an_audit_of_no_rows_is_no_audit():
    document = earned() | {
        "readiness": {"rows": 1600, "ready": True, "audit": {"checked": 0, "wrong": 0}}
    }
    found = verdict(document)
    assert found.action == "collect_data"
    assert found.next_step["cost"]["labels"] == 50


def test_calls_of_a_step_have_their_minutes_and_money_where_these_are_known():
    document = first_afternoon(60)
    document["systems"][0] |= {"latency_p95_s": 3.0, "cost_per_call": 0.002}
    assert verdict(document).next_step["cost"] == {
        "prompts": 2, "calls": 240, "money_for_calls": 0.48, "minutes": 12.0,
    }  # fmt: skip
    document["systems"][0].pop("cost_per_call")
    assert "money_for_calls" not in verdict(document).next_step["cost"]


def test_a_pilot_without_its_own_prompt_asks_for_that_first():
    document = earned()
    del document["pilot"]["gain"]
    step = verdict(document).next_step
    assert "own best prompt" in step["do"]
    assert step["cost"]["calls"] == 400


def test_few_seeds_that_blur_the_forecast_ask_for_seeds_before_rows():
    document = with_pilot(240, 290, 318, 334)
    document["readiness"]["rows"] = 800
    document["pilot"]["points"][-1]["passed"] = [300, 368]
    step = verdict(document).next_step
    assert "more seeds" in step["do"]
    assert "rows" not in step["cost"]


def test_where_rag_helps_and_falls_short_training_is_on_retrieved_context():
    document = without(earned(), "pilot", "retained")
    document["pairs"][0] = pair("few-shot", "rag", 100, 80)
    assert "retrieved passages" not in verdict(document).next_step["do"]
    document["systems"][3]["outcomes"] = rate(280)
    document["systems"][4]["outcomes"] = rate(285)
    document["pairs"] = [pair("few-shot", "rag", 80, 20), pair("rag", "oracle", 20, 15)]
    document["misses"]["total"] = 120
    assert "retrieved passages" in verdict(document).next_step["do"]
