"""Tests about data beside the suites: `dataset` and `outputs`, red and green like any other test."""

from __future__ import annotations

import pytest
from diversity_sets import HashingEncoder, Topics
from sample_project import SampleProject, jsonl

import systems.late_encoder

BODY = """
@pytest.mark.gate(at_least=0.5)
def test_right(case, output):
    assert output.text == case.expected_output
"""
CONFIG = "suites: {toy: {champion: a, training: train.jsonl}}\n"
MARK = "import pytest\n\npytestmark = pytest.mark.dataset('train.jsonl')\n\n\n"


class CountingEncoder(HashingEncoder):
    """Counts how often it was asked: remembered measures ask nothing."""

    calls = 0

    def encode(self, texts):
        CountingEncoder.calls += 1
        return super().encode(texts)


@pytest.fixture
def company(project: SampleProject, monkeypatch, answers) -> SampleProject:
    """A project with a suite of two systems, training rows, and an encoder without weights."""
    monkeypatch.setattr(systems.late_encoder, "load_encoder", lambda *_: CountingEncoder())
    CountingEncoder.calls = 0
    various = {f"c{i}": f"yes and {word} it is" for i, word in enumerate(WORDS)}
    project.suite(BODY, systems={"a": answers(cases=40), "b": various}, extra=CONFIG)
    topics = Topics()
    rows = [{"input": row.input, "output": row.output} for row in topics.rows(240)]
    project.write("evals/train.jsonl", jsonl(rows))
    return project


WORDS = [Topics(seed=5).text(i % 8).split()[0] + str(i) for i in range(40)]


def write_tests(project: SampleProject, body: str, *, mark: str = MARK) -> None:
    project.write("evals/test_data.py", mark + body)


def test_a_test_of_the_data_reads_like_any_other_and_its_rows_reach_the_run(company) -> None:
    write_tests(company, """
def test_is_diverse(dataset):
    assert dataset.effective_number >= 20
    assert dataset.effective_number.at_least(20) == "passed"


def test_has_no_copies(dataset):
    assert dataset.near_duplicate_rate <= 0.05


def test_holds_no_case(dataset):
    assert not dataset.leaked
""")  # fmt: skip
    assert company.run().ret == 0
    (row,) = (row for row in company.document()["diversity"] if row["suite"] == "toy")
    assert row["name"] == "train.jsonl"
    assert row["rows"] == 240
    assert row["effective_number"] > 20
    assert row["near_duplicate_rate"] == 0
    assert row["leaked"] == 0
    assert "train.jsonl" in (company.latest / "report.html").read_text("utf-8")


def test_a_set_that_is_not_diverse_is_red_and_the_number_and_its_interval_are_shown(company):
    write_tests(company, """
def test_is_diverse(dataset):
    assert dataset.effective_number >= 150
""")  # fmt: skip
    result = company.run()
    assert result.ret == 1
    result.stdout.re_match_lines([r"E +assert [\d.]+ \([\d.]+ to [\d.]+\) >= 150"])
    result.stdout.fnmatch_lines(["*where*<dataset train.jsonl: 240 rows>.effective_number*"])
    assert company.document()["gates"][0]["state"] == "passed"


def test_what_was_measured_is_remembered_until_the_rows_change(company) -> None:
    write_tests(company, """
def test_is_diverse(dataset):
    assert dataset.effective_number >= 20
    assert dataset.near_duplicate_rate <= 0.05
    assert dataset.mean_cosine < 0.5
    assert not dataset.leaked
    assert not dataset.ready
    assert any("0 of 50 rows" in reason for reason in dataset.reasons)
    assert dataset.coverage_of(["one query", "another"]) >= 0


def test_answers_vary(outputs):
    assert outputs("toy", "b").effective_number > outputs("toy", "a").effective_number
    assert not outputs("toy", "a").compared_with(outputs("toy", "b")).collapsed
""")  # fmt: skip
    assert company.run().ret == 0
    assert CountingEncoder.calls > 0
    CountingEncoder.calls = 0
    assert company.run().ret == 0
    assert CountingEncoder.calls == 0
    with (company.evals / "train.jsonl").open("a") as stream:
        stream.write('{"input": "something quite new", "output": "label-1"}\n')
    assert company.run().ret == 0
    assert CountingEncoder.calls > 0


def test_a_second_session_imports_no_encoder(company) -> None:
    write_tests(company, """
import sys


def test_is_diverse(dataset):
    assert dataset.effective_number >= 20
    assert "torch" not in sys.modules
    assert "sentence_transformers" not in sys.modules
""")  # fmt: skip
    assert company.run("evals/test_data.py").ret in (0, 1)  # this process may hold torch already
    assert company.run_outside("-p", "no:cacheprovider").ret == 0


