"""`rung pilot`: nested trainings, judged by the suite itself, kept with what they stand on."""

import json
import random

import pytest
from click.testing import CliRunner
from pilot_project import SUITE, Toy, Trainer, recorded
from sample_project import jsonl

import harness.cli.bench
from harness.cli import rung
from harness.config import load_project
from harness.errors import ConfigError
from harness.pilot import nested, outdated, read_sizes, trainings, usual_sizes
from harness.pilot.record import read_record
from harness.pilot.words import describe
from harness.plugin.pilots import pilot_rows

IMPORTED = ["toy", "--import", "8=t8", "--import", "16=t16"]
UNUSED = [("--sizes", "5,6"), ("--seeds", "3"), ("--shots", "4"), ("--shots", "unreadable")]


class TestSizes:
    """What is trained, and how often."""

    def test_four_sizes_each_twice_the_one_before(self):
        assert usual_sizes(800) == (100, 200, 400, 800)
        with pytest.raises(ConfigError, match="32 are the least"):
            usual_sizes(31)

    def test_several_seeds_at_the_largest_alone(self):
        plan = trainings((4, 8), 3)
        assert [(t.rows, t.seed) for t in plan] == [(4, 0), (8, 0), (8, 1), (8, 2)]

    @pytest.mark.parametrize("text", ["8,4", "4,4", "1,2", "four", "10,200", ""])
    def test_sizes_that_make_no_curve_are_refused(self, text):
        with pytest.raises(ConfigError) as caught:
            read_sizes(text, 100)
        assert caught.value.key == "--sizes"

    def test_smaller_subsets_lie_within_larger_ones(self):
        rows = list(range(50))
        order = nested(rows, rng=random.Random(3))
        assert sorted(order) == rows
        assert order == nested(rows, rng=random.Random(3)) != rows


@pytest.fixture(scope="module")
def piloted(tmp_path_factory):
    """A pilot that was killed at its second size, and the same taken up again."""
    with pytest.MonkeyPatch.context() as patch:
        toy, trainer = Toy(tmp_path_factory.mktemp("toy")), Trainer()
        patch.chdir(toy.folder)
        patch.setattr("systems.load_trainer", lambda spec, on_log: trainer)
        patch.setattr(harness.cli.bench, "tuned", recorded)
        patch.setattr(harness.cli.bench, "examined", lambda *_: {"rows": 40, "ready": True})
        command = ["pilot", "lora", "--sizes", "8,16", "--seeds", "2", "--shots", ""]
        toy.write("evals/pilots/toy.json", '{"schema_version": 0}')
        trainer.dies_at = 16
        killed = CliRunner().invoke(rung, command)
        trainer.dies_at = None
        finished = CliRunner().invoke(rung, command)
        assert finished.exit_code == 0, finished.output
        yield toy, trainer, (killed, finished)


def test_a_killed_pilot_goes_on_where_it_was(piloted):
    _, trainer, (killed, finished) = piloted
    assert killed.exit_code != 0
    assert trainer.trained == [(8, 0), (16, 0), (16, 1)]
    assert "[3 of 3] 16 rows, seed 1" in finished.output


def test_a_record_that_cannot_be_read_does_not_keep_a_pilot_from_making_another(piloted):
    toy, _, (killed, finished) = piloted
    assert "this Rung reads 1" in killed.output
    assert "It is made anew." in killed.output
    assert "made anew" not in finished.output
    assert read_record(toy.evals / "pilots/toy.json")["suite"] == "toy"


def test_every_size_is_judged_by_the_suite_and_against_its_own_prompt(piloted):
    toy, _, _ = piloted
    record = read_record(toy.evals / "pilots/toy.json")
    points = record["evidence"]["pilot"]["points"]
    assert [(p["rows"], p["passed"], p["cases"]) for p in points] == [
        (8, [4.0], 20),
        (16, [8.0, 9.0], 20),
    ]
    gain = record["evidence"]["pilot"]["gain"]
    assert (gain["gained"], gain["lost"]) == (5, 0)
    assert record["own_prompt"]["system"] == "plain"
    assert {tier["tag"] for tier in record["tiers"]} == {"short", "long"}


def test_the_curve_is_said_in_words_and_never_beyond_four_times_the_pilot(piloted):
    said = piloted[2][1].output
    assert "8 rows: 20 %" in said
    assert "No claim is made beyond 64 rows;" in said
    assert "general skills before and after were not measured" in said


