"""From a stored run to its verdicts: what passes, what is judged on, what it stands on."""

import json
from dataclasses import asdict, replace

import pytest

from harness.config import load_project
from harness.errors import ConfigError
from harness.escalation import (
    RunData,
    columns_of,
    evidence_of_run,
    judge,
    judge_run,
    project_sentence,
    stale,
    stale_sentence,
    stands_on,
    verdict_rows,
)
from harness.escalation.claims import measured
from harness.escalation.evidence import PilotPoint
from harness.forecast import Point

YAML = """
models:
  base: {transformers: some/model}
  hosted: {openai: big, base_url: "https://example.com/v1"}
systems:
  zero-shot: {kind: prompt, model: base, prompt: p.j2}
  few-shot: {kind: prompt, model: base, prompt: p.j2, examples: {path: e.jsonl, k: 2}}
  rag: {kind: rag, model: base, prompt: p.j2, corpus: docs, retriever: {bm25: {k: 3}}}
  oracle: {kind: rag, model: base, prompt: p.j2, corpus: docs, retriever: oracle}
  bigger: {kind: prompt, model: hosted, prompt: p.j2, probe: true}
  lora: {kind: fine_tuned, model: base, adapter: a, prompt: p.j2}
suites:
  toy: {champion: few-shot, target: 0.8, retained: skills, training: train.jsonl}
  skills: {champion: zero-shot}
"""


class Toy:
    """A run made up case by case."""

    def __init__(self, folder, yaml=YAML):
        (folder / "rung.yaml").write_text(yaml)
        (folder / "train.jsonl").write_text('{"input": "a", "output": "b"}\n')
        self.folder = folder
        self.project = load_project(folder / "rung.yaml")
        self.scores, self.cases, self.gates, self.usage, self.suites = [], [], [], [], []
        self.categories, self.pilots = [], []

    def suite(self, name, systems, *, cases=None, metrics=("right",), **more):
        """Add a suite; `systems` maps a system to the states of its cases, in order."""
        n = len(next(iter(systems.values())))
        for i in range(n):
            fields = (cases or {}).get(i, {})
            self.cases.append(
                {
                    "suite": name,
                    "case": f"c{i}",
                    "tags": json.dumps(fields.get("tags", [])),
                    "metadata": json.dumps(fields.get("metadata", {})),
                    "context": json.dumps(fields.get("context", [])),
                }
            )
        for system, states in systems.items():
            for i, state in enumerate(states):
                for metric in metrics:
                    self.score(name, system, i, metric, state)
        row = {
            "name": name, "systems": list(systems), "metrics": dict.fromkeys(metrics, "1"),
            "champion": self.project.suites[name].champion, "content_hash": f"hash-of-{name}",
            "target": self.project.suites[name].target, "decides": [], "split": "all",
            "narrowed": False,
        }  # fmt: skip
        self.suites.append(row | more)
        return self

    def score(self, suite, system, case, metric, state, epoch=0):
        """Add one score."""
        row = (suite, system, f"c{case}", epoch, metric, state)
        names = ("suite", "system", "case", "epoch", "metric", "state")
        self.scores.append(dict(zip(names, row, strict=True)))

    @property
    def document(self):
        """The document of the run."""
        names = {name for suite in self.suites for name in suite["systems"]}
        systems = [
            {"name": n, "rung": self.project.systems[n].rung, "fingerprint": f"print-of-{n}"}
            for n in sorted(names)
        ]
        return {
            "run_id": "now", "suites": self.suites, "systems": systems, "gates": self.gates,
            "usage": self.usage, "categories": self.categories,
            "pilots": self.pilots, "diversity": [],
        }  # fmt: skip

    def data(self, **more):
        """The run as the verdict reads it."""
        return RunData(
            document=self.document,
            scores=columns_of(self.scores),
            cases=columns_of(self.cases),
            **more,
        )

    def evidence(self, **more):
        """Evidence of the suite `toy`."""
        return evidence_of_run(self.data(**more), self.project)["toy"]


def states(passed, missed, *rest):
    return ["passed"] * passed + ["missed"] * missed + list(rest)


