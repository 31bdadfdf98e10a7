"""What people say at the desk changes what `rung verdict` says, at once and in the next run."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from click.testing import CliRunner
from sample_project import SampleProject, jsonl

from harness.cli.verdict import verdict as verdict_command
from harness.desk.progress import expected_hash
from harness.error_analysis.misses import answer_hash
from harness.store import write_document
from harness.types import Case

CASES, MISSED = 100, 60
SYSTEMS = ("zero", "two", "ten")
BODY = "def test_says(case, output):\n    assert output.text.startswith('yes')\n"
CONFIG = """
suites: {toy: {target: 0.9, champion: ten}}
"""


def answers(system: str) -> dict[str, str]:
    return {
        f"c{i:03d}": f"{'no' if i < MISSED else 'yes'} says {system} of {i}" for i in range(CASES)
    }


def tag(number: int, tag: str | None = None, **changes: object) -> dict[str, object]:
    """A line as the desk writes it when somebody presses the digit of a reason."""
    return {
        "at": f"2026-01-01T00:00:{number % 60:02d}+00:00", "who": "ana", "run": "r",
        "suite": "toy", "system": "ten", "case": f"c{number:03d}", "epoch": 0,
        "answer_hash": answer_hash(answers("ten")[f"c{number:03d}"]),
        "label": "wrong", "tag": tag, "order": "misses", **changes,
    }  # fmt: skip


@pytest.fixture
def project_with_misses(project: SampleProject) -> SampleProject:
    systems = {name: answers(name) for name in SYSTEMS}
    systems["ten"]["c059"] = "yes, the best of them"
    project.suite(BODY, systems=systems, extra=CONFIG)
    project.write(
        "evals/rung.yaml",
        "systems:\n"
        + "".join(
            f"  {name}: {{kind: recorded, outputs: outputs/{name}.jsonl, rung: prompt}}\n"
            for name in SYSTEMS
        )
        + CONFIG,
    )
    project.run()
    return project


def say(project: SampleProject, *rows: dict[str, object]) -> None:
    file = project.folder / "evals/labels/toy.jsonl"
    file.parent.mkdir(exist_ok=True)
    file.write_text((file.read_text() if file.exists() else "") + jsonl(rows))


def verdict(project: SampleProject) -> dict[str, Any]:
    """What `rung verdict --json` says in the project's folder, where pytester stands."""
    printed = CliRunner().invoke(verdict_command, ["--json"], catch_exceptions=False).output
    found: dict[str, Any] = json.loads(printed)["verdicts"][0]
    return found


def with_effort(project: SampleProject) -> None:
    """Write into the stored evidence that examples were tried: recorded answers do not tell."""
    document = project.document()
    document["verdicts"][0]["evidence"]["selection"] = {"few_shot_tried": True}
    write_document(project.latest, document)


def test_tagging_misses_changes_what_the_verdict_says(project_with_misses) -> None:
    project = project_with_misses
    with_effort(project)
    before = verdict(project)
    assert before["action"] == "collect_data"
    say(project, *(tag(i, "missing_fact") for i in range(55)))
    after = verdict(project)
    assert (after["action"], after["row"]) == ("climb_to_rag", "7")
    assert after["evidence"]["misses"]["causes"] == {"missing_fact": 55}
    assert after["evidence"]["misses"]["system"] == "ten"


