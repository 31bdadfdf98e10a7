"""What a user sees of cases, misses and errors under `pytest evals/`."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest
from jsonschema import Draft202012Validator
from sample_project import SampleProject, jsonl

from harness.config import schema

RIGHT = "def test_right(case, output):\n    assert output.text == case.expected_output\n"


def test_each_case_and_system_is_an_item(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(cases=2), "b": answers(cases=2)})
    result = project.run("--collect-only", "-q")
    assert result.ret == 0
    lines = [line for line in result.outlines if "::" in line]
    assert lines == [
        f"evals/test_toy.py::test_right[{system}:{case}]"
        for system in "ab"
        for case in ("c0", "c1")
    ]


def test_a_miss_is_yellow_data_and_no_failure(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(1, 2)})
    result = project.run("-q")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*8 passed, 2 missed*"])
    row = project.estimate("right", "a")
    assert (row["passed"], row["missed"], row["value"]) == (8, 2, 0.8)
    missed = [r for r in project.table("scores") if r["state"] == "missed"]
    assert {r["case"] for r in missed} == {"c1", "c2"}
    assert all("no" in r["reason"] for r in missed)


def test_a_crash_of_the_function_is_red_with_its_traceback(project: SampleProject, answers) -> None:
    project.suite(
        "def test_right(case, output):\n    return {}['absent']\n", systems={"a": answers(cases=1)}
    )
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*KeyError: 'absent'*"])
    assert project.estimate("right", "a")["errored"] == 1
    assert project.estimate("right", "a")["value"] is None, "no data is not zero"


def test_a_case_without_an_output_is_errored_and_named(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(cases=3), "b": {"c0": "yes"}})
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*FAILED*test_right[[]b:c1[]]*", "*FAILED*test_right[[]b:c2[]]*"])
    assert "Traceback" not in result.stdout.str()
    assert project.estimate("right", "b")["errored"] == 2


def test_skip_inside_is_unscored(project: SampleProject, answers) -> None:
    body = (
        "def test_right(case, output):\n"
        "    if case.id == 'c0':\n        pytest.skip('cannot tell')\n"
        "    assert output.text == 'yes'\n"
    )
    project.suite(body, systems={"a": answers(cases=3)})
    result = project.run()
    assert result.ret == 0
    result.assert_outcomes(passed=2, skipped=1)
    row = project.estimate("right", "a")
    assert (row["passed"], row["unscored"], row["value"]) == (2, 1, 1.0)


def test_a_graded_metric_keeps_its_values(project: SampleProject, answers) -> None:
    body = (
        "def test_length(case, output, score):\n"
        "    score(None, reason='too odd') if case.id == 'c0' else score(len(output.text))\n"
    )
    project.suite(body, systems={"a": answers(1, cases=4)})
    assert project.run().ret == 0
    row = project.estimate("length", "a")
    assert (row["kind"], row["unscored"]) == ("mean", 1)
    assert row["value"] == pytest.approx((2 + 3 + 3) / 3)


@pytest.mark.parametrize(
    "value", ["float('nan')", "float('inf')", "'high'", "1, reason={'too': 'long'}"]
)
def test_a_score_that_is_no_number_is_an_error(project: SampleProject, answers, value) -> None:
    body = f"def test_length(case, output, score):\n    score({value})\n"
    project.suite(body, systems={"a": answers(cases=1)})
    assert project.run().ret == 1
    assert project.estimate("length", "a")["errored"] == 1


def test_other_fixtures_behave_as_in_pytest(project: SampleProject, answers) -> None:
    body = (
        "import pytest\n"
        "@pytest.fixture(autouse=True)\n"
        "def around(monkeypatch):\n    monkeypatch.setenv('AROUND', '1')\n"
        "def test_right(case, output, tmp_path, capsys):\n"
        "    import os\n"
        "    print('seen'); assert capsys.readouterr().out == 'seen\\n'\n"
        "    (tmp_path / 'f').write_text(output.text)\n"
        "    assert os.environ['AROUND'] == '1'\n"
        "    assert output.text == 'yes'\n"
    )
    project.suite(body, systems={"a": answers(3, cases=4)})
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*3 passed, 1 missed*"])


def test_parametrized_functions_and_classes_are_metrics(project: SampleProject, answers) -> None:
    body = (
        "@pytest.mark.parametrize('word', ['yes', 'no'])\n"
        "def test_says(case, output, word):\n    assert output.text == word\n"
        "class TestGroup:\n"
        "    def test_method(self, case, output):\n        assert output.text == 'yes'\n"
    )
    project.suite(body, systems={"a": answers(0, cases=4)})
    result = project.run("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_says[[]yes-a:c0[]] MISS*", "*TestGroup::test_method*"])
    assert project.estimate("says[yes]", "a")["value"] == 0.75
    assert project.estimate("says[no]", "a")["value"] == 0.25
    assert project.estimate("method", "a")["value"] == 0.75


def test_epochs_are_scores_of_one_item(project: SampleProject) -> None:
    project.write(
        "evals/answering.py",
        "import itertools\nturn = itertools.count()\n"
        "def answer(text: str) -> str:\n    return 'yes' if next(turn) % 2 else 'no'\n",
    )
    project.suite(RIGHT, systems={"a": {"c0": "", "c1": ""}})
    project.write(
        "evals/rung.yaml", "systems:\n  a: {kind: python, callable: 'answering:answer'}\n"
    )
    result = project.run("--epochs", "3")
    assert result.ret == 0
    assert len(project.table("scores")) == 6
    assert project.document()["counts"]["planned"] == 6
    assert project.document()["suites"][0]["epochs"] == 3


def test_a_run_is_stored_as_the_published_schema_says(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(1), "b": answers()})
    project.run()
    document = project.document()
    errors = [e.message for e in Draft202012Validator(schema("run")).iter_errors(document)]
    assert errors == []
    counts = document["counts"]
    assert counts["planned"] == sum(v for k, v in counts.items() if k != "planned") == 20
    (comparison,) = document["comparisons"]
    assert (comparison["gained"], comparison["lost"], comparison["tied"]) == (1, 0, 9)


def test_junit_carries_misses_as_properties(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(1, cases=2)})
    project.run("--junitxml=out.xml")
    cases = ET.parse(project.folder / "out.xml").getroot().findall(".//testcase")
    assert [case.get("name") for case in cases] == ["test_right[a:c0]", "test_right[a:c1]"]
    assert [p.get("name") for p in cases[1].iter("property")] == ["missed"]
    assert all(case.find("failure") is None for case in cases)


def test_folded_items_give_the_same_scores(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(1, 2), "b": answers(5)})
    project.run("--items=case")
    before = sorted(map(json.dumps, project.table("scores")))
    result = project.run("--items=suite")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*2 missed*"])
    assert sorted(map(json.dumps, project.table("scores"))) == before


def test_large_suites_are_folded(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(cases=5_001)})
    result = project.run("--collect-only", "-q")
    assert [line for line in result.outlines if "::" in line] == [
        "evals/test_toy.py::test_right[a]"
    ]


def test_what_a_metric_prints_is_shown_with_its_own_item(project: SampleProject, answers) -> None:
    body = "def test_right(case, output):\n    print('about', case.id)\n    1 / 0\n"
    project.suite(body, systems={"a": answers(cases=2)})
    text = project.run().stdout.str()
    first, second = text.index("about c0"), text.index("about c1")
    assert text.index("test_right[a:c0]") < first < second


def test_a_coroutine_cannot_be_a_metric(project: SampleProject, answers) -> None:
    project.suite(
        "async def test_right(case, output):\n    assert False\n", systems={"a": answers(cases=1)}
    )
    result = project.run()
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*cannot be a coroutine*"])


def test_case_ids_with_odd_characters_make_safe_item_names(project: SampleProject) -> None:
    odd = {"a::b": "yes", "c/d[1]": "yes", "é\u202e\U0001f600": "no", "x\ny": "yes"}
    project.suite(RIGHT, systems={"a": odd})
    result = project.run("-v")
    assert result.ret == 0
    assert project.estimate("right", "a")["n"] == 4
    assert {row["case"] for row in project.table("scores")} == set(odd)


def test_what_pytest_captures_of_logging_is_there_for_a_metric(
    project: SampleProject, answers
) -> None:
    body = (
        "import logging\n"
        "def test_right(case, output, caplog, record_property):\n"
        "    logging.getLogger('mine').warning('about %s', case.id)\n"
        "    record_property('length', len(output.text))\n"
        "    assert caplog.messages == [f'about {case.id}']\n"
    )
    project.suite(body, systems={"a": answers(cases=3)})
    result = project.run("--junitxml=out.xml", "-o", "junit_family=xunit1")
    result.assert_outcomes(passed=3)
    cases = ET.parse(project.folder / "out.xml").getroot().findall(".//testcase")
    assert [p.get("name") for case in cases for p in case.iter("property")] == ["length"] * 3


@pytest.mark.parametrize("items", ["case", "suite"])
def test_a_comparison_that_is_returned_is_an_error_and_no_pass(
    project: SampleProject, answers, items
) -> None:
    body = "def test_right(case, output):\n    return output.text == case.expected_output\n"
    project.suite(body, systems={"a": answers(1, cases=3)})
    result = project.run(f"--items={items}")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*test_right returned a bool: did you mean `assert` instead of `return`[?]"]
    )
    assert "Traceback" not in result.stdout.str()
    row = project.estimate("right", "a")
    assert (row["errored"], row["value"]) == (3, None)


def test_a_graded_metric_that_did_not_call_score_leaves_the_case_unscored(
    project: SampleProject, answers
) -> None:
    body = "def test_length(case, output, score):\n    if output.text == 'yes':\n        score(3)\n"
    project.suite(body, systems={"a": answers(1, cases=3)})
    assert project.run().ret == 0
    row = project.estimate("length", "a")
    assert (row["unscored"], row["value"]) == (1, 3.0)
    (unscored,) = [r for r in project.table("scores") if r["state"] == "unscored"]
    assert unscored["reason"] == "the metric takes `score` and did not call it"


def test_the_mean_of_one_case_has_no_interval(project: SampleProject, answers) -> None:
    body = "def test_length(case, output, score):\n    score(3)\n"
    project.suite(body, systems={"a": answers(cases=1)})
    project.run().stdout.fnmatch_lines(["*a*3.000 (no interval)*n=1"])


def test_an_interval_of_negative_scores_can_be_read(project: SampleProject) -> None:
    body = "def test_length(output, score):\n    score(-float(len(output.text)))\n"
    project.suite(body, systems={"a": {f"c{i}": "x" * (1 + i % 2) for i in range(10)}})
    project.run().stdout.fnmatch_lines(["*a*-1.500 (-1.877 to -1.123)*n=10"])


@pytest.mark.parametrize("mark", ["skip(reason='later')", "skipif(True, reason='later')"])
@pytest.mark.parametrize("items", ["case", "suite"])
def test_a_skipped_metric_is_not_run(project: SampleProject, answers, mark, items) -> None:
    body = f"@pytest.mark.{mark}\ndef test_never(output):\n    1 / 0\n{RIGHT}"
    project.suite(body, systems={"a": answers(cases=3)})
    result = project.run(f"--items={items}")
    assert result.ret == 0
    count = 3 if items == "case" else 1
    result.assert_outcomes(passed=count, skipped=count)
    scores = [r for r in project.table("scores") if r["metric"] == "never"]
    assert [(r["state"], r["reason"]) for r in scores] == [("not_run", "skipped: later")] * 3
    assert project.estimate("never", "a")["not_run"] == 3


def test_a_skip_whose_condition_is_false_skips_nothing(project: SampleProject, answers) -> None:
    body = f"@pytest.mark.skipif(False, reason='never')\n{RIGHT}"
    project.suite(body, systems={"a": answers(1, cases=3)})
    result = project.run()
    result.stdout.fnmatch_lines(["*2 passed, 1 missed*"])
    assert project.estimate("right", "a")["n"] == 3


def test_a_fixture_that_skips_says_why_the_case_was_not_run(
    project: SampleProject, answers
) -> None:
    body = (
        "@pytest.fixture\ndef key():\n    pytest.skip('no key')\n"
        "def test_asks(output, key):\n    pass\n" + RIGHT
    )
    project.suite(body, systems={"a": answers(cases=2)})
    project.run().assert_outcomes(passed=2, skipped=2)
    scores = [r for r in project.table("scores") if r["metric"] == "asks"]
    assert {(r["state"], r["reason"]) for r in scores} == {("not_run", "skipped: no key")}


@pytest.mark.parametrize(
    ("mark", "code", "outcomes"),
    [
        ("xfail(reason='known')", 0, {"xfailed": 1, "xpassed": 2}),
        ("xfail(strict=True)", 1, {"xfailed": 1, "failed": 2}),
    ],
)
def test_an_expected_failure_means_what_it_means_in_pytest(
    project: SampleProject, answers, mark, code, outcomes
) -> None:
    body = f"@pytest.mark.{mark}\ndef test_right(case, output):\n    case.id != 'c1' or 1 / 0\n"
    project.suite(body, systems={"a": answers(cases=3)})
    result = project.run()
    assert result.ret == code
    result.assert_outcomes(**outcomes)


def test_what_a_metric_logs_is_shown_with_its_own_item(project: SampleProject, answers) -> None:
    body = (
        "import logging\n"
        "def test_right(case, output):\n"
        "    logging.getLogger('mine').warning('about %s', case.id)\n"
        "    logging.getLogger('mine').info('more of %s', case.id)\n"
        "    1 / 0\n"
    )
    project.suite(body, systems={"a": answers(cases=2)})
    text = project.run().stdout.str()
    assert text.count("Captured log call") == 2
    assert text.count("about c0") == text.count("about c1") == 1
    assert text.index("test_right[a:c0]") < text.index("about c0") < text.index("about c1")
    assert "more of c0" not in text
    assert "more of c0" in project.run("--log-level=INFO").stdout.str()
    assert "about c0" not in project.run("-p", "no:logging").stdout.str().partition("short test")[0]


def test_what_a_server_says_cannot_write_on_the_terminal(project: SampleProject) -> None:
    project.suite(RIGHT, systems={"a": {"c1": "yes", "c2": "yes"}})
    row = {"id": "c2", "error": "\x1b[2Jgone \u202etxt.exe"}
    project.write("evals/outputs/a.jsonl", jsonl([{"id": "c1", "output": "yes"}, row]))
    said = project.run().stdout.str()
    assert "[U+001B][2Jgone [U+202E]txt.exe" in said
    assert "\x1b[2J" not in said
    assert "\u202e" not in said
