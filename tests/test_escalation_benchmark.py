"""The decision in worlds of known truth: a quick version of `python -m benchmarks.decision`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def figures(tmp_path_factory):
    out = tmp_path_factory.mktemp("decision")
    command = [sys.executable, "-m", "benchmarks.decision", "--scale", "0.03", "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    assert (out / "README.md").read_text("utf-8").startswith("# The decision")
    return {figure["what"]: figure for figure in json.loads((out / "figures.json").read_text())}


def held(figures, words):
    return [figure for what, figure in figures.items() if words in what]


def test_wrong_escalations_are_as_rare_as_promised(figures):
    wrong = held(figures, "wrong escalation")
    assert len(wrong) == 6
    for figure in wrong:
        # Not above the promise beyond the doubt of a few replicates.
        assert figure["low"] <= figure["most"], figure
    assert all(figure["value"] == 0 for figure in held(figures, "wrong escalation, easy"))


def test_a_clear_case_for_a_gpu_is_seldom_missed(figures):
    (missed,) = held(figures, "missed escalation")
    assert missed["n"] >= 10
    assert missed["value"] <= missed["most"]


def test_forecasts_hold_what_they_say(figures):
    for figure in held(figures, "80 % forecast interval"):
        assert figure["low"] <= figure["most"]
        assert figure["high"] >= figure["least"]
    for figure in held(figures, "P >= .8"):
        assert figure["high"] >= figure["least"]


def test_the_published_figures_keep_every_promise():
    published = ROOT / "benchmarks" / "decision" / "figures.json"
    for figure in json.loads(published.read_text("utf-8")):
        assert figure["met"], figure["what"]
        if "wrong escalation" in figure["what"] and "random" not in figure["what"]:
            assert figure["n"] >= 5000


def test_the_readme_quotes_the_published_table():
    published = (ROOT / "benchmarks" / "decision" / "README.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    _, _, rest = readme.partition("<!-- decision: begin.")
    quoted = rest.partition("<!-- decision: end -->")[0].strip().splitlines()
    rows = [line for line in quoted if line.startswith("| Rung")]
    assert len(rows) == 2
    for row in rows:
        name, right, *_ = (cell.strip() for cell in row.strip("|").split("|"))
        assert f"| {name} | {right} (" in published
    figures = json.loads((ROOT / "benchmarks" / "decision" / "figures.json").read_text("utf-8"))
    assert quoted[-1].endswith(f"{len(figures)} of {len(figures)} promises kept.")
