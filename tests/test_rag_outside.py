"""A corpus and its gold passages as a user has them: what is found, what is measured, what is stale."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sample_project import SampleProject, jsonl
from systems_models import chat_model

# Imported here: pytester forgets what a run in its process imports, and torch cannot come twice.
import systems.fine_tuned
import systems.rag  # noqa: F401

SUITE = """
import pytest
from harness.metrics import recall_at_k

pytestmark = pytest.mark.suite(cases="toy.jsonl", systems={systems})


def test_says(case, output):
    assert case.expected_output in output.text


def test_recall(case, output, score):
    retrieved = [passage.id for passage in output.passages]
    score(recall_at_k(retrieved, [passage.id for passage in case.context], k=3))
"""
LONG = " ".join(f"word{i}" for i in range(150))
RETURNS = "A bicycle can be sent back within thirty days, and we pay the postage."


@pytest.fixture
def shop(project: SampleProject) -> SampleProject:
    """A project with a corpus and a suite of one case."""
    project.write("evals/rag.j2", "{% for p in passages %}{{ p.text }}\n{% endfor %}{{ input }}")
    project.write("corpus/README.md", "# Shop\n\nThe shop opens at noon.\n")
    project.write("corpus/returns.txt", f"{RETURNS} {LONG}")
    asked = {"id": "noon", "input": "When does the shop open?", "expected_output": "xyzzy"}
    write(project, [asked])
    return project


def write(
    project: SampleProject, cases: list[dict[str, Any]], *, suites: dict[str, Any] | None = None
) -> None:
    """Write the suite: one system for each of two retrievers."""
    rag = {
        "kind": "rag",
        "model": "base",
        "prompt": "rag.j2",
        "corpus": "../corpus",
        "decoding": {"max_tokens": 4},
    }
    project.write("evals/toy.jsonl", jsonl(cases))
    names = ["rag", "oracle"] if suites is not None else ["rag"]
    document = {
        "models": {"base": {"transformers": chat_model()}},
        "systems": {
            "rag": {**rag, "retriever": {"bm25": {"k": 3}}},
            "oracle": {**rag, "retriever": "oracle"},
        },
        "suites": suites or {},
    }
    project.write("evals/rung.yaml", json.dumps(document))
    project.write("evals/test_toy.py", SUITE.replace("{systems}", str(names)))


def test_a_readme_of_a_corpus_is_read_and_counts(shop: SampleProject) -> None:
    shop.run()
    (before,) = shop.table("outputs")
    assert "opens at noon" in before["prompt"]
    shop.run()
    assert shop.document()["counts"] | {"planned": 1, "cached": 1} == shop.document()["counts"]
    shop.write("corpus/README.md", "# Shop\n\nThe shop opens at nine.\n")
    shop.run()
    (after,) = shop.table("outputs")
    assert "opens at nine" in after["prompt"]
    assert shop.document()["counts"]["generated"] == 1


def test_a_long_text_that_was_found_is_found(shop: SampleProject) -> None:
    """With gold passages named by id alone."""
    asked = {"id": "a", "input": "sent back postage thirty days", "expected_output": "xyzzy"}
    write(shop, [{**asked, "context": ["returns.txt"]}])
    shop.run()
    (row,) = shop.table("outputs")
    assert json.loads(row["passages"])[0]["id"] == "returns.txt~1"
    assert shop.estimate("recall", "rag")["value"] == 1.0
    (cause,) = (row["category"] for row in shop.document()["categories"])
    assert cause != "missing_fact"


def cases(*gold: str | None) -> list[dict[str, Any]]:
    """One case for each gold passage; None for a case that names none."""
    asked = {"input": "When does the shop open?", "expected_output": "xyzzy"}
    return [
        {"id": f"c{i}", **asked, **({"context": [id]} if id else {})} for i, id in enumerate(gold)
    ]


SUITES = {"toy": {"champion": "rag", "target": 0.5, "decides": ["says"]}}


def test_cases_without_gold_passages_are_not_run_on_the_oracle(shop: SampleProject) -> None:
    write(shop, cases("README.md", None, "README.md", None), suites=SUITES)
    result = shop.run()
    assert result.ret == pytest.ExitCode.OK
    document = shop.document()
    assert document["counts"]["not_run"] == 2
    assert document["counts"]["errored"] == 0
    row = shop.estimate("says", "oracle")
    assert (row["missed"], row["not_run"], row["errored"], row["n"]) == (2, 2, 0, 2)
    reasons = {r["reason"] for r in shop.table("scores") if r["state"] == "not_run"}
    assert all(reason.startswith("not measured: ") for reason in reasons)
    (verdict,) = document["verdicts"]
    (oracle,) = (s for s in verdict["evidence"]["systems"] if s["name"] == "oracle")
    assert oracle["outcomes"]["n"] == 2
    assert not oracle["outcomes"].get("missing")
    assert "without a score" not in str(verdict["conditions"])


def test_without_any_gold_passage_the_oracle_is_not_measured(shop: SampleProject) -> None:
    write(shop, cases(None, None), suites=SUITES)
    result = shop.run()
    assert result.ret == pytest.ExitCode.OK
    row = shop.estimate("says", "oracle")
    assert (row["value"], row["not_run"]) == (None, 2)
    (verdict,) = shop.document()["verdicts"]
    assert [system["name"] for system in verdict["evidence"]["systems"]] == ["rag"]


def test_gold_passages_that_the_corpus_lacks_are_told_before_a_plain_retriever_scores_0(
    shop: SampleProject,
) -> None:
    write(shop, cases("README.md", "return.txt"))
    result = shop.run()
    result.stdout.fnmatch_lines(
        ["*'rag' can never find 1 of 2 gold passages, for its corpus lacks them: case 'c1' names*"]
    )
    assert "Did you mean 'returns.txt'?" in result.stdout.str()
    assert shop.estimate("recall", "rag")["value"] == 0.5


def test_gold_passages_that_are_all_elsewhere_end_a_run_before_it_begins(
    shop: SampleProject,
) -> None:
    write(shop, cases("return.txt", "readme"))
    result = shop.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*none of the gold passages*case 'c0' names 'return.txt'*"])


def test_a_gold_passage_that_is_nowhere_errors_its_case_alone(shop: SampleProject) -> None:
    write(shop, cases("README.md", "gone.md"), suites=SUITES)
    assert shop.run().ret == pytest.ExitCode.TESTS_FAILED
    row = shop.estimate("says", "oracle")
    assert (row["missed"], row["errored"]) == (1, 1)
    errors = {r["case"]: r["error"] for r in shop.table("outputs") if r["system"] == "oracle"}
    assert errors == {"c0": None, "c1": "the gold passage 'gone.md' is not in the corpus"}
