"""`rung escalate`: the job that was earned, in a folder that runs by itself."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import evidence_documents as documents
import pytest
import yaml
from click.testing import CliRunner
from escalated_project import (
    COLORS,
    LORA,
    QUICK,
    SUITE,
    escalate,
    rows_of,
    train,
    with_lora,
    write_project,
)
from sample_project import jsonl

from harness.cases import content_hash, load_cases
from harness.cli import rung
from harness.error_analysis.misses import answer_hash
from harness.errors import ConfigError
from harness.escalation import stands_on
from harness.escalation.job import Job, write_job
from harness.store import write_table
from harness.suites import metric_version
from systems.fingerprint import fingerprint


def store_verdict(project, document):
    """A stored run whose verdict stands on this evidence, and on the project as it is."""
    folder = project.root / "reports" / "latest"
    folder.mkdir(parents=True)
    suite = {
        "name": "query",
        "content_hash": content_hash(load_cases(project.folder / "query.jsonl")),
        "metrics": {"names_the_color": metric_version(SUITE[SUITE.index("def ") :])},
        "systems": ["plain"],
        "champion": "plain",
        "target": 0.8,
        "decides": [],
        "split": "all",
        "cluster": "group",
    }
    print_of_plain = fingerprint(project.systems["plain"])
    systems = [
        {"name": "plain", "fingerprint": print_of_plain.digest, "parts": print_of_plain.parts}
    ]
    run = {
        "schema_version": 1, "run_id": "r", "suites": [suite], "systems": systems, "gates": [],
    }  # fmt: skip
    standing = stands_on(run, suite, project)
    if "pilot" in document:
        document["pilot"] |= {"cases_hash": standing["cases"], "data_hash": standing["training"]}
        document["readiness"]["data_hash"] = standing["training"]
    evidence = document | {"suite": "query", "stands_on": standing}
    run["verdicts"] = [{"suite": "query", "evidence": evidence}]
    (folder / "run.json").write_text(json.dumps(run))


def store_outputs(project):
    """What `plain` answered in the stored run, as labels are held against it."""
    folder = project.root / "reports" / "latest"
    same = {"suite": ["query"] * len(COLORS), "case": list(COLORS)}
    answers = same | {"system": ["plain"] * len(COLORS), "epoch": [0] * len(COLORS)}
    quoted = [json.dumps(color) for color in COLORS]
    cases = dict.fromkeys(("input", "expected_output"), quoted)
    cases |= dict.fromkeys(("context", "tags", "metadata"), [None] * len(COLORS))
    scores = {"metric": ["names_the_color"], "state": ["passed"], "value": [None], "reason": [None]}
    write_table(folder, "cases", same | cases)
    write_table(folder, "outputs", answers | {"text": list(COLORS)})
    write_table(folder, "scores", answers | {k: v * len(COLORS) for k, v in scores.items()})


def label_of(color, *, wrong):
    """A line as the desk writes it when somebody audits a random sample."""
    return {
        "at": "2026-01-01T00:00:00+00:00", "who": "ana", "run": "r", "suite": "query",
        "system": "plain", "case": color, "epoch": 0, "answer_hash": answer_hash(color),
        "label": "wrong" if wrong else "right", "tag": "bad_label" if wrong else None,
        "order": "random",
    }  # fmt: skip


def with_retrieval(project):
    """Put what a retriever brings into every prompt."""
    with_lora(project, kind="rag", corpus="notes", retriever={"bm25": {"k": 2}})
    (project.folder / "notes").mkdir()
    (project.folder / "notes/hats.txt").write_text("A hat, or a box.")
    (project.folder / "notes/red.txt").write_text("A red hat is sold in three sizes.")
    prompt = "{{ passages[0].text }} Say the color: {{ input }}"
    (project.folder / "p.j2").write_text(prompt)


def conversational(rows):
    return [
        {
            "prompt": [{"role": "user", "content": f"Say the color: {row}"}],
            "completion": [{"role": "assistant", "content": row}],
        }
        for row in rows
    ]


def pairs(rows):
    return [
        {
            "prompt": [{"role": "user", "content": f"Say the color: {row}"}],
            "chosen": [{"role": "assistant", "content": row}],
            "rejected": [{"role": "assistant", "content": "no"}],
        }
        for row in rows
    ]


@pytest.fixture
def job(project):
    return Job(
        suite="query",
        sentence="You have earned the GPU.",
        system=replace(project.systems["lora"], name="lora-trained"),
        general=None,
        method="sft",
        rows={"sft": conversational(COLORS), "dpo": pairs(COLORS)},
        of={"sft": 9, "dpo": 8},
        recipe={"method": "sft", "peft": LORA, "trainer": QUICK, "quantize": None},
        identity="sha256:0",
    )


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path)


class TestWhen:
    """Only on the verdict's word, or on one's own."""

    def test_without_a_verdict_nothing_is_written(self, project, monkeypatch):
        with pytest.raises(ConfigError, match="there is no verdict on 'query' yet"):
            escalate(project, monkeypatch, "query")

    def test_another_verdict_is_said_with_its_next_step(self, project, monkeypatch):
        store_verdict(project, documents.first_afternoon())
        with pytest.raises(ConfigError, match="not escalate_to_gpu: Improve the prompt") as caught:
            escalate(project, monkeypatch, "query")
        assert "write" in caught.value.hint
        assert not (project.root / "jobs").exists()

    def test_a_stale_verdict_is_no_verdict(self, project, monkeypatch):
        store_verdict(project, documents.earned())
        with (project.folder / "train.jsonl").open("a") as rows:
            rows.write('{"input": "one more", "expected_output": "gray"}\n')
        with pytest.raises(ConfigError, match="changed since are training"):
            escalate(project, monkeypatch, "query")

    def test_other_weights_of_the_base_model_are_told_as_such(self, project, monkeypatch):
        store_verdict(project, documents.earned())
        weights = project.root / "models/base/model.safetensors"
        weights.unlink()  # a link to weights that other tests use
        weights.write_bytes(b"others")
        with pytest.raises(ConfigError, match=r"are model base \(weights\), system plain;"):
            escalate(project, monkeypatch, "query")

    def test_what_people_say_of_the_run_counts_as_in_the_verdict(self, project, monkeypatch):
        store_verdict(project, documents.earned())
        store_outputs(project)
        checked = [label_of(color, wrong=n < 3) for n, color in enumerate(COLORS)]
        (project.folder / "labels").mkdir()
        (project.folder / "labels/query.jsonl").write_text(jsonl(checked))
        monkeypatch.chdir(project.root)
        printed = CliRunner().invoke(rung, ["verdict", "--json"], catch_exceptions=False).output
        assert json.loads(printed)["verdicts"][0]["action"] == "fix_eval"
        with pytest.raises(ConfigError, match="is fix_eval, not escalate_to_gpu"):
            escalate(project, monkeypatch, "query")

    def test_a_system_without_a_recipe_is_told_which_have_one(self, project, monkeypatch):
        with pytest.raises(ConfigError, match="'plain' names no recipe") as caught:
            escalate(project, monkeypatch, "plain", "--anyway")
        assert caught.value.hint == "Those of 'query' that do: lora."

    def test_an_unknown_suite_is_named_with_the_nearest(self, project, monkeypatch):
        with pytest.raises(ConfigError, match="Did you mean 'query'"):
            escalate(project, monkeypatch, "qury")


class TestFolder:
    """What is in it."""

    def test_rows_carry_their_hash_and_the_recipe_its_own_field_names(self, project, job, tmp_path):
        folder = write_job(tmp_path / "job", job, project)
        entry = json.loads((folder / "job.json").read_text())["data"]["sft"]
        assert (entry["rows"], entry["of"], len(entry["sha256"])) == (8, 9, 64)
        recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
        assert recipe["sft"] == QUICK
        assert recipe["peft"] == LORA

    def test_everything_that_it_needs_is_in_it_and_no_path_of_this_machine(
        self, project, job, tmp_path
    ):
        folder = write_job(tmp_path / "job", job, project)
        for name in ("train.py", "run.sh", "job.slurm", "accelerate.yaml", "requirements.txt"):
            assert (folder / name).is_file()
        assert (folder / "project/models/base/config.json").is_file()
        assert (folder / "rung/harness/plugin/__init__.py").is_file()
        own = [p for p in folder.glob("*") if p.is_file()]
        assert not [p.name for p in own if str(tmp_path) in p.read_text("utf-8")]
        compile((folder / "train.py").read_text(), "train.py", "exec")

    def test_versions_are_pinned_without_the_label_of_a_build(self, project, job, tmp_path):
        lines = (write_job(tmp_path / "job", job, project) / "requirements.txt").read_text().split()
        assert {line.partition("==")[0] for line in lines} >= {"torch", "trl", "peft", "pytest"}
        assert all("==" in line and "+" not in line for line in lines)

    def test_four_bits_need_one_more_package_pinned_like_the_others(self, project, job, tmp_path):
        four_bits = replace(job, recipe=job.recipe | {"quantize": "nf4"})
        lines = (write_job(tmp_path / "a", four_bits, project) / "requirements.txt").read_text()
        pins = dict(line.split("==") for line in lines.split())
        assert pins["bitsandbytes"] >= "0.46.1"  # the least that transformers accepts
        plain = (write_job(tmp_path / "b", job, project) / "requirements.txt").read_text()
        assert "bitsandbytes" not in plain

    @pytest.mark.parametrize(
        ("method", "stages"), [("sft", ["sft"]), ("dpo", ["dpo"]), ("both", ["sft", "dpo"])]
    )
    def test_each_method_trains_its_stages_and_judges_the_last(
        self, project, job, tmp_path, method, stages
    ):
        folder = write_job(tmp_path / "job", replace(job, method=method), project)
        script = (folder / "run.sh").read_text()
        assert [line.split()[-1] for line in script.splitlines() if " train.py " in line] == stages
        judged = json.loads((folder / "judged.json").read_text())
        (spec,) = judged["suites"]["query"]
        assert spec["options"]["adapter"] == f"../../out/{stages[-1]}"

    def test_a_whole_model_is_judged_as_a_model_of_its_own(self, project, job, tmp_path):
        whole = replace(job, recipe={**job.recipe, "peft": None})
        judged = json.loads(
            (write_job(tmp_path / "job", whole, project) / "judged.json").read_text()
        )
        (spec,) = judged["suites"]["query"]
        assert spec["model"]["source"] == "../../out/sft"
        assert "adapter" not in spec["options"]

    def test_rows_of_a_rag_system_bring_their_passages_and_it_is_judged_with_its_own(
        self, project, monkeypatch
    ):
        with_retrieval(project)
        escalate(project, monkeypatch, "query", "--anyway")
        folder = project.root / "jobs/query"
        asked = [row for row in rows_of(folder) if row["input"].startswith("a red")]
        assert len(asked) == 2
        for row in asked:
            assert row["prompt"][0]["content"].startswith("A red hat is sold in three sizes. Say")
            assert [passage["id"] for passage in row["passages"]] == ["red.txt", "hats.txt"]
        (spec,) = json.loads((folder / "judged.json").read_text())["suites"]["query"]
        assert (spec["kind"], spec["options"]["corpus"]) == ("rag", "notes")
        assert (folder / "project/evals/notes/red.txt").is_file()

    def test_functions_that_the_model_may_call_are_trained_with(self, project, monkeypatch):
        with_lora(project, tools={"functions": [{"name": "count", "parameters": {}}]})
        escalate(project, monkeypatch, "query", "--anyway")
        for row in rows_of(project.root / "jobs/query"):
            (tool,) = json.loads(row["tools"])
            assert tool["function"]["name"] == "count"

    def test_a_model_that_needs_several_gpus_is_split_over_them(self, project, job, tmp_path):
        needs = {
            "tuning": "lora", "gpu": "h100-80gb", "gpus": 4, "hours": 9.0, "gpu_hours": 36.0,
            "money": 80.0, "efficiency": 0.35, "memory": {"total": 200.0},
        }  # fmt: skip
        folder = write_job(tmp_path / "job", replace(job, estimates=[needs]), project)
        config = yaml.safe_load((folder / "accelerate.yaml").read_text())
        assert config["distributed_type"] == "FSDP"
        slurm = (folder / "job.slurm").read_text()
        assert "--gpus-per-node=4" in slurm
        assert "--time=27:00:00" in slurm

    def test_scripts_are_well_formed(self, project, job, tmp_path):
        folder = write_job(tmp_path / "job", replace(job, method="both"), project)
        for script in ("run.sh", "job.slurm"):
            subprocess.run(["bash", "-n", str(folder / script)], check=True)

    def test_a_folder_that_holds_something_is_left_alone(self, project, job, tmp_path):
        (tmp_path / "job").mkdir()
        (tmp_path / "job/mine.txt").write_text("mine")
        with pytest.raises(ConfigError, match="not empty"):
            write_job(tmp_path / "job", job, project)

    def test_dpo_without_pairs_is_refused(self, project, job, tmp_path):
        with pytest.raises(ConfigError, match="a better and a worse answer"):
            write_job(tmp_path / "job", replace(job, method="dpo", rows={"sft": []}), project)

    def test_only_checkpoints_of_trainings_are_left_behind(self, project, job, tmp_path):
        for name in ("prompts/checkpoint-words.j2", "a/checkpoint-12/x", "a/checkpoint-notes/x",
                     "a/reports/x", "checkpoint-7"):  # fmt: skip
            file = project.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("x")
        copied = write_job(tmp_path / "job", job, project) / "project/evals"
        assert not (copied / "a/checkpoint-12").exists()
        for name in ("prompts/checkpoint-words.j2", "a/checkpoint-notes/x", "a/reports/x",
                     "checkpoint-7"):  # fmt: skip
            assert (copied / name).is_file()


def run_job(folder, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    return subprocess.run(
        ["bash", str(folder / "run.sh")],
        env=clean | {"PYTHON": sys.executable, "OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_two_processes_train_through_accelerate_and_the_same_evals_judge_the_result(
    project, monkeypatch
):
    with_retrieval(project)
    store_verdict(project, documents.earned())
    done = escalate(project, monkeypatch, "query")
    # One of the 17 rows stands there twice.
    assert "16 of 17 rows for sft" in done.output
    folder = project.root.rename(project.root.with_name("elsewhere")) / "jobs/query"
    arguments = "-q -p no:cacheprovider --system lora-trained"
    ran = run_job(folder, PROCESSES="2", PYTEST_ARGS=arguments)
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    record = json.loads((folder / "out/sft/rung.json").read_text())
    assert (record["rows"], len(record["samples"])) == (16, 8)
    assert all(len(sample["passages"]) == 2 for sample in record["samples"])
    # Two processes of two rows each, two steps: half of the rows.
    assert "'epoch': '0.5'" in ran.stdout + ran.stderr
    document = json.loads((folder / "project/reports/latest/run.json").read_text())
    (row,) = document["estimates"]
    assert (row["system"], row["n"], row["errored"]) == ("lora-trained", len(COLORS), 0)


def test_rows_that_would_be_cut_are_refused_before_the_training(project, job, tmp_path):
    short = replace(job, recipe=job.recipe | {"trainer": QUICK | {"max_length": 8}})
    folder = write_job(tmp_path / "job", short, project)
    done = train(folder, "sft")
    assert done.returncode != 0
    assert "row 1 of sft has" in done.stderr
    assert "max_length is 8: it would be cut" in done.stderr
    assert not list(folder.glob("out/sft/checkpoints/checkpoint-*"))


def test_rows_that_were_changed_are_not_trained_on(project, job, tmp_path):
    folder = write_job(tmp_path / "job", job, project)
    with (folder / "data/sft.jsonl").open("a") as rows:
        rows.write("{}\n")
    done = train(folder, "sft")
    assert done.returncode != 0
    assert "was changed since this job was written" in done.stderr
