"""Whatever bytes a file holds, it is read or refused with its place. `make fuzz` looks for longer."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import systems
from harness.assertions import contains_json
from harness.cases import content_hash, load_cases
from harness.config import load_project
from harness.error_analysis import read_overrides
from harness.errors import RungError
from harness.report.page import environment
from harness.report.payload import squeeze
from harness.training_rows import load_training_rows
from harness.types import Case, SystemSpec

TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)  # lone surrogates too
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
CASE_KEYS = st.sampled_from(["id", "input", "expected_output", "context", "tags", "metadata", "x"])
CASE_ROWS = st.lists(st.dictionaries(CASE_KEYS, JSON, max_size=6), max_size=4)
YAML_KEYS = st.sampled_from(
    ["models", "systems", "suites", "decision", "encoder", "kind", "a", "&b"]
)
YAML_LINES = st.lists(
    st.tuples(st.integers(0, 3), YAML_KEYS, TEXT | st.sampled_from(["{", "[", "*b", "!!python/x"])),
    max_size=8,
)
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def lines(rows: list) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def mangled(data: st.DataObject, content: bytes) -> bytes:
    """Cut a piece out, put bytes in, or leave it."""
    at, cut = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 4))
    return content[:at] + data.draw(st.binary(max_size=4)) + content[at + cut :]


def read_or_refused(read, file: Path) -> object:
    """Return what was read; a refusal names the file."""
    refusal = ""
    try:
        return read(file)
    except RungError as error:
        refusal = str(error)
    assert file.name in refusal
    assert "Traceback" not in refusal
    return None


@quick
@given(rows=CASE_ROWS, data=st.data())
@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_any_file_of_cases_is_read_or_refused(tmp_path: Path, suffix: str, rows, data) -> None:
    file = tmp_path / f"cases{suffix}"
    file.write_bytes(mangled(data, lines(rows)) if suffix == ".jsonl" else data.draw(st.binary()))
    cases = read_or_refused(load_cases, file)
    if cases is not None:
        assert len({case.id for case in cases}) == len(cases)
        assert content_hash(cases) == content_hash(tuple(reversed(cases)))


@quick
@given(content=YAML_LINES, data=st.data())
def test_any_configuration_is_read_or_refused(tmp_path: Path, content, data) -> None:
    file = tmp_path / "rung.yaml"
    text = "".join(f"{'  ' * depth}{key}: {value}\n" for depth, key, value in content)
    file.write_bytes(mangled(data, text.encode("utf-8", "surrogatepass")))
    read_or_refused(load_project, file)


@quick
@given(
    rows=st.lists(
        st.dictionaries(
            st.sampled_from(["id", "output", "error", "usage", "tool_calls", "passages", "epoch"]),
            JSON | st.just("c"),
            max_size=5,
        ),
        max_size=4,
    ),
    data=st.data(),
)
def test_any_recorded_outputs_are_read_or_refused(tmp_path: Path, rows, data) -> None:
    file = tmp_path / "outputs.jsonl"
    file.write_bytes(mangled(data, lines(rows)))
    options = {"outputs": file.name}
    spec = SystemSpec(name="a", kind="recorded", rung="prompt", folder=tmp_path, options=options)

    def read(path: Path) -> list:
        return list(systems.load(spec).generate([Case(id="c", input="?")], epoch=0))

    outputs = read_or_refused(read, file)
    assert outputs is None or [output.case_id for output in outputs] == ["c"]


@quick
@given(rows=st.lists(JSON, max_size=4), data=st.data())
def test_any_training_rows_are_read_or_refused(tmp_path: Path, rows, data) -> None:
    file = tmp_path / "train.jsonl"
    file.write_bytes(mangled(data, lines(rows)))
    read_or_refused(load_training_rows, file)


@quick
@given(content=st.binary(max_size=80))
def test_any_table_of_causes_is_read_or_refused(tmp_path: Path, content) -> None:
    file = tmp_path / "toy.misses.csv"
    file.write_bytes(b"system,case_id,metric,category\n" + content)
    read_or_refused(read_overrides, file)


@quick
@given(before=TEXT, value=JSON, after=TEXT)
def test_json_in_any_text_is_found_or_missed(before: str, value, after: str) -> None:
    for text in (before, before + json.dumps(value) + after):
        with contextlib.suppress(AssertionError):
            contains_json(text)


@quick
@given(value=st.lists(TEXT, max_size=5))
def test_no_text_ends_the_element_that_holds_it(value: list[str]) -> None:
    packed = squeeze(value)
    assert re.fullmatch(r"[A-Za-z0-9+/=]+", packed)
    assert json.loads(zlib.decompress(base64.b64decode(packed))) == value


@quick
@given(value=TEXT)
def test_no_text_is_markup(value: str) -> None:
    shown = environment().from_string('<p title="{{ x }}">{{ x }}</p>').render(x=value)
    inside = shown.removeprefix('<p title="').removesuffix("</p>")
    title, _, body = inside.partition('">')
    assert not set('<>"') & set(title + body)
