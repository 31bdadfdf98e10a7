"""Template parity of training rows through its public door: the classic mistakes, planted where users make them."""

import json
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from systems_models import chat_model
from tuned_systems import (
    COLORS,
    PAIRS,
    QUICK,
    ROWS,
    copy_model,
    said,
    texts,
    with_options,
    write_system,
)

from harness.errors import ConfigError
from systems.recipe import read_recipe, read_training_objects
from systems.training import SystemTrainer, template_parity, train

WORDS = "Say the color: "
SYSTEM = "[system]\nBe brief.\n[user]\nSay the color: {{ input }}"
PLAIN = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}A:{% endif %}"


def own(*turns, **more):
    """A row in TRL's form, for every color; {} stands for the input."""
    return [
        {
            "prompt": said(
                *((role, text.replace("{}", f"the {color} box")) for role, text in turns)
            ),
            "completion": said(("assistant", f"{color}!")),
            **more,
        }
        for color in COLORS
    ]


@pytest.fixture
def tuned(tmp_path):
    return partial(write_system, tmp_path)


def refused(spec, fault):
    with pytest.raises(ConfigError, match=rf"template parity \({fault}\)") as caught:
        template_parity(spec)
    return caught.value


SAME = {
    "the prompt file's own words": (own(("user", WORDS + "{}")), WORDS + "{{ input }}"),
    "a lone slot": (own(("user", "{}")), "{{ input }}"),
    "a named field": (own(("user", "{}")), "{% if question is defined %}{{ question }}{% endif %}"),
    "a field of the input": (own(("user", "Q: {}")), "Q: {{ input.question }}"),
    "two fields": (own(("user", "Q: {} S: {}")), "Q: {{ question }} S: {{ table }}"),
    "the same slot twice": (own(("user", "{} / {}")), "{{ input }} / {{ input }}"),
    "a system message": (own(("system", "Be brief."), ("user", WORDS + "{}")), SYSTEM),
    "no prompt file": (own(("user", "{}")), None),
    "a chat without a prompt file": (
        own(("user", "{}"), ("assistant", "What?"), ("user", "Well?")),
        None,
    ),
}


@pytest.mark.parametrize("what", SAME)
def test_a_prompt_of_its_own_that_an_input_would_give_is_the_same(tuned, what):
    rows, prompt = SAME[what]
    found = template_parity(tuned(rows, prompt=prompt))
    assert (found["rows"], found["compared"], found["not_compared"]) == (8, 8, {})


OTHER = {
    "another system message": (own(("system", "Be wordy."), ("user", WORDS + "{}")), SYSTEM),
    "a system message in training only": (
        own(("system", "Be brief."), ("user", WORDS + "{}")),
        WORDS + "{{ input }}",
    ),
    "a system message at inference only": (own(("user", WORDS + "{}")), SYSTEM),
    "other instructions": (own(("user", "Name it: {}")), WORDS + "{{ input }}"),
    "no instructions": (own(("user", "{}")), WORDS + "{{ input }}"),
    "another field": (
        own(("system", "Be brief."), ("user", "{}")),
        "{% if question is defined %}{{ question }}{% endif %}",
    ),
}


@pytest.mark.parametrize("what", OTHER)
def test_a_prompt_of_its_own_that_inference_never_sends_is_refused(tuned, what):
    rows, prompt = OTHER[what]
    hint = refused(tuned(rows, prompt=prompt), "prompt").hint
    assert "training:" in hint
    assert "⟦" in hint
    assert "give the row its `input`" in hint


def test_a_row_with_an_input_is_held_to_it(tuned):
    rows = [
        {**row, "input": f"the {color} box"}
        for row, color in zip(own(("user", WORDS + "{}")), COLORS, strict=True)
    ]
    assert template_parity(tuned(rows))["compared"] == 8
    trailing = [{**row, "prompt": f"{WORDS}{row['input']} "} for row in rows]
    assert "`input`" not in refused(tuned(trailing), "prompt").hint


