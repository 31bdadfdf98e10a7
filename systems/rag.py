"""A model, a prompt, and passages from a corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from harness.errors import ConfigError, nearest
from harness.types import NOT_MEASURED, Case, Output, Passage, SystemSpec
from systems import load_encoder
from systems.corpus import Chunk, read_corpus
from systems.fingerprint import encoder_identity, encoder_of
from systems.prompt import PromptSystem
from systems.retrieval import Index, Method, Retriever, passages_of
from systems.rows import missing_field, query_text

DEFAULT_RETRIEVER = "hybrid"
DEFAULT_K = 3
WHOLE = {"size": 1 << 30, "overlap": 0}
NO_GOLD = "not measured: the case names no gold passages (`context`) for the oracle to give"


class RagSystem(PromptSystem):
    """A prompt system whose prompts hold passages of a corpus.

    `retriever: oracle` gives each case its gold passages: what a perfect retriever would reach.
    `retriever: all` puts the whole corpus into every prompt; one that is longer than the model's
    window is answered with both counts, never cut.
    """

    def __init__(self, spec: SystemSpec) -> None:
        super().__init__(spec)
        self.method, self.settings = _method(spec.options.get("retriever", DEFAULT_RETRIEVER))

    def check(self) -> None:
        """Read the corpus too, and refuse a prompt that would drop what is found in it."""
        super().check()
        _ = self.chunks
        if self.method != "none":
            self._require_read("passages", "corpus")

    def check_cases(self, cases: Sequence[Case]) -> list[str]:
        """Look the gold passages up too: an id that the corpus lacks can never be found."""
        notes = super().check_cases(cases)
        if self.method == "none":
            return notes
        return notes + self._check_gold(
            [(case.id, gold.id) for case in cases for gold in case.context if gold.text is None]
        )

    def _check_gold(self, named: Sequence[tuple[str, str]]) -> list[str]:
        lost = [(case, gold) for case, gold in named if gold not in self._by_id]
        if not lost:
            return []
        case, gold = lost[0]
        example = f"case '{case}' names '{gold}'. {nearest(gold, self._by_id)}"
        if len(lost) == len(named):
            raise ConfigError(
                f"none of the gold passages (`context`) of the cases is in the corpus: {example}",
                key=f"systems.{self.name}.corpus",
                hint="Name a document, a section (`file.md#heading`), a row or a chunk by its id; "
                "one from elsewhere as `{id: ..., text: ...}`.",
            )
        return [
            f"'{self.name}' can never find {len(lost)} of {len(named)} gold passages, for its "
            f"corpus lacks them: {example}"
        ]

    @cached_property
    def chunks(self) -> list[Chunk]:
        """The passages of the corpus."""
        chunking = WHOLE if self.method == "all" else self.spec.options.get("chunking", {})
        return read_corpus(
            self.spec.path(self.spec.options["corpus"]),
            size=chunking.get("size", 120),
            overlap=chunking.get("overlap", 20),
            key=f"systems.{self.name}.corpus",
        )

    @cached_property
    def retriever(self) -> Retriever:
        """What ranks the passages, its index built if it was not."""
        encoder = encoder_of(self.spec)
        index = Index(
            self.chunks,
            index_folder(self.spec.folder),
            encoder=lambda: load_encoder(encoder, self.spec.folder),
            encoder_name=encoder_identity(encoder, self.spec.folder),
        )
        return index.retriever(cast("Method", self.method), self.settings)

    def retrieve(self, cases: Sequence[Case]) -> list[tuple[Passage, ...]]:
        """The passages of each case, best first."""
        if self.method == "none" or not cases:
            return [()] * len(cases)
        if self.method == "oracle":
            return [self._gold(case) for case in cases]
        if self.method == "all":
            every = passages_of([(n, 1.0) for n in range(len(self.chunks))], self.chunks)
            return [every] * len(cases)
        field = self.spec.options.get("query")
        asked = [n for n, case in enumerate(cases) if missing_field(case.input, field) is None]
        found: list[tuple[Passage, ...]] = [()] * len(cases)  # the others are never asked
        queries = [query_text(cases[n].input, field) for n in asked]
        rankings = self.retriever.rank(queries, self.settings.get("k", DEFAULT_K)) if asked else []
        for n, ranking in zip(asked, rankings, strict=True):
            found[n] = passages_of(ranking, self.chunks)
        return found

    def _unanswerable(self, case: Case) -> str | None:
        if self.method == "oracle":
            if not case.context:
                return NO_GOLD
            for gold in case.context:
                if gold.text is None and gold.id not in self._by_id:
                    return f"the gold passage '{gold.id}' is not in the corpus"
        elif self.method not in ("none", "all") and (
            fault := missing_field(case.input, self.spec.options.get("query"))
        ):
            return fault
        return super()._unanswerable(case)

    def _unanswered(self, case: Case, epoch: int, error: str) -> Output:
        output = super()._unanswered(case, epoch, error)
        return replace(output, finish_reason=NOT_MEASURED) if error == NO_GOLD else output

    @cached_property
    def _by_id(self) -> Mapping[str, list[Chunk]]:
        """The chunks by every id that a case may name them with."""
        by_id: dict[str, list[Chunk]] = {}
        for chunk in self.chunks:
            for id in {chunk.id, chunk.unit, chunk.document}:
                by_id.setdefault(id, []).append(chunk)
        return by_id

    def _gold(self, case: Case) -> tuple[Passage, ...]:
        found: list[tuple[str, str]] = []
        for gold in case.context:
            if gold.text is not None:
                found.append((gold.id, gold.text))
            else:
                found.extend((chunk.id, chunk.text) for chunk in self._by_id.get(gold.id, ()))
        return tuple(
            Passage(id=id, text=text, rank=rank, score=1.0)
            for rank, (id, text) in enumerate(found, 1)
        )


def index_folder(folder: Path) -> Path:
    """Where a project's indexes are kept: in `.rung`, which stands above `evals/`."""
    root = folder.parent if folder.name == "evals" else folder
    return root / ".rung" / "index"


def _method(retriever: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    if isinstance(retriever, str):
        return retriever, {}
    ((method, settings),) = retriever.items()
    return method, settings or {}
