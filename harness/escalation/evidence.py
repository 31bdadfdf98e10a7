"""The evidence that a verdict stands on: one suite's counts, as records and as a JSON document.

Only the target and the systems' outcomes are required; what else is known may be left out, and the
verdict then says less. The published schema is `harness/schemas/evidence.schema.json`; what a schema
cannot say (more gained than cases, a pilot on other cases) is refused by `checks`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from harness.types import Action, Rung

SCHEMA_VERSION = 1
ROUNDING = 1e-9  # of sums of fractions
Split = Literal["locked", "dev", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Cases that passed, of those scored. `passed` is a sum of fractions where epochs were averaged."""

    passed: float
    n: int
    missing: int = 0  # cases unscored or errored: counted by worst-case bounds
    unsure_passed: float = 0.0  # of `passed`, what epochs without a score could undo
    unsure_missed: float = 0.0  # and of what was missed
    n_effective: float | None = None  # what the cases are worth under clusters or epochs
    clusters: int | None = None
    effective_clusters: float | None = (
        None  # what clusters of unequal size are worth; all, if absent
    )

    @property
    def value(self) -> float | None:
        """The pass rate; None without a scored case."""
        return self.passed / self.n if self.n else None

    @property
    def total(self) -> int:
        """Cases that were asked, scored or not."""
        return self.n + self.missing

    @property
    def worst(self) -> float:
        """Cases passed of all, had every output without a score missed."""
        return self.passed - self.unsure_passed

    @property
    def best(self) -> float:
        """Cases passed of all, had every output without a score passed."""
        return self.passed + self.unsure_missed + self.missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """Two systems on the same cases: candidate against baseline."""

    gained: int
    lost: int
    tied: int
    difference: float | None = None  # mean difference where epochs, seeds or clusters were averaged
    standard_error: float | None = None
    clusters: int | None = None
    effective_clusters: float | None = None  # as in `Rate`
    unpaired: int = 0  # cases that one of them, or both, have no score for
    may_lose: float = 0.0  # cases by which outputs without a score could lower `gained - lost`
    may_gain: float = 0.0  # and raise it

    @property
    def n(self) -> int:
        """Cases paired."""
        return self.gained + self.lost + self.tied

    def at_worst(self) -> Paired:
        """All cases, with the outputs that have no score against the candidate."""
        if self.value is None or not (self.unpaired or self.may_lose):
            return self
        lost = self.lost + math.ceil(self.may_lose - ROUNDING)
        total = self.n + self.unpaired
        mean = self.difference
        return replace(
            self,
            lost=lost,
            tied=max(total - self.gained - lost, 0),
            difference=None if mean is None else (mean * self.n - self.may_lose) / total,
            unpaired=0,
            may_lose=0.0,
            may_gain=0.0,
        )

    def turned(self) -> Paired:
        """The same with baseline and candidate the other way round."""
        return replace(
            self,
            gained=self.lost,
            lost=self.gained,
            difference=None if self.difference is None else -self.difference,
            may_lose=self.may_gain,
            may_gain=self.may_lose,
        )

    @property
    def value(self) -> float | None:
        """Candidate minus baseline; None without a pair."""
        if self.difference is not None:
            return self.difference
        return (self.gained - self.lost) / self.n if self.n else None


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPair:
    """A comparison between two systems of the suite."""

    baseline: str
    candidate: str
    counts: Paired


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemEvidence:
    """How one system did, and what it is."""

    name: str
    rung: Rung
    outcomes: Rate
    dev: Rate | None = None  # on the cases it was tuned on: used to choose, never to judge
    oracle: bool = False  # RAG with the gold passages given
    probe: bool = False  # prompted, on a stronger base model
    few_shot: bool = False
    hosted: bool | None = None  # answers leave the house
    model: str | None = None
    training_rows: int | None = None  # of a tuned system whose training is known
    trained_on_cases: int = 0  # of this suite, that were named as allowed
    latency_p95_s: float | None = None
    cost_per_call: float | None = None
    critical_misses: int = 0  # cases on which it misses what the champion must never miss


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Fixed before the run."""

    worthwhile_gain: float = 0.05
    tolerated_loss: float = 0.05
    alpha: float = 0.05
    max_cases: int = 800
    sequential: bool = False  # cases were looked at in batches: evidence must hold at every look


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was tried before these systems were judged."""

    split: Split = "all"
    locked_uses: int | None = None
    prompt_systems: int | None = None  # distinct ones, over stored runs
    few_shot_tried: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Misses:
    """Why the best cheap system missed. Causes count tagged misses; the rest are unknown."""

    total: int
    causes: Mapping[str, int]
    system: str | None = None
    by_rule: bool = False

    @property
    def tagged(self) -> int:
        """Misses with a known cause."""
        return sum(count for cause, count in self.causes.items() if cause != "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """A judge against human labels, and humans against each other."""

    true_passes: int = 0
    false_misses: int = 0
    true_misses: int = 0
    false_passes: int = 0
    human_agreement: float | None = None

    @property
    def labels(self) -> int:
        """Human labels in all."""
        return self.true_passes + self.false_misses + self.true_misses + self.false_passes


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Labels that a person checked."""

    checked: int
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """Cases suspected to be in training data, and the outcomes without them, by system."""

    suspected: int
    without: Mapping[str, Rate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """What forbids the champion as it is."""

    critical_misses: int = 0
    critical_unscored: int = 0  # cases that are not known to hold
    critical_metrics: tuple[str, ...] = ()
    regression: bool = False  # confirmed against the baseline
    regression_metrics: tuple[str, ...] = ()

    @property
    def forbidden(self) -> bool:
        """Whether anything does."""
        return bool(self.critical_misses or self.critical_unscored or self.regression)


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the training data are worth training on. `ready` is another check's word for it."""

    rows: int  # after duplicates were removed
    ready: bool | None = None
    reasons: tuple[str, ...] = ()
    near_duplicates: float | None = None  # share
    leaked: int | None = None
    coverage: float | None = None  # share of the larger clusters with at least three examples
    audit: Audit | None = None
    incomplete: int | None = None  # rows without an input or a desired output
    unsupported_facts: float | None = None  # share of rows whose answer the input does not hold
    desired_outputs: bool = True
    preference_pairs: int = 0
    data_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PilotPoint:
    """Training on the first `rows` rows: cases passed, a number for each seed, of `cases`."""

    rows: int
    passed: tuple[float, ...]
    cases: int
    n_effective: float | None = None  # what the cases are worth under clusters


@dataclass(frozen=True, slots=True, kw_only=True)
class Pilot:
    """A small tuning run at nested sizes."""

    points: tuple[PilotPoint, ...]
    gain: Paired | None = None  # at the largest size, over the pilot model's own prompt baseline
    gain_over_best: Paired | None = None  # over the best cheap system
    same_model: bool = True
    times_smaller: float | None = None
    model: str | None = None
    cases_hash: str | None = None
    data_hash: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The step itself: what would be trained, on rows of which length, on which GPUs."""

    parameters: float
    tokens_per_row: int
    epochs: float = 3.0
    gpus: Mapping[str, float | None] = field(default_factory=dict)  # by name: price an hour


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What no system may break."""

    private: bool = False
    latency_p95_s: float | None = None
    cost_per_call: float | None = None

    def broken_by(self, system: SystemEvidence) -> str | None:
        """Say which limit a system breaks, or None."""
        if self.private and system.hosted:
            return "data may not leave the house"
        if _above(system.latency_p95_s, self.latency_p95_s):
            return f"95 % of answers within {self.latency_p95_s:g} s"
        if _above(system.cost_per_call, self.cost_per_call):
            return f"at most {self.cost_per_call:g} a call"
        return None


def _above(measured: float | None, limit: float | None) -> bool:
    return measured is not None and limit is not None and measured > limit


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """One system on the cases with one tag; tags may overlap."""

    tag: str
    outcomes: Rate
    system: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What someone who knows the field would do: shown beside the verdict, never counted."""

    by: str
    action: Action
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything known about one suite."""

    suite: str
    target: float
    systems: tuple[SystemEvidence, ...]
    pairs: tuple[NamedPair, ...] = ()
    champion: str | None = None
    settings: Settings = field(default_factory=Settings)
    selection: Selection = field(default_factory=Selection)
    limits: Limits = field(default_factory=Limits)
    misses: Misses | None = None
    judged: bool = False  # the deciding metrics come from a judge, not from code
    judge: Judge | None = None
    audit: Audit | None = None  # of the cases' expected outputs
    leakage: Leakage | None = None
    shipping: Shipping = field(default_factory=Shipping)
    readiness: Readiness | None = None
    pilot: Pilot | None = None
    retained: Paired | None = None  # tuned against base on the suite of general skills
    training: Training | None = None
    economics: Mapping[str, Any] | None = None  # the inputs of harness.economics
    slices: tuple[Slice, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    stands_on: Mapping[str, str] = field(default_factory=dict)  # hashes, by what they are of
    assumes: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()  # evidence that exists and no longer fits, and why
    seed: int = 0  # of the simulated continuations

    def pair(self, baseline: str, candidate: str) -> Paired | None:
        """The comparison of two systems, turned round where it was stored the other way."""
        for pair in self.pairs:
            if (pair.baseline, pair.candidate) == (baseline, candidate):
                return pair.counts
            if (pair.baseline, pair.candidate) == (candidate, baseline):
                return pair.counts.turned()
        return None

    @property
    def cases(self) -> int:
        """Cases of the suite that were judged: the most that any system has."""
        return max((s.outcomes.total for s in self.systems), default=0)
