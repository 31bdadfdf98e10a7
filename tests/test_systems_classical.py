"""Linear models for labels and numbers."""

import json
from pathlib import Path

import numpy as np
import pytest

import systems.classical
from harness.errors import ConfigError
from harness.types import Case, SystemSpec
from systems.classical import ClassicalSystem

BANKING = Path(__file__).resolve().parent.parent.parent / "shared/data/banking77"


@pytest.fixture
def classical(tmp_path):
    def build(rows, **options):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / "train.jsonl").write_text(text)
        spec = SystemSpec(
            name="words",
            kind="classical",
            rung="classical",
            folder=tmp_path,
            options={"training": "train.jsonl", **options},
        )
        return ClassicalSystem(spec)

    return build


def answers(system, *inputs):
    cases = [Case(id=str(i), input=value) for i, value in enumerate(inputs)]
    return [out.text for out in system.generate(cases, epoch=0)]


LABELS = [
    {"input": "my tyre is flat", "expected_output": "puncture"},
    {"input": "there is a hole in the tube", "expected_output": "puncture"},
    {"input": "the bill is too high", "expected_output": "billing"},
    {"input": "you billed me twice this month", "expected_output": "billing"},
]


SMALL = {"little": 1e-05, "middling": 2e-05, "large": 3e-05}


def test_labels_are_answered_as_they_stand_in_the_rows(classical):
    assert answers(classical(LABELS), "a flat tyre", "please check my bill") == [
        "puncture",
        "billing",
    ]


def test_rows_may_be_in_the_form_that_training_takes(classical):
    rows = [
        {
            "prompt": [{"role": "user", "content": row["input"]}],
            "completion": [{"role": "assistant", "content": row["expected_output"]}],
        }
        for row in LABELS
    ]
    assert answers(classical(rows), "a flat tyre") == ["puncture"]


def test_one_field_of_an_input_can_be_read(classical):
    rows = [{**row, "input": {"text": row["input"], "noise": "bill bill bill"}} for row in LABELS]
    assert answers(classical(rows, field="text"), {"text": "flat tyre", "noise": "bill"}) == [
        "puncture"
    ]


def test_numbers_are_answered_with_the_decimals_of_the_rows(classical):
    rows = [
        {"input": " ".join(["star"] * n), "expected_output": n / 2} for n in (1, 2, 3, 4, 5) * 4
    ]
    (answer,) = answers(classical(rows), "star star star")
    assert len(answer.partition(".")[2]) == 1
    whole = [{**row, "expected_output": round(row["expected_output"] * 2)} for row in rows]
    assert answers(classical(whole), "star")[0].isdecimal()


def test_embeddings_can_be_the_features(classical, monkeypatch):
    class Encoder:
        def encode(self, texts):
            return np.array([["bill" in text, "t" in text] for text in texts], dtype=np.float32)

    monkeypatch.setattr(systems.classical, "load_encoder", lambda name, folder: Encoder())
    assert answers(classical(LABELS, features="embeddings"), "billing") == ["billing"]


@pytest.mark.parametrize(
    ("rows", "options", "complaint"),
    [
        (LABELS[:1], {}, "one label only"),
        (LABELS, {"estimator": "ridge"}, "the rows hold 'puncture'"),
        ([], {}, "has no rows"),
        ([{"input": "x"}], {}, "expected `input` and `expected_output`"),
    ],
)
def test_rows_that_cannot_be_learnt_from_are_told(classical, rows, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        answers(classical(rows, **options), "x")


@pytest.mark.parametrize(
    ("rows", "options", "complaint"),
    [
        (LABELS[:1], {}, "train.jsonl: systems.words.training: the rows have one label only"),
        (
            [
                {"input": "a", "expected_output": 1.5},
                {"input": "b", "expected_output": float("nan")},
            ],
            {},
            "train.jsonl:2: systems.words.training: nan is no number to learn",
        ),
        (
            [{"input": "a", "expected_output": 1}, {"input": "b", "expected_output": float("inf")}],
            {"estimator": "ridge"},
            "train.jsonl:2: systems.words.training: inf is no number",
        ),
        (
            [{**row, "input": "?!"} for row in LABELS],
            {},
            "train.jsonl: systems.words.training: no input has a word in it",
        ),
        (
            [*LABELS, {"input": 5, "expected_output": "billing"}],
            {},
            "train.jsonl:5: systems.words.training: 5 is no input",
        ),
    ],
    ids=["one label", "nan", "infinite", "no words", "no text"],
)
def test_what_cannot_be_learnt_is_refused_before_anything_runs(classical, rows, options, complaint):
    with pytest.raises(ConfigError, match=complaint):
        classical(rows, **options).check()


def test_numbers_of_one_value_can_be_learnt(classical):
    rows = [{"input": text, "expected_output": 3} for text in ("one", "two")]
    assert answers(classical(rows), "three") == ["3"]


def test_small_numbers_are_answered_with_all_their_decimals(classical):
    rows = [{"input": f"{word} thing", "expected_output": n} for word, n in SMALL.items()]
    found = answers(classical(rows, regularization=1e-6), *(row["input"] for row in rows))
    assert found == ["0.00001", "0.00002", "0.00003"]


def test_an_input_without_the_field_that_is_read_is_told(classical):
    rows = [{**row, "input": {"text": row["input"]}} for row in LABELS]
    system = classical(rows, field="text")
    cases = [Case(id="right", input={"text": "flat tyre"}), Case(id="wrong", input={"txet": "?"})]
    outputs = {out.case_id: out for out in system.generate(cases, epoch=0)}
    assert (outputs["right"].text, outputs["right"].error) == ("puncture", None)
    assert (
        outputs["wrong"].error == "the input has no field 'text'. Did you mean 'txet'? Known: txet."
    )
    with pytest.raises(ConfigError, match=r"no field 'txet'\. Did you mean 'text'\?") as caught:
        classical(rows, field="txet").check()
    assert caught.value.line == 1


def test_it_does_what_a_linear_model_does_on_real_intents(classical):
    if not (BANKING / "train.jsonl").is_file():
        pytest.skip("the shared data are not there: data/banking77")
    rows = [json.loads(line) for line in (BANKING / "train.jsonl").read_text().splitlines()]
    test = [json.loads(line) for line in (BANKING / "test.jsonl").read_text().splitlines()]
    label = "expected_output" if "expected_output" in rows[0] else "label"
    asked = "input" if "input" in rows[0] else "text"
    kept = sorted({row[label] for row in rows})[:8]
    train = [{"input": r[asked], "expected_output": r[label]} for r in rows if r[label] in kept]
    cases = [row for row in test if row[label] in kept]
    found = answers(classical(train), *(row[asked] for row in cases))
    right = sum(answer == row[label] for answer, row in zip(found, cases, strict=True))
    assert right / len(cases) > 0.93
