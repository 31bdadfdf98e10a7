"""The committed result of a pilot: `evals/pilots/<suite>.json`, with the hashes that it stands on."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.config import Project, schema
from harness.errors import ConfigError
from harness.escalation.document import evidence_from_json
from harness.pilot.standing import outdated, stale, standing_evidence

VERSION = 1
FOLDER = "pilots"
AGAIN = "Run `rung pilot` again."
# What evidence says beside a pilot: a record is checked with it, whichever suite it is of.
ANY_SUITE: Mapping[str, Any] = {
    "suite": "any",
    "target": 0.5,
    "systems": [{"name": "any", "rung": "prompt", "outcomes": {"passed": 0, "n": 1}}],
    "stands_on": {"metrics": ""},
}


def record_file(project: Project, suite: str) -> Path:
    """Where the pilot of a suite is kept."""
    return project.folder / FOLDER / f"{suite}.json"


def write_record(file: Path, record: Mapping[str, Any]) -> None:
    """Write it whole or not at all.

    Raises
    ------
    ConfigError
        No run could read it.
    """
    whole = {"schema_version": VERSION, **record}
    _check(whole, file)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False)
    partial.write_text(text + "\n", "utf-8")
    os.replace(partial, file)


def read_record(file: Path) -> dict[str, Any]:
    """Read it.

    Raises
    ------
    ConfigError
        It is damaged, of another suite, or of a version that this Rung does not know.
    """
    try:
        record = json.loads(file.read_text("utf-8"), parse_constant=_refuse_constant)
        version = record["schema_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"this is no record of a pilot: {error}", file=file) from None
    if version != VERSION:
        raise ConfigError(
            f"this record of a pilot has version {version}; this Rung reads {VERSION}",
            file=file,
            hint=AGAIN,
        )
    _check(record, file)
    return dict(record)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _check(record: Mapping[str, Any], file: Path) -> None:
    """Refuse what no verdict could stand on: a run would meet it at its end, after hours."""
    for error in _schema().iter_errors(record):
        raise _no_record(file, error.message, [str(part) for part in error.absolute_path])
    if record["suite"] != file.stem:
        raise ConfigError(f"this is a pilot of '{record['suite']}'", file=file, key="suite")
    try:
        evidence_from_json({**ANY_SUITE, **record["evidence"]})
    except ConfigError as error:
        raise _no_record(file, error.message, ["evidence", *filter(None, [error.key])]) from None


def _no_record(file: Path, why: str, path: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"this is no record of a pilot: {why:.200}",
        file=file,
        key=".".join(path) or None,
        hint=AGAIN,
    )


@cache
def _schema() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema("pilot"))


def record_rows(
    project: Project,
    suites: Sequence[str],
    present: Callable[[Mapping[str, Any]], Mapping[str, str]],
) -> list[dict[str, Any]]:
    """Rows of run.json's `pilots`: a stale one is there, said to be stale, and what fell is no evidence.

    `present` tells the hashes of now for a record.
    """
    rows = []
    for suite in suites:
        file = record_file(project, suite)
        if not file.is_file():
            continue
        record = read_record(file)
        changed = outdated(record, present(record))
        evidence = standing_evidence(record, changed)
        rows.append({**record, "stale": stale(changed), "evidence": evidence})
    return rows
