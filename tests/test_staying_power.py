"""Whatever breaks: nothing that was answered is lost, nothing half-written is read, nothing leaks."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from contextlib import closing

import faults
import pytest
from sample_project import SampleProject
from test_systems_remote import Server, ok

KILLS = int(os.environ.get("RUNG_KILL_POINTS", "30"))
SECRET = "sk-planted-a81f3c"


@pytest.mark.parametrize("group", range(2))
@pytest.mark.parametrize("where", ["anywhere", "while it is written", "under two workers"])
def test_a_run_that_is_killed_is_resumed_without_a_difference(
    project: SampleProject, where: str, group: int
) -> None:
    seed = int(os.environ.get("RUNG_KILL_SEED") or random.SystemRandom().randrange(10**6))
    print(f"RUNG_KILL_SEED={seed}")
    faults.set_up(project)
    alone = faults.Warm(project)
    runs = faults.Warm(project, "-n", "2") if where == "under two workers" else alone
    faults.kill_and_resume(
        runs, alone, points=KILLS // 6, seed=seed, written=where == "while it is written"
    )


def test_two_runs_at_once_share_a_cache(project: SampleProject) -> None:
    faults.set_up(project)
    both = [faults.start(project.folder) for _ in range(2)]
    for process in both:
        text, _ = process.communicate(timeout=120)
        assert process.returncode == 0, text.decode()
    assert faults.stored_outputs(project) == 2 * faults.CASES
    runs = list((project.folder / "reports").glob("2*"))
    assert len(runs) == 2
    assert len({str(project.document(run)["estimates"]) for run in runs}) == 1


def test_a_disk_that_fills_up_is_told_and_costs_no_answer_twice(project: SampleProject) -> None:
    faults.set_up(project)
    # A limit on the size of files is what a full disk looks like to whoever writes.
    command = f"ulimit -f 40; exec {sys.executable} -m pytest evals -q -p no:cacheprovider"
    result = subprocess.run(
        ["bash", "-c", command], cwd=project.folder, capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 1, result.stdout
    assert "Is the disk full" in result.stdout
    assert "Traceback" not in result.stdout
    assert faults.calls(project) == 2 * faults.CASES, "nothing is asked twice"
    assert not (project.folder / "reports" / "latest").exists()
    faults.run(project.folder)
    assert faults.figures(project)["document"]["counts"]["generated"] == 2 * faults.CASES


@pytest.mark.parametrize("name", ["reports", ".rung"])
def test_a_folder_that_cannot_be_written_is_named(project: SampleProject, answers, name) -> None:
    project.suite(faults.SUITE, systems={"a": answers()})
    project.write(name, "a file stands where the folder should be")
    result = project.run()
    assert result.ret != 0
    text = result.stdout.str() + result.stderr.str()
    assert f"{name}{os.sep}" in text
    assert "INTERNALERROR" not in text


def test_damaged_answers_are_asked_for_again_and_counted(project: SampleProject) -> None:
    faults.set_up(project)
    faults.run(project.folder)
    with closing(sqlite3.connect(project.folder / ".rung" / "cache.db")) as connection, connection:
        connection.execute("UPDATE outputs SET checksum = checksum + 1 WHERE body LIKE '%\"c1%'")
    asked = faults.calls(project)
    result = project.run_outside("-q")
    assert result.ret == 0
    again = faults.calls(project) - asked
    assert again == 11, "c1 and c10 to c19"
    result.stdout.fnmatch_lines(["cache: 11 stored outputs were damaged and are asked for again"])


def test_an_earlier_run_that_is_damaged_costs_no_later_one(project: SampleProject, answers) -> None:
    target = "suites: {toy: {champion: a, target: 0.8}}\n"  # earlier runs tell what was tried
    project.suite(faults.SUITE, systems={"a": answers()}, extra=target)
    project.run("-q")
    earlier = project.latest
    (earlier / "run.json").write_text('{"schema_version"')
    result = project.run("-q")
    told = f"stored runs that cannot be read and count as none: {earlier.name}"
    result.stdout.fnmatch_lines([told])
    assert "INTERNALERROR" not in result.stdout.str()
    assert project.latest != earlier
    listed = project.rung("runs")
    assert listed.ret == 0
    assert project.latest.name in listed.stdout.str()
    listed.stderr.fnmatch_lines([f"{earlier.name} cannot be read: `rung runs {earlier.name}`*"])
    project.rung("runs", earlier.name).stderr.fnmatch_lines(["*run.json: this run is damaged: *"])


# Put into a project, it fails whatever reaches for another machine, and says who did.
NO_NETWORK = """
import socket
pytest_plugins = ["harness.plugin"]
HERE = {"127.0.0.1", "::1", "localhost", None, ""}
connect, look_up = socket.socket.connect, socket.getaddrinfo

def guarded(self, address):
    if isinstance(address, tuple) and address[0] not in HERE:
        raise AssertionError(f"reached for {address}")
    return connect(self, address)

def guarded_look_up(host, *args, **kwargs):
    if host not in HERE:
        raise AssertionError(f"looked up {host}")
    return look_up(host, *args, **kwargs)

socket.socket.connect = guarded
socket.socket.connect_ex = guarded
socket.getaddrinfo = guarded_look_up
"""
HOSTED = """
models:
  hosted: {{openai: m, base_url: '{url}', api_key_env: RUNG_TEST_KEY, max_retries: 0}}
systems:
  asked: {{kind: prompt, model: hosted, decoding: {{max_tokens: 5}}}}
  refused: {{kind: prompt, model: hosted, decoding: {{max_tokens: 6}}}}
"""


@pytest.fixture
def hosted(project: SampleProject, monkeypatch: pytest.MonkeyPatch):
    """A suite on a server that answers one system, and tells the other's key in its error."""
    monkeypatch.setenv("RUNG_TEST_KEY", SECRET)

    def answer(number, body):
        if body["max_tokens"] == 5:
            return ok("yes")
        return 401, {}, {"error": {"message": f"the key {SECRET} is not known"}}

    server = Server(answer)
    project.suite(
        faults.SUITE, systems={name: {"c0": "", "c1": ""} for name in ("asked", "refused")}
    )
    project.write("evals/rung.yaml", HOSTED.format(url=server.url))
    yield project
    server.http.shutdown()
    server.http.server_close()


def test_nothing_reaches_beyond_this_machine(hosted: SampleProject) -> None:
    hosted.write("conftest.py", NO_NETWORK)
    result = hosted.run_outside("-q")
    text = result.stdout.str()
    assert "reached for" not in text
    assert "looked up" not in text
    assert hosted.document()["counts"] == {
        "planned": 4, "generated": 2, "cached": 0, "not_run": 0, "errored": 2,
    }  # fmt: skip


def test_no_key_is_written_anywhere(hosted: SampleProject) -> None:
    result = hosted.run_outside("-v", "-rA", "--junitxml=junit.xml", "-o", "log_level=DEBUG")
    hosted.rung("report", "latest")
    checked = hosted.rung("check", "--json")
    shown = "".join(
        stream.str() for run in (result, checked) for stream in (run.stdout, run.stderr)
    )
    assert "***" in shown, "the server did tell it"
    assert SECRET not in shown
    files = [file for file in hosted.folder.rglob("*") if file.is_file()]
    assert len(files) > 10
    for file in files:
        assert SECRET.encode() not in file.read_bytes(), file