def test_the_outputs_of_systems_are_compared_at_the_same_length(company) -> None:
    write_tests(company, """
def test_answers_vary(outputs):
    various = outputs("toy", "b")
    assert len(various) == 40
    assert various.distinct_1 > 0.2
    assert various.self_bleu < 0.9
    assert outputs("toy", "a").effective_number < 2
    found = various.compared_with(outputs("toy", "a"))
    assert found.pairs == 40
    assert not found.collapsed
""", mark="")  # fmt: skip
    assert company.run().ret == 0
    rows = {row["system"]: row for row in company.document()["diversity"]}
    assert rows["b"]["outputs"] == 40
    assert rows["b"]["self_bleu"] < 0.9
    assert "ratio to a on toy" in rows["b"]


@pytest.mark.parametrize("options", [["-n", "2"], ["--items=case"], ["--items=suite"]])
def test_workers_and_items_change_nothing(company, options) -> None:
    # Rows whose embeddings are stored need no encoder, in whichever process.
    write_tests(company, """
def test_is_diverse(dataset):
    assert dataset.effective_number >= 20


def test_answers_vary(outputs):
    assert outputs("toy", "b").distinct_1 > 0.2
""")  # fmt: skip
    assert company.run().ret == 0
    before = company.document()["diversity"]
    run = company.run_outside if "-n" in options else company.run
    assert run(*options).ret == 0
    assert company.document()["diversity"] == before


def test_cases_that_are_left_out_leave_outputs_out(company) -> None:
    write_tests(company, "def test_answers_vary(outputs):\n    outputs('toy', 'b')\n", mark="")
    company.run("--case", "c1", "-rs").stdout.fnmatch_lines(["*--case leaves outputs out*"])
    company.run("--system", "a", "-rs").stdout.fnmatch_lines(["*--system leaves b out*"])


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (
            "dataset('tran.jsonl')",
            "no file 'tran.jsonl' beside this module. Did you mean 'train.jsonl'",
        ),
        ("dataset('train.jsonl', cosine=0.9)", "unknown argument 'cosine' of the dataset mark"),
        ("dataset()", "the dataset mark names one file"),
    ],
)
def test_a_wrong_mark_ends_the_session_before_anything_runs(company, mark, said) -> None:
    write_tests(
        company,
        "def test_x(dataset):\n    pass\n",
        mark=f"import pytest\npytestmark = pytest.mark.{mark}\n",
    )
    result = company.run()
    assert result.ret == 4
    result.stdout.fnmatch_lines([f"*{said}*"])


@pytest.mark.parametrize(
    ("row", "body", "mark", "said"),
    [
        ("", "def test_x(dataset):\n    pass\n", "", "*`dataset` needs to know which rows*"),
        (
            '{"qestion": "a", "anwser": "b"}\n',
            "def test_x(dataset):\n    pass\n",
            MARK,
            "*train.jsonl:241: a row has an input and an output*",
        ),
        ("", "def test_x(outputs):\n    outputs('tyo', 'a')\n", "", "*Did you mean 'toy'?*"),
        ("", "def test_x(outputs):\n    outputs('toy', 'c')\n", "", "*no system is called 'c'*"),
    ],
)
def test_mistakes_are_told_in_a_line(company, row, body, mark, said) -> None:
    with (company.evals / "train.jsonl").open("a") as stream:
        stream.write(row)
    write_tests(company, body, mark=mark)
    result = company.run("evals/test_data.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines([said])
    assert "Traceback" not in result.stdout.str()
    assert "datasets.py" not in result.stdout.str()


def test_an_encoder_that_is_not_there_is_told_in_a_line(company, monkeypatch) -> None:
    monkeypatch.setattr(systems.late_encoder, "load_encoder", systems.load_encoder)
    config = company.evals / "rung.yaml"
    config.write_text(config.read_text() + "encoder: ./nowhere\n")
    write_tests(company, "def test_x(dataset):\n    assert dataset.effective_number > 1\n")
    result = company.run("evals/test_data.py")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["rung: evals/nowhere: encoder: *"])
    assert "During handling" not in result.stdout.str()
    assert "datasets.py" not in result.stdout.str()


def test_anothers_fixture_of_the_same_name_stays_his(company) -> None:
    write_tests(company, """import pytest


@pytest.fixture
def dataset():
    return [1]


def test_x(dataset):
    assert dataset == [1]
""", mark="")  # fmt: skip
    assert company.run("evals/test_data.py").ret == 0
