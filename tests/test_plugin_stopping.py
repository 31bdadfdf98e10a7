"""What was stopped or skipped was not measured: no verdict, no baseline, and no gate without a word."""

from __future__ import annotations

import pytest
from sample_project import SampleProject

RIGHT = "def test_right(case, output):\n    assert output.text == case.expected_output\n"
HALF = "@pytest.mark.gate(at_least=0.5)\n" + RIGHT


class TestAStoppedRun:
    """It is kept like a narrowed one: what is missing from it was not measured."""

    CRASHING = HALF.replace("    assert", "    assert case.id != 'c1' or {stop}\n    assert")
    TARGET = "suites: {toy: {champion: a, target: 0.5, decides: [right]}}\n"

    def stopped(self, project: SampleProject, answers, stop: str, *arguments: str) -> str:
        """Run whole, then run again until something stops it; return what the second run says."""
        project.suite(HALF, systems={"a": answers()}, extra=self.TARGET)
        project.run_outside("-q")
        self.whole = project.latest
        body = self.CRASHING.replace("{stop}", stop)
        project.suite(body, systems={"a": answers()}, extra=self.TARGET)
        result = project.run_outside(*arguments)
        assert result.ret != 0
        return result.stdout.str()

    @pytest.mark.parametrize(
        ("stop", "arguments"),
        [
            ("1 / 0", ["-x"]),
            ("1 / 0", ["--maxfail=1"]),
            ("1 / 0", ["-x", "-n", "2"]),
            ("(_ for _ in ()).throw(KeyboardInterrupt)", []),
            ("pytest.exit('enough')", []),
        ],
    )
    def test_moves_nothing_and_gets_no_verdict(
        self, project: SampleProject, answers, stop, arguments
    ) -> None:
        text = self.stopped(project, answers, stop, *arguments)
        assert project.latest == self.whole
        found = project.document(max((project.folder / "reports").glob("2*")))
        assert found["run_id"] != self.whole.name
        assert found["stopped"] is True
        assert found["suites"][0]["narrowed"] is True
        assert (found["verdicts"], found["project_verdict"]) == ([], None)
        assert "this run was stopped before its end" in text
        assert "verdict toy" not in text

    def test_cannot_be_blessed(self, project: SampleProject, answers) -> None:
        self.stopped(project, answers, "1 / 0", "-x")
        result = project.rung("bless", max((project.folder / "reports").glob("2*")).name)
        assert result.ret == 2
        result.stderr.fnmatch_lines(["rung: *stopped before its end*"])

    def test_is_whole_where_its_last_item_failed(self, project: SampleProject, answers) -> None:
        project.suite(HALF, systems={"a": answers(*range(9))})
        result = project.run("-x")
        assert result.ret == 1
        assert "stopped before its end" not in result.stdout.str()
        assert project.document()["stopped"] is False


@pytest.mark.parametrize("items", ["case", "suite"])
def test_what_was_answered_before_a_stop_is_told(project: SampleProject, items) -> None:
    project.suite(RIGHT, systems={"a": dict.fromkeys(("c0", "c1", "c2", "c3"), "")})
    project.write(
        "evals/answering.py",
        "def answer(text):\n"
        "    if text.endswith('c2'):\n        raise KeyboardInterrupt\n    return 'yes'\n",
    )
    project.write(
        "evals/rung.yaml",
        "systems:\n  a: {kind: python, callable: 'answering:answer', concurrency: 1}\n",
    )
    result = project.run_outside(f"--items={items}")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "a was stopped while it answered toy: 4 of its outputs count as not run;"
            " 2 of them are in the cache for the next run",
            "outputs: 4 planned = 0 generated + 0 cached + 4 not run + 0 errored",
        ]
    )


def test_the_last_line_counts_what_made_the_run_red(project: SampleProject, answers) -> None:
    crash = HALF.replace("    assert", "    assert case.id > 'c1' or 1 / 0\n    assert")
    project.suite(crash, systems={"a": answers(*range(10))})
    project.write("evals/test_plain.py", "def test_plain():\n    assert False\n")
    project.run().stdout.fnmatch_lines(
        ["exit 1: 1 gate failed, 2 items errored, 1 other test failed; gates: 1 failed"]
    )
    project.suite(
        RIGHT.replace("    assert", "    1 / 0\n    assert"), systems={"a": {"c0": "yes"}}
    )
    project.run("--deselect", "evals/test_plain.py").stdout.fnmatch_lines(
        ["exit 1: 1 item errored; gates: none"]
    )


class TestAGateOfASkippedMetric:
    SKIPPED = '@pytest.mark.skip(reason="under repair")\n' + HALF

    def test_is_not_judged_and_says_why(self, project: SampleProject, answers) -> None:
        project.suite(self.SKIPPED, systems={"a": answers()}, extra="")
        project.write(
            "evals/test_toy.py", self.module(project) + "def test_any(output):\n    pass\n"
        )
        result = project.run()
        assert result.ret == 0
        (gate,) = project.document()["gates"]
        assert (gate["kind"], gate["state"]) == ("at_least", "not_judged")
        assert gate["reason"] == "skipped: under repair"
        result.stdout.fnmatch_lines(["gate not judged: *right*: skipped: under repair"])

    @pytest.mark.parametrize("mark", ['skip(reason="off")', 'skipif("CHAMPION", reason="off")'])
    def test_of_a_whole_module_too(self, project: SampleProject, answers, mark) -> None:
        project.suite(HALF, systems={"a": answers()})
        marked = self.module(project).replace(
            "= pytest.mark.suite", f"= [pytest.mark.{mark}, pytest.mark.suite"
        )
        marked = marked.replace("systems=['a'])", "systems=['a'])]") + "CHAMPION = True\n"
        project.write("evals/test_toy.py", marked)
        result = project.run()
        result.assert_outcomes(skipped=11)
        assert not (project.folder / "reports").exists(), "nothing was asked"

    @pytest.mark.parametrize("arguments", [[], ["-n", "2"]])
    def test_of_a_module_that_is_skipped_beside_another(
        self, project: SampleProject, answers, arguments
    ) -> None:
        project.suite(HALF, systems={"a": answers()})
        off = self.module(project).replace("= pytest", '= [pytest.mark.skip(reason="off"), pytest')
        project.write("evals/test_off.py", off.replace("['a'])", "['a'])]"))
        assert project.run_outside(*arguments).ret == 0
        found = {g["suite"]: g["reason"] for g in project.document()["gates"]}
        assert found["off"] == "skipped: off"

    @pytest.mark.parametrize("arguments", [["--items=suite"], ["-m", "gate"], ["--until-decided"]])
    def test_whatever_way_the_run_goes(self, project: SampleProject, answers, arguments) -> None:
        body = self.SKIPPED + HALF.replace("right", "same")
        project.suite(body, systems={"a": answers(cases=40)})
        assert project.run(*arguments).ret == 0
        folder = max((project.folder / "reports").glob("2*"))
        states = {g["metric"]: g["state"] for g in project.document(folder)["gates"]}
        assert states == {"right": "not_judged", "same": "passed"}
        scores = [r for r in project.table("scores", folder) if r["metric"] == "right"]
        assert {(r["state"], r["reason"]) for r in scores} == {("not_run", "skipped: under repair")}

    def module(self, project: SampleProject) -> str:
        return (project.evals / "test_toy.py").read_text()
