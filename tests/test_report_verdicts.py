"""What the page says of a verdict's figures: tasks, what could be bought, training, how sure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from report_runs import write_run
from test_report_page import TOY, page_of, text_of


class TestFigures:
    def words(self, tmp_path: Path, **parts: Any) -> str:
        verdict = {"suite": "toy", "action": "run_more_cases", "row": "3", "sentence": "Run more."}
        sections = {"verdicts": [verdict | parts]}
        return text_of(page_of(write_run(tmp_path / "r", [TOY], sections=sections)))

    def test_name_the_tasks_of_a_suite_and_say_nothing_of_a_target_that_none_reaches(
        self, tmp_path: Path
    ) -> None:
        rest = [{"tag": "x", "passed": 1, "n": 4}, {"tag": "y", "passed": 2, "n": 4}]
        scope = {"several_tasks": True, "system": "b", "reach": [], "rest": rest}
        words = self.words(tmp_path, would_change={"scope": scope})
        assert "Scope These are several tasks for 'b': x (25 %) and y (50 %)" in words
        assert "reach the target" not in words

    def test_say_what_could_be_bought_at_most_and_what_nobody_measured(
        self, tmp_path: Path
    ) -> None:
        headroom = {
            "at_most": {"retrieval": 0.18, "facts": 0.0, "labels": "not measured"},
            "waterfall": [{"cause": "format", "misses": 2, "points": 0.1667, "remedy": "tuning"}],
        }
        words = self.words(tmp_path, expected={"headroom": headroom})
        said = (
            "At most, by better retrieval 18.0 points, by the missing facts 0.0 points, "
            "by correct labels (not measured)"
        )
        assert f"Could gain {said}" in words
        assert f"16.7 {said}." in words  # below the causes of the misses

    def test_say_what_training_takes_on_gpus_in_weeks_and_in_skills(self, tmp_path: Path) -> None:
        needs = {
            "tuning": "lora", "rows": 1600, "gpu": "l4", "gpus": 1, "hours": 0.001,
            "money": 0.0004, "memory": {"total": 0.004}, "efficiency": 0.35,
        }  # fmt: skip
        money = {"missing": ["gain"], "weeks": 2, "skills": ["training", "serving"]}
        expected = {"gpu": [needs], "economics": money}
        words = self.words(tmp_path, action="run_pilot", row="11", expected=expected)
        assert (
            "Training Training on 1,600 rows, at an assumed 35 % of a GPU's peak rate: "
            "full: fits no kind of GPU; LoRA on 1 x l4: under 0.01 GiB, under a minute, 0.0004; "
            "QLoRA: fits no kind of GPU Calendar: 2 weeks Skills: training, serving" in words
        )

    def test_are_never_wholly_sure(self, tmp_path: Path) -> None:
        more = {"a": {"median": None, "open_at_cap": 1.0, "cap": 800}}
        words = self.words(
            tmp_path, confidence={"value": 0.9995}, would_change={"further_cases": more}
        )
        assert "Confidence Over 99.9 %" in words
        assert "'a' is still open at 800 cases with probability over 99.9 %" in words
