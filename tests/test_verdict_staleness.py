"""A stored verdict says what it stood on and is another now: in `rung verdict`, after any edit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sample_project import jsonl

from harness.cli.verdict import verdict as verdict_command

RUNG = """
systems:
  a: {kind: recorded, outputs: outputs/a.jsonl, rung: prompt}
  b: {kind: recorded, outputs: outputs/b.jsonl, rung: prompt}
  skilled: {kind: recorded, outputs: outputs/a.jsonl, rung: prompt}
  later: {kind: recorded, outputs: outputs/not_there_yet.jsonl, rung: fine_tuned}
  judge: {kind: python, callable: 'judging:judge'}
suites:
  toy: {champion: a, target: 0.9, decides: [right], retained: skills}
  skills: {champion: skilled}
"""
TOY = """
import pytest
from shared import test_is_short, test_names

pytestmark = pytest.mark.suite(cases="toy.jsonl", systems=["a", "b"])

@pytest.mark.gate(at_least=0.05)
def test_right(case, output):
    assert output.text == case.expected_output

@pytest.mark.judge(system="judge", rubric="tone.txt")
def test_tone(judgement):
    assert judgement.passed
"""
SKILLS = """
import pytest

pytestmark = pytest.mark.suite(cases="skills.jsonl", systems=["skilled"])

def test_says_something(case, output):
    assert output.text
"""
SHARED = """
test_names = ("a name that begins like a test's and is none",)

def test_is_short(case, output):
    assert len(output.text) < 9
