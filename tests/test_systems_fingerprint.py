"""A fingerprint changes with everything that can change an answer, and with nothing else."""

import json
import os
from dataclasses import replace

import pytest

from harness.errors import ConfigError
from harness.types import ModelSpec, SystemSpec
from systems.corpus import read_corpus
from systems.fingerprint import fingerprint
from systems.template import PromptTemplate


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/model.safetensors").write_bytes(b"weights")
    (tmp_path / "model/config.json").write_text("{}")
    (tmp_path / "prompt.j2").write_text("Answer: {{ input }}")
    (tmp_path / "train.jsonl").write_text('{"input": "a", "expected_output": "b"}\n')
    (tmp_path / "app.py").write_text("def answer(text): return text\n")
    return tmp_path


@pytest.fixture
def few_shot(folder):
    return SystemSpec(
        name="few-shot",
        kind="prompt",
        rung="prompt",
        folder=folder,
        model=ModelSpec(name="base", kind="transformers", source="model"),
        options={
            "prompt": "prompt.j2",
            "examples": {"path": "train.jsonl", "k": 1},
            "decoding": {"max_tokens": 8},
        },
    )


def with_options(spec, **options):
    return replace(spec, options={**spec.options, **options})


def with_model(spec, **options):
    return replace(spec, model=replace(spec.model, options=options))


def test_it_is_the_same_as_long_as_nothing_changes(few_shot):
    assert fingerprint(few_shot) == fingerprint(few_shot)


def test_the_name_and_rung_of_a_system_do_not_matter(few_shot):
    other = replace(few_shot, name="other", rung="fine_tuned")
    assert fingerprint(few_shot).digest == fingerprint(other).digest


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("prompt.j2", "prompt"),
        ("train.jsonl", "examples"),
        ("model/model.safetensors", "model"),
        ("model/config.json", "model"),
    ],
)
def test_one_character_of_any_file_changes_it_and_names_the_part(few_shot, folder, file, part):
    before = fingerprint(few_shot)
    (folder / file).write_bytes((folder / file).read_bytes() + b" ")
    after = fingerprint(few_shot)
    assert before.digest != after.digest
    assert [name for name in before.parts if before.parts[name] != after.parts[name]] == [part]


@pytest.mark.parametrize(
    "changed",
    [
        lambda spec: with_options(spec, decoding={"max_tokens": 9}),
        lambda spec: with_options(spec, examples={"path": "train.jsonl", "k": 2}),
        lambda spec: with_model(spec, dtype="bfloat16"),
        lambda spec: replace(spec, model=replace(spec.model, source="org/model")),
    ],
    ids=["decoding", "examples", "model options", "model"],
)
def test_settings_that_change_answers_change_it(few_shot, changed):
    assert fingerprint(few_shot).digest != fingerprint(changed(few_shot)).digest


def test_logs_and_checkpoints_beside_a_model_do_not_change_it(few_shot, folder):
    before = fingerprint(few_shot)
    (folder / "model/checkpoint").mkdir()
    (folder / "model/checkpoint/model.safetensors").write_bytes(b"half")
    (folder / "model/README.md").write_text("a card")
    assert fingerprint(few_shot) == before


def test_settings_of_patience_and_speed_do_not_change_it(few_shot):
    slower = with_model(with_options(few_shot, probe=True), batch_size=3)
    assert fingerprint(slower).digest == fingerprint(few_shot).digest


def test_the_prompt_stands_in_the_parts_verbatim(few_shot):
    assert fingerprint(few_shot).parts["prompt"] == "Answer: {{ input }}"


def test_an_included_template_counts(few_shot, folder):
    (folder / "prompt.j2").write_text("{% include 'tone.j2' %} {{ input }}")
    (folder / "tone.j2").write_text("Be brief.")
    before = fingerprint(few_shot)
    (folder / "tone.j2").write_text("Be kind.")
    assert fingerprint(few_shot).digest != before.digest


