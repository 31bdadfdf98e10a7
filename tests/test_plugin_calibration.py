"""Gates and verdicts on judged metrics: people's labels decide what a judge's word is worth."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sample_project import SampleProject, jsonl

from harness.error_analysis.misses import answer_hash
from harness.gates import Rule, Subject, Trust, judge_at_least, through_judge
from harness.statistics.outcomes import Outcomes
from harness.types import Estimate

CASES = 120
BODY = (
    '@pytest.mark.judge(system="judge", rubric="tone.txt")\n'
    "@pytest.mark.gate(at_least=0.6)\n"
    "def test_tone(judgement):\n    assert judgement.passed, judgement.reason\n"
)
JUDGE = (
    "import json, re\n"
    "def judge(text: str) -> str:\n"
    "    answer = re.search(r'begin answer .*?\\]\\n(.*)\\n\\[end', text, re.S).group(1)\n"
    "    return json.dumps({'pass': answer.startswith('kind'), 'reason': 'as it reads'})\n"
)


def ids(system: str = "a") -> dict[str, str]:
    """Answers: the judge passes 80 of 120."""
    return {f"c{i:03d}": f"{'kind' if i % 3 else 'rude'} {system} {i}" for i in range(CASES)}


@pytest.fixture
def judged(project: SampleProject) -> SampleProject:
    project.suite(BODY, systems={"a": ids("a"), "b": ids("b")})
    project.write("evals/calibration_judging.py", JUDGE)
    project.write("evals/tone.txt", "The answer is kind.")
    with (project.evals / "rung.yaml").open("a") as file:
        file.write("  judge: {kind: python, callable: 'calibration_judging:judge'}\n")
    return project


def label_rows(right, *, system="a", who="ana", metric="tone", **changes):
    """Lines as the desk writes them; `right` says of each case whether a person passes it."""
    return [
        {
            "at": f"2026-01-01T00:00:{i % 60:02d}+00:00", "who": who, "run": "r", "suite": "toy",
            "system": system, "case": f"c{i:03d}", "epoch": 0,
            "answer_hash": answer_hash(ids(system)[f"c{i:03d}"]),
            "label": "right" if passed else "wrong", "metric": metric, "order": "random",
            "seed": 0, "scores_shown": False, **changes,
        }
        for i, passed in enumerate(right)
    ]  # fmt: skip


def like_the_judge(*wrong: int, count: int = CASES) -> list[bool]:
    return [bool(i % 3) != (i in wrong) for i in range(count)]


def write_labels(project: SampleProject, *rows: dict[str, object]) -> None:
    project.write("evals/labels/toy.jsonl", jsonl(rows))


def gate(project: SampleProject, system: str = "a") -> dict[str, object]:
    return next(g for g in project.document()["gates"] if g["system"] == system)


def test_without_labels_a_gate_says_that_its_judge_is_not_calibrated(judged) -> None:
    result = judged.run()
    assert gate(judged)["state"] == "passed"
    assert "judge not calibrated" in gate(judged)["reason"]
    row = judged.document()["judges"][0]
    assert (row["labels"], row["source"], row["youden"]) == (0, None, None)
    result.stdout.fnmatch_lines(["judge of toy · tone ?a?: judge not calibrated*"])


def test_labels_of_a_random_sample_calibrate_the_judge(judged) -> None:
    write_labels(judged, *label_rows(like_the_judge(0, 3, 6, 1)))
    result = judged.run()
    row = judged.document()["judges"][0]
    assert (row["labels"], row["source"], row["refusal"]) == (CASES, "human", None)
    assert row["sensitivity"]["value"] == pytest.approx(79 / 82)
    assert row["specificity"]["value"] == pytest.approx(37 / 38)
    assert row["kappa"]["value"] > 0.9
    assert row["raw_pass_rate"] == pytest.approx(80 / 120)
    assert row["pass_rate"]["value"] == pytest.approx(82 / 120)
    result.stdout.fnmatch_lines(
        ["judge of toy · tone ?a?: on 120 human labels, kappa*sensitivity*specificity*corrected*"]
    )


def test_a_gate_is_judged_on_what_people_would_say(judged) -> None:
    # The judge passes 67 %; people would pass 50 %: the floor of 60 % is broken.
    lenient = [i for i in range(CASES) if i % 3][:20]
    write_labels(judged, *label_rows(like_the_judge(*lenient)))
    result = judged.run()
    assert result.ret == 1
    assert gate(judged)["state"] == "failed"
    assert gate(judged)["effect"] == pytest.approx(0.5)
    assert "corrected by people's labels (the judge says 66.7 %)" in gate(judged)["reason"]


def test_a_judge_that_says_too_little_is_refused_and_never_green(judged) -> None:
    write_labels(judged, *label_rows([i % 2 == 0 for i in range(60)]))
    result = judged.run()
    assert gate(judged)["state"] == "undecided"
    assert gate(judged)["reason"].startswith("refused: sensitivity + specificity - 1 is")
    result.stdout.fnmatch_lines(["*gate undecided: toy · tone ?a? at least: refused:*"])
    assert "refused" in (judged.latest / "summary.md").read_text("utf-8")
    assert "refused" in (judged.latest / "report.html").read_text("utf-8")
    with (judged.evals / "rung.yaml").open("a") as file:
        file.write("decision: {undecided: fail}\n")
    assert judged.run().ret == 10


def test_constructed_labels_are_never_reported_as_human(judged) -> None:
    lines = ["case_id,passed,source"]
    lines += [f"c{i:03d},{'passed' if i % 3 else 'missed'},constructed" for i in range(CASES)]
    judged.write("evals/labels/toy.a.tone.judge.csv", "\n".join(lines) + "\n")
    with (judged.evals / "rung.yaml").open("a") as file:
        file.write("suites: {toy: {target: 0.5}}\n")
    result = judged.run()
    row = judged.document()["judges"][0]
    assert (row["labels"], row["source"]) == (CASES, "constructed")
    assert "no person gave them" in gate(judged)["reason"]
    result.stdout.fnmatch_lines(["*on 120 constructed labels*"])
    verdict = judged.document()["verdicts"][0]
    assert "judge" not in verdict["evidence"]
    assert any("0 human labels" in said for said in verdict["conditions"])


@pytest.mark.parametrize(
    ("change", "waiting"),
    [
        ({"order": "misses"}, 0),  # not a random sample
        ({"scores_shown": True}, 0),  # swayed by what the judge had said
        ({"metric": None}, 0),  # asked about the whole answer
        ({"answer_hash": "000000000000"}, CASES),  # another answer
    ],
)
def test_labels_that_cannot_check_a_judge_do_not(judged, change, waiting) -> None:
    write_labels(judged, *label_rows(like_the_judge(), **change))
    judged.run()
    row = judged.document()["judges"][0]
    assert (row["labels"], row["waiting"]) == (0, waiting)


def test_labels_whose_case_or_answer_left_the_run_are_counted_and_shown(judged) -> None:
    rows = label_rows(like_the_judge())
    rows[0]["case"], rows[1]["answer_hash"] = "gone", "000000000000"
    write_labels(judged, *rows)
    result = judged.run()
    row = judged.document()["labels"][0]
    assert (row["labels"], row["case_gone"], row["answer_changed"]) == (CASES - 2, 1, 1)
    result.stdout.fnmatch_lines(["toy: labels that do not count here: 1 of cases that left*"])


def test_two_systems_are_compared_as_people_would(judged) -> None:
    lenient = [i for i in range(CASES) if i % 3][:12]
    write_labels(
        judged,
        *label_rows(like_the_judge(*lenient)),
        *label_rows(like_the_judge(), system="b"),
    )
    result = judged.run()
    row = judged.document()["judge_differences"][0]
    assert (row["baseline"], row["candidate"], row["pairs"]) == ("a", "b", CASES)
    assert row["raw"] == 0
    assert row["difference"]["value"] == pytest.approx(12 / CASES)
    result.stdout.fnmatch_lines(["judge of toy · tone: b against a: +10.0*corrected by 120*"])


def test_the_verdict_hears_of_the_judge_and_of_people_who_disagree(judged) -> None:
    with (judged.evals / "rung.yaml").open("a") as file:
        file.write("suites: {toy: {target: 0.95}}\n")
    people = like_the_judge()
    others = [not said if i < 20 else said for i, said in enumerate(people)]
    write_labels(judged, *label_rows(people), *label_rows(others, who="ben"))
    judged.run()
    verdict = judged.document()["verdicts"][0]
    assert verdict["evidence"]["judge"]["human_agreement"] == pytest.approx(100 / 120)
    assert verdict["action"] == "fix_eval"
    assert "people agree with each other" in verdict["sentence"]


def test_workers_judge_and_calibrate_as_one_process_does(judged) -> None:
    pytest.importorskip("xdist")
    write_labels(judged, *label_rows([i % 2 == 0 for i in range(60)]))
    judged.run_outside("-n", "2")
    assert gate(judged)["reason"].startswith("refused:")
    assert judged.document()["judges"][0]["labels"] == 60


class TestThroughAJudge:
    """The rule of gates, without a run."""

    SUBJECT = Subject(suite="s", metric="m", system="x")

    def corrected(self, value: float, half: float) -> Estimate:
        return Estimate(
            value=value, low=value - half, high=value + half, confidence_level=0.95, n=1000,
            n_effective=None, method="PPI++", kind="mean",
        )  # fmt: skip

    def through(self, passed: int, trust: Trust, *, n: int = 100, rule: Rule | None = None):
        outcomes = Outcomes.from_counts([str(i) for i in range(n)], [i < passed for i in range(n)])
        judged = judge_at_least(outcomes, 0.8, subject=self.SUBJECT, rule=rule)
        return through_judge(judged, outcomes, trust, rule=rule)

    @pytest.mark.parametrize(
        ("value", "half", "state"),
        [(0.85, 0.1, "passed"), (0.78, 0.1, "undecided"), (0.6, 0.1, "failed")],
    )
    def test_the_corrected_rate_decides(self, value, half, state) -> None:
        found = self.through(95, Trust(pass_rate=self.corrected(value, half)))
        assert found.state == state
        assert found.effect == value

    def test_outputs_without_a_score_stay_at_their_worst(self) -> None:
        n = 100
        none = np.zeros(n, dtype=np.int64)
        lost = np.array([i >= 90 for i in range(n)], dtype=np.int64)
        outcomes = Outcomes(
            case_ids=tuple(map(str, range(n))), passed=1 - lost, missed=none, unscored=lost,
            errored=none, not_run=none,
        )  # fmt: skip
        judged = judge_at_least(outcomes, 0.8, subject=self.SUBJECT)
        found = through_judge(judged, outcomes, Trust(pass_rate=self.corrected(0.85, 0.2)))
        assert found.state == "failed"  # .765 at worst, .865 at best
        assert "unscored or errored decide" in found.reason

    def test_between_batches_nothing_is_corrected_and_that_is_said(self) -> None:
        trust = Trust(pass_rate=self.corrected(0.5, 0.1))
        found = self.through(95, trust, rule=Rule(sequential=True))
        assert found.state == "passed"
        assert "not corrected for between batches" in found.reason

    def test_a_gate_that_was_not_judged_stays_so(self) -> None:
        outcomes = Outcomes.from_counts([], [])
        judged = judge_at_least(outcomes, 0.8, subject=self.SUBJECT)
        assert through_judge(judged, outcomes, Trust(refusal="it knows nothing")) == judged


def test_the_document_is_json_with_its_new_parts(judged) -> None:
    write_labels(judged, *label_rows(like_the_judge()))
    judged.run()
    document = judged.document()
    assert json.dumps(document["judges"])
    assert document["labels"][0]["people"] == ["ana"]