"""
JUDGE = 'def judge(text: str) -> str:\n    return \'{"pass": true, "reason": "kind"}\'\n'
CASES = [{"id": f"c{i}", "input": f"question {i}", "expected_output": "yes"} for i in range(40)]


def write(root: Path, **files: str) -> None:
    for name, text in files.items():
        place = root / "evals" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def run(root: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *arguments]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    done = subprocess.run(command, cwd=root, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> Path:
    """A project with one stored run of two suites, one of general skills."""
    root: Path = tmp_path_factory.mktemp("stored")
    (root / "conftest.py").write_text('pytest_plugins = ["harness.plugin"]\n')
    answers = {
        f"outputs/{name}.jsonl": jsonl(
            {"id": f"c{i}", "output": "no" if i < missed else "yes"} for i in range(40)
        )
        for name, missed in (("a", 30), ("b", 20))
    }
    files = {
        "rung.yaml": RUNG, "test_toy.py": TOY, "test_skills.py": SKILLS, "shared.py": SHARED,
        "judging.py": JUDGE, "tone.txt": "The answer is kind.",
        "toy.jsonl": jsonl(CASES), "skills.jsonl": jsonl(CASES),
    }  # fmt: skip
    write(root, **files, **answers)
    run(root, "evals")
    return root


@pytest.fixture
def root(stored, tmp_path, monkeypatch) -> Path:
    """A copy of it to edit; the current folder."""
    copy = tmp_path / "project"
    shutil.copytree(stored, copy, symlinks=True)
    monkeypatch.chdir(copy)
    return copy


def edit(root: Path, name: str, old: str, new: str) -> None:
    file = root / "evals" / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def said() -> dict[str, Any]:
    """What `rung verdict --json` says of the suite `toy`."""
    done = CliRunner().invoke(verdict_command, ["--json"], catch_exceptions=False)
    found: dict[str, Any] = json.loads(done.output)["verdicts"][0]
    return found


EDITS = {
    "an assert": ("test_toy.py", "==", "in", "metrics"),
    "a new metric": (
        "test_toy.py", "@pytest.mark.judge", "def test_ok(output):\n    pass\n\n@pytest.mark.judge",
        "metrics",
    ),
    "a metric that is gone": ("test_toy.py", "test_right", "test_rigid", "metrics"),
    "the champion": ("rung.yaml", "champion: a", "champion: b", "suite"),
    "what decides": ("rung.yaml", "[right]", "[right, tone]", "suite"),
    "the split": ("rung.yaml", "champion: a", "split: locked, champion: a", "suite"),
    "what clusters": ("test_toy.py", "systems=", 'cluster="author", systems=', "suite"),
    "the target": ("rung.yaml", "0.9", "0.8", "suite, decision"),
    "a gate": ("test_toy.py", "at_least=0.05", "critical=True", "gates"),
    "a case of the general skills": (
        "skills.jsonl", jsonl(CASES[:1]), "", "general skills",
    ),
    "an assert of the general skills": ("test_skills.py", "assert ", "assert not ", "general skills"),
    "that skills are general": (
        "rung.yaml", ", retained: skills", "", "general skills, system skilled",
    ),
    "the champion of the general skills": (
        "rung.yaml", "skilled: {kind: recorded, outputs: outputs/a", "skilled: {kind: recorded, outputs: outputs/b",
        "system skilled",
    ),
    "a probe": ("rung.yaml", "b.jsonl,", "b.jsonl, probe: true,", "system b"),
    "a rung": ("rung.yaml", "b.jsonl, rung: prompt", "b.jsonl, rung: rag", "system b"),
    "a rubric": ("tone.txt", "kind", "very kind", "rubric tone.txt"),
    "a judge": ("judging.py", "true", "false", "judge judge"),
}  # fmt: skip
STILL_HOLD = {
    "nothing": ("test_toy.py", "==", "=="),
    "the floor of a gate": ("test_toy.py", "at_least=0.05", "at_least=0.1"),
    "a comment": ("test_toy.py", "import pytest\n", "import pytest  # as usual\n"),
    "one more system": ("test_toy.py", '"b"]', '"b", "skilled"]'),
    "one more system, to be tuned": ("test_toy.py", '"b"]', '"b", "later"]'),
    "a system that nobody asks": ("rung.yaml", "  judge:", "  c: {kind: python, callable: 'x:y'}\n  judge:"),
}  # fmt: skip


@pytest.mark.parametrize("what", EDITS)
def test_a_verdict_names_what_was_edited_since(root, what) -> None:
    name, old, new, expected = EDITS[what]
    if what == "a metric that is gone":
        edit(root, "rung.yaml", "decides: [right], ", "")  # else there is nothing that decides
        expected = "metrics, suite, gates"
    edit(root, name, old, new)
    assert f"changed since are {expected};" in said()["stale"]


@pytest.mark.parametrize("what", STILL_HOLD)
def test_an_edit_that_changes_no_verdict_leaves_it_standing(root, what) -> None:
    edit(root, *STILL_HOLD[what])
    assert said()["stale"] is None


def test_a_system_whose_file_is_gone_is_named(root) -> None:
    (root / "evals/outputs/b.jsonl").unlink()
    assert "changed since are system b;" in said()["stale"]


def test_a_run_of_one_suite_does_not_stand_on_skills_that_it_did_not_ask(root) -> None:
    run(root, "evals/test_toy.py")
    assert said()["stale"] is None
    edit(root, "skills.jsonl", jsonl(CASES[:1]), "")
    assert said()["stale"] is None


def test_an_early_run_is_held_against_what_it_kept_and_no_more(root) -> None:
    file = (root / "reports/latest").resolve() / "run.json"
    document = json.loads(file.read_text())
    (row,) = document["verdicts"]
    kept = ("cases", "metrics", "decision", "system a", "system b")
    standing = {k: row["evidence"]["stands_on"][k].partition(" ")[0] for k in kept}
    row["evidence"]["stands_on"] = standing
    file.write_text(json.dumps(document))
    assert said()["stale"] is None
    edit(root, "rung.yaml", "suites:", "decision: {prices: prices.yaml}\nsuites:")
    write(root, **{"prices.yaml": "date: 2026-11-01\ncurrency: EUR\n"})
    edit(root, "test_toy.py", "==", "in")
    assert "changed since are metrics, prices;" in said()["stale"]