@pytest.fixture
def toy(tmp_path):
    return Toy(tmp_path)


def outcomes(evidence, name):
    return next(s.outcomes for s in evidence.systems if s.name == name)


def test_a_case_passes_when_every_deciding_metric_holds(toy):
    toy.suite("toy", {"few-shot": states(10, 0)}, metrics=("right", "short"))
    for i in range(3):
        toy.scores = [
            row if (row["case"], row["metric"]) != (f"c{i}", "short") else row | {"state": "missed"}
            for row in toy.scores
        ]
    assert outcomes(toy.evidence(), "few-shot").passed == 7
    toy.suites[0]["decides"] = ["right"]
    assert outcomes(toy.evidence(), "few-shot").passed == 10


def test_without_decides_the_gated_metrics_decide(toy):
    toy.suite("toy", {"few-shot": states(6, 4)}, metrics=("right", "overlap"))
    toy.scores = [
        row | {"state": "missed"} if row["metric"] == "overlap" else row for row in toy.scores
    ]
    assert outcomes(toy.evidence(), "few-shot").passed == 0
    gate = {"suite": "toy", "metric": "right", "system": "few-shot", "kind": "at_least"}
    toy.gates.append(gate | {"state": "passed"})
    assert outcomes(toy.evidence(), "few-shot").passed == 6


def test_what_has_no_score_is_missing_never_missed(toy):
    toy.suite("toy", {"few-shot": states(6, 2, "errored", "unscored")})
    rate = outcomes(toy.evidence(), "few-shot")
    assert (rate.passed, rate.n, rate.missing) == (6, 8, 2)


def test_a_miss_on_one_metric_is_a_miss_whatever_the_others_lack(toy):
    toy.suite("toy", {"few-shot": states(1, 0)}, metrics=("right", "short"))
    toy.scores[0]["state"], toy.scores[1]["state"] = "missed", "errored"
    rate = outcomes(toy.evidence(), "few-shot")
    assert (rate.passed, rate.n, rate.missing) == (0, 1, 0)


def test_locked_cases_judge_and_dev_cases_choose(toy):
    cases = {i: {"metadata": {"split": "locked" if i < 6 else "dev"}} for i in range(10)}
    systems = {"zero-shot": states(5, 5), "few-shot": states(4, 2, *states(4, 0))}
    toy.suite("toy", systems, cases=cases, split="locked")
    evidence = toy.evidence()
    assert (outcomes(evidence, "few-shot").passed, outcomes(evidence, "few-shot").n) == (4, 6)
    assert [s.dev.passed for s in evidence.systems] == [0, 4]
    assert evidence.selection.split == "locked"
    assert evidence.selection.locked_uses == 1


def test_a_suite_without_marked_cases_is_not_locked_by_its_word(toy):
    toy.suite("toy", {"few-shot": states(5, 5)}, split="locked")
    evidence = toy.evidence()
    assert outcomes(evidence, "few-shot").n == 10
    assert evidence.selection.split == "all"


def test_uses_of_the_locked_cases_and_prompts_tried_are_counted_over_runs(toy):
    cases = {i: {"metadata": {"split": "locked"}} for i in range(10)}
    toy.suite("toy", {"few-shot": states(5, 5)}, cases=cases, split="locked")
    earlier = json.loads(json.dumps(toy.document)) | {"run_id": "before"}
    earlier["systems"][0]["fingerprint"] = "an earlier prompt"
    selection = toy.evidence(history=[earlier, toy.document]).selection
    assert selection.locked_uses == 2
    assert selection.prompt_systems == 2


def test_examples_that_an_earlier_prompt_had_count_as_tried(toy):
    toy.suite("toy", {"zero-shot": states(5, 5)})
    earlier = json.loads(json.dumps(toy.document)) | {"run_id": "before"}
    assert toy.evidence(history=[earlier, toy.document]).selection.few_shot_tried is None
    earlier["systems"][0]["configuration"] = {"options": {"examples": {"path": "e.jsonl"}}}
    assert toy.evidence(history=[earlier, toy.document]).selection.few_shot_tried


