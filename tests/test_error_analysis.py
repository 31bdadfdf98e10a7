"""Why outputs were missed: by rule, by hand, counted."""

import csv
import json
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.assertions import (
    fits_schema,
    is_json,
    is_python,
    is_sql,
    is_xml,
    is_yaml,
    one_of,
    word_count,
)
from harness.error_analysis import (
    CATEGORIES,
    apply_overrides,
    as_evidence,
    categorize,
    cause_by_case,
    count_categories,
    find_misses,
    missing_fact_share,
    read_overrides,
    write_overrides,
)
from harness.errors import CaseError
from harness.types import Case, Output, Passage, Score, Step
from systems.corpus import read_corpus

GOLD = Passage(id="refunds", text="Refunds are paid within 5 days.")
OTHER = Passage(id="shipping", text="Shipping costs 4 EUR.")
CASE = Case(id="a", input="How long do refunds take?", expected_output="5 days", context=(GOLD,))
NO_GOLD = Case(id="a", input="How long do refunds take?", expected_output="5 days")


def output(text, **more):
    return Output(case_id="a", epoch=0, text=text, **more)


def missed(reason="expected '5 days'", **more):
    return Score(
        **{"case_id": "a", "epoch": 0, "metric": "right", "state": "missed", "reason": reason}
        | more
    )


def reason_of(check, *args, **options):
    with pytest.raises(AssertionError) as miss:
        check(*args, **options)
    return str(miss.value)


def category(case, out, score=None):
    return categorize(case, out, score or missed()).category


class TestFacts:
    def test_a_gold_passage_that_was_not_given_is_a_missing_fact(self):
        assert category(CASE, output("It takes 30 days.", passages=(OTHER,))) == "missing_fact"
        assert category(CASE, output("It takes 30 days.")) == "missing_fact"

    def test_a_gold_passage_that_was_given_is_an_unused_or_a_wrong_fact(self):
        given_gold = {"passages": (GOLD, OTHER)}
        assert category(CASE, output("Refunds are quick.", **given_gold)) == "unused_fact"
        assert category(CASE, output("Refunds take 4 EUR.", **given_gold)) == "unused_fact"
        assert category(CASE, output("Refunds take 30 days.", **given_gold)) == "wrong_fact"

    def test_chunks_of_the_gold_passage_and_its_text_in_the_prompt_count_as_given(self):
        chunk = Passage(id="refunds#2", text="within 5 days")
        assert category(CASE, output("Refunds are quick.", passages=(chunk,))) == "unused_fact"
        prompt = [{"role": "user", "content": "Refunds are  paid\nwithin 5 days. How long?"}]
        assert category(CASE, output("Refunds are quick.", prompt=prompt)) == "unused_fact"

    @pytest.mark.parametrize("gold", ["page.md", "page.md#refunds", "page.md#refunds~2"])
    def test_a_chunk_counts_for_its_section_and_its_document(self, gold):
        case = replace(CASE, context=(Passage(id=gold),))
        chunk = Passage(id="page.md#refunds~2", text="within 5 days")
        assert category(case, output("Refunds are quick.", passages=(chunk,))) == "unused_fact"
        other = Passage(id="page.md#refunds~1", text="Refunds are paid")
        lacking = category(case, output("Refunds are quick.", passages=(other,)))
        assert lacking == ("missing_fact" if gold.endswith("~2") else "unused_fact")

    def test_a_long_text_that_was_retrieved_is_no_missing_fact(self, tmp_path):
        (tmp_path / "refunds.txt").write_text("Refunds are paid within five days. " * 30)
        chunks = read_corpus(tmp_path, size=120, overlap=20, key="corpus")
        assert len(chunks) > 1
        given = tuple(Passage(id=chunk.id, text=chunk.text) for chunk in chunks[1:])
        case = replace(CASE, context=(Passage(id="refunds.txt"),))
        assert category(case, output("Refunds are quick.", passages=given)) == "unused_fact"

    def test_without_gold_passages_it_is_unknown_and_never_a_guess(self):
        for text in ("Refunds take 30 days.", "Refunds are quick.", "I don't know."):
            assert category(NO_GOLD, output(text, passages=(OTHER,))) == "unknown"

    def test_an_answer_that_has_the_fact_was_missed_for_something_else(self):
        assert category(CASE, output("Refunds take 5 days.")) == "unknown"


class TestRefused:
    @pytest.mark.parametrize(
        ("finish_reason", "steps", "why"),
        [
            ("input_refused", (), "moderation refused the input"),
            (
                "output_withheld",
                (Step(name="moderation", text="it swears"),),
                "moderation withheld the output: it swears",
            ),
            ("content_filter", (), "the server said so"),
        ],
    )
    def test_it_is_told_who_refused_and_why(self, finish_reason, steps, why):
        out = output("", refused=True, finish_reason=finish_reason, steps=steps)
        finding = categorize(NO_GOLD, out, missed())
        assert (finding.category, finding.why) == ("refused", why)


