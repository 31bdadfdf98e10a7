"""The same results whatever the mode: workers, replays, other plugins; and no cost to others."""

from __future__ import annotations

import json
import sys

import pytest
from sample_project import SampleProject

RIGHT = (
    "@pytest.mark.gate(at_least=0.5)\n"
    "def test_right(case, output):\n    assert output.text == case.expected_output\n"
)
COUNTING = (
    "from pathlib import Path\n"
    "LOG = Path(__file__).with_name('calls.log')\n"
    "def answer(text: str) -> str:\n"
    "    with LOG.open('a') as log:\n        log.write(text + '\\n')\n"
    "    return 'yes'\n"
)
HEAVY = (
    "torch",
    "transformers",
    "numpy",
    "pandas",
    "scipy",
    "pyarrow",
    "faiss",
    "sentence_transformers",
)


def counting(project: SampleProject, cases: int = 6) -> list[str]:
    """Set up a Python system that logs its calls; return the ids of its cases."""
    ids = [f"c{i}" for i in range(cases)]
    project.suite(RIGHT, systems={"a": dict.fromkeys(ids, "")})
    project.write("evals/answering.py", COUNTING)
    project.write(
        "evals/rung.yaml", "systems:\n  a: {kind: python, callable: 'answering:answer'}\n"
    )
    return ids


def calls(project: SampleProject) -> list[str]:
    log = project.evals / "calls.log"
    return log.read_text().splitlines() if log.exists() else []


def comparable(document: dict) -> dict:
    """What must not depend on when and how a run was made."""
    left_out = ("run_id", "started", "finished", "environment", "usage", "counts")
    return {k: v for k, v in document.items() if k not in left_out}


@pytest.mark.parametrize("mode", [["-n", "2"], ["-p", "no:xdist"], ["--items=suite"]])
def test_every_mode_gives_the_same_run(project: SampleProject, answers, mode) -> None:
    project.suite(RIGHT, systems={"a": answers(1, 2), "b": answers(7)})
    second = (project.evals / "test_toy.py").read_text()
    project.write("evals/test_twin.py", second)
    assert project.run().ret == 0
    serial = comparable(project.document())
    scores = sorted(map(json.dumps, project.table("scores")))
    result = project.run_outside(*mode)
    assert result.ret == 0
    assert comparable(project.document()) == serial
    assert sorted(map(json.dumps, project.table("scores"))) == scores


def test_workers_generate_each_output_once(project: SampleProject) -> None:
    ids = counting(project)
    assert project.run_outside("-n", "2").ret == 0
    assert sorted(calls(project)) == [f"question {i}" for i in ids]


def test_the_second_run_asks_nothing(project: SampleProject) -> None:
    counting(project)
    project.run()
    asked = calls(project)
    assert project.run().ret == 0
    assert calls(project) == asked
    assert project.document()["counts"]["cached"] == 6


def test_only_what_is_new_is_asked(project: SampleProject) -> None:
    counting(project)
    project.run()
    with (project.evals / "toy.jsonl").open("a") as cases:
        cases.write('{"id": "new", "input": "question new", "expected_output": "yes"}\n')
    project.run()
    assert calls(project)[6:] == ["question new"]


def test_correcting_a_label_keeps_the_answers(project: SampleProject) -> None:
    counting(project)
    project.run()
    file = project.evals / "toy.jsonl"
    file.write_text(file.read_text().replace('"yes"', '"no"', 1))
    assert project.run().ret == 0
    assert len(calls(project)) == 6
    assert project.estimate("right", "a")["missed"] == 1


def test_changing_the_code_of_a_system_asks_again(project: SampleProject) -> None:
    counting(project)
    project.run()
    project.write("evals/answering.py", COUNTING.replace("'yes'", "'no'"))
    sys.modules.pop("answering", None)
    project.run()
    assert len(calls(project)) == 12


def test_fresh_asks_again(project: SampleProject) -> None:
    counting(project)
    project.run()
    project.run("--fresh")
    assert len(calls(project)) == 12


