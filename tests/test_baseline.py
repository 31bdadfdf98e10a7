"""The baseline from outside: what may be blessed, what is compared, and what is left out and named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sample_project import SampleProject

from harness.cli import rung

BODY = (
    '@pytest.mark.gate(no_worse_than="baseline")\n'
    "def test_right(case, output):\n    assert output.text == case.expected_output\n"
)
OTHER = "\n\ndef test_short(output):\n    assert len(output.text) < 3\n"


def call(*arguments: str) -> Result:
    """Run a verb in this process."""
    return CliRunner().invoke(rung, list(arguments))


def told(result: Result) -> str:
    """What a verb that failed says."""
    assert result.exception is not None
    return str(result.exception)


def compared(*arguments: str) -> dict[str, Any]:
    return dict(json.loads(call("compare", *arguments, "--json").stdout))


def edit(project: SampleProject, name: str, before: str, after: str) -> None:
    file = project.evals / name
    file.write_text(file.read_text().replace(before, after))


@pytest.fixture
def ran(project: SampleProject, answers) -> SampleProject:
    project.suite(BODY + OTHER, systems={"a": answers(1)})
    assert project.run().ret == 0
    return project


class TestBlessing:
    def test_a_run_of_the_suites_as_they_are_becomes_the_baseline(self, ran: SampleProject) -> None:
        assert call("bless", "latest").exit_code == 0
        names = {file.name for file in (ran.folder / "reports" / "baseline").iterdir()}
        assert names == {"run.json", "scores.parquet", "hashes.parquet"}

    def test_a_run_of_other_cases_or_metrics_is_refused_with_a_list(
        self, ran: SampleProject
    ) -> None:
        all_ten = "10 cases changed since the run: c0, c1, c2, c3, c4, ..."
        for file, before, after, said in (
            ("toy.jsonl", '"question c3"', '"another"', ["1 case changed since the run: c3"]),
            ("toy.jsonl", '"yes"', '"no"', [all_ten]),
            (
                "toy.jsonl",
                '"c3"',
                '"d3"',
                ["1 case not in the run: d3", "1 case in the run only: c3"],
            ),
            ("test_toy.py", "< 3", "< 4", ["1 metric changed since the run: short"]),
            (
                "test_toy.py",
                "test_short",
                "test_brief",
                ["1 metric not in the run: brief", "1 metric in the run only: short"],
            ),
        ):
            edit(ran, file, before, after)
            text = told(call("bless", "latest"))
            assert [line for line in said if f"toy: {line}" not in text] == []
            assert not (ran.folder / "reports" / "baseline").exists()
            edit(ran, file, after, before)
        assert call("bless", "latest").exit_code == 0

    def test_another_floor_is_the_same_measurement(self, ran: SampleProject) -> None:
        gate = BODY.partition("def")[0]
        other = "@pytest.mark.gate(\n    at_least=0.1,\n)\n"
        for before, after in ((gate, other), (other, "")):
            edit(ran, "test_toy.py", before, after)
            assert call("bless", "latest").exit_code == 0

    def test_a_suite_that_is_gone_is_named(self, ran: SampleProject) -> None:
        (ran.evals / "test_toy.py").rename(ran.evals / "test_other.py")
        text = told(call("bless", "latest"))
        assert "toy: there is no such suite now" in text
        assert "other: not in the run" in text

    def test_every_kind_of_metric_is_recognised_by_its_source(
        self, project: SampleProject, answers
    ) -> None:
        metrics = (
            "@pytest.mark.parametrize('word', ['yes', 'no'])\n"
            "def test_word(output, word):\n    assert output.text == word  # a comment\n\n"
            "class TestMore:\n    def test_inside(self, output):\n        assert output.text\n\n"
            "@pytest.mark.gate(\n    at_least=0.1,\n)\n"
            "def test_long(output):\n    assert output.text\n\n# end\n"
        )
        project.suite(metrics, systems={"a": answers()})
        project.run()
        assert len(project.document()["suites"][0]["metrics"]) == 4
        result = call("bless", "latest")
        assert result.exit_code == 0, result.exception

    def test_a_forced_baseline_is_compared_on_what_both_have(self, ran: SampleProject) -> None:
        edit(ran, "toy.jsonl", '"question c3"', '"another"')
        call("bless", "latest", "--force")
        ran.run()
        document = ran.document()
        assert document["baseline_differences"] == {
            "toy": ["1 case changed since the baseline: c3"]
        }
        assert {c["tied"] for c in document["comparisons"]} == {9}
        assert [gate["pairs"] for gate in document["gates"]] == [9]

    def test_a_baseline_of_before_hashes_is_compared_by_id(self, ran: SampleProject) -> None:
        call("bless", "latest")
        (ran.folder / "reports" / "baseline" / "hashes.parquet").unlink()
        edit(ran, "toy.jsonl", '"question c3"', '"another"')
        ran.run()
        assert [gate["pairs"] for gate in ran.document()["gates"]] == [10]


class TestComparing:
    def test_two_runs_are_compared_on_what_both_measured_and_the_rest_is_named(
        self, ran: SampleProject
    ) -> None:
        first = ran.latest.name
        edit(ran, "toy.jsonl", '"question c3"', '"another"')
        edit(ran, "test_toy.py", "< 3", "< 4")
        ran.run()
        found = compared(first, "latest")
        assert [row["metric"] for row in found["comparisons"]] == ["right"]
        assert found["comparisons"][0]["tied"] == 9
        assert found["left_out"]["toy"] == [
            "1 case not the same in both: c3",
            "1 metric not the same in both: short",
        ]
        assert "1 case not the same in both: c3" in call("compare", first, "latest").stdout

    def test_no_difference_is_told_with_what_would_have_been_seen(self, ran: SampleProject) -> None:
        ran.run()
        first, second = sorted(p.name for p in (ran.folder / "reports").glob("2*"))
        text = call("compare", first, second).stdout
        assert "no difference found; " in text
        assert "points would have been seen 9 times in 10" in text

    def test_missing_outputs_are_bounded_by_what_they_might_be(
        self, project: SampleProject, answers
    ) -> None:
        half = {k: v for k, v in answers(cases=40).items() if int(k[1:]) < 20}
        project.suite(BODY, systems={"a": answers(*range(8), cases=40), "b": half})
        project.run()
        (row,) = compared("a", "b")["comparisons"]
        assert row["missing"] == 20
        assert row["worst_case"] == [pytest.approx(-0.3), pytest.approx(0.2)]
        assert "20 outputs unscored or errored: at worst -30.0 points, at best +20.0 points" in (
            call("compare", "a", "b").stdout
        )

    def test_graded_scores_are_no_points(self, project: SampleProject, answers) -> None:
        body = "def test_length(output, score):\n    score(len(output.text) + 0.5)\n"
        project.suite(body, systems={"a": answers(cases=40), "b": answers(1, 2, cases=40)})
        project.run()
        text = call("compare", "a", "b").stdout
        assert "difference -0.05 (" in text
        assert "sign-flip test, BCa bootstrap" in text
        assert "points" not in text

    def test_cases_of_a_group_count_together(self, project: SampleProject, answers) -> None:
        project.suite(BODY, systems={"a": answers(*range(20), cases=40), "b": answers(cases=40)})
        rows = [json.loads(line) for line in (project.evals / "toy.jsonl").read_text().splitlines()]
        for row in rows:
            row["metadata"] = {"group": int(row["id"][1:]) // 10}
        (project.evals / "toy.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        project.run()
        (row,) = compared("a", "b")["comparisons"]
        assert row["state"] == "open", "two documents of four are no proof"
        assert "sign-flip test" in row["method"]

    def test_both_directions_say_the_same_whatever_the_order_of_the_cases(
        self, project: SampleProject
    ) -> None:
        """What is drawn by chance, intervals and p-values, hangs on the order of the cases."""
        body = "def test_length(output, score):\n    score(len(output.text))\n"
        lengths = ((13 * i % 7, (11 * i + i // 3) % 9) for i in range(60))
        first, second = (
            {f"c{i}": "x" * (1 + n) for i, n in enumerate(side)}
            for side in zip(*lengths, strict=True)
        )
        project.suite(body, systems={"a": first})
        project.run()
        older = project.latest.name
        project.suite(body, systems={"a": second})
        rows = (project.evals / "toy.jsonl").read_text().splitlines(keepends=True)
        project.write("evals/toy.jsonl", "".join(reversed(rows)))
        project.run()
        forth, back = (
            compared(*sides)["comparisons"][0] for sides in ((older, "latest"), ("latest", older))
        )
        assert "BCa" in forth["method"]
        assert (back["gained"], back["lost"]) == (forth["lost"], forth["gained"])
        assert back["pvalue"] == forth["pvalue"]
        for end, other in (("difference", "difference"), ("low", "high"), ("high", "low")):
            assert back[end] == pytest.approx(-forth[other])

    def test_tags_that_stand_out_are_shown(self, project: SampleProject, answers) -> None:
        project.suite(BODY, systems={"a": answers(*range(20), cases=60), "b": answers(cases=60)})
        rows = [json.loads(line) for line in (project.evals / "toy.jsonl").read_text().splitlines()]
        for row in rows:
            row["tags"] = ["hard" if int(row["id"][1:]) < 20 else "easy"]
        (project.evals / "toy.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
        project.run()
        text = call("compare", "a", "b").stdout
        assert "toy · right: a -> b, hard: +100.0 points on 20 cases" in text
        assert "b, easy" not in text

    def test_answers_of_cases_that_are_left_out_are_not_counted(self, ran: SampleProject) -> None:
        first = ran.latest.name
        edit(ran, "toy.jsonl", '"question c3"', '"another"')
        ran.run()
        (other,) = compared(first, "latest")["other_answers"]
        assert (other["outputs"], other["differ"]) == (9, 0)
        assert "0 of 9 answers" in call("compare", first, "latest").stdout

    def test_one_case_is_no_cases(self, ran: SampleProject) -> None:
        ran.run("--case", "c1")
        narrowed = max(p.name for p in (ran.folder / "reports").glob("2*"))
        text = call("compare", ran.latest.name, narrowed).stdout
        assert " on 1 case, p = " in text
        assert "1 cases" not in text

    @pytest.mark.parametrize(
        ("names", "run", "said"),
        [
            (("latest", "latest"), "latest", "neither 'latest' nor 'latest' is a system of run"),
            (("latest", "latest"), "nonsense", "there is no run 'nonsense'"),
            (("a", "a"), "nonsense", "there is no run 'nonsense'"),
            (("latest:a", "latest:a"), "latest", "nor 'latest:a' is a system of run latest"),
        ],
    )
    def test_a_run_that_would_be_ignored_is_refused(self, ran, names, run, said) -> None:
        result = call("compare", *names, "--run", run)
        assert result.exit_code != 0
        assert said in told(result)

    def test_systems_are_those_of_the_run_that_is_named(self, ran: SampleProject) -> None:
        first = ran.latest.name
        ran.suite(BODY + OTHER, systems={"b": {"c1": "yes"}})
        ran.run()
        assert compared("a", "a", "--run", first)["comparisons"]
        assert "'a' is no system" in told(call("compare", "a", "a"))

    def test_without_a_blessed_run_there_is_nothing_to_compare_with(
        self, ran: SampleProject
    ) -> None:
        assert "no run is blessed yet" in told(call("compare", "baseline", "latest"))


class TestARunAgainstIt:
    def test_a_name_that_is_no_run_ends_before_anything_is_asked(self, ran: SampleProject) -> None:
        result = ran.run("--baseline", "latst")
        assert result.ret == 4
        result.stderr.fnmatch_lines(["*there is no run 'latst'*", "*Did you mean 'latest'?*"])

    def test_a_damaged_one_is_told_before_anything_is_asked(self, ran: SampleProject) -> None:
        call("bless", "latest")
        (ran.folder / "reports" / "baseline" / "run.json").write_text("<<<<<<< ours")
        result = ran.run()
        assert result.ret == 4
        result.stderr.fnmatch_lines(["*run.json*this run is damaged*"])
        assert ran.run("--baseline", "none").ret == 0


class TestThePage:
    def test_compares_with_the_run_that_baseline_named(self, ran: SampleProject) -> None:
        first = ran.latest.name
        call("bless", first)
        ran.run()
        second = ran.latest.name
        ran.run("--baseline", second)
        assert ran.document()["baseline"] == second
        page = ran.latest / "report.html"
        assert f"compared with run {second}" in page.read_text()
        assert call("report", "latest", "--baseline", first).exit_code == 0
        assert f"compared with run {first}" in page.read_text()

    def test_compares_with_the_blessed_run_otherwise(self, ran: SampleProject) -> None:
        call("bless", "latest")
        ran.run()
        assert "compared with the blessed run" in Path(ran.latest / "report.html").read_text()


def test_gates_are_audited_under_either_name(ran: SampleProject) -> None:
    call("bless", "latest")
    assert ran.run().ret == 0
    found = [call(verb, "--builds", "20", "--json").stdout for verb in ("calibrate", "audit-gates")]
    assert found[0] == found[1]
    assert json.loads(found[0])["builds"] == 20