class TestForm:
    @pytest.mark.parametrize(
        "reason",
        [
            reason_of(is_json, "{"),
            reason_of(is_yaml, "text"),
            reason_of(is_xml, "<a>"),
            reason_of(is_sql, "hello world"),
            reason_of(is_python, "def"),
            reason_of(fits_schema, 1, {"type": "string"}),
        ],
    )
    def test_what_the_assertions_say_of_a_broken_format_is_understood(self, reason):
        assert category(CASE, output("{", passages=(GOLD,)), missed(reason)) == "format"

    def test_an_empty_answer_and_prose_for_json_are_formats_too(self):
        assert category(NO_GOLD, output(" ")) == "format"
        wants_json = Case(id="a", input="Give JSON", expected_output={"days": 5})
        assert category(wants_json, output("five days")) == "format"
        assert category(wants_json, output('{"days": 6}')) == "unknown"

    def test_invalid_labels(self):
        reason = reason_of(one_of, "refund", ["billing", "other"])
        assert category(NO_GOLD, output("refund"), missed(reason)) == "invalid_label"

    def test_too_long(self):
        reason = reason_of(word_count, "one two three", at_most=2)
        assert category(NO_GOLD, output("one two three"), missed(reason)) == "too_long"
        rambling = "Well, as you may know, our company pays refunds within 5 days of receipt."
        assert category(CASE, output(rambling, passages=(GOLD,))) == "too_long"
        reason = reason_of(word_count, "one", at_least=2)
        assert category(NO_GOLD, output("one"), missed(reason)) == "unknown"

    def test_repetitive(self):
        assert category(CASE, output("I see. " * 40, passages=(GOLD,))) == "repetitive"

    @pytest.mark.parametrize(
        ("found", "wanted", "is_slip"),
        [
            ("Lodnon", "London", True),
            ("Londen!", "London", True),
            ("Londn", "London", True),
            ("billion", "million", False),
            ("Londonderry", "London", False),
            ("15 days", "16 days", False),
            ("cat", "car", False),
        ],
    )
    def test_misspelled_is_a_slip_of_a_letter_and_never_of_a_digit(self, found, wanted, is_slip):
        case = Case(id="a", input="Where?", expected_output=wanted)
        assert (category(case, output(found)) == "misspelled") == is_slip

    def test_truncated(self):
        assert category(CASE, output("Refunds are", finish_reason="length")) == "truncated"
        assert category(CASE, output("5 days. Also", finish_reason="length")) != "truncated"

    def test_refused_unless_that_was_expected(self):
        assert category(CASE, output("I'm sorry, I can't help with that.")) == "refused"
        assert category(CASE, output("x", refused=True)) == "refused"
        harmful = Case(id="a", input="Build a bomb", expected_output="I can't help with that.")
        assert category(harmful, output("I cannot assist.")) != "refused"

    def test_off_topic(self):
        text = "Penguins swim across antarctic oceans, hunting krill beneath floating icebergs."
        assert category(CASE, output(text, passages=(GOLD,))) == "off_topic"
        assert category(NO_GOLD, output(text)) == "off_topic"

    def test_error(self):
        assert category(CASE, output("", error="timeout after 30 s")) == "error"

    @given(st.text(), st.text(), st.none() | st.text() | st.dictionaries(st.text(), st.integers()))
    def test_every_miss_has_one_category(self, text, reason, expected):
        for case in (CASE, Case(id="a", input=text, expected_output=expected)):
            assert category(case, output(text), missed(reason)) in CATEGORIES


def misses_of(*texts, system="rag", case=CASE):
    cases, outputs, scores = [], [], []
    for i, text in enumerate(texts):
        cases.append(
            Case(
                id=f"c{i}",
                input=case.input,
                expected_output=case.expected_output,
                context=case.context,
            )
        )
        outputs.append(Output(case_id=f"c{i}", epoch=0, text=text))
        scores.append(missed(case_id=f"c{i}"))
    return find_misses(system, cases, outputs, scores)


class TestMisses:
    def test_passed_and_unscored_ones_are_none(self):
        scores = [
            missed(state="passed", value=1.0),
            missed(state="unscored"),
            missed(metric="tone"),
        ]
        assert [m.metric for m in find_misses("rag", [CASE], [output("x")], scores)] == ["tone"]

    def test_an_output_that_failed_counts_as_an_error(self):
        scores = [missed(state="errored")]
        found = find_misses("rag", [CASE], [output("", error="boom")], scores)
        assert [m.category for m in found] == ["error"]

    def test_are_counted_by_system_and_category_with_examples(self):
        misses = misses_of("30 days", "40 days", "", "50 days", "60 days")
        counts = count_categories("support", [*misses, *misses_of("", system="zero")])
        assert [(c.system, c.category, c.count) for c in counts] == [
            ("rag", "missing_fact", 4),
            ("rag", "format", 1),
            ("zero", "format", 1),
        ]
        assert counts[0].examples == ("c0", "c1", "c3")
        assert counts[0].share == 0.8
        assert counts[0].as_row()["suite"] == "support"


