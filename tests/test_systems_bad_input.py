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
    "the same adapter under RAG": (
        {"kind": "rag", "retriever": "bm25", "corpus": "good", "adapter": "stale"},
        ["*systems.wrong.adapter: the adapter is stale*another base model*", "*rung train stale*"],
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
    project.write("evals/recipe.yaml", "data: train.jsonl\n")
    project.write("evals/stale/adapter_config.json", "{}")
    project.write("evals/stale/rung.json", jsonl([{"base": "sha256:00"}]))
    mark = 'import pytest\n\npytestmark = pytest.mark.suite(cases="toy.jsonl", systems=["wrong"])\n'
    project.write("evals/test_toy.py", f"{mark}\n\ndef test_x(output): pass\n")
    return project


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_system_is_told_before_anything_runs(wrong: SampleProject, what: str) -> None:
    options, lines = WRONG[what]
    system = {"model": "base", "prompt": "prompt.j2", **options}
    models = {"base": {"transformers": chat_model()}}
    wrong.write("evals/rung.yaml", json.dumps({"models": models, "systems": {"wrong": system}}))
    result = wrong.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(lines)
    assert "Traceback" not in result.stderr.str()
    assert not (wrong.folder / "reports").exists()
