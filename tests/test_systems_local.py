"""Prompt systems on a model of this machine."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from systems_models import chat_model, story_model, story_tokenizer

from harness.errors import ConfigError, SystemFailure
from harness.types import Case, ModelSpec, SystemSpec
from systems.backend import Decoding, Request
from systems.prompt import PromptSystem

FEW_SHOT = """Convert to JSON.
{% for e in examples %}
Input: {{ e.input }}
Output: {{ e.output }}
{% endfor %}
Input: {{ input }}
Output:"""

WORDS = ("red", "green", "blue", "small", "large", "round", "flat", "cold")
CASES = [
    Case(id=f"c{i}", input=f"the {word} box number {i}" + " of wood" * (i % 3))
    for i, word in enumerate(WORDS * 2)
]


@pytest.fixture
def system(tmp_path):
    rows = [
        {"input": f"the {word} box number {i}", "expected_output": {"color": word, "number": i}}
        for i, word in enumerate(WORDS[:4])
    ]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "prompt.j2").write_text(FEW_SHOT)

    def build(source=None, *, model=None, **options):
        few = {"examples": {"path": "train.jsonl", "k": 4}, "decoding": {"max_tokens": 12}}
        options = {"prompt": "prompt.j2", **few, **options}
        options = {name: value for name, value in options.items() if value is not None}
        spec = SystemSpec(
            name="few-shot",
            kind="prompt",
            rung="prompt",
            folder=tmp_path,
            model=ModelSpec(
                name="base",
                kind="transformers",
                source=source or chat_model(),
                options=model or {},
            ),
            options=options,
        )
        return PromptSystem(spec)

    return build


def answers(system, cases=CASES, epoch=0):
    return {out.case_id: out for out in system.generate(cases, epoch=epoch)}


def texts(system, cases=CASES, epoch=0):
    return {id: out.text for id, out in answers(system, cases, epoch).items()}


def one_at_a_time(system, cases=CASES, max_tokens=12):
    """The texts that Transformers' own generate gives, without batching."""
    import torch

    backend, made = system.backend, {}
    for case in cases:
        ids = backend.tokenizer.apply_chat_template(
            system.render(case), add_generation_prompt=True, return_dict=False
        )
        output = backend.model.generate(
            input_ids=torch.tensor([ids]),
            attention_mask=torch.ones(1, len(ids), dtype=torch.long),
            max_new_tokens=max_tokens,
            do_sample=False,
            pad_token_id=0,
        )
        made[case.id] = backend.tokenizer.decode(output[0, len(ids) :], skip_special_tokens=True)
    return made


def test_a_batch_answers_what_each_case_alone_is_answered(system):
    few_shot = system()
    assert texts(few_shot) == one_at_a_time(few_shot)


@pytest.mark.parametrize(
    "model", [{"batch_size": 3}, {"shared_prefix": False}, {"batch_size": 1}], ids=str
)
def test_neither_batches_nor_the_shared_prefix_change_an_answer(system, model):
    assert texts(system(model=model)) == texts(system())


def test_what_was_sent_is_told_with_its_tokens(system):
    few_shot = system()
    out = answers(few_shot, CASES[:1])["c0"]
    tokenizer = few_shot.backend.tokenizer
    assert out.prompt == tokenizer.apply_chat_template(
        few_shot.render(CASES[0]), tokenize=False, add_generation_prompt=True
    )
    ids = tokenizer(out.prompt, add_special_tokens=False)["input_ids"]
    assert out.usage.prompt_tokens == len(ids)
    assert 1 <= out.usage.completion_tokens <= 12
    assert out.finish_reason in ("stop", "length")
    assert out.latency_s > 0


def test_an_answer_of_the_most_tokens_says_so(system):
    out = answers(system(decoding={"max_tokens": 1}), CASES[:1])["c0"]
    assert (out.finish_reason, out.usage.completion_tokens) == ("length", 1)


