"""What a server may put into one reply: it is read, or it is that one case's error."""

from __future__ import annotations

import json

import pytest
from test_systems_remote import ask, broken, chunk, ok, serve, streamed  # noqa: F401 - fixtures

from harness.types import Case, ToolCall, Usage

CASES = (Case(id="odd", input="odd"), Case(id="good", input="good"))
LOOK = {"name": "look", "parameters": {"type": "object", "properties": {"q": {"type": "string"}}}}
TOOLS = {"tools": {"functions": [LOOK]}}
FIVE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}


@pytest.fixture
def outputs(serve, ask):  # noqa: F811
    """Outputs of two cases, of which a server answers one as it is told."""

    def get(answer, *, options=None, **model):
        plain = streamed(chunk("pong", "stop"), chunk(choices=[], usage=FIVE))
        fine = plain if model.get("stream") else ok()
        server = serve(
            lambda number, body: answer if body["messages"][0]["content"] == "odd" else fine
        )
        made = ask(server, *CASES, options=options, **model)
        assert (made["good"].text, made["good"].error) == ("pong", None)
        assert made["good"].usage == Usage(prompt_tokens=5, completion_tokens=2)
        return made["odd"]

    return get


def choice(finish_reason="stop", **message):
    said = {"role": "assistant", "content": None, **message}
    return broken(
        {"choices": [{"index": 0, "finish_reason": finish_reason, "message": said}]},
    )


def called(**changed):
    function = {"name": "look", "arguments": '{"q": "x"}', **changed}
    return choice("tool_calls", tool_calls=[{"id": "1", "type": "function", "function": function}])


def streamed_call(**changed):
    function = {"name": "look", "arguments": '{"q": "x"}', **changed}
    delta = {"tool_calls": [{"index": 0, "id": "1", "function": function}]}
    parts = [{"index": 0, "delta": delta, "finish_reason": "tool_calls"}]
    return streamed(chunk(choices=parts))


@pytest.mark.parametrize("reason", [5, ["stop"], {"a": 1}, True], ids=repr)
@pytest.mark.parametrize("stream", [False, True])
def test_a_finish_reason_that_is_no_text_errors_its_case(outputs, stream, reason):
    answer = streamed(chunk("pong", reason)) if stream else choice(reason, content="pong")
    out = outputs(answer, stream=stream)
    assert out.error == f"the server answered the finish reason {reason!r}, expected text"
    assert out.finish_reason is None


@pytest.mark.parametrize(
    "counts",
    [
        {"prompt_tokens": None, "completion_tokens": None},
        {"prompt_tokens": 3},
        {},
        {"prompt_tokens": "7", "completion_tokens": "2"},
        {"prompt_tokens": 7, "completion_tokens": 2.5},
        {"prompt_tokens": 7, "completion_tokens": -1},
        {"prompt_tokens": 10**23, "completion_tokens": 2},
        {"prompt_tokens": True, "completion_tokens": 2},
        [7, 2],
    ],
    ids=["null", "one", "empty", "texts", "half a token", "negative", "huge", "true", "list"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_whose_tokens_are_not_counted_is_an_answer(outputs, stream, counts):
    parts = [chunk("pong", "stop"), chunk(choices=[], usage=counts)]
    answer = streamed(*parts) if stream else broken({"usage": counts})
    out = outputs(answer, stream=stream)
    assert (out.text, out.usage, out.error) == ("pong", None, None)


@pytest.mark.parametrize("stream", [False, True])
def test_arguments_may_come_as_the_object_that_they_mean(outputs, stream):
    call = streamed_call if stream else called
    out = outputs(call(arguments={"q": "x"}), options=TOOLS, stream=stream)
    assert out.tool_calls == (ToolCall(name="look", arguments={"q": "x"}),)
    assert out.error is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"arguments": 5}, "the arguments of 'look' are no object: '5'"),
        ({"arguments": ["x"]}, "the arguments of 'look' are no object: '[\"x\"]'"),
        ({"arguments": "{"}, "the arguments of 'look' are no JSON"),
        ({"name": None}, 'a call names no function: its arguments are \'{"q": "x"}\''),
        ({"name": ""}, "a call names no function"),
    ],
    ids=["number", "list", "half", "null name", "no name"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_is_none_errors_its_case(outputs, stream, changed, told):
    call = streamed_call if stream else called
    assert outputs(call(**changed), options=TOOLS, stream=stream).error.startswith(told)


def test_a_name_that_is_a_number_errors_its_case(outputs):
    assert "names no function" in outputs(called(name=3), options=TOOLS).error
    told = "the server streamed `name` as int, expected text"
    assert outputs(streamed_call(name=3), options=TOOLS, stream=True).error == told


def test_a_call_without_a_type_or_an_id_is_one_of_a_function(outputs):
    call = {"function": {"name": "look", "arguments": '{"q": "x"}'}}
    out = outputs(choice("tool_calls", tool_calls=[call]), options=TOOLS)
    assert out.tool_calls == (ToolCall(name="look", arguments={"q": "x"}),)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (broken({"choices": {"a": 1}}), "the server answered `choices` as dict, expected a list"),
        (broken({"choices": "pong"}), "the server answered `choices` as str, expected a list"),
        (choice(tool_calls={"name": "look"}), "the server answered `tool_calls` as dict"),
        (choice(tool_calls=[{"id": "1"}]), "the server answered a tool call without a function"),
    ],
    ids=["object", "text", "calls", "call"],
)
def test_a_reply_of_another_shape_says_what_was_expected(outputs, answer, told):
    assert outputs(answer, options=TOOLS).error.startswith(told)


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ({"choices": {"a": 1}}, "the server answered `choices` as dict, expected a list"),
        ({"content": 5, "finish": "stop"}, "the server streamed `content` as int, expected text"),
    ],
    ids=["choices", "content"],
)
def test_a_stream_of_another_shape_says_what_was_expected(outputs, part, told):
    assert outputs(streamed(chunk(**part)), stream=True).error == told


def test_a_pattern_whose_group_took_no_part_leaves_the_text(outputs):
    pattern = {"answer": {"pattern": "(pong)|maybe"}}
    assert outputs(ok("maybe so"), options=pattern).text == "maybe so"


def test_every_request_is_one_that_a_server_can_read(serve, ask):  # noqa: F811
    tools = {"tools": {"functions": [{**LOOK, "callable": "json:dumps"}]}}
    server = serve(
        lambda number, body: called(id=None, arguments={"obj": "x"}) if not number else ok()
    )
    ask(server, options=tools)
    (call,) = server.requests[1]["messages"][-2]["tool_calls"]
    assert json.loads(call["function"]["arguments"]) == {"obj": "x"}
    assert call["id"] == server.requests[1]["messages"][-1]["tool_call_id"]
