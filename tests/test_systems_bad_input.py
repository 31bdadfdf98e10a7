"""What is wrong with a system, told from outside: before anything runs, with the setting, without a traceback."""

from __future__ import annotations

import json

import pytest
from sample_project import SampleProject, jsonl
from systems_models import chat_model

# Imported here: pytester forgets what a run in its process imports, and torch cannot come twice.
import systems.fine_tuned
import systems.rag  # noqa: F401

WRONG = {
    "an empty file in the corpus": (
        {"kind": "rag", "retriever": "bm25", "corpus": "empty"},
        ["*a.txt: systems.wrong.corpus: is empty*"],
    ),
    "a binary file in the corpus": (
        {"kind": "rag", "retriever": "bm25", "corpus": "binary"},
        ["*a.md: systems.wrong.corpus: is no text: byte 1 is not UTF-8*"],
    ),
    "an encoder that is not there": (
        {"kind": "rag", "retriever": "dense", "corpus": "good", "encoder": "./nowhere"},
        ["*nowhere: encoder: there is no encoder here*", "*`encoder:` may name a local folder*"],
    ),
    "an adapter of another base": (
        {"kind": "fine_tuned", "recipe": "recipe.yaml", "adapter": "stale"},
        ["*systems.wrong.adapter: the adapter is stale*another base model*", "*rung train wrong*"],
    ),
    "a training record cut short": (
        {"kind": "fine_tuned", "adapter": "cut"},
        ["*cut/rung.json: this is no record of a training: *", "*Train again. *"],
    ),
    "a training record without its tokens": (
        {"kind": "fine_tuned", "adapter": "bare"},
        ["*bare/rung.json: samples.0: this is no record of a training: 'ids' is a required*"],
    ),
    "an adapter that is not trained yet": (
        {"kind": "fine_tuned", "recipe": "recipe.yaml", "adapter": "adapters/new"},
        ["*new: systems.wrong.adapter: there is no adapter here yet*", "*`rung train wrong` makes it. *"],
    ),
    "another system's adapter, not trained yet": (
        {"kind": "rag", "retriever": "bm25", "corpus": "good", "adapter": "adapters/reader"},
        ["*no adapter here yet*", "*`rung train reader` makes it, where that system has a recipe. *"],
    ),
    "an adapter of another base under RAG": (
        {"kind": "rag", "retriever": "bm25", "corpus": "good", "adapter": "stale"},
        ["*systems.wrong.adapter: the adapter is stale*another base model*", "*rung train stale*"],
    ),
    "a corpus of headings": (
        {"kind": "rag", "retriever": "bm25", "corpus": "headings"},
        ["*b.md: systems.wrong.corpus: holds headings only*"],
    ),
    "a corpus of marks": (
        {"kind": "rag", "retriever": "dense", "corpus": "marks"},
        ["*a.txt: systems.wrong.corpus: holds no word*"],
    ),
    "an encoder that is nowhere": (
        {"kind": "rag", "retriever": "dense", "corpus": "good", "encoder": "rung-tests/nowhere"},
        ["*encoder: the encoder 'rung-tests/nowhere' is not there and cannot be downloaded*"],
    ),
    "a model's folder without a model": (
        {"kind": "prompt", "base": {"transformers": "good"}},
        ["*good: models.base: holds no model*"],
    ),
    "a device that is none": (
        {"kind": "prompt", "base": {"transformers": chat_model(), "device": "mars"}},
        ["*models.base.device: 'mars' cannot be used: *device*", "*Without this setting*"],
    ),
    "a device that is not here": (
        {"kind": "prompt", "base": {"transformers": chat_model(), "device": "cuda:99"}},
        ["*models.base.device: 'cuda:99' cannot be used: *"],
    ),
    "a pattern that is none": (
        {"kind": "prompt", "answer": {"pattern": "("}},
        ["*systems.wrong.answer.pattern: '(' is no regular expression*"],
    ),
    "a schema that cannot constrain": (
        {"kind": "prompt", "json_schema": "schema.json"},
        ["*schema.json: systems.wrong.json_schema: the schema cannot constrain an answer*"],
    ),
    "a name that no case can fill": (
        {"kind": "prompt", "prompt": "misspelt.j2"},
        ["*misspelt.j2:1: systems.wrong.prompt: 'questoin' is not defined*", "*'question'*"],
    ),
    "a field of the input that no case has": (
        {"kind": "prompt", "prompt": "misspelt_field.j2"},
        [
            "*misspelt_field.j2:2: systems.wrong.prompt: no input has the field 'questoin'*",
            "*'question'*",
        ],
    ),
    "a name in a step that no case can fill": (
        {"kind": "prompt", "prompt": None, "steps": [{"name": "a", "prompt": "misspelt.j2"}]},
        ["*misspelt.j2:1: systems.wrong.steps.a.prompt: 'questoin' is not defined*"],
    ),
    "a template that includes itself": (
        {"kind": "prompt", "prompt": "circle.j2"},
        ["*circle.j2: systems.wrong.prompt: a template includes itself: circle.j2 > circle.j2*"],
    ),
    "rows of one label": (
        {"kind": "classical", "model": None, "prompt": None, "training": "one_label.jsonl"},
        ["*one_label.jsonl: systems.wrong.training: the rows have one label only*"],
    ),
    "a row whose number is none": (
        {"kind": "classical", "model": None, "prompt": None, "training": "nan.jsonl"},
        ["*nan.jsonl:2: systems.wrong.training: nan is no number to learn*"],
    ),
}  # fmt: skip


