"""Several projects in one session: each keeps its own rules, and they must be told apart."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.config import Project
from harness.errors import ConfigError
from harness.run import Suite
from harness.types import SystemSpec

HINT = "Run the projects one after the other, or rename one of the two."


def check_apart(asked: Iterable[tuple[Suite, SystemSpec]]) -> None:
    """Refuse what two projects have under one name: a run knows a system by its name, Python a module.

    Parameters
    ----------
    asked
        The systems of a session with the suites that they are asked for.
    """
    from systems.callables import module_beside

    systems: dict[str, Project] = {}
    modules: dict[str, Path | None] = {}
    for suite, spec in asked:
        other = systems.setdefault(spec.name, suite.project)
        if other.file != suite.project.file:
            raise ConfigError(
                f"two projects call a system '{spec.name}': this one and {other.file}",
                file=suite.project.file,
                key=f"systems.{spec.name}",
                hint=HINT,
            )
        if spec.kind != "python":
            continue
        name = str(spec.options["callable"]).partition(":")[0]
        found = module_beside(name, spec.folder)
        taken = modules.setdefault(name, found)
        if taken != found:
            where = " and ".join(str(file or "an installed one") for file in (taken, found))
            raise ConfigError(
                f"two projects have a module '{name}': {where}",
                file=suite.project.file,
                key=f"systems.{spec.name}.callable",
                hint=HINT,
            )
