"""`rung data --template`: is a model asked as it was trained?"""

from __future__ import annotations

import json

import pytest
from sample_project import SampleProject, jsonl
from systems_models import chat_model
from tuned_systems import said

OWN = [
    {"prompt": [("user", f"Answer in a few words.\n\nquestion {n}")], "completion": "an answer"}
    for n in range(3)
]
RECIPE = (
    "{{data: train.jsonl, peft: {{peft_type: LORA, r: 2}}, trainer: {{max_length: {length}}}}}\n"
)


@pytest.fixture
def tuned(project: SampleProject) -> SampleProject:
    """A project with one system that has a recipe."""
    rows = [{"input": f"question {n}", "expected_output": "a whole answer"} for n in range(3)]
    project.write("evals/train.jsonl", jsonl(rows))
    project.write("evals/lora.yaml", RECIPE.format(length=64))
    project.write("evals/prompt.j2", "Answer in a few words.\n\n{{ input }}")
    project.write(
        "evals/rung.yaml",
        f"models: {{base: {{transformers: '{chat_model()}'}}}}\n"
        "systems:\n  plain: {kind: prompt, model: base, prompt: prompt.j2}\n"
        "  tuned: {kind: fine_tuned, model: base, prompt: prompt.j2, recipe: lora.yaml, adapter: ad}\n",
    )
    return project


def test_what_agrees_is_said_with_the_tokens_that_never_change(tuned: SampleProject) -> None:
    result = tuned.rung("data", "--template")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["tuned: 3 rows, the same tokens*", "*tokens of every prompt never change*can drop them"]
    )
    found = json.loads(tuned.rung("data", "tuned", "--template", "--json").stdout.str())
    assert (found["system"], found["rows"]) == ("tuned", 3)
    assert found["constant_prompt_tokens"] > 5
    assert found["compact_prompt"] == "{{ input }}\n"
    assert not (tuned.evals / "ad").exists()


def test_a_difference_shows_both_strings_with_the_first_differing_token_marked(
    tuned: SampleProject,
) -> None:
    rows = [{**row, "prompt": said(("system", "Be wordy."), *row["prompt"])} for row in OWN]
    tuned.write("evals/train.jsonl", jsonl(rows))
    result = tuned.rung("data", "tuned", "--template")
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        [
            "rung: systems.tuned: line 1: template parity (prompt)*",
            "*training: *⟦*⟧*wordy*",
            "*inference: *",
            "*give the row its `input`*",
        ]
    )


def test_rows_that_cannot_be_compared_are_counted_as_such(tuned: SampleProject) -> None:
    turns = (("user", "Hello"), ("assistant", "Yes?"), ("user", "Well?"))
    rows = [{**OWN[0], "prompt": said(*turns)}, *({**o, "prompt": said(*o["prompt"])} for o in OWN)]
    tuned.write("evals/train.jsonl", jsonl(rows))
    result = tuned.rung("data", "tuned", "--template")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["tuned: 3 rows, the same tokens*", "  1 of 4 rows not compared: their own prompts*"]
    )


def test_a_pair_whose_answer_is_cut_is_an_error(tuned: SampleProject) -> None:
    long = "a whole answer " * 40
    pairs = [{"input": f"question {n}", "chosen": "yes", "rejected": long} for n in range(3)]
    tuned.write("evals/train.jsonl", jsonl(pairs))
    recipe = RECIPE.format(length=64).replace("{data", "{method: dpo, data", 1)
    tuned.write("evals/lora.yaml", recipe)
    result = tuned.rung("data", "tuned", "--template")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["rung:*line 1: template parity (truncated)*"])


def test_a_system_without_a_recipe_is_told_the_nearest(tuned: SampleProject) -> None:
    result = tuned.rung("data", "tunde", "--template")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*'tunde' is no system with a recipe*", "*tuned*"])
    assert "Traceback" not in result.stderr.str()
