"""The demo company's suites: complete, clean, and fixed before any model was trained on anything."""

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from harness.config import load_project
from systems.recipe import read_recipe
from systems.training_record import read_record, require_adapter

ROOT = Path(__file__).resolve().parents[1]
EVALS = ROOT / "evals"
HANDBOOK = ROOT / "fixtures" / "handbook"
LEAST = {"support": 200, "query": 200, "routing": 200, "safety": 200, "retained": 600}
TRAINED = ["support", "query", "routing"]

pytestmark = pytest.mark.skipif(not EVALS.is_dir(), reason="the demo suites are not here")
every_suite = pytest.mark.parametrize("suite", LEAST)


def rows(name):
    return [json.loads(line) for line in (EVALS / name).read_text("utf-8").splitlines()]


def cases(suite):
    return rows(f"{suite}.jsonl")


def text_of(value):
    return "\n".join(value.values()) if isinstance(value, dict) else value


def words(text):
    """The words of a text as a set, every number being the same word."""
    return frozenset("#" if w[0].isdigit() else w for w in re.findall(r"\w+", text.lower()))


def runs_of_eight(text):
    found = re.findall(r"\w+", text.lower())
    return {tuple(found[i : i + 8]) for i in range(len(found) - 7)}


def sections():
    """Handbook sections by `page.md#slug`."""
    found = {}
    for page in HANDBOOK.glob("*.md"):
        for title, body in re.findall(
            r"^## (.+)\n((?:(?!## ).*\n?)*)", page.read_text("utf-8"), re.M
        ):
            slug = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
            found[f"{page.name}#{slug}"] = body
    return found


def states(text, fact):
    return re.search(rf"(?<!\w){re.escape(fact)}(?!\w)", text, re.I) is not None


@every_suite
def test_a_suite_is_large_enough_and_its_ids_are_unique(suite):
    ids = [row["id"] for row in cases(suite)]
    assert len(ids) >= LEAST[suite]
    assert len(ids) == len(set(ids))


@every_suite
def test_no_group_is_both_tuned_on_and_judged_on(suite):
    sides = {}
    for row in cases(suite):
        sides.setdefault(row["metadata"]["group"], set()).add(row["metadata"]["split"])
    assert all(len(side) == 1 for side in sides.values())
    assert set.union(*sides.values()) == {"dev", "locked"}


@every_suite
def test_most_cases_are_locked(suite):
    split = Counter(row["metadata"]["split"] for row in cases(suite))
    assert split["locked"] >= 0.6 * split.total()


@pytest.mark.parametrize("suite", ["support", "query", "routing", "safety"])
def test_no_two_cases_say_the_same_in_the_same_words(suite):
    bags = [words(text_of(row["input"])) for row in cases(suite)]
    nearest = max(len(a & b) / len(a | b) for a, b in combinations(bags, 2))
    assert nearest <= 0.95


def test_no_two_cases_of_the_retained_suite_have_the_same_text():
    texts = [row["input"]["text"] for row in cases("retained")]
    assert len(texts) == len(set(texts))


def test_the_retained_suite_can_show_a_loss_of_five_points():
    locked = [row for row in cases("retained") if row["metadata"]["split"] == "locked"]
    assert len(locked) >= 600
    assert set(Counter(row["tags"][0] for row in locked)) == {
        "reading",
        "copying",
        "labels",
        "format",
    }


def test_every_skill_of_the_retained_suite_is_answerable_from_its_input():
    for row in cases("retained"):
        if row["tags"] != ["format"]:
            whole = f"{row['input']['instruction']} {row['input']['text']}"
            assert row["expected_output"] in whole, row["id"]


def test_nothing_in_the_retained_suite_is_about_the_company():
    for row in cases("retained"):
        assert not words(text_of(row["input"])) & {"larkfield", "wren", "heron", "osprey"}


