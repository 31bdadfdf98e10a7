"""Answers that must follow a JSON Schema, and tools, on a model of this machine."""

import json
import shutil
import sys
from pathlib import Path

import jsonschema
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from systems_models import chat_model

from harness.errors import ConfigError
from harness.types import Case, ModelSpec, SystemSpec
from systems.prompt import PromptSystem

SCHEMA = {
    "type": "object",
    "properties": {
        "color": {"enum": ["red", "green", "blue"]},
        "count": {"type": "integer", "minimum": 0, "maximum": 9},
    },
    "required": ["color", "count"],
    "additionalProperties": False,
}
CASES = [Case(id=str(i), input=text) for i, text in enumerate(("3 red boxes", "hello", "blue?"))]


@pytest.fixture
def answers(tmp_path):
    def build(prompt="{{ input }}", model=None, **options):
        (tmp_path / "prompt.j2").write_text(prompt)
        spec = SystemSpec(
            name="s",
            kind="prompt",
            rung="prompt",
            folder=tmp_path,
            model=ModelSpec(name="base", kind="transformers", source=model or chat_model()),
            options={"prompt": "prompt.j2", "decoding": {"max_tokens": 60}, **options},
        )
        return {out.case_id: out for out in PromptSystem(spec).generate(CASES, epoch=0)}

    return build


@pytest.mark.parametrize("decoding", [{}, {"temperature": 2.0}], ids=["greedy", "sampled"])
def test_every_answer_follows_the_schema(answers, decoding):
    outputs = answers(json_schema=SCHEMA, decoding={"max_tokens": 60, **decoding})
    for out in outputs.values():
        assert out.error is None
        assert out.finish_reason == "stop"
        jsonschema.validate(json.loads(out.text), SCHEMA)


def test_the_schema_may_stand_in_a_file(answers, tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (out, *_) = answers(json_schema="schema.json").values()
    jsonschema.validate(json.loads(out.text), SCHEMA)


def test_fields_come_in_the_order_of_the_schema(answers):
    backwards = {**SCHEMA, "properties": dict(reversed(SCHEMA["properties"].items()))}
    for schema in (SCHEMA, backwards):
        for out in answers(json_schema=schema).values():
            assert list(json.loads(out.text)) == list(schema["properties"])


def test_a_tokenizer_without_an_end_token_is_refused(answers, tmp_path):
    model = tmp_path / "endless"
    shutil.copytree(chat_model(), model)
    for name in ("tokenizer_config.json", "config.json", "generation_config.json"):
        values = json.loads((model / name).read_text())
        kept = {key: value for key, value in values.items() if not key.startswith("eos_token")}
        (model / name).write_text(json.dumps({**kept, "eos_token_id": None}))
    with pytest.raises(ConfigError, match="this tokenizer has none") as caught:
        answers(model=str(model), json_schema=SCHEMA)
    assert caught.value.key == "json_schema"
    assert "eos_token" in caught.value.hint


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({"type": "objct"}, "no JSON Schema"),
        ("nowhere.json", "cannot be read"),
        ({"type": "string", "pattern": "(?<=a)b"}, "cannot constrain"),
    ],
    ids=["schema", "file", "unsupported"],
)
def test_a_schema_that_cannot_be_followed_is_a_configuration_error(answers, schema, complaint):
    with pytest.raises(ConfigError, match=complaint):
        answers(json_schema=schema)


TOOLS = {"functions": [{"name": "count_boxes", "parameters": {"type": "object"}}]}


def test_functions_that_are_shown_nowhere_are_an_error(answers):
    if "tools" in (Path(chat_model()) / "chat_template.jinja").read_text():
        pytest.skip("the chat template of the model shows functions itself")
    assert all("{{ tools | tojson }}" in out.error for out in answers(tools=TOOLS).values())


def test_a_prompt_may_show_the_functions_itself(answers):
    outputs = answers("{{ tools | tojson }} {{ input }}", tools=TOOLS)
    assert all(out.error is None for out in outputs.values())
    assert "count_boxes" in outputs["0"].prompt
