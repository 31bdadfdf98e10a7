"""Odd answers and odd metrics in a suite: each has a score and a page, and none stops the others."""

from __future__ import annotations

from sample_project import SampleProject

ODD = {
    "empty": "",
    "huge": "yes " * 250_000,
    "rtl": "نعم \u202eyes",
    "emoji": "yes 👩🏽‍🚀",
    "nfd": "ye\u0301s",
    "control": "y\u0000es \u0007",
    "markup": "</script><img src=x onerror=alert(1)>yes",
}
BODY = """
import time
from harness.assertions import contains, matches

def test_says_yes(output):
    contains(output.text, "yes")

def test_prints_and_sleeps(output):
    print("about", output.case_id)
    time.sleep(0.01)
    assert output.text

def test_is_none_of_ours(output, score):
    score(float("nan") if output.case_id == "emoji" else 0.5)

def test_never_ends(output):
    matches("a" * 60 + "!", r"^(a|a|aa)*$", time_limit_s=0.05)
"""


def test_every_answer_has_a_score_and_the_run_a_page(project: SampleProject) -> None:
    project.suite(BODY, systems={"odd": ODD})
    result = project.run()
    assert result.ret == 1  # what crashes is red
    states = {(r["metric"], r["case"]): r["state"] for r in project.table("scores")}
    assert {c for c in ODD if states["says_yes", c] == "passed"} == {
        "huge", "rtl", "emoji", "markup",
    }  # fmt: skip
    assert {c for c in ODD if states["prints_and_sleeps", c] == "missed"} == {"empty"}
    assert {c for c in ODD if states["is_none_of_ours", c] == "errored"} == {"emoji"}
    assert {states["never_ends", c] for c in ODD} == {"errored"}  # its time limit, not a miss
    reasons = {r["reason"] for r in project.table("scores") if r["metric"] == "never_ends"}
    assert all(reason.startswith("TimeoutError") for reason in reasons)
    assert (project.latest / "report.html").stat().st_size < 3_000_000
    assert {r["case"]: len(r["text"] or "") for r in project.table("outputs")}["huge"] == 1_000_000
