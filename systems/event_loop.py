"""Many coroutines at once from synchronous code, on a loop of our own.

A thread of its own holds the loop, so that a loop which already runs in the calling thread (a
notebook, an asyncio test) is never touched.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class EventLoop:
    """An asyncio loop in a daemon thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="rung-event-loop", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            while not self._run_until_stopped():
                pass
        finally:
            self._loop.close()

    def _run_until_stopped(self) -> bool:
        """Run the loop; false when a task's KeyboardInterrupt or SystemExit broke out of it.

        asyncio raises these two out of the loop, besides in the task that awaits their task, which
        can only end if the loop goes on.
        """
        try:
            self._loop.run_forever()
        except (KeyboardInterrupt, SystemExit):
            return False
        return True

    def each(
        self, work: Callable[[T], Awaitable[R]], items: Sequence[T], *, concurrency: int
    ) -> Iterator[R]:
        """Yield `work(item)` of each item as it ends, at most `concurrency` under way at once.

        `work` must not raise: what went wrong belongs into its result. Leaving the iteration
        early cancels what is still under way, and begins nothing more.
        """
        abandoned = False
        done: queue.SimpleQueue[R | BaseException] = queue.SimpleQueue()

        async def main() -> None:
            left = iter(
                items
            )  # shared by the workers: a task for each of a million items is not free

            async def worker() -> None:
                for item in left:
                    if abandoned:  # `work` may have taken its cancellation for an outcome
                        return
                    try:
                        done.put(await work(item))
                    except BaseException as error:  # handed to the caller's thread
                        done.put(error)
                        return

            workers = (worker() for _ in range(min(concurrency, len(items))))
            await asyncio.gather(*workers, return_exceptions=True)

        future = asyncio.run_coroutine_threadsafe(main(), self._loop)
        try:
            for _ in items:
                result = done.get()
                if isinstance(result, BaseException):
                    raise result
                yield result
        finally:
            abandoned = True
            future.cancel()

    def close(self) -> None:
        """Cancel what is under way, and end the loop and its thread."""
        if self._loop.is_closed():
            return

        async def cancel_all() -> None:
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        ending = asyncio.run_coroutine_threadsafe(cancel_all(), self._loop)
        ending.add_done_callback(lambda _: self._loop.call_soon_threadsafe(self._loop.stop))
        self._thread.join(timeout=5)
