"""A model that was trained whole stands where an adapter would: loaded, checked, and asked as it was trained."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuned_systems import CASES, QUICK, texts, with_options, write_system

from harness.errors import ConfigError
from systems.backend import BackendSpec
from systems.fine_tuned import FineTunedSystem
from systems.rag import RagSystem
from systems.training import train


@pytest.fixture(scope="module")
def whole_once(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    spec = write_system(
        folder, peft=None, trainer={**QUICK, "max_steps": 12, "learning_rate": 3e-3}
    )
    train(spec, folder / "model", seed=0)
    return with_options(spec, adapter="model")


@pytest.fixture
def whole(whole_once, tmp_path):
    shutil.copytree(whole_once.folder, tmp_path, dirs_exist_ok=True)
    return replace(whole_once, folder=tmp_path)


def as_model(spec):
    own = replace(spec.model, source=str(spec.path("model")))
    return with_options(replace(spec, model=own), adapter=None)


def test_it_answers_where_an_adapter_would(whole):
    answers = texts(whole)
    assert answers != texts(with_options(whole, adapter=None))
    assert answers == texts(as_model(whole))
    assert set(texts(with_options(whole, variant="int8"))) == {case.id for case in CASES}


def test_it_stands_below_rag_too(whole, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/a.txt").write_text("Boxes have colors.")
    (tmp_path / "rag.j2").write_text("{{ passages[0].text }}\n{{ input }}")
    options = {"corpus": "corpus", "retriever": "bm25", "prompt": "rag.j2"}
    RagSystem(with_options(replace(whole, kind="rag"), **options)).check()


@pytest.mark.parametrize("named", [lambda spec: spec, as_model], ids=["adapter", "model"])
def test_a_prompt_that_was_changed_since_training_is_not_judged(whole, tmp_path, named):
    assert FineTunedSystem(named(whole)).parity.compared == 8
    (tmp_path / "prompt.j2").write_text("Name the color: {{ input }}")
    with pytest.raises(ConfigError, match=r"template parity \(prompt\)"):
        texts(named(whole))


def test_one_of_another_base_model_is_refused(whole, tmp_path):
    record = json.loads((tmp_path / "model/rung.json").read_text())
    (tmp_path / "model/rung.json").write_text(json.dumps({**record, "base": "sha256:00"}))
    with pytest.raises(ConfigError, match="the model is stale: it was trained on another base"):
        texts(whole)


def test_weights_without_a_tokenizer_are_read_with_the_base_models(whole, tmp_path):
    for file in (tmp_path / "model").glob("tokenizer*"):
        file.unlink()
    assert BackendSpec.of(whole).model.options["tokenizer"] == whole.model.source
    shutil.rmtree(tmp_path / "model")
    assert BackendSpec.of(whole).adapter == tmp_path / "model"
