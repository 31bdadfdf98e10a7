"""Gates as items: judged after their cases, alone, in parts, and what the exit code then is."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from sample_project import SampleProject, jsonl

from harness.cli import rung

RIGHT = "def test_right(case, output):\n    assert output.text == case.expected_output\n"
HALF = "@pytest.mark.gate(at_least=0.5)\n" + RIGHT
CRITICAL = "@pytest.mark.gate(critical=True)\n" + RIGHT
BASELINE = '@pytest.mark.gate(no_worse_than="baseline")\n' + RIGHT


def bless() -> int:
    """Bless the last run, in this process."""
    return CliRunner().invoke(rung, ["bless", "latest"]).exit_code


def states(project: SampleProject) -> list[str]:
    return [gate["state"] for gate in project.document()["gates"]]


def test_a_floor_that_holds_passes(project: SampleProject, answers) -> None:
    project.suite(HALF, systems={"a": answers(1)})
    result = project.run("-v")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*test_right.gate[[]a[]] PASSED*", "exit 0: *1 passed*"])


def test_a_floor_broken_beyond_chance_fails_the_build(project: SampleProject, answers) -> None:
    project.suite(HALF, systems={"a": answers(*range(9))})
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*10.0 %*50.0 %*", "FAILED *test_right.gate[[]a[]]*"])
    assert "Traceback" not in result.stdout.str()


def test_a_floor_missed_within_chance_is_undecided(project: SampleProject, answers) -> None:
    project.suite(HALF, systems={"a": answers(*range(6))})
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1 undecided*"])
    (gate,) = project.document()["gates"]
    assert gate["state"] == "undecided"
    assert gate["further_cases"] is None or gate["further_cases"] > 0


def test_an_undecided_gate_can_be_made_to_fail(project: SampleProject, answers) -> None:
    project.suite(HALF, systems={"a": answers(*range(6))}, extra="decision: {undecided: fail}\n")
    result = project.run()
    assert result.ret == 10
    result.stdout.fnmatch_lines(["exit 10: *"])


@pytest.mark.parametrize(("missed", "code"), [((), 0), ((4,), 1)])
def test_one_miss_breaks_a_critical_gate(project: SampleProject, answers, missed, code) -> None:
    project.suite(CRITICAL, systems={"a": answers(*missed)})
    assert project.run().ret == code


def test_only_the_champion_is_gated(project: SampleProject, answers) -> None:
    systems = {"a": answers(), "b": answers(*range(10))}
    project.suite(CRITICAL, systems=systems, extra="suites: {toy: {champion: a}}\n")
    assert project.run().ret == 0
    assert project.run("--all-gates").ret == 1


def test_missing_outputs_are_never_green(project: SampleProject, answers) -> None:
    some = {k: v for k, v in answers().items() if k not in ("c7", "c8", "c9")}
    project.suite("@pytest.mark.gate(at_least=0.9)\n" + RIGHT, systems={"b": answers(), "a": some})
    project.write(
        "evals/rung.yaml",
        (project.evals / "rung.yaml").read_text() + "suites: {toy: {champion: a}}\n",
    )
    assert project.run().ret == 1
    assert states(project) != ["passed"]


def test_a_gate_selected_alone_judges_all_its_cases(project: SampleProject, answers) -> None:
    project.suite(HALF, systems={"a": answers(*range(9))})
    for selection in (["-k", "gate"], ["-m", "gate"]):
        result = project.run(*selection)
        assert result.ret == 1
        result.assert_outcomes(failed=1, deselected=10)
    result = project.pytester.runpytest_inprocess("evals/test_toy.py::test_right.gate[a]")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*10.0 % (1 of 10)*"])


def test_a_gate_alone_scores_functions_with_other_fixtures(project: SampleProject, answers) -> None:
    body = (
        "@pytest.mark.gate(at_least=0.5)\n"
        "def test_right(case, output, tmp_path):\n"
        "    (tmp_path / 'f').touch()\n    assert output.text == 'yes'\n"
    )
    project.suite(body, systems={"a": answers(1)})
    result = project.run("-k", "gate")
    assert result.ret == 0
    assert (
        project.document(next((project.folder / "reports").glob("2*")))["gates"][0]["state"]
        == "passed"
    )


def test_last_failed_judges_the_gate_again(project: SampleProject, answers) -> None:
    project.suite(HALF, systems={"a": answers(*range(9))})
    project.run()
    result = project.run("--lf")
    assert result.ret == 1
    result.assert_outcomes(failed=1)
    project.suite(HALF, systems={"a": answers(1)})
    assert project.run("--lf").ret == 0


def test_reliability_over_epochs_is_told_and_can_be_gated(project: SampleProject, answers) -> None:
    body = "@pytest.mark.gate(at_least=0.8, every_epoch=True)\n" + RIGHT
    project.suite(body, systems={"a": answers(cases=30)})
    lines = [
        {"id": f"c{i}", "epoch": epoch, "output": "no" if i < 15 and epoch == i % 3 else "yes"}
        for i in range(30)
        for epoch in range(3)
    ]
    project.write("evals/outputs/a.jsonl", jsonl(lines))
    result = project.run("--epochs", "3")
    assert result.ret == 1, "83 % of outputs pass, but only half of the cases always do"
    result.stdout.fnmatch_lines(["*83.3 %*pass@3 100.0 %*pass^3 50.0 % (*", "*50.0 % (15 of 30)*"])
    (row,) = project.document()["repeated"]
    assert (row["k"], row["pass_at_k"]["value"], row["pass_hat_k"]["value"]) == (3, 1.0, 0.5)
    assert 0.2 < row["pass_hat_k"]["low"] < 0.5 < row["pass_hat_k"]["high"]


def test_every_epoch_says_how_a_floor_is_counted(project: SampleProject, answers) -> None:
    project.suite("@pytest.mark.gate(every_epoch=True)\n" + RIGHT, systems={"a": answers()})
    result = project.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*every_epoch=True says how at_least= is counted*"])


def test_a_rate_is_bounded_by_what_the_missing_outputs_might_be(
    project: SampleProject, answers
) -> None:
    half = {k: v for k, v in answers(0).items() if k < "c5"}
    project.suite(RIGHT, systems={"b": answers(), "a": half})
    result = project.run()
    result.stdout.fnmatch_lines(["*80.0 %*5 errored*(at worst 40.0 %, at best 90.0)*"])


@pytest.mark.parametrize("narrowing", [["--case", "c1"], ["-k", "c1"]])
def test_a_narrowed_run_judges_nothing_and_moves_nothing(
    project: SampleProject, answers, narrowing
) -> None:
    project.suite(HALF, systems={"a": answers(*range(9))})
    project.run()
    latest = project.latest
    selection = [*narrowing, "-k", "c1 or gate"] if narrowing[0] == "-k" else narrowing
    result = project.run(*selection)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*not judged*"])
    assert project.latest == latest
    narrowed = max((project.folder / "reports").glob("2*"))
    assert project.document(narrowed)["suites"][0]["narrowed"] is True


def test_stopping_early_leaves_the_rest_unjudged(project: SampleProject, answers) -> None:
    body = HALF.replace("assert", "assert case.id != 'c1' or 1 / 0\n    assert")
    project.suite(body, systems={"a": answers()})
    result = project.run("-x")
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)


class TestAgainstTheBaseline:
    def bless(self, project: SampleProject, answers, body: str = BASELINE) -> None:
        project.suite(body, systems={"a": answers(cases=40)})
        project.run()
        assert bless() == 0

    def test_without_a_blessed_run_nothing_is_judged(self, project: SampleProject, answers) -> None:
        project.suite(BASELINE, systems={"a": answers()})
        result = project.run()
        assert result.ret == 0
        result.stdout.fnmatch_lines(["*not judged*rung bless*"])

    def test_an_unchanged_system_passes(self, project: SampleProject, answers) -> None:
        self.bless(project, answers)
        assert project.run().ret == 0
        assert states(project) == ["passed"]

    def test_a_clear_regression_fails(self, project: SampleProject, answers) -> None:
        self.bless(project, answers)
        project.suite(BASELINE, systems={"a": answers(*range(20), cases=40)})
        assert project.run().ret == 1
        blessed = [c for c in project.document()["comparisons"] if c["baseline"] == "baseline:a"]
        assert [(c["gained"], c["lost"]) for c in blessed] == [(0, 20)]

    def test_recorded_answers_need_one_look_and_say_so(
        self, project: SampleProject, answers
    ) -> None:
        self.bless(project, answers)
        project.suite(BASELINE, systems={"a": answers(*range(20), cases=40)})
        project.run()
        assert "recorded answers, looked at once" in project.document()["gates"][0]["reason"]

    def test_a_case_that_was_edited_is_left_out_and_named(
        self, project: SampleProject, answers
    ) -> None:
        self.bless(project, answers)
        project.suite(BASELINE, systems={"a": answers(*range(20), cases=40)})
        rows = (project.evals / "toy.jsonl").read_text().replace('"question c1"', '"another"')
        (project.evals / "toy.jsonl").write_text(rows)
        result = project.run()
        assert result.ret == 1
        (gate,) = project.document()["gates"]
        assert gate["pairs"] == 39
        assert "1 case changed since the baseline: c1" in gate["reason"]
        assert project.document()["baseline_differences"] == {
            "toy": ["1 case changed since the baseline: c1"]
        }
        result.stdout.fnmatch_lines(["*toy*1 case changed since the baseline: c1*"])

    def test_the_comparison_can_be_turned_off(self, project: SampleProject, answers) -> None:
        self.bless(project, answers)
        project.suite(BASELINE, systems={"a": answers(*range(20), cases=40)})
        assert project.run("--baseline", "none").ret == 0
        assert states(project) == ["not_judged"]

    def test_another_floor_on_the_same_assertion_is_judged_against_the_baseline(
        self, project: SampleProject, answers
    ) -> None:
        self.bless(project, answers)
        other = BASELINE.replace(
            'no_worse_than="baseline"', 'at_least=0.1, no_worse_than="baseline"'
        )
        assert other != BASELINE
        project.suite(other, systems={"a": answers(cases=40)})
        assert project.run().ret == 0
        assert states(project) == ["passed", "passed"]

    def test_another_assertion_is_not_judged_against_the_old_one(
        self, project: SampleProject, answers
    ) -> None:
        self.bless(project, answers)
        other = BASELINE.replace("==", "!=")
        project.suite(other, systems={"a": answers(cases=40)})
        result = project.run()
        assert result.ret == 0
        result.stdout.fnmatch_lines(["*not judged*another one than the blessed run measured*"])
        assert project.document()["comparisons"] == []

    def test_only_the_cases_that_both_have_are_judged(
        self, project: SampleProject, answers
    ) -> None:
        self.bless(project, answers)
        project.suite(BASELINE, systems={"a": answers(40, 41, 42, 43, 44, cases=45)})
        assert project.run().ret == 0
        (gate,) = project.document()["gates"]
        assert (gate["state"], gate["pairs"]) == ("passed", 40)

    def test_a_small_loss_in_every_suite_shows_when_they_are_looked_at_together(
        self, project: SampleProject, answers
    ) -> None:
        def write(*missed: int) -> None:
            project.suite(BASELINE, systems={"a": answers(*missed, cases=40)})
            for name in ("one", "two"):
                source = (project.evals / "test_toy.py").read_text()
                project.write(f"evals/test_{name}.py", source)

        write()
        project.run()
        assert project.document()["together"] is None, "there was no blessed run"
        assert bless() == 0
        write(1, 2)
        result = project.run()
        assert result.ret == 0
        assert states(project) == ["undecided"] * 3
        found = project.document()["together"]
        assert (found["suites"], found["pairs"], found["state"]) == (
            ["one", "toy", "two"],
            120,
            "below",
        )
        result.stdout.fnmatch_lines(
            ["against the blessed run, 3 suites together: -5.0 points*worse*"]
        )
        page = (project.latest / "report.html").read_text("utf-8")
        assert "3 suites together: -5.0 points" in " ".join(page.split())
        assert "3 suites together" in (project.latest / "summary.md").read_text()

    def test_a_narrowed_run_cannot_be_blessed(self, project: SampleProject, answers) -> None:
        project.suite(BASELINE, systems={"a": answers()})
        project.run("--case", "c1")
        run = max((project.folder / "reports").glob("2*")).name
        result = project.rung("bless", run)
        assert result.ret == 2
        result.stderr.fnmatch_lines(["rung: *left cases out*"])


class TestASystemWhoseAnswersVary:
    """A suspicion against the baseline is looked at again on fresh epochs before the build is red."""

    ANSWERING = (
        "from pathlib import Path\n"
        "STATE = Path(__file__).with_name('state.txt')\n"
        "CALLS = Path(__file__).with_name('calls.log')\n"
        "def answer(text: str) -> str:\n"
        "    with CALLS.open('a') as log:\n        log.write(text + '\\n')\n"
        "    number = int(text.rsplit('c', 1)[1])\n"
        "    seen = CALLS.read_text().splitlines().count(text)\n"
        "    state = STATE.read_text() if STATE.exists() else 'good'\n"
        "    if state == 'bad' or (state == 'unlucky' and seen == 2):\n"
        "        return 'no' if number < 20 else 'yes'\n"
        "    return 'yes'\n"
    )

    def blessed(self, project: SampleProject, answers) -> None:
        project.suite(BASELINE, systems={"a": answers(cases=40)})
        project.write("evals/answering.py", self.ANSWERING)
        project.write(
            "evals/rung.yaml",
            "systems:\n  a: {kind: python, callable: 'answering:answer', concurrency: 1}\n",
        )
        assert project.run().ret == 0
        assert bless() == 0

    @pytest.mark.parametrize(("state", "code"), [("bad", 1), ("unlucky", 0)])
    def test_is_asked_again(self, project: SampleProject, answers, state, code) -> None:
        self.blessed(project, answers)
        project.write("evals/state.txt", state)
        assert project.run("--fresh").ret == code
        calls = (project.evals / "calls.log").read_text().splitlines()
        assert len(calls) == 40 * (1 + 1 + 3)

    def test_is_held_against_the_stored_epochs_while_it_is_the_blessed_one(
        self, project: SampleProject, answers
    ) -> None:
        self.blessed(project, answers)
        project.write("evals/state.txt", "bad")
        project.run("--fresh")
        (gate,) = project.document()["gates"]
        assert gate["state"] == "failed"
        assert "the blessed system was not asked again, it is the one of now" in gate["reason"]

    TWO = (
        "from pathlib import Path\n"
        "def noted(name: str, text: str) -> str:\n"
        "    with Path(__file__).with_name('calls.log').open('a') as log:\n"
        "        log.write(name + '\\n')\n"
        "    return 'no' if name == 'bad' and int(text.rsplit('c', 1)[1]) < 20 else 'yes'\n"
        "def good(text: str) -> str:\n    return noted('good', text)\n"
        "def bad(text: str) -> str:\n    return noted('bad', text)\n"
    )

    def configured(self, project: SampleProject, callable_name: str, others: str = "") -> None:
        project.write(
            "evals/rung.yaml",
            f"systems:\n  a: {{kind: python, callable: 'answering:{callable_name}', concurrency: 1}}\n"
            + others,
        )

    def changed(self, project: SampleProject, answers, *, code: str = TWO) -> list[str]:
        """Bless `good`, then run `bad`; return what was called in that run."""
        project.suite(BASELINE, systems={"a": answers(cases=40)})
        project.write("evals/answering.py", self.TWO)
        self.configured(project, "good")
        assert project.run().ret == 0
        assert bless() == 0
        (project.evals / "calls.log").unlink()
        project.write("evals/answering.py", code)
        self.configured(project, "bad")
        assert project.run().ret == 1
        return (project.evals / "calls.log").read_text().split()

    def test_is_looked_at_again_on_fresh_epochs_of_both_once_it_changed(
        self, project: SampleProject, answers
    ) -> None:
        calls = self.changed(project, answers)
        assert (calls.count("bad"), calls.count("good")) == (40 * (1 + 3), 40 * 3)
        (gate,) = project.document()["gates"]
        assert "worse beyond chance on fresh epochs of both" in gate["reason"]
        assert "both systems were asked again" in gate["reason"]
        assert project.run().ret == 1, "judged again, it is judged alike"
        assert len((project.evals / "calls.log").read_text().split()) == len(calls)

    def test_says_what_of_the_blessed_system_is_gone(self, project: SampleProject, answers) -> None:
        calls = self.changed(project, answers, code=self.TWO + "# edited\n")
        assert "good" not in calls
        (gate,) = project.document()["gates"]
        assert "was not asked again, its code changed since" in gate["reason"]
        assert "fresh epochs against the stored baseline" in gate["reason"]

    def test_is_judged_against_a_system_of_now_that_is_the_blessed_one(
        self, project: SampleProject, answers
    ) -> None:
        project.suite(BASELINE, systems={"a": answers(cases=40)})
        project.write("evals/answering.py", self.TWO)
        self.configured(project, "good")
        project.run()
        assert bless() == 0
        self.configured(project, "bad", "  old: {kind: python, callable: 'answering:good'}\n")
        result = project.run()
        assert result.ret == 1
        result.stdout.fnmatch_lines(["*both systems were asked again*"])

    def test_is_judged_again_by_its_judge(self, project: SampleProject, answers) -> None:
        body = (
            '@pytest.mark.gate(no_worse_than="baseline")\n'
            '@pytest.mark.judge(system="judge", rubric="tone.txt")\n'
            "def test_tone(judgement):\n    assert judgement.passed\n"
        )
        judging = (
            "import json\n"
            "def judge(text: str) -> str:\n"
            "    answer = text.split('begin answer', 1)[1]\n"
            "    return json.dumps({'pass': 'yes' in answer.splitlines()[1], 'reason': 'so'})\n"
        )
        judge = "  judge: {kind: python, callable: 'judging:judge'}\n"
        project.suite(body, systems={"a": answers(cases=40)})
        project.write("evals/tone.txt", "The answer is yes.")
        project.write("evals/judging.py", judging)
        project.write("evals/answering.py", self.TWO)
        self.configured(project, "good", judge)
        assert project.run().ret == 0
        assert bless() == 0
        self.configured(project, "bad", judge)
        assert project.run().ret == 1
        (gate,) = project.document()["gates"]
        assert "fresh epochs of both" in gate["reason"]
        assert (gate["effect"], gate["pairs"]) == (-0.5, 40)

    def test_stays_undecided_where_nothing_may_be_asked(
        self, project: SampleProject, answers
    ) -> None:
        self.blessed(project, answers)
        bad = dict.fromkeys((f"c{i}" for i in range(20)), "no") | dict.fromkeys(
            (f"c{i}" for i in range(20, 40)), "yes"
        )
        project.write("evals/answering.py", f"answer = {bad!r}.get\n# another\n")
        project.write(
            "evals/answering.py",
            f"def answer(text: str) -> str:\n    return {bad!r}[text.split()[-1]]\n",
        )
        project.run("--baseline", "none")
        assert project.run("--replay").ret == 0
        assert states(project) == ["undecided"]
        assert "could not be asked for" in project.document()["gates"][0]["reason"]

    def test_is_not_asked_again_without_a_suspicion(self, project: SampleProject, answers) -> None:
        self.blessed(project, answers)
        assert project.run("--fresh").ret == 0
        assert len((project.evals / "calls.log").read_text().splitlines()) == 80
