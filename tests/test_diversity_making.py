"""New rows say where they come from, and are kept only when they pass."""

import json

import numpy as np
import pytest
from diversity_sets import HashingEncoder, Topics

from harness.diversity.changes import Change, load_changes, perturbed
from harness.diversity.leakage import Item, LeakLimits
from harness.diversity.making import (
    Document,
    distilled,
    keep,
    passages,
    requests,
    rewrite_requests,
    row_to_json,
    rows_by_template,
    rows_from_outputs,
)
from harness.diversity.provenance import origin
from harness.errors import CaseError
from harness.training_rows import TrainingRow, parse_training_row
from harness.types import Case, Output


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def output(text, **given):
    return Output(case_id="page#1", epoch=0, text=text, **given)


def test_a_document_is_cut_at_paragraphs():
    text = "\n\n".join(f"{i} " + "word " * 49 for i in range(5))
    cut = list(passages(Document(name="page", text=text), words=100))
    assert [d.name for d in cut] == ["page#1", "page#2", "page#3"]
    assert "\n\n".join(d.text for d in cut).split() == text.split()
    assert list(passages(Document(name="empty", text="\n\n \n"))) == []


def test_a_template_makes_rows_of_documents():
    made = rows_by_template(
        [Document(name="page", text="Opening hours: 9 to 5")],
        lambda d: [(f"What are the {d.text.split(':')[0].lower()}?", d.text.split(": ")[1])],
    )
    (row,) = made
    assert (row.input, row.output) == ("What are the opening hours?", "9 to 5")
    assert row.metadata["source"] == "page"
    assert origin(row.metadata) == "generated"


@pytest.mark.parametrize(
    "text",
    [
        '[{"question": "q1", "answer": "a1"}, {"question": "q2", "answer": "a2"}]',
        'Here they are:\n```json\n[{"input": "q1", "output": "a1"}, {"input": "q2", "output": "a2"}]\n```',
        '{"prompt": "q1", "completion": "a1"}\n{"prompt": "q2", "completion": "a2"}',
        "Q: q1\nA: a1\n\nQ: q2\nA: a2\n",
    ],
)
def test_a_systems_questions_and_answers_are_read_in_the_forms_they_come(text):
    rows = list(rows_from_outputs([output(text)], system="writer"))
    assert [(r.input, r.output) for r in rows] == [("q1", "a1"), ("q2", "a2")]
    assert all(r.metadata["generated_by"] == "writer" for r in rows)


@pytest.mark.parametrize(
    "bad",
    [
        output("I cannot do that."),
        output(""),
        output("[1, 2"),
        output('{"rows": 5}'),
        output('[{"question": "q"}]'),
        output('[{"question": "q", "answer": "a"}]', error="timed out"),
        output('[{"question": "q", "answer": "a"}]', refused=True),
    ],
)
def test_unreadable_and_failed_outputs_make_no_rows(bad):
    assert list(rows_from_outputs([bad], system="writer")) == []


def test_a_request_holds_the_passage():
    (case,) = requests([Document(name="page#1", text="the text")])
    assert (case.id, case.input) == ("page#1", {"document": "the text"})


def test_a_change_of_the_input_changes_the_output_with_it(rng):
    row = TrainingRow(
        input="trips over 5 km by Fahey", output='{"min": 5, "who": "Fahey", "x": 55}'
    )
    changes = [Change(old="5", new=("7", "9")), Change(old="Fahey", new=("Hurley",))]
    made = {(r.input, r.output) for r in perturbed([row], changes, rng=rng, each=9)}
    assert made == {
        ("trips over 7 km by Fahey", '{"min": 7, "who": "Fahey", "x": 55}'),
        ("trips over 9 km by Fahey", '{"min": 9, "who": "Fahey", "x": 55}'),
        ("trips over 5 km by Hurley", '{"min": 5, "who": "Hurley", "x": 55}'),
    }


def test_words_may_be_called_something_else_in_the_output(rng):
    row = TrainingRow(input="list the bikes", output='{"pull": "bikes"}')
    change = Change(old="bikes", new=("customers",), outputs={"customers": "riders"})
    (made,) = perturbed([row], [change], rng=rng)
    assert (made.input, made.output) == ("list the customers", '{"pull": "riders"}')
    assert made.metadata["rewritten_from"] == "list the bikes"


def test_a_row_whose_output_does_not_follow_is_left_alone(rng):
    rows = [
        TrainingRow(input="trips over 5 km", output="label-1"),
        TrainingRow(input="5", output=None),
    ]
    assert list(perturbed(rows, [Change(old="5", new=("7",))], rng=rng)) == []


