"""The committed result of a pilot: `evals/pilots/<suite>.json`, with the hashes that it stands on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.config import Project
from harness.errors import ConfigError

VERSION = 1
FOLDER = "pilots"
WORDS = {
    "cases": "cases",
    "training": "training rows",
    "model": "base model",
    "recipe": "recipe",
    "system": "prompt or settings",
    "metrics": "metrics",
}


def record_file(project: Project, suite: str) -> Path:
    """Where the pilot of a suite is kept."""
    return project.folder / FOLDER / f"{suite}.json"


def write_record(file: Path, record: Mapping[str, Any]) -> None:
    """Write it whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    text = json.dumps({"schema_version": VERSION, **record}, indent=1, ensure_ascii=False)
    partial.write_text(text + "\n", "utf-8")
    os.replace(partial, file)


def read_record(file: Path) -> dict[str, Any]:
    """Read it.

    Raises
    ------
    ConfigError
        It is damaged, or of a version that this Rung does not know.
    """
    try:
        record = json.loads(file.read_text("utf-8"))
        version = record["schema_version"]
        complete = all(key in record for key in ("suite", "stands_on", "evidence"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"this is no record of a pilot: {error}", file=file) from None
    if version != VERSION or not complete:
        raise ConfigError(
            f"this record of a pilot has version {version}; this Rung reads {VERSION}",
            file=file,
            hint="Run `rung pilot` again.",
        )
    return dict(record)


def outdated(record: Mapping[str, Any], now: Mapping[str, str]) -> tuple[str, ...]:
    """Name what the pilot stood on and that is another now."""
    before: Mapping[str, str] = record["stands_on"]
    return tuple(name for name, value in before.items() if now.get(name) != value)


def record_rows(
    project: Project,
    suites: Sequence[str],
    present: Callable[[Mapping[str, Any]], Mapping[str, str]],
) -> list[dict[str, Any]]:
    """Rows of run.json's `pilots`: a stale pilot is there, said to be stale, and is no evidence.

    `present` tells the hashes of now for a record.
    """
    rows = []
    for suite in suites:
        file = record_file(project, suite)
        if not file.is_file():
            continue
        record = read_record(file)
        if record["suite"] != suite:
            raise ConfigError(f"this is a pilot of '{record['suite']}'", file=file, key="suite")
        changed = outdated(record, present(record))
        row: dict[str, Any] = {**record, "stale": list(changed)}
        if changed:
            what = ", ".join(WORDS.get(name, name) for name in changed)
            row["evidence"] = {
                "left_out": [
                    f"left out: the pilot is stale (changed since: {what}); run `rung pilot {suite}` again"
                ]
            }
        rows.append(row)
    return rows
