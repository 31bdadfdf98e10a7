"""The command line from outside: what each verb says, and what it says to a mistake."""

from __future__ import annotations

import json
import shutil

import pytest
from sample_project import SampleProject

from harness.cli import VERBS

BODY = (
    "@pytest.mark.gate(at_least=0.5)\n"
    "def test_right(case, output):\n    assert output.text == case.expected_output\n"
)
CONFIG = "suites: {toy: {champion: a, target: 0.9, decides: [right]}}\n"


@pytest.fixture
def ran(project: SampleProject, answers) -> SampleProject:
    """A project with one stored run of two systems."""
    project.suite(
        BODY, systems={"a": answers(*range(20), cases=60), "b": answers(1, cases=60)}, extra=CONFIG
    )
    assert project.run().ret == 0
    return project


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_that_fits_a_screen_with_an_example(project, verb) -> None:
    result = project.rung(verb, "--help")
    assert result.ret == 0
    text = result.stdout.str()
    assert len(text.splitlines()) <= 40
    assert f"rung {verb}" in text.split("Options:")[0].partition("\n")[2]


def test_a_misspelt_verb_is_told_the_nearest(project: SampleProject) -> None:
    result = project.rung("verdcit")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*Did you mean 'verdict'?*"])


def test_verbs_outside_a_project_say_what_to_do(project: SampleProject) -> None:
    for verb in ("verdict", "runs", "check", "data"):
        result = project.rung(verb)
        assert result.ret == 2
        result.stderr.fnmatch_lines(["rung: there is no rung.yaml here*", "*rung init*"])


def test_the_example_of_init_runs_at_once(project: SampleProject) -> None:
    (project.folder / "conftest.py").unlink()
    assert project.rung("init").ret == 0
    assert project.rung("check").ret == 0
    assert project.run_outside("-q").ret == 0
    assert [g["state"] for g in project.document()["gates"]] == ["passed", "passed"]


def test_init_overwrites_nothing(project: SampleProject) -> None:
    project.write("evals/mine.txt", "mine")
    result = project.rung("init")
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*there is an evals/ already*"])
    assert sorted(p.name for p in project.evals.iterdir()) == ["mine.txt"]


def test_init_tells_a_wrong_column(project: SampleProject) -> None:
    project.write("rows.csv", "question,answer\nwhy,because\n")
    result = project.rung(
        "init", "--base-url", "http://127.0.0.1:9/v1", "--model", "m",
        "--cases", "rows.csv", "--input", "qestion", "--expected", "answer",
    )  # fmt: skip
    assert result.ret == 2
    result.stderr.fnmatch_lines(["rung: rows.csv:1: --input: *Did you mean 'question'?*"])
    assert not project.evals.exists()


@pytest.mark.parametrize(
    ("row", "column"), [("why,", "answer"), (",because", "question"), ("why, ", "answer")]
)
def test_init_names_a_row_without_a_value(project: SampleProject, row, column) -> None:
    project.write("rows.csv", f"question,answer\nwhy,because\n{row}\n")
    result = project.rung(
        "init", "--base-url", "http://127.0.0.1:9/v1", "--model", "m",
        "--cases", "rows.csv", "--input", "question", "--expected", "answer",
    )  # fmt: skip
    assert result.ret == 2
    result.stderr.fnmatch_lines([f"rung: rows.csv:3: {column}: there is no value here"])
    assert not project.evals.exists()


def test_the_verdict_is_printed_and_judged_again_under_another_target(ran: SampleProject) -> None:
    first = json.loads(ran.rung("verdict", "--json").stdout.str())
    (verdict,) = first["verdicts"]
    assert verdict["suite"] == "toy"
    assert verdict["stale"] is None
    again = json.loads(ran.rung("verdict", "--target", "0.99", "--json").stdout.str())
    assert again["verdicts"][0]["evidence"]["target"] == 0.99
    shown = ran.rung("verdict")
    shown.stdout.fnmatch_lines(["toy: *", "*row * of the decision table*"])