def test_a_change_into_itself_is_refused():
    with pytest.raises(ValueError, match="another word than 'a'"):
        Change(old="a", new=("a",))


def test_only_rows_that_pass_everything_are_kept():
    topics = Topics()
    fresh = [TrainingRow(input=topics.text(i % 8), output="ok") for i in range(6)]
    case, there = topics.text(0), TrainingRow(input=topics.text(1), output="ok")
    candidates = [
        *fresh,
        TrainingRow(input=fresh[2].input.upper(), output="ok"),
        TrainingRow(input=there.input + "!", output="ok"),
        TrainingRow(input=case, output="ok"),
        TrainingRow(input=topics.text(2), output=""),
        TrainingRow(input=topics.text(3), output="swears"),
    ]
    made = keep(
        candidates,
        existing=[there],
        cases=[Item(input=case)],
        encoder=HashingEncoder(),
        predicates=[lambda row: "it swears" if row.output == "swears" else None],
    )
    assert made.kept == tuple(fresh)
    assert [refused.reason for refused in made.refused] == [
        "a near-duplicate",
        "a near-duplicate",
        "may hold an eval case (exact)",
        "no input or no output",
        "it swears",
    ]


def test_nothing_is_kept_of_nothing():
    made = keep([], existing=[], cases=[], encoder=HashingEncoder())
    assert (made.kept, made.refused) == ((), ())


def test_a_near_input_with_another_answer_is_kept_and_a_contradiction_is_not():
    there = TrainingRow(input="trips over 5 km in June by Fahey", output='{"min": 5}')
    candidates = [
        TrainingRow(input="trips over 7 km in June by Fahey", output='{"min": 7}'),
        TrainingRow(input="Trips over 7 km in June by Fahey!", output='{"min":7}'),
        TrainingRow(input="trips over 5 km in June by Fahey.", output='{"min": 9}'),
    ]
    made = keep(
        candidates,
        existing=[there],
        cases=[],
        encoder=HashingEncoder(),
        limits=LeakLimits(drop_cosine=0.6),
    )
    assert made.kept == (candidates[0],)
    assert [r.reason for r in made.refused] == [
        "a near-duplicate",
        "a contradiction of another row",
    ]


def test_outputs_of_a_stronger_system_become_rows():
    cases = [Case(id=str(i), input=f"question {i}", metadata={"group": "g"}) for i in range(3)]
    outputs = [
        Output(case_id="0", epoch=0, text=" 4\n"),
        Output(case_id="1", epoch=0, text="4", refused=True),
        Output(case_id="2", epoch=0, text="4", error="cut off"),
        Output(case_id="9", epoch=0, text="4"),
    ]
    (row,) = distilled(cases, outputs, system="bigger")
    assert (row.input, row.output) == ("question 0", "4")
    assert row.metadata == {
        "group": "g",
        "origin": "generated",
        "generated_by": "bigger",
        "source": "0",
    }


def test_a_rewritten_row_keeps_what_is_known_of_the_old_one():
    rows = [TrainingRow(input="q", output="a", metadata={"group": "g"}, file="t.jsonl", line=3)]
    (request,) = rewrite_requests(rows)
    assert request.input == {"input": "q", "output": "a"}
    written = Output(case_id=request.id, epoch=0, text="Q: p\nA: b")
    (made,) = rows_from_outputs([written], system="writer", rewritten=[request])
    assert (made.input, made.output) == ("p", "b")
    assert made.metadata["group"] == "g"
    assert made.metadata["rewritten_from"] == "t.jsonl:3"


def test_changes_are_read_from_a_csv(tmp_path):
    path = tmp_path / "changes.csv"
    path.write_text("old,new,old_output,new_output\n5,7,,\n5,9,,\nbikes,customers,bikes,riders\n")
    assert load_changes(path) == (
        Change(old="5", new=("7", "9"), outputs={}),
        Change(old="bikes", new=("customers",), outputs={"bikes": "bikes", "customers": "riders"}),
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("old,nwe\n1,2\n", "Did you mean 'new'?"),
        ("old\n1\n", "there is no column new"),
        ("old,new\n5,5\n", "changes.csv:2: a change needs two different words"),
    ],
)
def test_changes_that_cannot_be_read_are_named(tmp_path, content, said):
    path = tmp_path / "changes.csv"
    path.write_text(content)
    with pytest.raises(CaseError) as error:
        load_changes(path)
    assert said in str(error.value)


def test_made_rows_are_read_back():
    row = TrainingRow(input="q", output="a", metadata={"origin": "generated"})
    assert parse_training_row(json.loads(json.dumps(row_to_json(row)))) == row
