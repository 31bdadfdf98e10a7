"""Each test function is a metric of its own, and rung.yaml can name it."""

from __future__ import annotations

import pytest
from sample_project import SampleProject

from harness.config import Decision, Project, SuiteConfig
from harness.run import GateMark, Metric, Suite, SuiteRun

TWINS = (
    "class TestTone:\n"
    "    @pytest.mark.gate(at_least=0.1)\n"
    "    def test_ok(self, output):\n        pass\n"
    "class TestSafety:\n"
    "    @pytest.mark.gate(critical=True)\n"
    "    def test_ok(self, output):\n        assert output.text == 'yes'\n"
)
SHARED = "def test_shared(output):\n    pass\nclass TestCommon:\n    def test_deep(self, output):\n        pass\n"
PARTS = (
    "@pytest.mark.parametrize('word', ['yes', 'no'])\n"
    "def test_says(output, word):\n    assert output.text == word\n"
)


def decides(*names: str) -> str:
    return f"suites: {{toy: {{target: 0.5, decides: {list(names)}}}}}\n"


class TestFunctionsOfOneName:
    """They are told apart by their classes."""

    @pytest.mark.parametrize("mode", [["-p", "no:xdist"], ["-n", "2"], ["--items=suite"]])
    def test_are_metrics_of_their_own_in_every_mode(
        self, project: SampleProject, answers, mode
    ) -> None:
        project.suite(TWINS, systems={"a": answers(1)})
        result = project.run_outside(*mode)
        assert result.ret == 1, "the critical gate is there"
        result.stdout.fnmatch_lines(["FAILED *::TestSafety::test_ok.gate[[]a[]]*"])
        values = {row["metric"]: row["value"] for row in project.document()["estimates"]}
        assert values == {"TestTone.ok": 1.0, "TestSafety.ok": 0.9}
        states = {gate["metric"]: gate["state"] for gate in project.document()["gates"]}
        assert states == {"TestTone.ok": "passed", "TestSafety.ok": "failed"}

    def test_keep_their_names_when_pytest_collects_only_one(
        self, project: SampleProject, answers
    ) -> None:
        project.suite(TWINS, systems={"a": answers(1)})
        project.run()
        again = project.run("--lf")
        again.assert_outcomes(failed=1)
        again.stdout.fnmatch_lines(["*toy · TestSafety.ok*"])
        project.pytester.runpytest_inprocess("evals/test_toy.py::TestTone").stdout.fnmatch_lines(
            ["*toy · TestTone.ok*"]
        )

    def test_outside_of_classes_need_none(self, project: SampleProject, answers) -> None:
        body = "def test_ok(output):\n    assert output.text == 'no'\n" + TWINS + PARTS
        project.suite(body, systems={"a": answers(cases=2)})
        project.run()
        metrics = set(project.document()["suites"][0]["metrics"])
        assert metrics == {"ok", "TestTone.ok", "TestSafety.ok", "says[yes]", "says[no]"}

    def test_may_inherit_it(self, project: SampleProject, answers) -> None:
        body = (
            "class Common:\n    def test_ok(self, output):\n        assert self.word\n"
            "class TestA(Common):\n    word = 'yes'\n"
            "class TestB(Common):\n    word = ''\n"
        )
        project.suite(body, systems={"a": answers(cases=2)})
        project.run()
        assert project.estimate("TestA.ok", "a")["value"] == 1
        assert project.estimate("TestB.ok", "a")["value"] == 0

    def test_that_cannot_be_told_apart_are_refused(self, project: SampleProject, answers) -> None:
        project.write("pytest.ini", "[pytest]\npython_functions = test_* ok*\n")
        body = "def test_ok(output):\n    pass\ndef ok(output):\n    pass\n"
        project.suite(body, systems={"a": answers(cases=2)})
        result = project.run()
        assert result.ret == 4
        result.stdout.fnmatch_lines(
            ["rung: evals/test_toy.py:7: ok: the metric 'ok' is already evals/test_toy.py::test_ok"]
        )


