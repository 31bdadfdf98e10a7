"""When a verdict has to be judged anew: what it stands on has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.config import Project


def stale(verdict: Mapping[str, Any], now: Mapping[str, str]) -> tuple[str, ...]:
    """Name what has changed since a verdict was given: cases, training data, prices, a system, ...

    Parameters
    ----------
    verdict : mapping
        A row of run.json's `verdicts`.
    now : mapping
        Present hashes by what they are of, as `stands_on` gives them. What either side
        lacks counts as changed, except systems that were not part of the verdict.
    """
    before: Mapping[str, str] = verdict.get("evidence", {}).get("stands_on", {})
    changed = [name for name, digest in before.items() if now.get(name) != digest]
    added = [name for name in now if name not in before and not name.startswith("system ")]
    return (*changed, *added)


def stale_sentence(verdict: Mapping[str, Any], now: Mapping[str, str]) -> str | None:
    """The same in words; None while the verdict holds."""
    changed = stale(verdict, now)
    if not changed:
        return None
    return (
        f"this verdict is stale: changed since are {', '.join(changed)}; run `pytest evals/` again"
    )


def stands_on(
    document: Mapping[str, Any], suite: Mapping[str, Any], project: Project
) -> dict[str, str]:
    """Hashes of everything that a verdict on a suite rests on, by what they are of."""
    config, decision = project.suites.get(suite["name"]), project.decision
    fingerprints = {
        s["name"]: s["fingerprint"] for s in document["systems"] if s["name"] in suite["systems"]
    }
    found = {
        "cases": suite["content_hash"],
        "metrics": _hash(suite["metrics"]),
        "decision": _hash({**asdict(decision), "target": suite["target"], "prices": None}),
    }
    found |= {f"system {name}": digest for name, digest in sorted(fingerprints.items())}
    files = {
        "training": config.training if config is not None else None,
        "prices": decision.prices,
        "pilot": f"pilots/{suite['name']}.json",
    }
    for name, path in files.items():
        digest = _file_hash(project.folder / path) if path is not None else None
        if digest is not None:
            found[name] = digest
    return found


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
