"""What stands in a cases file is read as JSON has it, or refused with its place before anything runs."""

from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.cases import load_cases, own_copy
from harness.errors import CaseError
from harness.types import Case


def parquet(folder: Path, **columns: Any) -> Path:
    """Write one case as a Parquet file."""
    named = {"id": pa.array(["a"]), "input": pa.array(["x"]), **columns}
    pq.write_table(pa.table(named), folder / "cases.parquet")
    return folder / "cases.parquet"


DAY = datetime.date(2026, 1, 2)
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (pa.array([MOMENT], pa.timestamp("ns")), "2026-01-02T03:04:05"),
        (pa.array([MOMENT], pa.timestamp("us", tz="UTC")), "2026-01-02T03:04:05+00:00"),
        (pa.array([DAY]), "2026-01-02"),
        (pa.array([datetime.time(3, 4)]), "03:04:00"),
        (pa.array([Decimal("12.50")]), 12.5),
        (pa.array([Decimal("3")]), 3),
        (pa.array([{"when": DAY, "costs": [Decimal("1.5")]}]), {"when": "2026-01-02", "costs": [1.5]}),
    ],
    ids=["timestamp", "zone", "date", "time", "decimal", "whole decimal", "inside"],
)  # fmt: skip
def test_dates_and_decimals_of_parquet_are_text_and_numbers(tmp_path, value, expected) -> None:
    (case,) = load_cases(parquet(tmp_path, expected_output=value))
    assert case.expected_output == expected
    assert type(case.expected_output) is type(expected)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"k": b"x"}, "metadata.k: a value of type bytes cannot be stored"),
        ({"k": [datetime.timedelta(1)]}, "metadata.k.0: a value of type timedelta cannot be"),
        ({"k": float("nan")}, "metadata.k: nan is not a JSON value"),
    ],
    ids=["bytes", "duration", "NaN"],
)
def test_what_no_run_can_keep_is_refused_with_its_place(tmp_path, value, reason) -> None:
    with pytest.raises(CaseError, match=reason) as caught:
        load_cases(parquet(tmp_path, metadata=pa.array([value])))
    assert caught.value.line == 1


def test_two_columns_of_one_name_are_refused(tmp_path) -> None:
    file = tmp_path / "cases.parquet"
    columns = [pa.array([text]) for text in ("a", "x", "y")]
    pq.write_table(pa.Table.from_arrays(columns, names=["id", "input", "input"]), file)
    with pytest.raises(CaseError, match="input: there are two columns of this name"):
        load_cases(file)


def test_bytes_that_are_no_text_are_refused(tmp_path) -> None:
    one = pa.array(["é"]).buffers()
    file = parquet(
        tmp_path,
        input=pa.Array.from_buffers(pa.string(), 1, [None, one[1], pa.py_buffer(b"\xff\xff")]),
    )
    with pytest.raises(CaseError, match="not a parquet file"):
        load_cases(file)


@pytest.mark.parametrize("field", ["id", "input", "expected_output", "tags", "context", "metadata"])
def test_a_lone_surrogate_is_refused_wherever_it_stands(tmp_path, field) -> None:
    values = {"tags": r'["\ud800"]', "context": r'["\ud800"]', "metadata": r'{"k": ["\ud800"]}'}
    row = {"id": '"b"', "input": '"x"', field: values.get(field, r'"a\ud800"')}
    file = tmp_path / "cases.jsonl"
    written = ", ".join(f'"{name}": {value}' for name, value in row.items())
    file.write_text(f'{{"id": "a", "input": "x"}}\n{{{written}}}\n')
    with pytest.raises(CaseError, match=rf"{field}.*not valid Unicode: a lone surrogate") as caught:
        load_cases(file)
    assert caught.value.line == 2


def test_pairs_of_surrogates_are_characters(tmp_path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(r'{"id": "a", "input": "\ud83d\ude00"}')
    assert load_cases(file)[0].input == "\U0001f600"


def test_values_nested_without_end_are_refused(tmp_path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text('{"id": "a", "input": "x", "metadata": {"k": ' + "[" * 500 + "]" * 500 + "}}")
    with pytest.raises(CaseError, match="more than 200 lists and objects"):
        load_cases(file)


def test_nothing_that_is_changed_in_a_copy_is_changed_in_the_case() -> None:
    case = Case(
        id="a",
        input=[{"role": "user", "content": ["x"]}],
        expected_output={"any": ["JSON"]},
        metadata={"group": {"name": "g"}},
    )
    copy = own_copy(case)
    assert copy == case
    copy.input[0]["content"].append("y")
    copy.expected_output["any"].clear()
    copy.metadata["group"]["name"] = "h"
    assert case.input == [{"role": "user", "content": ["x"]}]
    assert case.expected_output == {"any": ["JSON"]}
    assert case.metadata == {"group": {"name": "g"}}
