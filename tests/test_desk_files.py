"""Labels and votes as files: nothing acknowledged is lost, and each file feeds what reads it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from desk_project import SYSTEMS, MadeRun, answer_of, write_project
from hypothesis import given
from hypothesis import strategies as st
from tuned_systems import write_system

from harness.cases import load_cases
from harness.desk import exports
from harness.desk.agreement import krippendorff_alpha
from harness.desk.evidence import StoredSuite, SuiteLabels, count_labels
from harness.desk.journal import Journal
from harness.desk.labels import Label, LabelBook, label_file, majority
from harness.desk.outputs import RunOutputs
from harness.desk.pairs import Contestant, Sides, make_agenda
from harness.desk.preferences import preference_rows, review_result
from harness.desk.progress import agreement_sentence, audit, progress
from harness.desk.queues import Choice, make_queue
from harness.desk.standing import Standing
from harness.desk.tags import BAD_LABEL, run_misses
from harness.desk.votes import Vote, VoteBook, vote_file
from harness.desk.word_diff import word_diff
from harness.error_analysis import apply_overrides, missing_fact_share, read_overrides
from harness.error_analysis.misses import answer_hash
from harness.errors import ConfigError, StoreError
from harness.judges import read_labels
from harness.training_rows import load_training_rows
from systems.prepared_rows import RowPreparer
from systems.recipe import read_recipe, read_training_objects
from systems.untrained import prompts_of

FEW_SHOT, RAG = SYSTEMS


def label(number: int = 0, **changes: object) -> Label:
    """A label of the first system's answer to a case."""
    made = Label(
        at=f"2026-01-01T12:00:{number % 60:02d}.000+00:00", who="ana", run="r", suite="support",
        system=FEW_SHOT, case=f"c{number:03d}", epoch=0, order="random", label="wrong", scores_shown=False,
        answer_hash=answer_hash(answer_of(FEW_SHOT, number)),
    )  # fmt: skip
    return replace(made, **changes)


@pytest.fixture
def outputs(tmp_path: Path) -> RunOutputs:
    return RunOutputs(write_project(tmp_path))


def export(
    kind: str, labels: list[Label], outputs: RunOutputs, evals: Path, **options: str
) -> list[str]:
    book = LabelBook(label_file(evals, "support"))
    for one in labels:
        book.add(one)
    return exports.write(
        kind, book, outputs=outputs, evals=evals, suite="support", system=FEW_SHOT, **options
    )


class TestTheJournal:
    """An append-only file."""

    def test_gives_back_what_was_written_by_anybody(self, tmp_path: Path) -> None:
        one, other = Journal(tmp_path / "a.jsonl"), Journal(tmp_path / "a.jsonl")
        one.append({"n": 1})
        other.append({"n": 2})
        one.append({"n": 3})
        assert [row["n"] for row in other.new_rows()] == [1, 2, 3]
        one.append({"n": 4})
        assert [row["n"] for row in other.new_rows()] == [4]

    @given(cut=st.integers(min_value=0, max_value=60))
    def test_a_crash_anywhere_in_a_line_costs_that_line_alone(
        self, tmp_path_factory: pytest.TempPathFactory, cut: int
    ) -> None:
        file = tmp_path_factory.mktemp("journal") / "a.jsonl"
        Journal(file).append({"n": 1})
        whole = file.read_bytes()
        torn = json.dumps({"n": 2, "text": "x" * 30}).encode()[:cut]
        file.write_bytes(whole + torn)
        Journal(file).append({"n": 3})
        read = Journal(file)
        assert [row["n"] for row in read.new_rows() if "text" not in row] == [1, 3]
        assert len(read.damaged) <= 1

    def test_leaves_a_line_that_is_being_written_for_later(self, tmp_path: Path) -> None:
        file = tmp_path / "a.jsonl"
        file.write_bytes(b'{"n": 1}\n{"n"')
        journal = Journal(file)
        assert [row["n"] for row in journal.new_rows()] == [1]
        file.write_bytes(b'{"n": 1}\n{"n": 2}\n')
        assert [row["n"] for row in journal.new_rows()] == [2]

    def test_says_so_when_it_cannot_write(self, tmp_path: Path) -> None:
        (tmp_path / "labels").write_text("a file where the folder should be")
        with pytest.raises(StoreError, match="cannot write"):
            Journal(tmp_path / "labels" / "a.jsonl").append({"n": 1})