def test_a_run_reads_the_pilot_and_says_when_it_is_stale(piloted):
    toy, _, _ = piloted
    toy.evaluate("plain")
    row = toy.document()["pilots"][0]
    assert row["stale"] == []
    verdict = toy.document()["verdicts"][0]
    assert verdict["evidence"]["pilot"]["points"][-1]["rows"] == 16
    assert verdict["evidence"]["readiness"]["ready"]
    toy.write("evals/recipe.yaml", "data: train.jsonl\ntrainer: {learning_rate: 0.1}\n")
    (row,) = pilot_rows(toy.document(), load_project(toy.evals / "rung.yaml"))
    assert row["stale"] == ["recipe"]
    assert row["evidence"]["left_out"] == [
        "left out: the pilot is stale (changed since: recipe); run `rung pilot toy` again"
    ]


def test_a_recipe_that_is_changed_half_way_makes_no_curve(tmp_path, monkeypatch):
    toy, trainer = Toy(tmp_path), Trainer()

    class Meddler(Trainer):
        def train(self, rows, *, out, seed):
            toy.write("evals/recipe.yaml", f"data: train.jsonl\ntrainer: {{seed: {len(rows)}}}\n")
            return trainer.train(rows, out=out, seed=seed)

    monkeypatch.chdir(toy.folder)
    monkeypatch.setattr("systems.load_trainer", lambda spec, on_log: Meddler())
    monkeypatch.setattr(harness.cli.bench, "tuned", recorded)
    monkeypatch.setattr(harness.cli.bench.Bench, "_score", lambda *_, **__: None)
    with pytest.raises(ConfigError, match="changed while the pilot ran: recipe"):
        CliRunner().invoke(rung, ["pilot", "lora", "--sizes", "8,16"], catch_exceptions=False)


def test_systems_that_were_tuned_elsewhere_are_imported_by_size(tmp_path, monkeypatch):
    toy = Toy(tmp_path)
    monkeypatch.chdir(toy.folder)
    monkeypatch.setattr(harness.cli.bench, "examined", lambda *_: {"rows": 40, "ready": False})
    command = ["pilot", "toy", "--import", "8=t8", "--import", "16=t16", "--smaller", "7", "--json"]
    done = CliRunner().invoke(rung, command)
    assert done.exit_code == 0, done.output
    pilot = json.loads(done.stdout)["evidence"]["pilot"]
    assert [point["passed"] for point in pilot["points"]] == [[10], [16]]
    assert (pilot["same_model"], pilot["times_smaller"]) == (False, 7)


def test_systems_that_the_suite_runs_anyway_can_be_imported(tmp_path, monkeypatch):
    toy = Toy(tmp_path)
    toy.write("evals/test_toy.py", SUITE.replace('"lora"', '"t16"'))
    monkeypatch.chdir(toy.folder)
    monkeypatch.setattr(harness.cli.bench, "examined", lambda *_: {"rows": 40, "ready": True})
    done = CliRunner().invoke(rung, ["pilot", *IMPORTED, "--json"])
    assert done.exit_code == 0, done.output
    points = json.loads(done.stdout)["evidence"]["pilot"]["points"]
    assert [point["passed"] for point in points] == [[10], [16]]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tooy"], "Did you mean 'toy'?"),
        (["toy", "--sizes", "8,16,4000"], "there are 40 training rows"),
        (["toy", "--import", "8:t8"], "is not SIZE=SYSTEM"),
        (["toy", "--import", "8=t8"], "two sizes at least"),
        (["toy", "--import", "8=t8", "--import", "9=t99"], "no system is called 't99'"),
        (["toy", "--import", "²=t8", "--import", "16=t16"], "'²=t8' is not SIZE=SYSTEM"),
        (["toy", "--import", f"{'9' * 5000}=t8", "--import", "16=t16"], "is not SIZE=SYSTEM"),
        (["toy", "--shots", "many"], "no list of counts"),
        (["toy", "--shots", "4,²"], "no list of counts"),
        (["toy", "--shots", "0"], "no list of counts"),
        *(([*IMPORTED, name, value], f"{name}: would have no effect") for name, value in UNUSED),
        *((["toy", "--smaller", value], "--smaller: ") for value in ("0", "-3", "1", "nan", "inf")),
    ],
)
def test_what_cannot_be_piloted_is_said_before_anything_is_trained(
    tmp_path, monkeypatch, arguments, said
):
    toy = Toy(tmp_path)
    monkeypatch.chdir(toy.folder)
    with pytest.raises(ConfigError) as caught:
        CliRunner().invoke(rung, ["pilot", *arguments], catch_exceptions=False)
    assert said in str(caught.value)