@pytest.mark.parametrize(
    ("rows", "prompt", "reason"),
    [
        (own(("user", "{}"), ("assistant", "?"), ("user", "a")), "{{ input }}!", "fit no input"),
        (own(("user", "{}")), "{{ question }} {{ table }}", "fit no input"),
        (own(("system", "Be brief."), ("user", "{}")), None, "system message"),
    ],
    ids=["several turns", "several fields", "no prompt file"],
)
def test_what_cannot_be_compared_is_counted_as_such(tuned, rows, prompt, reason):
    named = {"question": "q", "table": "t"} if "table" in str(prompt) else "q"
    rows = [*rows[:3], *[{"input": named, "completion": "a"}] * 2]
    found = template_parity(tuned(rows, prompt=prompt))
    assert (found["rows"], found["compared"]) == (5, 2)
    ((told, count),) = found["not_compared"].items()
    assert reason in told
    assert count == 3


def test_a_chain_is_not_compared(tuned):
    spec = with_options(tuned(prompt=None), steps=[{"name": "a", "prompt": "prompt.j2"}])
    (spec.folder / "prompt.j2").write_text("{{ input }}")
    assert template_parity(spec)["compared"] == 0


def test_an_adapter_that_was_recorded_without_inputs_is_held_to_its_messages(tuned, tmp_path):
    """As records were written before rows were compared by their input."""
    spec = with_options(tuned(own(("user", WORDS + "{}"))), adapter="adapter")
    record = train(spec, tmp_path / "adapter", seed=0) / "rung.json"
    old = json.loads(record.read_text())
    for sample in old["samples"]:
        assert sample.pop("input")
    record.write_text(json.dumps(old))
    assert texts(spec)
    (tmp_path / "prompt.j2").write_text("Name the color: {{ input }}")
    with pytest.raises(ConfigError, match=r"template parity \(prompt\)"):
        texts(spec)


# Classic mistakes in the chat template, in the recipe and in the rows.


def templated(tmp_path, text, **config):
    model = copy_model(tmp_path / "model", **config)
    (model / "chat_template.jinja").write_text(text)
    return model


def test_a_doubled_bos_is_caught(tuned, tmp_path):
    """The chat template writes one, and the rows begin with another."""
    bos = "<|endoftext|>"
    model = templated(tmp_path, "{{ bos_token }}" + PLAIN, bos_token=bos)
    rows = [{**row, "prompt": f"{bos}the box"} for row in own(("user", ""))]
    error = refused(tuned(rows, prompt=None, model=model), "bos")
    assert "training begins with 2 BOS tokens, inference with 1" in str(error)


def test_a_missing_generation_prompt_is_caught(tuned, tmp_path):
    text = (Path(chat_model()) / "chat_template.jinja").read_text()
    begun = text.index("{% if add_generation_prompt %}")
    error = refused(tuned(model=templated(tmp_path, text[:begun])), "prompt")
    assert "no generation prompt" in str(error)
    assert "assistant" in str(error)


def test_a_chat_template_that_marks_no_turns_needs_no_generation_prompt(tuned, tmp_path):
    text = "{% for m in messages %}{{ m['content'] }}{{ '<|im_end|>' if m['role'] == 'assistant' else '\n' }}{% endfor %}"
    assert template_parity(tuned(model=templated(tmp_path, text)))["compared"] == len(ROWS)


def test_a_trailing_space_of_the_generation_prompt_is_caught(tuned, tmp_path):
    text = (Path(chat_model()) / "chat_template.jinja").read_text()
    head, generation, tail = text.rpartition("<|im_start|>assistant\n")
    refused(tuned(model=templated(tmp_path, f"{head}{generation} {tail}")), "prompt")


def test_an_end_token_that_is_masked_out_of_the_loss_is_caught(tuned, tmp_path):
    text = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
        "{% generation %}{{ m['content'] }}{% endgeneration %}{{ '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    spec = tuned(model=templated(tmp_path, text), trainer={**QUICK, "assistant_only_loss": True})
    assert "left out of the loss" in str(refused(spec, "stop token"))


def test_an_end_token_that_the_chat_template_forgets_is_caught(tuned, tmp_path):
    text = (Path(chat_model()) / "chat_template.jinja").read_text()
    bare = text.replace(
        "message['content'] + '<|im_end|>' }}{% endgen", "message['content'] }}{% endgen"
    )
    assert bare != text
    assert "is not in the example" in str(
        refused(tuned(model=templated(tmp_path, bare)), "stop token")
    )


def test_another_chat_template_in_training_is_caught(tuned, tmp_path):
    """The recipe gives its trainer a template that inference does not have."""
    other = tmp_path / "other.jinja"
    other.write_text("Chat." + (Path(chat_model()) / "chat_template.jinja").read_text())
    refused(tuned(trainer={**QUICK, "chat_template_path": str(other)}), "prompt")