class TestADecidingMetric:
    """What `decides` names is checked before anything runs."""

    @pytest.mark.parametrize(
        "name", ["top", "TestTone.ok", "says", "says[no]", "shared", "deep", "also"]
    )
    def test_may_be_of_a_class_imported_or_parametrized(
        self, project: SampleProject, answers, name
    ) -> None:
        project.write("evals/checks.py", SHARED)
        body = (
            "from checks import TestCommon, test_shared, test_shared as test_also\n"
            "def test_top(output):\n    pass\n"
        )
        project.suite(body + TWINS + PARTS, systems={"a": answers(cases=2)}, extra=decides(name))
        assert project.run("-q").ret == 0
        (verdict,) = project.document()["verdicts"]
        assert verdict["suite"] == "toy"

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("TestTone.okk", "no metric 'TestTone.okk'. Did you mean 'TestTone.ok'?*"),
            ("ok", "no metric 'ok'. *TestSafety.ok, TestTone.ok*"),
            ("says[maybe]", "no metric 'says[[]maybe[]]'. *says, says[[]no[]], says[[]yes[]]*"),
        ],
    )
    def test_that_is_not_there_is_an_error(
        self, project: SampleProject, answers, name, said
    ) -> None:
        project.suite(TWINS + PARTS, systems={"a": answers(cases=2)}, extra=decides(name))
        result = project.run()
        assert result.ret == 4
        lines = [*result.outlines, *result.errlines]
        pytest.LineMatcher(lines).fnmatch_lines([f"*rung.yaml: suites.toy.decides: *{said}"])
        assert not (project.folder / "reports").exists()

    def test_that_only_importing_tells_is_looked_for_then(
        self, project: SampleProject, answers
    ) -> None:
        project.write("evals/checks.py", SHARED)
        body = "from checks import *\n"
        project.suite(body, systems={"a": answers(cases=2)}, extra=decides("deep"))
        assert project.run("-q").ret == 0
        project.suite(body, systems={"a": answers(cases=2)}, extra=decides("deeep"))
        result = project.run("-q")
        assert result.ret == 4
        result.stdout.fnmatch_lines(
            ["*no metric 'deeep'. Did you mean 'deep'? Known: deep, shared*"]
        )

    @pytest.mark.parametrize("place", ["here", "elsewhere"])
    def test_that_is_graded_is_an_error(self, project: SampleProject, answers, place) -> None:
        function = "def test_length(output, score):\n    score(len(output.text))\n"
        project.write("evals/checks.py", function)
        body = function if place == "here" else "from checks import test_length\n"
        project.suite(body, systems={"a": answers(cases=2)}, extra=decides("length"))
        result = project.run("-q")
        assert result.ret == 4
        lines = [*result.outlines, *result.errlines]
        pytest.LineMatcher(lines).fnmatch_lines(
            [
                "*rung.yaml: suites.toy.decides: 'length' is a graded metric*",
                "*Assert a threshold in a test of its own*",
            ]
        )


@pytest.mark.parametrize(
    ("named", "deciding"),
    [
        (["says"], ["says[yes]", "says[no]"]),
        (["says[no]", "right"], ["says[no]", "right"]),
        (["length"], []),
        ([], ["right"]),
    ],
)
def test_the_metrics_that_make_a_case_pass(project: SampleProject, named, deciding) -> None:
    rules = Project(file=project.folder, systems={}, suites={}, decision=Decision())
    suite = Suite(
        name="toy",
        file=project.folder,
        project=rules,
        cases=(),
        cases_file=project.folder,
        systems=(),
        cluster="group",
        config=SuiteConfig(decides=tuple(named)),
    )
    run = SuiteRun(suite=suite, epochs=1)
    for name in ("says[yes]", "says[no]", "length", "right"):
        gate = GateMark(critical=True) if name in ("right", "length") else None
        run.metrics[name] = Metric(name=name, version="1", gate=gate, graded=name == "length")
    assert run.deciding == deciding


@pytest.mark.parametrize("mode", [[], ["-n", "2"]])
def test_a_wrong_gate_of_a_method_is_found_before_anything_runs(
    project: SampleProject, answers, mode
) -> None:
    project.suite(TWINS.replace("at_least", "atleast"), systems={"a": answers()})
    result = project.run_outside(*mode)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*evals/test_toy.py:6: gate: unknown argument 'atleast'*"])
    assert not (project.folder / "reports").exists()


def test_marks_may_be_handed_on(project: SampleProject, answers) -> None:
    body = "FLOOR = {'at_least': 0.5}\n@pytest.mark.gate(**FLOOR)\ndef test_ok(output):\n    pass\n"
    project.suite(body, systems={"a": answers(cases=2)})
    assert project.run().ret == 0
    assert [gate["kind"] for gate in project.document()["gates"]] == ["at_least"]