class TestLabels:
    def test_the_newest_of_each_person_counts(self, tmp_path: Path) -> None:
        book = LabelBook(tmp_path / "support.jsonl")
        book.add(label())
        book.add(label(who="ben"))
        book.add(label(label="right"))
        again = LabelBook(tmp_path / "support.jsonl")
        again.refresh()
        assert {(x.who, x.label) for x in again.all()} == {("ana", "right"), ("ben", "wrong")}

    def test_a_line_that_is_no_label_is_counted_and_left_out(self, tmp_path: Path) -> None:
        file = tmp_path / "support.jsonl"
        book = LabelBook(file)
        book.add(label())
        with file.open("a") as stream:
            stream.write('{"who": "ana"}\n[1]\n{"label": "perhaps"}\n')
        again = LabelBook(file)
        again.refresh()
        assert (len(again.all()), again.problems) == (1, 3)

    def test_a_key_that_a_later_version_adds_does_no_harm(self, tmp_path: Path) -> None:
        file = tmp_path / "support.jsonl"
        LabelBook(file).add(label())
        row = json.loads(file.read_text()) | {"mood": "fine"}
        file.write_text(json.dumps(row) + "\n")
        book = LabelBook(file)
        book.refresh()
        assert len(book.all()) == 1

    def test_people_who_are_split_say_nothing(self) -> None:
        split = [label(), label(who="ben", label="right")]
        assert majority(split) == {}
        assert majority([*split, label(who="eva", label="right")])[split[0].key] == (
            True, ("ana", "ben", "eva"),
        )  # fmt: skip


class TestQueues:
    def test_a_random_order_is_the_same_for_everybody_and_differs_by_seed(
        self, outputs: RunOutputs
    ) -> None:
        choice = Choice(suite="support", system=FEW_SHOT, order="random")
        one, other = make_queue(outputs, choice, seed=1), make_queue(outputs, choice, seed=1)
        assert one.places == other.places
        assert one.seed == 1
        assert make_queue(outputs, choice, seed=2).places != one.places
        assert sorted(one.places) == sorted(outputs.places("support", FEW_SHOT))
        assert make_queue(outputs, choice, seed=1, count=5).places == one.places[:5]

    def test_misses_come_first(self, outputs: RunOutputs) -> None:
        queue = make_queue(outputs, Choice(suite="support", system=FEW_SHOT, order="misses"))
        scores = outputs.scores("support", FEW_SHOT)
        missed = [any(s.state == "missed" for s in scores[place]) for place in queue.places]
        assert missed == sorted(missed, reverse=True)
        assert any(missed)
        assert not all(missed)

    def test_a_judge_against_an_assertion_comes_first(self, outputs: RunOutputs) -> None:
        assert outputs.judged("support") == ["tone"]
        queue = make_queue(outputs, Choice(suite="support", system=FEW_SHOT, order="disagreements"))
        scores = outputs.scores("support", FEW_SHOT)
        split = [len({s.state for s in scores[place]}) == 2 for place in queue.places]
        assert split == sorted(split, reverse=True)
        assert any(split)

    def test_the_most_valuable_are_unlike_each_other(self, tmp_path: Path) -> None:
        class Axes:
            """Texts of one subject lie on one axis."""

            fingerprint = "axes"

            def encode(self, texts: list[str]) -> np.ndarray:
                return np.eye(3, dtype=np.float32)[[int(text[-1]) for text in texts]]

        inputs = [f"subject {0 if i < 8 else 1 if i < 11 else 2}" for i in range(12)]
        made = RunOutputs(write_project(tmp_path, MadeRun(cases=12, inputs=inputs, missed=0)))
        choice = Choice(suite="support", system=FEW_SHOT, order="valuable")
        queue = make_queue(made, choice, encoder=Axes)
        first = [str(made.case("support", case).input) for case, _ in queue.places[:3]]
        assert first == ["subject 0", "subject 1", "subject 2"]
        assert len(queue.places) == 12
        with pytest.raises(ConfigError, match="encoder"):
            make_queue(made, choice)

    def test_a_wrong_name_is_told_with_the_nearest(self, outputs: RunOutputs) -> None:
        with pytest.raises(ConfigError, match="Did you mean 'few-shot'"):
            outputs.check_system("support", "few-shto")


