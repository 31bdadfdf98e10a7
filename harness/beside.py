"""Systems that are judged beside a suite's own: what `rung pilot` and `rung escalate` trained.

A JSON file names them by suite, and where the run is to be kept. `pytest evals/ --beside FILE` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.config import Project
from harness.errors import ConfigError
from harness.types import ModelSpec, SystemSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """More systems, by the name of the suite that they are judged in."""

    suites: Mapping[str, tuple[SystemSpec, ...]] = field(default_factory=dict)
    reports: Path | None = None  # where the run goes; None: to the project's own


def write_beside(file: Path, beside: Beside) -> None:
    """Write the file that `--beside` reads."""
    document = {
        "reports": None if beside.reports is None else str(beside.reports),
        "suites": {
            suite: [{**asdict(spec), "folder": str(spec.folder)} for spec in specs]
            for suite, specs in beside.suites.items()
        },
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def read_beside(file: Path) -> Beside:
    """Read such a file; relative folders in it are relative to the file.

    Raises
    ------
    ConfigError
        The file is missing or is not one of these.
    """
    try:
        document = json.loads(file.read_text("utf-8"))
        reports = document["reports"]
        return Beside(
            suites={
                suite: tuple(_spec(entry, file.parent) for entry in entries)
                for suite, entries in document["suites"].items()
            },
            reports=None if reports is None else (file.parent / reports).resolve(),
        )
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file, key="--beside") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"is no file of systems: {type(error).__name__}: {error}",
            file=file,
            key="--beside",
            hint="`rung pilot` and `rung escalate` write them.",
        ) from None


def with_beside(project: Project, beside: Beside) -> Project:
    """The project with the systems of every suite in it, so that a verdict can look them up."""
    more = {spec.name: spec for specs in beside.suites.values() for spec in specs}
    return replace(project, systems={**project.systems, **more})


def _spec(entry: Mapping[str, Any], folder: Path) -> SystemSpec:
    model = entry["model"]
    return SystemSpec(
        **{
            **entry,
            "folder": (folder / entry["folder"]).resolve(),
            "model": None if model is None else ModelSpec(**model),
        }
    )