@pytest.mark.parametrize(
    "text",
    [
        "{%+ include 'tone.j2' %}",
        "{%- include 'tone.j2' -%}",
        "{% include ['tone.j2'] %}",
        "{% include ['tone.j2', 'other.j2'] %}",
        "{% import 'tone.j2' as tone %}",
        "{% from 'tone.j2' import polite %}",
        "{% extends 'tone.j2' %}",
        "{% include 'between.j2' %}",
        "{% include 'to' ~ 'ne.j2' %}",
        "{% include input.tone %}",
        "{% include [input.tone, 'other.j2'] %}",
        "{% extends 'tone.j2' if input else 'other.j2' %}",
        "{% include 'computed.j2' %}",
    ],
)
def test_a_template_counts_however_another_one_names_it(few_shot, folder, text):
    (folder / "prompt.j2").write_text(text)
    (folder / "between.j2").write_text("{%+ include 'tone.j2' %}")
    (folder / "computed.j2").write_text("{% include input.tone %}")
    (folder / "other.j2").write_text("other")
    (folder / "tone.j2").write_text("Be brief.")
    before = fingerprint(few_shot)
    (folder / "tone.j2").write_text("Be brief!")
    assert fingerprint(few_shot).digest != before.digest


def test_a_computed_name_may_mean_any_template_in_or_below_the_folder(few_shot, folder):
    (folder / "prompts/tones").mkdir(parents=True)
    (folder / "prompts/ask.j2").write_text("{% include input.tone %}")
    (folder / "prompts/tones/kind.j2").write_text("{% include '../beside.j2' %}")
    (folder / "prompts/broken.j2").write_text("{% include")
    (folder / "beside.j2").write_text("Be kind.")
    spec = with_options(few_shot, prompt="prompts/ask.j2")
    before = fingerprint(spec)
    (folder / "prompts/notes.csv").write_text("no template")
    (folder / "above.j2").write_text("named by none")
    assert fingerprint(spec) == before
    (folder / "beside.j2").write_text("Be kinder.")
    after = fingerprint(spec)
    changed = [name for name in after.parts if after.parts[name] != before.parts[name]]
    assert changed == ["prompt > any *.j2"]
    (folder / "prompts/tones/new.j2").write_text("new")
    assert fingerprint(spec).digest != after.digest


def test_a_template_that_names_others_in_wrong_syntax_is_told_with_its_line(few_shot, folder):
    (folder / "prompt.j2").write_text("a\n{% include %}")
    with pytest.raises(ConfigError) as caught:
        fingerprint(few_shot)
    assert (caught.value.file, caught.value.line) == (folder / "prompt.j2", 2)


@pytest.mark.parametrize("name", ["README.md", "checkpoints/a.md", "LICENSE.txt", "deep/b.jsonl"])
def test_every_file_that_the_corpus_is_read_from_counts(few_shot, folder, name):
    file = folder / "corpus" / name
    file.parent.mkdir(parents=True)
    file.write_text('{"id": "a", "text": "one"}\n')
    rag = replace(with_options(few_shot, corpus="corpus", retriever="bm25"), kind="rag")
    chunks = read_corpus(folder / "corpus", size=120, overlap=20, key="corpus")
    before = fingerprint(rag)
    file.write_text('{"id": "a", "text": "two"}\n')
    assert read_corpus(folder / "corpus", size=120, overlap=20, key="corpus") != chunks
    assert fingerprint(rag).digest != before.digest


def test_files_that_a_corpus_is_not_read_from_do_not_count(few_shot, folder):
    (folder / "corpus").mkdir()
    (folder / "corpus/a.md").write_text("text")
    rag = replace(with_options(few_shot, corpus="corpus", retriever="bm25"), kind="rag")
    before = fingerprint(rag)
    (folder / "corpus/picture.png").write_bytes(b"png")
    assert fingerprint(rag) == before


def test_the_name_of_a_single_file_counts_as_it_does_in_a_folder(few_shot, folder):
    """It says how the file is read, and the ids of its passages."""
    (folder / "corpus").mkdir()
    digests = {}
    for name in ("a.jsonl", "b.md", "c.md", "corpus/a.jsonl"):
        (folder / name).write_text('{"id": "a", "text": "one"}\n')
        rag = replace(with_options(few_shot, corpus=name, retriever="bm25"), kind="rag")
        digests[name] = fingerprint(rag).digest
    in_folder = replace(with_options(few_shot, corpus="corpus", retriever="bm25"), kind="rag")
    assert digests["corpus/a.jsonl"] == digests["a.jsonl"] == fingerprint(in_folder).digest
    assert len(set(digests.values())) == 3


