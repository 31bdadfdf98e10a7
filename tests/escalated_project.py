"""A project that is escalated: a suite, a recipe and rows; its base model lies beside evals/."""

import json
import os
import subprocess
import sys
from pathlib import Path

import yaml
from click.testing import CliRunner
from sample_project import jsonl
from systems_models import chat_model

from harness.cli import rung
from harness.config import load_project

COLORS = ("red", "green", "blue", "white", "black", "brown", "pink", "gray")
SUITE = """
import pytest

pytestmark = pytest.mark.suite(cases="query.jsonl", systems=["plain"])

def test_names_the_color(case, output):
    assert output.text == case.expected_output
"""
LORA = {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": "all-linear"}
QUICK = {"max_steps": 2, "per_device_train_batch_size": 2, "learning_rate": 1e-3, "max_length": 64}


def write_project(tmp_path):
    """A project with a suite, a recipe and rows; its base model lies beside evals/."""
    root = tmp_path / "project"
    evals = root / "evals"
    evals.mkdir(parents=True)
    (root / "conftest.py").write_text('pytest_plugins = ["harness.plugin"]\n')
    (root / "models").mkdir()
    base = Path(chat_model())
    (root / "models/base").mkdir()
    for file in base.iterdir():
        if file.is_file():
            os.link(file, root / "models/base" / file.name)
    document = {
        "models": {"base": {"transformers": "../models/base"}},
        "systems": {
            "plain": {"kind": "prompt", "model": "base", "prompt": "p.j2"},
            "lora": {
                "kind": "fine_tuned", "model": "base", "prompt": "p.j2", "recipe": "recipe.yaml",
                "decoding": {"max_tokens": 4},
            },
        },
        "suites": {"query": {"champion": "plain", "target": 0.8, "training": "train.jsonl"}},
    }  # fmt: skip
    (evals / "rung.yaml").write_text(yaml.safe_dump(document))
    (evals / "test_query.py").write_text(SUITE)
    (evals / "p.j2").write_text("Say the color: {{ input }}")
    cases = ({"id": c, "input": f"the {c} box", "expected_output": c} for c in COLORS)
    (evals / "query.jsonl").write_text(jsonl(cases))
    rows = [{"input": f"a {c} hat, size {n}", "expected_output": c} for c in COLORS for n in (7, 9)]
    (evals / "train.jsonl").write_text(jsonl([*rows, rows[0]]))
    recipe = {"data": "train.jsonl", "peft": LORA, "trainer": QUICK}
    (evals / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return load_project(evals / "rung.yaml")


def escalate(project, monkeypatch, *arguments):
    monkeypatch.chdir(project.root)
    return CliRunner().invoke(rung, ["escalate", *arguments], catch_exceptions=False)


def with_lora(project, **options):
    """Say more of the system that is trained."""
    document = yaml.safe_load((project.folder / "rung.yaml").read_text())
    document["systems"]["lora"] |= options
    (project.folder / "rung.yaml").write_text(yaml.safe_dump(document))


def rows_of(folder, name="sft"):
    text = (folder / f"data/{name}.jsonl").read_text("utf-8")
    return [json.loads(row) for row in text.split("\n") if row]


def with_recipe(project, **fields):
    """Say something else in the recipe."""
    file = project.folder / "recipe.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | fields))


def with_pairs(project, rows):
    """Preference pairs beside the training rows."""
    file = project.folder / "pairs.jsonl"
    file.write_text(jsonl({"chosen": "red", "rejected": "no", **row} for row in rows))
    return "--pairs", str(file)


def train(folder, stage):
    """One stage of a job in one process, without judging it."""
    command = [sys.executable, "train.py", stage]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(
        command, cwd=folder, env=clean | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True
    )