class TestWhatLabelsFeed:
    def test_tags_become_categories_of_the_misses(
        self, outputs: RunOutputs, tmp_path: Path
    ) -> None:
        evals = tmp_path / "evals"
        misses = run_misses(outputs, "support", FEW_SHOT)
        tagged = [label(int(m.case_id[1:]), tag="reasoning") for m in misses[:4]]
        own = label(int(misses[4].case_id[1:]), tag="too chatty")
        export("tags", [*tagged, own], outputs, evals)
        rows = read_overrides(evals / "support.misses.csv")
        applied = apply_overrides(misses, rows)
        assert [m.category for m in applied].count("reasoning") == 4
        assert [m.by_hand for m in applied].count(True) == 4
        assert any("too chatty" in row.note and row.category is None for row in rows)

    def test_a_category_in_the_csv_is_not_replaced(
        self, outputs: RunOutputs, tmp_path: Path
    ) -> None:
        evals = tmp_path / "evals"
        export("tags", [label(tag="reasoning")], outputs, evals)
        file = evals / "support.misses.csv"
        file.write_text(file.read_text().replace("reasoning", "off_topic"))
        export("tags", [label(tag="format")], outputs, evals)
        written = [row.category for row in read_overrides(file) if row.category]
        assert written == ["off_topic"]

    def test_every_miss_has_a_row_for_a_person_to_fill_in(
        self, outputs: RunOutputs, tmp_path: Path
    ) -> None:
        evals = tmp_path / "evals"
        export("tags", [], outputs, evals)
        rows = read_overrides(evals / "support.misses.csv")
        assert {row.system for row in rows} == set(SYSTEMS)
        assert all(row.by_rule and row.category is None for row in rows)

    def test_people_who_labelled_the_same_outputs_see_how_far_they_agree(self) -> None:
        assert agreement_sentence([label(0), label(1)]) is None
        both = [label(i, who=who) for who in ("ana", "ben") for i in range(10)]
        assert "10 outputs labelled by two people or more: 10 the same" in agreement_sentence(both)
        both[0] = label(0, label="right")
        assert "9 the same; Krippendorff's alpha" in agreement_sentence(both)

    def test_labels_of_other_answers_and_of_cases_gone_are_counted(
        self, outputs: RunOutputs, tmp_path: Path
    ) -> None:
        labels = (
            label(0),
            label(1, answer_hash="0" * 12),
            label(2, case="gone"),
            label(3, system="elsewhere"),
        )
        said = SuiteLabels(suite="support", evals=tmp_path, labels=labels)
        found = count_labels(said, StoredSuite(outputs, "support"))
        assert (found.labels, found.case_gone, found.answer_changed, found.not_run) == (1, 1, 1, 1)
        assert found.waiting == (
            "labels that do not count here: 1 of cases that left the suite, "
            "1 of answers that the system does not give now, "
            "1 of outputs that this run does not have"
        )

    def test_tags_move_the_share_that_the_verdict_reads(
        self, outputs: RunOutputs, tmp_path: Path
    ) -> None:
        evals = tmp_path / "evals"
        misses = run_misses(outputs, "support", FEW_SHOT)
        assert missing_fact_share(misses).value == 1.0
        export(
            "tags", [label(int(m.case_id[1:]), tag="reasoning") for m in misses[:6]], outputs, evals
        )
        share = missing_fact_share(
            apply_overrides(misses, read_overrides(evals / "support.misses.csv"))
        )
        assert share.value == pytest.approx(1 - 6 / len(misses))

    def test_random_labels_calibrate_a_judge_and_others_do_not(
        self, outputs: RunOutputs, tmp_path: Path
    ) -> None:
        labels = [
            label(0, label="right", metric="tone"),
            label(1, metric="tone"),
            label(1, who="ben", metric="tone"),
            label(2, metric="tone", order="misses"),
            label(3),
            label(4, metric="tone", scores_shown=True),
        ]
        export("judge", labels, outputs, tmp_path / "evals", metric="tone")
        read = read_labels(tmp_path / "evals" / "labels" / "support.few-shot.tone.judge.csv")
        found = [(x.case_id, x.passed, x.source, x.labeller) for x in read]
        assert found == [("c000", True, "human", "ana"), ("c001", False, "human", "ana+ben")]

    def test_edits_become_training_rows_with_provenance(
        self, outputs: RunOutputs, tmp_path: Path
    ) -> None:
        said = export("rows", [label(edit="Within 30 days.")], outputs, tmp_path / "evals")
        file = tmp_path / "evals" / "labels" / "support.train.jsonl"
        # No prompt of its own: the system that is trained puts its words around the input.
        assert {"input", "expected_output", "metadata"} == json.loads(file.read_text()).keys()
        rows = load_training_rows(file)
        assert [(row.input, row.output) for row in rows] == [
            ("May I return parcel 0?", "Within 30 days.")
        ]
        assert rows[0].metadata["annotator"] == "ana"
        assert rows[0].metadata["origin"] == "person"
        assert rows[0].metadata["from_case"] == "c000"
        assert "take them out of the suite" in said[1]  # or the eval is trained on

    def test_edits_become_new_cases(self, outputs: RunOutputs, tmp_path: Path) -> None:
        export("cases", [label(edit="Within 30 days.", tag=BAD_LABEL)], outputs, tmp_path / "evals")
        cases = load_cases(tmp_path / "evals" / "labels" / "support.cases.jsonl")
        assert cases[0].expected_output == "Within 30 days."
        assert cases[0].metadata["group"] == "c000"  # no second piece of evidence
        assert cases[0].context[0].id == "returns.md#deadline"

    def test_edits_become_preference_pairs(self, outputs: RunOutputs, tmp_path: Path) -> None:
        text = answer_of(FEW_SHOT, 0)
        labels = [label(edit="Within 30 days.", answer=text)]
        said = export("pairs", labels, outputs, tmp_path / "evals")
        row = json.loads((tmp_path / "evals" / "labels" / "support.pairs.jsonl").read_text())
        assert row["input"] == "May I return parcel 0?"
        assert (row["chosen"], row["rejected"]) == ("Within 30 days.", text)
        assert "prompt" not in row
        assert "take them out of the suite" in said[1]

    def test_what_is_exported_is_trained_on_with_the_prompt_of_the_system(
        self, outputs: RunOutputs, tmp_path: Path
    ) -> None:
        labels = [label(edit="Within 30 days.", answer=answer_of(FEW_SHOT, 0))]
        for kind in ("rows", "pairs"):
            export(kind, labels, outputs, tmp_path / "evals")
        folder = tmp_path / "evals" / "labels"
        spec = write_system(tmp_path, prompt="Answer: {{ input }}")
        for method, name in (("sft", "support.train.jsonl"), ("dpo", "support.pairs.jsonl")):
            recipe = replace(read_recipe(spec), method=method, data=folder / name)
            preparer = RowPreparer(prompts_of(spec), recipe)
            (row,) = preparer.prepare(read_training_objects(recipe))
            shown = [{"role": "user", "content": "Answer: May I return parcel 0?"}]
            assert (row.example["prompt"], row.asked.not_compared) == (shown, None)

    def test_the_audit_limits_the_error_rate_of_expected_answers(self) -> None:
        labels = [label(i, tag=BAD_LABEL if i == 3 else None) for i in range(50)]
        found = audit([*labels, label(60, order="misses", tag=BAD_LABEL)])
        assert (found.audited, len(found.wrong)) == (50, 1)
        assert found.upper == pytest.approx(0.0914, abs=1e-4)  # Clopper-Pearson, R: binom.test

    def test_progress_says_how_many_more(self, outputs: RunOutputs, tmp_path: Path) -> None:
        book = LabelBook(tmp_path / "support.jsonl")
        misses = [replace(m, category="unknown") for m in run_misses(outputs, "support", FEW_SHOT)]

        def said() -> str:
            rows = progress(book, system=FEW_SHOT, misses=misses, by_hand=[], judged=["tone"])
            return " | ".join(row.text for row in rows)

        assert f"{len(misses)} more tags let the verdict speak about RAG" in said()
        assert "100 more labels in random order" in said()
        for miss in misses[1:]:
            book.add(label(int(miss.case_id[1:]), tag="missing_fact"))
        assert "1 more tag lets the verdict speak about RAG" in said()
        book.add(label(int(misses[0].case_id[1:]), tag="missing_fact"))
        assert "enough causes are known" in said()


