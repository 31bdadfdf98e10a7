"""Models behind an OpenAI-compatible server."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from openai import APIConnectionError, APIStatusError, AsyncOpenAI
from openai.types.chat import ChatCompletion

from harness.errors import ConfigError
from harness.records import LARGEST
from harness.types import Usage
from systems.answers import TimedOut, describe, printable, unusable
from systems.backend import BackendSpec, Completion, Decoding, RawCall, Request
from systems.event_loop import EventLoop
from systems.throttle import Throttle, pause_after

CONCURRENCY = 8
TIMEOUT_S = 60.0
MAX_RETRIES = 5
LONGEST_WAIT_S = 120.0  # a server that asks for a longer pause has a quota, not a queue
LONGEST_STREAM = 5_000_000  # characters; a fast server sends far more within the time limit
MOST_PIECES = 1_000_000  # of a stream; they may all be empty
SHORTEST_SECRET = 8  # characters; a shorter key may stand in any text by chance
BUSY = (429, 503)


class BrokenReply(Exception):
    """A server answered something that is no chat completion."""


class RemoteBackend:
    """Completes prompts by asking a server, as many at once as it bears, at most `concurrency`.

    Requests that meet 408, 409, 5xx or a lost connection are repeated after growing pauses, or after
    the time that a Retry-After header names. 429 and 503 slow down all that are still to be sent,
    and are only given up when `max_retries` rounds were refused without an answer in between. What
    still fails is that one request's error.
    """

    def __init__(self, spec: BackendSpec) -> None:
        self.spec = spec
        self.options = spec.model.options
        self._throttle = Throttle(self.options.get("concurrency", CONCURRENCY))

    def check(self) -> None:
        """Refuse a key that is not in the environment, and an adapter."""
        self._api_key()
        if self.spec.adapter is not None:
            raise ConfigError(
                "an adapter needs a model on this machine; name the tuned model on its server, "
                "and `rung: fine_tuned`",
                key=f"models.{self.spec.model.name}",
            )

    def complete(
        self, requests: Sequence[Request], decoding: Decoding
    ) -> Iterator[tuple[int, Completion]]:
        """Yield completions as the server answers."""
        key = self._api_key()
        client = AsyncOpenAI(
            api_key=key,
            base_url=self.options.get("base_url"),
            timeout=None,  # the client's own starts anew with every byte: see `_attempt`
            max_retries=0,  # the client's own would hold a place while they wait
        )
        loop = EventLoop()

        async def ask(item: tuple[int, Request]) -> tuple[int, Completion]:
            index, request = item
            return index, await self._ask(client, request, decoding, key)

        async def close(_: None) -> None:
            await client.close()

        try:
            most = self._throttle.most
            yield from loop.each(ask, list(enumerate(requests)), concurrency=most)
        finally:
            list(loop.each(close, [None], concurrency=1))
            loop.close()

    async def _ask(
        self, client: AsyncOpenAI, request: Request, decoding: Decoding, key: str
    ) -> Completion:
        arguments = self._arguments(request, decoding)
        attempts = 0
        while True:
            attempts += 1
            async with self._throttle.place() as place:
                started = time.perf_counter()
                try:
                    answer = await self._attempt(client, arguments)
                    failure = None
                except BrokenReply as error:
                    answer, failure = {"error": str(error)}, None
                except Exception as error:  # one request's failure is its own outcome
                    answer, failure = {"error": _told(error)}, error
                latency_s = time.perf_counter() - started
                pause = self._pause(failure, place, attempts, request)
            if pause is None:
                break
            await asyncio.sleep(pause)
        return Completion(
            prompt=tuple(request.messages),
            latency_s=latency_s,
            attempts=attempts,
            **_without(key, answer),
        )

    async def _attempt(self, client: AsyncOpenAI, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Ask once, and give up when the whole answer is not there in time."""
        timeout_s = self.options.get("timeout_s", TIMEOUT_S)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._exchange(client, arguments)
        except TimeoutError as error:
            raise TimedOut(timeout_s) from error

    async def _exchange(self, client: AsyncOpenAI, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if self.options.get("stream", False):
            async with await client.chat.completions.create(**arguments) as stream:
                return await _assembled(stream)
        # `create` looks at every field for files to send, which takes a sixth of a request's time.
        extra = arguments.get("extra_body", {})
        body = {name: v for name, v in arguments.items() if name != "extra_body"} | extra
        reply = await client.post("/chat/completions", cast_to=ChatCompletion, body=body)
        try:
            return _read(reply)
        except (AttributeError, TypeError) as error:  # the client builds replies unchecked
            raise BrokenReply(f"the server answered no chat completion: {error}") from error

    def _pause(
        self, failure: Exception | None, place: int, attempts: int, request: Request
    ) -> float | None:
        """Seconds until this request is sent again; None when it is not."""
        retries = self.options.get("max_retries", MAX_RETRIES)
        if failure is None:
            self._throttle.answered()
            return None
        wait_s = _retry_after(failure)
        if not _passing(failure) or _too_long(wait_s):
            return None
        if getattr(failure, "status_code", None) in BUSY:
            self._throttle.refused(place)
            if self._throttle.refusals > retries:
                return None
            # For everybody: requests that a server refuses cost it as much as those it answers.
            self._throttle.pause(wait_s or pause_after(self._throttle.refusals))
            return 0.0
        if attempts > retries:
            return None
        spread = request.seed % 1000 / 1000  # or all that failed together would return together
        return pause_after(attempts, spread=spread) if wait_s is None else wait_s

    def _arguments(self, request: Request, decoding: Decoding) -> dict[str, Any]:
        limit = self.options.get("max_tokens_field", "max_tokens")
        arguments: dict[str, Any] = {
            "model": self.spec.model.source,
            "messages": [dict(message) for message in request.messages],
            limit: decoding.max_tokens,
        }
        extra = dict(self.options.get("extra_body", {}))
        if decoding.temperature is not None:
            arguments["temperature"] = decoding.temperature
        if not decoding.greedy:
            arguments["seed"] = request.seed % (1 << 31)
        if decoding.top_p is not None:
            arguments["top_p"] = decoding.top_p
        if decoding.stop:
            arguments["stop"] = list(decoding.stop)
        if decoding.frequency_penalty:
            arguments["frequency_penalty"] = decoding.frequency_penalty
        if decoding.presence_penalty:
            arguments["presence_penalty"] = decoding.presence_penalty
        # Not of OpenAI's own interface, but of the common servers'.
        if decoding.top_k is not None:
            extra["top_k"] = decoding.top_k
        if decoding.repetition_penalty != 1:
            extra["repetition_penalty"] = decoding.repetition_penalty
        if request.tools:
            arguments["tools"] = [dict(tool) for tool in request.tools]
        if request.json_schema is not None:
            arguments["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": dict(request.json_schema)},
            }
        if self.options.get("stream", False):
            arguments.update(stream=True, stream_options={"include_usage": True})
        return {**arguments, "extra_body": extra} if extra else arguments

    def _api_key(self) -> str:
        variable = self.options.get("api_key_env")
        if variable is None:
            return "no-key"  # the client insists on one; local servers ignore it
        key = os.environ.get(variable, "")
        if not key:
            raise ConfigError(
                f"the environment variable {variable} is not set",
                key=f"models.{self.spec.model.name}.api_key_env",
                hint=f"export {variable}=..., or leave api_key_env out for a server without keys.",
            )
        return key


