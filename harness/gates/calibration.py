"""How often a project's own gates cry wolf, and how often they catch a planted drop.

Builds are replayed on stored scores. An unchanged build draws new epochs of every case from those
stored; a dropped one breaks cases at random first, for good, until the mean is lower by the drop. Cases of
a group are drawn and broken together, and the gates judge them as they judge a run: by group, and
graded scores by their mean. With one stored epoch the replay has no noise to show: store several for
an honest false-alarm rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from harness.gates.floors import judge_at_least, judge_critical
from harness.gates.regression import judge_no_worse_than, screen
from harness.gates.replay import Stored
from harness.gates.rule import Rule, Subject
from harness.statistics.outcomes import Outcomes
from harness.statistics.rates import rate
from harness.types import Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Gated:
    """A metric's stored scores on a system, and the floors set on it."""

    subject: Subject
    stored: Stored
    at_least: float | None = None
    critical: bool = False
    no_worse_than: bool = False
    repeatable: bool = True  # flagged gates are confirmed on fresh epochs


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Rates over replayed builds, with Clopper-Pearson intervals; gates by `gate_names`."""

    builds: int
    false_alarms: Estimate  # unchanged builds in which any gate failed
    by_gate: Mapping[str, Estimate]  # the same for each gate
    detections: Mapping[str, Mapping[float, Estimate]]  # by gate and drop planted in it alone
    epochs: int  # fewest stored for any case: with 1 there is no noise to replay


BASELINE_EPOCHS = 5
FRESH_EPOCHS = 3


def calibrate(
    gated: Sequence[Gated],
    *,
    rng: np.random.Generator,
    drops: Sequence[float] = (0.05, 0.10),
    builds: int = 200,
    rule: Rule | None = None,
) -> Calibration:
    """Replay unchanged builds and planted drops through the gates.

    Parameters
    ----------
    gated : sequence of Gated
        The project's gates. The family of the rule is set to those against the baseline, as in a run.
    drops : sequence of float
        Losses to plant, in one metric at a time: of pass rate, or of the mean of a graded metric.
    builds : int
        Replays of each kind.

    Notes
    -----
    Unscored and errored outputs are left out of the draws: what is measured is the noise of answers.
    A drop that is more than there is to lose cannot be planted: its rate has no value.
    """
    rule = replace(rule or Rule(), family=max(1, sum(g.no_worse_than for g in gated)))
    alarms = np.array(
        [[_fails(g, 0.0, rule, rng) for g in gated] for _ in range(builds)], dtype=bool
    )
    alarms = alarms.reshape(builds, len(gated))
    any_alarm = np.asarray(alarms.any(axis=1))
    names = gate_names([g.subject for g in gated])
    return Calibration(
        builds=builds,
        false_alarms=_share(any_alarm),
        by_gate={name: _share(alarms[:, i]) for i, name in enumerate(names)},
        detections={
            name: {drop: _caught(g, drop, builds, rule, rng) for drop in drops}
            for name, g in zip(names, gated, strict=True)
        },
        epochs=min((g.stored.fewest_epochs for g in gated), default=0),
    )


def gate_names(subjects: Sequence[Subject]) -> list[str]:
    """Name each gate by suite and metric, and by system where several of them are gated."""
    names = [f"{subject.suite}/{subject.metric}" for subject in subjects]
    shared = Counter(names)
    return [
        f"{name} [{subject.system}]" if shared[name] > 1 else name
        for name, subject in zip(names, subjects, strict=True)
    ]


def _share(hits: npt.NDArray[np.bool_]) -> Estimate:
    return rate(int(hits.sum()), len(hits), method="clopper-pearson")


def _caught(
    gated: Gated, drop: float, builds: int, rule: Rule, rng: np.random.Generator
) -> Estimate:
    replays = builds if gated.stored.allows(drop) else 0
    return _share(np.array([_fails(gated, drop, rule, rng) for _ in range(replays)], dtype=bool))


def _fails(gated: Gated, drop: float, rule: Rule, rng: np.random.Generator) -> bool:
    """Whether any floor of the metric fails in one replayed build."""
    stored, subject = gated.stored, gated.subject
    broken = stored.broken(drop, rng)

    def before(epochs: int) -> Outcomes:
        return stored.drawn(epochs, rng)

    def now(epochs: int) -> Outcomes:
        return stored.drawn(epochs, rng, broken=broken)

    build, states = now(1), []
    if gated.at_least is not None:
        states.append(judge_at_least(build, gated.at_least, subject=subject, rule=rule).state)
    if gated.critical:
        states.append(judge_critical(build, subject=subject, rule=rule).state)
    if gated.no_worse_than and gated.repeatable:
        baseline = before(BASELINE_EPOCHS)
        first = screen(build, baseline, rule=rule)
        if first.flagged:
            first = replace(first, fresh=(now(FRESH_EPOCHS), before(FRESH_EPOCHS)))
        judged = judge_no_worse_than(build, baseline, subject=subject, rule=rule, screened=first)
        states.append(judged.state)
    elif gated.no_worse_than:
        states.append(judge_no_worse_than(build, before(1), subject=subject, rule=rule).state)
    return "failed" in states
