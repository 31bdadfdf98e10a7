"""Finding passages: BM25, embeddings, both, and an index that is built once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

import bm25s
import faiss
import numpy as np
import numpy.typing as npt

from harness.types import Encoder, Passage
from systems.corpus import Chunk

Method = Literal["bm25", "dense", "hybrid"]
Ranking = list[tuple[int, float]]  # (chunk, score), best first
Loaded = TypeVar("Loaded")
NO_GAP = 1e-6  # cosines nearer than this may be equal ones that were added up in another order
TOKENS = r"(?u)\b\w+\b"  # any language: no stop words are dropped
CHECKSUMS = "checksums.json"  # of an index's files, written last


class Retriever(Protocol):
    """Ranks the chunks of a corpus."""

    def rank(self, queries: Sequence[str], k: int) -> list[Ranking]:
        """The `k` best chunks of each query; ties stand in corpus order."""
        ...


class Bm25Retriever:
    """BM25 over words, in Lucene's form (Robertson and Zaragoza 2009)."""

    def __init__(self, index: bm25s.BM25, size: int) -> None:
        self.index, self.size = index, size

    def rank(self, queries: Sequence[str], k: int) -> list[Ranking]:
        tokens = _tokens([_composed(query) for query in queries])
        found, scores = self.index.retrieve(
            tokens, k=min(k + 1, self.size), show_progress=False, n_threads=0
        )
        rankings = []
        for words, *row in zip(tokens, found, scores, strict=True):
            # A chunk without a word of the query is no find.
            ranking = [(int(i), float(s)) for i, s in zip(*row, strict=True) if s > 0]
            if len(ranking) > k and ranking[k][1] == ranking[k - 1][1]:
                every = self.index.get_scores(words)  # the library drops any of those that tie
                best = np.flatnonzero(every >= row[1][k - 1])
                ranking = [(int(i), float(every[i])) for i in best]
            rankings.append(sorted(ranking, key=_order)[:k])
        return rankings


class DenseRetriever:
    """Inner product of unit vectors: exact search with FAISS."""

    def __init__(self, vectors: npt.NDArray[np.float32], encoder: Callable[[], Encoder]) -> None:
        self.index = faiss.IndexFlatIP(vectors.shape[1])
        self.index.add(vectors)
        self._encoder = encoder

    def rank(self, queries: Sequence[str], k: int) -> list[Ranking]:
        vectors = self._encoder().encode(queries)
        scores, found = self.index.search(vectors, min(k + 1, self.index.ntotal))
        rankings = []
        for vector, *row in zip(vectors, found, scores, strict=True):
            ranking = [(int(i), float(s)) for i, s in zip(*row, strict=True)]
            if (row[1][:-1] - row[1][1:] < NO_GAP).any():
                ranking = self._at_least(vector, row[1][:k][-1] - NO_GAP)
            rankings.append(sorted(ranking, key=_order)[:k])
        return rankings

    def _at_least(self, vector: npt.NDArray[np.float32], score: float) -> Ranking:
        """All that one query finds: asked alone, equal chunks have equal scores to the last digit."""
        _, scores, found = self.index.range_search(vector[None], float(score))
        return [(int(i), float(s)) for i, s in zip(found, scores, strict=True)]


class HybridRetriever:
    """Reciprocal rank fusion: each ranking gives 1 / (constant + rank).

    References
    ----------
    Cormack, Clarke and Büttcher (2009), "Reciprocal rank fusion outperforms Condorcet and
    individual rank learning methods", SIGIR.
    """

    def __init__(self, retrievers: Sequence[Retriever], *, depth: int, constant: int) -> None:
        self.retrievers, self.depth, self.constant = retrievers, depth, constant

    def rank(self, queries: Sequence[str], k: int) -> list[Ranking]:
        rankings = [retriever.rank(queries, max(k, self.depth)) for retriever in self.retrievers]
        return [self._fuse(each)[:k] for each in zip(*rankings, strict=True)]

    def _fuse(self, rankings: Sequence[Ranking]) -> Ranking:
        scores: dict[int, float] = {}
        for ranking in rankings:
            for rank, (chunk, _) in enumerate(ranking, 1):
                scores[chunk] = scores.get(chunk, 0.0) + 1 / (self.constant + rank)
        return sorted(scores.items(), key=_order)


