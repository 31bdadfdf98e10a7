"""Two projects in one session: each by its own rules, and nothing of one for the other."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_project import SampleProject

SUITE = (
    "import pytest\n"
    'pytestmark = pytest.mark.suite(cases="{name}.jsonl", systems=["{system}"])\n'
    "@pytest.mark.gate(at_least=0.9)\n"
    "def test_right(output):\n    assert output.text == 'from {name}'\n"
)


def write(project: SampleProject, name: str, system: str, module: str, extra: str = "") -> Path:
    """A project of one suite on a function that says where it is from."""
    folder = f"{name}/evals"
    project.write(f"{folder}/test_{name}.py", SUITE.format(name=name, system=system))
    project.write(f"{folder}/{name}.jsonl", '{"id": "c0", "input": "?"}\n')
    project.write(f"{folder}/{module}.py", f"def answer(text):\n    return 'from {name}'\n")
    return project.write(
        f"{folder}/rung.yaml",
        f"systems: {{{system}: {{kind: python, callable: '{module}:answer'}}}}\n"
        f"suites: {{{name}: {{target: 0.8}}}}\n{extra}",
    )


def run(project: SampleProject, *arguments: str) -> pytest.RunResult:
    return project.pytester.runpytest_inprocess("one/evals", "two/evals", *arguments)


@pytest.mark.parametrize("strict", ["one", "two"])
@pytest.mark.parametrize("undecided", ["one", "two"])
def test_an_undecided_gate_fails_the_build_where_its_own_project_says_so(
    project: SampleProject, strict, undecided
) -> None:
    for name in ("one", "two"):
        extra = "decision: {undecided: fail}\n" if name == strict else ""
        write(project, name, f"app-{name}", f"app_{name}", extra)
    project.write(f"{undecided}/evals/app_{undecided}.py", "def answer(text):\n    return 'no'\n")
    assert run(project).ret == (10 if strict == undecided else 0)


def test_each_suite_is_judged_as_its_own_project_says(project: SampleProject) -> None:
    for name in ("one", "two"):
        write(project, name, f"app-{name}", f"app_{name}", f"decision: {{alpha: 0.0{len(name)}}}\n")
    assert run(project).ret == 0
    (folder,) = (project.folder / "one/reports").glob("2*")
    document = project.document(folder)
    assert [verdict["suite"] for verdict in document["verdicts"]] == ["one", "two"]
    assert {row["value"] for row in document["estimates"]} == {1.0}


SAME = {
    "a system": ("app", "app", "app_one", "app_two", "two projects call a system 'app'*one*"),
    "a module": ("one", "two", "app", "app", "two projects have a module 'app': *one*app.py*two*"),
}


@pytest.mark.parametrize("what", SAME)
@pytest.mark.parametrize("mode", [[], ["-n", "2"]])
def test_what_has_one_name_in_both_is_refused(project: SampleProject, what, mode) -> None:
    first, second, module, other, said = SAME[what]
    write(project, "one", first, module)
    write(project, "two", second, other)
    result = project.pytester.runpytest_subprocess("one/evals", "two/evals", *mode)
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [f"*two/evals/rung.yaml: systems.*: {said}", "*Run the projects one after the other*"]
    )
    assert not list(project.folder.glob("*/reports"))


def test_a_system_that_is_left_out_may_have_any_name(project: SampleProject) -> None:
    write(project, "one", "app", "app_one")
    file = write(project, "two", "two", "app_two")
    file.write_text(file.read_text().replace("}}", "}, app: {kind: python, callable: 'x:y'}}", 1))
    assert run(project).ret == 0
