"""When a verdict has to be judged anew: what it stands on has changed."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from harness.config import Project

Row = Mapping[str, Any]

DECIDES = ("champion", "target", "decides", "split", "cluster")  # of a suite's row in run.json
MEASURES = ("content_hash", "metrics", "decides", "split", "cluster")
FLOORS = ("at_least", "every_epoch")  # of a gate: another floor measures nothing else
# Early runs kept none of these and must not go stale by an upgrade. Every run since has `suite`, so
# that its absence tells an early one.
ADDED_LATER = ("suite", "gates", "general skills")
# What a verdict never heard of cannot have changed it: a system of today, its model, ...
PARTIES = ("system ", "model ", "judge ", "rubric ")


def stale(verdict: Row, now: Mapping[str, str]) -> tuple[str, ...]:
    """Name what has changed since a verdict was given: cases, training data, prices, a system, ...

    Parameters
    ----------
    verdict : mapping
        A row of run.json's `verdicts`.
    now : mapping
        Present hashes by what they are of, as `stands_on` gives them. What either side lacks
        counts as changed, except systems, models and judges that were not part of the verdict, and
        what early runs did not keep.
    """
    before: Mapping[str, str] = verdict.get("evidence", {}).get("stands_on", {})
    early = ADDED_LATER if "suite" not in before else ()
    changed = [_told(name, was) for name, was in before.items() if not _same(was, now.get(name))]
    added = [name for name in now if name not in before and name not in early]
    return (*changed, *(name for name in added if not name.startswith(PARTIES)))


def _same(before: str, now: str | None) -> bool:
    """Early runs kept what a system answers with, and not yet what part it plays."""
    return now is not None and (now == before or now.startswith(f"{before} ("))


def _told(name: str, before: str) -> str:
    """A model of this machine is known by its files, any other by its name."""
    weights = name.startswith("model ") and before.startswith("sha256:")
    return f"{name} (weights)" if weights else name


def stale_sentence(verdict: Row, now: Mapping[str, str]) -> str | None:
    """The same in words; None while the verdict holds."""
    changed = stale(verdict, now)
    if not changed:
        return None
    return (
        f"this verdict is stale: changed since are {', '.join(changed)}; run `pytest evals/` again"
    )


def stands_on(document: Row, suite: Row, project: Project) -> dict[str, str]:
    """Hashes of everything that a verdict on a suite rests on, by what they are of.

    Parameters
    ----------
    document : mapping
        A run's document, or what one of today would hold: its `suites`, `systems` and `judges`.
    suite : mapping
        One of its suites.
    project : Project
        Names the files that the verdict reads.
    """
    config, decision = project.suites.get(suite["name"]), project.decision
    found = {
        "cases": suite["content_hash"],
        "metrics": _hash(suite["metrics"]),
        "suite": _hash({name: suite.get(name) for name in DECIDES}),
        "decision": _hash({**asdict(decision), "target": suite["target"], "prices": None}),
    }
    gates = _gates(_module(suite, project))
    if gates is not None:
        found["gates"] = _hash(gates)
    retained = config.retained if config is not None else None
    skills = next((s for s in document["suites"] if s["name"] == retained), None)
    if skills is not None:
        found["general skills"] = _hash({name: skills.get(name) for name in MEASURES})
    # What tuning forgets is measured from the champion of the general skills on.
    names = {*suite["systems"], *([skills.get("champion")] if skills is not None else [])}
    rows = sorted((s for s in document["systems"] if s["name"] in names), key=lambda s: s["name"])
    found |= dict(_models(rows, project))
    found |= {f"system {row['name']}": f"{row['fingerprint']}{_part(row, project)}" for row in rows}
    found |= dict(_judges(document, suite, project))
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


def _module(suite: Row, project: Project) -> Path:
    return project.root / str(suite.get("file", f"evals/test_{suite['name']}.py"))


def _gates(module: Path) -> list[tuple[str, list[str]]] | None:
    """Which metrics are gated and how, but for the floors: the gated ones decide where none is named."""
    try:
        tree = ast.parse(module.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None
    return [
        (node.name, sorted(ast.unparse(k) for k in mark.keywords if k.arg not in FLOORS))
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
        for mark in node.decorator_list
        if isinstance(mark, ast.Call) and ast.unparse(mark.func).endswith("mark.gate")
    ]


def _models(rows: list[Row], project: Project) -> Iterator[tuple[str, str]]:
    """The base models of systems, told apart from what else their answers depend on."""
    for row in rows:
        spec, model = project.systems.get(row["name"]), row.get("parts", {}).get("model")
        if spec is not None and spec.model is not None and model is not None:
            yield f"model {spec.model.name}", model


def _part(row: Row, project: Project) -> str:
    """What part a system plays, which changes no answer and yet the verdict."""
    spec = project.systems.get(row["name"])
    if spec is None:
        return ""
    return f" ({spec.rung}{', a probe' if spec.name in project.probes else ''})"


def _judges(document: Row, suite: Row, project: Project) -> Iterator[tuple[str, str]]:
    """The judges of a suite and their rubrics; the version of a judged metric ends in its judge."""
    for row in document.get("judges", ()):
        if row["suite"] == suite["name"]:
            yield f"judge {row['judge']}", row["version"].rpartition("-")[2]
            rubric = _file_hash(_module(suite, project).parent / row["rubric"])
            if rubric is not None:
                yield f"rubric {row['rubric']}", rubric


def _hash(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
