"""Assertions on what an output means, and on groups that should be treated alike."""

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.assertions import (
    cites,
    group_differences,
    is_consistent,
    is_supported,
    means,
    no_group_difference,
    stays_in_scope,
    swapped_cases,
)
from harness.metrics import agreement, claims, embedding_similarity, supported_share
from harness.types import Passage

PASSAGES = (
    Passage(
        id="refunds", text="Refunds are paid within 5 days. Opened items are not refunded.", rank=1
    ),
    Passage(id="shipping", text="Shipping to Berlin costs 4 EUR and takes two days.", rank=2),
)


class BagOfWords:
    """Words hashed to 512 places: texts are near when they share words."""

    fingerprint = "bag-of-words"

    def encode(self, texts):
        rows = np.zeros((len(texts), 512), dtype=np.float32)
        for row, text in zip(rows, texts, strict=True):
            for word in text.lower().split():
                row[zlib.crc32(word.strip(".,!?").encode()) % 512] += 1
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(norms == 0, 1, norms)


class TestMeans:
    def test_the_nearest_reference_counts(self):
        assert means(
            "refunds take five days", ["hello", "refunds take five days"], BagOfWords()
        ) == pytest.approx(1)
        with pytest.raises(
            AssertionError, match=r"a cosine of at least 0\.75 with 'refunds'; found 0\.000"
        ):
            means("shipping", "refunds", BagOfWords())

    def test_an_empty_output_is_a_miss_and_its_similarity_is_not_zero(self):
        with pytest.raises(AssertionError, match="an empty text"):
            means(" ", "refunds", BagOfWords())
        assert embedding_similarity(BagOfWords(), "", "refunds") is None

    def test_an_encoder_that_gives_nan_is_an_error(self):
        class Broken(BagOfWords):
            def encode(self, texts):
                return np.full((len(texts), 4), np.nan, dtype=np.float32)

        with pytest.raises(ValueError, match="not finite"):
            means("a", "b", Broken())


class TestSupport:
    def test_sentences_with_their_words_in_a_passage_are_supported(self):
        is_supported("Refunds are paid within 5 days. Shipping to Berlin costs 4 EUR.", PASSAGES)

    def test_what_no_passage_says_is_named(self):
        with pytest.raises(
            AssertionError, match="1 of 2 without: 'Customers receive vouchers annually"
        ):
            is_supported(
                "Refunds are paid within 5 days. Customers receive vouchers annually.", PASSAGES
            )

    def test_a_number_that_no_passage_has_is_never_supported(self):
        with pytest.raises(AssertionError, match="no passage has the number 14"):
            is_supported("Refunds are paid within 14 days.", PASSAGES)

    def test_an_encoder_supports_other_words_too(self):
        near = "Refunds paid within days: promptly, always, everywhere"
        assert not claims(near, [PASSAGES[0].text])[0].supported
        assert claims(near, [PASSAGES[0].text], encoder=BagOfWords(), cosine_at_least=0.4)[
            0
        ].supported

    def test_without_passages_or_claims_it_is_unscored(self):
        with pytest.raises(pytest.skip.Exception, match="no text of a passage"):
            is_supported("Refunds take 5 days.", [Passage(id="refunds")])
        with pytest.raises(pytest.skip.Exception, match="makes no claim"):
            is_supported("Yes.", PASSAGES)
        assert supported_share("...", ["text"]) is None

    @given(st.text(), st.lists(st.text(), max_size=3))
    def test_any_text_is_read(self, text, passages):
        for claim in claims(text, passages):
            assert 0 <= claim.overlap <= 1

    @given(st.sampled_from(PASSAGES))
    def test_a_passage_supports_itself(self, passage):
        assert supported_share(passage.text, [passage.text]) == 1


class TestCitations:
    def test_are_ids_or_ranks(self):
        assert cites("Five days [refunds]. Two days [2].", PASSAGES) == ["refunds", "shipping"]
        assert cites("Both [1, 2]", PASSAGES, gold=[PASSAGES[0]]) == ["refunds", "shipping"]
        chunk = Passage(id="refunds~2", text="within 5 days", rank=1)
        assert cites("So it says [1].", [chunk], gold=["refunds"]) == ["refunds~2"]

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("Five days.", "expected a citation"),
            ("Five days [warranty].", "'warranty', which none is"),
            ("Two days [2].", "expected a citation of 'refunds'; found only 'shipping'"),
        ],
    )
    def test_misses(self, text, reason):
        with pytest.raises(AssertionError, match=reason):
            cites(text, PASSAGES, gold=["refunds"])


