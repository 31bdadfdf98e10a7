"""Values of a recipe: numbers that YAML reads as text are numbers, and what cannot be is told with its key."""

import sys
from functools import partial
from pathlib import Path

import pytest
import torch
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuned_systems import LORA, QUICK, write_system

from harness.errors import ConfigError, RungError
from systems.recipe import read_recipe
from systems.trainer_settings import checkpointing_field, peft_config, trainer_config
from systems.training import TRAINERS, train

CONFIG = TRAINERS["sft"][1]
OWN = {
    "output_dir": "unused",
    "report_to": "none",
    "bf16": False,
    "use_cpu": True,
    checkpointing_field(CONFIG.__dataclass_fields__): False,
}


@pytest.fixture
def tuned(tmp_path):
    return partial(write_system, tmp_path)


def settings(spec, **fields):
    text = spec.folder / "recipe.yaml"
    value = yaml.safe_load(text.read_text())
    # As a user writes it: `2e-4` without quotes is text to PyYAML.
    lines = "".join(f"  {name}: {field}\n" for name, field in fields.items())
    del value["trainer"]
    text.write_text(f"{yaml.safe_dump(value)}trainer:\n{lines}")
    recipe = read_recipe(spec)
    return trainer_config(recipe, CONFIG, defaults={}, own=OWN)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("learning_rate", "2e-4", 2e-4),
        ("learning_rate", "'0.01'", 0.01),
        ("num_train_epochs", "3", 3),
        ("max_steps", "1e2", 100),
        ("max_length", "null", None),
        ("warmup_steps", "0.1", 0.1),
        ("lr_scheduler_type", "cosine", "cosine"),
    ],
)
def test_numbers_are_read_as_numbers(tuned, field, text, value):
    assert getattr(settings(tuned(), **{field: text}), field) == value


