"""Cases that share a document are one unit everywhere: in the run, on the page, at the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from sample_project import SampleProject, jsonl

from harness.report.against import compared
from harness.report.data import read_run
from harness.report.ladders import standings

CASES, DOCUMENTS = 60, 6
BODY = """
@pytest.mark.gate(at_least=0.2)
def test_right(case, output):
    assert output.text == case.expected_output


def test_short(output):
    assert len(output.text) < 3
"""
CONFIG = "suites: {toy: {champion: a, target: 0.6, decides: [right]}}\n"


def write(project: SampleProject, *, missed: set[int]) -> None:
    """Two systems on cases of six documents: `a` misses whole documents, `b` half of each."""
    a = {f"c{i}": "no" if i // 10 in missed else "yes" for i in range(CASES)}
    b = {f"c{i}": "no" if i % 2 else "yes" for i in range(CASES)}
    project.suite(BODY, systems={"a": a, "b": b}, extra=CONFIG)
    rows = (
        {
            "id": f"c{i}", "input": f"question {i}", "expected_output": "yes",
            "tags": ["even" if i % 2 == 0 else "odd"], "metadata": {"group": f"d{i // 10}"},
        }
        for i in range(CASES)
    )  # fmt: skip
    project.write("evals/toy.jsonl", jsonl(rows))


@pytest.fixture
def runs(project: SampleProject) -> tuple[SampleProject, Path, Path]:
    """Two runs: in the second one `a` misses two documents more."""
    write(project, missed={5})
    project.run()
    first = project.latest.resolve()
    write(project, missed={1, 3, 5})
    project.run()
    return project, first, project.latest.resolve()


def compared_at_the_command_line(project: SampleProject, a: str, b: str) -> dict[str, Any]:
    found = json.loads(project.rung("compare", a, b, "--json").stdout.str())
    rows: list[dict[str, Any]] = found["comparisons"]
    return next(row for row in rows if row["metric"] == "right" and row["candidate"].endswith(b))


def compared_of_a(project: SampleProject, a: str, b: str) -> dict[str, Any]:
    """The row of the system `a`, whose name stands with its run or alone."""
    found = json.loads(project.rung("compare", a, b, "--json").stdout.str())
    rows = [row for row in found["comparisons"] if row["metric"] == "right"]
    return next(row for row in rows if row["candidate"].rpartition(":")[2] == "a")


def numbers(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[k] for k in ("gained", "lost", "difference", "low", "high", "pvalue"))


def test_two_systems_have_one_p_value_in_the_run_and_at_the_command_line(runs) -> None:
    project, _, latest = runs
    document = project.document(latest)
    (stored,) = (row for row in document["comparisons"] if row["metric"] == "right")
    assert numbers(compared_at_the_command_line(project, "a", "b")) == pytest.approx(
        numbers(stored)
    )
    assert stored["method"].startswith("sign-flip test")


def mirrored(row: dict[str, Any]) -> dict[str, Any]:
    """The same comparison from the other side."""
    signed = {"difference": -row["difference"], "low": -row["high"], "high": -row["low"]}
    return row | signed | {"gained": row["lost"], "lost": row["gained"]}


@pytest.mark.parametrize("blessed", ["first", "latest"])
def test_the_blessed_run_is_compared_by_document_on_either_side(runs, blessed) -> None:
    """It keeps no cases: those of the other run say what belongs together."""
    project, first, latest = runs
    name, other = {"first": (first, latest), "latest": (latest, first)}[blessed]
    assert project.rung("bless", name.name).ret == 0
    forth = compared_of_a(project, "baseline", other.name)
    back = compared_of_a(project, other.name, "baseline")
    # Of two runs `a` is compared and `b`, of two systems `a` alone: corrected over fewer.
    alone = compared_of_a(project, f"{other.name}:a", "baseline:a")
    assert forth["pvalue"] == 0.5
    assert forth["method"].startswith("sign-flip test")
    for row in (mirrored(back), mirrored(alone)):
        assert numbers(row) == pytest.approx(numbers(forth))
        assert row["mde"] == pytest.approx(forth["mde"])


def test_tags_are_those_of_the_side_that_keeps_them(runs) -> None:
    project, first, latest = runs
    assert project.rung("bless", first.name).ret == 0
    for sides in (("baseline", latest.name), (latest.name, "baseline")):
        found = json.loads(project.rung("compare", *sides, "--json").stdout.str())
        assert {row["tag"] for row in found["slices"]} == {"even", "odd"}
        assert found["groups_unknown"] == []


def test_without_cases_on_either_side_independence_is_said(runs) -> None:
    project, _, latest = runs
    assert project.rung("bless", latest.name).ret == 0
    result = project.rung("compare", "baseline:a", "baseline:b")
    result.stdout.fnmatch_lines(["toy: neither side keeps its cases*treated as independent"])
    found = json.loads(project.rung("compare", "baseline", "baseline", "--json").stdout.str())
    assert found["groups_unknown"] == ["toy"]


def test_damaged_cases_are_told_and_no_groups_made_up(runs) -> None:
    project, first, latest = runs
    (latest / "cases.parquet").write_bytes(b"junk")
    result = project.rung("compare", first.name, latest.name)
    assert result.ret == 2
    result.stderr.fnmatch_lines(["*cases.parquet*damaged*"])


def test_gates_are_replayed_by_document(runs) -> None:
    project, _, latest = runs
    found = json.loads(project.rung("audit-gates", "--builds", "20", "--json").stdout.str())
    (gate,) = found["gates"].values()
    assert (gate["groups"], gate["graded"], gate["system"]) == (DOCUMENTS, False, "a")
    assert project.rung("bless", latest.name).ret == 0
    result = project.rung("audit-gates", "baseline", "--builds", "20")
    result.stdout.fnmatch_lines(["*toy: this run does not keep its cases*"])


def test_two_runs_are_compared_by_document_on_the_page_too(runs) -> None:
    _, first, latest = runs
    rows = compared(read_run(latest), read_run(first))
    (right,) = (row for row in rows if (row.metric, row.candidate) == ("right", "a"))
    assert (right.gained, right.lost) == (0, 20)
    assert right.pvalue == 0.5  # two of six documents: swapped either way, half as extreme
    assert right.state == "open"


def test_a_blessed_run_is_compared_by_document_on_the_page_too(runs) -> None:
    project, first, latest = runs
    assert project.rung("bless", latest.name).ret == 0
    rows = compared(read_run(project.folder / "reports" / "baseline"), read_run(first))
    (right,) = (row for row in rows if (row.metric, row.candidate) == ("right", "a"))
    assert right.pvalue == 0.5


def test_all_pairs_and_metrics_of_a_suite_are_corrected_together(runs) -> None:
    project, _, latest = runs
    rows = project.document(latest)["comparisons"]
    assert len(rows) == 2
    least = min(rows, key=lambda row: row["pvalue"])
    assert least["pvalue_adjusted"] == pytest.approx(min(1.0, 2 * least["pvalue"]))


def test_a_tag_is_no_surer_than_its_documents(runs) -> None:
    project, _, latest = runs
    document = project.document(latest)
    of_a = [row for row in document["slices"] if (row["metric"], row["system"]) == ("right", "a")]
    assert {row["tag"] for row in of_a} == {"even", "odd"}
    for row in of_a:
        assert row["method"] == "wilson, clustered"
        assert row["high"] - row["low"] > 0.5


def test_the_ladder_shows_the_interval_of_the_table_below_it(runs) -> None:
    *_, latest = runs
    run = read_run(latest)
    estimate = run.estimate("toy", "right", "a")
    assert estimate is not None
    (standing,) = (s for s in standings(run, run.suites["toy"]) if s.system == "a")
    reading = standing.reading
    assert (reading.low, reading.high) == pytest.approx((estimate["low"], estimate["high"]))