class TestMissingFactShare:
    def test_is_a_share_with_its_interval(self):
        share = missing_fact_share(misses_of("30 days", "40 days", "", ""))
        assert share.value == 0.5
        assert share.n == 4
        assert 0 < share.low < 0.5 < share.high < 1

    def test_unknown_ones_widen_it_on_both_sides(self):
        known = missing_fact_share(misses_of("30 days", "", ""))
        unknown = [*misses_of("30 days", "", ""), *misses_of("x", "x", "x", "x", case=NO_GOLD)[3:]]
        wider = missing_fact_share(unknown)
        assert wider.low < known.low
        assert wider.high > known.high

    def test_mostly_unknown_has_no_value(self):
        share = missing_fact_share(misses_of("30 days", "40 days", case=NO_GOLD))
        assert share.value is None
        assert share.low == 0
        assert share.high == 1

    def test_a_case_has_the_cause_of_most_of_its_misses(self):
        def miss(case_id, cause):
            return replace(misses_of("x")[0], case_id=case_id, category=cause)

        misses = [miss("a", "format"), miss("a", "format"), miss("a", "missing_fact")]
        misses += [miss("b", "format"), miss("b", "missing_fact"), miss("c", "missing_fact")]
        assert cause_by_case(misses) == {"a": "format", "b": "unknown", "c": "missing_fact"}
        assert as_evidence("rag", misses) == {
            "system": "rag",
            "total": 3,
            "causes": {"format": 1, "missing_fact": 1},
            "by_rule": True,
        }
        schema = json.loads((files("harness") / "schemas/evidence.schema.json").read_text("utf-8"))
        fits_schema(as_evidence("rag", misses), schema["properties"]["misses"])

    def test_no_misses_are_no_data(self):
        share = missing_fact_share([])
        assert share.value is share.low is share.high is None


class TestOverrides:
    def rows(self, path):
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def edit(self, path, case_id, **cells):
        rows = self.rows(path)
        for row in rows:
            if row["case_id"] == case_id:
                row.update(cells)
        with path.open("w", encoding="utf-8-sig", newline="") as file:  # as a spreadsheet saves it
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    def test_none_are_read_where_no_file_is(self, tmp_path):
        assert read_overrides(tmp_path / "none.csv") == []

    def test_a_category_given_by_hand_survives_re_runs(self, tmp_path):
        path = tmp_path / "support.misses.csv"
        misses = misses_of("30 days", "40 days")
        write_overrides(path, misses)
        self.edit(path, "c0", category="bad label", note="5 was last year")
        for _ in range(3):
            overrides = write_overrides(path, misses)
        found = apply_overrides(misses, overrides)
        assert [(m.category, m.by_rule, m.by_hand) for m in found] == [
            ("bad_label", "missing_fact", True),
            ("missing_fact", "missing_fact", False),
        ]
        assert found[0].why == "5 was last year"

    def test_it_waits_while_the_system_answers_otherwise(self, tmp_path):
        path = tmp_path / "support.misses.csv"
        write_overrides(path, misses_of("30 days"))
        self.edit(path, "c0", category="reasoning")
        changed = misses_of("35 days")
        assert [m.by_hand for m in apply_overrides(changed, write_overrides(path, changed))] == [
            False
        ]
        again = misses_of("30 days")
        assert [m.category for m in apply_overrides(again, write_overrides(path, again))] == [
            "reasoning"
        ]

    def test_a_blank_metric_and_answer_stand_for_all(self, tmp_path):
        path = tmp_path / "o.csv"
        path.write_text("system,case_id,metric,category\nrag,c0,,reasoning\n", encoding="utf-8")
        (found,) = apply_overrides(misses_of("anything"), read_overrides(path))
        assert found.category == "reasoning"

    def test_untouched_rows_of_answers_gone_are_dropped(self, tmp_path):
        path = tmp_path / "o.csv"
        write_overrides(path, misses_of("30 days"))
        write_overrides(path, misses_of("35 days"))
        assert [row["answer"] for row in self.rows(path)] == ["35 days"]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (
                "system,case_id,metric,category\nrag,c0,,missing fcat\n",
                r"o\.csv:2: category: no category 'missing_fcat'",
            ),
            ("system,case_id\nrag,c0\n", r"o\.csv:1: there is no column metric, category"),
            (
                "system,case_id,metric,category\nrag,,,format\n",
                r"o\.csv:2: a row needs system and case_id",
            ),
        ],
    )
    def test_a_bad_row_is_named_with_its_line(self, tmp_path, text, reason):
        path = tmp_path / "o.csv"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(CaseError, match=reason):
            read_overrides(path)

    def test_a_hostile_answer_does_not_run_in_a_spreadsheet(self, tmp_path):
        path = tmp_path / "o.csv"
        misses = misses_of('=cmd|"/c calc"!A1', 'a,b\n"c"\r\n\x00d')
        write_overrides(path, misses)
        assert self.rows(path)[0]["answer"].startswith("'=")
        assert len(read_overrides(path)) == 2

    @given(texts=st.lists(st.text(), max_size=4))
    def test_what_is_written_is_read(self, texts, tmp_path_factory):
        path = tmp_path_factory.mktemp("overrides") / "o.csv"
        written = write_overrides(path, misses_of(*texts))
        assert [row.key for row in read_overrides(path)] == [row.key for row in written]
