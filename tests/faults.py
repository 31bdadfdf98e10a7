"""Runs of a small project that are killed at random points, and what must be true afterwards."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sample_project import SampleProject

CASES = 60
SUITE = (
    "@pytest.mark.gate(at_least=0.5)\n"
    "def test_right(case, output):\n    assert output.text == case.expected_output\n"
)
# Every call is logged before its answer can be stored. Case 7 is answered wrong.
ANSWERING = (
    "import os\n"
    "from pathlib import Path\n"
    "LOG = Path(__file__).with_name('calls.log')\n"
    "def answer(text: str) -> str:\n"
    "    with LOG.open('a') as log:\n        log.write(text + '\\n')\n"
    "    return 'no' if text.endswith('c7') else 'yes'\n"
)
# What tells one run of the same thing from another.
TIMES = ("run_id", "started", "finished", "git")


def set_up(project: SampleProject) -> None:
    """Write a project of two suites on a Python system that logs its calls."""
    project.suite(SUITE, systems={"a": {f"c{i}": "" for i in range(CASES)}})
    twin = (project.evals / "test_toy.py").read_text()
    project.write("evals/test_twin.py", twin.replace("toy.jsonl", "twin.jsonl"))
    cases = (project.evals / "toy.jsonl").read_text()
    project.write("evals/twin.jsonl", cases.replace('"c', '"d').replace("question c", "question d"))
    project.write("evals/answering.py", ANSWERING)
    project.write(
        "evals/rung.yaml", "systems:\n  a: {kind: python, callable: 'answering:answer'}\n"
    )


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start pytest as the leader of a process group, so that its workers die with it."""
    command = [sys.executable, "-m", "pytest", "evals", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def run(folder: Path, *arguments: str) -> float:
    """Run to the end; return how long it took."""
    began = time.monotonic()
    process = start(folder, *arguments)
    text, _ = process.communicate(timeout=120)
    assert process.returncode == 0, text.decode()
    return time.monotonic() - began


def forget(project: SampleProject) -> None:
    """Remove everything that runs left."""
    for name in (".rung", "reports"):
        shutil.rmtree(project.folder / name, ignore_errors=True)
    (project.evals / "calls.log").unlink(missing_ok=True)


def calls(project: SampleProject) -> int:
    log = project.evals / "calls.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


def stored_outputs(project: SampleProject) -> int:
    file = project.folder / ".rung" / "cache.db"
    if not file.exists():
        return 0
    with sqlite3.connect(file) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master").fetchall()
        if ("outputs",) not in tables:
            return 0
        return int(connection.execute("SELECT count(*) FROM outputs").fetchone()[0])


def figures(project: SampleProject) -> dict[str, Any]:
    """What an undisturbed run and a resumed one have in common: all but times and the cached share."""
    document = project.document()
    for name in TIMES:
        document.pop(name)
    counts = document["counts"]
    counts["generated"] += counts.pop("cached")
    for row in document["usage"]:
        for name in ("cached", "latency_p50_s", "latency_p95_s"):
            row.pop(name)
    scores = [
        tuple(
            row[name] for name in ("suite", "system", "case", "epoch", "metric", "state", "value")
        )
        for row in project.table("scores")
    ]
    return {"document": document, "scores": sorted(scores)}


def kill_and_resume(project: SampleProject, *, points: int, seed: int, mode: list[str]) -> None:
    """Kill runs at random points of their duration, resume each, and compare with a whole one."""
    rng = random.Random(seed)
    duration = run(project.folder, *mode)
    whole = figures(project)
    for _ in range(points):
        forget(project)
        process = start(project.folder, *mode)
        time.sleep(rng.uniform(0.1, 1.05) * duration)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        kept, asked = stored_outputs(project), calls(project)
        assert kept >= asked - 2, "what was answered is stored, but for the call of each worker"
        for folder in (project.folder / "reports").glob("2*"):
            assert project.document(folder)["counts"]["planned"] == 2 * CASES, "no run is half"
        run(project.folder, *mode)
        assert calls(project) - asked == 2 * CASES - kept, "what is stored is not asked again"
        assert figures(project) == whole
