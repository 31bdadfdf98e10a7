"""Rows are held out by whole groups, and what a recipe says of them is never passed over."""

import json
import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuned_systems import COLORS, ROWS, write_system

from harness.errors import ConfigError
from systems.recipe import read_recipe, read_training_objects
from systems.split import row_ids, split_by_group, without_test
from systems.training import SystemTrainer, train


def split(folder, rows=ROWS, *, seed=0, **recipe):
    return split_by_group(rows, read_recipe(write_system(folder, **recipe)), random.Random(seed))


def groups(indices, name):
    return {ROWS[i]["metadata"]["group"] if name else ROWS[i]["input"] for i in indices}


@pytest.mark.parametrize("group", ["group", None])
def test_what_is_held_out_are_whole_groups(tmp_path, group):
    found = split(tmp_path, validation=0.3, test=0.3, group=group)
    parts = (found.kept, found.validation, found.test)
    assert sorted(i for part in parts for i in part) == list(range(len(ROWS)))
    assert all(parts)
    named = [groups(part, group) for part in parts]
    assert sum(map(len, named)) == len(set().union(*named))


def test_the_test_is_the_same_for_every_seed(tmp_path):
    found = [split(tmp_path, seed=seed, validation=0.3, test=0.3) for seed in range(8)]
    assert len({tuple(one.test) for one in found}) == 1
    assert len({tuple(one.validation) for one in found}) > 1


def test_rows_of_the_test_are_never_trained_on_and_are_listed(tmp_path):
    rows = [{**row, "id": f"row-{n}"} for n, row in enumerate(ROWS)]
    spec = write_system(tmp_path, rows, validation=0.2, test=0.3)
    log = []
    record = json.loads(
        (train(spec, tmp_path / "a", seed=0, on_log=log.append) / "rung.json").read_text()
    )
    counts = [record[name] for name in ("rows", "validation", "test")]
    assert sum(counts) == len(rows)
    assert all(counts)
    assert log[0]["test"] == record["test"] == len(record["test_rows"])
    assert record["recipe"]["test"] == 0.3
    held = {rows[int(id.partition("-")[2])]["input"] for id in record["test_rows"]}
    assert not held & {sample["input"] for sample in record["samples"]}


def test_what_a_pilot_is_given_has_no_test_rows_and_is_trained_on_whole(tmp_path):
    spec = write_system(tmp_path, test=0.3)
    recipe = read_recipe(spec)
    test = split(tmp_path, test=0.3).test
    shown = without_test(ROWS, recipe)
    assert shown == [row for i, row in enumerate(ROWS) if i not in test]
    adapter = SystemTrainer(spec, recipe).train(shown, out=tmp_path / "a", seed=0)
    record = json.loads((adapter / "rung.json").read_text())
    assert (record["rows"], record["test"]) == (len(shown), 0)


def test_a_row_without_an_id_is_told_by_its_hash():
    one, same, other = row_ids([ROWS[0], dict(ROWS[0]), ROWS[1]])
    assert one == same != other
    assert one.startswith("sha256:")


def test_a_group_that_no_row_has_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match=r"no row has a 'gruop'.*(?s:.*)Did you mean 'group'"):
        split(tmp_path, group="gruop", validation=0.2)


def test_rows_that_lack_the_group_are_refused(tmp_path):
    rows = [*ROWS, {**ROWS[0], "metadata": {"gruop": "r"}}]
    with pytest.raises(ConfigError, match=r"1 of 17 rows lack a 'group'.*row 17"):
        split(tmp_path, rows, group="group")
    recipe = read_recipe(write_system(tmp_path, rows, group="group"))
    placed = read_training_objects(recipe)
    with pytest.raises(ConfigError, match=r"\(line 17 of train\.jsonl\)"):
        split_by_group(placed[9:], recipe, random.Random(0))


@pytest.mark.parametrize("metadata", ["oops", ["group"], 7], ids=str)
def test_metadata_that_is_no_object_is_told_with_its_line(tmp_path, metadata):
    rows = [*ROWS[:2], {**ROWS[2], "metadata": metadata}]
    recipe = read_recipe(write_system(tmp_path, rows, group="group", test=0.3))
    for step in (without_test, lambda *a: split_by_group(*a, random.Random(0))):
        with pytest.raises(ConfigError, match="the metadata of line 3 is no object") as caught:
            step(read_training_objects(recipe), recipe)
        assert (caught.value.file, caught.value.line) == (recipe.data, 3)
    with pytest.raises(ConfigError, match="the metadata of row 3 is no object"):
        without_test(rows, recipe)


def test_a_group_beside_the_input_counts_too(tmp_path):
    rows = [{"input": color, "expected_output": "x", "team": color[0]} for color in COLORS]
    assert split(tmp_path, rows, group="team", validation=0.3).validation


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path):
    with pytest.raises(ConfigError, match="Did you mean 'group'"):
        split(tmp_path, gruop="group")


def test_shares_that_leave_nothing_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="leave no row"):
        split(tmp_path, validation=0.5, test=0.5)
    with pytest.raises(ConfigError, match="no row is left"):
        split(tmp_path, ROWS[:1], validation=0.6)
