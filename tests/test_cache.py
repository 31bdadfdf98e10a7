"""The cache gives back what was put, is shared, and never gives a wrong answer when damaged."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cache import Cache
from harness.errors import StoreError
from harness.records import dumps, output_from_json, output_to_json
from harness.types import Output, Passage, Step, ToolCall, Usage

TEXT = st.text(st.characters(exclude_categories=[]), max_size=40)  # lone surrogates too
OUTPUTS = st.builds(
    Output,
    case_id=TEXT,
    epoch=st.integers(0, 9),
    text=TEXT,
    tool_calls=st.tuples(st.builds(ToolCall, name=TEXT, arguments=st.dictionaries(TEXT, TEXT))),
    passages=st.tuples(st.builds(Passage, id=TEXT, text=st.none() | TEXT, rank=st.integers(1, 9))),
    steps=st.tuples(st.builds(Step, name=TEXT, prompt=TEXT)),
    usage=st.none()
    | st.builds(Usage, prompt_tokens=st.integers(0, 99), completion_tokens=st.integers(0, 99)),
    latency_s=st.none() | st.floats(0, 9),
    attempts=st.integers(1, 5),
    refused=st.booleans(),
    prompt=st.none() | TEXT,
    error=st.none() | TEXT,
)


@given(output=OUTPUTS)
def test_an_output_survives_its_plain_form(output: Output) -> None:
    import json

    assert output_from_json(json.loads(dumps(output_to_json(output)))) == output


def put(path: Path, text: str = "answer") -> None:
    with closing(Cache(path)) as cache:
        cache.put("f", "h", Output(case_id="c", epoch=0, text=text))


def test_what_was_put_is_there_for_another_run(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    with closing(Cache(path)) as first, closing(Cache(path)) as second:
        first.put("f", "h", Output(case_id="c", epoch=0, text="answer"))
        assert second.get("f", [("h", 0)])["h", 0].text == "answer"
        assert second.get("other", [("h", 0)]) == {}
        assert second.has_all("f", [("h", 0)])
        assert not second.has_all("f", [("h", 0), ("h", 1)])


def test_a_flipped_bit_is_an_absent_answer(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    put(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE outputs SET body = replace(body, 'answer', 'answeR')")
    with closing(Cache(path)) as cache:
        assert cache.get("f", [("h", 0)]) == {}
        assert cache.damaged == 1


@pytest.mark.parametrize("cut", [100, 4096, 5000])
def test_a_truncated_file_says_what_to_do(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "c.db"
    put(path, "x" * 20_000)
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    with pytest.raises(StoreError, match="Delete it"), closing(Cache(path)) as cache:
        cache.get("f", [("h", 0)])


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    put(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(StoreError, match="version 99"):
        Cache(path)


def test_a_file_that_is_no_database_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    path.write_bytes(b"not a database, but long enough to be taken for one" * 50)
    with pytest.raises(StoreError, match="Delete it"):
        Cache(path)


def test_a_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="writable"):
        Cache(tmp_path / "file" / "c.db")
