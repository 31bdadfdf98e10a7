"""CSV files that people fill in: what is read of them, and what is said of a bad one."""

import csv
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import CaseError
from harness.sheets import read_sheet

# What csv.writer writes and csv.reader gives back: a lone "\r" or NUL is none of it.
CELLS = st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), max_size=9)


def read(path, **options):
    return list(read_sheet(path, needed=("row", "right"), **options))


@pytest.fixture
def sheet(tmp_path):
    """Write a sheet and return its place."""

    def write(content):
        path = tmp_path / "a.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_rows_come_with_their_lines_and_empty_ones_not_at_all(sheet):
    path = sheet('row,right,note\r\n1,yes\r\n,,\r\n\r\n2,no,"two\nlines"\r\n3,no,,more,cells\r\n')
    assert read(path) == [
        (2, {"row": "1", "right": "yes", "note": ""}),
        (6, {"row": "2", "right": "no", "note": "two\nlines"}),
        (7, {"row": "3", "right": "no", "note": ""}),
    ]


def test_columns_without_a_name_are_no_doubles(sheet):
    assert read(sheet("row,right,,\n1,no,,\n"))[0][1]["row"] == "1"


def test_the_mark_that_spreadsheets_put_before_utf_8_is_no_part_of_a_name(sheet):
    assert read(sheet(b"\xef\xbb\xbfrow,right\n1,no\n")) == [(2, {"row": "1", "right": "no"})]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            "row,right\n1,süß\n".encode("cp1252"),
            "a.csv: not UTF-8: invalid start byte\n  Save it as",
        ),
        (
            "row,wrong\n1,2\n",
            "a.csv:1: there is no column right\n  The first line names the columns",
        ),
        ("", "a.csv:1: there is no column row, right"),
        ("row,right,row\n1,no,2\n", "a.csv:1: there are two columns 'row'"),
    ],
    ids=["another encoding", "a column", "an empty file", "a column twice"],
)
def test_a_bad_sheet_is_named_with_its_place(sheet, content, said):
    with pytest.raises(CaseError, match=re.escape(said)):
        read(sheet(content))


def test_a_sheet_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(CaseError, match="there is no such file"):
        read(tmp_path / "none.csv")


def test_a_column_that_nobody_reads_is_named_with_the_nearest(sheet):
    with pytest.raises(CaseError, match=r"unknown column 'rihgt'\n.*'right'"):
        read(sheet("row,rihgt\n1,no\n"), known=("row", "right"))


@given(rows=st.lists(st.tuples(CELLS, CELLS).filter(any), max_size=5))
def test_what_is_written_is_read(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("sheet") / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([("row", "right"), *rows])
    assert [(cells["row"], cells["right"]) for _, cells in read(path)] == rows
