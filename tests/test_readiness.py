"""READY or NOT: what was planted is found, nothing else is, and what is worth most comes first."""

import json
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from diversity_sets import HashingEncoder, Planted, Topics
from rich.console import Console

from harness.diversity import Limits, Options, examine
from harness.diversity.labels import Audit
from harness.diversity.page import print_page
from harness.training_rows import TrainingRow
from harness.types import Case

AUDITED = Audit(audited=50, wrong=())


def examined(rows, *, cases=(), **options):
    options = {"audit": AUDITED, **options}
    return examine(
        rows,
        encoder=HashingEncoder(),
        eval_suites={"routing": cases} if cases else {},
        rng=np.random.default_rng(0),
        options=Options(**options),
    )


def kinds(report, *severities):
    return {f.kind for f in report.findings if f.severity in (severities or ("blocks", "warns"))}


def finding(report, kind):
    return next(f for f in report.findings if f.kind == kind)


@pytest.fixture
def topics():
    return Topics()


@pytest.fixture
def cases(topics):
    return [
        Case(id=f"c{i}", input=topics.text(i % 8), expected_output=topics.labels[i % 8])
        for i in range(160)
    ]


def texts_only(n, *, output=lambda i, t: f"{t} so it is and so it stays here", seed=3):
    topics = Topics(seed=seed)
    made = [topics.text(i % 8) for i in range(n)]
    return [
        TrainingRow(input=t, output=output(i, t), metadata={"author": "x", "licence": "CC0"})
        for i, t in enumerate(made)
    ]


def test_a_clean_set_is_ready_and_nothing_is_found_in_it(topics, cases):
    report = examined(topics.rows(400), cases=cases)
    assert report.ready
    assert report.reasons == ()
    assert kinds(report) == set()
    assert len(report.clean_rows) == 400


def test_every_plant_is_found_and_nothing_else_is(topics, cases):
    planted = Planted(topics, cases)
    report = examined(planted.rows, cases=cases)
    copies = {row for group in report.duplicates.groups for row in group}
    originals = {row for group in report.duplicates.groups for row in group} - planted.copies
    assert planted.copies <= copies
    assert len(report.duplicates.near_copies) == len(planted.copies)
    assert not originals & (planted.leaked | planted.wrong)
    assert set(report.leaked) == planted.leaked
    assert {suspect.row for suspect in report.answers.suspects} == planted.wrong
    assert kinds(report) == {"leaked", "near_duplicates", "suspect_labels"}
    assert kinds(report, "blocks") == {"leaked", "near_duplicates"}
    assert not report.ready


def test_the_other_rows_say_what_a_wrong_label_should_have_been(topics, cases):
    planted = Planted(topics, cases)
    right = {i: topics.labels[i % 8] for i in planted.wrong}
    report = examined(planted.rows, cases=cases)
    assert {s.row: s.suggested for s in report.answers.suspects} == right


def test_leaks_come_first_and_worth_falls_from_there(topics, cases):
    report = examined(Planted(topics, cases).rows, cases=cases)
    assert report.findings[0].kind == "leaked"
    order = {"blocks": 0, "warns": 1, "notes": 2}
    ranks = [(order[f.severity], -f.worth) for f in report.findings]
    assert ranks == sorted(ranks)


def test_no_rows_are_not_ready_and_say_so():
    report = examined([])
    assert not report.ready
    assert report.reasons == ("there are no training rows",)
    assert report.to_json()["effective_number"] is None


@pytest.mark.parametrize("texts", [[], [""], ["", " "] * 10, ["only one"]])
def test_rows_that_say_nothing_are_held_against_cases_too(cases, texts):
    rows = [TrainingRow(input=text, output="x") for text in texts]
    report = examined(rows, cases=cases, pool=["a text", ""])
    assert not report.ready
    assert report.reach.leaks == ()
    assert json.loads(json.dumps(report.to_json()))["coverage"] in (0, None)
    print_page(report, Console(file=StringIO()))


