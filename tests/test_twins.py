"""The demo's verdicts, each flipped by a twin that changes one cause.

data/demo holds a real run of the demo (record_demo.py): what every system passed, which passages
retrieval showed. The embedded model is small, so some of its verdicts leave a twin nothing to flip; those
start from the same run with an able model, which answers right wherever it is shown or was taught what
it needs. Its retrieval, cases, splits and rows stay the demo's own, and the verdict is the shipped one.
"""

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from diversity_sets import HashingEncoder

from harness.cases import load_cases
from harness.config import load_project
from harness.diversity import Options, examine
from harness.escalation import RunData, columns_of, evidence_of_run, judge
from harness.store import read_table
from harness.training_rows import load_training_rows

HERE = Path(__file__).resolve().parent
ROOT, RECORDED = HERE.parent, HERE / "data" / "demo"
AUDITED = {"rows": 797, "ready": True, "audit": {"checked": 50, "wrong": 0}}
ONE_PAGE = "winter.md"


@dataclass(frozen=True)
class Demo:
    """A run, and what a run cannot know."""

    document: dict
    scores: list
    cases: list
    known: dict

    def verdict(self, suite):
        """The verdict on one suite."""
        project = load_project(ROOT / "evals/rung.yaml")
        # What the company pays is not what these twins are about.
        project = replace(project, decision=replace(project.decision, prices=None))
        run = RunData(
            document=self.document,
            scores=columns_of(self.scores),
            cases=columns_of(self.cases),
            known=self.known,
        )
        return judge(evidence_of_run(run, project)[suite])

    def knows(self, suite, **parts):
        """The same with other evidence from outside the run."""
        return replace(self, known={**self.known, suite: {**self.known.get(suite, {}), **parts}})

    def passing(self, suite, system, metric, holds):
        """The same where a system passes just the cases for which `holds` is true."""

        def states(row):
            if (row["suite"], row["system"], row["metric"]) != (suite, system, metric):
                return row
            return row | {"state": "passed" if holds(row["case"]) else "missed"}

        return replace(self, scores=[states(row) for row in self.scores])

    def without(self, suite, system):
        """The same without a system."""
        suites = [
            row | {"systems": [s for s in row["systems"] if s != system]}
            if row["name"] == suite
            else row
            for row in self.document["suites"]
        ]
        scores = [s for s in self.scores if (s["suite"], s["system"]) != (suite, system)]
        return replace(self, scores=scores, document={**self.document, "suites": suites})

    def with_cases(self, suite, ids):
        """The same with some cases of a suite alone."""
        return replace(
            self,
            scores=[s for s in self.scores if s["suite"] != suite or s["case"] in ids],
            cases=[c for c in self.cases if c["suite"] != suite or c["case"] in ids],
        )


@pytest.fixture(scope="module")
def demo():
    if not (RECORDED / "run.json").is_file():
        pytest.skip("the demo was not recorded: tests/record_demo.py")
    return Demo(
        document=json.loads((RECORDED / "run.json").read_text("utf-8")),
        scores=read_table(RECORDED, "scores"),
        cases=read_table(RECORDED, "cases"),
        known={"query": {"readiness": AUDITED}, "routing": {"readiness": AUDITED}},
    )


@pytest.fixture(scope="module")
def gold(demo):
    """The passage that holds the fact, by case."""
    support = [row for row in demo.cases if row["suite"] == "support"]
    return {row["case"]: {p["id"] for p in json.loads(row["context"])} for row in support}


@pytest.fixture(scope="module")
def reading(demo):
    """Support, by a retriever that finds and a model that reads."""
    read = demo.passing("support", "rag", "states_the_policy", lambda case: True)
    return read.passing("support", "rag-oracle", "states_the_policy", lambda case: True)


@pytest.fixture(scope="module")
def taught(demo):
    """Queries, by a model that learnt the language from its rows and forgot nothing."""
    learnt = demo.passing("query", "query-lora", "matches_query", lambda case: True)
    return learnt.knows("query", retained=unchanged(demo))


def unchanged(demo, lost=0):
    """General skills before and after, on the demo's own cases."""
    cases = sum(
        row["suite"] == "retained" and json.loads(row["metadata"]).get("split") == "locked"
        for row in demo.cases
    )
    return {"gained": 0, "lost": lost, "tied": cases - lost}


@pytest.mark.parametrize("suite", ["support", "query", "routing", "safety", "retained"])
def test_the_demo_itself_has_a_verdict_on_every_suite(demo, suite):
    if suite not in {row["name"] for row in demo.document["suites"]}:
        pytest.skip("not recorded")
    verdict = demo.verdict(suite)
    assert verdict.sentence
    assert verdict.next_step["do"]


def test_a_broken_retriever_asks_for_retrieval_not_for_rag(reading, gold):
    assert reading.verdict("support").action == "climb_to_rag"
    broken = reading.passing(
        "support",
        "rag",
        "states_the_policy",
        # An index that lost all pages but one can show no other page's passage.
        lambda case: any(passage.startswith(f"{ONE_PAGE}#") for passage in gold[case]),
    )
    assert broken.verdict("support").action == "fix_retrieval"


