"""The words of the page: verbs agree with their numbers, names stay as they are, units stay whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from evidence_documents import first_afternoon, rate, system
from markupsafe import Markup
from report_runs import MadeSuite, write_run
from sample_project import SampleProject
from test_report_page import TOY, page_of, text_of

from harness.escalation import evidence_from_json, judge
from harness.report import flips, gates, reliability
from harness.report.data import RunData, read_run
from harness.report.wording import NO_BREAK, coded

BODY = "def test_right(case, output):\n    assert output.text == 'yes'\n"


def rival(state: str) -> flips.Rival:
    nothing: dict[str, Any] = dict.fromkeys(("gained", "lost", "tied", "unpaired"), 0)
    texts = dict.fromkeys(("suite", "metric", "system", "effect", "limits", "pvalue"), "")
    return flips.Rival(**nothing, **texts, bar=Markup(""), plot=None, state=state)


def with_gates(tmp_path: Path, *states: str) -> RunData:
    gate = {"metric": "is_brief", "system": "a", "kind": "at_least"}
    suite = MadeSuite(
        name="toy", cases=4, rates={"a": 0.5}, gates=[gate | {"state": state} for state in states]
    )
    return read_run(write_run(tmp_path / "r", [suite]))


def reliable(**counts: int) -> reliability.Reliability:
    zeros = dict.fromkeys(("outputs", "errored", "unscored", "not_run", "retried", "flaky"), 0)
    texts = dict.fromkeys(("suite", "system", "moderated", "always", "cached"), "")
    return reliability.Reliability(**(zeros | counts), **texts, champion=True, bar=Markup(""))


class TestVerbsAgree:
    @pytest.mark.parametrize(
        ("states", "said"),
        [
            (["better"], "1 of 1 comparison beats the champion"),
            (["better", "better", ""], "2 of 3 comparisons beat the champion"),
            (["better", "worse"], "1 of 2 comparisons beats the champion, one falls short of it"),
            (["worse", "worse"], "0 of 2 comparisons beat the champion, two fall short of it"),
        ],
    )
    def test_of_systems_compared(self, states: list[str], said: str) -> None:
        assert flips.standing([rival(state) for state in states]) == said

    @pytest.mark.parametrize(
        ("states", "said"),
        [
            (["failed"], "The one gate failed"),
            (["undecided"], "The one gate is undecided"),
            (["passed"], "The one gate holds"),
            (["failed", "passed"], "One of two gates failed"),
            (["undecided", "undecided"], "Two of two gates are undecided"),
        ],
    )
    def test_of_gates(self, tmp_path: Path, states: list[str], said: str) -> None:
        assert gates.finding(with_gates(tmp_path, *states)) == said

    @pytest.mark.parametrize(
        ("counts", "said"),
        [
            ({"outputs": 1}, "The one output came back and was scored"),
            ({"outputs": 2}, "All 2 outputs came back and were scored"),
            (
                {"outputs": 9, "errored": 2, "unscored": 1, "not_run": 1},
                "Of 9 outputs 2 errored, 1 has no score and 1 was not run",
            ),
            (
                {"outputs": 9, "unscored": 2, "not_run": 3, "flaky": 1},
                "Of 9 outputs 2 have no score and 3 were not run; 1 case flickers between epochs",
            ),
        ],
    )
    def test_of_outputs(self, counts: dict[str, int], said: str) -> None:
        assert reliability.finding([reliable(**counts)]) == said

    @pytest.mark.parametrize(
        ("passed", "said"),
        [
            ((195, 110, 105), "this is several tasks: t0 already reaches the target"),
            ((195, 195, 60), "this is several tasks: t0 and t1 already reach the target"),
        ],
    )
    def test_of_tags(self, tmp_path: Path, passed: tuple[int, ...], said: str) -> None:
        document = first_afternoon(sum(passed), 600)
        document["systems"][0]["rung"] = "rag"
        document["slices"] = [
            {"tag": f"t{i}", "system": "zero-shot", "outcomes": rate(count, 200)}
            for i, count in enumerate(passed)
        ]
        found = judge(evidence_from_json(document))
        assert said in found.conditions
        half = said.removeprefix("this is several tasks: ")
        assert f"This is several tasks: {half}, so judge the rest apart." in found.sentence
        verdict = {"suite": "toy", "action": found.action, "row": found.row,
                   "sentence": found.sentence, "would_change": found.would_change}  # fmt: skip
        run = write_run(tmp_path / "r", [TOY], sections={"verdicts": [verdict]})
        assert f"These are several tasks; {half}" in text_of(page_of(run))


def test_outputs_that_were_not_run_are_among_those_that_were_asked_for(
    project: SampleProject, answers: Callable[..., dict[str, str]]
) -> None:
    project.suite(BODY, systems={"a": answers(), "b": answers()})
    lines = [
        f'  {name}: {{kind: python, callable: "says_yes:{name}", rung: prompt}}' for name in "ab"
    ]
    project.write("evals/rung.yaml", "\n".join(["systems:", *lines, ""]))
    code = "".join(f"def {name}(case):\n    return 'yes'\n\n\n" for name in "ab")
    project.write("evals/says_yes.py", code)
    project.run("--system", "a")
    project.run("--replay")
    assert project.document()["counts"]["not_run"] == 10
    run = read_run(project.latest)
    assert reliability.finding(reliability.rows(run)) == "Of 20 outputs 10 were not run"
    assert [row.outputs for row in reliability.rows(run)] == [10, 10]


def axis_of(group: gates.GateGroup) -> list[str]:
    return re.findall(r">([^<]+)</text>", group.axis)


def test_a_gate_on_a_mean_stands_apart_from_gates_on_rates(
    project: SampleProject, answers: Callable[..., dict[str, str]]
) -> None:
    floor = "@pytest.mark.gate(at_least=0.5)\n"
    graded = "def test_overlap(case, output, score):\n    score(len(output.text) / 4)\n"
    project.suite(f"{floor}{graded}\n{floor}{BODY}", systems={"a": answers(1, 2)})
    project.run()
    groups = {group.note: group for group in gates.groups(read_run(project.latest))}
    assert list(groups) == ["pass rate in per cent", "mean"]
    (on_rate,), (on_mean,) = (group.rows for group in groups.values())
    estimate = project.estimate("overlap", "a")
    assert (on_rate.metric, on_rate.effect, on_rate.margin) == ("right", "80.0", "50.0")
    assert (on_mean.metric, on_mean.margin) == ("overlap", "0.5")
    assert on_mean.effect == f"{estimate['value']:.3g}"
    assert on_mean.limits == f"{estimate['low']:.3g} to {estimate['high']:.3g}"
    assert axis_of(groups["mean"]) == ["0.5", "0.75", "1"]


def test_the_axis_of_means_holds_what_lies_beyond_one(
    project: SampleProject, answers: Callable[..., dict[str, str]]
) -> None:
    body = (
        "@pytest.mark.gate(at_least=1.0)\n"
        "def test_stars(case, output, score):\n    score(3 + len(output.text) % 2)\n"
    )
    project.suite(body, systems={"a": answers(1, 2)})
    project.run()
    (group,) = gates.groups(read_run(project.latest))
    highest = project.estimate("stars", "a")["high"]
    assert axis_of(group)[-1] == f"{highest:.3g}"


class TestNames:
    def test_a_tag_in_a_heading_is_written_as_it_is(self, tmp_path: Path) -> None:
        suite = MadeSuite(name="toy", cases=60, rates={"rAG": 0.5}, tags=("a|b", "c|d"))
        page = page_of(write_run(tmp_path / "r", [suite]))
        (heading,) = re.findall(r'id="slices">.*?<h2>(.*?)</h2>', page)
        assert re.match(r"&#39;(a\|b|c\|d)&#39; in toy is the weakest: &#39;rAG&#39; ", heading)

    @pytest.mark.parametrize(
        ("stored", "shown"),
        [
            ("rag beats prompt: 1 gained", "rag beats prompt: 1 gained"),
            ("the pilot beats its own prompt", "The pilot beats its own prompt"),
            ("'rag' beats 'prompt'", "'rag' beats 'prompt'"),
        ],
    )
    def test_a_reason_that_begins_with_one_keeps_it(
        self, tmp_path: Path, stored: str, shown: str
    ) -> None:
        verdict = {"suite": "toy", "action": "climb_to_rag", "row": "8", "sentence": "Climb.",
                   "reasons": [stored], "evidence": {"systems": [{"name": "rag", "rung": "rag"}]}}  # fmt: skip
        run = write_run(tmp_path / "r", [TOY], sections={"verdicts": [verdict]})
        assert f"Because {shown}" in text_of(page_of(run))

    def test_systems_compared_are_quoted(self) -> None:
        document = first_afternoon() | {"champion": "zero-shot"}
        document["systems"].append(system("few-shot", "prompt", 84 + 29, 120))
        counts = {"gained": 30, "lost": 1, "tied": 89}
        document["pairs"] = [{"baseline": "zero-shot", "candidate": "few-shot", "counts": counts}]
        assert "'few-shot' beats 'zero-shot': 30 gained, 1 lost, 89 tied" in (
            judge(evidence_from_json(document)).reasons
        )


def text_with_breaks(page: str) -> str:
    """The page's words, with its pictures left out and its no-break spaces kept."""
    return re.sub(r"<(script|style|svg)\b.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL)


class TestUnits:
    @pytest.mark.parametrize("unit", ["%", "points", "point", "s", "min", "h", "GiB"])
    def test_a_number_keeps_its_unit(self, unit: str) -> None:
        assert coded(f"about 98 {unit}, or more") == f"about 98{NO_BREAK}{unit}, or more"

    @pytest.mark.parametrize("text", ["98 samples", "98 % of `tail -n 3 s`", "version 3 hidden"])
    def test_words_and_code_are_left_alone(self, text: str) -> None:
        assert NO_BREAK not in coded(text).replace(f"98{NO_BREAK}%", "")

    def test_sentences_and_headings_of_the_page_do(self, tmp_path: Path) -> None:
        gate = {"metric": "is_brief", "system": "a", "kind": "at_least", "state": "failed",
                "reason": "40 % is below the floor of 50 %"}  # fmt: skip
        verdict = {"suite": "toy", "action": "run_more_cases", "row": "3", "sentence": "'a' passes 98 % but",
                   "reasons": ["'a' passes 98 %"], "next_step": {"do": "see 9 %", "command": "echo 7 %"}}  # fmt: skip
        suite = MadeSuite(name="toy", cases=60, rates={"a": 0.5}, tags=("x", "y"), gates=[gate])
        sections = {"verdicts": [verdict], "project_verdict": "No GPU yet: 5 % is missing."}
        run = write_run(tmp_path / "r", [suite], text=lambda _: "12 % off", sections=sections)
        page = page_of(run)
        for number in (98, 40, 50, 9, 5):
            assert f"{number}{NO_BREAK}%" in page
            assert f" {number} %" not in text_with_breaks(page)
        assert "<code>echo 7 %</code>" in page
        assert f"12{NO_BREAK}%" not in page
