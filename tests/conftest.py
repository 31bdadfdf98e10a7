"""Small projects for the tests to run, as a user would write them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

# Before the libraries that read it: two workers with two threads each wait for each other on two cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy  # noqa: F401
import pyarrow.parquet  # noqa: F401
import pytest
import scipy.special  # noqa: F401
from hypothesis import settings
from sample_project import SampleProject

# Inner runs forget the modules they imported. Some cannot be imported twice in a process, and a
# package would go on handing out the first run's copies of the others.
import harness.plugin.finish
import harness.report  # noqa: F401

# A deadline is a timing assert: on a busy machine it fails for nothing.
settings.register_profile("checks", deadline=None)
settings.register_profile("fuzz", max_examples=5_000, deadline=None)  # `make fuzz`
settings.load_profile("checks")

ROOT = Path(__file__).resolve().parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


@pytest.fixture
def project(pytester: pytest.Pytester) -> SampleProject:
    """An empty project that names the plugin."""
    return SampleProject(pytester)


@pytest.fixture
def answers() -> Callable[..., dict[str, str]]:
    """Answers of a system to ten cases: `no` to the ones named, `yes` to the others."""

    def make(*missed: int, cases: int = 10) -> dict[str, str]:
        return {f"c{i}": "no" if i in missed else "yes" for i in range(cases)}

    return make


@pytest.fixture
def shared_data() -> Path:
    """The folder of public data with recorded truth, where it is there."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the public data is not there ({SHARED_DATA.name}/ beside the checkout)")
    return SHARED_DATA
