"""The champion in a verdict: who is to be deployed, and who may not be."""

from __future__ import annotations

import pytest
from evidence_documents import pair, system
from sample_project import SampleProject

from harness.escalation import evidence_from_json, judge


def two_prompts(champion: int, **more) -> dict:
    """A deployed prompt, and another one that passes 390 of 400."""
    return {
        "suite": "s",
        "target": 0.8,
        "champion": "deployed",
        "systems": [
            system("deployed", "prompt", champion),
            system("other", "prompt", 390, **more),
        ],
        "pairs": [pair("deployed", "other", 390 - champion, 0)],
    }


@pytest.mark.parametrize(
    ("champion", "step"),
    [(200, "make 'other' the champion in rung.yaml"), (385, "nothing: watch for drift")],
)
def test_a_prompt_that_reaches_the_target_is_to_be_deployed(champion, step):
    found = judge(evidence_from_json(two_prompts(champion)))
    assert found.action == "stay_on_prompt"
    assert found.next_step["do"].startswith(step)


def test_a_champion_that_breaks_a_limit_is_to_be_replaced():
    document = two_prompts(395) | {"limits": {"private": True}}
    document["systems"][0]["hosted"] = True
    document["pairs"] = [pair("deployed", "other", 0, 5)]
    found = judge(evidence_from_json(document))
    assert found.next_step["do"] == "make 'other' the champion in rung.yaml"


def stepping_down(**more) -> dict:
    """A RAG champion, and a prompt that is as good."""
    return {
        "suite": "s",
        "target": 0.8,
        "champion": "climbed",
        "systems": [
            system("climbed", "rag", 390),
            system("prompted", "prompt", 388, **more),
        ],
        "pairs": [pair("climbed", "prompted", 1, 3)],
    }


def test_no_step_down_to_a_system_that_misses_a_critical_assertion():
    assert judge(evidence_from_json(stepping_down())).action == "step_down"
    found = judge(evidence_from_json(stepping_down(critical_misses=12)))
    assert found.action != "step_down"
    said = "'prompted' misses a critical assertion in 12 cases: it cannot ship as it is"
    assert said in found.conditions


def test_the_best_prompt_is_one_that_can_ship():
    document = two_prompts(385, critical_misses=1)
    found = judge(evidence_from_json(document))
    assert found.sentence.startswith("Stay on the prompt: 'deployed' passes 385")


CRITICAL = """
@pytest.mark.gate(critical=True)
def test_polite(case, output):
    assert output.text != "damn"


@pytest.mark.gate(at_least=0.5)
def test_answers(case, output):
    assert output.text
"""


def test_critical_misses_of_every_system_are_counted(project: SampleProject) -> None:
    clean = {f"c{i}": "yes" for i in range(60)}
    rude = clean | {"c3": "damn", "c5": "damn"}
    suites = "suites:\n  toy: {champion: clean, target: 0.8, decides: [answers]}\n"
    project.suite(CRITICAL, systems={"clean": clean, "rude": rude}, extra=suites)
    assert project.run().ret == 0
    (verdict,) = project.document()["verdicts"]
    counted = {s["name"]: s.get("critical_misses", 0) for s in verdict["evidence"]["systems"]}
    assert counted == {"clean": 0, "rude": 2}
    assert verdict["sentence"].startswith("Stay on the prompt: 'clean'")


def test_a_champion_that_was_left_out_is_not_called_unnamed(
    project: SampleProject, answers
) -> None:
    suites = "suites:\n  toy: {champion: a, target: 0.8}\n"
    body = "def test_right(case, output):\n    assert output.text == 'yes'\n"
    project.suite(body, systems={"a": answers(cases=60), "b": answers(cases=60)}, extra=suites)
    project.run("--system", "b")
    (verdict,) = project.document()["verdicts"]
    assert not any("no champion is named" in said for said in verdict["conditions"])
    assert any(said.startswith("no champion among these systems") for said in verdict["conditions"])


def test_a_system_that_was_trained_on_cases_proves_nothing_by_them():
    document = stepping_down()
    document["systems"].append(system("tuned", "fine_tuned", 400, trained_on_cases=400))
    found = judge(evidence_from_json(document))
    said = "'tuned' was trained on 400 cases of this suite: its pass rate is no evidence"
    assert said in found.conditions
