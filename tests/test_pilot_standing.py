"""What a pilot's evidence stands on: what has changed since falls, and nothing else does."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from pilot_project import SUITE, YAML, Toy, Trainer, outputs, recorded
from sample_project import jsonl

import harness.cli.bench
from harness.cli import rung
from harness.config import load_project
from harness.errors import ConfigError
from harness.pilot import read_record, write_record
from harness.pilot.standing import OF_SYSTEMS, SKILLS, standing_evidence
from harness.pilot.words import describe
from harness.plugin.pilots import pilot_rows

ROOT = Path(__file__).resolve().parents[1]
SKILLS_SUITE = (
    SUITE.replace("toy.jsonl", "skills.jsonl")
    .replace("is_right", "keeps")
    .replace('["plain", "lora"]', '["base"]')
)
WITH_SKILLS = (
    YAML.replace("suites:\n", "  base: {kind: recorded, outputs: outputs/base.jsonl}\nsuites:\n")
    .replace("training: train.jsonl}", "training: train.jsonl, retained: skills}")
    .rstrip()
    + "\n  skills: {champion: base, target: 0.5, decides: [keeps]}\n"
)


def skills(**changed):
    rows = ({"id": f"c{i}", "input": f"skill {i}", "expected_output": "yes"} for i in range(20))
    return jsonl({**row, **changed} for row in rows)


@pytest.fixture(scope="module")
def piloted(tmp_path_factory):
    """A pilot with general skills beside it, and the run that read it."""
    with pytest.MonkeyPatch.context() as patch:
        toy, trainer = Toy(tmp_path_factory.mktemp("toy")), Trainer()
        toy.write("evals/rung.yaml", WITH_SKILLS)
        toy.write("evals/test_skills.py", SKILLS_SUITE)
        toy.write("evals/skills.jsonl", skills())
        toy.write("evals/outputs/base.jsonl", outputs(15))
        patch.chdir(toy.folder)
        patch.setattr("systems.load_trainer", lambda spec, on_log: trainer)
        patch.setattr(harness.cli.bench, "tuned", recorded)
        patch.setattr(harness.cli.bench, "on_general_skills", recorded)
        patch.setattr(harness.cli.bench, "general_of", lambda general, spec: general.systems[0])
        patch.setattr(harness.cli.bench, "examined", lambda *_: {"rows": 40, "ready": True})
        pilot()
        toy.evaluate("plain", "base")
        yield toy


def pilot():
    command = ["pilot", "lora", "--sizes", "8,16", "--seeds", "1", "--shots", "", "--json"]
    done = CliRunner().invoke(rung, command)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def change(piloted):
    """Writes a file of the project, for one test."""
    before = {}

    def write(name, text):
        before.setdefault(name, (piloted.evals / name).read_text())
        piloted.write(f"evals/{name}", text)

    yield write
    for name, text in before.items():
        piloted.write(f"evals/{name}", text)


def row_of(toy, *, without_skills=True, **skills_row):
    """The pilot's row of a run: one that left the general skills out, or had others."""
    document = toy.document()
    suites = {suite["name"]: suite for suite in document["suites"]}
    suites["skills"] |= skills_row
    if without_skills:
        del suites["skills"]
    document["suites"] = list(suites.values())
    (row,) = pilot_rows(document, load_project(toy.evals / "rung.yaml"))
    return row


def only_forgetting_fell(row, what="general skills"):
    assert row["stale"] == []
    assert row["evidence"].keys() == {"pilot", "readiness", "left_out"}
    assert row["evidence"]["pilot"].keys() >= {"points", "gain", "gain_over_best"}
    assert row["evidence"]["left_out"] == [
        f"left out: what tuning forgets is stale (changed since: {what}); run `rung pilot toy` again"
    ]
    return True


