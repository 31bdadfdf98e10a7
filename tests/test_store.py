"""Stored runs are whole or not there, found by name, and read back whatever their age."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import StoreError
from harness.records import LARGEST
from harness.store import RunStore, read_document, read_table, write_document, write_table

COLUMNS = {
    "text": ["a", None, "é\U0001f600", ""],
    "epoch": [0, 1, None, 3],
    "value": [0.5, None, 1.0, -2.5],
    "cached": [True, False, None, True],
}


def stored(store: RunStore, name: str) -> Path:
    with store.writing(name) as folder:
        write_document(folder, {"schema_version": 1, "run_id": name})
    return store.reports / name


def test_a_table_reads_back_as_it_was_written(tmp_path: Path) -> None:
    write_table(tmp_path, "scores", COLUMNS)
    rows = read_table(tmp_path, "scores")
    assert {name: [row[name] for row in rows] for name in COLUMNS} == COLUMNS


def test_the_largest_number_of_an_output_has_room_in_its_column(tmp_path: Path) -> None:
    names = ("attempts", "prompt_tokens", "completion_tokens", "latency_s")
    write_table(tmp_path, "outputs", {name: [LARGEST] for name in names})
    assert read_table(tmp_path, "outputs") == [dict.fromkeys(names, LARGEST)]


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    write_table(tmp_path, "scores", {name: [] for name in COLUMNS})
    assert read_table(tmp_path, "scores") == []


def test_a_run_that_breaks_off_is_not_there(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    with pytest.raises(RuntimeError), store.writing("r1") as folder:
        write_document(folder, {"schema_version": 1})
        raise RuntimeError("killed")
    assert store.run_ids() == []
    assert list(tmp_path.iterdir()) == []


def test_runs_are_found_by_id_beginning_latest_and_path(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    one, two = stored(store, "20260101-a"), stored(store, "20260202-b")
    store.point_latest("20260202-b")
    assert store.find("20260101-a") == one.resolve()
    assert store.find("202602") == two
    assert store.find("latest") == two.resolve()
    assert store.find(str(one)) == one.resolve()
    store.point_latest("20260101-a")
    assert store.find("latest") == one.resolve()


@pytest.mark.parametrize(("name", "expected"), [("2026", "2 runs begin"), ("latst", "'latest'")])
def test_a_run_that_is_not_there_suggests_the_nearest(tmp_path: Path, name, expected) -> None:
    store = RunStore(tmp_path)
    stored(store, "20260101-a")
    stored(store, "20260202-b")
    store.point_latest("20260202-b")
    with pytest.raises(StoreError) as caught:
        store.find(name)
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema_version": "x"}', '{"schema_version": 99}', '{"schema_version": 1}'],
)
def test_a_damaged_or_newer_document_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(StoreError):
        read_document(tmp_path)


def test_a_number_that_is_none_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write_document(tmp_path, {"value": float("nan")})
    write_document(tmp_path, {"schema_version": 1, "value": None})
    assert json.loads((tmp_path / "run.json").read_text())["value"] is None