def _read(reply: Any) -> dict[str, Any]:
    """The fields of a Completion from a server's reply."""
    if not isinstance(reply, ChatCompletion):
        raise BrokenReply(f"the server answered no chat completion but {_start(reply)!r}")
    choices = _listed(reply, "choices")
    if not choices:
        said = getattr(reply, "error", None) or reply.to_dict(warnings=False)
        raise BrokenReply(f"the server answered without a choice: {_start(said)}")
    choice = choices[0]
    if choice is None or choice.message is None:
        raise BrokenReply("the server answered an empty choice")
    given = enumerate(_listed(choice.message, "tool_calls"))
    calls = tuple(_call(call, number) for number, call in given if _is_function(call))
    text, refusal = choice.message.content, getattr(choice.message, "refusal", None)
    answer = _answer(text, refusal, calls, choice.finish_reason)
    return {**answer, "usage": _usage(reply.usage)}


def _start(said: Any) -> str:
    """What a server said in place of an answer, as far as one line of a report holds it."""
    return " ".join(str(said).split())[:200]


def _answer(
    text: str | None, refusal: str | None, calls: tuple[RawCall, ...], finish_reason: Any
) -> dict[str, Any]:
    if finish_reason is not None and unusable(finish_reason):
        told = repr(finish_reason)[:80]
        raise BrokenReply(f"the server answered the finish reason {told}, expected text")
    refused = refusal is not None or finish_reason == "content_filter"
    if text is None and not calls and not refused:
        raise BrokenReply(f"the server answered an empty choice (finish reason {finish_reason})")
    shown = text if text is not None else refusal or ""
    if reason := unusable(shown):
        raise BrokenReply(reason)
    return {"text": shown, "calls": calls, "finish_reason": finish_reason, "refused": refused}


def _listed(owner: Any, name: str) -> list[Any]:
    """A list of a reply; empty where there is none."""
    value = getattr(owner, name, None)
    if value is not None and not isinstance(value, list):
        raise BrokenReply(
            f"the server answered `{name}` as {type(value).__name__}, expected a list"
        )
    return value or []


def _is_function(call: Any) -> bool:
    """Whether a tool call is one of a function; some servers leave the type out."""
    return getattr(call, "type", None) in (None, "function")


def _call(call: Any, number: int) -> RawCall:
    """A function call; what is wrong with its name or arguments is told when it is to be answered."""
    function = getattr(call, "function", None)
    if function is None:
        raise BrokenReply("the server answered a tool call without a function")
    name, made = getattr(function, "name", None), getattr(call, "id", None)
    return RawCall(
        id=printable(made) if isinstance(made, str) and made else f"call_{number}",
        name=printable(name) if isinstance(name, str) else "",
        arguments=_as_json(getattr(function, "arguments", None)),
    )


