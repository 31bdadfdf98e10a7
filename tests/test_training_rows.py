"""Training rows are read in the forms that trainers read, and a bad line is named."""

import json

import pytest

from harness.errors import CaseError
from harness.training_rows import load_training_rows, parse_training_row, rows_of_cases
from harness.types import Case, Passage


def read(tmp_path, *rows, raw=None):
    path = tmp_path / "train.jsonl"
    path.write_bytes(raw if raw is not None else "\n".join(map(json.dumps, rows)).encode())
    return load_training_rows(path)


@pytest.mark.parametrize(
    "row",
    [
        {"input": "q", "output": "a"},
        {"input": "q", "expected_output": "a"},
        {"prompt": "q", "completion": "a"},
        {"prompt": "q", "chosen": "a", "rejected": "b"},
        {"instruction": "q", "output": "a"},
        {"instruction": "q", "input": "", "output": "a"},
        {
            "prompt": [{"role": "user", "content": "q"}],
            "completion": [{"role": "assistant", "content": "a"}],
        },
        {
            "prompt": [{"role": "user", "content": [{"type": "text", "text": "q"}]}],
            "completion": [{"role": "assistant", "content": [{"type": "text", "text": "a"}]}],
        },
        {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]},
    ],
)
def test_every_form_gives_an_input_and_an_output(tmp_path, row):
    (found,) = read(tmp_path, row)
    assert (found.input, found.output) == ("q", "a")
    assert found.where.endswith("train.jsonl:1")


def test_the_system_message_stands_apart_and_is_shown(tmp_path):
    said = [("system", "Be brief."), ("user", "q1"), ("assistant", "a1"), ("user", "q2")]
    messages = [{"role": role, "content": text} for role, text in said]
    (row,) = read(tmp_path, {"messages": [*messages, {"role": "assistant", "content": "a2"}]})
    assert (row.system, row.input, row.output) == ("Be brief.", "q1\na1\nq2", "a2")
    assert row.shown == "Be brief.\nq1\na1\nq2"


def test_named_fields_context_and_metadata_are_kept(tmp_path):
    row = {
        "input": {"question": "q", "table": "t"},
        "output": {"b": 1},
        "context": ["p1", {"id": "x", "text": "p2"}],
        "metadata": {"author": "me"},
        "grade": "ok",
    }
    (found,) = read(tmp_path, row)
    assert found.input == "q\nt"
    assert found.fields == row["input"]
    assert found.output == '{"b": 1}'
    assert found.context == "p1\np2"
    assert found.metadata == {"author": "me", "grade": "ok"}


def test_a_tool_call_is_an_output(tmp_path):
    call = {"type": "function", "function": {"name": "f", "arguments": {"x": 1}}}
    answer = {"role": "assistant", "content": None, "tool_calls": [call]}
    (row,) = read(tmp_path, {"messages": [{"role": "user", "content": "q"}, answer]})
    assert '"name": "f"' in row.output


@pytest.mark.parametrize(
    "row",
    [
        {"input": "q"},
        {"input": "q", "output": None},
        {"prompt": "q"},
        {"messages": [{"role": "user", "content": "q"}]},
    ],
)
def test_a_row_without_an_output_is_read_since_that_is_a_finding(tmp_path, row):
    assert read(tmp_path, row)[0].output is None


def test_blank_lines_a_byte_order_mark_and_an_empty_file_are_nothing(tmp_path):
    assert len(read(tmp_path, raw=b'\xef\xbb\xbf{"input": "q", "output": "a"}\r\n\r\n')) == 1
    assert read(tmp_path, raw=b"") == ()


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b'{"input": "q"', "train.jsonl:2: not JSON"),
        (b"[1]", "train.jsonl:2: a training row is an object"),
        (b'{"inptu": "q"}', "Did you mean 'input'?"),
        (b'"\xff"', "train.jsonl:2: byte 2 (0xff) is not UTF-8"),
        (b'{"input": "a \\ud800 thing"}', "train.jsonl:2: text that is not valid Unicode"),
        (b'{"messages": "q"}', "train.jsonl:2: messages: `messages` is a list"),
    ],
)
def test_a_line_in_no_known_form_is_named(tmp_path, raw, said):
    with pytest.raises(CaseError) as error:
        read(tmp_path, raw=b'{"input": "q", "output": "a"}\n' + raw)
    assert said in str(error.value)


def test_an_emoji_that_is_written_as_two_escapes_is_read(tmp_path):
    (row,) = read(tmp_path, {"input": "\U0001f600", "output": "a"})  # as json.dumps writes it
    assert row.input == "\U0001f600"


def test_a_missing_file_is_named_with_its_nearest_neighbour(tmp_path):
    (tmp_path / "train.jsonl").write_text("")
    with pytest.raises(CaseError, match=r"Did you mean 'train.jsonl'"):
        load_training_rows(tmp_path / "trian.jsonl")


def test_cases_are_read_as_rows_are():
    case = Case(
        id="c",
        input={"question": "q"},
        expected_output={"a": 1},
        context=(Passage(id="p", text="known"), Passage(id="r")),
    )
    (row,) = rows_of_cases([case])
    assert (row.input, row.output, row.context, row.id) == ("q", '{"a": 1}', "known", "c")
    assert row == rows_of_cases([case])[0]
    assert parse_training_row({"input": {"question": "q"}, "output": {"a": 1}}).output == row.output
