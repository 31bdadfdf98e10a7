"""The words of Rung as values: frozen records and the protocols that systems answer to.

Standard library only, so that collecting tests costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, get_args, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Rung = Literal["classical", "prompt", "rag", "fine_tuned"]
RUNGS: tuple[Rung, ...] = get_args(Rung)  # lowest first

ScoreState = Literal["passed", "missed", "unscored", "errored", "not_run"]
SCORE_STATES: tuple[ScoreState, ...] = get_args(ScoreState)

GateKind = Literal["at_least", "no_worse_than", "critical"]
GateState = Literal["passed", "failed", "undecided", "not_judged"]

# A claim about a quantity against a reference: proven above it, proven below it, or neither.
ClaimState = Literal["above", "below", "open"]

Action = Literal[
    "fix_eval",
    "do_not_ship",
    "step_down",
    "stay_on_prompt",
    "run_more_cases",
    "improve_prompt",
    "change_model",
    "look_at_misses",
    "climb_to_rag",
    "fix_retrieval",
    "collect_data",
    "run_pilot",
    "escalate_to_gpu",
    "stay_on_best_rung",
]
ACTIONS: tuple[Action, ...] = get_args(Action)

# Finish reasons of a system's own: what moderation did, and a case that says nothing of the system.
INPUT_REFUSED, OUTPUT_WITHHELD, NOT_MEASURED = "input_refused", "output_withheld", "not_measured"
MODERATION = "moderation"  # the step that holds why

Message: TypeAlias = Mapping[str, Any]  # one chat message: role, content
Prompt: TypeAlias = str | Sequence[Message]
CaseInput: TypeAlias = str | Sequence[Message] | Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of text from a corpus: what a retriever returned, or what a case names as gold."""

    id: str
    text: str | None = None
    rank: int | None = None  # 1 is best
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One input with what is expected of it."""

    id: str
    input: CaseInput  # text, chat messages, or an object of named fields
    expected_output: Any = None
    context: tuple[Passage, ...] = ()  # the gold passages
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens that one output cost, as counted by the tokenizer or the server that answered."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One call of a system of several calls."""

    name: str
    prompt: Prompt | None = None
    text: str = ""
    latency_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A function call that a model asked for; arguments are parsed JSON and untrusted."""

    name: str
    arguments: Mapping[str, Any]
    result: str | None = None  # what the tool answered, where it was run


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What a system answered for a case and epoch. With `error` set, the text means nothing."""

    case_id: str
    epoch: int
    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    passages: tuple[Passage, ...] = ()
    steps: tuple[Step, ...] = ()
    usage: Usage | None = None
    latency_s: float | None = None  # seconds, from asking to the last token
    attempts: int = 1
    finish_reason: str | None = None  # stop | length | ...
    refused: bool = False
    prompt: Prompt | None = None  # what was sent to the model
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A metric's value for one output. `value` is None unless the state is passed or missed."""

    case_id: str
    epoch: int
    metric: str
    state: ScoreState
    value: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One entry under `models:` in rung.yaml."""

    name: str
    kind: Literal["transformers", "openai"]
    source: str  # a folder or hub id; the model's name on its server
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemSpec:
    """One entry under `systems:` in rung.yaml, its model looked up. Paths are relative to `folder`."""

    name: str
    kind: str
    rung: Rung
    folder: Path
    model: ModelSpec | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    encoder: str | None = None  # the project's encoder, for systems that embed

    def path(self, value: str) -> Path:
        """Resolve a path of this system's configuration."""
        return (self.folder / Path(value).expanduser()).resolve()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """A hash over everything that can change an answer, and the parts it was made of."""

    digest: str  # hexadecimal sha256
    parts: Mapping[str, str]  # by name: short text verbatim, files as "sha256:..."
    warnings: tuple[str, ...] = ()


@runtime_checkable
class System(Protocol):
    """Anything that answers a case. Outputs are yielded as they are answered, in any order."""

    @property
    def name(self) -> str: ...

    @property
    def rung(self) -> Rung: ...

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]: ...


class Encoder(Protocol):
    """Texts to unit vectors."""

    @property
    def fingerprint(self) -> str: ...

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return an array of shape (len(texts), d), rows of length 1."""
        ...


class Trainer(Protocol):
    """Trains a system's adapter from rows and returns the folder it was written to."""

    def train(self, rows: Iterable[Mapping[str, Any]], *, out: Path, seed: int) -> Path: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its uncertainty. `value` is None where there are no data: no data is not zero."""

    value: float | None
    low: float | None
    high: float | None
    confidence_level: float
    n: int  # cases scored
    n_effective: float | None  # what they are worth under clustering
    method: str
    kind: Literal["rate", "mean", "aggregate"] = "rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two systems on the same cases. The difference is candidate minus baseline."""

    suite: str
    metric: str
    baseline: str
    candidate: str
    gained: int  # cases that the baseline missed and the candidate passed
    lost: int
    tied: int
    unpaired: int
    difference: float | None
    low: float | None
    high: float | None
    pvalue: float | None
    state: ClaimState
    pvalue_adjusted: float | None = None
    evalue: float | None = None
    mde: float | None = None
    confidence_level: float = 0.95
    method: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What became of one floor of one metric of one system."""

    suite: str
    metric: str
    system: str
    kind: GateKind
    state: GateState
    reason: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None
    pairs: int | None = None
    pvalue_adjusted: float | None = None
    mde: float | None = None
    further_cases: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Which rung is justified for a suite, with its reasons."""

    suite: str
    action: Action
    row: str  # the row of the decision table, such as "9b"
    sentence: str
    leaning: str | None = None
    next_step: Mapping[str, Any] = field(default_factory=dict)
    conditions: tuple[str, ...] = ()
    confidence: Mapping[str, Any] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    expected: Mapping[str, Any] = field(default_factory=dict)
    would_change: Mapping[str, Any] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)
