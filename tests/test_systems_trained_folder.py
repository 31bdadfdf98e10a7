"""Where a training leaves its result: an earlier one is replaced whole, and nothing else is touched."""

import json
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuned_systems import LORA, QUICK, copy_model, texts, with_options, write_system

import systems.trained_folder
from harness.errors import ConfigError
from systems import load_trainer
from systems.adapter_folder import holds_weights
from systems.trained_folder import leave_result, require_target
from systems.training import train
from systems.training_record import require_adapter

WHOLE = {"peft": None, "trainer": {**QUICK, "max_steps": 12, "learning_rate": 3e-3}}


@pytest.fixture
def tuned(tmp_path):
    return partial(write_system, tmp_path)


def names(folder):
    return {path.name for path in folder.iterdir()}


def result(folder, *written):
    """A result that was written whole, beside its target."""
    folder.mkdir(parents=True)
    for name in written:
        (folder / name).write_text(f"new {name}")
    return folder


class TestTrainingAgain:
    """Into the same folder, by another recipe."""

    def test_all_weights_after_an_adapter_are_what_is_asked(self, tuned, tmp_path):
        train(tuned(), tmp_path / "a", seed=0)
        adapter = with_options(tuned(), adapter="a")
        assert texts(adapter) != texts(with_options(adapter, adapter=None))
        train(tuned(**WHOLE), tmp_path / "a", seed=0)
        train(tuned(**WHOLE), tmp_path / "fresh", seed=0)
        assert names(tmp_path / "a") == names(tmp_path / "fresh")
        assert texts(adapter) == texts(with_options(adapter, adapter="fresh"))

    def test_an_adapter_after_all_weights_leaves_none_of_them(self, tuned, tmp_path):
        train(tuned(**WHOLE), tmp_path / "a", seed=0)
        train(tuned(), tmp_path / "a", seed=0)
        train(tuned(), tmp_path / "fresh", seed=0)
        assert names(tmp_path / "a") == names(tmp_path / "fresh")
        assert texts(with_options(tuned(), adapter="a")) == texts(
            with_options(tuned(), adapter="fresh")
        )

    def test_the_record_lists_what_lies_beside_it(self, tuned, tmp_path):
        out = train(tuned(), tmp_path / "a", seed=0)
        record = json.loads((out / "rung.json").read_text())
        assert set(record["files"]) == names(out) - {"rung.json"}

    def test_what_somebody_put_there_stays(self, tuned, tmp_path):
        out = train(tuned(), tmp_path / "a", seed=0)
        for name in ("README.md", "notes.txt", "tokenizer.json", "old.safetensors"):
            (out / name).write_text("mine")
        train(tuned(peft={**LORA, "r": 2}), out, seed=0)
        for name in ("README.md", "notes.txt", "tokenizer.json", "old.safetensors"):
            assert (out / name).read_text() == "mine"
        assert json.loads((out / "adapter_config.json").read_text())["r"] == 2

    def test_a_training_that_fails_leaves_the_earlier_result_as_it_was(self, tuned, tmp_path):
        out = train(tuned(), tmp_path / "a", seed=0)
        before = {path.name: path.read_bytes() for path in out.iterdir()}

        def fail(entry):
            if "step" in entry:
                raise KeyboardInterrupt

        steps = {**WHOLE["trainer"], "logging_steps": 1}
        with pytest.raises(KeyboardInterrupt):
            train(tuned(peft=None, trainer=steps), out, seed=0, on_log=fail)
        after = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
        assert after == before