class Index:
    """The stored index of a corpus, built when it is first asked for.

    Parameters
    ----------
    chunks
        The corpus.
    folder
        Where indexes are kept; each in a folder named by a hash of what it was built from.
    encoder
        Opens the encoder; called only when vectors are needed.
    encoder_name
        What the vectors depend on.
    """

    def __init__(
        self,
        chunks: Sequence[Chunk],
        folder: Path,
        *,
        encoder: Callable[[], Encoder],
        encoder_name: str,
    ) -> None:
        self.chunks, self.folder = chunks, folder
        self._encoder, self._encoder_name = encoder, encoder_name

    def retriever(self, method: Method, options: Mapping[str, Any]) -> Retriever:
        """A retriever with its settings."""
        if method == "bm25":
            return self._bm25(options)
        if method == "dense":
            return self._dense()
        return HybridRetriever(
            [self._bm25(options), self._dense()],
            depth=options.get("depth", 50),
            constant=options.get("rrf_k", 60),
        )

    def _bm25(self, options: Mapping[str, Any]) -> Bm25Retriever:
        k1, b = options.get("k1", 1.5), options.get("b", 0.75)
        texts = [_composed(chunk.indexed_text) for chunk in self.chunks]

        def build(folder: Path) -> None:
            index = bm25s.BM25(k1=k1, b=b)
            index.index(_tokens(texts), show_progress=False)
            index.save(folder, show_progress=False)

        def load(folder: Path) -> Bm25Retriever:
            index = bm25s.BM25.load(folder, show_progress=False)
            return Bm25Retriever(index, len(self.chunks))

        return self._stored(f"bm25 {bm25s.__version__} {k1} {b}", texts, build, load)

    def _dense(self) -> DenseRetriever:
        texts = [chunk.indexed_text for chunk in self.chunks]

        def build(folder: Path) -> None:
            encoder = self._encoder()
            _warn_of_cut(encoder, texts)
            vectors = encoder.encode(texts)
            np.save(folder / "vectors.npy", vectors, allow_pickle=False)

        def load(folder: Path) -> DenseRetriever:
            vectors = np.load(folder / "vectors.npy", allow_pickle=False)
            return DenseRetriever(vectors, self._encoder)

        return self._stored(f"dense {self._encoder_name}", texts, build, load)

    def _stored(
        self,
        what: str,
        texts: Sequence[str],
        build: Callable[[Path], None],
        load: Callable[[Path], Loaded],
    ) -> Loaded:
        """What is loaded of an index of these texts, built if it is not there as it was built."""
        digest = hashlib.sha256(what.encode())
        for chunk, text in zip(self.chunks, texts, strict=True):
            digest.update(json.dumps([chunk.id, text]).encode())
        folder = self.folder / digest.hexdigest()[:32]
        if not _is_whole(folder):
            _build_whole(folder, build)
        return load(folder)


def _warn_of_cut(encoder: Encoder, texts: Sequence[str]) -> None:
    """Say how many chunks the encoder reads in part only, where it knows."""
    limit, count = getattr(encoder, "max_tokens", None), getattr(encoder, "token_counts", None)
    if limit is None or count is None:
        return
    cut = sum(tokens > limit for tokens in count(texts))
    if cut:
        warnings.warn(
            f"longer than the {limit} tokens that the encoder reads: {cut} of {len(texts)} chunks. "
            "What stands after them is not found by meaning; make chunks shorter with "
            "`chunking: {size: ...}`, in words.",
            stacklevel=2,
        )


def _build_whole(folder: Path, build: Callable[[Path], None]) -> None:
    """Build a folder beside its place and move it there, so that none is ever half there."""
    half = folder.with_name(f"{folder.name}.{os.getpid()}")
    shutil.rmtree(half, ignore_errors=True)
    half.mkdir(parents=True)
    try:
        build(half)
        (half / CHECKSUMS).write_text(json.dumps(_checksums(half)), encoding="utf-8")
        if not _is_whole(folder):  # another process may have been quicker
            shutil.rmtree(folder, ignore_errors=True)  # damaged
            half.rename(folder)
    finally:
        shutil.rmtree(half, ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    """Whether an index is there, each of its files as it was written.

    What is damaged may still be read: an empty vocabulary would find nothing, and say nothing.
    """
    try:
        written = json.loads((folder / CHECKSUMS).read_text(encoding="utf-8"))
        return bool(written == _checksums(folder))
    except (OSError, ValueError):
        return False


def _checksums(folder: Path) -> dict[str, str]:
    found = {}
    for path in folder.iterdir():
        if path.name != CHECKSUMS:
            with path.open("rb") as file:
                found[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def passages_of(ranking: Ranking, chunks: Sequence[Chunk]) -> tuple[Passage, ...]:
    """A ranking as passages, the best with rank 1."""
    return tuple(
        Passage(id=chunks[index].id, text=chunks[index].text, rank=rank, score=score)
        for rank, (index, score) in enumerate(ranking, 1)
    )


def _composed(text: str) -> str:
    """A text with each letter and its accents as one character, however they were typed.

    An index is named by its composed texts: only where that changed any is it built anew.
    """
    return unicodedata.normalize("NFC", text)


def _tokens(texts: Sequence[str]) -> list[list[str]]:
    tokens: list[list[str]] = bm25s.tokenize(
        list(texts), stopwords=[], token_pattern=TOKENS, return_ids=False, show_progress=False
    )
    return tokens


def _order(found: tuple[int, float]) -> tuple[float, int]:
    return (-found[1], found[0])