def test_all_of_it_is_evidence_as_long_as_nothing_changes(piloted):
    document = piloted.document()
    (row,) = document["pilots"]
    assert row["stale"] == []
    assert row["evidence"].keys() == {"pilot", "readiness", "retained"}
    verdict = next(v for v in document["verdicts"] if v["suite"] == "toy")
    assert {"pilot", "retained"} <= verdict["evidence"].keys()
    assert row_of(piloted) == row, "whether or not the general skills were run too"


@pytest.mark.parametrize(
    "now", [{"content_hash": "x"}, {"metrics": {"keeps": "x"}}, {"metrics": {}}, {"split": "dev"}]
)
def test_forgetting_falls_with_general_skills_that_a_run_measured_otherwise(piloted, now):
    assert only_forgetting_fell(row_of(piloted, without_skills=False, **now))


@pytest.mark.parametrize(
    ("file", "text", "what"),
    [
        ("skills.jsonl", skills(expected_output="no"), "general skills"),
        ("test_skills.py", SKILLS_SUITE.replace("==", "!="), "general skills"),
        ("test_skills.py", SKILLS_SUITE.replace("test_keeps", "test_holds"), "general skills"),
        ("rung.yaml", WITH_SKILLS.replace(", retained: skills", ""), "general skills"),
        ("outputs/base.jsonl", outputs(14), "system base"),
    ],
    ids=["cases", "metric", "name of the metric", "setting", "system"],
)
def test_forgetting_falls_with_the_files_that_it_was_measured_by(piloted, change, file, text, what):
    change(file, text)
    assert only_forgetting_fell(row_of(piloted), what)


def test_gains_fall_with_the_prompt_that_tuning_was_compared_with(piloted, change):
    change("outputs/plain.jsonl", outputs(5))
    row = row_of(piloted)
    assert row["stale"] == []
    assert row["evidence"]["pilot"].keys() == row_of(piloted)["evidence"]["pilot"].keys()
    assert not {"gain", "gain_over_best"} & row["evidence"]["pilot"].keys()
    assert row["evidence"]["pilot"]["points"]
    assert "retained" in row["evidence"]
    assert row["evidence"]["left_out"] == [
        "left out: what tuning gains is stale (changed since: system plain); run `rung pilot toy` again"
    ]


def test_a_pilot_that_is_run_again_stands_again(piloted, change):
    change("outputs/plain.jsonl", outputs(5))
    change("outputs/base.jsonl", outputs(14))
    change("skills.jsonl", skills(metadata={"group": "all"}))
    before = (piloted.evals / "pilots/toy.json").read_text()
    change("pilots/toy.json", before)
    largest = piloted.folder / ".rung/pilot/lora/pilot-00016-seed-0/judged.json"
    judged = largest.read_text()
    assert pilot()["own_prompt"]["passed"] == 5
    assert largest.read_text() != judged, "the tuned system too is asked with the prompt of now"
    assert "left_out" not in row_of(piloted)["evidence"]


def test_the_whole_falls_with_a_system_of_the_curve_that_was_tuned_elsewhere(tmp_path, monkeypatch):
    toy = Toy(tmp_path)
    monkeypatch.chdir(toy.folder)
    monkeypatch.setattr(harness.cli.bench, "examined", lambda *_: {"rows": 40, "ready": True})
    command = ["pilot", "toy", "--import", "8=t8", "--import", "16=t16"]
    assert CliRunner().invoke(rung, command).exit_code == 0
    toy.evaluate("plain")
    document, project = toy.document(), load_project(toy.evals / "rung.yaml")
    (row,) = pilot_rows(document, project)
    assert row["stale"] == []
    assert "gain" in row["evidence"]["pilot"]
    toy.write("evals/outputs/t8.jsonl", outputs(11))
    (row,) = pilot_rows(document, project)
    assert row["stale"] == ["tuned system t8"]
    assert row["evidence"] == {
        "left_out": [
            "left out: the pilot is stale (changed since: system t8); run `rung pilot toy` again"
        ]
    }