LONG = "a whole answer " * 40


@pytest.mark.parametrize("mode", ["keep_start", "keep_end"])
def test_a_truncated_answer_is_caught(tuned, mode):
    rows = [*ROWS, {"input": "the odd box", "expected_output": LONG}]
    spec = tuned(rows, trainer={**QUICK, "max_length": 64, "truncation_mode": mode})
    error = refused(spec, "truncated" if mode == "keep_start" else "prompt")
    assert "line 17" in str(error)


# Pairs


def test_pairs_are_compared(tuned):
    found = template_parity(tuned(PAIRS, method="dpo"))
    assert (found["rows"], found["compared"]) == (8, 8)


@pytest.mark.parametrize("answer", ["chosen", "rejected"])
@pytest.mark.parametrize("mode", ["keep_start", "keep_end"])
def test_an_answer_of_a_pair_that_is_cut_is_caught(tuned, answer, mode):
    rows = [*PAIRS, {**PAIRS[0], answer: LONG}]
    trainer = {**QUICK, "max_length": 64, "truncation_mode": mode}
    error = refused(
        tuned(rows, method="dpo", trainer=trainer),
        "truncated" if mode == "keep_start" else "prompt",
    )
    assert "line 9" in str(error)


def test_pairs_with_other_instructions_are_refused(tuned):
    rows = [{**pair, "prompt": f"Name it: {pair['input']}", "input": None} for pair in PAIRS]
    refused(tuned(rows, method="dpo"), "prompt")


def test_a_model_of_pairs_is_held_to_them_before_it_is_judged(tuned, tmp_path):
    spec = with_options(tuned(PAIRS, method="dpo"), adapter="adapter")
    record = json.loads((train(spec, tmp_path / "adapter", seed=0) / "rung.json").read_text())
    assert [sample["answer"] for sample in record["samples"]] == [f"{c}!" for c in COLORS]
    (tmp_path / "prompt.j2").write_text("Name the color: {{ input }}")
    with pytest.raises(ConfigError, match=r"template parity \(prompt\)"):
        texts(spec)


# Rows that cannot be trained on


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"input": "q"}, "line 2 has no 'completion'"),
        ({"completion": "a"}, "line 2 has no 'prompt'"),
        ({"prompt": ["q"], "completion": "a"}, "line 2 has chat messages without a role"),
        ({"prompt": [], "completion": "a"}, "line 2 has chat messages without"),
        ({"prompt": "q", "completion": []}, "line 2 has chat messages without"),
        ({"input": {"question": "q"}, "completion": "a"}, "line 2 cannot be rendered"),
    ],
)
def test_a_row_that_cannot_be_trained_on_is_told(tuned, row, complaint):
    spec = tuned([row], prompt="{{ input.table }} {{ input }}")
    data = spec.folder / "train.jsonl"
    data.write_text("\n" + data.read_text())  # a line without a row counts, as in any editor
    with pytest.raises(ConfigError, match=complaint):
        template_parity(spec)


def test_a_row_is_told_by_its_line_also_where_others_are_left_out(tuned):
    spec = tuned([*ROWS[:4], {"input": "q"}])
    recipe = read_recipe(spec)
    some = read_training_objects(recipe)[2:]
    with pytest.raises(ConfigError, match=r"train\.jsonl: line 5 has no 'completion'"):
        SystemTrainer(spec, recipe).compare(some)


def test_a_row_of_no_file_is_told_by_its_number(tuned):
    spec = tuned(ROWS)
    with pytest.raises(ConfigError, match="row 3 has no 'completion'"):
        SystemTrainer(spec).compare([*ROWS[:2], {"input": "q"}])


# Functions

TOOLS = {
    "functions": [
        {"name": "find", "description": "Find.", "parameters": {"type": "object", "properties": {}}}
    ]
}


def test_functions_that_the_chat_template_shows_are_shown_in_training_too(tuned, tmp_path):
    text = (Path(chat_model()) / "chat_template.jinja").read_text()
    model = templated(tmp_path, "{% if tools %}{{ tools | tojson }}{% endif %}" + text)
    spec = with_options(tuned(model=model), tools=TOOLS)
    assert template_parity(spec)["compared"] == len(ROWS)
    bare = with_options(tuned(own(("user", WORDS + "{}")), model=model), tools=TOOLS)
    assert "function" in refused(bare, "prompt").hint
