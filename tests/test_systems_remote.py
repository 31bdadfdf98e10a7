"""Prompt systems on an OpenAI-compatible server, whatever the server does."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from harness.errors import ConfigError
from harness.types import Case, ModelSpec, SystemSpec, ToolCall, Usage
from systems.prompt import PromptSystem

KEY = "sk-very-secret"


def reply(content="pong", **message):
    return {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
    }


class Loopback(ThreadingHTTPServer):
    """Takes as many connections at once as a test may open: a full backlog would reset some."""

    request_queue_size = 256
    daemon_threads = True


class Server:
    """A server on loopback that answers as a function of the request's number and body says.

    The function returns a status, headers and a body: bytes, an iterator of bytes, or an object
    sent as JSON.
    """

    def __init__(self, answer):
        self.requests = []
        self.headers = []
        lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with lock:
                    number = len(server.requests)
                    server.requests.append(body)
                    server.headers.append(self.headers)
                status, headers, content = answer(number, body)
                pieces = content
                if not isinstance(content, Iterator):
                    pieces = [
                        content if isinstance(content, bytes) else json.dumps(content).encode()
                    ]
                    headers = {"Content-Length": str(len(pieces[0])), **headers}
                self.send_response(status)
                headers = {"Content-Type": "application/json", **headers}
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # a client may have given up
                    for piece in pieces:
                        self.wfile.write(piece)
                if "close" in headers.get("Connection", ""):
                    self.close_connection = True

            def log_message(self, *args):
                pass

        self.http = Loopback(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, args=[0.01], daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"


@pytest.fixture
def serve():
    servers = []

    def start(answer):
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.http.shutdown()
        server.http.server_close()


@pytest.fixture
def ask(tmp_path, monkeypatch):
    monkeypatch.setenv("RUNG_TEST_KEY", KEY)

    def generate(server, *cases, options=None, **model):
        spec = SystemSpec(
            name="hosted",
            kind="prompt",
            rung="prompt",
            folder=tmp_path,
            model=ModelSpec(
                name="hosted",
                kind="openai",
                source="m",
                options={
                    "base_url": server.url,
                    "api_key_env": "RUNG_TEST_KEY",
                    "max_retries": 2,
                    "timeout_s": 5,
                    **model,
                },
            ),
            options=options or {},
        )
        cases = cases or (Case(id="a", input="ping"),)
        outputs = {out.case_id: out for out in PromptSystem(spec).generate(cases, epoch=0)}
        assert KEY not in repr(outputs)
        return outputs

    return generate


def ok(content="pong", **message):
    return 200, {}, reply(content, **message)


def test_an_answer_comes_with_usage_latency_and_what_was_sent(serve, ask):
    server = serve(lambda number, body: ok())
    out = ask(server)["a"]
    assert (out.text, out.finish_reason, out.attempts, out.error) == ("pong", "stop", 1, None)
    assert out.usage == Usage(prompt_tokens=5, completion_tokens=2)
    assert list(out.prompt) == [{"role": "user", "content": "ping"}]
    assert out.latency_s > 0
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_the_request_carries_the_decoding_parameters(serve, ask):
    server = serve(lambda number, body: ok())
    ask(server, options={"decoding": {"max_tokens": 7, "stop": ["\n"]}})
    ask(
        server,
        options={"decoding": {"temperature": 0.5, "top_p": 0.9, "top_k": 4, "seed": 3}},
        max_tokens_field="max_completion_tokens",
        extra_body={"min_p": 0.1},
    )
    greedy, sampled = server.requests
    assert (greedy["temperature"], greedy["max_tokens"], greedy["stop"]) == (0, 7, ["\n"])
    assert "seed" not in greedy
    assert (sampled["temperature"], sampled["top_p"], sampled["top_k"]) == (0.5, 0.9, 4)
    assert (sampled["max_completion_tokens"], sampled["min_p"]) == (256, 0.1)
    assert isinstance(sampled["seed"], int)


def test_busy_servers_are_asked_again_after_the_time_they_name(serve, ask):
    def answer(number, body):
        return (
            (429, {"Retry-After": "0.01"}, {"error": {"message": "slow"}}) if number == 0 else ok()
        )

    out = ask(serve(answer))["a"]
    assert (out.text, out.attempts) == ("pong", 2)


def test_an_error_that_stays_is_told_with_the_number_of_attempts(serve, ask):
    server = serve(
        lambda number, body: (503, {"Retry-After": "0.01"}, {"error": {"message": "no"}})
    )
    out = ask(server)["a"]
    assert "503" in out.error
    assert out.attempts == 3 == len(server.requests)


def test_a_request_that_is_wrong_is_not_repeated_and_shows_no_key(serve, ask):
    server = serve(lambda number, body: (401, {}, {"error": {"message": f"bad key {KEY}"}}))
    out = ask(server)["a"]
    assert "401" in out.error
    assert "***" in out.error
    assert len(server.requests) == 1


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_repeats_the_key_does_not_bring_it_into_an_answer(serve, ask, stream):
    function = {"name": "look", "arguments": json.dumps({"q": KEY})}
    call = {"index": 0, "id": KEY, "type": "function", "function": function}
    said = {"content": f"it is {KEY}", "tool_calls": [call]}
    whole = {**reply(), "choices": [{"index": 0, "finish_reason": KEY, "message": said}]}
    delta = [{"index": 0, "finish_reason": KEY, "delta": said}]
    answer = streamed(chunk(choices=delta)) if stream else (200, {}, whole)
    options = {"tools": {"functions": [{"name": "look", "parameters": {}}]}}
    out = ask(serve(lambda number, body: answer), options=options, stream=stream)["a"]
    assert (out.text, out.finish_reason) == ("it is ***", "***")
    assert out.tool_calls == (ToolCall(name="look", arguments={"q": "***"}),)


def test_what_stands_in_for_a_key_is_not_looked_for(serve, ask):
    server = serve(lambda number, body: ok("there is no-key here"))
    out = ask(server, api_key_env=None)["a"]
    assert server.headers[0]["Authorization"] == "Bearer no-key"
    assert out.text == "there is no-key here"


def broken(message):
    return 200, {}, {**reply(), **message}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (broken({"choices": []}), "without a choice"),
        (broken({"choices": None}), "without a choice"),
        ((200, {}, {"error": {"message": "overloaded"}}), "a choice: {'message': 'overloaded'}"),
        ((200, {}, {"detail": "no such model"}), "a choice: {'detail': 'no such model'}"),
        (ok(None), "an empty choice (finish reason stop)"),
        (broken({"choices": [{"index": 0, "message": None}]}), "an empty choice"),
        ((200, {"Content-Type": "text/html"}, b"<html>Sign in</html>"), "'<html>Sign in</html>'"),
        ((200, {}, b'{"choices": ['), "JSONDecodeError"),
        ((200, {}, b"<html>"), "JSONDecodeError"),
        ((200, {}, []), ""),
        ((200, {"Content-Length": "4000", "Connection": "close"}, b'{"id"'), "APIConnectionError"),
        (ok("a\ud800"), "lone surrogate"),
    ],
    ids=[
        "no choice",
        "null choices",
        "error",
        "other object",
        "null content",
        "null message",
        "page",
        "half JSON",
        "page as JSON",
        "list",
        "half a body",
        "surrogate",
    ],
)
def test_a_reply_that_is_no_answer_errors_its_case_alone(serve, ask, answer, reason):
    def by_case(number, body):
        return answer if body["messages"][0]["content"] == "bad" else ok()

    outputs = ask(serve(by_case), Case(id="bad", input="bad"), Case(id="good", input="good"))
    assert outputs["bad"].error is not None
    assert reason in outputs["bad"].error
    assert (outputs["good"].text, outputs["good"].error) == ("pong", None)


EMPTY_CHOICES = {
    "null": [None],
    "message": [{"index": 0, "finish_reason": "stop", "message": None}],
    "nothing": [{}],
    "call": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": None, "tool_calls": [None]},
        }
    ],
}


@pytest.mark.parametrize("choices", EMPTY_CHOICES.values(), ids=EMPTY_CHOICES)
def test_a_choice_of_nothing_is_told_in_words(serve, ask, choices):
    def answer(number, body):
        bad = body["messages"][-1]["content"] == "bad"
        return 200, {}, {**reply(), "choices": choices} if bad else reply()

    cases = [Case(id="bad", input="bad"), Case(id="good", input="good")]
    outputs = ask(serve(answer), *cases)
    assert outputs["bad"].error.startswith("the server answered")
    assert "AttributeError" not in outputs["bad"].error
    assert outputs["good"].text == "pong"


@pytest.mark.parametrize("choice", [None, {"index": 0, "delta": None}], ids=["null", "delta"])
def test_an_empty_choice_in_a_stream_is_told_in_words(serve, ask, choice):
    piece = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
    body = f"data: {json.dumps({**piece, 'choices': [choice]})}\n\ndata: [DONE]\n\n".encode()
    server = serve(lambda number, asked: (200, {"Content-Type": "text/event-stream"}, body))
    (out,) = ask(server, stream=True).values()
    assert out.error == "the server streamed an empty choice"


def test_a_refusal_is_an_answer_marked_as_refused(serve, ask):
    out = ask(serve(lambda number, body: ok(None, refusal="I cannot.")))["a"]
    assert (out.text, out.refused, out.error) == ("I cannot.", True, None)


def chunk(content=None, finish=None, **more):
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish}
    body = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "m",
        "choices": [choice],
    }
    return b"data: " + json.dumps({**body, **more}).encode() + b"\n\n"


def streamed(*chunks):
    return 200, {"Content-Type": "text/event-stream"}, b"".join(chunks)


def test_a_stream_is_put_together(serve, ask):
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    parts = [chunk("po"), chunk("ng", "stop"), chunk(choices=[], usage=usage), b"data: [DONE]\n\n"]
    out = ask(serve(lambda number, body: streamed(*parts)), stream=True)["a"]
    assert (out.text, out.finish_reason, out.error) == ("pong", "stop", None)
    assert out.usage == Usage(prompt_tokens=1, completion_tokens=2)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([chunk("half")], "ended after 4 characters, unfinished"),
        ([chunk("half"), b"data: {broken\n\n"], "JSONDecodeError"),
        ([chunk("half"), b'data: {"error": {"message": "out of memory"}}\n\n'], "out of memory"),
        ([], "unfinished"),
    ],
    ids=["cut off", "broken chunk", "error", "nothing"],
)
def test_a_broken_stream_is_errored(serve, ask, parts, reason):
    out = ask(serve(lambda number, body: streamed(*parts)), stream=True)["a"]
    assert reason in out.error


def test_no_more_requests_than_allowed_are_under_way_at_once(serve, ask):
    lock, state = threading.Lock(), {"now": 0, "most": 0}
    pause = threading.Event()

    def answer(number, body):
        with lock:
            state["now"] += 1
            state["most"] = max(state["most"], state["now"])
        pause.wait(0.02)
        with lock:
            state["now"] -= 1
        return ok()

    cases = [Case(id=str(i), input="x") for i in range(12)]
    assert len(ask(serve(answer), *cases, concurrency=3)) == 12
    assert 1 < state["most"] <= 3


def test_a_server_that_is_not_there_errors_every_case(ask):
    class Nowhere:
        url = "http://127.0.0.1:9/v1"

    out = ask(Nowhere(), max_retries=0)["a"]
    assert "APIConnectionError" in out.error


def test_a_slow_server_is_given_up_on(serve, ask):
    def answer(number, body):
        threading.Event().wait(2)
        return ok()

    out = ask(serve(answer), timeout_s=0.2, max_retries=0)["a"]
    assert out.error == "no answer within 0.2 s"


def drip(piece):
    """An answer of which something arrives all the time, and which is never whole."""
    for _ in range(100):
        yield piece
        threading.Event().wait(0.02)


ENDLESS = {
    "body": (b" ", "application/json"),
    "comments": (b": ping\n\n", "text/event-stream"),
    "deltas": (chunk(""), "text/event-stream"),
}


@pytest.mark.parametrize(("piece", "kind"), ENDLESS.values(), ids=ENDLESS)
def test_an_answer_that_only_trickles_is_given_up_on_and_asked_for_again(serve, ask, piece, kind):
    headers = {"Content-Type": kind, "Content-Length": "1000000"}
    server = serve(lambda number, body: (200, headers, drip(piece)))
    out = ask(server, timeout_s=0.3, max_retries=1, stream="event-stream" in kind)["a"]
    assert (out.error, out.attempts) == ("no answer within 0.3 s", 2)


def test_a_missing_key_is_a_configuration_error_before_anything_is_asked(serve, ask, monkeypatch):
    server = serve(lambda number, body: ok())
    monkeypatch.delenv("RUNG_TEST_KEY")
    with pytest.raises(ConfigError, match="RUNG_TEST_KEY is not set"):
        ask(server)
    assert server.requests == []


def test_chat_messages_go_through_as_they_are(serve, ask):
    server = serve(lambda number, body: ok())
    messages = [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]
    ask(server, Case(id="a", input=messages))
    assert server.requests[0]["messages"] == messages


def test_a_case_whose_prompt_cannot_be_made_is_errored_and_the_others_are_asked(serve, ask):
    server = serve(lambda number, body: ok())
    outputs = ask(server, Case(id="a", input={"x": 1}), Case(id="b", input="q"))
    assert "named fields" in outputs["a"].error
    assert outputs["b"].text == "pong"
