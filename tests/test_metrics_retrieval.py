"""Retrieval metrics: trec_eval's numbers."""

from collections import defaultdict
from pathlib import Path

import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics import (
    average_precision,
    hit_at_k,
    ndcg_at_k,
    precision_at_k,
    ranked,
    recall_at_k,
    reciprocal_rank,
    unit_of,
)
from harness.metrics.retrieval import names_of
from systems.corpus import read_corpus

TREC = Path(__file__).parents[2] / "shared" / "data" / "trec_eval"


def test_of_a_small_ranking():
    retrieved, relevant = ["x", "a", "y", "b"], ["a", "b", "c"]
    assert precision_at_k(retrieved, relevant, k=2) == 0.5
    assert precision_at_k(retrieved, relevant, k=10) == 0.2
    assert recall_at_k(retrieved, relevant, k=4) == pytest.approx(2 / 3)
    assert hit_at_k(retrieved, relevant, k=1) == 0
    assert hit_at_k(retrieved, relevant, k=2) == 1
    assert reciprocal_rank(retrieved, relevant) == 0.5
    assert average_precision(retrieved, relevant) == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert reciprocal_rank(["x"], relevant) == 0


def test_a_passage_found_twice_counts_once():
    assert recall_at_k(["a", "a"], ["a", "b"], k=2) == 0.5
    assert average_precision(["a", "a"], ["a", "b"]) == 0.5


@pytest.mark.parametrize(
    ("passage", "unit", "names"),
    [
        ("a.txt~2", "a.txt", ("a.txt~2", "a.txt")),
        ("a.md#b~12", "a.md#b", ("a.md#b~12", "a.md#b", "a.md")),
        ("a.md#b", "a.md#b", ("a.md#b", "a.md")),
        ("~home", "~home", ("~home",)),
    ],
)
def test_a_chunk_is_called_by_its_unit_and_its_document(passage, unit, names):
    assert unit_of(passage) == unit
    assert names_of(passage) == names


def test_the_chunks_of_a_corpus_find_the_document_and_the_section_they_were_cut_from(tmp_path):
    words = " ".join(f"w{i}" for i in range(150))
    (tmp_path / "long.txt").write_text(words)
    (tmp_path / "page.md").write_text(f"# Page\n\n## Part\n\n{words}\n")
    chunks = read_corpus(tmp_path, size=120, overlap=20, key="corpus")
    assert [unit_of(chunk.id) for chunk in chunks] == [chunk.unit for chunk in chunks]
    retrieved = [chunk.id for chunk in chunks]
    for gold in ("long.txt", "page.md", "page.md#part", *retrieved):
        assert recall_at_k(retrieved, [gold], k=4) == 1.0, gold
    assert reciprocal_rank(retrieved, ["page.md#part"]) == 1 / 3


def test_further_chunks_of_a_passage_keep_their_rank_and_find_nothing_new():
    retrieved, relevant = ["a~1", "a~2", "x", "b~3"], ["a", "b"]
    assert recall_at_k(retrieved, relevant, k=3) == 0.5
    assert recall_at_k(retrieved, relevant, k=4) == 1.0
    assert precision_at_k(retrieved, relevant, k=2) == 0.5
    assert average_precision(retrieved, relevant) == (1 / 1 + 2 / 4) / 2
    best = ndcg_at_k(["a", "b"], relevant, k=4)
    assert ndcg_at_k(retrieved, relevant, k=4) < best == 1.0
    # Judged chunk by chunk, each counts for itself.
    assert recall_at_k(retrieved, ["a~1", "a~2"], k=2) == 1.0


def test_without_relevant_passages_nothing_can_be_told():
    for metric in (reciprocal_rank, average_precision):
        assert metric(["a"], []) is None
    for metric in (precision_at_k, recall_at_k, hit_at_k, ndcg_at_k):
        assert metric(["a"], {"a": 0}, k=5) is None


def test_mistakes():
    with pytest.raises(TypeError, match="not one text"):
        reciprocal_rank(["a"], "a")
    with pytest.raises(ValueError, match="k has to be"):
        recall_at_k(["a"], ["a"], k=0)


@given(
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), min_size=2).filter(
        lambda g: any(g.values())
    ),
    st.data(),
)
def test_ndcg_equals_scikit_learn(grades, data):
    order = data.draw(st.permutations(sorted(grades)))
    k = data.draw(st.integers(1, 8))
    scores = [len(order) - order.index(passage) for passage in grades]
    theirs = sklearn.metrics.ndcg_score([list(grades.values())], [scores], k=k)
    assert ndcg_at_k(order, grades, k=k) == pytest.approx(theirs)


def _read(folder):
    """The judgements and the run, by query and document."""
    qrels, run = defaultdict(dict), defaultdict(dict)
    for line in (folder / "qrels.test").read_text().splitlines():
        query, _, document, grade = line.split()
        qrels[query][document] = int(grade)
    for line in (folder / "results.test").read_text().splitlines():
        query, _, document, _, score, _ = line.split()
        run[query][document] = float(score)
    return qrels, run


@pytest.mark.skipif(not TREC.is_dir(), reason="trec_eval's test data is not here")
class TestTrecEval:
    def test_means_equal_its_own(self):
        qrels, run = _read(TREC)

        def over_queries(metric, **options):
            values = [metric(ranked(run[query]), qrels[query], **options) for query in run]
            return f"{sum(values) / len(values):.4f}"

        rows = (line.split() for line in (TREC / "out.test").read_text().splitlines())
        theirs = {name: value for name, query, value in rows if query == "all"}
        assert over_queries(average_precision) == theirs["map"] == "0.1785"
        assert over_queries(reciprocal_rank) == theirs["recip_rank"] == "0.4064"
        for k in (5, 10, 15, 20, 30, 100, 200, 500, 1000):
            assert over_queries(precision_at_k, k=k) == theirs[f"P_{k}"]
        assert over_queries(ndcg_at_k, k=10) == "0.3016"

    @pytest.mark.parametrize(
        ("file", "prefix", "metric"),
        [
            ("out.test.aq", "recall_", recall_at_k),
            ("out.test.aq", "P_", precision_at_k),
            ("out.test.meas_params", "recall_", recall_at_k),
            ("out.test.meas_params", "P_", precision_at_k),
            ("out.test.meas_params", "ndcg_cut_", ndcg_at_k),
            ("out.test.meas_params", "success_", hit_at_k),
        ],
    )
    def test_every_query_equals_its_own_at_every_depth(self, file, prefix, metric):
        qrels, run = _read(TREC)
        recorded = [
            (int(name.removeprefix(prefix)), query, value)
            for name, query, value in (
                line.split() for line in (TREC / file).read_text().splitlines()
            )
            if name.startswith(prefix) and query != "all"
        ]
        assert len({depth for depth, _, _ in recorded}) > 1
        assert {query for _, query, _ in recorded} == set(run)
        for depth, query, value in recorded:
            ours = metric(ranked(run[query]), qrels[query], k=depth)
            assert f"{ours:.4f}" == value, (prefix, depth, query)