def test_a_row_that_is_a_case_of_a_suite_is_refused(tmp_path, monkeypatch):
    toy = Toy(tmp_path)
    toy.write(
        "evals/train.jsonl",
        jsonl({"prompt": f"question {i}", "completion": "yes"} for i in range(40)),
    )
    monkeypatch.chdir(toy.folder)
    with pytest.raises(ConfigError, match="are cases of an eval suite"):
        CliRunner().invoke(rung, ["pilot", "toy"], catch_exceptions=False)


def test_a_case_among_the_prompt_files_words_is_refused_too(tmp_path, monkeypatch):
    toy = Toy(tmp_path)
    toy.write("evals/p.j2", "Say so: {{ input }}")
    rows = [{"prompt": f"Say so: ask {i}", "completion": "yes"} for i in range(40)]
    rows[7]["prompt"] = "Say so: QUESTION 3"
    toy.write("evals/train.jsonl", jsonl(rows))
    monkeypatch.chdir(toy.folder)
    with pytest.raises(ConfigError, match="1 rows are cases of an eval suite") as caught:
        CliRunner().invoke(rung, ["pilot", "toy"], catch_exceptions=False)
    assert caught.value.line == 8


def test_a_damaged_record_is_named(tmp_path):
    file = tmp_path / "toy.json"
    file.write_text("{")
    with pytest.raises(ConfigError) as caught:
        read_record(file)
    assert caught.value.file == file


def test_what_changed_since_is_named():
    record = {"stands_on": {"model": "a", "cases": "b"}}
    assert outdated(record, {"model": "a", "cases": "b"}) == ()
    assert outdated(record, {"model": "x", "cases": "b"}) == ("model",)
    assert outdated(record, {"cases": "b"}) == ("model",)


def record_of(*rates, **more):
    """A record whose pilot passed these numbers of 400 cases at 100, 200, 400, ... rows."""
    points = [
        {"rows": 100 * 2**i, "passed": [passed], "cases": 400} for i, passed in enumerate(rates)
    ]
    evidence = {"pilot": {"points": points}} | more.pop("evidence", {})
    return {"suite": "toy", "system": "lora", "evidence": evidence, **more}


class TestWords:
    """What a person reads of a pilot."""

    def said(self, record, target=0.8):
        return "\n".join(describe(record, target=target))

    def test_a_curve_that_is_there_says_so(self):
        assert "The rows at hand probably reach the target." in self.said(
            record_of(200, 300, 350, 370)
        )

    def test_a_rising_curve_says_how_many_more_rows(self):
        text = self.said(record_of(120, 210, 270, 308), target=0.75)
        assert "more examples reach the target with probability 8" in text

    def test_a_flat_curve_promises_nothing(self):
        text = self.said(record_of(200, 202, 199, 203))
        assert "These data cannot show that more examples reach the target." in text

    def test_many_shot_prompts_stand_beside_it(self):
        row = {"examples": 64, "system": "m", "passed": 0, "cases": 400, "missing": 400}
        text = self.said(record_of(200, 300, many_shot=[row]))
        assert "64 examples in the prompt instead: 0 of 400" in text
        assert "is the prompt longer than the window?" in text

    @pytest.mark.parametrize(
        ("retained", "advice"),
        [
            ({"gained": 10, "lost": 12, "tied": 600}, "surely less lost than the 5 %"),
            ({"gained": 0, "lost": 90, "tied": 500}, "mix general tasks into the training rows"),
            ({"gained": 0, "lost": 4, "tied": 90}, "600 cases of general skills would settle it"),
        ],
    )
    def test_forgetting_comes_with_what_to_do(self, retained, advice):
        assert advice in self.said(record_of(200, 300, evidence={"retained": retained}))

    def test_tiers_name_the_size_from_which_a_tag_is_learnt(self):
        tiers = [
            {"tag": "short", "reached_at": 200, "rates": [{"rows": 200, "rate": 0.9}]},
            {"tag": "long", "reached_at": None, "rates": [{"rows": 200, "rate": 0.3}]},
        ]
        text = self.said(record_of(200, 300, tiers=tiers))
        assert "reach 80 % from 200 rows on: short 90 %" in text
        assert "do not reach it yet: long 30 %" in text
