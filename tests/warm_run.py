"""A run of pytest in a process that is forked from one that has imported what a run imports.

Importing takes most of a small run's time, and says nothing about where it may be killed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

# By the process that is forked; it does not look where this module lies.
PRELOADED = [
    "pytest",
    "hypothesis",
    "anyio",
    "asyncio",
    "jsonschema",
    "pyarrow.parquet",
    "scipy.stats",
    "harness.plugin.finish",
    "harness.report",
]
SAID = "said.txt"


def run(folder: Path, arguments: list[str]) -> None:
    """Lead a process group, and run pytest in the folder as from the command line."""
    os.setsid()
    os.chdir(folder)
    said = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    sys.argv = ["pytest", *arguments]
    os._exit(pytest.main(arguments))