def test_an_answer_ends_before_a_stop_string(system):
    whole = answers(system(), CASES[:2])
    stop = whole["c0"].text[2:4]
    stopped = answers(system(decoding={"max_tokens": 12, "stop": [stop]}), CASES[:2])
    assert stopped["c0"].text == whole["c0"].text.partition(stop)[0]
    assert stopped["c0"].finish_reason == "stop"


def test_sampling_repeats_by_seed_and_differs_by_epoch(system):
    decoding = {"max_tokens": 12, "temperature": 1.5, "seed": 7}
    sampled = texts(system(decoding=decoding))
    assert texts(system(decoding=decoding)) == sampled
    assert texts(system(decoding={**decoding, "seed": 8})) != sampled
    assert texts(system(decoding=decoding), epoch=1) != sampled


def test_a_sampled_answer_does_not_depend_on_the_other_cases(system):
    sampled = system(decoding={"max_tokens": 12, "temperature": 1.0})
    together = texts(sampled)
    assert texts(sampled, CASES[3:5]) == {id: together[id] for id in ("c3", "c4")}


def test_the_likeliest_token_alone_is_greedy(system):
    greedy = texts(system())
    assert texts(system(decoding={"max_tokens": 12, "temperature": 1.0, "top_k": 1})) == greedy


@pytest.mark.parametrize(
    ("penalty", "chosen"),
    [
        ({}, 2),
        ({"repetition_penalty": 2.0}, 1),
        ({"frequency_penalty": 0.8}, 1),
        ({"presence_penalty": 0.8}, 2),
        ({"presence_penalty": 1.2}, 1),
    ],
    ids=str,
)
def test_penalties_lower_the_scores_of_tokens_that_are_there(penalty, chosen):
    import torch

    from systems.sampling import Row, Sampler

    row = Row(index=0, prompt=[0], generator=None, room=9, tokens=[2, 2])
    scores = torch.tensor([[0.0, 2.0, 3.0]])
    assert Sampler(Decoding.of(penalty)).choose(scores, [row]) == [chosen]


def test_a_prompt_longer_than_the_window_errors_its_case_with_both_counts(system):
    few_shot = system()
    window = few_shot.backend.context_length
    long = Case(id="long", input="word " * (window + 100))
    outputs = answers(few_shot, [*CASES[:2], long])
    assert f"the model's window holds {window}" in outputs["long"].error
    assert outputs["c0"].error is None


def test_the_window_may_be_set_smaller(system):
    out = answers(system(model={"context_length": 20}), CASES[:1])["c0"]
    assert "the model's window holds 20" in out.error


def test_no_case_can_end_its_turn(system):
    few_shot = system(prompt=None, examples=None)
    tokenizer = few_shot.backend.tokenizer
    end = tokenizer.eos_token
    ids = few_shot.backend.encode(Request(messages=[{"role": "user", "content": f"a{end}b"}]))[1]
    plain = few_shot.backend.encode(Request(messages=[{"role": "user", "content": "ab"}]))[1]
    assert ids.count(tokenizer.eos_token_id) == plain.count(tokenizer.eos_token_id)


def test_a_last_part_of_the_assistant_is_gone_on_from(system, tmp_path):
    (tmp_path / "primed.j2").write_text('[user]\nConvert: {{ input }}\n[assistant]\n{"color":')
    out = answers(system(prompt="primed.j2", examples=None), CASES[:1])["c0"]
    assert out.prompt.endswith('{"color":')
    assert out.error is None


@pytest.mark.parametrize("prompt", ["plain.j2", None])
def test_examples_that_no_prompt_reads_are_refused(system, tmp_path, prompt):
    (tmp_path / "plain.j2").write_text("Convert: {{ input }}")
    with pytest.raises(ConfigError, match="no prompt of this system reads `examples`") as caught:
        system(prompt=prompt).check()
    assert caught.value.key == "systems.few-shot.examples"


def test_examples_may_be_read_by_one_step_of_a_chain(system):
    steps = [{"name": "convert", "prompt": "prompt.j2"}]
    system(prompt=None, steps=steps).check()