def test_cases_that_say_nothing_are_covered_by_nothing(topics):
    blank = [Case(id=str(i), input="") for i in range(30)]
    report = examined(topics.rows(120), cases=blank, pool=["a text"])
    assert report.ready
    assert (report.leaked, report.reach.coverage) == ((), None)


def test_one_row_is_not_ready():
    report = examined([TrainingRow(input="a question", output="an answer")], audit=None)
    assert kinds(report, "blocks") == {"audit", "rows"}


@pytest.mark.parametrize("filler", ["", "   ", "the same row again"])
def test_rows_that_are_all_the_same_or_blank_are_not_ready(filler):
    report = examined([TrainingRow(input=filler, output="x")] * 300)
    assert not report.ready
    expected = "missing" if not filler.strip() else "near_duplicates"
    assert expected in kinds(report, "blocks")


def test_a_hundred_clean_rows_are_asked_for(topics):
    assert kinds(examined(topics.rows(99)), "blocks") == {"rows"}
    assert examined(topics.rows(100)).ready


def test_rows_without_input_or_output_are_named(topics):
    rows = topics.rows(200)
    rows[7] = replace(rows[7], output=None)
    rows[9] = replace(rows[9], input=" ")
    report = examined(rows)
    assert finding(report, "missing").rows == (7, 9)
    assert report.to_json()["findings"][0]["places"] == ["train.jsonl:8", "train.jsonl:10"]


def test_the_same_input_with_two_labels_is_a_contradiction(topics):
    rows = topics.rows(200)
    rows[50] = replace(rows[50], input=rows[10].input.upper(), output="label-7")
    report = examined(rows)
    assert report.answers.contradictions == ((10, 50),)
    assert report.to_json()["contradictions"] == 2
    assert 50 not in report.duplicates.near_copies


def test_the_same_thing_said_in_two_ways_is_no_contradiction():
    rows = texts_only(150)
    rows[20] = replace(rows[20], input=rows[3].input, output=rows[3].output + " indeed")
    rows[30] = replace(rows[30], input=rows[4].input, output='{"b": 1, "a": 2}')
    rows[4] = replace(rows[4], output='{"a":2,"b":1}')
    assert examined(rows).answers.contradictions == ()


def test_the_context_is_part_of_the_input():
    rows = texts_only(150, output=lambda i, t: f"answer {i}")
    rows[20] = replace(rows[20], input=rows[3].input, context="another passage")
    assert examined(rows).answers.contradictions == ()


def test_without_an_audit_nobody_has_looked(topics):
    report = examined(topics.rows(200), audit=None)
    assert kinds(report, "blocks") == {"audit"}
    assert len(set(report.answers.audit_rows)) == 50
    assert examined(topics.rows(200), audit=None, limits=Limits(audited_rows=0)).ready


@pytest.mark.parametrize(("wrong", "ready"), [((), True), ((3,), True), ((3, 5), False)])
def test_the_audit_limits_the_share_of_wrong_rows_to_a_tenth(topics, wrong, ready):
    assert examined(topics.rows(200), audit=Audit(audited=50, wrong=wrong)).ready is ready


@pytest.mark.parametrize(("least", "severity"), [(0.90, "blocks"), (0.50, "warns")])
def test_kinds_of_query_without_examples_are_named(topics, cases, least, severity):
    rows = [row for i, row in enumerate(topics.rows(400)) if i % 8 not in {3, 5}]
    report = examined(rows, cases=cases, limits=Limits(clusters_covered=least))
    assert finding(report, "coverage").severity == severity
    named = {w for h in report.reach.coverage.holes for w in h.name.split(", ")}
    assert named <= {*topics.own[3], *topics.own[5]}
    assert named & set(topics.own[3])
    assert named & set(topics.own[5])


def test_what_to_label_next_fills_the_hole_and_never_names_a_case(topics, cases):
    rows = [row for row in topics.rows(240) if row.output != "label-3"]
    pool = [topics.text(i % 8) for i in range(160)] + [case.input for case in cases]
    report = examined(rows, cases=cases, pool=pool, limits=Limits(next_rows=10))
    chosen = [row.text for row in report.reach.next_rows]
    assert len(chosen) == 10
    assert not set(chosen) & {case.input for case in cases}
    hole = set(topics.own[3])
    assert (
        sum(len(hole & set(text.split())) >= 4 for text in chosen) >= 4
    )  # one in eight of the pool