def test_a_record_of_an_earlier_rung_is_held_to_what_it_recorded():
    record = read_record(ROOT / "evals/pilots/query.json")
    later = tuple(name for name in record["stands_on"] if name.startswith((*OF_SYSTEMS, SKILLS)))
    assert later == ()
    assert standing_evidence(record, ()) == record["evidence"]


class TestRecords:
    """What is refused of a file: a run would meet it when hours have passed."""

    @pytest.fixture
    def record(self, piloted):
        return read_record(piloted.evals / "pilots/toy.json")

    def test_what_is_written_is_read(self, record, tmp_path):
        write_record(tmp_path / "toy.json", record)
        assert read_record(tmp_path / "toy.json") == record

    @pytest.mark.parametrize(
        ("part", "value", "key"),
        [
            ("times_smaller", 0, "evidence.pilot.times_smaller"),
            ("times_smaller", -3.0, "evidence.pilot.times_smaller"),
            ("points", [], "evidence.pilot.points"),
            ("points", [{"rows": 8, "passed": [9], "cases": 4}], "evidence.pilot.points.0.passed"),
            ("pionts", [], "evidence.pilot.pionts"),
        ],
    )
    def test_evidence_that_no_verdict_takes(self, record, tmp_path, part, value, key):
        file = tmp_path / "toy.json"
        record["evidence"]["pilot"][part] = value
        file.write_text(json.dumps(record))
        with pytest.raises(ConfigError, match="this is no record of a pilot") as caught:
            read_record(file)
        assert (caught.value.file, caught.value.key) == (file, key)
        with pytest.raises(ConfigError, match="this is no record of a pilot"):
            write_record(tmp_path / "new/toy.json", record)
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("stands_on", []),
            ("stands_on", {"cases": None}),
            ("evidence", {}),
            ("evidence", 7),
            ("trainings", [{"rows": 8}]),
            ("metrics", "is_right"),
            ("general", {"suite": "skills"}),
            ("suite", "other"),
        ],
    )
    def test_what_lies_around_it(self, record, tmp_path, name, value):
        file = tmp_path / "toy.json"
        file.write_text(json.dumps(record | {name: value}))
        with pytest.raises(ConfigError) as caught:
            read_record(file)
        assert caught.value.file == file
        assert caught.value.key.split(".")[0] == name

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity"])
    def test_what_is_no_json(self, record, tmp_path, text):
        file = tmp_path / "toy.json"
        file.write_text(json.dumps(record | {"tiers": "NUMBER"}).replace('"NUMBER"', text))
        with pytest.raises(ConfigError, match=f"{text} is no number"):
            read_record(file)

    def test_a_run_tells_it_before_anything_is_asked(self, tmp_path, record):
        toy = Toy(tmp_path)
        record["evidence"]["pilot"]["times_smaller"] = 0
        toy.write("evals/pilots/toy.json", json.dumps(record))
        done = toy.evaluate("plain", check=False)
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert "pilots/toy.json: evidence.pilot.times_smaller: " in done.stderr
        assert not (toy.folder / "reports").exists()


def test_cases_that_a_pilot_was_allowed_to_train_on_are_counted_and_told(tmp_path, monkeypatch):
    toy = Toy(tmp_path)
    toy.write("evals/recipe.yaml", "data: train.jsonl\nallow_eval_rows: true\n")
    rows = ({"prompt": f"question {i % 3}", "completion": "yes"} for i in range(16))
    toy.write("evals/train.jsonl", jsonl(rows))
    monkeypatch.chdir(toy.folder)
    monkeypatch.setattr("systems.load_trainer", lambda spec, on_log: Trainer())
    monkeypatch.setattr(harness.cli.bench, "tuned", recorded)
    monkeypatch.setattr(harness.cli.bench, "examined", lambda *_: {"rows": 16, "ready": True})
    record = pilot()
    assert record["eval_cases"] == {"toy": 3}
    said = "\n".join(describe(record, target=0.8))
    assert "3 of these cases were trained on: what is passed says little" in said