def test_systems_are_known_by_their_configuration(toy):
    names = ("zero-shot", "few-shot", "rag", "oracle", "bigger", "lora")
    toy.suite("toy", {name: states(5, 5) for name in names})
    by_name = {s.name: s for s in toy.evidence().systems}
    assert [n for n, s in by_name.items() if s.oracle] == ["oracle"]
    assert [n for n, s in by_name.items() if s.probe] == ["bigger"]
    assert [n for n, s in by_name.items() if s.few_shot] == ["few-shot"]
    assert [n for n, s in by_name.items() if s.hosted] == ["bigger"]
    assert by_name["lora"].rung == "fine_tuned"


def test_clusters_and_epochs_make_effective_cases(toy):
    cases = {i: {"metadata": {"group": f"g{i // 5}"}} for i in range(20)}
    toy.suite("toy", {"few-shot": states(10, 10), "rag": states(15, 5)}, cases=cases)
    evidence = toy.evidence()
    assert outcomes(evidence, "few-shot").clusters == 4
    assert outcomes(evidence, "few-shot").n_effective < 20
    (pair,) = evidence.pairs
    assert (pair.counts.gained, pair.counts.clusters) == (5, 4)


def test_epochs_are_averaged_within_a_case(toy):
    toy.suite("toy", {"few-shot": states(4, 4)})
    for i in range(8):
        toy.score("toy", "few-shot", i, "right", "passed" if i % 2 else "missed", epoch=1)
    rate = outcomes(toy.evidence(), "few-shot")
    assert (rate.passed, rate.n) == (4.0, 8)
    assert rate.n_effective is not None


def test_misses_of_cases_that_name_their_passages_lack_a_fact(toy):
    cases = {i: {"context": [{"id": "doc"}]} for i in range(7)}
    toy.suite("toy", {"few-shot": list(reversed(states(2, 8)))}, cases=cases)
    misses = toy.evidence().misses
    assert misses.by_rule
    assert dict(misses.causes) == {"missing_fact": 7, "unknown": 1}


def test_tags_that_a_person_gave_come_before_the_rule(toy):
    cases = {i: {"context": [{"id": "doc"}]} for i in range(10)}
    toy.suite("toy", {"few-shot": states(2, 8)}, cases=cases)
    toy.categories = [
        {"suite": "toy", "system": "few-shot", "category": "format", "count": 12, "by_hand": 12},
        {"suite": "toy", "system": "few-shot", "category": "unknown", "count": 9, "by_hand": 0},
    ]
    misses = toy.evidence().misses
    assert not misses.by_rule
    assert dict(misses.causes) == {"format": 8}


def test_a_suite_is_judged_when_a_deciding_metric_is(toy):
    toy.suite("toy", {"few-shot": states(9, 1)}, judged=["tone"])
    assert not toy.evidence().judged
    toy.suites[0]["judged"] = ["right"]
    assert toy.evidence().judged


def test_failed_critical_gates_of_the_champion_forbid_shipping(toy):
    toy.suite("toy", {"few-shot": states(8, 2), "zero-shot": states(5, 5)})
    gate = {"suite": "toy", "metric": "right", "kind": "critical", "state": "failed"}
    toy.gates.append(gate | {"system": "zero-shot"})
    assert toy.evidence().shipping.critical_misses == 0
    toy.gates.append(gate | {"system": "few-shot"})
    assert toy.evidence().shipping.critical_misses == 2
    assert judge(toy.evidence()).action == "do_not_ship"


def test_a_critical_case_without_a_score_is_not_called_a_miss(toy):
    toy.suite("toy", {"few-shot": ["passed"] * 97 + ["errored"] * 3})
    gate = {"suite": "toy", "metric": "right", "kind": "critical", "state": "failed"}
    toy.gates.append(gate | {"system": "few-shot"})
    shipping = toy.evidence().shipping
    assert (shipping.critical_misses, shipping.critical_unscored) == (0, 3)
    verdict = judge(toy.evidence())
    assert verdict.action == "do_not_ship"
    assert "has no score for 3 critical cases (right)" in verdict.sentence
    assert "misses" not in verdict.sentence


