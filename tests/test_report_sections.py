"""Sections of the page that not every run has: causes, data, pilots, a changed judge, a step down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from report_runs import MadeSuite, write_run
from sample_project import SampleProject
from test_report_page import page_of, text_of, unpacked

from harness.report.changes import changes
from harness.report.data import read_run
from harness.report.verdicts import earned_rung
from harness.store import read_document, write_document

TOY = MadeSuite(name="toy", cases=12, rates={"a": 0.5, "b": 0.8}, tags=("x", "y"))


def test_a_run_stores_the_cause_of_each_miss_and_a_person_overrules_it(
    project: SampleProject, answers: Callable[..., dict[str, str]]
) -> None:
    body = "def test_right(case, output):\n    assert output.text == 'yes'\n"
    project.suite(body, systems={"first": answers(0, 1, cases=4)})
    project.run()
    assert [row["category"] for row in project.table("scores")] == [
        "unknown",
        "unknown",
        None,
        None,
    ]
    project.write("evals/toy.misses.csv", "system,case_id,metric,category\nfirst,c1,,reasoning\n")
    project.run()
    assert [row["category"] for row in project.table("scores")][:2] == ["unknown", "reasoning"]
    index, _ = unpacked((project.latest / "report.html").read_text("utf-8"))
    assert "reasoning" in index["suites"][0]["categories"]


def test_leaks_copies_and_what_to_mend_are_shown_with_their_texts(tmp_path: Path) -> None:
    finding = {"severity": "blocks", "message": "one row leaked", "fix": "drop it: `rung data toy`"}
    row = {
        "suite": "toy", "ready": False, "rows": 40, "findings": [finding],
        "duplicate_groups": [{"size": 9, "texts": ["one & the same", "one and the same"]}],
        "leaks": [{"place": "t.jsonl:4", "suite": "toy", "case": "c1", "kind": "exact",
                   "row_text": "a leaked row", "case_text": "a leaked case"}],
        "near_duplicates": 8, "estimates": {"near_duplicate_rate": {"low": 0.1, "high": 0.3, "kind": "rate"}},
    }  # fmt: skip
    folder = write_run(tmp_path / "r", [TOY], sections={"diversity": [row]})
    words = text_of(page_of(folder))
    for expected in (
        "The rows of toy are not ready", "one row leaked", "1 leak into a suite", "a leaked row",
        "a leaked case", "9 rows", "one & the same", "8 (10.0 to 30.0 %)",
    ):  # fmt: skip
        assert expected in words
    assert "<code>rung data toy</code>" in page_of(folder)


def test_a_stale_pilot_is_drawn_and_said_to_be_no_evidence(tmp_path: Path) -> None:
    trainings = [{"rows": n, "seed": 0, "passed": n / 10, "cases": 100} for n in (100, 400)]
    row = {"suite": "toy", "stale": ["cases"], "trainings": trainings, "many_shot": []}
    folder = write_run(tmp_path / "r", [TOY], sections={"pilots": [row]})
    words = text_of(page_of(folder))
    assert "This pilot is stale (cases changed since)" in words
    assert "toy: 400 rows passed 40.0 %" in words


def test_another_rubric_or_judge_is_a_change_of_the_judge(tmp_path: Path) -> None:
    def versioned(name: str, version: str) -> Path:
        folder = write_run(tmp_path / name, [TOY])
        document = read_document(folder)
        document["suites"][0]["metrics"] = dict.fromkeys(TOY.metrics, version)
        write_document(folder, document)
        return folder

    old, new = (
        versioned("20260101-000000-a", "fff-aaa-ccc"),
        versioned("20260102-000000-b", "fff-bbb-ccc"),
    )
    factors = {f.title: f for f in changes(read_run(new), read_run(old)).factors}
    assert factors["Judge"].look == "changed"
    assert "rubric of toy" in factors["Judge"].note
    assert factors["Metrics"].look == "same"


def test_a_step_down_has_earned_the_rung_of_the_system_that_it_names() -> None:
    systems = [
        {"name": "keywords", "rung": "classical"},
        {"name": "few-shot", "rung": "prompt"},
        {"name": "rag", "rung": "rag"},
    ]
    verdict = {
        "action": "step_down",
        "sentence": "Step down to 'keywords': it is cheaper than 'few-shot', and is not worse.",
        "evidence": {"systems": systems},
    }
    assert earned_rung(verdict, "prompt") == "classical"
    assert earned_rung({**verdict, "sentence": "Step down."}, "prompt") is None
