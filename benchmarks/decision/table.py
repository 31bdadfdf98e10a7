"""The results as targets and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.decision.forecasts import Outcome
from benchmarks.decision.tally import BATCHES, Share, Tally, pooled
from benchmarks.decision.worlds import EASY, HARD, World

RUNG = "Rung, 800 cases"
POINT_BELOW = "tuned .84, a point below"


@dataclass(frozen=True, kw_only=True)
class Results:
    """Everything that was simulated."""

    worlds: Mapping[str, Mapping[str, Tally]]
    random: Mapping[str, Tally]
    forecasts: Sequence[Outcome]

    def of(self, worlds: Sequence[World], rule: str) -> list[Tally]:
        """The tallies of one rule in some worlds."""
        return [self.worlds[world.name][rule] for world in worlds]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A promise about the decision, and what came of it."""

    what: str
    share: Share
    least: float = 0.0
    most: float = 1.0

    @property
    def met(self) -> bool:
        """Whether the measured share keeps the promise."""
        return self.least <= self.share.value <= self.most

    def to_json(self) -> dict[str, Any]:
        """For figures.json."""
        low, high = self.share.limits
        return {
            "what": self.what, "value": self.share.value, "low": low, "high": high,
            "n": self.share.n, "least": self.least, "most": self.most, "met": self.met,
        }  # fmt: skip


def targets(results: Results) -> list[Target]:
    """The promises."""
    found = []
    for rule in ("Rung, 400 cases", RUNG):
        easy, hard = results.of(EASY, rule), results.of(HARD, rule)
        size = rule.removeprefix("Rung, ")
        found += [
            Target(what=f"wrong escalation, easy worlds, {size}", share=pooled(easy, "wrong_escalation"), most=0.01),
            Target(what=f"wrong escalation, hard worlds pooled, {size}", share=pooled(hard, "wrong_escalation"), most=0.05),
            Target(what=f"escalation one point below the target, {size}", share=results.worlds[POINT_BELOW][rule].share("within_tolerance"), most=0.10),
            Target(what=f"wrong escalation, random worlds, {size}", share=results.random[rule].share("wrong_escalation"), most=0.05),
        ]  # fmt: skip
    beats = [*results.of((*EASY, *HARD), RUNG), results.random[RUNG]]
    found.append(
        Target(
            what="missed escalation where tuning truly beats the target by 7 points, 800 cases",
            share=pooled(beats, "missed"),
            most=0.10,
        )
    )
    for times in (2, 4):
        some = [o for o in results.forecasts if o.times == times]
        sure = [o for o in some if o.chance >= 0.8]
        found += [
            Target(what=f"80 % forecast interval holds the truth, {times} x the pilot", share=_share([o.covered for o in some]), least=0.75, most=0.90),
            Target(what=f'"P >= .8 to reach the target" is true, {times} x the pilot', share=_share([o.reached for o in sure]), least=0.85),
        ]  # fmt: skip
    return found


def _share(values: Sequence[bool]) -> Share:
    return Share(hits=sum(values), n=len(values))


def _shown(share: Share) -> str:
    low, high = share.limits
    return f"{share.value * 100:.1f} % ({low * 100:.1f}-{high * 100:.1f})"


def readme(results: Results, *, machine: str, scale: float) -> str:
    """The page beside the benchmark."""
    full = "" if scale == 1 else f", at {scale:g} of the full replicates"
    replicates = next(iter(results.worlds.values()))[RUNG].n
    lines = [
        "# The decision, measured in worlds of known truth",
        "",
        "Written by `python -m benchmarks.decision`; do not edit (the notes are in `notes.md`).",
        f"Seed fixed, {machine}{full}. {replicates} replicates of each named world, "
        f"{results.random[RUNG].n} random worlds, {len(results.forecasts) // 2} learning curves. "
        "Limits in brackets are Clopper-Pearson at 95 %.",
        "",
        (Path(__file__).parent / "notes.md").read_text("utf-8").strip(),
        "",
        "## Targets",
        "",
        "| | measured | target | |",
        "|---|---|---|---|",
    ]
    for target in targets(results):
        bound = f"{target.least:.0%} to {target.most:.0%}" if target.least and target.most < 1 else (
            f"at least {target.least:.0%}" if target.least else f"at most {target.most:.0%}"
        )  # fmt: skip
        mark = "met" if target.met else "**not met**"
        lines.append(f"| {target.what} | {_shown(target.share)} | {bound} | {mark} |")
    lines += _against(results)
    for title, worlds in (("Easy worlds", EASY), ("Hard worlds", HARD)):
        lines += _worlds(title, worlds, results)
    return "\n".join([*lines, *_forecasts(results)]) + "\n"