class TestScope:
    def test_is_where_the_nearer_examples_are(self):
        scope = {
            "in_scope": ["how long do refunds take"],
            "out_of_scope": ["who should win the election"],
        }
        stays_in_scope("refunds take five days", BagOfWords(), **scope)
        stays_in_scope("I can't help with the election.", BagOfWords(), **scope)
        with pytest.raises(AssertionError, match="nearer to 'who should win the election'"):
            stays_in_scope("she should win the election", BagOfWords(), **scope)


class TestConsistency:
    def test_answers_to_paraphrases_agree(self):
        assert is_consistent(["Five days.", "five days", "The five days"]) == 1
        with pytest.raises(AssertionError, match="100% of pairs of answers to agree; found 33%"):
            is_consistent(["5", "5", "6"])
        assert is_consistent(["5", "5", "6"], at_least=0.3) == pytest.approx(1 / 3)

    def test_what_is_the_same_can_be_said(self):
        assert agreement(["a cat", "a dog"], same=lambda a, b: a[0] == b[0]) == 1
        assert agreement(["alone"]) is None


GROUPS = {"x": {"name": "Anna"}, "y": {"name": "Ahmed"}}


class TestSwaps:
    def test_cases_differ_in_the_swapped_words_alone(self):
        cases = swapped_cases("loan", "{name} asks for a loan.", GROUPS, expected_output="yes")
        assert [case.input for case in cases] == ["Anna asks for a loan.", "Ahmed asks for a loan."]
        assert [case.id for case in cases] == ["loan-x", "loan-y"]
        assert {case.expected_output for case in cases} == {"yes"}

    def test_every_group_fills_every_field(self):
        with pytest.raises(ValueError, match="group 'y' gives"):
            swapped_cases("loan", "{name} asks", {"x": {"name": "A"}, "y": {"nam": "B"}})

    def test_a_planted_difference_is_found(self):
        passes = {f"t{i}": {"x": True, "y": i % 4 != 0} for i in range(80)}
        (found,) = group_differences(passes)
        assert found.found()
        assert (found.pairs, found.difference) == (80, -0.25)
        assert found.low < -0.25 < found.high < 0
        with pytest.raises(AssertionError, match=r"y against x: difference -0\.250"):
            no_group_difference([found])

    def test_no_difference_is_said_with_what_would_have_been_seen(self):
        passes = {f"t{i}": {"x": i % 10 != 0, "y": i % 10 != 1} for i in range(100)}
        (found,) = group_differences(passes)
        assert "no difference found on 100 pairs" in found.sentence()
        assert "would have been seen" in found.sentence()
        no_group_difference([found])

    def test_graded_scores_are_tested_by_flipping_signs(self):
        rng = np.random.default_rng(7)
        scores = {
            f"t{i}": {"x": float(rng.normal(0.5, 0.1)), "y": float(rng.normal(0.7, 0.1))}
            for i in range(40)
        }
        (found,) = group_differences(scores, rng=rng)
        assert found.found()
        assert found.difference == pytest.approx(0.2, abs=0.05)
        with pytest.raises(ValueError, match="rng="):
            group_differences(scores)

    def test_several_groups_pay_for_their_number(self):
        passes = {f"t{i}": {"x": True, "y": True, "z": i >= 6} for i in range(60)}
        alone = group_differences({t: {g: row[g] for g in "xz"} for t, row in passes.items()})[0]
        together = {(d.first, d.second): d for d in group_differences(passes)}
        assert together["x", "z"].pvalue_adjusted == pytest.approx(3 * alone.pvalue_adjusted)

    def test_nothing_to_compare_is_unscored_and_not_fair(self):
        (untested,) = group_differences({"t": {"x": True}, "u": {"y": True}})
        assert untested.difference is None
        with pytest.raises(pytest.skip.Exception, match="could be tested"):
            no_group_difference([untested])

    @settings(max_examples=5, deadline=None)
    @given(st.integers(0, 2**32 - 1))
    def test_when_nothing_differs_little_is_found(self, seed):
        rng = np.random.default_rng(seed)
        alarms = 0
        for _ in range(20):
            draws = rng.random((30, 2)) < 0.8
            rows = {str(i): {"x": bool(a), "y": bool(b)} for i, (a, b) in enumerate(draws)}
            alarms += group_differences(rows)[0].found()
        assert alarms <= 6  # 20 tests at 5 %: more than 6 has a chance below one in ten thousand