def test_the_order_of_a_schemas_fields_counts(few_shot):
    """Answers have their fields in it; of any other option the order means nothing."""
    fields = {"reason": {"type": "string"}, "answer": {"type": "string"}}
    schemas = [{"type": "object", "properties": dict(order)} for order in _orders(fields)]
    one, other = (fingerprint(with_options(few_shot, json_schema=schema)) for schema in schemas)
    assert one.digest != other.digest
    assert [name for name in one.parts if one.parts[name] != other.parts[name]] == ["json_schema"]
    settings = {"max_tokens": 8, "temperature": 0.5}
    assert (
        len(
            {
                fingerprint(with_options(few_shot, decoding=dict(order))).digest
                for order in _orders(settings)
            }
        )
        == 1
    )


def _orders(mapping):
    items = list(mapping.items())
    return items, items[::-1]


def test_cards_and_checkpoints_beside_an_adapter_do_not_count(few_shot, folder):
    (folder / "adapter/checkpoints").mkdir(parents=True)
    (folder / "adapter/adapter_model.safetensors").write_bytes(b"weights")
    tuned = with_options(few_shot, adapter="adapter")
    before = fingerprint(tuned)
    (folder / "adapter/README.md").write_text("a card")
    (folder / "adapter/checkpoints/half").write_bytes(b"half")
    assert fingerprint(tuned) == before


@pytest.mark.parametrize(
    ("files", "chain"),
    [
        ({"prompt.j2": "{% include 'prompt.j2' %}"}, "prompt.j2 > prompt.j2"),
        (
            {"prompt.j2": "{% include 'b.j2' %}", "b.j2": "{% include 'prompt.j2' %}"},
            "prompt.j2 > b.j2 > prompt.j2",
        ),
        (
            {"prompt.j2": "{% include 'b.j2' %}", "b.j2": "{% include 'b.j2' %}"},
            "b.j2 > b.j2",
        ),
    ],
    ids=["itself", "circle", "included"],
)
def test_a_template_that_includes_itself_is_told(few_shot, folder, files, chain):
    for name, text in files.items():
        (folder / name).write_text(text)
    with pytest.raises(ConfigError, match=f"includes itself: {chain}") as caught:
        fingerprint(few_shot)
    assert caught.value.key == "systems.few-shot.prompt"


def test_a_template_may_be_included_twice(few_shot, folder):
    (folder / "prompt.j2").write_text("{% include 'a.j2' %}{% include 'b.j2' %}{{ input }}")
    (folder / "a.j2").write_text("{% include 'b.j2' %}")
    (folder / "b.j2").write_text("Be brief.")
    before = fingerprint(few_shot)
    (folder / "b.j2").write_text("Be kind.")
    assert fingerprint(few_shot).digest != before.digest


def test_included_templates_are_those_that_are_rendered(few_shot, folder):
    """Jinja looks beside the template of the configuration, wherever the including one stands."""
    (folder / "parts").mkdir()
    (folder / "prompt.j2").write_text("{% include 'parts/a.j2' %}")
    (folder / "parts/a.j2").write_text("{% include 'parts/b.j2' %}")
    (folder / "parts/b.j2").write_text("Be brief.")
    rendered = PromptTemplate(folder / "prompt.j2", key="").render({})
    assert rendered[0]["content"] == "Be brief."
    assert "Be brief." in fingerprint(few_shot).parts.values()


