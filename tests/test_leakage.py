"""Eval cases in training data are found by text, by runs of words and by meaning, and little else is."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from diversity_sets import HashingEncoder, Topics
from sample_project import jsonl

import systems.late_encoder
from harness.cli import rung
from harness.diversity.dataset import Dataset
from harness.diversity.leakage import (
    Item,
    LeakLimits,
    find_leaks,
    rates_without,
    rows_to_drop,
)
from harness.diversity.vectors import encode
from harness.training_rows import parse_training_row
from harness.types import Case

LONG = (
    "when the rear wheel of a rented cargo bike is punctured far from any depot "
    "the rider may leave it at a listed partner shop"
)


def found(row, case, **given):
    return [(x.kind, x.action) for x in find_leaks([Item(input=row)], [Item(input=case)], **given)]


@pytest.mark.parametrize(
    "copy",
    [
        "How do I pause my plan?",
        "  how do I   PAUSE my plan ",
        "how do i pause my plan!",
        "Ｈow do I pause my plan?",  # full-width H
    ],
)
def test_the_same_text_in_other_clothes_is_an_exact_leak(copy):
    assert found(copy, "How do I pause my plan?") == [("exact", "drop")]


@pytest.mark.parametrize(
    ("row", "case"), [("3 + 4", "3 - 4"), ("x = 1.5", "x = 15"), ("a < b", "a > b"), ("?!", "...")]
)
def test_signs_and_points_in_numbers_make_a_difference(row, case):
    assert found(row, case) == []


def test_a_case_quoted_inside_a_longer_row_is_found_by_its_run_of_words():
    assert found(f"Somebody asked: {LONG}. What now?", LONG) == [("ngram", "drop")]


def test_a_case_in_the_output_of_a_row_is_found_too():
    row = Item(input="Write a question.", whole=f"Write a question.\n{LONG}")
    assert [x.kind for x in find_leaks([row], [Item(input=LONG)])] == ["ngram"]


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "The black cat."}]}]},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "the black cat"}]}]},
        {"prompt": [{"type": "text", "text": "the black cat"}]},
        {"instruction": "Say the color.", "input": "the black cat"},
        {"prompt": "Say the color: the black cat", "input": "the black cat"},
        {"input": {"question": "the black cat", "language": "en"}},
        {
            "messages": [
                {"role": "user", "content": "the black cat"},
                {"role": "assistant", "content": "black"},
                {"role": "user", "content": "And the box?"},
            ]
        },
    ],
)
def test_a_case_is_found_in_every_form_and_as_a_turn_or_a_field_of_more(row):
    leaks = Dataset(
        [parse_training_row({**row, "output": "black"})], encoder=HashingEncoder()
    ).leaks_into([Case(id="c", input="the black cat", expected_output="black")])
    assert [(leak.kind, leak.action) for leak in leaks] == [("exact", "drop")]


def turn(text, number=0):
    return Item(input=f"{text}\nsomething else {number}", parts=(text, f"something else {number}"))


@pytest.mark.parametrize("said", ["yes", "Thanks!", "thank you"])
def test_what_is_said_in_every_dialogue_is_no_case(said):
    assert find_leaks([turn(said)], [Item(input=said)]) == ()


def test_a_few_words_in_many_different_rows_are_a_manner_of_speaking():
    case = Item(input="yes please do")
    assert len(find_leaks([turn(case.input, n) for n in range(10)], [case])) == 10
    assert find_leaks([turn(case.input, n) for n in range(11)], [case]) == ()
    # Many copies of one row are still that row.
    assert len(find_leaks([turn(case.input)] * 11, [case])) == 11


def test_a_turn_of_the_assistant_is_no_question():
    said = [("user", "Which one?"), ("assistant", "the black cat"), ("user", "Fine, and this?")]
    messages = [{"role": role, "content": text} for role, text in said]
    row = parse_training_row({"messages": messages})
    assert row.parts == ("Which one?", "Fine, and this?")


def test_half_of_a_long_case_is_for_review():
    half = " ".join(LONG.split()[:14])
    assert found(f"{half} and then something else happened", LONG) == [("ngram", "review")]


def test_twelve_words_in_a_row_of_a_long_case_are_no_leak():
    assert found(" ".join(LONG.split()[:12]), LONG) == []


def test_short_cases_are_matched_by_runs_of_eight_words():
    case = "show all trips that Fahey made in the last week"
    assert found(f"please {case} sorted", case) == [("ngram", "drop")]
    assert found("show all trips that somebody else made in the last week", case) == []


def test_a_similar_row_with_another_answer_is_for_review():
    row = Item(input="please show all trips that Fahey made in the last week", answer='{"cap": 7}')
    case = Item(input="show all trips that Fahey made in the last week", answer='{"cap": 9}')
    same = Item(input=case.input, answer='{ "cap":7 }')
    assert [x.action for x in find_leaks([row], [case])] == ["review"]
    assert [x.action for x in find_leaks([row], [same])] == ["drop"]


def test_a_case_is_suspected_only_where_its_answer_may_be_given_away(project, monkeypatch):
    Leaky(project, monkeypatch, leaked=range(5), missed=range(10, 20))
    rows = (project.evals / "train.jsonl").read_text("utf-8").splitlines()
    near = json.loads(rows[-1])["input"].replace(" ", ", ")
    rows[-1] = json.dumps(
        {"input": near, "output": "no"}
    )  # the case in the same words, answered otherwise
    rows[-2] = json.dumps({"input": json.loads(rows[-2])["input"] + " and more", "output": "no"})
    project.write("evals/train.jsonl", "\n".join(rows) + "\n")
    report = json.loads(CliRunner().invoke(rung, ["data", "toy", "--json"]).stdout)
    held = {leak["case"]: leak["gives_away"] for leak in report["leaks"]}
    assert held["c3"] is False
    assert {case["case"] for case in report["suspected_cases"]} == {
        case for case, gives_away in held.items() if gives_away
    }


def test_words_that_many_cases_share_are_a_template_and_no_leak():
    frame = (
        "read the passage below with care and then answer the question in one short sentence please"
    )
    cases = [Item(input=f"{frame} number{i} topic{i}") for i in range(40)]
    assert find_leaks([Item(input=f"{frame} something quite different")], cases) == ()


def test_near_embeddings_are_dropped_or_reviewed():
    def vectors(cosine):
        return np.array([[cosine, (1 - cosine**2) ** 0.5]], np.float32), np.array(
            [[1, 0]], np.float32
        )

    assert found("a", "b", vectors=vectors(0.97)) == [("embedding", "drop")]
    assert found("a", "b", vectors=vectors(0.92)) == [("embedding", "review")]
    assert found("a", "b", vectors=vectors(0.85)) == []
    strict = LeakLimits(review_cosine=0.8, drop_cosine=0.84)
    assert found("a", "b", vectors=vectors(0.85), limits=strict) == [("embedding", "drop")]


def test_every_copy_of_a_case_is_listed_not_only_the_nearest():
    encoder = HashingEncoder()
    rows = [Item(input=f"{LONG} {'!' * i}") for i in range(30)]
    vectors = encode(encoder, [r.input for r in rows]), encode(encoder, [LONG])
    assert rows_to_drop(find_leaks(rows, [Item(input=LONG)], vectors=vectors)) == tuple(range(30))


def test_each_pair_is_listed_once_with_the_surest_kind():
    encoder = HashingEncoder()
    vectors = encode(encoder, [LONG]), encode(encoder, [LONG])
    leaks = find_leaks([Item(input=LONG)], [Item(input=LONG)], vectors=vectors)
    assert [(x.row, x.case, x.kind) for x in leaks] == [(0, 0, "exact")]


def test_text_without_spaces_is_matched_character_by_character():
    case = "自転車のタイヤがパンクしたときは最寄りの店に預けることができます"
    assert found(f"質問です。{case}か?", case) == [("ngram", "drop")]


@pytest.mark.parametrize(
    ("rows", "cases"), [([], ["a"]), (["a"], []), ([], []), (["", " "], ["", " "])]
)
def test_nothing_leaks_into_nothing(rows, cases):
    encoder = HashingEncoder()
    vectors = encode(encoder, rows), encode(encoder, cases)
    assert (
        find_leaks([Item(input=r) for r in rows], [Item(input=c) for c in cases], vectors=vectors)
        == ()
    )


def test_rows_of_a_hundred_thousand_characters_are_searched():
    long = "word " * 20_000
    assert found(f"{long} {LONG}", LONG) == [("ngram", "drop")]
    assert found(long, LONG) == []


def test_pass_rates_with_and_without_the_suspected_cases():
    passed = {f"c{i}": float(i < 60) for i in range(100)}
    every, clean = rates_without(passed, {f"c{i}" for i in range(40)})
    assert (every.value, every.n) == (0.6, 100)
    assert (clean.value, clean.n) == (pytest.approx(1 / 3), 60)
    assert rates_without(passed, set(passed))[1].value is None


class Leaky:
    """A project whose one system passes what stands in its training rows, and half of the rest."""

    CONFIG = "suites: {toy: {champion: a, target: 0.8, decides: [right], training: train.jsonl}}\n"
    BODY = "def test_right(case, output):\n    assert output.text == case.expected_output\n"

    def __init__(self, project, monkeypatch, *, leaked, missed):
        monkeypatch.setattr(systems.late_encoder, "load_encoder", lambda *_: HashingEncoder())
        topics = Topics()
        self.project = project
        answers = {f"c{i}": "no" if i in missed else "yes" for i in range(200)}
        project.suite(self.BODY, systems={"a": answers}, extra=self.CONFIG)
        texts = [topics.text(i % 8) for i in range(200)]
        rows = [
            {"id": f"c{i}", "input": text, "expected_output": "yes"} for i, text in enumerate(texts)
        ]
        project.write("evals/toy.jsonl", jsonl(rows))
        rows = [{"input": topics.text(i % 8), "output": "yes"} for i in range(150)]
        rows += [{"input": texts[i], "output": "yes"} for i in leaked]
        project.write("evals/train.jsonl", jsonl(rows))

    def verdict(self):
        examined = CliRunner().invoke(rung, ["data", "toy"])
        assert examined.exit_code == 0, examined.output
        assert self.project.run("-q").ret == 0
        (verdict,) = self.project.document()["verdicts"]
        return verdict


def test_a_verdict_that_rests_on_leaked_cases_asks_to_fix_the_eval(project, monkeypatch):
    leaky = Leaky(project, monkeypatch, leaked=range(100), missed=range(100, 130))
    verdict = leaky.verdict()
    assert verdict["evidence"]["systems"][0]["outcomes"] == {"passed": 170, "n": 200}
    assert verdict["evidence"]["leakage"] == {
        "suspected": 100,
        "without": {"a": {"passed": 70, "n": 100}},
    }
    assert verdict["action"] == "fix_eval"
    assert "100 cases are suspected to have leaked into training data" in verdict["sentence"]


def test_leaked_cases_that_change_nothing_are_told_as_a_condition(project, monkeypatch):
    verdict = Leaky(project, monkeypatch, leaked=range(5), missed=range(10, 20)).verdict()
    assert verdict["action"] != "fix_eval"
    assert verdict["evidence"]["leakage"]["suspected"] == 5
    assert verdict["evidence"]["readiness"]["leaked"] == 5
    assert any("the answer stays without them" in text for text in verdict["conditions"])


def test_without_an_examination_leakage_is_not_measured(project, monkeypatch):
    leaky = Leaky(project, monkeypatch, leaked=range(100), missed=range(100, 130))
    assert leaky.project.run("-q").ret == 0
    (verdict,) = leaky.project.document()["verdicts"]
    assert "leakage" not in verdict["evidence"]
