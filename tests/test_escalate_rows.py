"""What a job trains on and how is what `rung train` would do here; and what it reads lies in it."""

import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from escalated_project import (
    COLORS,
    QUICK,
    escalate,
    rows_of,
    train,
    with_pairs,
    with_recipe,
    write_project,
)

from harness.beside import read_beside
from harness.errors import ConfigError, RungError
from systems.fine_tuned import FineTunedSystem
from systems.recipe import read_recipe, read_training_objects
from systems.split import split_by_group


@pytest.fixture
def project(tmp_path):
    return write_project(tmp_path)


class TestRows:
    """What a job trains on is what `rung train` would take."""

    def test_pairs_bring_an_input_and_the_system_puts_its_prompt_around_it(
        self, project, monkeypatch
    ):
        pairs = with_pairs(project, [{"input": "a red hat"}, {"input": "a blue hat"}])
        done = escalate(project, monkeypatch, "query", "--anyway", "--method", "dpo", *pairs)
        assert "2 of 2 rows for dpo" in done.output
        asked = [row["prompt"] for row in rows_of(project.root / "jobs/query", "dpo")]
        texts = ["Say the color: a red hat", "Say the color: a blue hat"]
        assert asked == [[{"role": "user", "content": text}] for text in texts]

    @pytest.mark.parametrize(
        "row", [{"input": "the RED  box"}, {"prompt": "Say the color: the red box"}]
    )
    def test_pairs_that_are_cases_of_a_suite_are_refused(self, project, monkeypatch, row):
        pairs = with_pairs(project, [{"input": "a red hat"}, row])
        with pytest.raises(ConfigError, match="1 rows are cases of an eval suite") as caught:
            escalate(project, monkeypatch, "query", "--anyway", *pairs)
        assert (Path(caught.value.file).name, caught.value.line) == ("pairs.jsonl", 2)
        assert not (project.root / "jobs").exists()

    def test_prompts_that_the_system_does_not_send_are_refused(self, project, monkeypatch):
        pairs = with_pairs(project, [{"prompt": "a red hat"}])
        with pytest.raises(ConfigError, match="read different prompts") as caught:
            escalate(project, monkeypatch, "query", "--anyway", *pairs)
        assert "training:  user: a red hat\n" in caught.value.hint
        assert "inference: user: Say the color: a red hat\n" in caught.value.hint
        assert caught.value.line == 1

    def test_rows_that_hold_a_case_among_the_prompts_words_are_refused(self, project, monkeypatch):
        with (project.folder / "train.jsonl").open("a") as rows:
            rows.write('{"prompt": "Say the color: the red box", "completion": "red"}\n')
        with pytest.raises(ConfigError, match="1 rows are cases of an eval suite") as caught:
            escalate(project, monkeypatch, "query", "--anyway")
        assert caught.value.line == 18

    def test_rows_that_cannot_be_compared_are_counted(self, project, monkeypatch):
        pairs = with_pairs(project, [{"prompt": [{"role": "user", "content": "Name it."},
                                                 {"role": "assistant", "content": "What?"},
                                                 {"role": "user", "content": "A hat."}]}])  # fmt: skip
        done = escalate(project, monkeypatch, "query", "--anyway", "--method", "dpo", *pairs)
        assert "1 rows are not compared with what the system sends" in done.output

    def test_rows_are_held_out_as_rung_train_holds_them_out(self, project, monkeypatch):
        with_recipe(project, validation=0.25, test=0.25, trainer=QUICK | {"eval_steps": 1})
        done = escalate(project, monkeypatch, "query", "--anyway")
        folder = project.root / "jobs/query"
        recipe = read_recipe(project.systems["lora"])
        objects = read_training_objects(recipe)
        split = split_by_group(objects, recipe, random.Random(0))
        inputs = lambda rows: {row["input"] for row in rows}  # noqa: E731
        assert inputs(rows_of(folder)) == inputs(objects[i] for i in split.kept)
        held = rows_of(folder, "sft-validation")
        assert inputs(held) == inputs(objects[i] for i in split.validation)
        assert f"and {len(held)} held out for validation" in done.output
        assert (
            yaml.safe_load((folder / "recipe.yaml").read_text())["sft"]["eval_strategy"] == "epoch"
        )

    def test_a_look_at_held_out_rows_needs_some(self, project, monkeypatch):
        with_recipe(project, trainer=QUICK | {"eval_strategy": "epoch"})
        with pytest.raises(ConfigError, match="no row for sft is held out to do it on"):
            escalate(project, monkeypatch, "query", "--anyway")
        assert not (project.root / "jobs").exists()

    def test_half_of_a_surrogate_pair_is_refused_with_its_line(self, project, monkeypatch):
        with (project.folder / "train.jsonl").open("a") as rows:
            rows.write('{"input": "a \\ud800 thing", "expected_output": "gray"}\n')
        with pytest.raises(RungError, match="half of a surrogate pair") as caught:
            escalate(project, monkeypatch, "query", "--anyway")
        assert caught.value.line == 18


