"""A small system with a recipe, for tests of training."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import yaml
from systems_models import chat_model

from harness.types import Case, ModelSpec, SystemSpec
from systems.fine_tuned import FineTunedSystem

COLORS = ("red", "green", "blue", "white", "black", "brown", "pink", "gray")
ROWS = [
    {"input": f"the {color} box", "expected_output": f"{color}!", "metadata": {"group": color[0]}}
    for color in COLORS
] * 2
PAIRS = [
    {"input": f"the {color} box", "chosen": f"{color}!", "rejected": "what?"} for color in COLORS
]
LORA = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
QUICK = {"max_steps": 3, "per_device_train_batch_size": 4, "learning_rate": 1e-2}
CASES = [Case(id=color, input=f"the {color} box") for color in COLORS[:4]]


def write_system(folder, rows=ROWS, *, prompt="Say the color: {{ input }}", model=None, **recipe):
    """Write a recipe and rows, and give the system that they train."""
    recipe = {"data": "train.jsonl", "peft": LORA, "trainer": QUICK, **recipe}
    recipe = {name: value for name, value in recipe.items() if value is not None}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"recipe": "recipe.yaml", "decoding": {"max_tokens": 6}}
    if prompt is not None:
        (folder / "prompt.j2").write_text(prompt)
        options["prompt"] = "prompt.j2"
    return SystemSpec(
        name="tuned",
        kind="fine_tuned",
        rung="fine_tuned",
        folder=folder,
        model=ModelSpec(name="base", kind="transformers", source=str(model or chat_model())),
        options=options,
    )


def with_options(spec, **options):
    return replace(spec, options={**spec.options, **options})


def texts(spec, cases=CASES):
    """What a system answers, by case."""
    outputs = {out.case_id: out for out in FineTunedSystem(spec).generate(cases, epoch=0)}
    assert all(out.error is None for out in outputs.values()), outputs
    return {id: out.text for id, out in outputs.items()}


def copy_model(target, **tokenizer_config):
    """A copy of the small chat model that a test may change."""
    source = Path(chat_model())
    target.mkdir()
    for file in source.iterdir():
        if file.is_file():
            shutil.copy(file, target / file.name)
    config = target / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | tokenizer_config))
    return target


def said(*turns):
    """Chat messages of (role, content)."""
    return [{"role": role, "content": content} for role, content in turns]
