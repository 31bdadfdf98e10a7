"""What people said of outputs: right or wrong, why, and what would have been better."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from harness.desk.journal import Journal
from harness.desk.standing import Said

Answer = Literal["right", "wrong", "skipped"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)
Order = Literal["random", "misses", "disagreements", "valuable"]
ORDERS: tuple[Order, ...] = get_args(Order)

# system, case, epoch, hash of the answer, metric
Key: TypeAlias = tuple[str, str, int, str, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One line of `evals/labels/<suite>.jsonl`."""

    at: str  # ISO time
    who: str
    run: str
    suite: str
    system: str
    case: str
    epoch: int
    answer_hash: str  # of the text that was looked at
    label: Answer
    metric: str | None = None  # the question that was asked; none is the whole answer
    tag: str | None = None  # a category of the error analysis, or the person's own
    edit: str | None = None  # the better answer
    answer: str | None = None  # the answer that was edited
    comment: str | None = None
    order: Order = "misses"
    seed: int | None = None  # of a random order
    place: int = 0  # in the queue, from 1
    of: int = 0
    scores_shown: bool = True  # whether assertions and judges could be seen
    expected_hash: str | None = None  # of the expected answer that it was held against

    @property
    def key(self) -> Key:
        """What the label is about."""
        return (self.system, self.case, self.epoch, self.answer_hash, self.metric)


_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("at", "who", "run", "suite", "system", "case", "answer_hash"), (str,)),
    **dict.fromkeys(
        ("metric", "tag", "edit", "answer", "comment", "expected_hash"), (str, type(None))
    ),
    **dict.fromkeys(("epoch", "place", "of"), (int,)),
    "seed": (int, type(None)),
    "scores_shown": (bool,),
}


def parse_label(row: Mapping[str, Any]) -> Label | None:
    """Read a line; None if it is not a label. Keys that a later version added are left out."""
    known = {f.name for f in fields(Label)}
    values = {key: value for key, value in row.items() if key in known}
    try:
        label = Label(**values)
    except TypeError:
        return None
    if not all(isinstance(getattr(label, name), kinds) for name, kinds in _TYPES.items()):
        return None
    return label if label.label in ANSWERS and label.order in ORDERS else None


class LabelBook:
    """The labels of a suite: everybody's, the newest of each person for each output counting."""

    def __init__(self, path: Path) -> None:
        self.journal = Journal(path)
        self._current: dict[str, dict[Key, Label]] = {}  # by person, oldest first
        self.log: list[Said] = []
        self.unread = 0  # lines that are no labels

    def refresh(self) -> None:
        """Take in what anybody has written."""
        for row in self.journal.new_rows():
            label = parse_label(row)
            if label is None:
                self.unread += 1
            else:
                self._take(label)

    def add(self, label: Label) -> None:
        """Save a label; it is on the disk when this returns."""
        self.journal.append(as_row(label))
        self.refresh()

    def of(self, who: str) -> Mapping[Key, Label]:
        """Return a person's labels, oldest first."""
        return self._current.get(who, {})

    def people(self) -> list[str]:
        """Return who has labelled."""
        return sorted(self._current)

    def all(self) -> list[Label]:
        """Return everybody's newest label of each output, without the skipped ones."""
        found = [x for table in self._current.values() for x in table.values()]
        return sorted((x for x in found if x.label != "skipped"), key=lambda x: x.at)

    @property
    def problems(self) -> int:
        """Lines that could not be read."""
        return len(self.journal.damaged) + self.unread

    def _take(self, label: Label) -> None:
        table = self._current.setdefault(label.who, {})
        table.pop(label.key, None)  # the newest comes last
        table[label.key] = label
        self.log.append((label.who, label.key, label.label == "skipped"))


def as_row(label: Label) -> dict[str, Any]:
    """Make a line of a label; what is not there is left out."""
    return {key: value for key, value in asdict(label).items() if value is not None}


def majority(labels: Iterable[Label]) -> dict[Key, tuple[bool, tuple[str, ...]]]:
    """Return right or wrong for each output by most people, and who they were; a tie says nothing."""
    by_key: dict[Key, list[Label]] = {}
    for label in labels:
        if label.label != "skipped":
            by_key.setdefault(label.key, []).append(label)
    found = {}
    for key, said in by_key.items():
        right = sum(label.label == "right" for label in said)
        if 2 * right != len(said):
            found[key] = (2 * right > len(said), tuple(sorted({label.who for label in said})))
    return found


def label_file(evals: Path, suite: str) -> Path:
    """Return where the labels of a suite are kept."""
    return evals / "labels" / f"{suite}.jsonl"
