"""A prompt file without its constant words, read as Jinja reads it."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuned_systems import COLORS, ROWS, write_system

from systems.compact_prompt import compact_prompt
from systems.template import PromptTemplate
from systems.training import template_parity

INPUT = {"input": "q", "question": "q", "table": "t", "examples": []}
COMPACT = {
    "words in front": ("Answer briefly.\n\n{{ input }}\n", "{{ input }}"),
    "words on both sides": ("Q: {{ input }} A:", "{{ input }}"),
    "a JSON literal": ('Answer as {"a": [1]}.\n{{ input }}\nor as {}', "{{ input }}"),
    "a comment in front": ("{# ours #}\nAnswer briefly.\n{{ input }}", "{{ input }}"),
    "raw text": ("{% raw %}Write {{ x }}.{% endraw %} {{ input }}", "{{ input }}"),
    "a constant slot": ("{{ '{' }} Answer. {{ input }}", "{{ input }}"),
    "a constant that is set": (
        "{% set tone = 'brief' %}\nBe {{ tone }}.\n{{ input }}",
        "{{ input }}",
    ),
    "a value that is set": (
        "{% set said = input | trim %}\nAnswer: {{ said }}!",
        "{% set said = input | trim %}\n{{ said }}",
    ),
    "a constant that is needed": (
        "{% set a = 'x' %}\n{% set b = a ~ input %}\nSay {{ b }}",
        "{% set a = 'x' %}\n{% set b = a ~ input %}\n{{ b }}",
    ),
    "words between slots": (
        "Q: {{ question }}\nAnd the table that you must use:\n{{ table }}",
        "{{ question }}\n{{ table }}",
    ),
    "words in one line": ("{{ question }} about {{ table }}", "{{ question }} {{ table }}"),
    "a system message": ("[system]\nBe brief.\n[user]\n{{ input }}", "{{ input }}"),
    "a JSON literal in it": ('[system]\n{"a": 1}\n[user]\n{{ input }}', "{{ input }}"),
    "a slot in the system message": (
        "[system]\nUse {{ table }}.\n[user]\nQ: {{ input }}",
        "[system]\n{{ table }}\n[user]\n{{ input }}",
    ),
    "a loop stays as it is": (
        "Look:\n{% for e in examples %}\nQ {{ e.input }}\n{% endfor %}\nQ {{ input }}",
        "{% for e in examples %}\nQ {{ e.input }}\n{% endfor %}\n{{ input }}",
    ),
}


@pytest.fixture
def template(tmp_path):
    def write(text):
        (tmp_path / "prompt.j2").write_text(text)
        return PromptTemplate(tmp_path / "prompt.j2", key="prompt")

    return write


@pytest.mark.parametrize("what", COMPACT)
def test_only_the_slots_are_left_and_they_render(template, what):
    source, expected = COMPACT[what]
    prompt = template(source)
    found = compact_prompt(prompt.source, prompt.environment)
    assert found == expected + "\n"
    (*_, last) = prompt.with_source(found).render(INPUT)
    whole = prompt.render(INPUT)[-1]["content"]
    assert all(word in whole for word in last["content"].split())


@pytest.mark.parametrize(
    "source",
    [
        "{{ input }}\n",
        "{# ours #}\n{{ input }}\n",
        "{% if question is defined %}\nQ: {{ question }}\n{% else %}\n{{ input }}\n{% endif %}\n",
        "[user]\n{{ input }}",
        "Only words.",
        '{"a": 1}',
        "{% extends 'other.j2' %}",
    ],
)
def test_a_file_without_words_to_drop_has_none(template, tmp_path, source):
    (tmp_path / "other.j2").write_text("x")
    prompt = template(source)
    assert compact_prompt(prompt.source, prompt.environment) is None


def test_words_between_two_slots_are_counted(tmp_path):
    words = " which is a very long way of putting things between "
    rows = [{"input": {"a": color, "b": color[::-1]}, "expected_output": "x"} for color in COLORS]
    found = template_parity(write_system(tmp_path, rows, prompt="{{ a }}" + words + "{{ b }}"))
    assert found["compact_prompt"] == "{{ a }} {{ b }}\n"
    bare = template_parity(write_system(tmp_path, rows, prompt="{{ a }} {{ b }}"))
    assert bare["constant_prompt_tokens"] == 0
    assert found["constant_prompt_tokens"] >= 8


def test_a_compact_prompt_that_some_row_leaves_empty_is_not_offered(tmp_path):
    rows = [*ROWS, {"input": "", "expected_output": "x"}]
    found = template_parity(write_system(tmp_path, rows))
    assert found["compact_prompt"] is None
    assert found["constant_prompt_tokens"] > 0