@pytest.mark.parametrize(
    ("field", "text", "complaint"),
    [
        ("num_train_epochs", "many", "'many': expected a number"),
        ("learning_rate", "[1]", r"\[1\]: expected a number"),
        ("learning_rate", "null", "None: expected a number"),
        ("learning_rate", "yes", "True: expected a number"),
        ("learning_rate", "nan", "'nan': expected a number"),
        ("max_steps", "few", "'few': expected a whole number"),
        ("max_steps", "'1.5'", "'1.5': expected a whole number"),
        ("max_length", "long", "'long': expected a whole number"),
        ("use_liger_kernel", "maybe", "'maybe': expected true or false"),
        ("lr_scheduler_type", "cosin", "cannot be followed"),
    ],
)
def test_what_is_no_number_is_told_with_file_and_key(tuned, field, text, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        settings(tuned(), **{field: text})
    assert caught.value.file.name == "recipe.yaml"
    assert caught.value.key in (f"trainer.{field}", "trainer")


def test_fields_of_the_adapter_are_read_alike(tuned):
    config = peft_config(read_recipe(tuned(peft={**LORA, "r": "8", "lora_dropout": "1e-1"})))
    assert (config.r, config.lora_dropout) == (8, 0.1)
    with pytest.raises(ConfigError, match="'big': expected a whole number") as caught:
        peft_config(read_recipe(tuned(peft={**LORA, "r": "big"})))
    assert caught.value.key == "peft.r"


def test_a_learning_rate_in_words_trains_as_it_says(tuned, tmp_path):
    train(tuned(trainer={**QUICK, "learning_rate": "1e-2"}), tmp_path / "text", seed=0)
    train(tuned(), tmp_path / "number", seed=0)
    one, two = (
        (tmp_path / n / "adapter_model.safetensors").read_bytes() for n in ("text", "number")
    )
    assert one == two


@pytest.mark.parametrize(
    "fields",
    [
        {"per_device_train_batch_size": 0},
        {"learning_rate": -1.0},
        {"optim": "no_such"},
        {"max_steps": 0, "num_train_epochs": 0},
        {"eval_strategy": "steps"},
        {"gradient_accumulation_steps": 0},
        {"lr_scheduler_kwargs": 3},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_only_the_trainer_refuses_is_told_with_the_file(tuned, tmp_path, fields):
    with pytest.raises(RungError) as caught:
        train(tuned(trainer={**QUICK, **fields}), tmp_path / "adapter", seed=0)
    assert caught.value.file.name == "recipe.yaml"


@pytest.mark.parametrize("fields", [{"r": 0}, {"bias": "x"}, {"target_modules": 3}])
def test_what_only_the_adapter_refuses_is_told_with_the_file(tuned, tmp_path, fields):
    with pytest.raises(ConfigError, match="cannot be followed") as caught:
        train(tuned(peft={**LORA, **fields}), tmp_path / "adapter", seed=0)
    assert caught.value.file.name == "recipe.yaml"


@pytest.mark.parametrize(
    ("field", "value", "instead"),
    [
        ("seed", 7, "rung train --seed"),
        ("output_dir", "elsewhere", "`adapter`"),
        ("report_to", "wandb", "rung.json"),
        ("disable_tqdm", False, "shows the progress itself"),
    ],
)
def test_what_rung_sets_itself_cannot_be_set_by_a_recipe(tuned, tmp_path, field, value, instead):
    spec = tuned(trainer={**QUICK, field: value})
    with pytest.raises(ConfigError, match=f"Rung sets `{field}` itself") as caught:
        train(spec, tmp_path / "adapter", seed=0)
    assert (caught.value.file.name, caught.value.key) == ("recipe.yaml", f"trainer.{field}")
    assert instead in caught.value.hint


@pytest.mark.parametrize(
    ("field", "value"), [("resume_from_checkpoint", "adapter/checkpoints/8"), ("do_eval", True)]
)
def test_what_no_trainer_reads_is_refused(tuned, tmp_path, field, value):
    with pytest.raises(ConfigError, match=f"`{field}` would have no effect") as caught:
        train(tuned(trainer={**QUICK, field: value}), tmp_path / "adapter", seed=0)
    assert (caught.value.file.name, caught.value.key) == ("recipe.yaml", f"trainer.{field}")


def test_a_recipe_may_say_what_rung_sets_anyway(tuned, tmp_path):
    same = {"seed": 3, "report_to": "none", "disable_tqdm": True}
    out = train(tuned(trainer={**QUICK, **same}), tmp_path / "adapter", seed=3)
    assert (out / "adapter_model.safetensors").is_file()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_fp16_is_refused_without_a_gpu(tuned, tmp_path):
    with pytest.raises(ConfigError, match="needs a CUDA device") as caught:
        train(tuned(trainer={**QUICK, "fp16": True}), tmp_path / "adapter", seed=0)
    assert caught.value.key == "trainer.fp16"
    assert "bf16" in caught.value.hint


@pytest.mark.parametrize("kind", ["PREFIX_TUNING", "cartridge", "POLY"])
def test_an_adapter_that_no_system_could_answer_with_is_refused(tuned, tmp_path, kind):
    spec = tuned(peft={"peft_type": kind, "num_virtual_tokens": 4})
    with pytest.raises(ConfigError, match="no system could answer") as caught:
        train(spec, tmp_path / "adapter", seed=0)
    assert caught.value.key == "peft.peft_type"
    assert "PROMPT_TUNING" in caught.value.hint


def test_a_module_that_the_model_has_not_is_refused(tuned, tmp_path):
    spec = tuned(peft={**LORA, "target_modules": ["q_proj", "v_porj"]})
    with pytest.raises(ConfigError, match="no module 'v_porj'") as caught:
        train(spec, tmp_path / "adapter", seed=0)
    assert caught.value.key == "peft.target_modules"
    assert "Did you mean 'v_proj'?" in caught.value.hint


def test_modules_may_be_named_with_what_stands_above_them(tuned, tmp_path):
    spec = tuned(peft={**LORA, "target_modules": ["self_attn.q_proj", "v_proj"]})
    assert train(spec, tmp_path / "adapter", seed=0).is_dir()


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("data: train.jsonl\ntest: 0.1\ndata: other.jsonl\n", 3, "data"),
        ("data: train.jsonl\ntrainer:\n  max_steps: 3\n  max_steps: 9\n", 4, "trainer.max_steps"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(tuned, text, line, key):
    spec = tuned()
    (spec.folder / "recipe.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"already given on line [13]") as caught:
        read_recipe(spec)
    assert (caught.value.line, caught.value.key) == (line, key)


def test_a_failure_of_the_training_names_the_recipe(tuned, tmp_path):
    def fail(entry):
        if "step" in entry:
            raise ZeroDivisionError("on the way")

    with pytest.raises(RungError, match="the training failed: ZeroDivisionError: on the way"):
        train(
            tuned(trainer={**QUICK, "logging_steps": 1}), tmp_path / "adapter", seed=0, on_log=fail
        )