def test_pressing_the_digit_of_missing_fact_on_the_page_changes_the_verdict(
    project_with_misses,
) -> None:
    testclient = pytest.importorskip("starlette.testclient")
    label_desk = pytest.importorskip("harness.desk.label_desk")
    from harness.desk.door import Door
    from harness.desk.outputs import RunOutputs

    project = project_with_misses
    with_effort(project)
    assert verdict(project)["action"] == "collect_data"
    options = label_desk.Options(evals=project.evals, suite="toy", system="ten")
    desk = label_desk.LabelDesk(RunOutputs(project.latest), options)
    home = "http://127.0.0.1:8123"
    app = Door(label_desk.label_app(desk), tokens={"token": "ana"}, port=8123)
    browser = testclient.TestClient(app, base_url=home, follow_redirects=False)
    browser.get("/?token=token")
    place = 0
    for _ in range(55):
        shown = browser.get(f"/item?suite=toy&system=ten&order=misses&place={place}").text
        said = {
            "suite": "toy", "system": "ten", "order": "misses", "place": str(place),
            "hash": re.search(r'data-hash="(\w+)"', shown)[1],
            "label": "wrong", "tag": "missing_fact",
        }  # fmt: skip
        place = browser.post("/answer", json=said, headers={"origin": home}).json()["next"]
    assert "enough causes are known" in browser.get("/progress?suite=toy&system=ten").text
    assert verdict(project)["action"] == "climb_to_rag"


def test_the_next_run_hears_of_the_tags_as_well(project_with_misses) -> None:
    project = project_with_misses
    say(project, *(tag(i, "missing_fact") for i in range(55)), tag(60, "too chatty"))
    project.run()
    document = project.document()
    counts = {
        (r["system"], r["category"]): r["by_hand"] for r in document["categories"] if r["by_hand"]
    }
    assert counts == {("ten", "missing_fact"): 55}
    evidence = document["verdicts"][0]["evidence"]
    assert evidence["misses"]["causes"] == {"missing_fact": 55}
    assert verdict(project)["evidence"]["misses"] == evidence["misses"]


def test_the_misses_file_counts_like_a_tag(project_with_misses) -> None:
    project = project_with_misses
    rows = [f"ten,c{i:03d},,,,missing fact,," for i in range(55)]
    header = "system,case_id,metric,answer_hash,by_rule,category,note,answer"
    project.write("evals/toy.misses.csv", "\n".join([header, *rows]) + "\n")
    assert verdict(project)["evidence"]["misses"]["causes"] == {"missing_fact": 55}


def test_wrong_expected_answers_found_in_an_audit_are_fixed_first(project_with_misses) -> None:
    project = project_with_misses
    checked = [tag(i, "bad_label" if i < 12 else None, order="random") for i in range(60)]
    say(project, *checked)
    found = verdict(project)
    assert found["action"] == "fix_eval"
    assert found["evidence"]["audit"] == {"checked": 60, "wrong": 12}
    assert "12 of 60 checked labels are wrong" in found["sentence"] + str(found["reasons"])
    project.run()
    assert project.document()["labels"][0]["audit"] == {"checked": 60, "wrong": 12}
    assert project.document()["verdicts"][0]["action"] == "fix_eval"


def test_an_expected_answer_that_was_mended_is_no_longer_wrong(project_with_misses) -> None:
    project = project_with_misses
    was = expected_hash(Case(id="c", input="", expected_output="another"))
    now = expected_hash(Case(id="c", input="", expected_output="yes"))
    say(
        project,
        *(tag(i, "bad_label", order="random", expected_hash=was) for i in range(12)),
        *(tag(i, order="random", expected_hash=now) for i in range(12, 60)),
    )
    assert verdict(project)["evidence"]["audit"] == {"checked": 48, "wrong": 0}


def test_labels_of_answers_that_have_changed_do_not_count(project_with_misses) -> None:
    project = project_with_misses
    say(project, *(tag(i, "missing_fact", answer_hash="0" * 12) for i in range(55)))
    assert "misses" not in verdict(project)["evidence"]


def test_a_bad_row_of_the_misses_file_is_told_and_not_traced(project_with_misses) -> None:
    project = project_with_misses
    project.write("evals/toy.misses.csv", "system,case_id,metric,category\nten,c000,,misin_fact\n")
    result = project.rung("verdict")
    assert result.ret != 0
    result.stderr.fnmatch_lines(["*toy.misses.csv:2*category*"])
    assert "Traceback" not in result.stderr.str()
