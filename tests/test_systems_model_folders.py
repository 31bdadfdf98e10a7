"""Folders of models: where they may lie, what may lie in them, and what their configuration tells."""

import json
import shutil

import pytest
from systems_models import chat_model

from harness.errors import ConfigError
from harness.types import Case, ModelSpec, SystemSpec
from systems.context_length import longest_length, stated_length
from systems.fingerprint import fingerprint
from systems.prompt import PromptSystem

ALTERNATING = """{% for m in messages %}\
{% if loop.index0 % 2 == (m.role == "user") | int %}\
{{ raise_exception("Conversation roles must alternate") }}{% endif %}\
{{ m.content }}{% endfor %}"""


@pytest.fixture
def system(tmp_path):
    def build(source=None, **options):
        return SystemSpec(
            name="s",
            kind="prompt",
            rung="prompt",
            folder=tmp_path,
            model=ModelSpec(
                name="base", kind="transformers", source=source or chat_model(), options=options
            ),
            options={"decoding": {"max_tokens": 3}},
        )

    return build


@pytest.fixture
def copied(tmp_path):
    return shutil.copytree(chat_model(), tmp_path / "home/copied")


def outputs(spec, **inputs):
    cases = [Case(id=id, input=value) for id, value in inputs.items()]
    return {out.case_id: out for out in PromptSystem(spec).generate(cases, epoch=0)}


def test_a_model_may_lie_below_the_home_folder(system, copied, monkeypatch):
    monkeypatch.setenv("HOME", str(copied.parent))
    spec = system("~/copied")
    PromptSystem(spec).check()
    assert outputs(spec, a="Hello")["a"].error is None
    assert fingerprint(spec).parts["model"] == fingerprint(system(str(copied))).parts["model"]


def test_a_folder_within_does_not_count_whatever_its_name(system, copied):
    before = fingerprint(system(str(copied))).digest
    (copied / "tokenizer_old").mkdir()
    assert fingerprint(system(str(copied))).digest == before


def test_a_case_that_the_chat_template_refuses_is_errored_alone(system, copied):
    (copied / "chat_template.jinja").write_text(ALTERNATING)
    twice = [{"role": "user", "content": text} for text in ("Hello", "again")]
    made = outputs(system(str(copied)), a="Hello", b=twice, c="Good day")
    assert [id for id, out in made.items() if out.error] == ["b"]
    assert "the chat template refused the messages" in made["b"].error
    assert "Conversation roles must alternate" in made["b"].error


def test_a_window_larger_than_the_models_own_is_refused_with_both_numbers(system, copied):
    own = json.loads((copied / "config.json").read_text())["max_position_embeddings"]
    PromptSystem(system(str(copied), context_length=own)).check()
    with pytest.raises(ConfigError, match=rf"{own + 1} tokens .*: {own}$") as caught:
        PromptSystem(system(str(copied), context_length=own + 1)).check()
    assert caught.value.key == "models.base.context_length"


@pytest.mark.parametrize(
    ("rope", "longest"),
    [
        (None, 4096),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}, 16384),
        ({"rope_type": "llama3", "factor": 2.0, "original_max_position_embeddings": 512}, 4096),
    ],
    ids=["plain", "stretched", "stated already"],
)
def test_stretched_positions_reach_further_than_is_stated(rope, longest):
    transformers = pytest.importorskip("transformers")
    extra = {"low_freq_factor": 1.0, "high_freq_factor": 4.0} if longest == 4096 and rope else {}
    config = transformers.LlamaConfig(
        max_position_embeddings=4096,
        rope_parameters=None if rope is None else {"rope_theta": 10000.0, **rope, **extra},
    )
    assert (stated_length(config), longest_length(config)) == (4096, longest)


def test_a_length_below_zero_is_none():
    transformers = pytest.importorskip("transformers")
    assert stated_length(transformers.XLNetConfig()) is None
