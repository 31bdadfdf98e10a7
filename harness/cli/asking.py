"""A system of rung.yaml that answers through the project's cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import systems
from harness.cache import Cache
from harness.cli.workspace import Workspace
from harness.runner import Batch, Runner
from harness.types import Case, Output, Rung, SystemSpec
from systems.fingerprint import fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedSystem:
    """Asked once for each case and epoch, whatever asks again."""

    spec: SystemSpec
    runner: Runner
    digest: str

    @classmethod
    @contextmanager
    def opened(cls, workspace: Workspace, name: str) -> Iterator[CachedSystem]:
        """Open the cache for as long as the system is asked."""
        spec = workspace.project().system(name)
        state = workspace.state
        state.folder.mkdir(parents=True, exist_ok=True)
        cache = Cache(state.cache)
        try:
            runner = Runner(load=systems.load, cache=cache)
            yield cls(spec=spec, runner=runner, digest=fingerprint(spec, memo=state.hashes).digest)
        finally:
            cache.close()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def rung(self) -> Rung:
        return self.spec.rung

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield the answers; what was not run is an error that says so."""
        batch = Batch(spec=self.spec, fingerprint=self.digest, cases=cases, epochs=(epoch,))
        for (case_id, _), answer in self.runner.run(batch).items():
            reason = answer.reason or "not run"
            yield answer.output or Output(case_id=case_id, epoch=epoch, text="", error=reason)
