"""Chains, tools and moderation on the embedded model, run as a user runs them.

The model may answer anything: what is held is what happens around its answers.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from sample_project import SampleProject, jsonl
from systems_models import chat_model

# Imported here: pytester forgets what a run in its process imports, and torch cannot come twice.
import systems.fine_tuned
import systems.rag  # noqa: F401
from harness.config import schema
from harness.report.data import read_run
from harness.report.reliability import section
from systems.tools import calls_in_text

FUNCTIONS = """
import time

def about(case, steps):
    return f"{case.id} was called {steps['topic']!r}"

def sleeps(case, steps):
    time.sleep(60)

def count_boxes(color="any"):
    return {"color": color, "boxes": 3}

def is_rude(text):
    return "it swears" if "darn" in text else False

def is_anything(text):
    return "nothing may be said"

def leaves(text):
    raise SystemExit("bye")
"""
CASES = [
    {"id": "polite", "input": "How many red boxes are there?", "expected_output": "3"},
    {"id": "rude", "input": "How many darn boxes?", "expected_output": "3"},
]
TOOL = {
    "name": "count_boxes",
    "parameters": {"type": "object", "properties": {"color": {"type": "string"}}},
    "callable": "functions:count_boxes",
}
CALL = {"name": "count_boxes", "arguments": {"color": "red"}}
CHAIN = [
    {"name": "topic", "prompt": "topic.j2", "decoding": {"max_tokens": 3}},
    {"name": "lookup", "callable": "functions:about"},
    {"name": "reply", "prompt": "reply.j2"},
]
SYSTEMS: dict[str, dict[str, Any]] = {
    "chain": {"steps": CHAIN},
    "hanging": {"steps": [{"name": "f", "callable": "functions:sleeps", "timeout_s": 0.2}]},
    "tools": {"prompt": "tools.j2", "tools": {"functions": [TOOL], "max_rounds": 2}},
    "calling": {
        "prompt": "tools.j2",
        "tools": {"functions": [TOOL], "max_rounds": 1},
        "json_schema": {"const": CALL},
        "decoding": {"max_tokens": 80},
    },
    "input": {"moderation": {"input": "functions:is_rude", "refusal": "No."}},
    "output": {"moderation": {"output": "functions:is_anything"}},
    "leaving": {"moderation": {"input": "functions:leaves"}},
}  # fmt: skip


def run_systems(project: SampleProject, *names: str) -> pytest.RunResult:
    """Run a suite of two cases on some of the systems."""
    project.write("evals/functions.py", FUNCTIONS)
    project.write("evals/topic.j2", "Name the topic: {{ input }}")
    project.write("evals/reply.j2", "{{ steps.lookup }}\n{{ input }}")
    project.write("evals/tools.j2", "{{ tools | tojson }}\n{{ input }}")
    project.write("evals/toy.jsonl", jsonl(CASES))
    base = {"kind": "prompt", "model": "base", "decoding": {"max_tokens": 6}}
    project.write(
        "evals/rung.yaml",
        json.dumps(
            {
                "models": {"base": {"transformers": chat_model()}},
                "systems": {name: {**base, **SYSTEMS[name]} for name in names},
            }
        ),
    )
    mark = f'pytest.mark.suite(cases="toy.jsonl", systems={list(names)})'
    project.write(
        "evals/test_toy.py",
        f"import pytest\n\npytestmark = {mark}\n\n"
        "def test_right(case, output):\n    assert case.expected_output in output.text\n",
    )
    return project.run()


def outputs(project: SampleProject) -> dict[tuple[str, str], dict[str, Any]]:
    """The outputs of the last run, by system and case."""
    return {(row["system"], row["case"]): row for row in project.table("outputs")}


def test_every_step_of_a_chain_is_kept_with_what_was_sent(project: SampleProject) -> None:
    run_systems(project, "chain")
    for (_, case), row in outputs(project).items():
        assert row["error"] is None
        topic, lookup, reply = json.loads(row["steps"])
        assert [step["name"] for step in (topic, lookup, reply)] == ["topic", "lookup", "reply"]
        assert "Name the topic" in str(topic["prompt"])
        assert lookup["text"] == f"{case} was called {topic['text']!r}"
        assert lookup["text"] in str(reply["prompt"]).replace("\\n", "\n")
        assert row["text"] == reply["text"]
        assert row["prompt_tokens"] > 0
        assert row["latency_s"] >= sum(step["latency_s"] for step in (topic, lookup, reply))
    assert [row["retried"] for row in project.document()["usage"]] == [0]


def test_a_step_that_never_returns_errors_its_case_and_the_run_ends(project: SampleProject) -> None:
    result = run_systems(project, "hanging")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {row["error"] for row in outputs(project).values()} == {"step f: no answer within 0.2 s"}


def test_a_check_that_leaves_the_program_is_an_errored_case(project: SampleProject) -> None:
    result = run_systems(project, "leaving")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
    for row in outputs(project).values():
        assert row["error"].startswith("the moderation of the input failed: SystemExit: bye")


def test_a_model_that_is_shown_tools_answers_or_calls_them(project: SampleProject) -> None:
    run_systems(project, "tools")
    for row in outputs(project).values():
        assert "count_boxes" in str(row["prompt"])
        assert row["text"] is not None or row["error"]
        if not calls_in_text(row["text"]):
            assert row["tool_calls"] is None


def test_a_call_goes_to_its_function_and_its_result_back_to_the_model(
    project: SampleProject,
) -> None:
    """A schema makes the model call; it cannot stop, so that the rounds end with an error."""
    run_systems(project, "calling")
    for row in outputs(project).values():
        first, second = json.loads(row["steps"])
        assert [json.loads(step["text"]) for step in (first, second)] == [CALL, CALL]
        result = {"color": "red", "boxes": 3}
        for call in json.loads(row["tool_calls"]):
            assert (call["name"], call["arguments"]) == ("count_boxes", {"color": "red"})
            assert json.loads(call["result"]) == result
        assert json.dumps(result) not in str(first["prompt"])
        assert json.dumps(result) in str(second["prompt"])
        assert row["error"] == "still calling functions after 1 rounds"


def test_what_moderation_did_is_counted_and_shown(project: SampleProject) -> None:
    result = run_systems(project, "input", "output")
    found = outputs(project)
    refused, withheld = found["input", "rude"], found["output", "polite"]
    assert (refused["text"], refused["finish_reason"]) == ("No.", "input_refused")
    assert refused["prompt"] is None
    assert "it swears" in refused["steps"]
    assert (withheld["text"], withheld["finish_reason"]) == ("", "output_withheld")
    assert json.loads(withheld["steps"])[-1]["name"] == "withheld"
    assert not found["input", "polite"]["refused"]
    counted = {
        row["system"]: (row["input_refused"], row["output_withheld"])
        for row in project.document()["usage"]
    }
    assert counted == {"input": (1, 0), "output": (0, 2)}
    result.stdout.fnmatch_lines(
        [
            "moderation: toy · input: inputs refused: 1, outputs withheld: 0",
            "moderation: toy · output: inputs refused: 0, outputs withheld: 2",
        ]
    )
    page = (project.latest / "report.html").read_text("utf-8")
    assert "1 input refused" in page
    assert "2 outputs withheld" in page
    assert "1 input refused, 2 outputs withheld" in (project.latest / "summary.md").read_text()
    causes = {row["category"] for row in project.document()["categories"]}
    assert "refused" in causes
    again = run_systems(project, "input", "output")
    again.stdout.fnmatch_lines(["moderation: toy · input: inputs refused: 1,*"])


def test_a_run_of_before_they_were_counted_is_still_read(project: SampleProject) -> None:
    run_systems(project, "input")
    document = project.document()
    for row in document["usage"]:
        del row["input_refused"], row["output_withheld"]
    (project.latest / "run.json").write_text(json.dumps(document), "utf-8")
    required = schema("run")["properties"]["usage"]["items"]["required"]
    assert not {"input_refused", "output_withheld"}.intersection(required)
    rows = section(read_run(project.latest))["rows"]
    assert [row.moderated for row in rows] == [""]