def test_a_system_that_only_fails_is_given_up_and_said_so(project: SampleProject) -> None:
    counting(project, cases=9)
    project.write("evals/answering.py", COUNTING.replace("return 'yes'", "raise OSError('down')"))
    system = "{kind: python, callable: 'answering:answer', max_failures: 4, engine: {num_cpus: 2}}"
    project.write("evals/rung.yaml", f"systems:\n  a: {system}\n")
    result = project.run()
    assert result.ret == 1
    assert len(calls(project)) == 4
    result.stdout.fnmatch_lines(["rung: a not asked after 4 failures in a row *OSError: down*"])
    counts = project.document()["counts"]
    assert (counts["errored"], counts["not_run"]) == (4, 5)


def test_replay_shows_what_is_not_there_as_not_run(project: SampleProject) -> None:
    counting(project)
    project.run("--case", "c1")
    result = project.run("--replay")
    assert result.ret == 0, "neither green nor red"
    assert len(calls(project)) == 1
    result.assert_outcomes(passed=1, skipped=6)  # five cases, and the gate
    document = project.document()
    assert document["counts"] == {
        "planned": 6,
        "generated": 0,
        "cached": 1,
        "not_run": 5,
        "errored": 0,
    }
    assert [g["state"] for g in document["gates"]] == ["not_judged"]


def test_narrowing_narrows_the_batch(project: SampleProject) -> None:
    counting(project)
    project.run("-k", "c2 or c3")
    assert calls(project) == ["question c2", "question c3"]


def test_a_system_that_is_left_out_need_not_be_there(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(cases=2), "later": answers(cases=2)})
    (project.evals / "outputs/later.jsonl").unlink()
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*later.jsonl: systems.later.outputs: cannot be read*"])
    project.run("--system", "a").assert_outcomes(passed=3)  # two cases, a gate
    (row,) = project.document()["systems"]
    assert row["name"] == "a"
    page = (project.latest / "report.html").read_text("utf-8")
    assert "none in this run" in page
    assert "not set up" not in page


def test_collecting_imports_nothing_heavy(project: SampleProject, answers) -> None:
    project.suite(
        RIGHT.replace("assert", "contains(output.text, 'e')\n    assert"),
        systems={"a": answers(), "b": answers()},
    )
    module = project.evals / "test_toy.py"
    module.write_text("from harness.assertions import contains\n" + module.read_text())
    script = (
        "import sys\n"
        f"HEAVY = {HEAVY!r}\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in HEAVY:\n"
        "            raise ImportError(f'{name} must not be imported to collect')\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "import pytest\n"
        "sys.exit(pytest.main(['--collect-only', '-q', 'evals']))\n"
    )
    project.write("collect.py", script)
    result = project.pytester.runpython("collect.py")
    assert result.ret == 0, result.stderr.str()
    result.stdout.fnmatch_lines(["21 tests collected*"])
    assert not (project.folder / "reports").exists()
    assert not (project.folder / ".rung" / "cache.db").exists()


def test_a_project_that_does_not_name_the_plugin_is_untouched(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_plain():\n    assert True\n")
    result = pytester.runpytest_subprocess("-v", "--system", "x")
    assert result.ret == 4
    result = pytester.runpytest_subprocess("-v")
    assert result.ret == 0
    # The interpreter is named, and may lie in a folder of that name.
    assert "rung" not in result.stdout.str().replace(sys.executable, "")


def test_ordinary_tests_beside_suites_are_ordinary(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(cases=2)})
    project.write("evals/test_plain.py", "def test_plain():\n    assert 1 == 2\n")
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes(passed=3, failed=1)


def test_hooks_of_others_see_every_item(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(1, cases=3)})
    project.write(
        "conftest.py",
        'pytest_plugins = ["harness.plugin"]\n'
        "def pytest_runtest_call(item):\n    print('called', item.name)\n",
    )
    result = project.run("-s")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*called test_right[[]a:c0[]]*"])