def test_a_server_is_known_by_model_and_endpoint_never_by_its_key(folder, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    model = ModelSpec(
        name="hosted",
        kind="openai",
        source="some-model-2026-01-01",
        options={"base_url": "https://user:sk-secret@example.org/v1", "api_key_env": "MY_KEY"},
    )
    spec = SystemSpec(name="a", kind="prompt", rung="prompt", folder=folder, model=model)
    print_ = fingerprint(spec)
    assert print_.parts["model"] == "some-model-2026-01-01 at https://example.org/v1"
    assert "secret" not in json.dumps(dict(print_.parts))
    other_key = replace(
        spec, model=replace(model, options={**model.options, "api_key_env": "OTHER"})
    )
    assert fingerprint(other_key).digest == print_.digest


def test_a_server_that_the_environment_names_counts(folder, monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    model = ModelSpec(name="hosted", kind="openai", source="some-model")
    spec = SystemSpec(name="a", kind="prompt", rung="prompt", folder=folder, model=model)
    named = replace(spec, model=replace(model, options={"base_url": "https://example.org/v1"}))
    unset, told = fingerprint(spec), fingerprint(named)
    assert unset.parts["model"] == "some-model at the openai client's own"
    monkeypatch.setenv("OPENAI_BASE_URL", "https://user:secret@example.org/v1")
    assert fingerprint(spec) == told
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert fingerprint(spec).digest not in (unset.digest, told.digest)
    assert fingerprint(named) == told


@pytest.mark.parametrize(
    ("name", "warned"),
    [("gpt-x-latest", True), ("chat:latest", True), ("gpt-x-2026-01-01", False), ("llama", False)],
)
def test_a_moving_alias_is_warned_about(folder, name, warned):
    model = ModelSpec(name="hosted", kind="openai", source=name)
    spec = SystemSpec(name="a", kind="prompt", rung="prompt", folder=folder, model=model)
    assert bool(fingerprint(spec).warnings) == warned


def python(folder, **options):
    return SystemSpec(
        name="app",
        kind="python",
        rung="prompt",
        folder=folder,
        options={"callable": "app:answer", **options},
    )


def test_a_function_is_known_by_its_module_which_is_not_imported(folder):
    (folder / "app.py").write_text("raise SystemExit('imported')\n")
    before = fingerprint(python(folder)).digest
    (folder / "app.py").write_text("raise SystemExit('imported!')\n")
    assert fingerprint(python(folder)).digest != before


def test_code_named_in_the_configuration_counts_instead(folder):
    (folder / "lib").mkdir()
    (folder / "lib/rules.py").write_text("A = 1\n")
    spec = python(folder, code=["lib/"])
    before = fingerprint(spec).digest
    (folder / "app.py").write_text("def answer(text): return text.upper()\n")
    assert fingerprint(spec).digest == before
    (folder / "lib/rules.py").write_text("A = 2\n")
    assert fingerprint(spec).digest != before


def test_the_code_of_tools_and_steps_counts(folder, few_shot):
    tools = {"functions": [{"name": "f", "parameters": {}, "callable": "app:answer"}]}
    spec = with_options(few_shot, tools=tools)
    before = fingerprint(spec).digest
    (folder / "app.py").write_text("def answer(text): return 'no'\n")
    assert fingerprint(spec).digest != before


def test_code_that_tools_and_steps_stand_on_counts_where_it_is_named(folder, few_shot):
    (folder / "lib").mkdir()
    (folder / "lib/rules.py").write_text("A = 1\n")
    tools = {"functions": [{"name": "f", "parameters": {}, "callable": "app:answer"}]}
    spec = with_options(few_shot, tools=tools, code=["lib/"])
    before = fingerprint(spec).digest
    (folder / "lib/rules.py").write_text("A = 2\n")
    changed = fingerprint(spec).digest
    assert changed != before
    (folder / "app.py").write_text("def answer(text): return 'no'\n")
    assert fingerprint(spec).digest not in (before, changed)


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        (lambda spec: with_options(spec, prompt="promt.j2"), "systems.few-shot.prompt"),
        (lambda spec: with_options(spec, adapter="adapters/no"), "systems.few-shot.adapter"),
        (lambda spec: replace(spec, model=replace(spec.model, source="./no")), "models.base"),
        (
            lambda spec: with_options(spec, examples={"path": "no.jsonl"}),
            "systems.few-shot.examples.path",
        ),
    ],
    ids=["prompt", "adapter", "model", "examples"],
)
def test_a_missing_file_is_told_with_its_key(few_shot, changed, key):
    with pytest.raises(ConfigError) as caught:
        fingerprint(changed(few_shot))
    assert caught.value.key == key


def test_a_missing_module_is_told(folder):
    with pytest.raises(ConfigError, match="no module 'nowhere_at_all'"):
        fingerprint(python(folder, callable="nowhere_at_all:f"))


def test_hashes_are_remembered_by_size_and_time(few_shot, folder, tmp_path):
    memo = tmp_path / ".rung" / "hashes.json"
    weights = folder / "model/model.safetensors"
    before = fingerprint(few_shot, memo=memo)
    stat = weights.stat()
    weights.write_bytes(b"WEIGHTS")
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert fingerprint(few_shot, memo=memo) == before  # the file was not read again
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert fingerprint(few_shot, memo=memo).digest != before.digest


@pytest.mark.parametrize("content", ["", "[1]", "{", '{"x": 3}'])
def test_a_broken_memo_is_made_anew(few_shot, tmp_path, content):
    memo = tmp_path / "hashes.json"
    memo.write_text(content)
    assert fingerprint(few_shot, memo=memo) == fingerprint(few_shot)
    assert json.loads(memo.read_text())
