"""Any Python function as a system."""

from __future__ import annotations

import asyncio
import inspect
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Literal, TypeVar, cast

from harness.errors import ends_the_session
from harness.records import fault_of
from harness.types import Case, Output, Rung, SystemSpec
from systems.answers import TimedOut, describe, unusable
from systems.callables import import_callable
from systems.event_loop import EventLoop

T = TypeVar("T")
R = TypeVar("R")
Takes = Literal["text", "case", "list"]
ASYNC_CONCURRENCY = 8


class PythonSystem:
    """Calls a function with each case's input, or with the case, or once with all of them.

    The function may be asynchronous. It returns text, or an `Output` where it knows more (usage,
    passages, tool calls). What it raises on one case is that case's error, and so is an answer that
    took longer than `timeout_s`. A coroutine that blocks its thread cannot be interrupted: it is only
    found out when it is done.
    """

    def __init__(self, spec: SystemSpec) -> None:
        self.spec = spec
        self.timeout_s: float | None = spec.options.get("timeout_s")
        self._function: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def rung(self) -> Rung:
        return self.spec.rung

    @property
    def function(self) -> Callable[..., Any]:
        """The user's function, imported when first needed."""
        if self._function is None:
            self._function = import_callable(
                self.spec.options["callable"],
                folder=self.spec.folder,
                key=f"systems.{self.name}.callable",
            )
        return self._function

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield what the function answers for each case, as it answers."""
        if not cases:
            return
        takes, with_cases = self._takes()
        arguments = [case if with_cases else case.input for case in cases]
        if takes == "list":
            yield from self._answer_list(cases, arguments, epoch)
        elif is_async(self.function):
            yield from self._answer_async(cases, arguments, epoch)
        else:
            yield from self._answer_each(cases, arguments, epoch)

    def _takes(self) -> tuple[Takes, bool]:
        """How the function wants to be called, and whether with whole cases."""
        annotation = _first_annotation(self.function)
        with_cases = (
            "Case"
            in annotation.replace("[", " ")
            .replace("]", " ")
            .replace(".", " ")
            .replace(",", " ")
            .split()
        )
        many = annotation.startswith(("list[", "List[", "Sequence[", "collections.abc.Sequence["))
        guess: Takes = "text"
        if many and (with_cases or "[str]" in annotation):
            guess = "list"
        elif with_cases:
            guess = "case"
        takes = cast("Takes", self.spec.options.get("takes", guess))
        return takes, takes == "case" or (takes == "list" and with_cases)

    def _answer_list(
        self, cases: Sequence[Case], arguments: list[Any], epoch: int
    ) -> Iterator[Output]:
        error: str | None
        try:
            answers, _ = self._call(arguments)
            answers = list(answers)
            error = _wrong_count(len(answers), len(cases))
        except BaseException as raised:  # a function may also skip, exit or cancel
            answers, error = [], _told(raised)
        if error is not None:
            yield from (_errored(case, epoch, error) for case in cases)
            return
        for case, answer in zip(cases, answers, strict=True):
            yield _output(case, epoch, answer, None)

    def _answer_each(
        self, cases: Sequence[Case], arguments: list[Any], epoch: int
    ) -> Iterator[Output]:
        def answer(pair: tuple[Case, Any]) -> Output:
            case, argument = pair
            started = time.perf_counter()
            try:
                value, seconds = self._call(argument)
            except BaseException as error:
                return _errored(case, epoch, _told(error), time.perf_counter() - started)
            return _output(case, epoch, value, seconds)

        concurrency = self.spec.options.get("concurrency", 1)
        pairs = list(zip(cases, arguments, strict=True))
        if concurrency == 1:
            yield from map(answer, pairs)
        else:
            yield from each_in_threads(answer, pairs, concurrency=concurrency)

    def _answer_async(
        self, cases: Sequence[Case], arguments: list[Any], epoch: int
    ) -> Iterator[Output]:
        limit_s = float("inf") if self.timeout_s is None else self.timeout_s

        async def answer(pair: tuple[Case, Any]) -> Output:
            case, argument = pair
            started = time.perf_counter()
            value, reason, limit = None, None, asyncio.timeout(self.timeout_s)
            try:
                async with limit:
                    value = await self.function(argument)
            except BaseException as error:
                reason = _told(error)
            seconds = time.perf_counter() - started
            if limit.expired() or seconds > limit_s:  # or: a coroutine that blocks is never stopped
                reason = str(TimedOut(limit_s))
            if reason is not None:
                return _errored(case, epoch, reason, seconds)
            return _output(case, epoch, value, seconds)

        loop = EventLoop()
        try:
            concurrency = self.spec.options.get("concurrency", ASYNC_CONCURRENCY)
            pairs = list(zip(cases, arguments, strict=True))
            yield from loop.each(answer, pairs, concurrency=concurrency)
        finally:
            loop.close()

    def _call(self, argument: Any) -> tuple[Any, float]:
        """Call the function, in a thread that can be abandoned where there is a time limit."""
        started = time.perf_counter()
        if self.timeout_s is not None or is_async(self.function):
            value = call_within(self.function, argument, timeout_s=self.timeout_s)
        else:
            value = self.function(argument)
            if inspect.isawaitable(value):  # this thread may already run a loop
                value = call_within(_awaited, value, timeout_s=None)
        return value, time.perf_counter() - started


def each_in_threads(work: Callable[[T], R], items: Sequence[T], *, concurrency: int) -> Iterator[R]:
    """Yield `work(item)` of each item as it ends, at most `concurrency` under way at once.

    The threads are daemons, which an executor's are not: one that hangs never keeps the process alive.
    """
    waiting: queue.SimpleQueue[T] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[R | None, BaseException | None]] = queue.SimpleQueue()
    left = threading.Event()
    for item in items:
        waiting.put(item)

    def run() -> None:
        while not left.is_set():
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                done.put((work(item), None))
            except BaseException as error:  # handed to the caller's thread
                done.put((None, error))

    for _ in range(min(concurrency, len(items))):
        threading.Thread(target=run, daemon=True).start()
    try:
        for _ in items:
            result, error = done.get()
            if error is not None:
                raise error
            yield cast("R", result)
    finally:
        left.set()


def call_within(function: Callable[..., Any], argument: Any, *, timeout_s: float | None) -> Any:
    """Call a function in a thread of its own and give up on it after `timeout_s` seconds.

    The thread cannot be stopped; it is a daemon, so it never keeps the process alive.
    """
    result: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            value = function(argument)
            if inspect.isawaitable(value):
                value = asyncio.run(_awaited(value))
            result.put((value, None))
        except BaseException as error:  # handed to the caller's thread
            result.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        value, error = result.get(timeout=timeout_s)
    except queue.Empty:
        raise TimedOut(timeout_s) from None
    if error is not None:
        raise error
    return value


async def _awaited(value: Awaitable[Any]) -> Any:
    return await value


def _told(error: BaseException) -> str:
    """What a function raised, as its case's error; what ends the session goes on."""
    if ends_the_session(error):
        raise error
    return describe(error, with_place=True)


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object with an async __call__
    )


def _first_annotation(function: Callable[..., Any]) -> str:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # some builtins have no signature
        return ""
    if not parameters or parameters[0].annotation is inspect.Parameter.empty:
        return ""
    annotation = parameters[0].annotation
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _output(case: Case, epoch: int, value: Any, seconds: float | None) -> Output:
    if isinstance(value, Output):
        if reason := unusable(value.text):
            return _errored(case, epoch, reason, seconds)
        if fault := fault_of(value):
            return _errored(case, epoch, f"answered an output whose {fault}", seconds)
        latency = value.latency_s if value.latency_s is not None else seconds
        return replace(value, case_id=case.id, epoch=epoch, latency_s=latency)
    reason = unusable(value)
    if reason is not None:
        return _errored(case, epoch, reason, seconds)
    return Output(case_id=case.id, epoch=epoch, text=value, latency_s=seconds)


def _errored(case: Case, epoch: int, reason: str, seconds: float | None = None) -> Output:
    return Output(case_id=case.id, epoch=epoch, text="", latency_s=seconds, error=reason)


def _wrong_count(answers: int, cases: int) -> str | None:
    return (
        None if answers == cases else f"the function returned {answers} outputs for {cases} inputs"
    )