class TestReviews:
    @pytest.fixture
    def contestants(self, outputs: RunOutputs) -> list[Contestant]:
        return [Contestant(name=s, outputs=outputs, system=s) for s in SYSTEMS]

    def vote(self, pair: object, who: str, winner: str, sides: Sides) -> Vote:
        left, right = sides.of(pair, who)
        choice = (
            winner
            if winner in ("tie", "both_bad")
            else "left"
            if left.system == winner
            else "right"
        )
        return Vote(at="2026-01-01", who=who, suite="support", case=pair.case, epoch=0,
                    left=left, right=right, choice=choice)  # fmt: skip

    def test_sides_are_a_fair_coin_that_differs_by_person(
        self, contestants: list[Contestant]
    ) -> None:
        agenda = make_agenda("support", contestants)
        sides = Sides(b"a secret of the test")
        by_person = [
            [sides.of(pair, who)[0].system for pair in agenda.pairs] for who in ("ana", "ben")
        ]
        assert by_person[0] != by_person[1]
        assert all(5 <= lefts.count(FEW_SHOT) <= 25 for lefts in by_person)
        assert len({sides.name(pair, "ana") for pair in agenda.pairs}) == len(agenda.pairs)
        assert not any(FEW_SHOT in sides.name(pair, "ana") for pair in agenda.pairs)

    def test_identical_answers_are_asked_of_nobody(self, tmp_path: Path) -> None:
        made = MadeRun(answers={s: ["the same"] * 10 for s in SYSTEMS})
        outputs = RunOutputs(write_project(tmp_path, made))
        agenda = make_agenda(
            "support", [Contestant(name=s, outputs=outputs, system=s) for s in SYSTEMS]
        )
        assert (len(agenda.pairs), len(agenda.same), agenda.left_out) == (20, 10, 0)

    def test_votes_become_a_preference_with_interval(
        self, contestants: list[Contestant], tmp_path: Path
    ) -> None:
        agenda, sides = make_agenda("support", contestants), Sides()
        book = VoteBook(vote_file(tmp_path, "support"))
        for number, pair in enumerate(agenda.pairs[:20]):
            winner = "tie" if number < 4 else FEW_SHOT if number < 7 else RAG
            book.add(self.vote(pair, "ana", winner, sides))
            book.add(self.vote(pair, "ben", RAG if number == 5 else winner, sides))
        result = review_result(agenda, contestants, book.all())
        pair = result.pairs[0]
        assert (pair.won, pair.lost, pair.tied) == (2, 13, 5)
        assert pair.difference == pytest.approx(-11 / 20)
        assert pair.low < pair.difference < pair.high < 0
        assert pair.pvalue == pytest.approx(0.0073852539)  # R: binom.test(2, 15)
        assert result.agreement is not None
        assert 0.8 < result.agreement.value < 1
        rows = preference_rows("support", contestants, book.all())
        assert len(rows) == 15
        assert sum("30 days" in row["chosen"] for row in rows) == 13
        assert all("input" in row and "prompt" not in row for row in rows)
        assert all(row["chosen"] != row["rejected"] for row in rows)

    def test_more_than_two_are_ranked(self, tmp_path: Path) -> None:
        names = ("a", "b", "c")
        made = MadeRun(systems=names, answers={n: [f"{n} {i}" for i in range(30)] for n in names})
        outputs = RunOutputs(write_project(tmp_path, made))
        contestants = [Contestant(name=n, outputs=outputs, system=n) for n in names]
        agenda, sides = make_agenda("support", contestants), Sides()
        votes = [
            self.vote(pair, "ana", max(pair.one.system, pair.other.system), sides)
            for pair in agenda.pairs
        ]
        result = review_result(agenda, contestants, votes)
        assert result.ranking is not None
        assert [place.system for place in result.ranking.systems] == ["c", "b", "a"]
        assert all(beats.pvalue_adjusted < 0.01 for beats in result.ranking.pairs)

    def test_agreement_is_krippendorffs(self) -> None:
        # Krippendorff (2011), Computing Krippendorff's alpha-reliability, section C: nominal.
        table = {
            "A": "1 2 3 3 2 1 4 1 2 - - -", "B": "1 2 3 3 2 2 4 1 2 5 - 3",
            "C": "- 3 3 3 2 3 4 2 2 5 1 -", "D": "1 2 3 3 2 4 4 1 2 5 1 -",
        }  # fmt: skip
        said = {
            who: {unit: x for unit, x in enumerate(row.split()) if x != "-"}
            for who, row in table.items()
        }
        assert krippendorff_alpha(said).value == pytest.approx(0.743, abs=5e-4)
        assert krippendorff_alpha({"a": {1: "x"}, "b": {1: "x"}}).value is None