@pytest.fixture
def wrong(project: SampleProject) -> SampleProject:
    """A project with all that may be wrong lying about."""
    project.suite("def test_x(output): pass\n", systems={"unused": {"a": "x"}})
    project.write("evals/prompt.j2", "{{ input }}")
    project.write("evals/empty/a.txt", "")
    project.write("evals/binary/a.md", b"\x89PNG\x00\xff")
    project.write("evals/good/a.txt", "a text")
    project.write("evals/headings/a.md", "# One\n\nText.\n")
    project.write("evals/headings/b.md", "# One\n\n## Two\n")
    project.write("evals/marks/a.txt", "... !!!")
    project.write("evals/schema.json", '{"type": "string", "pattern": "(?<=a)b"}')
    project.write("evals/misspelt.j2", "{{ questoin }}")
    project.write("evals/misspelt_field.j2", "Answer.\n{{ input['questoin'] }}")
    project.write("evals/circle.j2", "{% include 'circle.j2' %}")
    one = {"input": "a word", "expected_output": "yes"}
    project.write("evals/one_label.jsonl", jsonl([one, one]))
    numbers = [{"input": "a", "expected_output": value} for value in (1.5, float("nan"))]
    project.write("evals/nan.jsonl", jsonl(numbers))
    project.write("evals/recipe.yaml", "data: train.jsonl\n")
    project.write("evals/stale/adapter_config.json", "{}")
    project.write("evals/stale/rung.json", jsonl([{"base": "sha256:00"}]))
    project.write("evals/cut/adapter_config.json", "{}")
    project.write("evals/cut/rung.json", '{"base": "sha')
    project.write("evals/bare/adapter_config.json", "{}")
    sample = {"messages": [], "in_loss": [], "answer": ""}
    project.write("evals/bare/rung.json", jsonl([{"samples": [sample]}]))
    project.write("evals/toy.jsonl", jsonl([{"id": "x", "input": {"question": "why?"}}]))
    mark = 'import pytest\n\npytestmark = pytest.mark.suite(cases="toy.jsonl", systems=["wrong"])\n'
    project.write("evals/test_toy.py", f"{mark}\n\ndef test_x(output): pass\n")
    return project


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_system_is_told_before_anything_runs(wrong: SampleProject, what: str) -> None:
    options, lines = WRONG[what]
    given = {"model": "base", "prompt": "prompt.j2", **options}
    models = {"base": given.pop("base", {"transformers": chat_model()})}
    system = {name: value for name, value in given.items() if value is not None}
    wrong.write("evals/rung.yaml", json.dumps({"models": models, "systems": {"wrong": system}}))
    result = wrong.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(lines)
    assert "Traceback" not in result.stderr.str()
    assert not (wrong.folder / "reports").exists()
