"""Retrieval on a real corpus: 98 articles, 1,380 questions, and the article and place of each answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.metrics import recall_at_k, reciprocal_rank, unit_of
from systems.corpus import Chunk, read_corpus
from systems.retrieval import Index, passages_of

SIZE, OVERLAP, K = 120, 20, 10


@pytest.fixture(scope="module")
def articles() -> dict[str, dict[str, Any]]:
    """The articles by id, with the questions about each."""
    shared = Path(__file__).resolve().parents[2] / "shared/data"
    file = shared / "covidqa/data/question-answering/200423_covidQA.json"
    if not file.is_file():
        pytest.skip("the shared data are not there: data/covidqa")
    found = json.loads(file.read_text("utf-8"))["data"]
    return {str(p["document_id"]): p for article in found for p in article["paragraphs"]}


@pytest.fixture(scope="module")
def chunks(
    articles: dict[str, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> list[Chunk]:
    """The corpus as a user would give it: a row for each article."""
    file = tmp_path_factory.mktemp("covidqa") / "articles.jsonl"
    rows = [{"id": id, "text": article["context"]} for id, article in articles.items()]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return read_corpus(file, size=SIZE, overlap=OVERLAP, key="corpus")


def test_chunks_keep_their_article_and_place(
    articles: dict[str, dict[str, Any]], chunks: list[Chunk]
) -> None:
    assert {chunk.unit for chunk in chunks} == set(articles)
    for chunk in chunks:
        assert unit_of(chunk.id) == chunk.unit
        assert articles[chunk.unit]["context"][chunk.start : chunk.end] == chunk.text


def test_bm25_finds_the_article_and_the_place_of_an_answer(
    articles: dict[str, dict[str, Any]],
    chunks: list[Chunk],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    asked = [(id, qa) for id, article in articles.items() for qa in article["qas"]]
    index = Index(chunks, tmp_path, encoder=lambda: pytest.fail("BM25 needs none"), encoder_name="")
    rankings = index.retriever("bm25", {}).rank([qa["question"] for _, qa in asked], K)
    places = {chunk.id: chunk for chunk in chunks}
    hits = ranks = found = 0.0
    for (article, qa), ranking in zip(asked, rankings, strict=True):
        retrieved = [passage.id for passage in passages_of(ranking, chunks)]
        hits += recall_at_k(retrieved, [article], k=K) or 0.0
        ranks += reciprocal_rank(retrieved, [article]) or 0.0
        found += any(holds(places[id], article, qa["answers"][0]) for id in retrieved)
    figures = {
        "article": hits / len(asked),
        "mrr": ranks / len(asked),
        "answer": found / len(asked),
    }
    for name, value in figures.items():
        record_property(name, round(value, 4))
    assert len(asked) == 1380
    # Measured: .8949, .7721 and .7413. A change of the retriever that loses a point is seen.
    least = {"article": 0.885, "mrr": 0.762, "answer": 0.731}
    assert all(figures[name] >= least[name] for name in least), figures


def holds(chunk: Chunk, article: str, answer: dict[str, Any]) -> bool:
    """Whether an answer's recorded place lies in a chunk, by the offsets that the chunk keeps."""
    text = answer["text"].strip()
    start = answer["answer_start"] + len(answer["text"]) - len(answer["text"].lstrip())
    inside = chunk.start <= start and start + len(text) <= chunk.end
    return chunk.unit == article and inside
