"""Training as a recipe says, and systems that answer with what was trained."""

import json
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuned_systems import (
    CASES,
    LORA,
    PAIRS,
    QUICK,
    ROWS,
    copy_model,
    said,
    texts,
    with_options,
    write_system,
)

from harness.errors import ConfigError, SystemFailure
from systems import load_trainer
from systems.fine_tuned import FineTunedSystem
from systems.rag import RagSystem
from systems.training import template_parity, train


@pytest.fixture
def tuned(tmp_path):
    return partial(write_system, tmp_path)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """A LoRA adapter that has learnt its rows, and what was logged on the way."""
    folder = tmp_path_factory.mktemp("trained")
    spec = write_system(folder, trainer={**QUICK, "max_steps": 40, "logging_steps": 5})
    log = []
    train(spec, folder / "adapter", seed=1, on_log=log.append)
    return spec, log


@pytest.fixture
def trained(trained_once, tmp_path):
    """The same in a folder that a test may change."""
    spec, log = trained_once
    shutil.copytree(spec.folder, tmp_path, dirs_exist_ok=True)
    return with_options(replace(spec, folder=tmp_path), adapter="adapter"), log


def test_an_adapter_learns_its_rows_and_every_variant_answers_with_it(trained):
    spec, log = trained
    untrained = texts(with_options(spec, adapter=None))
    answers = texts(spec)
    assert answers != untrained
    assert sum(text == f"{id}!" for id, text in answers.items()) >= 3
    assert texts(with_options(spec, variant="merged")) == answers
    assert sum(a == answers[id] for id, a in texts(with_options(spec, variant="int8")).items()) >= 3
    assert log[0]["rows"] == len(ROWS)
    assert log[0]["constant_prompt_tokens"] > 0
    assert any("loss" in entry and entry["step"] == 5 for entry in log)


