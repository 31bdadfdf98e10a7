"""What a metric raises becomes the score of its case, the same whichever way its item runs."""

from __future__ import annotations

import pytest
from sample_project import SampleProject

# How a function is run: the short way, with fixtures of pytest's, or folded into one item.
WAYS = {
    "short": ("output", []),
    "fixtures": ("output, tmp_path", []),
    "folded": ("output", ["--items=suite"]),
}
HELD = "    assert output.text == 'yes'\n"


def raising(statement: str, arguments: str) -> str:
    """A metric that does something else on one case."""
    return (
        "import asyncio, sys\n"
        f"def test_right(case, {arguments}):\n    if case.id == 'c1':\n        {statement}\n{HELD}"
    )


def reasons(project: SampleProject) -> dict[str, tuple[str, str | None]]:
    """State and reason of each case, by id."""
    return {row["case"]: (row["state"], row["reason"]) for row in project.table("scores")}


@pytest.mark.parametrize("way", WAYS)
class TestEveryWay:
    @pytest.mark.parametrize(
        ("statement", "reason"),
        [
            ("sys.exit('bad')", "SystemExit: bad"),
            ("raise asyncio.CancelledError('gone')", "CancelledError: gone"),
            ("raise GeneratorExit('gone')", "GeneratorExit: gone"),
            ("pytest.fail('no')", "Failed: no"),
            ("raise OSError('down')", "OSError: down"),
        ],
    )
    def test_of_running_an_exception_is_an_error_of_its_case_alone(
        self, project: SampleProject, answers, way, statement, reason
    ) -> None:
        arguments, options = WAYS[way]
        project.suite(raising(statement, arguments), systems={"a": answers(2, cases=4)})
        result = project.run(*options)
        assert result.ret == 1
        assert "INTERNALERROR" not in result.stdout.str() + result.stderr.str()
        result.stdout.fnmatch_lines([f"*{reason}*", "exit 1: 1 item errored*"])
        assert reasons(project)["c1"] == ("errored", reason)
        assert [state for state, _ in reasons(project).values()] == [
            "passed", "errored", "missed", "passed",
        ]  # fmt: skip

    def test_of_running_an_expected_failure_gives_no_score(
        self, project: SampleProject, answers, way
    ) -> None:
        arguments, options = WAYS[way]
        body = raising("pytest.xfail('known')", arguments)
        project.suite(body, systems={"a": answers(cases=3)})
        result = project.run("-rx", *options)
        assert result.ret == 0
        assert reasons(project)["c1"] == ("unscored", "xfail: known")
        assert project.estimate("right", "a")["n"] == 2
        if way != "folded":
            result.assert_outcomes(passed=2, xfailed=1)
            result.stdout.fnmatch_lines(["XFAIL *test_right[[]a:c1[]] - known"])

    @pytest.mark.parametrize("statement", ["pytest.exit('enough')", "raise KeyboardInterrupt"])
    def test_of_running_only_two_exceptions_end_the_session(
        self, project: SampleProject, answers, way, statement
    ) -> None:
        arguments, options = WAYS[way]
        project.suite(raising(statement, arguments), systems={"a": answers(cases=3)})
        result = project.run_outside(*options)
        assert result.ret == pytest.ExitCode.INTERRUPTED
        (run,) = (project.folder / "reports").glob("2*")
        assert [row["case"] for row in project.table("scores", run)] in (["c0"], [])


PARTS = (
    "@pytest.fixture\ndef part(subtests):\n    return subtests.test\n"
    "def test_right(case, output, {fixture}):\n"
    "    for word in ('yes', 'always'):\n"
    "        with {test}('says', word=word):\n"
    "            case.id != 'c2' or 1 / 0\n"
    "            case.id != 'c3' or pytest.skip('cannot tell')\n"
    "            assert word in output.text\n"
)


class TestSubtests:
    """Parts of a metric that fail are one outcome of the metric: a miss, an error, or no score."""

    @pytest.mark.parametrize(("fixture", "test"), [("subtests", "subtests.test"), ("part", "part")])
    @pytest.mark.parametrize("mode", [["-p", "no:xdist"], ["-n", "2"]])
    def test_count_for_their_case(self, project: SampleProject, mode, fixture, test) -> None:
        says = {"c0": "yes, always", "c1": "yes", "c2": "yes", "c3": "yes, always"}
        project.suite(PARTS.format(fixture=fixture, test=test), systems={"a": says})
        result = project.run_outside(*mode)
        assert result.ret == 1
        result.stdout.fnmatch_lines(
            ["exit 1: 1 item errored*", "FAILED *test_right[[]a:c2[]] - ZeroDivisionError*"]
        )
        result.assert_outcomes(passed=1, failed=1, skipped=1)
        found = reasons(project)
        assert [state for state, _ in found.values()] == ["passed", "missed", "errored", "unscored"]
        assert found["c1"][1].startswith("says (word='always'): assert 'always' in 'yes'")
        assert "yes" not in found["c1"][1].partition("assert")[0], "the part that holds is not told"

    def test_are_those_of_one_epoch(self, project: SampleProject) -> None:
        says = {"c0": "yes, always"}
        body = PARTS.format(fixture="subtests", test="subtests.test")
        project.suite(body, systems={"a": says})
        rows = '{"id": "c0", "output": "yes"}\n{"id": "c0", "output": "yes, always", "epoch": 1}\n'
        project.write("evals/outputs/a.jsonl", rows)
        project.run("--epochs", "2")
        assert [row["state"] for row in project.table("scores")] == ["missed", "passed"]

    def test_outside_of_suites_are_those_of_pytest(self, project: SampleProject, answers) -> None:
        project.suite("def test_any(output):\n    pass\n", systems={"a": answers(cases=1)})
        project.write(
            "evals/test_plain.py",
            "def test_plain(subtests):\n    with subtests.test('x'):\n        assert 0\n",
        )
        assert project.run().ret == 1


