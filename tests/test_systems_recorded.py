"""Recorded systems answer from a file, and say what the file does not hold."""

import json

import pytest

from harness.errors import ConfigError
from harness.types import Case, Passage, SystemSpec, ToolCall, Usage
from systems.recorded import RecordedSystem


@pytest.fixture
def answers(tmp_path):
    def generate(content, *ids, epoch=0):
        path = tmp_path / "outputs.jsonl"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text("".join(json.dumps(row) + "\n" for row in content))
        spec = SystemSpec(
            name="legacy",
            kind="recorded",
            rung="fine_tuned",
            folder=tmp_path,
            options={"outputs": "outputs.jsonl"},
        )
        cases = [Case(id=id, input="?") for id in ids]
        return {out.case_id: out for out in RecordedSystem(spec).generate(cases, epoch=epoch)}

    return generate


def test_each_case_gets_the_output_with_its_id(answers):
    outs = answers([{"id": "b", "output": "B"}, {"id": "a", "output": ""}], "a", "b")
    assert {id: out.text for id, out in outs.items()} == {"a": "", "b": "B"}
    assert all(out.error is None for out in outs.values())


def test_a_parquet_file_holds_the_same_outputs(answers, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"id": "a", "output": "A", "latency_s": 0.5, "error": None},
        {"id": "b", "output": None, "latency_s": None, "error": "timed out"},
        {"id": "c", "output": None, "latency_s": None, "error": None},
    ]
    table = {name: pa.array([row[name] for row in rows]) for name in rows[0]}
    pq.write_table(pa.table(table), tmp_path / "outputs.parquet")
    spec = SystemSpec(
        name="legacy",
        kind="recorded",
        rung="prompt",
        folder=tmp_path,
        options={"outputs": "outputs.parquet"},
    )
    cases = [Case(id=id, input="?") for id in "abc"]
    assert {o.case_id: o for o in RecordedSystem(spec).generate(cases, epoch=0)} == answers(
        rows, *"abc"
    )
    (tmp_path / "outputs.parquet").write_bytes(b"PAR1 but no more")
    with pytest.raises(ConfigError, match="not a Parquet file"):
        list(RecordedSystem(spec).generate(cases, epoch=0))


def test_a_case_without_an_output_is_errored(answers):
    assert answers([{"id": "a", "output": "A"}], "z")["z"].error == "no recorded output"


def test_an_epoch_of_its_own_goes_before_the_line_for_all_epochs(answers):
    rows = [{"id": "a", "output": "any"}, {"id": "a", "output": "second", "epoch": 1}]
    assert answers(rows, "a", epoch=1)["a"].text == "second"
    assert answers(rows, "a", epoch=0)["a"].text == "any"


@pytest.mark.parametrize("epoch", [None, 0, 0.0])
def test_an_epoch_that_a_table_writes_as_null_or_as_a_float_is_read(answers, epoch):
    assert answers([{"id": "a", "output": "A", "epoch": epoch}], "a")["a"].text == "A"


def test_a_null_is_a_field_that_is_not_there(answers):
    names = ("epoch", "latency_s", "usage", "tool_calls", "passages", "finish_reason", "refused")
    row = {"id": "a", "output": "A", **dict.fromkeys((*names, "prompt", "error"))}
    assert answers([row], "a") == answers([{"id": "a", "output": "A"}], "a")


def test_an_error_of_no_words_is_none(answers):
    assert answers([{"id": "a", "output": "A", "error": ""}], "a")["a"].error is None


def test_what_else_was_recorded_is_kept(answers):
    row = {
        "id": "a",
        "output": "A",
        "latency_s": 0.5,
        "usage": {"prompt_tokens": 3, "completion_tokens": 1},
        "tool_calls": [{"name": "f", "arguments": {"x": 1}}],
        "passages": ["p1", {"id": "p2", "rank": 2, "score": 0.1}],
        "finish_reason": "stop",
        "source": "a field that is not ours",
    }
    out = answers([row], "a")["a"]
    assert out.usage == Usage(prompt_tokens=3, completion_tokens=1)
    assert out.tool_calls == (ToolCall(name="f", arguments={"x": 1}),)
    assert out.passages == (Passage(id="p1"), Passage(id="p2", rank=2, score=0.1))
    assert (out.latency_s, out.finish_reason) == (0.5, "stop")