def test_what_training_was_is_left_with_the_adapter(trained, tmp_path):
    record = json.loads((tmp_path / "adapter/rung.json").read_text())
    assert record["seed"] == 1
    assert record["base"].startswith("sha256:")
    assert record["data"].startswith("sha256:")
    assert record["recipe"]["peft"] == LORA
    assert set(record["libraries"]) == {"torch", "transformers", "peft", "trl"}
    assert record["curve"][0]["loss"] > record["curve"][-1]["loss"]
    assert {path.name for path in (tmp_path / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "rung.json",
    }
    modules = json.loads((tmp_path / "adapter/adapter_config.json").read_text())["target_modules"]
    assert modules == sorted(modules)
    assert len(modules) > 1


def test_a_prompt_that_was_changed_since_training_is_not_judged(trained, tmp_path):
    spec, _ = trained
    (tmp_path / "prompt.j2").write_text("Say the color : {{ input }}")
    with pytest.raises(ConfigError, match=r"template parity \(prompt\)") as caught:
        texts(spec)
    assert "⟦" in caught.value.hint


def test_an_adapter_of_another_base_model_is_refused(trained, tmp_path):
    spec, _ = trained
    other = copy_model(tmp_path / "other")
    (other / "config.json").write_text((other / "config.json").read_text() + "\n")
    moved = replace(spec, model=replace(spec.model, source=str(other)))
    with pytest.raises(ConfigError, match=r"stale.*another base model") as caught:
        texts(moved)
    assert "rung train tuned" in caught.value.hint
    rag = replace(moved, kind="rag", options={k: moved.options[k] for k in ("prompt", "adapter")})
    with pytest.raises(ConfigError, match="another base model"):
        RagSystem(rag).check()


def test_an_adapter_whose_shapes_do_not_fit_is_refused(trained, tmp_path):
    spec, _ = trained
    (tmp_path / "adapter/rung.json").unlink()
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
    (tmp_path / "adapter/adapter_config.json").write_text(json.dumps({**config, "r": 2}))
    with pytest.raises(ConfigError, match="does not fit the base model"):
        texts(spec)


@pytest.mark.parametrize("content", ["{", "[]", '{"peft_type": "LORAX"}'])
def test_an_adapter_whose_configuration_is_none_is_told(trained, tmp_path, content):
    spec, _ = trained
    (tmp_path / "adapter/adapter_config.json").write_text(content)
    with pytest.raises(ConfigError, match=r"adapter_config\.json: .* is no configuration"):
        texts(spec)


def test_a_folder_without_an_adapter_says_how_one_is_made(tuned):
    with pytest.raises(ConfigError, match="rung train tuned"):
        texts(with_options(tuned(), adapter="nowhere"))


@pytest.mark.parametrize(
    ("recipe", "rows"),
    [
        ({"peft": {"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4}}, ROWS),
        ({"peft": {"peft_type": "IA3"}}, ROWS),
        ({"method": "dpo"}, PAIRS),
    ],
    ids=["soft prompts", "IA3", "DPO"],
)
def test_other_methods_of_the_libraries_work_too(tuned, tmp_path, recipe, rows):
    spec = tuned(rows, **recipe)
    out = train(spec, tmp_path / "adapter", seed=0)
    assert (out / "adapter_model.safetensors").is_file()
    tuned_spec = with_options(spec, adapter="adapter")
    assert set(texts(tuned_spec)) == {case.id for case in CASES}


# peft 0.21 asks Transformers for a name that Transformers 5.23 has renamed.
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
@pytest.mark.filterwarnings("ignore:Position ids are not supported:UserWarning")
def test_a_soft_prompt_answers_as_peft_itself_would(tuned, tmp_path):
    import torch
    from peft import PeftModel

    spec = tuned(
        peft={"peft_type": "PROMPT_TUNING", "num_virtual_tokens": 4},
        trainer={**QUICK, "max_steps": 10, "learning_rate": 0.3},
    )
    train(spec, tmp_path / "adapter", seed=0)
    system = FineTunedSystem(with_options(spec, adapter="adapter"))
    answers = {out.case_id: out.text for out in system.generate(CASES, epoch=0)}
    own = PeftModel.from_pretrained(system.backend.model, str(tmp_path / "adapter")).eval()
    tokenizer = system.backend.tokenizer
    for case in CASES:
        ids = tokenizer.apply_chat_template(
            system.render(case), add_generation_prompt=True, return_dict=False
        )
        made = own.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=6,
            do_sample=False,
            pad_token_id=0,
        )
        assert tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True) == answers[case.id]


def test_all_weights_can_be_trained_and_make_a_model_of_its_own(tuned, tmp_path):
    spec = tuned(peft=None, trainer={**QUICK, "learning_rate": 1e-4})
    out = train(spec, tmp_path / "model", seed=0)
    own = replace(spec, model=replace(spec.model, source=str(out)))
    assert set(texts(own)) == {case.id for case in CASES}


def test_rows_in_the_libraries_own_form_are_taken_as_they_are(tuned, tmp_path):
    rows = [
        {
            "prompt": said(("user", f"Say the color: {row['input']}")),
            "completion": said(("assistant", row["expected_output"])),
        }
        for row in ROWS
    ]
    out = train(tuned(rows), tmp_path / "adapter", seed=0)
    sample = json.loads((out / "rung.json").read_text())["samples"][0]
    assert sample["messages"] == rows[0]["prompt"]
    assert sample["input"] == ROWS[0]["input"]


def test_an_interrupted_training_is_gone_on_from_its_checkpoint(tuned, tmp_path):
    trainer = {**QUICK, "max_steps": 4, "save_strategy": "steps", "save_steps": 2}
    spec = tuned(trainer={**trainer, "logging_steps": 1})

    def stop(entry):
        if entry.get("step") == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(spec, tmp_path / "adapter", seed=0, on_log=stop)
    assert (tmp_path / "adapter/checkpoints/checkpoint-2").is_dir()
    steps = []
    train(spec, tmp_path / "adapter", seed=0, on_log=lambda entry: steps.append(entry.get("step")))
    assert 1 not in steps
    assert 4 in steps


def test_the_same_seed_trains_the_same_adapter(tuned, tmp_path):
    spec = tuned()
    one = train(spec, tmp_path / "one", seed=3) / "adapter_model.safetensors"
    two = train(spec, tmp_path / "two", seed=3) / "adapter_model.safetensors"
    assert one.read_bytes() == two.read_bytes()


def test_an_answer_that_does_not_fit_is_refused_before_training(tuned, tmp_path):
    spec = tuned(trainer={**QUICK, "max_length": 14})
    with pytest.raises(ConfigError, match=r"template parity \(truncated\)"):
        train(spec, tmp_path / "adapter", seed=0)


def test_template_parity_can_be_asked_for_alone(tuned, tmp_path):
    assert template_parity(tuned())["rows"] == len(ROWS)
    with pytest.raises(ConfigError, match=r"template parity \(truncated\)"):
        template_parity(tuned(trainer={**QUICK, "max_length": 14}))
    assert not (tmp_path / "adapter").exists()


def test_the_table_loads_a_trainer(tuned, tmp_path):
    trainer = load_trainer(tuned())
    out = trainer.train(ROWS, out=tmp_path / "adapter", seed=0)
    assert (out / "rung.json").is_file()


def test_rows_that_are_cases_of_a_suite_are_refused_unless_allowed(tuned, tmp_path):
    spec = tuned()
    with pytest.raises(ConfigError, match="2 rows are cases of an eval suite") as caught:
        train(spec, tmp_path / "adapter", seed=0, eval_inputs={"toy": ["The  RED box"]})
    assert caught.value.line == 1


def test_rows_that_are_allowed_to_be_cases_are_counted_by_suite_in_the_record(tuned, tmp_path):
    spec = tuned(allow_eval_rows=True, test=0.3)
    suites = {
        "toy": ["the red box", "the blue box", "the lost box"],
        "all": [row["input"] for row in ROWS],
        "other": ["the lost box"],
    }
    log = []
    out = train(spec, tmp_path / "adapter", seed=0, on_log=log.append, eval_inputs=suites)
    record = json.loads((out / "rung.json").read_text())
    assert record["recipe"]["allow_eval_rows"]
    assert record["eval_cases"] == log[0]["eval_cases"]
    assert record["eval_cases"]["all"] == record["rows"] < len(ROWS), "test rows are not trained on"
    assert "other" not in record["eval_cases"]
    unknown = json.loads((train(tuned(), tmp_path / "b", seed=0) / "rung.json").read_text())
    assert "eval_cases" not in unknown
    assert "allow_eval_rows" not in unknown["recipe"]


@pytest.mark.parametrize(
    ("recipe", "complaint"),
    [
        ({"trainer": {"lerning_rate": 1}}, "Did you mean 'learning_rate'"),
        ({"peft": {**LORA, "rank": 4}}, "LoraConfig has no field 'rank'"),
        ({"peft": {"peft_type": "LORRA"}}, "Did you mean 'LORA'"),
        ({"peft": {**LORA, "target_modules": ["no_such_layer"]}}, "cannot be followed"),
        ({"trainer": {**QUICK, "packing": True}}, "packed examples"),
        ({"methd": "sft"}, "Did you mean 'method'"),
        ({"data": "nowhere.jsonl"}, "cannot be read"),
    ],
    ids=["trainer", "peft", "type", "modules", "packing", "key", "data"],
)
def test_a_recipe_that_cannot_be_followed_is_told(tuned, tmp_path, recipe, complaint):
    with pytest.raises(ConfigError, match=complaint):
        train(tuned(**recipe), tmp_path / "adapter", seed=0)


def test_a_training_that_diverges_leaves_no_adapter_and_nothing_to_go_on_from(tuned, tmp_path):
    hot = tuned(trainer={**QUICK, "max_steps": 40, "logging_steps": 1, "learning_rate": 1e30})
    seen = []
    with pytest.raises(SystemFailure, match="the training diverged") as caught:
        train(hot, tmp_path / "adapter", seed=0, on_log=seen.append)
    assert "learning_rate" in caught.value.hint
    assert not list((tmp_path / "adapter").iterdir())
    assert max(entry.get("step", 0) for entry in seen) < 40, "it is not trained to its end"


def test_four_bit_training_without_the_hardware_is_told(tuned, tmp_path):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has the hardware")
    with pytest.raises(ConfigError, match="needs a CUDA device"):
        train(tuned(quantize="nf4"), tmp_path / "adapter", seed=0)


def test_a_primed_prompt_cannot_be_trained_on(tuned, tmp_path):
    spec = tuned(prompt="[user]\n{{ input }}\n[assistant]\nThe color is")
    with pytest.raises(ConfigError, match="begins the answer"):
        train(spec, tmp_path / "adapter", seed=0)