def test_a_tuned_system_is_compared_with_its_base_on_general_skills(toy):
    toy.suite("toy", {"few-shot": states(5, 5), "lora": states(9, 1)})
    toy.suite("skills", {"zero-shot": states(18, 2), "lora": states(15, 5)})
    retained = toy.evidence().retained
    assert (retained.gained, retained.lost, retained.tied) == (0, 3, 17)


def test_a_system_that_was_just_trained_is_asked_general_skills_under_its_own_name(toy):
    toy.suite("toy", {"few-shot": states(5, 5), "lora": states(9, 1)})
    toy.suite("skills", {"zero-shot": states(18, 2)})
    for i in range(20):
        toy.score("skills", "lora-general", i, "right", "passed" if i < 16 else "missed")
    retained = toy.evidence().retained
    assert (retained.gained, retained.lost, retained.tied) == (0, 2, 18)


def test_a_pilot_that_a_run_found_stale_is_no_evidence_and_said_to_be(toy):
    toy.suite("toy", {"few-shot": states(50, 50)})
    toy.pilots = [{"suite": "toy", "evidence": {"left_out": ["left out: the pilot is stale"]}}]
    evidence = toy.evidence()
    assert evidence.pilot is None
    assert judge(evidence).conditions[0] == "left out: the pilot is stale"


def test_clustered_cases_of_a_pilot_count_for_what_they_are_worth():
    whole = PilotPoint(rows=50, passed=(30.0, 60.0), cases=100)
    worth = replace(whole, n_effective=20.0)
    assert measured(whole) == Point(rows=50, passed=(30.0, 60.0), cases=100)
    assert measured(worth) == Point(rows=50, passed=(6.0, 12.0), cases=20)


def test_suites_without_a_target_and_narrowed_runs_get_no_verdict(toy):
    toy.suite("skills", {"zero-shot": states(5, 5)})
    toy.suite("toy", {"few-shot": states(5, 5)}, narrowed=True)
    assert judge_run(toy.data(), toy.project) == []
    assert verdict_rows(toy.data(), toy.project) == ([], None)


def test_what_a_run_cannot_know_is_handed_in_and_checked(toy):
    toy.suite("toy", {"few-shot": states(50, 50)})
    known = {"toy": {"misses": {"system": "few-shot", "total": 50, "causes": {"format": 50}}}}
    assert toy.evidence(known=known).misses.causes == {"format": 50}
    known["toy"]["misses"]["total"] = 70
    with pytest.raises(ConfigError) as caught:
        toy.evidence(known=known)
    assert caught.value.key == "misses.total"


def pilot_of(toy, cases_hash):
    """A pilot's part of the evidence."""
    return {
        "pilot": {
            "points": [
                {"rows": 50, "passed": [40], "cases": 100},
                {"rows": 100, "passed": [60], "cases": 100},
            ],
            "cases_hash": cases_hash,
        },
        "retained": {"gained": 1, "lost": 1, "tied": 98},
    }


def test_a_stored_pilot_is_taken_and_a_stale_one_is_left_out_and_said_to_be(toy):
    toy.suite("toy", {"few-shot": states(50, 50)})
    toy.pilots = [{"suite": "toy", "evidence": pilot_of(toy, "hash-of-toy")}]
    assert toy.evidence().pilot.points[-1].rows == 100
    assert toy.evidence().retained.tied == 98
    toy.pilots = [{"suite": "toy", "evidence": pilot_of(toy, "another")}]
    evidence = toy.evidence()
    assert evidence.pilot is evidence.retained is None
    said = judge(evidence).conditions[0]
    assert said == "left out: the pilot stands on other cases; run it again"


