"""A RAG system with a recipe: trained on prompts with passages, as it is asked with them."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from sample_project import SampleProject, jsonl
from systems_models import chat_model
from tuned_systems import COLORS, QUICK, ROWS, said, with_options, write_system

import systems
from harness.errors import ConfigError
from harness.types import Case
from systems.rag import RagSystem
from systems.training import template_parity, train

PROMPT = "{% for p in passages %}{{ p.text }}\n{% endfor %}Say the color: {{ input }}"
TEXTS = {color: f"The {color} box stands in the {color} room." for color in COLORS}


def rag_of(folder, rows=ROWS, **options):
    """A RAG system with a recipe, and its corpus."""
    (folder / "corpus").mkdir(exist_ok=True)
    for color, text in TEXTS.items():
        (folder / f"corpus/{color}.txt").write_text(text)
    spec = write_system(folder, rows, prompt=PROMPT, trainer=QUICK)
    retrieval = {"corpus": "corpus", "retriever": {"bm25": {"k": 1}}, **options}
    return with_options(replace(spec, kind="rag"), **retrieval)


def record_of(folder):
    return json.loads((folder / "adapter/rung.json").read_text())


def answers(spec):
    cases = [Case(id=color, input=f"the {color} box") for color in COLORS[:2]]
    return {out.case_id: out for out in systems.load(spec).generate(cases, epoch=0)}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A RAG system with the adapter that its recipe made."""
    folder = tmp_path_factory.mktemp("rag")
    spec = rag_of(folder)
    train(spec, folder / "adapter", seed=1)
    return with_options(spec, adapter="adapter")


def test_every_row_is_trained_with_what_the_retriever_brings_for_it(trained):
    samples = record_of(trained.folder)["samples"]
    assert len(samples) == 8
    for sample in samples:
        color = sample["input"].split()[1]
        assert sample["messages"][0]["content"].startswith(TEXTS[color])
        assert [passage["id"] for passage in sample["passages"]] == [f"{color}.txt"]


def test_it_answers_prompts_like_those_it_was_trained_on(trained):
    outputs = answers(trained)
    assert {id: out.error for id, out in outputs.items()} == {"red": None, "green": None}
    assert {id: out.passages[0].id for id, out in outputs.items()} == {
        "red": "red.txt",
        "green": "green.txt",
    }
    assert all(TEXTS[id] in str(out.prompt) for id, out in outputs.items())
    compared = systems.load(trained).parity
    assert (compared.compared, compared.not_compared) == (8, {})


def test_all_rows_are_retrieved_for_at_once(tmp_path, monkeypatch):
    asked = []
    retrieve = RagSystem.retrieve
    monkeypatch.setattr(
        RagSystem, "retrieve", lambda self, cases: asked.append(len(cases)) or retrieve(self, cases)
    )
    template_parity(rag_of(tmp_path))
    assert asked == [len(ROWS)]


def test_a_corpus_may_change_after_training_and_a_prompt_may_not(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path, dirs_exist_ok=True)
    moved = replace(trained, folder=tmp_path)
    (tmp_path / "corpus/red.txt").write_text("The red box was sold.")
    assert "was sold" in str(answers(moved)["red"].prompt)
    (tmp_path / "prompt.j2").write_text(PROMPT.replace("Say", "Tell"))
    with pytest.raises(ConfigError, match=r"template parity \(prompt\)"):
        answers(moved)


def test_rows_whose_own_prompts_lack_the_passages_are_refused(tmp_path):
    rows = [
        {
            "prompt": said(("user", f"Say the color: the {color} box")),
            "completion": said(("assistant", color)),
        }
        for color in COLORS
    ]
    with pytest.raises(ConfigError, match=r"template parity \(prompt\)") as caught:
        template_parity(rag_of(tmp_path, rows))
    assert "line 1" in str(caught.value)


@pytest.mark.parametrize("value", [7, ["red", 7], {"box": 7}], ids=str)
def test_a_row_whose_input_is_no_text_is_searched_with_as_the_template_writes_it(tmp_path, value):
    rows = [{"input": value, "expected_output": "red"}]
    assert template_parity(rag_of(tmp_path, rows))["compared"] == 1


