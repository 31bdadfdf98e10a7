"""Every look at locked cases is counted, and the verdict says how many there were."""

import json
import shutil

import pytest
from sample_project import jsonl

from harness.locked_uses import log_uses, logged_uses

BODY = "def test_says_yes(case, output):\n    assert output.text == case.expected_output\n"
SUITES = "suites: {toy: {champion: plain, target: 0.8, split: locked}}\n"


@pytest.fixture
def split_project(project):
    """Thirty locked cases and ten to tune on."""
    names = [f"c{i:02}" for i in range(40)]
    answers = {name: "yes" if i % 4 else "no" for i, name in enumerate(names)}
    project.suite(BODY, systems={"plain": answers}, extra=SUITES)
    rows = [
        {"id": name, "input": "?", "expected_output": "yes", "metadata": {"split": split}}
        for name, split in zip(names, ["dev"] * 10 + ["locked"] * 30, strict=True)
    ]
    project.write("evals/toy.jsonl", jsonl(rows))
    return project


def looks(project):
    (verdict,) = project.document()["verdicts"]
    return verdict["evidence"]["selection"]["locked_uses"]


def test_runs_are_counted_though_they_are_narrowed_or_deleted(split_project):
    split_project.run()
    assert looks(split_project) == 1
    split_project.run("--case", "c20")
    shutil.rmtree(split_project.latest)
    split_project.run()
    assert looks(split_project) == 3
    said = split_project.document()["verdicts"][0]["conditions"]
    assert "locked cases judged on 3 times" in said


def test_looks_at_cases_to_tune_on_are_free(split_project):
    split_project.run("--case", "c03")
    split_project.run()
    assert looks(split_project) == 1


def test_two_workers_log_a_run_once(split_project):
    split_project.run_outside("-n", "2")
    assert looks(split_project) == 1


def test_a_log_that_a_kill_cut_short_is_read_as_far_as_it_goes(tmp_path):
    log = tmp_path / "uses.jsonl"
    assert logged_uses(log) == {}
    log_uses(log, "one", ["toy", "other"])
    log_uses(log, "one", ["toy"])
    with log.open("a") as file:
        file.write(json.dumps({"run": "two", "suite": "toy"})[:-3] + "\n[]\n")
    assert logged_uses(log) == {"toy": {"one"}, "other": {"one"}}
