"""An interrupted training is gone on from what it left, and only if it is still the same training."""

import json
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuned_systems import LORA, QUICK, ROWS, write_system

from harness.errors import ConfigError
from systems.checkpoints import Checkpoints
from systems.training import train

STEPS = {**QUICK, "max_steps": 4, "save_strategy": "steps", "save_steps": 2, "logging_steps": 1}


def stop(entry):
    if entry.get("step") == 3:
        raise KeyboardInterrupt


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    """A training that was interrupted behind its first checkpoint."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.raises(KeyboardInterrupt):
        train(write_system(folder, trainer=STEPS), folder / "adapter", seed=0, on_log=stop)
    assert (folder / "adapter/checkpoints/checkpoint-2").is_dir()
    return folder


@pytest.fixture
def stopped(stopped_once, tmp_path):
    """The same in a folder that a test may change, and how it is written again."""
    shutil.copytree(stopped_once, tmp_path, dirs_exist_ok=True)
    return partial(write_system, tmp_path, trainer=STEPS)


def steps(spec, *, seed=0):
    seen = []
    train(
        spec,
        spec.folder / "adapter",
        seed=seed,
        on_log=lambda entry: seen.append(entry.get("step")),
    )
    return [step for step in seen if step is not None]


def test_it_is_gone_on_from_its_checkpoint(stopped):
    assert steps(stopped())[0] == 3
    assert not (stopped().folder / "adapter/checkpoints").exists()


CHANGES = {
    "data": ({"rows": ROWS[:-1]}, 0, "data"),
    "seed": ({}, 1, r"seed \(was 0, is 1\)"),
    "learning rate": (
        {"trainer": {**STEPS, "learning_rate": 0.5}},
        0,
        r"recipe.trainer.learning_rate \(was 0.01, is 0.5\)",
    ),
    "rank": ({"peft": {**LORA, "r": 2}}, 0, r"recipe.peft.r \(was 4, is 2\)"),
    "prompt": ({"prompt": "Name it: {{ input }}"}, 0, "prompts"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_was_changed_is_told_and_how_to_start_anew(stopped, what):
    changed, seed, told = CHANGES[what]
    with pytest.raises(ConfigError, match=f"another training; changed since: .*{told}") as caught:
        steps(stopped(**changed), seed=seed)
    assert caught.value.file.name == "checkpoints"
    assert "delete this folder" in caught.value.hint
    shutil.rmtree(caught.value.file)
    assert steps(stopped(**changed), seed=seed)[0] == 1


def test_checkpoints_that_nothing_is_known_of_are_refused(stopped):
    (stopped().folder / "adapter/checkpoints/basis.json").unlink()
    with pytest.raises(ConfigError, match="of another training"):
        steps(stopped())


def broken(checkpoint, how):
    if how == "empty":
        shutil.rmtree(checkpoint)
        checkpoint.mkdir()
    elif how == "no state":
        (checkpoint / "trainer_state.json").unlink()
    else:
        file = checkpoint / how
        file.write_bytes(file.read_bytes()[:100])


@pytest.mark.parametrize(
    "how",
    ["empty", "no state", "trainer_state.json", "adapter_model.safetensors", "optimizer.pt"],
)
def test_a_checkpoint_that_was_not_written_whole_is_passed_over(stopped, how):
    folder = stopped().folder / "adapter/checkpoints"
    later = folder / "checkpoint-3"
    shutil.copytree(folder / "checkpoint-2", later)
    broken(later, how)
    assert Checkpoints(folder, {}).last() == folder / "checkpoint-2"
    assert steps(stopped())[0] == 3


def test_broken_checkpoints_alone_mean_a_new_beginning(stopped):
    folder = stopped().folder / "adapter/checkpoints"
    broken(folder / "checkpoint-2", "empty")
    (folder / "checkpoint-last").mkdir()
    (folder / "checkpoint-7").write_text("no folder")
    assert steps(stopped(trainer={**STEPS, "learning_rate": 0.5}))[0] == 1


def test_a_place_that_cannot_be_written_is_told(stopped):
    spec = stopped()
    shutil.rmtree(spec.folder / "adapter")
    (spec.folder / "adapter").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be written"):
        steps(spec)


def test_what_changed_is_named_by_its_dotted_name(tmp_path):
    begun = Checkpoints(tmp_path, {"recipe": {"peft": None}, "seed": 0})
    begun.begin()
    assert json.loads((tmp_path / "basis.json").read_text()) == begun.basis
    assert begun.last() is None


def test_a_result_begins_empty_and_goes_with_the_checkpoints(tmp_path):
    checkpoints = Checkpoints(tmp_path / "checkpoints", {})
    checkpoints.begin()
    (checkpoints.new_result() / "half_written").write_text("")
    assert checkpoints.last() is None
    assert not list(checkpoints.new_result().iterdir())
    checkpoints.remove()
    assert not list(tmp_path.iterdir())