def _as_json(arguments: Any) -> str:
    """Arguments as JSON text, which is how they are meant to come; some servers send the object."""
    if arguments is None:
        return ""
    return printable(arguments if isinstance(arguments, str) else json.dumps(arguments))


def _usage(counts: Any) -> Usage | None:
    """The tokens that a server counted; None where it counted none, or what is no count."""
    found = [getattr(counts, name, None) for name in ("prompt_tokens", "completion_tokens")]
    asked, made = (n if type(n) is int and 0 <= n <= LARGEST else None for n in found)
    if asked is None or made is None:
        return None
    return Usage(prompt_tokens=asked, completion_tokens=made)


async def _assembled(stream: AsyncIterator[Any]) -> dict[str, Any]:
    """The fields of a Completion from a stream of its pieces."""
    pieces: list[str] = []
    refusals: list[str] = []
    calls: dict[int, dict[str, str]] = {}
    finish_reason = usage = None
    length = count = 0
    async for chunk in stream:
        count += 1
        usage = getattr(chunk, "usage", None) or usage
        for choice in _listed(chunk, "choices")[:1]:
            if choice is None or choice.delta is None:
                raise BrokenReply("the server streamed an empty choice")
            finish_reason = choice.finish_reason or finish_reason
            pieces.append(_piece(choice.delta, "content"))
            refusals.append(_piece(choice.delta, "refusal"))
            length += len(pieces[-1]) + len(refusals[-1])
            for call in _listed(choice.delta, "tool_calls"):
                known = calls.setdefault(call.index, {"id": "", "name": "", "arguments": ""})
                known["id"] += _piece(call, "id")
                if call.function is not None:
                    known["name"] += _piece(call.function, "name")
                    written = _as_json(getattr(call.function, "arguments", None))
                    known["arguments"] += written
                    length += len(written)
        _check_size(length, count)
    if finish_reason is None:
        raise BrokenReply(f"the stream ended after {len(''.join(pieces))} characters, unfinished")
    made = tuple(RawCall(**call) for _, call in sorted(calls.items()))
    answer = _answer("".join(pieces), "".join(refusals) or None, made, finish_reason)
    return {**answer, "usage": _usage(usage)}


def _check_size(length: int, count: int) -> None:
    """Refuse a stream that has no end."""
    if length > LONGEST_STREAM:
        raise BrokenReply(f"the stream went on past {LONGEST_STREAM:,} characters")
    if count > MOST_PIECES:
        raise BrokenReply(f"the stream went on past {MOST_PIECES:,} pieces")


def _piece(owner: Any, name: str) -> str:
    """A piece of a streamed text; empty where there is none."""
    value = getattr(owner, name, None)
    if value is not None and not isinstance(value, str):
        raise BrokenReply(f"the server streamed `{name}` as {type(value).__name__}, expected text")
    return value or ""


def _without(key: str, answer: dict[str, Any]) -> dict[str, Any]:
    """An answer as it may be kept: a server may repeat the key that it was sent in any part of it."""
    if len(key) < SHORTEST_SECRET:
        return answer

    def hidden(value: Any) -> Any:
        if isinstance(value, RawCall):
            shown = {name: hidden(getattr(value, name)) for name in ("id", "name", "arguments")}
            return RawCall(**shown)
        if isinstance(value, tuple):
            return tuple(hidden(inner) for inner in value)
        return value.replace(key, "***") if isinstance(value, str) else value

    return {name: hidden(value) for name, value in answer.items()}


def _told(error: Exception) -> str:
    """Tell why a request failed, and why it is not sent again where a server wants it later."""
    text, wait_s = describe(error), _retry_after(error)
    if not _passing(error) or not _too_long(wait_s):
        return text
    return f"{text}; the server asks to wait {wait_s:.7g} s, more than {LONGEST_WAIT_S:g} s"


def _too_long(wait_s: float | None) -> bool:
    return wait_s is not None and wait_s > LONGEST_WAIT_S


def _passing(error: Exception) -> bool:
    """Whether the same request may succeed later. A spent quota does not come back by waiting."""
    if isinstance(error, APIStatusError):
        told = error.response.headers.get("x-should-retry")
        if told in ("true", "false"):
            return told == "true"
        status = error.status_code
        return (status in (408, 409, 429) or status >= 500) and error.code != "insufficient_quota"
    return isinstance(error, APIConnectionError | TimedOut)


def _retry_after(error: Exception) -> float | None:
    """Seconds that the server asks to wait; None where it names no time."""
    if not isinstance(error, APIStatusError):
        return None
    headers: Mapping[str, str] = error.response.headers
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            return max(0.0, float(headers.get(name, "")) / unit)
        except ValueError:
            continue
    try:
        date = parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, (date - datetime.now(date.tzinfo)).total_seconds())
    except (TypeError, ValueError):
        return None