def test_a_fact_is_stated_once_in_its_gold_section():
    handbook = sections()
    for row in cases("support"):
        (gold,) = row["context"]
        assert len(re.findall(re.escape(row["expected_output"]), handbook[gold])) == 1, row["id"]


def test_no_fact_is_given_away_by_the_mail_a_prompt_or_an_example():
    prompts = "\n".join(path.read_text("utf-8") for path in (EVALS / "prompts").glob("*.j2"))
    shown = prompts + (EVALS / "support" / "examples.jsonl").read_text("utf-8")
    for row in cases("support"):
        assert not states(row["input"], row["expected_output"]), row["id"]
        assert not states(shown, row["expected_output"]), row["id"]


def test_every_section_of_the_handbook_is_asked_about():
    assert {row["context"][0] for row in cases("support")} == set(sections())


@pytest.mark.parametrize("suite", TRAINED)
def test_no_training_row_or_example_is_a_case(suite):
    asked = {text_of(row["input"]).strip().lower() for row in cases(suite)}
    bags = {words(text) for text in asked}
    taught = [row["prompt"][0]["content"] for row in rows(f"{suite}/train.jsonl")]
    taught += [row["input"] for row in rows(f"{suite}/examples.jsonl")]
    assert not [text for text in taught if text.strip().lower() in asked or words(text) in bags]


@pytest.mark.parametrize("suite", ["query", "routing"])
def test_no_training_row_repeats_eight_words_of_a_case(suite):
    asked = set().union(*(runs_of_eight(text_of(row["input"])) for row in cases(suite)))
    for row in rows(f"{suite}/train.jsonl"):
        assert not asked & runs_of_eight(row["prompt"][0]["content"])


def test_no_query_is_the_answer_of_a_case_and_of_a_training_row():
    expected = [json.dumps(row["expected_output"]) for row in cases("query")]
    taught = [row["completion"][0]["content"] for row in rows("query/train.jsonl")]
    assert len(set(expected) | set(taught)) == len(expected) + len(taught)


def test_training_rows_say_where_they_come_from():
    for suite in TRAINED:
        for row in rows(f"{suite}/train.jsonl"):
            assert row["metadata"].keys() >= {"source", "author", "group"}


def test_training_and_cases_of_routing_share_no_sentence():
    taught = {row["metadata"]["group"] for row in rows("routing/train.jsonl")}
    assert not taught & {row["metadata"]["group"] for row in cases("routing")}


def test_every_desk_is_named_in_the_routing_prompts():
    desks = {row["expected_output"] for row in cases("routing")}
    assert len(desks) == 8
    for name in ("routing_zero_shot.j2", "routing_few_shot.j2"):
        prompt = (EVALS / "prompts" / name).read_text("utf-8")
        assert all(desk in prompt for desk in desks)


def test_the_targets_are_those_that_were_locked():
    suites = yaml.safe_load((EVALS / "rung.yaml").read_text("utf-8"))["suites"]
    locked = json.loads((EVALS / "suites.lock").read_text("utf-8"))["targets"]
    assert {name: suite["target"] for name, suite in suites.items()} == locked


def test_the_committed_suites_are_what_the_parts_give_and_as_locked():
    script = ROOT / "fixtures" / "company" / "build.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("system", ["query-lora", "support-closed-book-lora", "rag-tuned"])
def test_the_committed_adapters_fit_the_base_and_their_recipes(system: str) -> None:
    spec = load_project(EVALS / "rung.yaml").systems[system]
    require_adapter(spec)
    record = read_record(spec.path(spec.options["adapter"]))
    assert record["recipe"] == read_recipe(spec).fields
    losses = [entry["loss"] for entry in record["curve"] if "loss" in entry]
    assert losses[0] > 10 * losses[-1]
    assert record["rows"] + record["validation"] <= 800


def test_a_tuned_system_stands_in_the_suite_of_general_skills() -> None:
    text = (EVALS / "test_retained.py").read_text("utf-8")
    assert '"zero-shot"' in text  # before
    assert '"query-lora"' in text  # after
