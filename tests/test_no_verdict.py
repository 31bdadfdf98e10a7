"""`rung verdict` on a run, or a suite of it, that has no verdict: it says what lacks."""

from __future__ import annotations

import pytest
from sample_project import SampleProject, jsonl

BODY = "def test_right(case, output):\n    assert output.text == 'yes'\n"
BROKEN = "def test_right(case, output):\n    raise RuntimeError('no such colour')\n"
TARGET = "suites: {toy: {champion: a, target: 0.8}}\n"


def test_a_run_in_which_all_errored_says_so_with_counts_and_a_reason(
    project: SampleProject, answers
) -> None:
    project.suite(BROKEN, systems={"a": answers(), "b": answers()}, extra=TARGET)
    project.run()
    result = project.rung("verdict")
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        [
            "rung: this run has no verdict on 'toy': no output has a deciding score "
            "(right: 20 errored; most often *no such colour*",
            "  Mend what has no score *",
        ]
    )
    assert "target" not in result.stderr.str()


def test_each_deciding_metric_is_counted(project: SampleProject, answers) -> None:
    body = BODY + "\ndef test_brief(case, output):\n    pytest.skip('nobody knows')\n"
    decides = "suites: {toy: {champion: a, target: 0.8, decides: [right, brief]}}\n"
    project.suite(body, systems={"a": answers()}, extra=decides)
    project.run()
    project.rung("verdict").stderr.fnmatch_lines(
        ["*(right: 10 passed; brief: 10 unscored; most often nobody knows)"]
    )


def test_only_the_cases_that_a_verdict_judges_are_counted(project: SampleProject, answers) -> None:
    body = (
        "def test_right(case, output):\n"
        "    if case.metadata['split'] == 'locked':\n        raise RuntimeError('locked out')\n"
    )
    locked = "suites: {toy: {champion: a, target: 0.8, split: locked}}\n"
    project.suite(body, systems={"a": answers()}, extra=locked)
    splits = ["locked"] * 4 + ["dev"] * 6
    project.write(
        "evals/toy.jsonl",
        jsonl(
            {"id": f"c{i}", "input": f"question {i}", "metadata": {"split": split}}
            for i, split in enumerate(splits)
        ),
    )
    project.run()
    project.rung("verdict").stderr.fnmatch_lines(["*(right: 4 errored; most often *locked out*"])


def test_a_suite_that_is_not_there_is_told_the_nearest_and_nothing_of_targets(
    project: SampleProject, answers
) -> None:
    project.suite(BODY, systems={"a": answers()}, extra=TARGET)
    project.run()
    said = project.rung("verdict", "--suite", "tou").stderr.str()
    assert said == "rung: this run has no suite 'tou'. Did you mean 'toy'? Known: toy."


@pytest.mark.parametrize("asked", [(), ("--suite", "toy")])
def test_a_suite_without_a_target_is_told_to_have_none(
    project: SampleProject, answers, asked
) -> None:
    project.suite(BODY, systems={"a": answers()})
    project.run()
    project.rung("verdict", *asked).stderr.fnmatch_lines(
        ["rung: this run has no verdict on 'toy': it has no target", "  Give a suite a `target:` *"]
    )


def test_a_part_of_the_cases_has_no_verdict(project: SampleProject, answers) -> None:
    project.suite(BODY, systems={"a": answers()}, extra=TARGET)
    project.run("--case", "c1")
    (part,) = (entry.name for entry in (project.folder / "reports").iterdir())
    project.rung("verdict", part).stderr.fnmatch_lines(
        ["*'toy': cases or metrics were left out of it", "  Run `pytest evals/` whole."]
    )


def test_beside_suites_with_a_verdict_the_one_without_is_named(
    project: SampleProject, answers
) -> None:
    extra = "suites: {toy: {champion: a, target: 0.8}, other: {champion: a, target: 0.8}}\n"
    project.suite(BODY, systems={"a": answers()}, extra=extra)
    mark = 'pytestmark = pytest.mark.suite(cases="toy.jsonl", systems=["a"])'
    project.write("evals/test_other.py", f"import pytest\n\n{mark}\n\n{BROKEN}")
    project.run()
    project.rung("verdict").stdout.fnmatch_lines(
        ["toy: *", "other: no verdict", "  no output has a deciding score (right: 10 errored; *"]
    )
    project.rung("verdict", "--suite", "other").stderr.fnmatch_lines(
        ["rung: this run has no verdict on 'other': no output has a deciding score *"]
    )
