"""The published simulation, at a small scale: figures within honest tolerances of the design's."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    out = tmp_path_factory.mktemp("statistics")
    command = [sys.executable, "-m", "benchmarks.statistics", "--scale", "0.01", "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    assert (out / "README.md").read_text().startswith("# Statistics, measured with known truth")
    rows = json.loads((out / "figures.json").read_text())["figures"]
    return {(row["section"], row["what"]): row for row in rows}


def test_the_readme_quotes_the_stored_figures(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.statistics.figures import Figure
    from benchmarks.statistics.quote import quote, quoted_in

    stored = json.loads((ROOT / "benchmarks/statistics/figures.json").read_text())
    assert stored["scale"] == 1
    found = [Figure(**{k: v for k, v in row.items() if k != "agrees"}) for row in stored["figures"]]
    page = (ROOT / "README.md").read_text("utf-8")
    assert quoted_in(page, quote(found)) == page


def test_a_small_loss_everywhere_is_found_by_the_look_at_all_suites(figures):
    found = of(figures, "8 suites looked at as one", "a loss of 5")
    assert len(found) == 2
    assert all(f["value"] > 0.8 for f in found)


def of(figures, section, what=""):
    return [f for (s, w), f in figures.items() if s.startswith(section) and what in w]


def test_nearly_all_figures_are_those_of_the_design(figures):
    compared = [f for f in figures.values() if f["agrees"] is not None]
    assert len(compared) > 200
    assert sum(f["agrees"] for f in compared) >= 0.93 * len(compared)


def test_intervals_cover_and_the_textbook_one_does_not(figures):
    (wilson,) = of(figures, "Coverage of 95 %", "n = 20, wilson, mean")
    (wald,) = of(figures, "Coverage of 95 %", "n = 20, wald, mean")
    assert wilson["value"] > 0.94
    assert wald["value"] < 0.86


def test_unchanged_builds_hardly_ever_raise_an_alarm(figures):
    alarms = of(figures, "100 unchanged builds", "builds with an alarm")
    assert len(alarms) == 2
    assert all(f["value"] <= 0.01 for f in alarms)
    usual = of(figures, "The usual gates", "> 2 points")
    assert all(f["value"] > 0.6 for f in usual)


def test_a_ten_point_drop_is_caught(figures):
    caught = of(figures, "A drop in one of 8", "10 points, n 400, flips 0.11")
    assert all(f["value"] > 0.9 for f in caught)


def test_stopping_early_saves_half_the_cases_with_the_undecided_shown(figures):
    (saved,) = of(figures, "`--until-decided` with", "saved against a fixed 400, the published mix")
    assert saved["value"] >= 0.48
    assert of(
        figures, "`--until-decided` with", "most left undecided in one world, the published mix"
    )


def test_a_million_cases_are_compared_within_two_gigabytes(figures):
    (memory,) = of(figures, "A full comparison", "peak memory, GB")
    assert memory["value"] < 2