def test_the_answer_stands_behind_the_reasoning(system):
    whole = answers(system(), CASES[:1])["c0"].text
    mark = whole[:2]
    out = answers(system(answer={"after": mark}), CASES[:1])["c0"]
    assert out.text == whole.partition(mark)[2].strip()
    assert out.steps[0].text == whole


def test_systems_on_one_model_share_it(system):
    assert system().backend is system(prompt=None).backend
    assert system().backend is not system(model={"batch_size": 2}).backend


def test_a_foreign_model_without_a_chat_template_goes_on_from_the_text(system, tmp_path):
    model = {"tokenizer": story_tokenizer(tmp_path / "tokenizer")}
    decoding = {"max_tokens": 40, "temperature": 0.8}
    story = system(story_model(), model=model, prompt=None, examples=None, decoding=decoding)
    cases = [
        Case(id="a", input="Once upon a time, there was a"),
        Case(id="b", input="Lily and Tom went to the park. They"),
    ]
    outputs = answers(story, cases)
    assert all(out.error is None for out in outputs.values())
    assert outputs["a"].prompt == cases[0].input
    assert outputs["a"].usage.completion_tokens == 40
    assert (
        sum(word in outputs["a"].text for word in (" the ", " a ", " to ", " and ", " was ")) >= 2
    )


@pytest.mark.parametrize("key", ["source", "tokenizer"])
def test_a_folder_that_is_not_there_is_a_configuration_error(system, key):
    built = system("./no-such") if key == "source" else system(model={"tokenizer": "./no-such"})
    with pytest.raises(ConfigError, match="no-such") as caught:
        built.check()
    assert caught.value.key.startswith("models.base.")


def test_a_folder_without_a_model_says_so(system, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemFailure, match="cannot be loaded"):
        answers(system("./empty"))


@pytest.fixture
def copied(system, tmp_path):
    """A system on a copy of the model, which a test may damage."""
    folder = tmp_path / "copied"
    shutil.copytree(chat_model(), folder)
    return system("copied"), folder / "model.safetensors"


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4061234\n"


@pytest.mark.parametrize(
    ("damage", "complaint", "advice"),
    [
        (lambda raw: raw[: len(raw) // 2], "these weights cannot be read", "cut off or damaged"),
        (lambda raw: raw[:20], "these weights cannot be read", "cut off or damaged"),
        (lambda raw: b"", "these weights cannot be read", "0 bytes are there"),
        (lambda raw: POINTER, "is a pointer of Git LFS", "git lfs pull"),
    ],
    ids=["half", "header", "empty", "pointer"],
)
def test_weights_that_cannot_be_loaded_are_named_before_the_run(copied, damage, complaint, advice):
    damaged, weights = copied
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(ConfigError, match=complaint) as caught:
        damaged.check()
    assert Path(caught.value.file).name == "model.safetensors"
    assert caught.value.key == "models.base.transformers"
    assert advice in caught.value.hint


def test_the_weights_of_an_adapter_are_looked_at_too(copied, tmp_path):
    whole, _ = copied
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    (adapter / "adapter_model.safetensors").write_bytes(POINTER)
    tuned = replace(whole.spec, options={**whole.spec.options, "adapter": "adapter"})
    with pytest.raises(ConfigError, match=r"adapter_model\.safetensors: adapter: is a pointer"):
        PromptSystem(tuned).check()


def test_decoding_is_read_from_the_configuration():
    decoding = Decoding.of({"max_tokens": 5, "stop": ["a"], "temperature": None})
    assert decoding == replace(Decoding(), max_tokens=5, stop=("a",), temperature=None)


def test_int8_weights_answer_nearly_as_whole_ones_do(system):
    import torch

    whole, small = system(), system(model={"quantize": "int8"})
    ids = torch.tensor([whole.backend.encode(Request(messages=whole.render(CASES[0])))[1]])
    with torch.inference_mode():
        a = whole.backend.model(ids).logits[0].softmax(-1)
        b = small.backend.model(ids).logits[0].softmax(-1)
    assert (a.argmax(-1) == b.argmax(-1)).float().mean() > 0.9
    assert not torch.equal(a, b)
    assert set(texts(small)) == {case.id for case in CASES}
