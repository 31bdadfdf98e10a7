"""A server is sent as much as it bears: behaviour on counts of requests, never on seconds."""

from __future__ import annotations

import asyncio
import threading
import time
from email.utils import formatdate

import pytest
from test_systems_remote import ask, chunk, ok, serve, streamed  # noqa: F401 - fixtures

from harness.types import Case
from systems.throttle import START, Throttle, pause_after

BUSY = {"error": {"message": "too many requests"}}


def cases(count: int) -> list[Case]:
    return [Case(id=f"c{i}", input=f"question {i}") for i in range(count)]


class Narrow:
    """A server that answers so many requests at once and refuses the others."""

    def __init__(self, places: int, headers: dict[str, str] | None = None) -> None:
        self.places = places
        self.headers = {"Retry-After": "0.01"} if headers is None else headers
        self.lock = threading.Lock()
        self.under_way = self.most = self.refused = 0

    def __call__(self, number, body):
        with self.lock:
            if self.under_way >= self.places:
                self.refused += 1
                return 429, self.headers, BUSY
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        threading.Event().wait(0.01)
        with self.lock:
            self.under_way -= 1
        return ok()


def test_it_starts_slowly_and_doubles_with_each_round() -> None:
    throttle, rounds = Throttle(64), []
    for _ in range(5):
        rounds.append(int(throttle.places))
        for _ in range(rounds[-1]):
            throttle.answered()
    assert rounds == [START, 32, 64, 64, 64]


def test_a_refused_round_halves_it_once_and_it_recovers_one_by_one() -> None:
    throttle = Throttle(64)
    for _ in range(56):
        throttle.answered()
    for _ in range(64):
        throttle.refused(0)  # all of one round
    assert (throttle.places, throttle.refusals) == (32, 1)
    for _ in range(32):
        throttle.answered()
    assert 32.9 < throttle.places <= 33
    assert throttle.refusals == 0


def test_it_never_falls_below_one_place_nor_rises_above_the_most() -> None:
    throttle = Throttle(4)
    for at in range(10):
        throttle.refused(at)
    assert throttle.places == 1
    for _ in range(100):
        throttle.answered()
    assert throttle.places == 4


def test_nobody_begins_while_it_pauses_or_is_full() -> None:
    async def main() -> tuple[int, float]:
        throttle, most, under_way = Throttle(3), 0, 0

        async def one() -> None:
            nonlocal most, under_way
            async with throttle.place():
                under_way += 1
                most = max(most, under_way)
                await asyncio.sleep(0)
                under_way -= 1

        throttle.pause(0.05)
        before = time.monotonic()
        await asyncio.gather(*(one() for _ in range(20)))
        return most, time.monotonic() - before

    most, took = asyncio.run(main())
    assert most == 3
    assert took >= 0.05


def test_a_request_that_is_given_up_while_it_waits_takes_no_place() -> None:
    async def main() -> None:
        throttle = Throttle(1)

        async def hold() -> None:
            async with throttle.place():
                await asyncio.sleep(0.01)

        first, second, third = (asyncio.ensure_future(hold()) for _ in range(3))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(first, third)

    asyncio.run(asyncio.wait_for(main(), timeout=5))


def test_pauses_double_up_to_a_limit() -> None:
    assert [pause_after(n) for n in (1, 2, 3, 9)] == [0.5, 1.0, 2.0, 8.0]
    assert pause_after(2, spread=1.0) == 0.75


def test_a_server_that_refuses_most_answers_all_in_the_end(serve, ask) -> None:  # noqa: F811
    server = Narrow(places=3)
    outputs = ask(serve(server), *cases(60), concurrency=32, max_retries=8)
    assert all(output.error is None for output in outputs.values())
    assert server.most == 3
    assert server.refused < 60, "it learns how much the server bears"
    assert sum(o.attempts - 1 for o in outputs.values()) == server.refused, "retries are counted"


def test_it_recovers_when_the_server_does(serve, ask) -> None:  # noqa: F811
    server = Narrow(places=1)

    def answer(number, body):
        if number == 40:
            server.places = 100
        return server(number, body)

    outputs = ask(serve(answer), *cases(400), concurrency=8, max_retries=20)
    assert all(output.error is None for output in outputs.values())
    assert server.most > 2


@pytest.mark.parametrize("form", ["seconds", "milliseconds", "date"])
def test_the_time_that_a_server_names_is_waited_by_all(serve, ask, form) -> None:  # noqa: F811
    came: list[float] = []

    def answer(number, body):
        came.append(time.monotonic())
        if number >= 4:
            return ok()
        date = formatdate(time.time() + 2, usegmt=True)  # whole seconds: at least one is left
        named = {"seconds": "0.4", "date": date}.get(form, "")
        name = "retry-after-ms" if form == "milliseconds" else "Retry-After"
        return 429, {name: named or "400"}, BUSY

    outputs = ask(serve(answer), *cases(8), concurrency=4, max_retries=3)
    assert all(output.error is None for output in outputs.values())
    assert came[4] - came[3] >= 0.3, "nothing is sent meanwhile"


@pytest.mark.parametrize(
    ("named", "told"), [("3600", "3600"), ("86400", "86400"), ("1e300", "1e+300"), ("inf", "inf")]
)
@pytest.mark.parametrize("status", [429, 500])
def test_a_server_that_asks_for_an_hour_is_not_waited_for_and_the_error_says_so(
    serve,  # noqa: F811
    ask,  # noqa: F811
    status,
    named,
    told,
) -> None:
    server = serve(lambda number, body: (status, {"Retry-After": named}, BUSY))
    output = ask(server)["a"]
    assert "too many requests" in output.error
    assert output.error.endswith(f"; the server asks to wait {told} s, more than 120 s")
    assert output.attempts == 1


def test_what_is_not_tried_again_anyway_says_nothing_of_waiting(serve, ask) -> None:  # noqa: F811
    server = serve(lambda number, body: (400, {"Retry-After": "3600"}, BUSY))
    assert "wait" not in ask(server)["a"].error


def test_a_spent_quota_is_no_reason_to_wait(serve, ask) -> None:  # noqa: F811
    spent = {"error": {"message": "you exceeded your quota", "code": "insufficient_quota"}}
    output = ask(serve(lambda number, body: (429, {}, spent)))["a"]
    assert "quota" in output.error
    assert output.attempts == 1


def test_a_server_that_only_refuses_is_given_up_soon(serve, ask) -> None:  # noqa: F811
    server = serve(lambda number, body: (429, {"Retry-After": "0.01"}, BUSY))
    outputs = ask(server, *cases(40), concurrency=16, max_retries=2)
    assert all("429" in output.error for output in outputs.values())
    assert len(server.requests) < 40 + 16 * 3


def arguments(text):
    call = {"index": 0, "function": {"name": "", "arguments": text}}
    return chunk(choices=[{"index": 0, "delta": {"tool_calls": [call]}, "finish_reason": None}])


def test_an_endless_stream_is_cut(serve, ask, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr("systems.remote.LONGEST_STREAM", 1000)
    for part in (chunk("x" * 400), arguments("x" * 400)):
        answer = streamed(*[part] * 50)
        output = ask(serve(lambda number, body, answer=answer: answer), stream=True)["a"]
        assert output.error == "the stream went on past 1,000 characters"


def test_an_endless_stream_of_nothing_is_cut(serve, ask, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr("systems.remote.MOST_PIECES", 20)
    for part in (chunk(""), chunk(choices=[])):
        answer = streamed(*[part] * 50)
        output = ask(serve(lambda number, body, answer=answer: answer), stream=True)["a"]
        assert output.error == "the stream went on past 20 pieces"
