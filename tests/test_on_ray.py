"""A system on Ray answers as it does here, whatever becomes of the processes and nodes it runs on."""

import json
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest
from systems_models import chat_model

import systems
from harness.errors import MissingExtraError, SystemFailure
from harness.types import Case, ModelSpec, SystemSpec

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

from ray.cluster_utils import Cluster  # noqa: E402

from systems.on_ray import RaySystem, load_on_ray  # noqa: E402

OBJECT_STORE = 80_000_000  # bytes; the least that Ray takes is 75 MB
CASES = [Case(id=f"c{i}", input=f"question {i}") for i in range(40)]

APP = """
import os

def answer(text):
    if text == "raises":
        raise KeyError("x")
    if text == "kills":
        os._exit(1)
    return None if text == "none" else text.upper()

def all_or_nothing(texts: list[str]):
    if "raises" in texts:
        raise KeyError("x")
    return [text.upper() for text in texts]
"""


@pytest.fixture(scope="module")
def local_cluster():
    """A cluster of this machine as Rung starts it, with a smaller store."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setattr("systems.on_ray.OBJECT_STORE", OBJECT_STORE)
        yield
        ray.shutdown()


@pytest.fixture
def app(tmp_path):
    """A python system of this test."""
    name = f"app_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(APP)

    def spec(function="answer"):
        options = {"callable": f"{name}:{function}"}
        return SystemSpec(
            name="app", kind="python", rung="prompt", folder=tmp_path, options=options
        )

    return spec


@pytest.fixture
def recorded(tmp_path):
    """A recorded system that lacks one case and holds an error."""
    rows = [{"id": case.id, "output": case.input[::-1], "latency_s": 0.5} for case in CASES[2:]]
    rows.append({"id": "c0", "error": "timed out"})
    (tmp_path / "out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    options = {"outputs": "out.jsonl"}
    return SystemSpec(name="old", kind="recorded", rung="prompt", folder=tmp_path, options=options)


def by_id(outputs):
    """Outputs by case, each case once; times are never the same twice."""
    outputs = [replace(output, latency_s=None) for output in outputs]
    assert max(Counter(output.case_id for output in outputs).values()) == 1
    return {output.case_id: output for output in outputs}


def on_ray(spec, cases=CASES, *, epoch=0, **options):
    system = RaySystem(spec, **{"replicas": 2, "num_cpus": 0.5, "batch": 8, **options})
    try:
        return by_id(system.generate(cases, epoch=epoch))
    finally:
        system.release()


@pytest.mark.usefixtures("local_cluster")
class TestOnOneMachine:
    @pytest.mark.parametrize("epoch", [0, 3])
    def test_a_python_system_answers_as_it_does_here(self, app, epoch):
        odd = [Case(id=word, input=word) for word in ("raises", "none")]
        cases = [*CASES[:12], *odd]
        here = by_id(systems.load(app()).generate(cases, epoch=epoch))
        assert on_ray(app(), cases, epoch=epoch) == here
        assert here["raises"].error.startswith("KeyError: 'x'")

    def test_a_recorded_system_answers_as_it_does_here(self, recorded):
        here = by_id(systems.load(recorded).generate(CASES, epoch=0))
        assert on_ray(recorded) == here
        assert {here["c0"].error, here["c1"].error} == {"timed out", "no recorded output"}

    def test_a_model_answers_the_same_batches_as_it_does_here(self, tmp_path):
        torch = pytest.importorskip("torch", reason="the extra `local` is not installed")
        (tmp_path / "prompt.j2").write_text("Say it again: {{ input }}")
        spec = SystemSpec(
            name="base",
            kind="prompt",
            rung="prompt",
            folder=tmp_path,
            model=ModelSpec(name="base", kind="transformers", source=chat_model()),
            options={"prompt": "prompt.j2", "decoding": {"max_tokens": 8, "temperature": 0}},
        )
        system, threads = systems.load(spec), torch.get_num_threads()
        torch.set_num_threads(1)  # as at a replica of one CPU
        try:
            here = [o for i in (0, 8) for o in system.generate(CASES[i : i + 8], epoch=0)]
        finally:
            torch.set_num_threads(threads)
        assert on_ray(spec, CASES[:16], replicas=1) == by_id(here)
        assert all(output.error is None for output in here)

    def test_a_system_that_cannot_be_built_errors_its_cases_with_what_to_do(self, app):
        outputs = on_ray(app("answr"), CASES[:3])
        assert len(outputs) == 3
        assert all("Did you mean 'answer'" in output.error for output in outputs.values())

    def test_an_exception_is_the_error_of_its_batch_alone(self, app):
        cases = [*CASES[:10], Case(id="bad", input="raises"), *CASES[10:20]]
        outputs = on_ray(app("all_or_nothing"), cases, batch=7)
        errored = {id for id, output in outputs.items() if output.error}
        assert errored == {case.id for case in cases[7:14]}
        assert len(outputs) == len(cases)

    def test_a_case_that_kills_its_process_is_tried_three_times_and_takes_no_other_along(self, app):
        cases = [*CASES[:5], Case(id="bad", input="kills"), *CASES[5:9]]
        outputs = on_ray(app(), cases, batch=4)
        assert len(outputs) == len(cases)
        assert [id for id, output in outputs.items() if output.error] == ["bad"]
        assert "lost at 3 attempts" in outputs["bad"].error
        attempts = {id: output.attempts for id, output in outputs.items()}
        assert {id for id, n in attempts.items() if n == 3} == {case.id for case in cases[4:8]}

    def test_outputs_come_while_later_cases_are_still_to_be_asked(self, app):
        asked = 0

        class Cases(list):
            def __getitem__(self, index):
                nonlocal asked
                asked = max(asked, index.stop if isinstance(index, slice) else index)
                return super().__getitem__(index)

        cases = Cases(Case(id=str(i), input="x") for i in range(1000))
        system = RaySystem(app(), replicas=1, batch=10)
        outputs = system.generate(cases, epoch=0)
        next(outputs)
        assert asked <= 30, "two batches under way and the one that waits"
        outputs.close()
        assert system._pool is None, "what nobody waits for is ended"

    def test_systems_after_each_other_do_not_wait_for_each_others_place(self, app, recorded):
        on_ray(app(), CASES[:1])
        everything = ray.cluster_resources()["CPU"]
        first = RaySystem(app(), num_cpus=everything)
        second = RaySystem(recorded, num_cpus=everything)
        for system in (first, second, first):
            assert len(list(system.generate(CASES[:4], epoch=0))) == 4
        first.release()

    def test_what_no_node_has_is_said_after_a_while(self, app, monkeypatch):
        monkeypatch.setattr("systems.on_ray.PLACEMENT_S", 0.5)
        with pytest.raises(SystemFailure, match="needs 1 CPU, 99 GPU, the cluster has"):
            on_ray(app(), num_cpus=1, num_gpus=99)

    def test_only_a_cluster_started_here_is_ended_here(self, app):
        on_ray(app(), CASES[:1])
        RaySystem(app(), address="another").close()
        assert ray.is_initialized()
        RaySystem(app()).close()
        assert not ray.is_initialized()


WATCHED = """
import os, pathlib, time
import ray