def _against(results: Results) -> list[str]:
    lines = [
        "",
        "## Against point estimates",
        "",
        "| rule | right, easy | wrong escalation, easy | wrong escalation, hard | right, random | "
        "wrong escalation, random | missed (7 points) |",
        "|---|---|---|---|---|---|---|",
    ]
    for rule in results.random:
        easy, hard, drawn = results.of(EASY, rule), results.of(HARD, rule), results.random[rule]
        every = [*easy, *hard, drawn]
        cells = (
            pooled(easy, "right"), pooled(easy, "wrong_escalation"), pooled(hard, "wrong_escalation"),
            drawn.share("right"), drawn.share("wrong_escalation"), pooled(every, "missed"),
        )  # fmt: skip
        lines.append(f"| {rule} | {' | '.join(map(_shown, cells))} |")
    return lines


def quoted(results: Results) -> list[str]:
    """What the README quotes: the rules side by side, and what was promised."""
    kept = sum(target.met for target in targets(results))
    count = len(results.worlds)
    head = [
        "| 400 cases unless said | right answer, easy worlds | GPU advised wrongly, easy | hard | GPU missed |",
        "|---|---|---|---|---|",
    ]
    names = {
        "points, 50 cases": "whichever number is higher, 50 cases",
        "points, 400 cases": "the same, 400 cases",
    }
    for rule in results.random:
        easy, hard = results.of(EASY, rule), results.of(HARD, rule)
        every = [*easy, *hard, results.random[rule]]
        cells = (
            pooled(easy, "right"), pooled(easy, "wrong_escalation"),
            pooled(hard, "wrong_escalation"), pooled(every, "missed"),
        )  # fmt: skip
        shown = " | ".join(f"{100 * share.value:.1f} %" for share in cells)
        head.append(f"| {names.get(rule, rule)} | {shown} |")
    return [
        *head,
        "",
        f"{count} named worlds and 1,500 random ones; {kept} of {len(targets(results))} promises kept.",
    ]


def _worlds(title: str, worlds: Sequence[World], results: Results) -> list[str]:
    lines = [
        "",
        f"## {title}",
        "",
        "Right / undecided, in per cent of replicates; then the share that escalates, and whether "
        "that is a mistake there.",
        "",
        "| world | 400 cases | 800 cases | until decided (mean cases) | points, 50 | points, 400 | "
        "escalates at 800 | points 400 escalate |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for world in worlds:
        tallies = results.worlds[world.name]
        cells = [_both(tallies["Rung, 400 cases"]), _both(tallies[RUNG])]
        batches = tallies[BATCHES]
        cells.append(f"{_both(batches)} ({batches.cases / batches.n:.0f})" if batches.n else "")
        cells += [_right(tallies[f"points, {n} cases"]) for n in (50, 400)]
        mistake = " (mistake)" if world.wrong_to_escalate else ""
        for rule in (RUNG, "points, 400 cases"):
            share = tallies[rule].escalated / tallies[rule].n
            cells.append(f"{100 * share:.1f}{mistake}")
        lines.append(f"| {world.name} | {' | '.join(cells)} |")
    return lines


def _both(tally: Tally) -> str:
    return f"{100 * tally.right / tally.n:.0f} / {100 * tally.undecided / tally.n:.0f}"


def _right(tally: Tally) -> str:
    return f"{100 * tally.right / tally.n:.0f}"


def _forecasts(results: Results) -> list[str]:
    lines = [
        "",
        "## Forecasts",
        "",
        "Pilots of 50 to 800 rows, 400 cases, three seeds at the largest; truths from seven families, "
        "of which the fit knows four. Error: mean distance of the median from what one training run "
        "gives, against taking the pilot's last point for the answer.",
        "",
        "| family | coverage of 80 %, 2 x | 4 x | width, 2 x | 4 x | error, 2 x | 4 x | last point, 2 x | 4 x |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    families = dict.fromkeys(o.family for o in results.forecasts)
    for family in (*sorted(families), "all"):
        cells: list[str] = []
        for pick in ("covered", "width", "error", "naive_error"):
            for times in (2, 4):
                some = [
                    float(getattr(o, pick))
                    for o in results.forecasts
                    if o.times == times and family in (o.family, "all")
                ]
                cells.append(
                    f"{np.mean(some):.2f}" if pick == "covered" else f"{np.mean(some):.3f}"
                )
        lines.append(f"| {family} | {' | '.join(cells)} |")
    return lines