def test_answers_that_state_what_the_input_does_not_hold_teach_facts():
    rows = texts_only(150, output=lambda i, t: f"it opens on day {i + 1000} at Harbour{i} Gate")
    report = examined(rows)
    assert finding(report, "facts").severity == "blocks"
    told = [replace(r, context=f"day {i + 1000} at Harbour{i} Gate") for i, r in enumerate(rows)]
    assert "facts" not in kinds(examined(told), "blocks", "notes")


def test_names_that_the_suite_asks_for_have_to_be_taught(topics):
    report = examined(topics.rows(200), vocabulary={"label": [*topics.labels, "label-99"]})
    assert finding(report, "vocabulary").severity == "blocks"
    assert "label label-99 (0)" in finding(report, "vocabulary").message


def test_outputs_that_somebody_graded_as_poor_are_not_taught(topics):
    rows = topics.rows(200)
    graded = ["ok", "too long-winded", "good", "wrong"]
    rows = [replace(r, metadata={**r.metadata, "grade": graded[i % 4]}) for i, r in enumerate(rows)]
    found = finding(examined(rows), "graded_poor")
    assert found.severity == "blocks"
    assert found.rows == tuple(range(1, 200, 2))


def test_outputs_that_are_grades_are_noticed():
    words = ["ok", "too long-winded", "good", "wrong"]
    report = examined(texts_only(200, output=lambda i, t: words[i % 4]))
    assert "outputs_are_grades" in kinds(report)


def test_a_field_that_gives_the_answer_away_blocks(topics):
    rows = [
        replace(r, input=f"Ticket: {r.input}\nQueue: {r.output}\nChannel: mail")
        for r in topics.rows(200)
    ]
    report = examined(rows)
    assert set(report.contents.attributes.leaking) == {"Queue"}
    assert report.contents.attributes.constant == {"Channel": "mail"}
    assert "leaking_attribute" in kinds(report, "blocks")


def test_a_constant_prompt_is_taken_off_before_anything_is_measured(topics, cases):
    plain = topics.rows(300)
    start, end = "You are the desk of a bicycle company.\nMessage: ", "\nAnswer with one label:"
    dressed = [replace(row, input=f"{start}{row.input}{end}") for row in plain]
    report, without = examined(dressed, cases=cases), examined(plain, cases=cases)
    assert report.data.inputs == without.data.inputs
    assert "constant_parts" in kinds(report, "notes")
    assert report.ready
    dressed[5] = replace(plain[5])
    assert finding(examined(dressed, cases=cases), "other_template").rows == (5,)


def test_rows_that_the_window_cuts_off_block(topics):
    rows = topics.rows(200)
    rows[4:8] = [
        replace(row, input=f"{row.input} {'more ' * 300}{i}") for i, row in enumerate(rows[4:8])
    ]
    report = examined(rows, window=100, count_tokens=lambda text: len(text.split()))
    assert finding(report, "truncated").rows == (4, 5, 6, 7)
    assert finding(report, "truncated").severity == "blocks"
    assert "long_inputs" in kinds(report, "warns")


def test_numbers_far_from_the_others_and_rounded_ones_are_noticed():
    rng = np.random.default_rng(5)
    weights = np.round(np.exp(rng.normal(6, 0.5, 200)), 0)
    even = texts_only(200, output=lambda i, t: f"{weights[i]:.0f}")
    assert kinds(examined(even)) == set()
    odd = [*even]
    odd[11] = replace(odd[11], output="40000000")
    assert finding(examined(odd), "outliers").rows == (11,)
    rounded = texts_only(200, output=lambda i, t: f"{round(weights[i], -2):.0f}")
    assert examined(rounded).answers.targets.heaped_at == 100
    assert "heaping" in kinds(examined(rounded), "warns")


