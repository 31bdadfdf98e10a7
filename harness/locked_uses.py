"""The log of looks at locked cases: every run that judged some, narrowed ones and pilots included.

A verdict on locked cases is honest the first time. Each further look lets somebody choose by them, so each is
written down, one JSON line with `run` and `suite`, below `.rung/`; runs that are deleted stay counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

LOCKED = "locked"


def log_uses(file: Path, run_id: str, suites: Iterable[str]) -> None:
    """Write down that a run judged locked cases of these suites."""
    lines = [json.dumps({"run": run_id, "suite": suite}) + "\n" for suite in suites]
    if lines:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as log:
            log.writelines(lines)


def logged_uses(file: Path) -> dict[str, set[str]]:
    """The runs that judged locked cases, by suite; a line cut short by a kill is passed over."""
    found: dict[str, set[str]] = {}
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return found
    for line in lines:
        try:
            row = json.loads(line)
            found.setdefault(row["suite"], set()).add(row["run"])
        except (ValueError, KeyError, TypeError):
            continue
    return found
