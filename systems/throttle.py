"""How many requests a server is sent at once: more while it answers, fewer once it refuses."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

START = 16
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 8.0


class Throttle:
    """Places for requests on one event loop.

    The number of places doubles with every round of answers (slow start), up to `most` or to half
    of what was refused before; from there it grows by one a round. A refusal halves it. Of a round
    that is refused together, the first refusal counts.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.places = float(min(START, most))
        self.refusals = 0  # rounds refused since the last answer
        self._slow_start_until = float(most)
        self._round = 0
        self._under_way = 0
        self._resume_at = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[int]:
        """Wait for a place, and hold it; gives the round that this request belongs to."""
        while (pause := self._resume_at - time.monotonic()) > 0 or self._full:
            if pause > 0:
                await asyncio.sleep(pause)
            else:
                turn = asyncio.get_running_loop().create_future()
                self._waiting.append(turn)
                await turn
        self._under_way += 1
        try:
            yield self._round
        finally:
            self._under_way -= 1
            self._call_next()

    def answered(self) -> None:
        """Note that the server keeps up."""
        self.refusals = 0
        step = 1.0 if self.places < self._slow_start_until else 1 / self.places
        self.places = min(self.places + step, float(self.most))
        self._call_next()

    def refused(self, at: int) -> None:
        """Note that a request of round `at` was too many."""
        if at == self._round:
            self._round += 1
            self.refusals += 1
            self.places = self._slow_start_until = max(1.0, self.places // 2)

    def pause(self, seconds: float) -> None:
        """Let nobody begin before this time is over."""
        self._resume_at = max(self._resume_at, time.monotonic() + seconds)

    @property
    def _full(self) -> bool:
        return self._under_way >= int(self.places)

    def _call_next(self) -> None:
        free = int(self.places) - self._under_way
        while free > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # a request may have been given up meanwhile
                turn.set_result(None)
                free -= 1


def pause_after(failures: int, *, spread: float = 0.0) -> float:
    """Seconds to wait after so many failures in a row; `spread` (0 to 1) takes up to a quarter off."""
    pause = min(FIRST_PAUSE_S * 2.0 ** max(failures - 1, 0), LONGEST_PAUSE_S)
    return float(pause * (1 - spread / 4))
