"""Suites, run in a process of their own on systems that a file names beside the suites' own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from harness.errors import RungError


def run_suites(
    files: Sequence[Path], beside: Path, *, systems: Iterable[str], folder: Path
) -> Path:
    """Run suites on some systems, and return the folder of the stored run.

    Raises
    ------
    RungError
        There was no run, with the end of what was said instead.
    """
    named = list(dict.fromkeys(systems))
    command = [sys.executable, "-m", "pytest", *map(str, files), "--beside", str(beside)]
    command += ["--all-gates", "--baseline", "none", "-q", "-p", "no:cacheprovider"]
    for name in named:
        command += ["--system", name]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    latest = beside.parent / "runs" / "latest"
    if not (latest / "run.json").is_file():
        said = "\n".join((done.stdout + done.stderr).splitlines()[-20:])
        raise RungError(f"the suite could not be run on {', '.join(named)}:\n{said}")
    return latest.resolve()
