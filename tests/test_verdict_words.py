"""What `rung verdict`, the last lines of a run and a job's README say of a verdict's figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from evidence_documents import Document, earned, first_afternoon, pair, system
from jinja2 import Environment
from sample_project import SampleProject

import harness.escalation
from harness.cli.verdict import verdict as verdict_command
from harness.escalation import evidence_from_json, judge
from harness.escalation.outlook_words import cost_parts
from harness.escalation.words import beside, chance, figure, goal, percent

MONEY: Document = {
    "volume_per_month": 200_000, "cost_per_call_now": 0.0062, "cost_per_call_tuned": 0.00011,
    "value_per_pass": 0.02, "training_cost": 12.0, "data_cost": 310.0, "hosting_per_month": 190.0,
    "currency": "EUR", "weeks": 2, "skills": ["training", "serving"],
}  # fmt: skip


@pytest.fixture
def shown(tmp_path: Path) -> Callable[[Document], list[str]]:
    """The lines that `rung verdict --evidence` prints."""

    def show(document: Document) -> list[str]:
        file = tmp_path / "evidence.json"
        file.write_text(json.dumps(document))
        arguments = ["--evidence", str(file)]
        done = CliRunner().invoke(verdict_command, arguments, catch_exceptions=False)
        return [line.strip() for line in done.output.splitlines()]

    return show


def step_down() -> Document:
    """A classical system that does what a prompt does not."""
    return first_afternoon() | {
        "champion": "zero-shot",
        "systems": [
            system("keywords", "classical", 380),
            system("zero-shot", "prompt", 24),
            system("few-shot", "prompt", 30, few_shot=True),
        ],
        "pairs": [pair("keywords", "zero-shot", 4, 360), pair("zero-shot", "few-shot", 12, 6)],
    }


class TestRungVerdict:
    def test_names_what_to_expect_and_the_targets_that_change_the_answer(self, shown):
        lines = shown(earned())
        expected = judge(evidence_from_json(earned())).expected["pass_rate"]
        low, median, high = (f"{100 * expected[end]:.0f}" for end in ("low", "median", "high"))
        assert (
            f"expected after the step: {median} % (80 % interval {low} to {high})"
            " with 1,600 training rows" in lines
        )
        assert "another answer at a target of 64 % or less: run more cases" in lines
        assert any(line.startswith("another answer from a target of 9") for line in lines)

    def test_names_the_further_cases_of_an_open_claim(self, shown):
        document = first_afternoon(92)
        more = judge(evidence_from_json(document)).would_change["further_cases"]["zero-shot"]
        assert f"about {more['median']} further cases would settle 'zero-shot'" in shown(document)

    def test_says_when_no_number_of_cases_would_settle_it(self, shown):
        said = "'zero-shot' is still open at 800 cases with probability "
        assert any(line.startswith(said) for line in shown(first_afternoon(96)))

    def test_is_never_wholly_sure(self, shown):
        lines = shown(first_afternoon(120))
        assert "sure: over 99.9 % (weakest link: 'zero-shot' reaches the target)" in lines
        assert not any("100.0 %" in line for line in lines)

    def test_gives_the_facts_of_a_step_down(self, shown):
        lines = shown(step_down())
        assert lines[0] == "support: step down"
        facts = [line for line in lines if line.startswith("- ")]
        assert facts[0] == "- 'keywords' passes 380 of 400 cases (95 %)"
        assert "- 'zero-shot' passes 24 of 400 cases (6 %)" in facts
        assert "- 'zero-shot' loses to 'keywords': 4 gained, 360 lost, 36 tied" in facts
        assert len(facts) == len(set(facts))


class TestGpus:
    def line(self, shown, **training: Any) -> str:
        document = earned() | {"economics": MONEY, "training": {"tokens_per_row": 64} | training}
        lines = shown(document)
        assert "calendar: 2 weeks" in lines
        assert "skills: training, serving" in lines
        (found,) = (line for line in lines if line.startswith("training"))
        return found

    def test_each_way_of_tuning_stands_on_a_named_gpu_with_the_rate_assumed(self, shown):
        said = self.line(shown, parameters=8e9, gpus={"l4": 0.7, "h100-80gb": 2.4})
        assert said.startswith("training on 1,600 rows, at an assumed 35 % of a GPU's peak rate: ")
        for way, gpus in (("full", 2), ("LoRA", 1), ("QLoRA", 1)):
            assert f"{way} on {gpus} x h100-80gb: " in said
        assert said.count(" EUR") == 3
        cheaper = self.line(shown, parameters=8e9, gpus={"l4": 0.2, "h100-80gb": 2.4})
        assert "QLoRA on 1 x l4: " in cheaper

    def test_small_figures_are_not_rounded_to_nothing(self, shown):
        said = self.line(shown, parameters=1e6, gpus={"t4": 100.0})
        assert "0.0 GiB" not in said
        assert "0.00," not in said
        assert "under a minute, 0.00" in said

    def test_what_fits_no_gpu_is_said_to(self, shown):
        said = self.line(shown, parameters=7e10, tokens_per_row=20_000, gpus={"t4": None})
        assert said == "training: no kind of GPU holds it, however it is tuned"
        said = self.line(shown, parameters=2e13, gpus={"h200": None})
        assert "full: fits no kind of GPU; LoRA on " in said

    def test_a_jobs_readme_writes_small_figures_in_figures_that_count(self):
        folder = Path(harness.escalation.__file__).parent / "job_files"
        needs = {
            "tuning": "lora", "gpu": "l4", "gpus": 1, "hours": 0.0005, "money": 0.00042,
            "memory": {"total": 0.004}, "efficiency": 0.35,
        }  # fmt: skip
        template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(
            (folder / "README.md.j2").read_text("utf-8")
        )
        larger = needs | {"memory": {"total": 72.44}, "hours": 120.4, "money": 12.5}
        text = template.render(suite="query", stages=["sft"], data={}, estimates=[needs, larger])
        assert text.startswith("# Train query")
        assert "| lora | l4 | 1 | under 0.01 | under 0.01 | 0.00042 |\n" in text
        assert "| lora | l4 | 1 | 72.4 | 120 | 12.5 |\n" in text


def test_the_last_lines_of_a_run_name_the_next_step_and_its_cost(
    project: SampleProject, answers: Callable[..., dict[str, str]]
) -> None:
    body = "def test_right(case, output):\n    assert output.text == 'yes'\n"
    first = answers(*range(30), cases=60)
    project.suite(body, systems={"first": first}, extra="suites: {toy: {target: 0.8}}\n")
    result = project.run()
    (verdict,) = project.document()["verdicts"]
    assert verdict["action"] == "improve_prompt"
    result.stdout.fnmatch_lines(
        ["verdict toy: *", f"    next: {verdict['next_step']['do']} (2 prompts, 120 calls)"]
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0, "0"), (0.00042, "0.00042"), (0.0004, "0.0004"), (0.004, "under 0.01"), (0.5, "0.5"),
        (1.0, "1"), (12.345, "12.3"), (1234.5, "1,234"), (-3.2, "-3.2"), (0.0999, "0.1"),
    ],
)  # fmt: skip
def test_figures_are_those_that_count(value, said):
    assert figure(value, least=0.01 if value == 0.004 else 0.0001) == said


def test_what_is_not_certain_is_never_written_as_all_or_none():
    assert [chance(p) for p in (0, 0.004, 0.5, 0.996, 0.9999, 1)] == [
        "under 0.1 %", "0.4 %", "50 %", "99.6 %", "over 99.9 %", "over 99.9 %",
    ]  # fmt: skip
    assert [percent(p) for p in (0, 0.0001, 0.84, 0.9999, 1)] == [
        "0 %", "under 0.1 %", "84 %", "over 99.9 %", "100 %",
    ]  # fmt: skip


def test_a_moment_is_not_written_to_six_decimals():
    cost = {"cases": 140, "minutes": 0.000018}
    assert cost_parts({"cost": cost}) == ["140 cases", "under 0.01 minutes"]
    assert cost_parts({"cost": {"minutes": 0.02}}) == ["0.02 minutes"]


def test_a_rate_is_told_from_the_target_that_it_missed():
    assert beside(39 / 40, 0.98) == "97.5 %"
    assert beside(359 / 400, 0.9) == "89.8 %"
    assert beside(0.8, 0.8) == "80 %"
    assert beside(0.65, 0.8) == "65 %"
    assert goal(0.975) == "97.5 %"
    assert goal(0.8) == "80 %"