class TestWordDiffs:
    @given(st.text(max_size=60), st.text(max_size=60))
    def test_hold_both_texts_whole(self, one: str, other: str) -> None:
        parts = word_diff(one, other)
        assert parts is not None
        assert ("".join(p for _, p in parts[0]), "".join(p for _, p in parts[1])) == (one, other)

    def test_of_long_texts_are_left_out(self) -> None:
        assert word_diff("word " * 2000, "word") is None


class TestStandings:
    @given(st.lists(st.tuples(st.sampled_from(["ana", "ben"]), st.integers(0, 7), st.booleans())))
    def test_are_what_counting_everything_gives(self, log: list[tuple[str, int, bool]]) -> None:
        """Kept up one by one, they agree with a count of the whole log."""
        numbers = {key: key for key in range(6)}  # 6 and 7 are of another queue
        standing = Standing("ana", numbers)
        for end in range(len(log) + 1):
            standing.catch_up(log[:end])
            last = {key: skipped for who, key, skipped in log[:end] if who == "ana" and key < 6}
            unseen = [n for n in range(6) if n not in last]
            skipped = sorted(n for n, was_skipped in last.items() if was_skipped)
            assert standing.done == len(last) - len(skipped)
            assert standing.next() == next(iter(unseen + skipped), None)
            for n in range(6):
                assert standing.next(without=n) == next(
                    (m for m in unseen + skipped if m != n), None
                )

    def test_go_back_through_what_was_answered(self) -> None:
        standing = Standing("ana", {key: key for key in range(6)})
        standing.catch_up([("ana", 0, False), ("ana", 1, True), ("ana", 2, False)])
        assert (standing.back(3), standing.back(2), standing.back(0)) == (2, 0, None)
