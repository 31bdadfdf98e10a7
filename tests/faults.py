"""Runs of a small project that are killed at random points, and what must be true afterwards."""

from __future__ import annotations

import multiprocessing
import multiprocessing.process
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import warm_run
from sample_project import SampleProject

CASES = 60
WRITING = 0.5  # share of a run within which its folder is surely written
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
    with closing(sqlite3.connect(file)) as connection:
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


class Warm:
    """Runs of pytest that start at once: each is a process forked from one that has imported it all."""

    def __init__(self, project: SampleProject, *mode: str) -> None:
        self.project, self.mode = project, mode
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(warm_run.PRELOADED)

    def start(self) -> multiprocessing.process.BaseProcess:
        """Start a run as the leader of a process group, so that its workers die with it."""
        arguments = ["evals", "-q", "-p", "no:cacheprovider", *self.mode]
        process = self._context.Process(target=warm_run.run, args=(self.project.folder, arguments))
        process.start()
        return process

    def finish(self) -> float:
        """Run to the end; return how long it took."""
        began = time.monotonic()
        process = self.start()
        process.join(120)
        assert process.exitcode == 0, (self.project.folder / warm_run.SAID).read_text()
        return time.monotonic() - began

    def kill_after(self, seconds: float) -> None:
        process = self.start()
        process.join(seconds)
        self._kill(process)

    def kill_while_written(self, seconds: float) -> None:
        """Kill so long after the run's folder has appeared, in which tables and pages are written."""
        process = self.start()
        while process.is_alive() and not list(self.project.folder.glob("reports/.2*.partial")):
            time.sleep(0.001)
        process.join(seconds)
        self._kill(process)

    def _kill(self, process: multiprocessing.process.BaseProcess) -> None:
        if process.is_alive() and process.pid is not None:
            # Before it leads a group of its own, it has no workers either.
            if os.getpgid(process.pid) == process.pid:
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
        process.join()


def kill_and_resume(runs: Warm, alone: Warm, *, points: int, seed: int, written: bool) -> None:
    """Kill runs at random points, resume each, and compare with an undisturbed one.

    They are resumed without workers, which say the same in a third of the time; the last one as it was begun.
    """
    rng, project = random.Random(seed), runs.project
    runs.finish()
    forget(project)
    duration, whole = runs.finish(), figures(project)
    for point in range(points):
        forget(project)
        if written:
            runs.kill_while_written(rng.uniform(0, WRITING) * duration)
        else:
            runs.kill_after(rng.uniform(0.02, 1.05) * duration)
        kept, asked = stored_outputs(project), calls(project)
        assert kept >= asked - 2, "what was answered is stored, but for the call of each worker"
        for folder in (project.folder / "reports").glob("2*"):
            assert project.document(folder)["counts"]["planned"] == 2 * CASES, "no run is half"
        (alone if point < points - 1 else runs).finish()
        assert calls(project) - asked == 2 * CASES - kept, "what is stored is not asked again"
        assert figures(project) == whole