@pytest.mark.parametrize("batches", [False, True])
def test_a_run_that_judged_a_few_cases_knows_of_the_suites_others(toy, batches):
    toy.suite("toy", {"few-shot": states(3, 2)}, cases={i: {"tags": ["x"]} for i in range(5)})
    toy.pilots = [{"suite": "toy", "evidence": pilot_of(toy, "hash-of-toy")}]
    known = {"toy": {"audit": {"checked": 60, "wrong": 1}}}
    data = toy.data(known=known, suspected={"toy": {"c0"}})
    data = replace(data, document=data.document | {"until_decided": batches})
    evidence = evidence_of_run(data, toy.project)["toy"]
    assert evidence.cases == 5
    assert evidence.pilot.points[-1].cases == 100
    assert evidence.audit.checked == 60
    assert evidence.leakage.without["few-shot"].n == 4


def test_prices_turn_tokens_into_money(tmp_path):
    yaml = YAML + "decision: {prices: prices.yaml, volume_per_month: 1000}\n"
    toy = Toy(tmp_path, yaml)
    (tmp_path / "prices.yaml").write_text(
        "date: 2026-11-01\ncurrency: EUR\nstep: {training_cost: 50}\n"
        "models: {base: {input_per_million: 1, output_per_million: 10}}\n"
    )
    toy.suite("toy", {"few-shot": states(5, 5)})
    toy.usage.append(
        {"suite": "toy", "system": "few-shot", "outputs": 10, "prompt_tokens": 5000,
         "completion_tokens": 100, "latency_p95_s": 0.5}
    )  # fmt: skip
    evidence = toy.evidence()
    assert evidence.systems[0].cost_per_call == pytest.approx(0.0006)
    assert evidence.systems[0].latency_p95_s == 0.5
    assert evidence.economics["cost_per_call_now"]["source"] == "measured"
    money = judge(evidence).expected["economics"]
    assert money["price_date"] == "2026-11-01"
    assert "value_per_pass" in money["missing"]
    assert set(evidence.stands_on) >= {"prices", "training", "cases", "decision", "metrics"}


class TestExpiry:
    """A verdict names what has changed under it."""

    def test_nothing_changed_is_not_stale(self, toy):
        toy.suite("toy", {"few-shot": states(5, 5)})
        verdict = asdict(judge(toy.evidence()))
        now = stands_on(toy.document, toy.suites[0], toy.project)
        assert stale(verdict, now) == ()
        assert stale_sentence(verdict, now) is None

    def test_what_changed_is_named(self, toy):
        toy.suite("toy", {"few-shot": states(5, 5)})
        verdict = asdict(judge(toy.evidence()))
        toy.suites[0]["content_hash"] = "other"
        (toy.folder / "train.jsonl").write_text("more\n")
        now = stands_on(toy.document, toy.suites[0], toy.project)
        assert stale(verdict, now) == ("cases", "training")
        assert "changed since are cases, training" in stale_sentence(verdict, now)

    def test_a_system_that_answers_otherwise_is_a_change_and_a_new_one_is_not(self, toy):
        toy.suite("toy", {"few-shot": states(5, 5)})
        verdict = asdict(judge(toy.evidence()))
        now = stands_on(toy.document, toy.suites[0], toy.project)
        assert stale(verdict, now | {"system rag": "x"}) == ()
        assert stale(verdict, now | {"system few-shot": "x"}) == ("system few-shot",)
        assert stale(verdict, now | {"prices": "x"}) == ("prices",)


class TestProjectSentence:
    """One sentence for one budget."""

    def test_it_names_every_suite_once_and_what_it_asks_for(self, tmp_path):
        yaml = YAML.replace(
            "skills: {champion: zero-shot}", "skills: {champion: zero-shot, target: 0.9}"
        )
        toy = Toy(tmp_path, yaml)
        toy.suite("toy", {"few-shot": states(190, 10)})
        toy.suite("skills", {"zero-shot": states(100, 100)})
        rows, said = verdict_rows(toy.data(), toy.project)
        assert [row["suite"] for row in rows] == ["toy", "skills"]
        assert said == (
            "No GPU yet: improve the prompt of skills; stay on the prompt for toy "
            "(next steps together: 2 new prompts)."
        )
        json.dumps(rows, allow_nan=False)

    def test_without_a_verdict_there_is_no_sentence(self):
        assert project_sentence([]) is None