FOLDER = pathlib.Path(__file__).parent
NODE = ray.get_runtime_context().get_node_id()
DOOMED = (FOLDER / "doomed").read_text()
calls = 0

def answer(text):
    global calls
    calls += 1
    with (FOLDER / NODE).open("a") as file:
        file.write(text + "\\n")
    while not (FOLDER / DOOMED).exists():
        time.sleep(0.02)
    if NODE == DOOMED and calls == 25:
        time.sleep(600)
    return text.upper()
"""


@pytest.fixture
def two_nodes(monkeypatch):
    """A cluster of two nodes with a place for one replica each."""
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    options = {"num_cpus": 1, "object_store_memory": OBJECT_STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=options)
    try:
        yield cluster, cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE)
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_a_node_killed_half_way_loses_no_case_and_repeats_only_the_batch_under_way(
    two_nodes, tmp_path
):
    cluster, node = two_nodes
    (tmp_path / "watched.py").write_text(WATCHED)
    (tmp_path / "doomed").write_text(node.node_id)
    spec = SystemSpec(
        name="app",
        kind="python",
        rung="prompt",
        folder=tmp_path,
        options={"callable": "watched:answer"},
    )
    cases = [Case(id=f"c{i}", input=f"c{i}") for i in range(120)]

    def asked(of):
        path = tmp_path / of
        return path.read_text().split() if path.exists() else []

    def kill():
        while len(asked(node.node_id)) < 25:
            time.sleep(0.02)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    system = RaySystem(spec, address=cluster.address, batch=10)
    outputs = by_id(system.generate(cases, epoch=0))
    killer.join(timeout=30)
    system.close()

    assert {id: output.text for id, output in outputs.items()} == {
        case.id: case.input.upper() for case in cases
    }
    assert all(output.error is None for output in outputs.values())
    logs = [asked(path.name) for path in tmp_path.iterdir() if len(path.name) == len(node.node_id)]
    times = Counter(id for log in logs for id in log)
    assert set(times) == set(outputs)
    assert sorted(id for id, count in times.items() if count > 1) == sorted(
        asked(node.node_id)[20:]
    ), "twice: what the killed node had begun of its batch"
    retried = [case.id for case in cases if outputs[case.id].attempts == 2]
    assert len(retried) == 10
    assert set(asked(node.node_id)[20:]) < set(retried)


def test_a_cluster_that_is_not_there_is_told(app):
    ray.shutdown()
    with pytest.raises(SystemFailure, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        on_ray(app(), address="127.0.0.1:1")


def test_only_what_generates_is_sent_to_the_cluster(app, recorded):
    assert isinstance(load_on_ray(app()), RaySystem)
    assert isinstance(load_on_ray(recorded), type(systems.load(recorded)))


def test_a_system_says_what_its_replicas_need(app):
    engine = {"replicas": 3, "num_cpus": 2, "num_gpus": 0.5, "batch": 16}
    spec = app()
    placed = load_on_ray(replace(spec, options={**spec.options, "engine": engine}))
    plain = RaySystem(spec, replicas=3, num_cpus=2, num_gpus=0.5, batch=16)
    assert vars(placed).keys() == vars(plain).keys()
    different = {name for name in vars(plain) if vars(placed)[name] != vars(plain)[name]}
    assert different == {"spec"}


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    monkeypatch.delitem(__import__("sys").modules, "systems.on_ray")
    with pytest.raises(MissingExtraError, match=r"rung\[ray\]"):
        systems.resolve("systems.on_ray:load_on_ray", feature="--engine ray", extra="ray")


def test_a_suite_on_ray_is_the_suite_here_and_fills_the_same_cache(project, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    project.suite(
        "def test_right(case, output):\n    assert output.text == case.input.upper()\n",
        systems={"a": {f"c{i}": "" for i in range(30)}},
    )
    project.write("evals/app.py", APP)
    system = (
        "{kind: python, callable: 'app:answer', engine: {replicas: 2, num_cpus: 0.5, batch: 8}}"
    )
    project.write("evals/rung.yaml", f"systems:\n  a: {system}\n")

    def run(*arguments):
        assert project.run_outside("-q", *arguments).ret == 0
        document = project.document()
        return document["counts"], document["estimates"], document["systems"]

    on_cluster = run("--engine", "ray")
    cached = run()
    assert on_cluster[0]["generated"] == cached[0]["cached"] == 30
    assert on_cluster[1:] == cached[1:]
    here = run("--fresh")
    assert here == on_cluster
    first, _, last = sorted(folder.name for folder in (project.folder / "reports").glob("2*"))
    found = json.loads(project.rung("compare", first, last, "--json").stdout.str())
    (others,) = found["other_answers"]
    assert (others["outputs"], others["differ"]) == (30, 0)
