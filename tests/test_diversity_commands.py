"""`rung data` and `rung data make` from outside, on a small project of invented words."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace

import pytest
from click.testing import CliRunner
from diversity_sets import HashingEncoder, Planted, Topics
from sample_project import jsonl
from systems_models import chat_model

import systems.late_encoder
from harness.cli import rung
from harness.config import load_project
from harness.errors import RungError
from harness.training_check import TrainingCheck
from harness.training_rows import load_training_rows
from harness.types import Case

SUITE = """import pytest

pytestmark = pytest.mark.suite(cases="routing.jsonl", systems=["desk"])


def test_right_label(case, output):
    assert output.text == case.expected_output


def test_known_label(output):
    assert output.text.startswith("label-"), f"'{output.text}' is no label"
"""
CONFIG = """models: {hosted: {openai: m, base_url: "http://127.0.0.1:9/v1"}}
systems:
  desk: {kind: python, callable: "desk:answer", rung: prompt, code: [desk.py]}
  writer: {kind: python, callable: "desk:write", rung: prompt, code: [desk.py]}
  shown: {kind: prompt, model: hosted, prompt: p.j2, examples: {path: shown.jsonl, k: 1}}
suites:
  routing: {champion: desk, target: 0.5, decides: [right_label], training: train.jsonl}
"""
DESK = """import json


def answer(text):
    return "label-9" if "bad" in text else "label-1"


def write(page):
    if "document" in page:
        return json.dumps([{"question": f"ask {page['document']}", "answer": "label-2"},
                           {"question": f"what of {page['document']}", "answer": "nothing"}])
    return f"Q: {page['input']} once more with other words\\nA: {page['output']}"