class TestLeavingAResult:
    """From a folder where it is whole to where it is read."""

    def test_records_that_list_no_files_are_replaced_by_what_trainings_write(self, tmp_path):
        out = tmp_path / "out"
        old = {"adapter_config.json", "adapter_model.safetensors", "config.json"}
        result(out, *old, "rung.json", "tokenizer.json")
        (out / "rung.json").write_text('{"seed": 0}')
        leave_result(result(tmp_path / "r", "config.json", "model.safetensors"), {}, out)
        assert names(out) == {"config.json", "model.safetensors", "tokenizer.json", "rung.json"}

    def test_a_folder_without_a_record_loses_nothing(self, tmp_path):
        out = result(tmp_path / "out", "tokenizer.json", "model.safetensors.index.json")
        leave_result(result(tmp_path / "r", "adapter_config.json"), {}, out)
        assert {"tokenizer.json", "model.safetensors.index.json"} <= names(out)

    @pytest.mark.parametrize("files", [["../keep", "/etc/keep"], "keep", 7, None, [["a"]]])
    def test_a_record_cannot_name_what_lies_elsewhere(self, tmp_path, files):
        out = result(tmp_path / "out", "rung.json")
        (tmp_path / "keep").write_text("mine")
        (out / "rung.json").write_text(json.dumps({"files": files}))
        leave_result(result(tmp_path / "r", "adapter_config.json"), {}, out)
        assert (tmp_path / "keep").read_text() == "mine"

    @pytest.mark.parametrize("at", range(10))
    def test_one_that_is_interrupted_anywhere_is_no_result_or_a_whole_one(
        self, tmp_path, monkeypatch, at
    ):
        """Neither the old one with parts of the new, nor the new one with parts missing."""
        out, new = tmp_path / "out", ("config.json", "model.safetensors", "tokenizer.json")
        old = ("adapter_config.json", "adapter_model.safetensors")
        result(out, *old, "notes.txt")
        (out / "rung.json").write_text(json.dumps({"files": old}))
        steps = iter(range(at))

        def counted(do):
            def step(*arguments, **named):
                if next(steps, None) is None:
                    raise KeyboardInterrupt
                return do(*arguments, **named)

            return step

        with monkeypatch.context() as patch:
            patch.setattr(
                systems.trained_folder, "_remove", counted(systems.trained_folder._remove)
            )
            patch.setattr(shutil, "move", counted(shutil.move))
            try:
                leave_result(result(tmp_path / "r", *new), {}, out)
                whole = True
            except KeyboardInterrupt:
                whole = False
        standing = names(out) - {"rung.json", "notes.txt"}
        if (out / "adapter_config.json").is_file():
            assert standing == set(old)
        if holds_weights(out):
            assert standing == set(new)
        assert whole == (standing == set(new))
        assert (out / "rung.json").is_file()
        shutil.rmtree(tmp_path / "r", ignore_errors=True)
        leave_result(result(tmp_path / "r", *new), {}, out)
        assert names(out) == {*new, "rung.json", "notes.txt"}


class TestTargets:
    """Folders that a training would overwrite what it must not in."""

    @pytest.fixture
    def base(self, tmp_path):
        return copy_model(tmp_path / "base")

    @pytest.mark.parametrize("recipe", [{}, WHOLE], ids=["adapter", "all weights"])
    @pytest.mark.parametrize("target", ["base", "base/below", "."])
    def test_the_base_models_folder_is_refused(self, tuned, tmp_path, base, target, recipe):
        before = {path.name: path.read_bytes() for path in base.iterdir()}
        spec = tuned(model=base, **recipe)
        with pytest.raises(ConfigError, match="the base model 'base' is here") as caught:
            train(spec, tmp_path / target, seed=0)
        assert caught.value.file == tmp_path / target
        with pytest.raises(ConfigError, match="the base model 'base' is here"):
            load_trainer(spec).train([], out=tmp_path / target, seed=0)
        assert {path.name: path.read_bytes() for path in base.iterdir()} == before

    def test_a_link_to_it_is_the_same_folder(self, tuned, tmp_path, base):
        (tmp_path / "link").symlink_to(base)
        with pytest.raises(ConfigError, match="the base model 'base' is here"):
            require_target(tuned(model=base), tmp_path / "link")

    def test_a_path_of_the_configuration_is_read_from_its_folder(self, tuned, tmp_path, base):
        spec = tuned(model=base)
        spec = replace(spec, model=replace(spec.model, source="./base"))
        with pytest.raises(ConfigError, match="the base model 'base' is here"):
            require_target(spec, base)

    @pytest.mark.parametrize(
        "file", ["adapter_config.json", "config.json", "a.safetensors", "a.bin"]
    )
    def test_a_model_that_rung_did_not_train_is_refused(self, tuned, tmp_path, file):
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / file).write_text("mine")
        with pytest.raises(ConfigError, match=f"{file} is here, and no record of a training"):
            train(tuned(), tmp_path / "other", seed=0)
        assert (tmp_path / "other" / file).read_text() == "mine"

    def test_a_new_folder_and_an_earlier_result_are_taken(self, tuned, tmp_path):
        require_target(tuned(), tmp_path / "a")
        result(tmp_path / "a", "rung.json", "adapter_config.json")
        require_target(tuned(), tmp_path / "a")


@pytest.mark.parametrize("weights", ["adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_without_its_weights_is_refused_before_anything_is_asked(
    tuned, tmp_path, weights
):
    spec = with_options(tuned(), adapter="a")
    (tmp_path / "a").mkdir()
    (tmp_path / "a/adapter_config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"no weights \(adapter_model\.safetensors\)") as caught:
        require_adapter(spec)
    assert (caught.value.file, caught.value.key) == (tmp_path / "a", "systems.tuned.adapter")
    assert "rung train tuned" in caught.value.hint
    (tmp_path / "a" / weights).write_text("weights")
    require_adapter(spec)