def test_a_verdict_whose_cases_changed_is_stale(ran: SampleProject) -> None:
    with (ran.evals / "toy.jsonl").open("a") as cases:
        cases.write('{"id": "new", "input": "x", "expected_output": "yes"}\n')
    ran.rung("verdict").stdout.fnmatch_lines(["*this verdict is stale: changed since are cases*"])


def test_evidence_without_a_run_is_judged(project: SampleProject) -> None:
    evidence = {
        "suite": "mine",
        "target": 0.8,
        "systems": [{"name": "p", "rung": "prompt", "outcomes": {"passed": 118, "n": 120}}],
    }
    project.write("evidence.json", json.dumps(evidence))
    found = json.loads(
        project.rung("verdict", "--evidence", "evidence.json", "--json").stdout.str()
    )
    assert found["verdicts"][0]["action"] == "stay_on_prompt"
    evidence["systems"][0]["outcomes"]["passed"] = 121
    project.write("evidence.json", json.dumps(evidence))
    result = project.rung("verdict", "--evidence", "evidence.json")
    assert result.ret == 2
    assert "Traceback" not in result.stderr.str()


def test_two_systems_are_compared_with_flips_and_changes(ran: SampleProject) -> None:
    found = json.loads(ran.rung("compare", "a", "b", "--json").stdout.str())
    (row,) = found["comparisons"]
    assert (row["gained"], row["lost"], row["tied"], row["state"]) == (19, 0, 41, "above")
    assert len(row["gained_cases"]) == 19
    assert [change["part"] for change in found["changes"]["a -> b"]] == ["outputs"]
    ran.rung("compare", "a", "b").stdout.fnmatch_lines(["*better, beyond chance*"])


def test_the_share_of_answers_that_are_another_text_is_told(ran: SampleProject) -> None:
    result = ran.rung("compare", "a", "b")
    result.stdout.fnmatch_lines(["not the same text: toy [[]b[]]: 19 of 60 answers (31.7 %)"])
    found = json.loads(ran.rung("compare", "latest", "latest", "--json").stdout.str())
    assert found["other_answers"] == [
        {"suite": "toy", "system": name, "outputs": 60, "differ": 0} for name in ("a", "b")
    ]


def test_two_runs_are_compared(ran: SampleProject) -> None:
    ran.run()
    first, second = sorted(p.name for p in (ran.folder / "reports").glob("2*"))
    result = ran.rung("compare", first, second)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*gained 0, lost 0, tied 60*", "*no difference found*"])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("a", "bb"), "*'bb' is no system and no run*"),
        (("a", "latest"), "*not a run with a system*"),
    ],
)
def test_a_wrong_comparison_is_told(ran: SampleProject, arguments, expected) -> None:
    result = ran.rung("compare", *arguments)
    assert result.ret == 2
    result.stderr.fnmatch_lines([expected])


def test_own_gates_are_audited(ran: SampleProject) -> None:
    found = json.loads(ran.rung("audit-gates", "--builds", "40", "--json").stdout.str())
    assert found["builds"] == 40
    assert found["false_alarms"]["n"] == 40
    assert set(found["detections"]["toy/right"]) == {"0.05", "0.1"}


def test_gates_of_two_systems_on_one_metric_are_audited_apart(ran: SampleProject) -> None:
    ran.run("--all-gates")
    found = json.loads(ran.rung("audit-gates", "--builds", "20", "--json").stdout.str())
    names = {"toy/right [a]", "toy/right [b]"}
    assert names == set(found["by_gate"]) == set(found["detections"]) == set(found["gates"])
    result = ran.rung("audit-gates", "--builds", "20")
    result.stdout.fnmatch_lines(["*toy/right [[]a[]]: red in *", "*toy/right [[]b[]]: red in *"])


def test_a_drop_of_a_graded_metric_is_one_of_its_mean(project: SampleProject) -> None:
    body = (
        "@pytest.mark.gate(at_least=0.5)\n"
        "def test_long(output, score):\n    score(len(output.text) / 10)\n"
    )
    answers = {f"c{i}": "x" * (4 + i % 3) for i in range(60)}
    project.suite(body, systems={"a": answers})
    assert project.run().ret == 0
    result = project.rung("audit-gates", "--builds", "20")
    result.stdout.fnmatch_lines(
        [
            "*toy/long: red in 0.0 % (0.0 to *)",
            "*a mean lower by 0.05: caught in *",
            "*a mean lower by 0.1: caught in 100.0 %*",
        ]
    )


