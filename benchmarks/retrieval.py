"""How fast passages are found: 10,000 queries over 100,000 passages, in one call each.

    python benchmarks/retrieval.py [--passages 100000] [--queries 10000] [--k 10]

Passages are made of words drawn by Zipf's law. Vectors are random: the encoder is not measured
here, search is. For BM25, dense and hybrid: processor seconds of building and of searching, then
two ratios that hardly depend on the machine: one call a query (the first 200) against all in one,
and the bare library's own call (bm25s, FAISS) against Rung's.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import bm25s
import numpy as np

from systems.corpus import Chunk
from systems.retrieval import TOKENS, Bm25Retriever, DenseRetriever, Index

DIMENSIONS = 384
VOCABULARY = 50_000
WORDS = 60
ONE_BY_ONE = 200


class RandomVectors:
    """Unit vectors by position: what an encoder would give, without its time."""

    fingerprint = "random"

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def encode(self, texts):
        vectors = self.rng.standard_normal((len(texts), DIMENSIONS), dtype=np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def texts(rng: np.random.Generator, count: int, words: int) -> list[str]:
    drawn = rng.zipf(1.2, size=(count, words)) % VOCABULARY
    return [" ".join(f"w{word}" for word in row) for row in drawn]


def seconds(call, *arguments) -> float:
    started = time.process_time()
    call(*arguments)
    return time.process_time() - started


def bare(retriever, queries: list[str], k: int) -> None:
    """The library's own call, its answer left as it comes."""
    if isinstance(retriever, Bm25Retriever):
        tokens = bm25s.tokenize(queries, token_pattern=TOKENS, stopwords=None, show_progress=False)
        retriever.index.retrieve(tokens, k=k, show_progress=False)
    else:
        vectors = np.random.default_rng(1).standard_normal(
            (len(queries), DIMENSIONS), dtype=np.float32
        )
        retriever.index.search(vectors, k)


def measured(retriever, queries: list[str], k: int) -> str:
    once = seconds(retriever.rank, queries, k)
    few = queries[:ONE_BY_ONE]
    each = sum(seconds(retriever.rank, [query], k) for query in few) / len(few)
    text = f"searched {once:6.1f} s ({len(queries) / once:6.0f} queries/s)"
    text += f"   one call a query: {each * len(queries) / once:5.1f}x as long"
    if isinstance(retriever, Bm25Retriever | DenseRetriever):
        text += f"   bare library: {seconds(bare, retriever, queries, k) / once:4.2f}x"
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--k", type=int, default=10)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    chunks = [
        Chunk(id=str(i), unit=str(i), document="d", start=0, end=len(text), text=text)
        for i, text in enumerate(texts(rng, options.passages, WORDS))
    ]
    queries = texts(rng, options.queries, 8)
    encoder = RandomVectors(rng)
    with tempfile.TemporaryDirectory() as folder:
        index = Index(chunks, Path(folder), encoder=lambda: encoder, encoder_name="random")
        for method in ("bm25", "dense", "hybrid"):
            started = time.process_time()
            retriever = index.retriever(method, {})
            built = time.process_time() - started
            print(f"{method:7} built {built:6.1f} s   {measured(retriever, queries, options.k)}")


if __name__ == "__main__":
    main()