EPOCHS = (
    "LOG = []\n"
    "@pytest.fixture(scope='module')\ndef wide():\n    LOG.append('wide')\n"
    "@pytest.fixture\ndef narrow(wide):\n    LOG.append('up')\n    yield len(LOG)\n    LOG.append('down')\n"
    "def test_right(output, narrow, tmp_path, caplog, monkeypatch):\n"
    "    import logging, os\n"
    "    assert list(tmp_path.iterdir()) == []\n"
    "    (tmp_path / 'f').touch()\n"
    "    logging.warning('one')\n"
    "    assert caplog.messages == ['one']\n"
    "    assert 'EPOCH' not in os.environ\n"
    "    monkeypatch.setenv('EPOCH', '1')\n"
    "def test_log(output):\n"
    "    assert LOG == ['wide'] + 3 * ['up', 'down']\n"
)


class TestAnEpoch:
    def test_has_fixtures_of_its_own(self, project: SampleProject, answers) -> None:
        project.suite(EPOCHS, systems={"a": answers(cases=1)})
        result = project.run("--epochs", "3")
        result.assert_outcomes(passed=2)
        assert {row["state"] for row in project.table("scores")} == {"passed"}

    @pytest.mark.parametrize(
        ("statement", "code", "states", "reason"),
        [
            ("assert count < 2", 1, ["passed", "errored"], "AssertionError: assert 2 < 2"),
            ("1 / (2 - count)", 1, ["passed", "errored"], "ZeroDivisionError: division by zero"),
            ("count < 2 or pytest.skip('no key')", 0, ["passed", "not_run"], "skipped: no key"),
        ],
    )
    def test_whose_fixture_fails_has_no_score(
        self, project: SampleProject, answers, statement, code, states, reason
    ) -> None:
        body = (
            "import itertools\nTURN = itertools.count(1)\n"
            f"@pytest.fixture\ndef key():\n    count = next(TURN)\n    {statement}\n"
            f"def test_right(output, key):\n{HELD}"
        )
        project.suite(body, systems={"a": answers(cases=1)})
        assert project.run("--epochs", "2").ret == code
        rows = project.table("scores")
        assert [row["state"] for row in rows] == states
        assert rows[1]["reason"].splitlines()[0] == reason


class TestCaseIds:
    ALIKE = ("q::1", "q:1", "a/b", "a|b", "é", "\\xe9", "x\ny", "x\\ny", "q:::1", "t\tt", "t\\tt")

    @pytest.mark.parametrize("mode", [["-p", "no:xdist"], ["-n", "2"]])
    def test_that_print_alike_are_items_of_their_own(self, project: SampleProject, mode) -> None:
        body = f"def test_right(output):\n{HELD}"
        project.suite(body, systems={"a": dict.fromkeys(self.ALIKE, "yes")})
        result = project.run_outside(*mode)
        result.assert_outcomes(passed=len(self.ALIKE))
        assert set(reasons(project)) == set(self.ALIKE)

    def test_are_one_item_name_each(self, project: SampleProject) -> None:
        project.suite(
            f"def test_right(output):\n{HELD}", systems={"a": dict.fromkeys(self.ALIKE, "yes")}
        )
        lines = [line for line in project.run("--collect-only", "-q").outlines if "[a:" in line]
        assert len(set(lines)) == len(self.ALIKE)
        assert all(line.isprintable() and line.isascii() for line in lines)
        project.run(r"--deselect=evals/test_toy.py::test_right[a:q:\x3a1]").assert_outcomes(
            passed=len(self.ALIKE) - 1, deselected=1
        )

    @pytest.mark.parametrize(
        ("case", "shown"), [("refund-07", "refund-07"), ("q:1 [x]", "q:1 [x]"), ("a/b", "a|b")]
    )
    def test_are_shown_as_they_are_where_they_can_be(
        self, project: SampleProject, case, shown
    ) -> None:
        project.suite(f"def test_right(output):\n{HELD}", systems={"a": {case: "yes"}})
        project.run("--collect-only", "-q").stdout.fnmatch_lines(
            [f"*::test_right[[]a:{shown.replace('[', '[[]')}]"]
        )
