"""`--until-decided`: no more outputs than the gates and the target need, the rest shown as not run."""

from __future__ import annotations

import pytest
from sample_project import SampleProject

COUNTING = (
    "from pathlib import Path\n"
    "LOG = Path(__file__).with_name('calls.log')\n"
    "def answer(text: str) -> str:\n"
    "    with LOG.open('a') as log:\n        log.write(text + '\\n')\n"
    "    return 'no' if int(text.rsplit('c', 1)[1]) % {every} == 0 else 'yes'\n"
)
BODY = (
    "@pytest.mark.gate(at_least={floor})\n"
    "def test_right(case, output):\n    assert output.text == case.expected_output\n"
)


def prepare(project: SampleProject, *, floor: float, every: int, cases: int = 300) -> None:
    """A system that misses every n-th case, against a floor."""
    ids = [f"c{i}" for i in range(cases)]
    project.suite(BODY.format(floor=floor), systems={"a": dict.fromkeys(ids, "")})
    project.write("evals/answering.py", COUNTING.format(every=every))
    project.write(
        "evals/rung.yaml",
        "systems:\n  a: {kind: python, callable: 'answering:answer', concurrency: 1}\n",
    )


def calls(project: SampleProject) -> list[str]:
    return (project.evals / "calls.log").read_text().splitlines()


@pytest.mark.parametrize(("floor", "state", "code"), [(0.3, "passed", 0), (0.98, "failed", 1)])
def test_a_clear_case_needs_few_outputs(project: SampleProject, floor, state, code) -> None:
    prepare(project, floor=floor, every=4)
    assert project.run_outside("-q", "--until-decided").ret == code
    asked = len(calls(project))
    assert 20 <= asked <= 120
    assert asked % 20 == 0, "looks are at whole batches"
    document = project.document()
    assert document["until_decided"] is True
    assert [gate["state"] for gate in document["gates"]] == [state]
    assert document["counts"]["generated"] == asked
    assert document["counts"]["not_run"] == 300 - asked
    assert project.estimate("right", "a")["not_run"] == 300 - asked


def test_a_close_call_runs_to_the_end(project: SampleProject) -> None:
    prepare(project, floor=0.75, every=4, cases=60)
    assert project.run_outside("-q", "--until-decided").ret == 0
    assert len(calls(project)) == 60


@pytest.mark.parametrize("decides", ["", ", decides: [right, brief]"])
def test_a_target_is_for_the_deciding_metrics_together(project: SampleProject, decides) -> None:
    """Each metric alone is soon above the target; a case must pass both, and that is not."""
    prepare(project, floor=0.01, every=4, cases=200)
    module = project.evals / "test_toy.py"
    module.write_text(
        module.read_text()
        + "\n@pytest.mark.gate(at_least=0.01)\ndef test_brief(case, output):\n"
        + "    assert int(case.id[1:]) % 4 != 1\n"
    )
    with (project.evals / "rung.yaml").open("a") as file:
        file.write(f"suites: {{toy: {{target: 0.5{decides}}}}}\n")
    assert project.run("-q", "--until-decided").ret == 0
    assert len(calls(project)) > 100


def test_the_order_is_fixed_by_the_seed_and_not_by_the_file(project: SampleProject) -> None:
    prepare(project, floor=0.3, every=4)
    project.run_outside("-q", "--until-decided")
    first = calls(project)
    file = project.evals / "toy.jsonl"
    file.write_text("".join(reversed(file.read_text().splitlines(keepends=True))))
    (project.evals / "calls.log").unlink()
    project.run_outside("-q", "--until-decided", "--fresh")
    assert calls(project) == first


def test_other_fixtures_are_refused(project: SampleProject) -> None:
    prepare(project, floor=0.3, every=4, cases=20)
    module = project.evals / "test_toy.py"
    module.write_text(module.read_text().replace("(case, output)", "(case, output, tmp_path)"))
    result = project.run_outside("-q", "--until-decided")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*this metric uses other fixtures*"])
