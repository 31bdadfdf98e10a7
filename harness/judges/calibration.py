"""How far a judge agrees with people, and what its scores are worth after correction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from harness.errors import CaseError, nearest
from harness.judges.asking import Judgement
from harness.sheets import Cells, read_sheet
from harness.statistics import JudgeQuality, ppi, rate
from harness.types import Estimate

LabelSource = Literal["human", "constructed"]
SOURCES: tuple[LabelSource, ...] = get_args(LabelSource)
FEWEST_LABELS = 100
_YES = frozenset({"1", "true", "yes", "pass", "passed"})
_NO = frozenset({"0", "false", "no", "miss", "missed"})

Key = tuple[str, int]  # case id, epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What the right score is, and who says so. Constructed ones are never reported as human."""

    case_id: str
    passed: bool
    source: LabelSource
    epoch: int = 0
    labeller: str = ""
    answer_hash: str = ""  # of the answer that was looked at, where it is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """A judge against labels of a random part of the same outputs."""

    source: LabelSource
    labels: int  # of outputs with a judgement
    unscored: int  # labelled outputs that the judge could not score
    kappa: Estimate
    quality: JudgeQuality
    sensitivity: Estimate
    specificity: Estimate
    pass_rate: Estimate  # corrected, PPI++
    raw_pass_rate: float | None

    @property
    def refusal(self) -> str | None:
        """Why no gate may rest on the judge; None if one may."""
        youden = self.quality.youden
        if youden is None or self.quality.usable:
            return None
        return (
            f"sensitivity + specificity - 1 is {youden:.2f}: below 0.50 the judge says too little"
        )

    @property
    def settled(self) -> bool:
        """Whether there are labels enough, of both kinds, to correct the judge's pass rate by."""
        return self.labels >= FEWEST_LABELS and self.quality.usable

    @property
    def conditions(self) -> tuple[str, ...]:
        """What has to be said beside any number that rests on it."""
        found = []
        if self.source != "human":
            found.append("the labels were constructed, no person gave them")
        if not self.labels:
            found.append("judge not calibrated: no label of a random sample")
        elif self.quality.youden is None:
            found.append(
                "the judge cannot be checked: labels of passed and missed outputs are needed"
            )
        if 0 < self.labels < FEWEST_LABELS:
            found.append(f"judge calibrated on {self.labels} labels, fewer than {FEWEST_LABELS}")
        if self.unscored:
            found.append(f"{self.unscored} labelled outputs were not scored by the judge")
        return tuple(found)


def calibrate(
    labels: Sequence[Label], judgements: Sequence[Judgement], *, confidence_level: float = 0.95
) -> Calibration:
    """Compare binary judgements with labels of a random part of the same outputs."""
    said = {(j.case_id, j.epoch): j.passed for j in judgements if j.passed is not None}
    return calibrate_scores(labels, said, confidence_level=confidence_level)


def calibrate_scores(
    labels: Sequence[Label], said: Mapping[Key, bool], *, confidence_level: float = 0.95
) -> Calibration:
    """Compare a judged metric's passes, by case and epoch, with labels of a random part of them.

    Where there are human labels, constructed ones are left out.

    Notes
    -----
    Cohen's kappa with the large-sample variance of Fleiss, Cohen & Everitt (1969); sensitivity and
    specificity with Wilson intervals; the pass rate by prediction-powered inference.
    """
    human = not labels or any(x.source == "human" for x in labels)
    source: LabelSource = "human" if human else "constructed"
    truth = {(x.case_id, x.epoch): x.passed for x in labels if x.source == source}
    both = [(truth[key], said[key]) for key in truth if key in said]
    quality = JudgeQuality(
        true_passes=both.count((True, True)),
        false_misses=both.count((True, False)),
        true_misses=both.count((False, False)),
        false_passes=both.count((False, True)),
    )
    passes, misses = quality.true_passes, quality.true_misses
    return Calibration(
        source=source,
        labels=len(both),
        unscored=len(truth) - len(both),
        kappa=cohen_kappa(quality, confidence_level=confidence_level),
        quality=quality,
        sensitivity=rate(passes, passes + quality.false_misses, confidence_level=confidence_level),
        specificity=rate(misses, misses + quality.false_passes, confidence_level=confidence_level),
        pass_rate=corrected_mean(
            {key: float(value) for key, value in truth.items()},
            {key: float(value) for key, value in said.items()},
            confidence_level=confidence_level,
        ),
        raw_pass_rate=sum(said.values()) / len(said) if said else None,
    )


