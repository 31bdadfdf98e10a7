"""What an examination holds rows against, and what it may be given beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy.typing as npt

from harness.diversity.labels import AUDIT_ROWS, Audit
from harness.diversity.leakage import LeakLimits
from harness.diversity.neighbours import MakeIndex
from harness.diversity.vectors import FloatArray
from harness.training_rows import TrainingRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a training set has to hold. Cosines depend on the encoder: see calibration."""

    rows: int = 100  # after de-duplication, without leaked and empty rows
    near_duplicates: float = 0.05  # share of rows that have a near-duplicate
    duplicate_cosine: float = 0.95
    leaks: LeakLimits = field(default_factory=LeakLimits)
    clusters_covered: float = 0.90
    audited_rows: int = AUDIT_ROWS  # 0: no audit is asked for
    wrong_labels: float = 0.10  # upper limit of the audit
    facts: float = 0.20  # share of rows that teach facts
    small_share: float = 0.01  # of rows: faults below this warn, above they block
    next_rows: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What an examination may be given beside rows and cases; everything may be absent."""

    limits: Limits = field(default_factory=Limits)
    suite: str | None = None  # whose cases the rows should cover; all suites' without it
    production: Sequence[str] = ()  # real queries: coverage is measured on them, else on the cases
    pool: Sequence[str] = ()  # unlabelled texts to choose the next rows from; else production
    other_sources: Mapping[str, Sequence[TrainingRow]] = field(
        default_factory=dict
    )  # few-shot, banks
    vocabulary: Mapping[str, Sequence[str]] = field(
        default_factory=dict
    )  # kind -> names to be taught
    audit: Audit | None = None
    window: int | None = None  # tokens
    count_tokens: Callable[[str], int] | None = None
    tokenizer: str | None = None  # whose tokens are counted
    make_index: MakeIndex | None = None  # nearest neighbours at scale; numpy without it
    project: Callable[[FloatArray], npt.ArrayLike] | None = None  # to the map's plane, else PCA

    @property
    def digest(self) -> str:
        """A hash of all that changes what is found; the tokenizer by its name."""
        said = [
            asdict(self.limits),
            self.suite,
            list(self.production),
            list(self.pool),
            {name: [asdict(row) for row in rows] for name, rows in self.other_sources.items()},
            {kind: list(names) for kind, names in self.vocabulary.items()},
            asdict(self.audit) if self.audit else None,
            self.window,
            self.tokenizer,
        ]
        text = json.dumps(said, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()