def test_the_demos_own_retrieval_read_by_an_able_model_is_too_close_to_call(reading, gold):
    found = reading.document["found"]
    own = reading.passing(
        "support", "rag", "states_the_policy", lambda case: bool(gold[case] & set(found[case]))
    )
    assert own.verdict("support").action in ("run_more_cases", "fix_retrieval", "climb_to_rag")


def test_a_reader_that_fails_even_with_the_right_passage_is_not_helped_by_retrieval(reading):
    blind = reading.passing("support", "rag", "states_the_policy", lambda case: False)
    blind = blind.passing("support", "rag-oracle", "states_the_policy", lambda case: False)
    assert blind.verdict("support").action == "collect_data"


def test_forty_cases_ask_for_more(demo):
    passed = {
        row["case"]
        for row in demo.scores
        if (row["system"], row["metric"], row["state"])
        == ("routing-classical", "right_label", "passed")
    }
    # A prompt that is as good as the demo's classical system, and nothing cheaper beside it.
    good = demo.passing("routing", "routing-zero-shot", "right_label", passed.__contains__)
    good = good.without("routing", "routing-classical")
    rows = [row for row in demo.cases if row["suite"] == "routing"]
    locked = [r["case"] for r in rows if json.loads(r["metadata"]).get("split") == "locked"]
    dev = {row["case"] for row in rows if row["case"] not in locked}
    assert good.verdict("routing").action == "stay_on_prompt"
    draws = [dev | {*random.Random(seed).sample(locked, 40)} for seed in range(9)]
    actions = [good.with_cases("routing", ids).verdict("routing").action for ids in draws]
    assert set(actions) <= {"run_more_cases", "stay_on_prompt"}
    assert actions.count("run_more_cases") > len(draws) / 2


def test_shuffled_training_outputs_are_not_expected_to_reach(taught):
    assert taught.verdict("query").action == "look_at_misses"
    looked = {"system": "query-few-shot", "total": 60, "causes": {"behaviour": 60}}
    assert taught.knows("query", misses=looked).verdict("query").action == "escalate_to_gpu"
    cases = load_cases(ROOT / "evals/query.jsonl")
    answers = [case.expected_output for case in cases]
    random.Random(0).shuffle(answers)
    # What was taught with one another's answers answers with one another's answers.
    lucky = {c.id for c, a in zip(cases, answers, strict=True) if a == c.expected_output}
    shuffled = taught.passing("query", "query-lora", "matches_query", lambda case: case in lucky)
    nothing = [{"rows": rows, "passed": [0], "cases": 166} for rows in (40, 80, 160)]
    nothing.append({"rows": 320, "passed": [0, 0, 0], "cases": 166})
    verdict = shuffled.knows("query", pilot={"points": nothing}).verdict("query")
    assert (verdict.action, verdict.row) == ("stay_on_best_rung", "16")
    assert "not expected to reach" in verdict.sentence


def test_a_prompt_that_reads_the_answers_needs_no_tuning(taught):
    told = taught.passing("query", "query-few-shot", "matches_query", lambda case: True)
    assert told.verdict("query").action in ("stay_on_prompt", "step_down")
    assert "prompt" in told.verdict("query").sentence


def test_half_the_training_set_duplicated_and_leaked_is_not_ready(taught):
    rows = load_training_rows(ROOT / "evals/query/train.jsonl")
    cases = load_cases(ROOT / "evals/query.jsonl")
    half = len(rows) // 2
    leaked = [
        replace(rows[0], input=case.input["question"], output=json.dumps(case.expected_output))
        for case in cases[:40]
    ]
    found = examine(
        [*rows[:half], *rows[: half - len(leaked)], *leaked],
        encoder=HashingEncoder(),
        eval_suites={"query": cases},
        rng=np.random.default_rng(0),
        options=Options(suite="query"),
    )
    bad = AUDITED | {
        "rows": len(found.clean_rows),
        "ready": found.ready,
        "leaked": len(found.leaked),
        "near_duplicates": found.near_duplicate_rate.value,
    }
    twin = taught.knows("query", readiness=bad).verdict("query")
    assert (twin.action, twin.row) == ("collect_data", "10")
    assert "also stand in an eval suite" in twin.sentence
    assert "copies" in twin.next_step["do"]


def test_a_tuning_that_harms_general_skills_does_not_ship(taught, demo):
    harmed = taught.knows("query", retained=unchanged(demo, lost=90)).verdict("query")
    assert (harmed.action, harmed.row) == ("run_pilot", "12")
    assert "loses 14 % of its general skills" in harmed.sentence


def test_a_prompt_that_chooses_right_stays_and_a_cheaper_system_that_does_steps_down(demo):
    assert demo.verdict("routing").action == "step_down"
    able = demo.passing("routing", "routing-zero-shot", "right_label", lambda case: True)
    assert able.verdict("routing").action == "stay_on_prompt"
    alone = demo.without("routing", "routing-classical")
    assert alone.verdict("routing").action not in ("step_down", "stay_on_prompt")