def corrected_mean(
    labels: Mapping[Key, float], judged: Mapping[Key, float], *, confidence_level: float = 0.95
) -> Estimate:
    """The mean that people would give, by PPI++: labels of some outputs, judgements of all.

    For a difference between two systems, give the differences of both on each case.
    """
    labelled = [key for key in labels if key in judged]
    rest = [value for key, value in judged.items() if key not in labels]
    return ppi(
        [labels[key] for key in labelled],
        [judged[key] for key in labelled],
        rest,
        confidence_level=confidence_level,
    )


def corrected_difference(
    labels: tuple[Mapping[Key, float], Mapping[Key, float]],
    judged: tuple[Mapping[Key, float], Mapping[Key, float]],
    *,
    confidence_level: float = 0.95,
) -> Estimate:
    """Second system minus first, on the outputs that both have; a label counts if both have one."""
    return corrected_mean(
        {key: labels[1][key] - labels[0][key] for key in labels[0] if key in labels[1]},
        {key: judged[1][key] - judged[0][key] for key in judged[0] if key in judged[1]},
        confidence_level=confidence_level,
    )


def cohen_kappa(quality: JudgeQuality, *, confidence_level: float = 0.95) -> Estimate:
    """Agreement beyond chance; no value where one of the two always says the same."""
    from statistics import NormalDist

    cells = (
        (quality.true_passes, quality.false_misses),
        (quality.false_passes, quality.true_misses),
    )
    n = sum(map(sum, cells))
    value = low = high = None
    if n:
        p = [[count / n for count in row] for row in cells]
        rows, columns = [sum(row) for row in p], [p[0][j] + p[1][j] for j in (0, 1)]
        observed, chance = p[0][0] + p[1][1], rows[0] * columns[0] + rows[1] * columns[1]
        if 0 not in (*rows, *columns):
            value = (observed - chance) / (1 - chance)
            error = math.sqrt(_kappa_variance(p, rows, columns, value) / n)
            half = NormalDist().inv_cdf((1 + confidence_level) / 2) * error
            low, high = max(value - half, -1.0), min(value + half, 1.0)
    return Estimate(
        value=value,
        low=low,
        high=high,
        confidence_level=confidence_level,
        n=n,
        n_effective=float(n) if n else None,
        method="Cohen's kappa",
        kind="aggregate",
    )


def _kappa_variance(
    p: Sequence[Sequence[float]], rows: Sequence[float], columns: Sequence[float], kappa: float
) -> float:
    """n times the variance (Fleiss, Cohen & Everitt 1969, equation 13)."""
    chance = rows[0] * columns[0] + rows[1] * columns[1]
    same = sum(p[i][i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    other = sum(p[i][1 - i] * (columns[i] + rows[1 - i]) ** 2 for i in (0, 1))
    offset = (kappa - chance * (1 - kappa)) ** 2
    return max(0.0, same + (1 - kappa) ** 2 * other - offset) / (1 - chance) ** 2


def read_labels(path: Path) -> list[Label]:
    """Read a CSV of case_id, passed, source and, if there are any, epoch, labeller, answer_hash."""
    rows = read_sheet(path, needed=("case_id", "passed", "source"))
    return [_label(cells, path, line) for line, cells in rows]


def _label(row: Cells, path: Path, line: int) -> Label:
    cells = {column: value.strip() for column, value in row.items()}
    passed, source = cells["passed"].lower(), cells["source"].lower()
    if passed not in _YES | _NO:
        hint = "write passed or missed"
        raise CaseError(f"no label: {passed!r:.40}", file=path, line=line, key="passed", hint=hint)
    known = next((name for name in SOURCES if name == source), None)
    if known is None:
        raise CaseError(
            f"no source of labels: {source!r:.40}",
            file=path,
            line=line,
            key="source",
            hint=nearest(source, SOURCES),
        )
    epoch = cells.get("epoch") or "0"
    if not epoch.isdecimal():
        raise CaseError(f"no epoch: {epoch!r:.40}", file=path, line=line, key="epoch")
    return Label(
        case_id=cells["case_id"],
        passed=passed in _YES,
        source=known,
        epoch=int(epoch),
        labeller=cells.get("labeller", ""),
        answer_hash=cells.get("answer_hash", ""),
    )
