"""What `rung pilot NAME` and `rung escalate NAME` speak of: a system to train, the suite that judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.cli.workspace import Workspace
from harness.errors import ConfigError, nearest
from harness.run import Suite
from harness.types import SystemSpec
from systems.recipe import read_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is piloted: a system of a suite, and the suite of general skills beside it."""

    suite: Suite
    system: SystemSpec | None  # None: every training was done elsewhere
    general: Suite | None

    @property
    def target(self) -> float:
        """Where the suite wants to get to."""
        value = self.suite.config.target
        if value is None:
            raise ConfigError(
                "a pilot asks whether a target is reached, and this suite has none",
                file=self.suite.project.file,
                key=f"suites.{self.suite.name}.target",
            )
        return value

    @property
    def name(self) -> str:
        """For folders and the record."""
        return self.system.name if self.system is not None else self.suite.name


def find_subject(
    workspace: Workspace, name: str, *, tuned_elsewhere: bool | None = None
) -> Subject:
    """Look up what `rung pilot NAME` means: a system with a recipe, or a suite that has one.

    Parameters
    ----------
    tuned_elsewhere
        Whether `--import` names what is judged; None where there is no such option.

    Raises
    ------
    ConfigError
        It is neither, or the suite has nothing to train.
    """
    project = workspace.project()
    suites = {suite.name: suite for suite in workspace.catalogue().suites.values()}
    if name in suites:
        suite = suites[name]
        system = next(iter(_trained_for(suite)), None)
    elif name in project.systems:
        system = project.systems[name]
        suite = _suite_of(system, suites)
    else:
        raise ConfigError(
            f"'{name}' is no suite and no system. {nearest(name, [*suites, *project.systems])}"
        )
    if tuned_elsewhere:
        system = None
    elif system is None or "recipe" not in system.options:
        raise _no_recipe(suite, system, offers_import=tuned_elsewhere is not None)
    return Subject(suite=suite, system=system, general=suites.get(suite.config.retained or ""))


def _trained_for(suite: Suite) -> list[SystemSpec]:
    """The systems with a recipe that a suite runs on, or whose rows are the suite's."""
    known = suite.project.systems.values()
    named = [spec for spec in suite.systems if "recipe" in spec.options]
    own = [spec for spec in known if "recipe" in spec.options and _trains(spec, suite)]
    return list({spec.name: spec for spec in (*named, *own)}.values())


def _no_recipe(suite: Suite, system: SystemSpec | None, *, offers_import: bool) -> ConfigError:
    example = "{kind: fine_tuned, model: ..., prompt: ..., recipe: FILE.yaml}"
    hints = [f"Add {suite.name}-lora: {example}."]
    message = f"no system of '{suite.name}' names a recipe: there is nothing to train"
    if system is not None:
        message = f"'{system.name}' names no recipe: there is nothing to train"
    if trained := _trained_for(suite):
        hints = [f"Those of '{suite.name}' that do: {', '.join(spec.name for spec in trained)}."]
    if offers_import:
        hints.append("Or say --import SIZE=SYSTEM for systems that were tuned elsewhere.")
    return ConfigError(message, file=suite.project.file, key="systems", hint=" ".join(hints))


def _trains(spec: SystemSpec, suite: Suite) -> bool:
    """Whether a system's recipe trains on the suite's training rows."""
    training = suite.config.training
    return training is not None and read_recipe(spec).data == (spec.folder / training).resolve()


def _suite_of(system: SystemSpec, suites: Mapping[str, Suite]) -> Suite:
    """The suite that a system is trained for: whose rows it trains on, else that it is judged in."""
    if "recipe" in system.options:
        for suite in suites.values():
            if _trains(system, suite):
                return suite
    for suite in suites.values():
        if system in suite.systems and suite.config.target is not None:
            return suite
    raise ConfigError(
        f"no suite with a target judges '{system.name}' or names its training rows",
        key=f"systems.{system.name}",
        hint="Name the suite: rung pilot SUITE.",
    )
