"""What is written in parts and read column by column is the same as what is held whole."""

from __future__ import annotations

import pytest
from sample_project import SampleProject

from harness.report import write_pages
from harness.report.columns import OnDisk, read_columns
from harness.store import TABLES, read_table, write_table

BODY = (
    "def test_right(case, output):\n    assert output.text == case.expected_output\n"
    "def test_length(case, output, score):\n    score(len(output.text))\n"
)


def test_a_table_in_parts_reads_as_one(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"text": ["a", None, "é\U0001f600", "", "e"], "epoch": [0, 1, None, 3, 4]}
    write_table(tmp_path, "whole", columns)
    monkeypatch.setattr("harness.store.PART_ROWS", 2)
    write_table(tmp_path, "sliced", columns)
    write_table(
        tmp_path, "given", ({k: v[i : i + 1] for k, v in columns.items()} for i in range(5))
    )
    whole = read_table(tmp_path, "whole")
    assert read_table(tmp_path, "sliced") == whole
    assert read_table(tmp_path, "given") == whole


def test_a_page_from_tables_on_disk_is_the_page_from_tables_in_memory(
    project: SampleProject, answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.suite(BODY, systems={"a": answers(1, 2, cases=30), "b": answers(7, cases=30)})
    assert project.run().ret == 0
    folder = project.latest
    whole = (folder / "report.html").read_text("utf-8")
    tables = {name: read_table(folder, name) for name in TABLES}
    monkeypatch.setattr("harness.store.PART_ROWS", 7)
    monkeypatch.setattr("harness.report.columns.HELD_ROWS", 10)
    for name, rows in tables.items():
        write_table(folder, name, {key: [row[key] for row in rows] for key in rows[0]})
    columns = read_columns(folder, "scores")
    assert columns is not None
    assert isinstance(columns._table, OnDisk)
    write_pages(folder)
    assert (folder / "report.html").read_text("utf-8") == whole