class TestRecipe:
    """What it says is what `rung train` would follow."""

    def recipe(self, project, monkeypatch, **trainer):
        with_recipe(project, trainer=trainer)
        escalate(project, monkeypatch, "query", "--anyway")
        text = (project.root / "jobs/query/recipe.yaml").read_text()
        return yaml.safe_load(text)["sft"]

    def test_numbers_that_yaml_reads_as_text_are_numbers(self, project, monkeypatch):
        found = self.recipe(project, monkeypatch, learning_rate="2e-3", max_steps="1e1")
        assert (found["learning_rate"], found["max_steps"]) == (0.002, 10)

    def test_rows_are_as_long_as_the_model_reads_unless_it_says_otherwise(
        self, project, monkeypatch
    ):
        config = json.loads((project.root / "models/base/config.json").read_text())
        found = self.recipe(project, monkeypatch, max_steps=1)
        assert found["max_length"] == config["max_position_embeddings"]

    def test_its_own_length_of_rows_stays(self, project, monkeypatch):
        assert self.recipe(project, monkeypatch, max_length=64)["max_length"] == 64

    def test_a_field_that_is_not_known_is_named_here_and_not_on_the_cluster(
        self, project, monkeypatch
    ):
        with pytest.raises(ConfigError, match="no field 'learning_rat'"):
            self.recipe(project, monkeypatch, learning_rat=1)

    def test_what_the_job_says_itself_is_not_said_twice(self, project, monkeypatch):
        assert "seed" not in self.recipe(project, monkeypatch, seed=0, max_steps=1)


class TestPaths:
    """What the project reads lies in the job, or where its absolute path says."""

    def test_a_model_outside_the_project_is_refused_with_what_to_do(self, project, monkeypatch):
        (project.root / "models").rename(project.root.parent / "models")
        document = yaml.safe_load(project.file.read_text())
        document["models"]["base"]["transformers"] = "../../models/base"
        project.file.write_text(yaml.safe_dump(document))
        with pytest.raises(ConfigError, match=r"'../../models/base' lies outside") as caught:
            escalate(project, monkeypatch, "query", "--anyway")
        assert "then it is copied into the job" in caught.value.hint
        assert not (project.root / "jobs").exists()

    def test_a_model_with_an_absolute_path_stays_where_it_is(self, project, monkeypatch):
        base = str(project.root / "models/base")
        escalate(project, monkeypatch, "query", "--anyway", "--model", base)
        folder = project.root / "jobs/query"
        assert json.loads((folder / "job.json").read_text())["model"]["source"] == base
        assert base in (folder / "README.md").read_text()

    def test_a_model_that_only_the_command_names_is_copied_too(self, project, monkeypatch):
        shutil.copytree(project.root / "models/base", project.root / "models/other")
        escalate(project, monkeypatch, "query", "--anyway", "--model", "../models/other")
        folder = project.root / "jobs/query"
        source = json.loads((folder / "job.json").read_text())["model"]["source"]
        assert (folder / source / "config.json").is_file()


def test_pairs_alone_leave_samples_that_are_compared_before_the_result_is_judged(
    project, monkeypatch
):
    with_recipe(project, method="dpo", validation=0.25)
    pairs = ({"input": f"a {c} hat", "chosen": f"{c}\u2028", "rejected": "no"} for c in COLORS)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in pairs)
    (project.folder / "train.jsonl").write_text(text, "utf-8")
    escalate(project, monkeypatch, "query", "--anyway", "--method", "dpo")
    folder = project.root / "jobs/query"
    recipe = folder / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("learning_rate: 0.001", "learning_rate: 1e-3"))
    assert "1e-3" in recipe.read_text()
    done = train(folder, "dpo")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "eval_loss" in done.stdout + done.stderr
    record = json.loads((folder / "out/dpo/rung.json").read_text())
    assert (record["rows"], len(record["samples"])) == (6, 6)
    monkeypatch.chdir(folder / "project")
    (spec,) = read_beside(folder / "judged.json").suites["query"]
    assert FineTunedSystem(replace(spec, folder=folder / "project/evals")).parity.compared == 6
