"""A system of rung.yaml that answers through the project's cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import systems
from harness.cache import Cache
from harness.cli.workspace import Workspace
from harness.runner import Answer, Batch, CachedSystem, Key, Runner
from harness.types import Case, SystemSpec
from systems.fingerprint import fingerprint


@contextmanager
def cached_system(workspace: Workspace, name: str) -> Iterator[CachedSystem]:
    """Open the cache for as long as a system is asked."""
    spec = workspace.project().system(name)
    state = workspace.state
    state.folder.mkdir(parents=True, exist_ok=True)
    digest = fingerprint(spec, memo=state.hashes).digest
    with closing(Cache(state.cache)) as cache:
        runner = Runner(load=systems.load, cache=cache)

        def ask(
            spec: SystemSpec, cases: Sequence[Case], epochs: Sequence[int]
        ) -> Mapping[Key, Answer]:
            return runner.run(Batch(spec=spec, fingerprint=digest, cases=cases, epochs=epochs))

        yield CachedSystem(spec=spec, ask=ask)
