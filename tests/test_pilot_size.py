"""What the step would train, read off files: no model is loaded."""

import json
import struct
from dataclasses import replace

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from harness.types import ModelSpec, SystemSpec
from systems.untrained import TEMPLATE_TOKENS, training_basis, training_size


@pytest.fixture
def spec(tmp_path):
    """A system on a model of 22 numbers in two files, whose tokens are words."""
    model = tmp_path / "model"
    model.mkdir()
    for number, shapes in enumerate(({"a": [3, 4], "b": [2]}, {"c": [2, 2, 2]})):
        tensors = {
            n: {"dtype": "F32", "shape": s, "data_offsets": [0, 0]} for n, s in shapes.items()
        }
        header = json.dumps({"__metadata__": {"format": "pt"}, **tensors}).encode()
        name = f"model-{number}.safetensors"
        (model / name).write_bytes(struct.pack("<Q", len(header)) + header)
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(model / "tokenizer.json"))
    (model / "config.json").write_text("{}")
    (tmp_path / "p.j2").write_text("{{ input }}")
    (tmp_path / "recipe.yaml").write_text("data: rows.jsonl\ntrainer: {num_train_epochs: 5}\n")
    return SystemSpec(
        name="lora",
        kind="fine_tuned",
        rung="fine_tuned",
        folder=tmp_path,
        model=ModelSpec(name="base", kind="transformers", source="./model"),
        options={"prompt": "p.j2", "recipe": "recipe.yaml"},
    )


def rows(tmp_path, *values):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(value) + "\n" for value in values))
    return file


def test_parameters_are_counted_and_rows_measured_in_the_models_own_tokens(spec, tmp_path):
    chat = {
        "prompt": [{"role": "user", "content": "one two three"}],
        "completion": [{"role": "assistant", "content": "four"}],
    }
    plain = {"input": {"question": "one two"}, "expected_output": "three four"}
    for row in (chat, plain):
        size = training_size(spec, rows(tmp_path, row))
        assert size["parameters"] == 22
        assert size["epochs"] == 5
    assert training_size(spec, rows(tmp_path, chat))["tokens_per_row"] == 4 + TEMPLATE_TOKENS


def test_a_row_is_as_long_as_the_prompt_that_it_is_trained_in(spec, tmp_path):
    row = {"input": "one two", "expected_output": "three"}
    bare = training_size(spec, rows(tmp_path, row))["tokens_per_row"]
    assert bare == 3 + TEMPLATE_TOKENS
    (tmp_path / "p.j2").write_text("Answer the question in few words.\n{{ input }}")
    assert training_size(spec, rows(tmp_path, row))["tokens_per_row"] == bare + 7
    (tmp_path / "p.j2").write_text("{{ passages[0].text }}\n{{ input }}")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes/a.txt").write_text("one two four five six")
    options = {**spec.options, "corpus": "notes", "retriever": "bm25"}
    reader = replace(spec, kind="rag", options=options)
    assert training_size(reader, rows(tmp_path, row))["tokens_per_row"] == bare + 5


def test_rows_that_cannot_be_rendered_are_measured_as_they_stand(spec, tmp_path):
    row = {
        "messages": [{"role": "user", "content": "one two"}, {"role": "assistant", "content": "x"}]
    }
    assert training_size(spec, rows(tmp_path, row))["tokens_per_row"] == 3 + TEMPLATE_TOKENS


def test_what_is_not_here_is_not_guessed(spec, tmp_path):
    assert training_size(spec, tmp_path / "absent.jsonl") is None
    (tmp_path / "model/tokenizer.json").unlink()
    assert training_size(spec, rows(tmp_path, {"input": "a", "output": "b"})) is None


def test_a_training_stands_on_its_base_prompt_and_recipe_and_not_on_its_adapter(spec, tmp_path):
    before = training_basis(spec)
    assert set(before) == {"system", "model", "recipe"}
    (tmp_path / "recipe.yaml").write_text("data: other.jsonl\n")
    (tmp_path / "p.j2").write_text("Say: {{ input }}")
    after = training_basis(spec)
    assert after["recipe"] != before["recipe"]
    assert after["system"] != before["system"]
    assert after["model"] == before["model"]
    (tmp_path / "model/config.json").write_text('{"layers": 2}')
    assert training_basis(spec)["model"] != before["model"]
