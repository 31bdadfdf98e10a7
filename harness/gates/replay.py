"""Builds drawn from stored scores: unchanged ones, and ones that lost something for good."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from harness.statistics.outcomes import Outcomes
from harness.statistics.rates import FloatArray, IntArray
from harness.types import Score

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stored:
    """The scored epochs of each case; cases without a score are left out."""

    case_ids: tuple[str, ...]
    passed: BoolArray  # shape (cases, most epochs), the epochs of a case first
    values: FloatArray  # the same; 0 and 1 where the metric passes or misses
    epochs: IntArray  # scored of each case, shape (cases,)
    units: (
        IntArray  # the group of each case by number, shape (cases,); its own where it stands alone
    )
    grouped: bool
    graded: bool

    @classmethod
    def from_scores(
        cls,
        scores: Iterable[Score],
        *,
        groups: Mapping[str, Hashable] | None = None,
        graded: bool = False,
    ) -> Self:
        """Lay out the scores of one metric and system."""
        of_case: dict[str, list[Score]] = {}
        for score in sorted(scores, key=lambda score: score.epoch):
            if score.state in ("passed", "missed") and score.value == score.value:  # no NaN
                of_case.setdefault(score.case_id, []).append(score)
        epochs = np.array([len(found) for found in of_case.values()], dtype=np.int64)
        passed = np.zeros((len(of_case), int(epochs.max(initial=0))), dtype=bool)
        values = np.zeros(passed.shape)
        for place, found in enumerate(of_case.values()):
            passed[place, : len(found)] = [score.state == "passed" for score in found]
            values[place, : len(found)] = [score.value or 0.0 for score in found]
        labels = [groups.get(case, case) if groups else case for case in of_case]
        number = {label: place for place, label in enumerate(dict.fromkeys(labels))}
        return cls(
            case_ids=tuple(of_case),
            passed=passed,
            values=values if graded else passed.astype(float),
            epochs=epochs,
            units=np.array([number[label] for label in labels], dtype=np.int64),
            grouped=groups is not None,
            graded=graded,
        )

    @property
    def fewest_epochs(self) -> int:
        """The epochs of the case that has fewest; 0 without a case."""
        return min(self.epochs.tolist(), default=0)

    @property
    def groups(self) -> int | None:
        """How many groups the cases make; None where every case stands alone."""
        return len(set(self.units.tolist())) if self.grouped else None

    @property
    def worst(self) -> float:
        """The lower end of the scale, as the gates take it for outputs without a score."""
        return min(0.0, float(self.values.min(initial=0.0)))

    @property
    def losses(self) -> FloatArray:
        """What breaking each case takes off its mean, shape (cases,)."""
        return np.asarray(self.values.sum(axis=1) / self.epochs - self.worst, dtype=float)

    def allows(self, drop: float) -> bool:
        """Whether there is so much to lose."""
        return bool(self.case_ids) and float(self.losses.mean()) >= drop - 1e-9

    def broken(self, drop: float, rng: np.random.Generator) -> BoolArray:
        """Choose the cases that a loss of so much breaks, shape (cases,).

        Whole groups in random order, as what breaks one case of a document breaks its others; of
        the last group only as many as it takes, and the last of those by chance.
        """
        order = np.lexsort(
            (rng.random(len(self.units)), rng.permutation(len(self.units))[self.units])
        )
        losses = self.losses[order]
        to_lose = drop * len(losses) - (np.cumsum(losses) - losses)
        broken = np.zeros(len(losses), dtype=bool)
        broken[order] = rng.random() * losses < to_lose
        return broken

    def drawn(
        self, epochs: int, rng: np.random.Generator, *, broken: BoolArray | None = None
    ) -> Outcomes:
        """Draw so many epochs of every case from its own; broken cases miss, at the worst score.

        The cases of a group are drawn from the same stored epoch: what varies together goes on so.
        """
        chance = rng.random((len(self.units), epochs))[self.units]
        index = (chance * self.epochs[:, None]).astype(np.int64)
        lost = (np.zeros(len(self.units), dtype=bool) if broken is None else broken)[:, None]
        passed = np.take_along_axis(self.passed, index, axis=1) & ~lost
        outcomes = Outcomes.from_counts(
            self.case_ids,
            passed.sum(axis=1),
            epochs,
            groups=self.units.tolist() if self.grouped else None,
        )
        if not self.graded:
            return outcomes
        values = np.where(lost, self.worst, np.take_along_axis(self.values, index, axis=1))
        return replace(outcomes, values=values.mean(axis=1))
