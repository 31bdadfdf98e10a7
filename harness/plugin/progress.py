"""What a user sees while a batch runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from time import monotonic
from typing import Any

import pytest


class BatchProgress:
    """Shows batches through pytest's terminal reporter, with its capture lifted meanwhile."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._bar: Any = None
        self._lifted: Any = None

    def start(self, system: str, total: int) -> None:
        """Announce a batch."""
        self._system, self._total, self._done, self._began = system, total, 0, monotonic()
        capture: Any = self._config.pluginmanager.getplugin("capturemanager")
        self._lifted = capture.global_and_fixture_disabled() if capture is not None else None
        if self._lifted is not None:
            self._lifted.__enter__()
        reporter: Any = self._config.pluginmanager.getplugin("terminalreporter")
        self._line = reporter.ensure_newline if reporter is not None else lambda: None
        self._line()
        if reporter is not None and reporter.isatty:
            from rich.progress import Progress

            self._bar = Progress(transient=True)
            self._bar.start()
            self._task = self._bar.add_task(system, total=total)
        self._reporter = reporter

    def advance(self) -> None:
        """Count one more answer."""
        self._done += 1
        if self._bar is not None:
            self._bar.advance(self._task)

    def finish(self, *, gave_up: str | None) -> None:
        """Say how many answers came, how long they took, and why the rest was not asked for."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if self._reporter is not None and self._config.get_verbosity() >= 0:
            took = monotonic() - self._began
            self._reporter.write_line(
                f"rung: {self._system} answered {self._done:,} of {self._total:,} in {took:.1f} s"
            )
            if gave_up is not None:
                self._reporter.write_line(f"rung: {self._system} {gave_up}", yellow=True)
        if self._lifted is not None:
            self._lifted.__exit__(None, None, None)
            self._lifted = None