def test_unbalanced_and_rare_labels_are_noticed(topics):
    rows = topics.rows(300)
    same = [replace(r, output="label-0" if i > 20 else r.output) for i, r in enumerate(rows)]
    report = examined(same)
    assert {"imbalance", "rare_labels"} <= kinds(report)


def test_generated_rows_and_rows_of_unknown_origin_are_counted(topics):
    rows = [replace(r, metadata={"generated_by": "a model"}) for r in topics.rows(200)]
    rows[:20] = [replace(r, metadata={}) for r in rows[:20]]
    report = examined(rows)
    assert report.contents.provenance.origins == {"generated": 180, "unknown": 20}
    assert "generated" in kinds(report, "warns")
    assert {"unknown_provenance", "unknown_licence"} <= kinds(report, "notes")


def test_few_shot_examples_are_searched_for_cases_too(topics, cases):
    shots = [TrainingRow(input=cases[3].input, output="x"), TrainingRow(input="else", output="y")]
    report = examined(topics.rows(200), cases=cases, other_sources={"few-shot": shots})
    assert [leak.case for leak in report.reach.other_leaks["few-shot"]] == [3]
    assert report.suspected_cases == {("routing", "c3")}


def test_rows_in_other_scripts_and_very_long_rows_are_examined(topics):
    rows = topics.rows(150)
    others = [
        "Wie pausiere ich meinen Vertrag über den Winter?",
        "自転車のタイヤがパンクしました",
        "Как приостановить подписку?",
        "لقد فقدت مفتاح الدراجة",
        "🚲🚲🚲",
        "\ud800 a lone surrogate",
        "word " * 20_000,
    ]
    rows += [TrainingRow(input=text, output="label-1") for text in others]
    report = examined(rows)
    assert len(report.data.rows) == 157
    assert json.loads(json.dumps(report.to_json()))["rows"] == 157


def test_a_broken_encoder_is_an_error_not_a_report(topics):
    class Broken(HashingEncoder):
        def encode(self, texts):
            return np.full((len(texts), 4), np.nan)

    with pytest.raises(ValueError, match="NaN"):
        examine(topics.rows(5), encoder=Broken(), eval_suites={}, rng=np.random.default_rng(0))


def test_the_json_form_has_the_promised_keys(topics, cases):
    found = json.loads(json.dumps(examined(Planted(topics, cases).rows, cases=cases).to_json()))
    assert found["ready"] is False
    assert found["near_duplicates"] == 400
    assert found["leaked"] == 40
    assert found["contradictions"] == 0
    assert 0 <= found["coverage"] <= 1
    assert found["effective_number"] > 1
    assert all(isinstance(reason, str) for reason in found["reasons"])
    leak = found["leaks"][0]
    assert (leak["suite"], leak["action"]) == ("routing", "drop")
    assert leak["row_text"]
    assert leak["case_text"]
    kinds_of_points = {(p["kind"], p["leaked"]) for p in found["map"]}
    assert kinds_of_points >= {("row", True), ("row", False), ("case", True), ("case", False)}


def test_the_same_seed_gives_the_same_report(topics, cases):
    rows = Planted(topics, cases).rows
    assert examined(rows, cases=cases).to_json() == examined(rows, cases=cases).to_json()


@pytest.mark.parametrize("width", [60, 120])
def test_the_page_shows_the_verdict_what_to_fix_and_the_rows(topics, cases, width):
    stream = StringIO()
    rows = Planted(topics, cases).rows
    rows[0] = replace(rows[0], input="[bold]brackets[/] stay as they are")
    print_page(examined(rows, cases=cases), Console(file=stream, width=width))
    text = stream.getvalue()
    assert "NOT READY" in text
    assert "near-duplicate" in text
    assert "Leaks" in text
    assert "Labels to look at" in text
    assert "Not measured" in text


def test_the_page_of_a_clean_set_says_ready(topics, cases):
    stream = StringIO()
    print_page(examined(topics.rows(300), cases=cases), Console(file=stream, width=100))
    assert stream.getvalue().startswith("READY")
