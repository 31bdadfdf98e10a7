"""`rung train`, from outside: what is wrong is told in a line, and what was found is said."""

from __future__ import annotations

import json

import pytest
from sample_project import SampleProject, jsonl
from systems_models import chat_model
from tuned_systems import copy_model, said

RECIPE = """\
data: train.jsonl
test: 0.2
peft: {{peft_type: LORA, r: 2}}
trainer: {{max_steps: 1, learning_rate: {rate}, num_train_epochs: {epochs}}}
"""
CHAT = said(("user", "Hello"), ("assistant", "Yes?"), ("user", "question 3"))


@pytest.fixture
def tuned(project: SampleProject) -> SampleProject:
    """A project with a suite and one system that has a recipe."""
    project.suite("def test_x(output): pass\n", systems={"unused": {"a": "x"}})
    rows = [{"input": f"question {n}", "expected_output": "an answer"} for n in range(9)]
    project.write("evals/train.jsonl", jsonl([*rows, {"input": CHAT, "expected_output": "yes"}]))
    project.write("evals/recipe.yaml", RECIPE.format(rate="2e-4", epochs=1))
    system = {"kind": "fine_tuned", "model": "base", "recipe": "recipe.yaml", "adapter": "ad"}
    config = {"models": {"base": {"transformers": chat_model()}}, "systems": {"tuned": system}}
    project.write("evals/rung.yaml", json.dumps(config))
    mark = 'import pytest\n\npytestmark = pytest.mark.suite(cases="toy.jsonl", systems=["tuned"])\n'
    project.write("evals/test_toy.py", f"{mark}\n\ndef test_x(output): pass\n")
    return project


def test_a_rate_in_scientific_words_trains_and_what_is_held_out_is_said(
    tuned: SampleProject,
) -> None:
    result = tuned.rung("train", "tuned")
    assert result.ret == 0
    record = json.loads((tuned.evals / "ad/rung.json").read_text())
    kept, test = record["rows"], record["test"]
    assert (kept + test, bool(test)) == (10, True)
    result.stdout.fnmatch_lines(
        [
            f"{kept} rows to train on; 0 held out for validation, {test} held out for test",
            "trained:*",
        ]
    )


def test_a_number_in_words_is_told_with_its_key(tuned: SampleProject) -> None:
    tuned.write("evals/recipe.yaml", RECIPE.format(rate="2e-4", epochs="many"))
    result = tuned.rung("train", "tuned")
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        ["rung: *recipe.yaml: trainer.num_train_epochs: 'many': expected a number"]
    )
    assert "Traceback" not in result.stderr.str()


@pytest.mark.parametrize("seed", ["-1", "4294967296", "99999999999999", "one"])
def test_a_seed_that_no_generator_takes_is_told(tuned: SampleProject, seed: str) -> None:
    result = tuned.rung("train", "tuned", "--seed", seed)
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*--seed*"])
    assert "Traceback" not in result.stderr.str()
    assert not (tuned.evals / "ad").exists()


def test_cases_that_are_trained_on_are_told_and_counted(tuned: SampleProject) -> None:
    recipe = RECIPE.format(rate="2e-4", epochs=1).replace("test: 0.2\n", "allow_eval_rows: true\n")
    tuned.write("evals/recipe.yaml", recipe)
    tuned.write("evals/toy.jsonl", jsonl({"id": f"c{n}", "input": f"question {n}"} for n in (1, 2)))
    result = tuned.rung("train", "tuned")
    assert result.ret == 0, result.stderr.str()
    result.stdout.fnmatch_lines(["2 cases of the suite 'toy' are trained on: *"])
    assert json.loads((tuned.evals / "ad/rung.json").read_text())["eval_cases"] == {"toy": 2}


def test_the_base_models_folder_is_no_place_for_the_result(tuned: SampleProject) -> None:
    base = copy_model(tuned.evals / "base")
    text = (tuned.evals / "rung.yaml").read_text()
    tuned.write("evals/rung.yaml", text.replace(json.dumps(chat_model()), '"./base"'))
    result = tuned.rung("train", "tuned", "--out", str(base))
    assert result.ret == 2
    result.stderr.fnmatch_lines(["rung: *the base model 'base' is here*", "*rung train --out*"])


def test_a_case_that_is_a_chat_is_found_among_the_rows(tuned: SampleProject) -> None:
    tuned.write("evals/toy.jsonl", jsonl([{"id": "a", "input": CHAT}]))
    result = tuned.rung("train", "tuned")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["rung: *train.jsonl:10: 1 rows are cases of an eval suite*"])


@pytest.mark.parametrize("value", [7, ["a", 7]], ids=str)
def test_an_input_that_is_no_text_is_trained_on_as_the_prompt_writes_it(
    tuned: SampleProject, value: object
) -> None:
    system = {"kind": "fine_tuned", "model": "base", "prompt": "p.j2", "recipe": "recipe.yaml"}
    config = {
        "models": {"base": {"transformers": chat_model()}},
        "systems": {"tuned": {**system, "adapter": "ad"}},
    }
    tuned.write("evals/p.j2", "Say {{ input }}")
    tuned.write("evals/rung.yaml", json.dumps(config))
    rows = [{"input": value, "expected_output": "an answer"}] * 9
    tuned.write("evals/train.jsonl", jsonl(rows))
    tuned.write(
        "evals/recipe.yaml", RECIPE.format(rate="2e-4", epochs=1).replace("test: 0.2\n", "")
    )
    result = tuned.rung("train", "tuned")
    assert result.ret == 0, result.stderr.str()
    (sample, *_) = json.loads((tuned.evals / "ad/rung.json").read_text())["samples"]
    assert sample["messages"][0]["content"] == f"Say {value}"
