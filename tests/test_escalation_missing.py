"""Outputs without a score in a verdict: neither dropped nor missed, but at their worst in every claim."""

from __future__ import annotations

import pytest
from evidence_documents import pair, rate, system
from hypothesis import given
from hypothesis import strategies as st
from sample_project import SampleProject

from harness.escalation import columns_of, evidence_from_json, judge
from harness.escalation.outcomes_of_run import CaseInfo, Table, paired, tables_of
from harness.escalation.states import difference_state

EPOCHS = 3
STATES = st.lists(
    st.tuples(
        *[st.lists(st.sampled_from(["passed", "missed", "errored"]), min_size=3, max_size=3)] * 2,
        st.booleans(),
    ),
    min_size=1,
    max_size=8,
)


def tables(sides: dict[str, list[list[str]]]) -> dict[str, Table]:
    """One table for each system, from the states of its cases' epochs."""
    rows = [
        {"suite": "s", "system": system, "case": f"c{i}", "epoch": e, "metric": "m", "state": state}
        for system, cases in sides.items()
        for i, epochs in enumerate(cases)
        for e, state in enumerate(epochs)
    ]
    return tables_of(columns_of(rows), "s", ["m"])


def filled(cases: list[list[str]], state: str) -> list[list[str]]:
    return [[state if s == "errored" else s for s in epochs] for epochs in cases]


@given(rows=STATES)
def test_bounds_hold_whatever_the_lost_outputs_would_have_been(rows):
    before, after, fills = (list(column) for column in zip(*rows, strict=True))
    cases = {f"c{i}": CaseInfo() for i in range(len(rows))}
    found = tables({"a": before, "b": after})
    rates = {name: table.rate(cases, cases) for name, table in found.items()}
    counts = paired(found["a"], found["b"], cases, cases)
    mixed = [
        filled([epochs], "passed" if up else "missed")[0]
        for epochs, up in zip(after, fills, strict=True)
    ]
    for known_before in (filled(before, "passed"), filled(before, "missed")):
        known = tables({"a": known_before, "b": mixed})
        values = {name: table.rate(cases, cases) for name, table in known.items()}
        for name, value in values.items():
            assert rates[name].worst - 1e-9 <= value.passed <= rates[name].best + 1e-9
            assert rates[name].total == len(cases)
        if counts is not None:
            difference = (values["b"].passed - values["a"].passed) / len(cases)
            best = counts.turned().at_worst().turned()
            assert counts.at_worst().value <= difference + 1e-9
            assert best.value >= difference - 1e-9


@given(rows=STATES)
def test_without_a_lost_output_nothing_is_unsure(rows):
    before, after, _ = (list(column) for column in zip(*rows, strict=True))
    cases = {f"c{i}": CaseInfo() for i in range(len(rows))}
    found = tables({"a": filled(before, "missed"), "b": filled(after, "passed")})
    counts = paired(found["a"], found["b"], cases, cases)
    assert (counts.unpaired, counts.may_lose, counts.may_gain) == (0, 0.0, 0.0)
    for table in found.values():
        known = table.rate(cases, cases)
        assert (known.missing, known.unsure_passed, known.unsure_missed) == (0, 0.0, 0.0)


def test_epochs_that_got_lost_do_not_lift_a_rate():
    cases = [["passed", "errored", "errored"]] * 24 + [["passed"] * 3] * 64 + [["missed"] * 3] * 12
    ids = {f"c{i}": CaseInfo() for i in range(100)}
    found = tables({"a": cases})["a"].rate(ids, ids)
    assert (found.value, found.worst, found.best) == (0.88, pytest.approx(72), pytest.approx(88))
    document = {
        "suite": "s",
        "target": 0.8,
        "systems": [
            system("a", "prompt", 88, 100)
            | {"outcomes": rate(88, 100, unsure_passed=found.unsure_passed)}
        ],
    }
    verdict = judge(evidence_from_json(document))
    assert verdict.action == "fix_eval"
    assert "16 of the 100 cases of 'a' have no score" in verdict.sentence


def test_a_pair_is_proven_only_where_its_lost_outputs_cannot_undo_it():
    known = evidence_from_json(lossy(lost=0)).pair("tuned", "prompted")
    lossy_pair = evidence_from_json(lossy(lost=45)).pair("tuned", "prompted")
    assert difference_state(known, -0.05).state == "above"
    assert difference_state(lossy_pair, -0.05).state == "open"
    assert lossy_pair.turned().turned() == lossy_pair


def test_no_step_down_to_a_system_whose_outputs_got_lost():
    assert judge(evidence_from_json(lossy(lost=0))).action == "step_down"
    found = judge(evidence_from_json(lossy(lost=45)))
    assert found.action != "step_down"
    assert "45 outputs without a score, counted at their worst" in found.conditions


def lossy(lost: int) -> dict:
    """A champion that passes everything, and a prompt that does too, less what got lost."""
    counts = pair("tuned", "prompted", 0, 0, 400 - lost)
    counts["counts"] |= {"unpaired": lost, "may_lose": lost} if lost else {}
    prompted = system("prompted", "prompt", 400 - lost, 400 - lost)
    prompted["outcomes"]["missing"] = lost
    return {
        "suite": "s",
        "target": 0.8,
        "champion": "tuned",
        "systems": [system("tuned", "fine_tuned", 400), prompted],
        "pairs": [counts],
    }


GRADED = (
    "@pytest.mark.gate(at_least=0.5)\n"
    "def test_length(case, output, score):\n    score(len(output.text) / 10)\n"
)


def test_a_graded_metric_decides_nothing(project: SampleProject, answers) -> None:
    suites = "suites:\n  toy: {champion: a, target: 0.8}\n"
    project.suite(GRADED, systems={"a": answers(cases=40)}, extra=suites)
    project.run()
    assert project.document()["verdicts"] == []


def test_a_metric_that_passes_or_misses_decides_beside_a_graded_one(
    project: SampleProject, answers
) -> None:
    suites = "suites:\n  toy: {champion: a, target: 0.8}\n"
    right = "\n\ndef test_right(case, output):\n    assert output.text == 'yes'\n"
    project.suite(GRADED + right, systems={"a": answers(*range(20), cases=40)}, extra=suites)
    project.run()
    (verdict,) = project.document()["verdicts"]
    assert verdict["evidence"]["systems"][0]["outcomes"] == {"passed": 20, "n": 40}


def test_the_name_of_a_parametrized_function_decides_by_all_its_metrics(
    project: SampleProject, answers
) -> None:
    body = (
        "@pytest.mark.parametrize('letter', ['y', 'e'])\n"
        "def test_has(case, output, letter):\n    assert letter in output.text\n"
    )
    suites = "suites:\n  toy: {champion: a, target: 0.8, decides: [has]}\n"
    project.suite(body, systems={"a": answers(*range(10), cases=40)}, extra=suites)
    project.run()
    (verdict,) = project.document()["verdicts"]
    assert verdict["evidence"]["systems"][0]["outcomes"] == {"passed": 30, "n": 40}
