"""Odd answers and odd metrics in a suite: each has a score and a page, and none stops the others."""

from __future__ import annotations

import json

from sample_project import SampleProject, jsonl

ODD = {
    "empty": "",
    "huge": "yes " * 250_000,
    "rtl": "نعم \u202eyes",
    "emoji": "yes 👩🏽‍🚀",
    "nfd": "ye\u0301s",
    "control": "y\u0000es \u0007",
    "markup": "</script><img src=x onerror=alert(1)>yes",
}
BODY = """
import time
from harness.assertions import contains, matches

def test_says_yes(output):
    contains(output.text, "yes")

def test_prints_and_sleeps(output):
    print("about", output.case_id)
    time.sleep(0.01)
    assert output.text

def test_is_none_of_ours(output, score):
    score(float("nan") if output.case_id == "emoji" else 0.5)

def test_never_ends(output):
    matches("a" * 60 + "!", r"^(a|a|aa)*$", time_limit_s=0.05)
"""


def test_every_answer_has_a_score_and_the_run_a_page(project: SampleProject) -> None:
    project.suite(BODY, systems={"odd": ODD})
    result = project.run()
    assert result.ret == 1  # what crashes is red
    states = {(r["metric"], r["case"]): r["state"] for r in project.table("scores")}
    assert {c for c in ODD if states["says_yes", c] == "passed"} == {
        "huge", "rtl", "emoji", "markup",
    }  # fmt: skip
    assert {c for c in ODD if states["prints_and_sleeps", c] == "missed"} == {"empty"}
    assert {c for c in ODD if states["is_none_of_ours", c] == "errored"} == {"emoji"}
    assert {states["never_ends", c] for c in ODD} == {"errored"}  # its time limit, not a miss
    reasons = {r["reason"] for r in project.table("scores") if r["metric"] == "never_ends"}
    assert all(reason.startswith("TimeoutError") for reason in reasons)
    assert (project.latest / "report.html").stat().st_size < 3_000_000
    assert {r["case"]: len(r["text"] or "") for r in project.table("outputs")}["huge"] == 1_000_000


APP = """
from harness.types import Output, Usage

FIELDS = {
    "seconds": {"latency_s": "fast"},
    "error": {"error": ValueError("broken")},
    "usage": {"usage": {"prompt_tokens": 1}},
    "count": {"usage": Usage(prompt_tokens=10**23, completion_tokens=1)},
    "passages": {"passages": ["a"]},
    "prompt": {"prompt": object()},
    "fine": {"latency_s": 0.5},
}

def answer(name):
    return Output(case_id="", epoch=0, text="yes", **FIELDS[name])

def chat(messages):
    messages.append({"role": "assistant", "content": "yes"})
    return str(len(messages))
"""


def test_an_output_with_odd_fields_costs_its_case_and_not_the_run(project: SampleProject) -> None:
    names = ("seconds", "error", "usage", "count", "passages", "prompt", "fine")
    project.suite("def test_right(output):\n    assert output.text\n", systems={"a": {"x": ""}})
    project.write("evals/toy.jsonl", jsonl({"id": name, "input": name} for name in names))
    project.write("evals/odd_app.py", APP)
    config = "systems:\n  a: {kind: python, callable: 'odd_app:answer'}\n"
    project.write("evals/rung.yaml", config)
    assert project.run().ret == 1
    errors = {row["case"]: row["error"] for row in project.table("outputs")}
    assert errors.pop("fine") is None
    assert all(said.startswith("answered an output whose ") for said in errors.values())
    project.run()
    assert project.document()["counts"]["cached"] == 1


def test_what_a_system_does_to_its_input_is_in_no_table(project: SampleProject) -> None:
    project.suite(
        "def test_right(output):\n    assert output.text == '2'\n", systems={"a": {}, "b": {}}
    )
    asked = [{"role": "user", "content": "why?"}]
    project.write("evals/toy.jsonl", jsonl([{"id": "c", "input": asked}]))
    project.write("evals/odd_app.py", APP)
    systems = [f"  {name}: {{kind: python, callable: 'odd_app:chat'}}\n" for name in "ab"]
    project.write("evals/rung.yaml", "systems:\n" + "".join(systems))
    project.run("--epochs", "2")
    assert {row["text"] for row in project.table("outputs")} == {"2"}
    (case,) = project.table("cases")
    assert json.loads(case["input"]) == asked


# to add to tests/test_odd_outputs.py once items.py copies the case
def test_what_a_metric_does_to_its_case_is_seen_by_no_other(project: SampleProject) -> None:
    project.suite(
        "def test_first(case, output):\n    case.metadata['seen'] = 1\n    case.input['q'] += '!'\n"
        "def test_second(case, output):\n    assert 'seen' not in case.metadata\n"
        "    assert case.input == {'q': 'why?'}\n",
        systems={"a": {"c": "yes"}, "b": {"c": "yes"}},
    )
    project.write("evals/toy.jsonl", jsonl([{"id": "c", "input": {"q": "why?"}}]))
    project.run("--epochs", "2")
    assert (
        project.estimate("second", "a")["missed"] == project.estimate("second", "b")["missed"] == 0
    )
    (case,) = project.table("cases")
    assert (json.loads(case["input"]), case["metadata"]) == ({"q": "why?"}, "{}")
