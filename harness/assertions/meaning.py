"""Assertions on what an output means, by an encoder handed in and by overlap. No judge is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

from harness.assertions.reason import excerpt, miss, names, require_text, require_texts, unscored
from harness.metrics.agreement import agreement
from harness.metrics.retrieval import names_of
from harness.metrics.similarity import embedding_similarity
from harness.metrics.support import COSINE_SUPPORTED, WORDS_SUPPORTED, claims
from harness.types import Encoder, Passage

_CITATION = re.compile(r"\[([^\[\]\n]{1,80})\]")


def means(
    text: str, expected: str | Sequence[str], encoder: Encoder, *, at_least: float = 0.75
) -> float:
    """Assert that the text is near in meaning to one of the references; returns the cosine.

    What a cosine is worth depends on the encoder: look at some pairs before choosing `at_least`.
    """
    if not require_text(text, "text").strip():
        miss(f"a text that means {_first(expected)}", "an empty text")
    cosine = embedding_similarity(encoder, text, expected)
    if cosine is None:
        unscored("an empty text has no meaning to compare")
    if cosine < at_least:
        found = f"{cosine:.3f}: {excerpt(text)}"
        miss(f"a cosine of at least {at_least:g} with {_first(expected)}", found)
    return cosine


def is_supported(
    text: str,
    passages: Sequence[Passage | str],
    *,
    encoder: Encoder | None = None,
    overlap_at_least: float = WORDS_SUPPORTED,
    cosine_at_least: float = COSINE_SUPPORTED,
) -> None:
    """Assert that every sentence has support in a passage (`metrics.claims`); the rest are named.

    Unscored without passages, or if the text says nothing.
    """
    sources = [p if isinstance(p, str) else p.text or "" for p in passages]
    if not any(source.strip() for source in sources):
        unscored("no text of a passage to look for support in")
    judged = claims(
        require_text(text, "text"),
        sources,
        encoder=encoder,
        overlap_at_least=overlap_at_least,
        cosine_at_least=cosine_at_least,
    )
    if not judged:
        unscored(f"the text makes no claim: {excerpt(text)}")
    bare = [claim for claim in judged if not claim.supported]
    if bare:
        numbers = [f"{number:g}" for claim in bare for number in claim.absent_numbers]
        absent = f"; no passage has the number {', '.join(numbers[:3])}" if numbers else ""
        miss(
            "every sentence to have support in the passages",
            f"{len(bare)} of {len(judged)} without: {names([c.text for c in bare], limit=2)}{absent}",
        )


def cites(
    text: str, passages: Sequence[Passage], *, gold: Collection[Passage | str] = ()
) -> list[str]:
    """Assert that the text cites passages it was given, as [id] or [rank]; returns the cited ids.

    With `gold`, one of the passages cited must be a gold one.
    """
    known = {p.id: p.id for p in passages}
    known |= {
        str(p.rank): p.id for p in passages if p.rank is not None and str(p.rank) not in known
    }
    found = [
        part.strip()
        for group in _CITATION.findall(require_text(text, "text"))
        for part in re.split(r"[,;]", group)
    ]
    if not found:
        miss("a citation such as [1] or [passage id]", excerpt(text) if text else "an empty text")
    if unknown := [mark for mark in found if mark not in known]:
        miss(f"citations of the {len(passages)} passages given", f"{names(unknown)}, which none is")
    cited = list(dict.fromkeys(known[mark] for mark in found))
    right = {p if isinstance(p, str) else p.id for p in gold}
    if right and not right.intersection(name for p in cited for name in names_of(p)):
        miss(f"a citation of {names(sorted(right))}", f"only {names(cited)}")
    return cited


def is_consistent(
    texts: Sequence[str],
    *,
    at_least: float = 1.0,
    same: Callable[[str, str], bool] | None = None,
) -> float:
    """Assert that the answers to paraphrases of one question agree; returns the share of pairs.

    `same` decides on two answers; by default they are equal after SQuAD normalisation.
    """
    share = agreement(require_texts(texts, "texts"), same=same)
    if share is None:
        raise ValueError("two answers at least are needed to agree")
    if share < at_least:
        miss(f"{at_least:.0%} of pairs of answers to agree", f"{share:.0%}: {names(texts)}")
    return share


def _first(expected: str | Sequence[str]) -> str:
    return (
        excerpt(expected, width=80) if isinstance(expected, str) else names(list(expected), limit=2)
    )