"""


class Company:
    """A project in a folder, and the command line in it."""

    def __init__(self, folder):
        self.topics = Topics()
        self.evals = folder / "evals"
        self.evals.mkdir()
        self.cases = [
            Case(
                id=f"c{i}", input=self.topics.text(i % 8), expected_output=self.topics.labels[i % 8]
            )
            for i in range(160)
        ]
        self.write("routing.jsonl", [
            {"id": c.id, "input": c.input, "expected_output": c.expected_output} for c in self.cases
        ])  # fmt: skip
        self.write("shown.jsonl", [{"input": self.topics.text(0), "output": "label-0"}])
        (self.evals / "test_routing.py").write_text(SUITE)
        (self.evals / "rung.yaml").write_text(CONFIG)
        (self.evals / "desk.py").write_text(DESK)

    def write(self, name, rows):
        (self.evals / name).write_text(jsonl(rows))
        return self.evals / name

    def train(self, rows, name="train.jsonl"):
        return self.write(name, [
            {"input": r.input, "output": r.output, "metadata": dict(r.metadata)} for r in rows
        ])  # fmt: skip

    def rung(self, *arguments):
        result = CliRunner().invoke(rung, [str(a) for a in arguments], catch_exceptions=True)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.stdout

    def report(self, *arguments):
        return json.loads(self.rung("data", *arguments, "--json"))


@pytest.fixture
def company(tmp_path, monkeypatch):
    monkeypatch.setattr(systems.late_encoder, "load_encoder", lambda *_: HashingEncoder())
    monkeypatch.chdir(tmp_path)
    made = Company(tmp_path)
    made.train(made.topics.rows(240))
    yield made
    sys.modules.pop("desk", None)  # each company has its own


def audit(company, *wrong):
    """Fill in the audit sheet as a person would."""
    path = company.evals / "routing.audit.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        entries = list(csv.DictReader(stream))
    for place, entry in enumerate(entries):
        entry["right"] = "no" if place in wrong else "yes"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, entries[0])
        writer.writeheader()
        writer.writerows(entries)
    return entries


def test_every_plant_is_found_from_the_command_line_and_nothing_else_is(company):
    planted = Planted(company.topics, company.cases)
    company.train(planted.rows)
    report = company.report("routing")
    assert {leak["row"] for leak in report["leaks"]} == planted.leaked
    assert report["near_duplicates"] == len(planted.copies)
    assert {suspect["row"] for suspect in report["suspect_labels"]} == planted.wrong
    found = {f["kind"] for f in report["findings"] if f["severity"] != "notes"}
    assert found == {"leaked", "near_duplicates", "suspect_labels", "audit"}
    assert not report["ready"]
    marks = [p["mark"] for p in report["map"] if p["kind"] == "row"]
    assert marks.count("leaked") == len(planted.leaked)
    assert marks.count("duplicate") == len(planted.copies)


def test_a_person_who_audits_the_sheet_makes_a_clean_set_ready(company):
    assert company.report("routing")["reasons"] == [
        "0 of 50 rows of a random sample were checked by a person"
    ]
    assert len(audit(company)) == 50
    report = company.report("routing")
    assert report["ready"]
    assert report["audit"] == {"audited": 50, "wrong": [], "upper": pytest.approx(0.0582, abs=1e-4)}
    assert "label audit" not in company.rung("data", "routing")


def test_an_audit_that_found_errors_counts_until_another_is_made(company):
    company.report("routing")
    entries = audit(company, 0, 1, 2, 3)
    assert "up to 17% of all may be" in company.report("routing")["reasons"][0]
    rows = company.topics.rows(0)
    rows = list(load_training_rows(company.evals / "train.jsonl"))
    corrected = [r for n, r in enumerate(rows) if str(n) not in {e["row"] for e in entries[:4]}]
    company.train(corrected)
    assert not company.report("routing")["ready"]
    (company.evals / "routing.audit.csv").unlink()
    company.report("routing")
    audit(company)
    assert company.report("routing")["ready"]


@pytest.mark.parametrize("content", [b"", b'{"ready', b"[1]", b"\xff"])
def test_what_was_found_and_cannot_be_read_was_never_found(company, tmp_path, content):
    company.rung("data", "routing")
    check = TrainingCheck(load_project(company.evals / "rung.yaml"))
    asked = company.evals / "train.jsonl", {"routing": company.cases}
    assert check.find(*asked, suite="routing")["suite"] == "routing"
    (memo,) = (tmp_path / ".rung/data/reports").iterdir()
    memo.write_bytes(content)
    assert check.find(*asked, suite="routing") is None


def test_rows_tell_their_place_from_the_projects_folder_on(company):
    company.train([*company.topics.rows(120), company.topics.rows(1)[0]])
    company.train(Planted(company.topics, company.cases, n=200).rows)
    assert {leak["place"].partition(":")[0] for leak in company.report("routing")["leaks"]} == {
        "evals/train.jsonl"
    }


def test_examples_that_hold_a_case_are_told(company):
    company.write("shown.jsonl", [{"input": company.cases[3].input, "output": "label-3"}])
    report = company.report("routing")
    (finding,) = (f for f in report["findings"] if f["kind"] == "leaked_examples")
    assert finding["message"] == "1 case of routing stand in the examples of shown"
    assert report["suspected_cases"] == [{"suite": "routing", "case": "c3"}]


def test_a_question_bank_that_holds_a_case_is_told(company):
    company.write("bank.jsonl", [{"id": "q1", "text": company.cases[5].input}])
    bank = "systems:\n  bank: {kind: rag, model: hosted, prompt: p.j2, corpus: bank.jsonl, retriever: {bm25: {k: 1}}}"
    (company.evals / "rung.yaml").write_text(CONFIG.replace("systems:", bank, 1))
    report = company.report("routing")
    (leak,) = report["other_leaks"]["corpus of bank"]
    assert (leak["case"], leak["kind"]) == ("c5", "exact")
    assert "corpus of bank, row 1" in company.rung("data", "routing")


def test_rows_and_queries_that_differ_are_shown(company):
    other = Topics(seed=9)
    company.train([replace(row, input=other.text(i % 8)) for i, row in enumerate(other.rows(200))])
    report = company.report("routing")
    assert report["drift"]["auc"] > 0.9
    assert len(report["drift"]["rows"]) == len(report["drift"]["queries"]) == 10
    assert "queries unlike any row" in company.rung("data", "routing")


def test_labels_of_the_suite_that_no_row_teaches_are_named(company):
    company.train([row for row in company.topics.rows(240) if row.output != "label-7"])
    (finding,) = (f for f in company.report("routing")["findings"] if f["kind"] == "vocabulary")
    assert finding["severity"] == "blocks"
    assert "label label-7 (0)" in finding["message"]


def test_what_to_label_next_comes_from_the_pool_as_a_training_file(company):
    company.train([row for row in company.topics.rows(240) if row.output != "label-7"])
    pool = [{"input": company.topics.text(i % 8)} for i in range(80)]
    company.write("pool.jsonl", pool)
    company.rung("data", "routing", "--pool", "evals/pool.jsonl", "--next", "next.jsonl")
    rows = load_training_rows(company.evals.parent / "next.jsonl")
    assert 0 < len(rows) <= 50
    assert {row.output for row in rows} == {None}
    assert {row.input for row in rows} <= {row["input"] for row in pool}
    hole = {row["input"] for i, row in enumerate(pool) if i % 8 == 7}
    assert rows[0].input in hole
    assert sum(row.input in hole for row in rows[:10]) >= 5  # an eighth of the pool


def test_production_queries_named_in_rung_yaml_are_what_rows_should_cover(company):
    company.write("queries.jsonl", [{"input": company.topics.text(2)} for _ in range(60)])
    config = company.evals / "rung.yaml"
    config.write_text(CONFIG.replace("training:", "production: queries.jsonl, training:"))
    report = company.report("routing")
    assert sum(kind["queries"] for kind in report["query_clusters"]) == 60
    assert not any("coverage of production" in text for text in report["not_measured"])


def test_a_threshold_is_calibrated_on_labelled_pairs(company):
    words = [company.topics.text(i % 8) for i in range(120)]
    lines = [("one", "other", "duplicate", "style")]
    lines += [(t, t.upper() + "!", "yes", "shouts (constructed)") for t in words[:60]]
    lines += [(words[i], words[i + 8], "no", "plain (constructed)") for i in range(60)]
    with (company.evals / "pairs.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)
    text = company.rung("data", "--calibrate", "evals/pairs.csv")
    assert "all: 120 pairs, 60 of them the same" in text
    assert "precision 100% (94% to 100%)" in text
    assert "data: {duplicate_cosine: 0." in text
    found = json.loads(company.rung("data", "--calibrate", "evals/pairs.csv", "--json"))
    assert [one["style"] for one in found] == ["all", "plain (constructed)", "shouts (constructed)"]
    assert found[0]["now"]["threshold"] == 0.95


def test_a_calibrated_threshold_in_rung_yaml_is_used(company):
    (company.evals / "rung.yaml").write_text(CONFIG + "data: {duplicate_cosine: 0.3}\n")
    assert company.report("routing")["near_duplicates"] > 100


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data", "rutting"], "Did you mean 'routing'?"),
        (["data", "--calibrate", "none.csv"], "there is no such file"),
        (["data", "routing", "--model", "base"], "no system has a model 'base'"),
        (["data", "routing", "--model", "hosted"], "'hosted' is no model of this machine"),
        (["data", "make", "rutting", "--rewrite"], "Did you mean 'routing'?"),
        (["data", "make", "routing"], "--documents PLACE, --rewrite or --inputs FILE"),
        (["data", "make", "routing", "--rewrite"], "--system NAME, or --changes FILE"),
        (["data", "make", "routing", "--rewrite", "--system", "wrter"], "Did you mean 'writer'?"),
        (["data", "make", "routing", "--inputs", "x.jsonl"], "--system NAME"),
        (["data", "make", "routing", "--documents", "x", "--system", "writer"], "no such file"),
    ],
)
def test_mistakes_are_told_with_what_to_do(company, arguments, said):
    with pytest.raises(RungError) as error:
        company.rung(*arguments)
    assert said in str(error.value)


def test_a_system_turns_documents_into_rows_and_the_suites_assertions_choose(company):
    pages = company.evals.parent / "pages"
    pages.mkdir()
    for i in range(4):
        (pages / f"p{i}.md").write_text(company.topics.text(2))
    text = company.rung(
        "data", "make", "routing", "--documents", "pages", "--system", "writer",
        "--refused", "refused.jsonl",
    )  # fmt: skip
    assert "4 asked for, 8 rows made" in text
    assert "kept 4" in text
    assert "refused 4: known_label: 'nothing' is no label" in text
    rows = load_training_rows(company.evals / "train.made.jsonl")
    assert {row.output for row in rows} == {"label-2"}
    assert {row.metadata["source"] for row in rows} == {f"p{i}.md#1" for i in range(4)}
    assert {row.metadata["generated_by"] for row in rows} == {"writer"}
    refused = load_training_rows(company.evals.parent / "refused.jsonl")
    assert {row.output for row in refused} == {"nothing"}
    assert {row.metadata["refused"] for row in refused} == {"known_label: 'nothing' is no label"}
    with pytest.raises(RungError, match="there already"):
        company.rung("data", "make", "routing", "--documents", "pages", "--system", "writer")


def test_a_template_turns_documents_into_rows_without_a_system(company):
    (company.evals / "page.txt").write_text(company.topics.text(3))
    (company.evals / "ask.j2").write_text("Q: {{ document }}\nA: label-3\n")
    numbers = json.loads(company.rung(
        "data", "make", "routing", "--documents", "evals/page.txt", "--template", "evals/ask.j2",
        "--json",
    ))  # fmt: skip
    assert (numbers["made"], numbers["kept"], numbers["unchecked"]) == (1, 1, [])
    (row,) = load_training_rows(company.evals / "train.made.jsonl")
    assert row.metadata["generated_by"] == "ask.j2"


def test_rows_are_rewritten_by_rule_with_the_output_changed_in_accordance(company):
    words = company.topics.own
    company.train(
        [
            *company.topics.rows(80),
            *(
                type(company.topics.rows(1)[0])(
                    input=f"{words[0][i]} of kind label-1", output="label-1"
                )
                for i in range(6)
            ),
        ]
    )
    (company.evals / "changes.csv").write_text("old,new\nlabel-1,label-6\n")
    numbers = json.loads(company.rung(
        "data", "make", "routing", "--rewrite", "--changes", "evals/changes.csv", "--json",
    ))  # fmt: skip
    assert numbers["kept"] == 6
    for row in load_training_rows(company.evals / "train.made.jsonl"):
        assert "label-6" in row.input
        assert row.output == "label-6"
        assert row.metadata["rewritten_from"].startswith("evals/train.jsonl:")


def test_rows_are_rewritten_by_a_system(company):
    numbers = json.loads(company.rung(
        "data", "make", "routing", "--rewrite", "--system", "writer", "--limit", 5, "--json",
    ))  # fmt: skip
    assert numbers["asked"] == numbers["made"] == 5
    assert numbers["kept"] + sum(numbers["refused"].values()) == 5


def test_a_stronger_systems_outputs_that_pass_become_rows(company):
    inputs = [{"input": company.topics.text(1)} for _ in range(4)]
    inputs += [{"input": "bad " + company.topics.text(1), "output": "label-1"}]
    inputs += [{"input": company.cases[0].input}]
    company.write("inputs.jsonl", inputs)
    numbers = json.loads(company.rung(
        "data", "make", "routing", "--inputs", "evals/inputs.jsonl", "--system", "desk", "--json",
    ))  # fmt: skip
    assert numbers["kept"] == 4
    assert numbers["refused"] == {"right_label": 1, "may hold an eval case (exact)": 1}
    assert numbers["unchecked"] == ["right_label"]
    rows = load_training_rows(company.evals / "train.made.jsonl")
    assert {row.output for row in rows} == {"label-1"}
    assert {row.metadata["generated_by"] for row in rows} == {"desk"}


def test_rows_that_the_champions_model_cannot_read_whole_are_named(company):
    model = f"models: {{base: {{transformers: {chat_model()}, context_length: 40}}}}\n"
    config = (
        CONFIG.partition("\n")[2].replace("hosted", "base").replace("desk, target", "shown, target")
    )
    (company.evals / "rung.yaml").write_text(model + config)
    (company.evals / "p.j2").write_text("{{ input }}")
    suite = company.evals / "test_routing.py"
    suite.write_text(SUITE.replace('["desk"]', '["shown"]'))
    rows = company.topics.rows(200)
    company.train([*rows[:-4], *(replace(row, input=row.input * 9) for row in rows[-4:])])
    report = company.report("routing")
    assert set(range(196, 200)) <= set(report["truncated"])
    assert report["lengths"]["inputs"]["unit"] == "tokens"
    assert company.report("routing", "--window", "5000")["truncated"] == []