def test_a_retriever_that_needs_gold_passages_is_told_before_training(tmp_path):
    with pytest.raises(ConfigError, match=r"line 1 cannot be rendered: .*gold passages"):
        train(rag_of(tmp_path, retriever="oracle"), tmp_path / "adapter", seed=1)


def test_an_adapter_of_another_prompt_may_still_stand_below_retrieval(trained):
    bare = replace(trained, options={k: v for k, v in trained.options.items() if k != "recipe"})
    (trained.folder / "other.j2").write_text("{{ passages[0].text }} {{ input }}")
    outputs = answers(with_options(bare, prompt="other.j2"))
    assert [out.error for out in outputs.values()] == [None, None]


@pytest.fixture
def tuned(project: SampleProject) -> SampleProject:
    """A project whose one system is RAG with a recipe."""
    for color, text in TEXTS.items():
        project.write(f"evals/corpus/{color}.txt", text)
    project.write("evals/rag.j2", PROMPT)
    project.write("evals/train.jsonl", jsonl(ROWS))
    project.write(
        "evals/recipe.yaml", "data: train.jsonl\npeft: {peft_type: LORA, r: 2}\ntrainer: {max_steps: 1}\n"
    )  # fmt: skip
    system = {
        "kind": "rag",
        "model": "base",
        "prompt": "rag.j2",
        "corpus": "corpus",
        "retriever": {"bm25": {"k": 1}},
        "recipe": "recipe.yaml",
        "adapter": "ad",
        "decoding": {"max_tokens": 2},
    }
    bare = {key: system[key] for key in ("model", "decoding")} | {"kind": "prompt"}
    suite = {"champion": "plain", "target": 0.8, "training": "train.jsonl"}
    config = {
        "models": {"base": {"transformers": chat_model()}},
        "systems": {"raft": system, "plain": bare},
        "suites": {"toy": suite},
    }
    project.write("evals/rung.yaml", json.dumps(config))
    mark = 'import pytest\n\npytestmark = pytest.mark.suite(cases="toy.jsonl", systems=["plain", "raft"])\n'
    project.write("evals/toy.jsonl", jsonl([{"id": "a", "input": "the crate that is red"}]))
    project.write("evals/test_toy.py", f"{mark}\n\ndef test_x(output): assert output.text\n")
    return project


def test_from_the_command_line_it_is_checked_trained_and_judged_on_the_fine_tuned_rung(
    tuned: SampleProject,
) -> None:
    checked = tuned.rung("data", "--template", "raft")
    assert checked.ret == 0, checked.stderr.str()
    checked.stdout.fnmatch_lines(["raft: 16 rows, the same tokens in training and inference"])
    assert tuned.rung("train", "raft").ret == 0
    assert tuned.run().ret == 0
    rungs = {system["name"]: system["rung"] for system in tuned.document()["systems"]}
    assert rungs == {"plain": "prompt", "raft": "fine_tuned"}


def test_a_pilot_of_it_is_judged_with_what_the_retriever_brings(tuned: SampleProject) -> None:
    suite = tuned.evals / "test_toy.py"
    suite.write_text(suite.read_text().replace('"plain", "raft"', '"plain"'))  # not trained yet
    done = tuned.rung("pilot", "raft", "--sizes", "4,8", "--seeds", "1", "--shots", "")
    assert done.ret == 0, done.stderr.str()
    points = json.loads((tuned.evals / "pilots/toy.json").read_text())["evidence"]["pilot"][
        "points"
    ]
    assert [(point["rows"], point["cases"]) for point in points] == [(4, 1), (8, 1)]
    records = list((tuned.evals.parent / ".rung/pilot").rglob("rung.json"))
    assert len(records) >= 2
    for trained in records:
        (first, *_) = json.loads(trained.read_text())["samples"]
        assert first["messages"][0]["content"].startswith(first["passages"][0]["text"])