def test_a_process_that_is_killed_keeps_what_was_answered(project: SampleProject) -> None:
    ids = counting(project)
    killing = COUNTING.replace(
        "    return 'yes'",
        "    import os, signal\n"
        "    if not LOG.with_name('calm').exists() and text == 'question c3':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return 'yes'",
    )
    project.write("evals/answering.py", killing)
    project.write(
        "evals/rung.yaml",
        "systems:\n  a: {kind: python, callable: 'answering:answer', concurrency: 1}\n",
    )
    assert project.run_outside().ret != 0
    assert not (project.folder / "reports" / "latest").exists()
    before = calls(project)
    project.write("evals/calm", "")
    assert project.run_outside().ret == 0
    again = calls(project)[len(before) :]
    assert sorted(set(before) - {"question c3"} | set(again)) == [f"question {i}" for i in ids]
    assert set(again) & set(before) <= {"question c3"}, "nothing is answered twice"
    assert project.document()["counts"]["cached"] == len(before) - 1


ASYNC_TESTS = """
import asyncio, pytest, systems
from pathlib import Path
from harness.types import Case, SystemSpec

pytestmark = pytest.mark.PLUGIN

async def test_of_a_user():
    await asyncio.sleep(0)

async def test_a_system_answers_under_a_running_loop():
    loop = asyncio.get_running_loop()
    options = {"callable": "answering:answer"}
    folder = Path(__file__).parent
    spec = SystemSpec(name="a", kind="python", rung="prompt", folder=folder, options=options)
    (output,) = systems.load(spec).generate([Case(id="c", input="?")], epoch=0)
    assert output.text == "yes"
    assert asyncio.get_running_loop() is loop
    await asyncio.sleep(0)
"""


@pytest.fixture(params=["anyio", "asyncio"])
def coroutine_plugin(request: pytest.FixtureRequest, project: SampleProject) -> str:
    """What runs a user's coroutines as tests: its mark; every coroutine is one, marked or not."""
    if request.param == "asyncio":
        pytest.importorskip("pytest_asyncio", reason="pytest-asyncio is not installed")
    other = "asyncio" if request.param == "anyio" else "anyio"
    project.write("pytest.ini", f"[pytest]\naddopts = -p no:{other}\n{request.param}_mode = auto\n")
    return str(request.param)


def test_asyncio_tests_of_a_user_and_asynchronous_systems_leave_each_other_alone(
    project: SampleProject, coroutine_plugin: str
) -> None:
    counting(project)
    project.write(
        "conftest.py",
        "import pytest\npytest_plugins = ['harness.plugin']\n"
        "@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n",
    )
    project.write(
        "evals/answering.py",
        "import asyncio\n"
        "async def answer(text: str) -> str:\n    await asyncio.sleep(0)\n    return 'yes'\n",
    )
    for name in ("a_before", "z_after"):
        project.write(f"evals/test_{name}.py", ASYNC_TESTS.replace("PLUGIN", coroutine_plugin))
    result = project.run_outside()
    result.assert_outcomes(passed=4 + 6 + 1)
    assert project.estimate("right", "a")["value"] == 1.0


def test_a_coroutine_is_no_metric_for_them_either(
    project: SampleProject, answers, coroutine_plugin: str
) -> None:
    project.suite("async def test_right(output):\n    assert False\n", systems={"a": answers()})
    result = project.run_outside()
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*cannot be a coroutine*"])


def test_a_run_imports_no_library_of_models_and_nothing_that_only_some_need(
    project: SampleProject,
) -> None:
    counting(project)
    assert project.run_outside().ret == 0
    blocked = ("torch", "transformers", "pandas", "sklearn", "openai", "ray", "scipy.stats")
    project.write(
        "again.py",
        "import sys\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.startswith({blocked!r}):\n"
        "            raise AssertionError(f'{name} must not be imported when nothing changed')\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "import pytest\n"
        "sys.exit(pytest.main(['-q', 'evals']))\n",
    )
    result = project.pytester.runpython("again.py")
    assert result.ret == 0, result.stdout.str() + result.stderr.str()
    assert project.document()["counts"]["cached"] == 6