def test_a_recorded_error_is_an_error(answers):
    assert answers([{"id": "a", "error": "timeout"}], "a")["a"].error == "timeout"


@pytest.mark.parametrize("value", [None, 3, ["x"], "\ud800"])
def test_an_output_that_is_no_text_is_errored(answers, value):
    out = answers([{"id": "a", "output": value}], "a")["a"]
    assert out.error is not None
    assert out.text == ""


def test_a_byte_order_mark_blank_lines_and_crlf_are_no_matter(answers):
    content = b'\xef\xbb\xbf{"id": "a", "output": "A"}\r\n\r\n{"id": "b", "output": "B"}'
    assert {o.text for o in answers(content, "a", "b").values()} == {"A", "B"}


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b'{"id": "a", "output": ', "not JSON"),
        (b"[1, 2]", "expected an object"),
        (b'{"id": 3, "output": "x"}', "expected an object"),
        (b'{"id": "a"}', "neither output nor error"),
        (b'{"id": "a", "output": "\xff"}', "not UTF-8"),
        (b'{"id": "a", "output": "x", "usage": {"tokens": 1}}', "wrong form"),
        (b'{"id": "ok", "output": "again"}', "on line 1"),
        (b'{"id": "a", "output": "x", "epoch": 0.5}', "epoch: expected a whole number, got 0.5"),
        (b'{"id": "a", "output": "x", "epoch": -1}', "epoch: expected a whole number, got -1"),
        (b'{"id": "a", "output": "x", "epoch": NaN}', "epoch: expected a whole number, got nan"),
        (b'{"id": "a", "output": "x", "epoch": true}', "epoch: expected a whole number, got True"),
        (
            b'{"id": "a", "output": "x", "latency_s": "0.5"}',
            "latency_s is '0.5', expected a number",
        ),
        (b'{"id": "a", "output": "x", "latency_s": NaN}', "latency_s is nan, expected a number"),
        (b'{"id": "a", "output": "x", "latency_s": -1}', "latency_s is -1, expected a number"),
        (
            b'{"id": "a", "output": "x", "usage": {"prompt_tokens": "3", "completion_tokens": 1}}',
            "usage.prompt_tokens is '3', expected a whole number",
        ),
        (
            b'{"id": "a", "output": "x", "usage": {"prompt_tokens": 3, "completion_tokens": 1%s}}'
            % (b"0" * 22),
            "usage.completion_tokens is 1000",
        ),
        (b'{"id": "a", "output": "x", "usage": 3}', "usage is 3, expected an object"),
        (b'{"id": "a", "output": "x", "finish_reason": 3}', "finish_reason is 3, expected text"),
        (
            b'{"id": "a", "output": "x", "tool_calls": [{"name": "f", "arguments": "{}"}]}',
            "tool_calls.0.arguments is '{}', expected an object",
        ),
        (b'{"id": "a", "output": "x", "tool_calls": {}}', "tool_calls is {}, expected a list"),
        (b'{"id": "a", "output": "x", "passages": "doc1"}', "passages is 'doc1', expected a list"),
        (
            b'{"id": "a", "output": "x", "passages": ["b", 3]}',
            "passages.1 is 3, expected an object",
        ),
        (b'{"id": "a", "output": "x", "refused": "false"}', "refused is 'false', expected true or"),
        (b'{"id": "a", "output": "x", "prompt": 5}', "prompt is 5, expected text or a list"),
        (b'{"id": "a", "output": "x", "error": false}', "error is False, expected text"),
    ],
)
def test_a_bad_line_is_told_with_its_number(answers, line, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        answers(b'{"id": "ok", "output": "x"}\n' + line + b"\n", "ok", "a")
    assert caught.value.line == 2


def test_a_missing_file_is_told(tmp_path):
    spec = SystemSpec(
        name="x", kind="recorded", rung="prompt", folder=tmp_path, options={"outputs": "no.jsonl"}
    )
    with pytest.raises(ConfigError, match="cannot be read"):
        list(RecordedSystem(spec).generate([Case(id="a", input="")], epoch=0))