def test_a_run_that_judged_no_gate_cannot_be_audited(project: SampleProject, answers) -> None:
    project.suite(BODY, systems={"a": answers()})
    project.run("--case", "c1")
    narrowed = next((project.folder / "reports").glob("2*")).name
    result = project.rung("audit-gates", narrowed)
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*this run judged no gates*", "*run all of its cases*"])


def test_one_suite_of_one_case_is_checked_in_the_singular(project: SampleProject, answers) -> None:
    project.suite(BODY, systems={"a": answers(cases=1)})
    result = project.rung("check")
    result.stdout.fnmatch_lines(["1 suite, 1 case", "  a: 1 call to make (0 of 1 are cached)*"])


def test_runs_are_listed_rendered_and_cleaned(ran: SampleProject) -> None:
    ran.run()
    listed = json.loads(ran.rung("runs", "--json").stdout.str())
    assert len(listed) == 2
    page = ran.latest / "report.html"
    page.unlink()
    assert ran.rung("report").ret == 0
    assert page.is_file()
    assert ran.rung("runs", "--keep", "1").ret == 0
    assert len(json.loads(ran.rung("runs", "--json").stdout.str())) == 1


def test_the_latest_run_is_kept_whatever_its_name(ran: SampleProject) -> None:
    first = ran.latest.resolve()
    later = first.with_name("99991231-235959-later")
    shutil.copytree(first, later)
    assert ran.rung("runs", "--keep", "1").ret == 0
    assert ran.latest.resolve() == first
    assert first.is_dir()
    assert later.is_dir()


def test_a_damaged_table_takes_no_baselines_place(ran: SampleProject) -> None:
    assert ran.rung("bless", "latest", "--why", "release 1").ret == 0
    good = (ran.folder / "reports" / "baseline" / "scores.parquet").read_bytes()
    for table in ("scores", "outputs"):
        (ran.latest / f"{table}.parquet").write_bytes(b"junk")
    blessed = ran.rung("bless", "latest", "--why", "release 2")
    assert blessed.ret == 2
    blessed.stderr.fnmatch_lines(["*scores.parquet*damaged*"])
    assert (ran.folder / "reports" / "baseline" / "scores.parquet").read_bytes() == good


def test_a_damaged_baseline_is_told_before_anything_runs(ran: SampleProject) -> None:
    assert ran.rung("bless", "latest", "--why", "release 1").ret == 0
    (ran.folder / "reports" / "baseline" / "scores.parquet").write_bytes(b"junk")
    stored = len(list((ran.folder / "reports").iterdir()))
    result = ran.run()
    assert result.ret == 4
    assert "scores.parquet" in result.stdout.str() + result.stderr.str()
    assert len(list((ran.folder / "reports").iterdir())) == stored


def test_a_target_that_nothing_can_prove_is_refused(ran: SampleProject) -> None:
    file = ran.evals / "rung.yaml"
    file.write_text(file.read_text().replace("target: 0.9", "target: 1.0"))
    result = ran.rung("check")
    assert result.ret == 2
    result.stderr.fnmatch_lines(
        ["*rung.yaml:4: suites.toy.target*", "*below 1, which no number of cases*"]
    )


def test_a_damaged_table_of_answers_is_named(ran: SampleProject) -> None:
    (ran.latest / "outputs.parquet").write_bytes(b"junk")
    found = ran.rung("compare", "a", "b")
    assert found.ret == 2
    found.stderr.fnmatch_lines(["*outputs.parquet*damaged*"])


def test_the_baseline_says_who_moved_it_when_and_why(ran: SampleProject) -> None:
    assert ran.rung("bless", "latest", "--why", "release 1").ret == 0
    blessed = ran.document(ran.folder / "reports" / "baseline")["blessed"]
    assert blessed["why"] == "release 1"
    assert set(blessed) == {"by", "at", "why"}
