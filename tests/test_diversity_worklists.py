"""What a person works through: rows to label as JSONL, and an audit that survives a second run."""

import csv

import numpy as np
import pytest
from diversity_sets import HashingEncoder, Topics

from harness.diversity import Options, examine
from harness.diversity.labels import Audit, read_audit
from harness.diversity.worklists import write_audit_sheet, write_label_next
from harness.errors import CaseError
from harness.training_rows import TrainingRow, load_training_rows


@pytest.fixture
def report():
    topics = Topics()
    rows = [*topics.rows(120), TrainingRow(input='lone \ud800, quoted "text"', output="label-1")]
    pool = [topics.text(i % 8) for i in range(80)]
    return examine(
        rows,
        encoder=HashingEncoder(),
        eval_suites={},
        rng=np.random.default_rng(0),
        options=Options(production=pool),
    )


def test_rows_to_label_next_are_a_training_file_without_outputs(report, tmp_path):
    path = tmp_path / "next.jsonl"
    assert write_label_next(report.to_json()["label_next"], path) == 50
    rows = load_training_rows(path)
    assert [row.input for row in rows] == [row.text for row in report.reach.next_rows]
    assert {row.output for row in rows} == {None}


def test_an_audit_is_written_filled_in_and_read(report, tmp_path):
    path = tmp_path / "audit.csv"
    assert write_audit_sheet(report, path) == 50
    with path.open(newline="", encoding="utf-8") as stream:
        entries = list(csv.DictReader(stream))
    assert read_audit(path) == Audit(audited=0, wrong=())
    for place, entry in enumerate(entries):
        entry["right"] = "no" if place == 3 else ("Yes" if place < 40 else "")
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, entries[0])
        writer.writeheader()
        writer.writerows(entries)
    found = read_audit(path)
    assert found == Audit(audited=40, wrong=(int(entries[3]["row"]),))
    assert 0.10 < found.upper < 0.13


def test_an_audit_that_is_there_is_not_overwritten(report, tmp_path):
    path = tmp_path / "audit.csv"
    write_audit_sheet(report, path)
    before = path.read_bytes()
    with pytest.raises(CaseError, match="there already"):
        write_audit_sheet(report, path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("row,input\n1,x\n", "there is no column right"),
        ("row,right\n1,perhaps\n", "audit.csv:2: right: 'perhaps' is neither yes nor no"),
        ("row,right\nx,yes\n", "no row number"),
    ],
)
def test_an_audit_that_cannot_be_read_is_named(tmp_path, content, said):
    path = tmp_path / "audit.csv"
    path.write_text(content)
    with pytest.raises(CaseError) as error:
        read_audit(path)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("audited", "wrong", "upper"), [(50, 0, 0.0582), (50, 1, 0.0914), (50, 2, 0.1206)]
)
def test_the_upper_limit_is_one_sided_and_exact(audited, wrong, upper):
    # scipy.stats.binomtest(wrong, 50, alternative="less").proportion_ci(0.95, "exact").high
    assert Audit(audited=audited, wrong=tuple(range(wrong))).upper == pytest.approx(upper, abs=1e-4)
