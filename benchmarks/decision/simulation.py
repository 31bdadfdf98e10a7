"""Measure a world, and give what was measured to the shipped decision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from benchmarks.decision.worlds import MARGIN, ROWS, SIZES, TAGGED, World
from harness.escalation.evidence import (
    Evidence,
    Judge,
    Limits,
    Misses,
    NamedPair,
    Paired,
    Pilot,
    PilotPoint,
    Rate,
    Readiness,
    Selection,
    Settings,
    SystemEvidence,
)
from harness.escalation.verdict import decide
from harness.statistics.graded import clustered_error
from harness.statistics.rates import clustered

SEED_SD = 0.02
SKILLS = 800  # cases of general skills
SKILL_FLIPS = 0.08
Passes = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Everything that was measured on up to `cap` cases; a look takes the first n of them."""

    world: World
    prompts: tuple[Passes, ...]
    dev: tuple[Passes, ...]
    rag: Passes | None
    oracle: Passes | None
    probe: Passes | None
    pilot: tuple[tuple[Passes, ...], ...]  # by size, by seed
    retained: Paired | None
    clusters: npt.NDArray[np.int_] | None
    lost: dict[str, Passes]
    labels: Judge | None
    hosted: Passes | None
    facts: float  # drawn for TAGGED misses: the share found to lack a fact


def measure(world: World, cap: int, rng: np.random.Generator) -> Measured:
    """Run every system of a world on the same cases."""
    groups = np.arange(cap) // world.cluster
    shared = rng.normal(size=groups[-1] + 1)[groups]
    own = rng.normal(size=cap)
    common = np.sqrt(world.cluster_share) * shared + np.sqrt(1 - world.cluster_share) * own

    def passes(rate: float, hardness: npt.NDArray[np.float64] = common) -> Passes:
        noise = rng.normal(size=len(hardness))
        latent = np.sqrt(world.likeness) * hardness + np.sqrt(1 - world.likeness) * noise
        truth = latent < ndtri(np.clip(rate, 1e-6, 1 - 1e-6))
        if world.judge is None:
            return np.asarray(truth)
        sensitivity, specificity = world.judge
        draws = rng.random(len(truth))
        return np.asarray(np.where(truth, draws < sensitivity, draws >= specificity))

    pilot: tuple[tuple[Passes, ...], ...] = ()
    if world.curve is not None:
        pilot = tuple(
            tuple(
                passes(world.curve(rows) + rng.normal(0, SEED_SD))
                for _ in range(3 if rows == SIZES[-1] else 1)
            )
            for rows in SIZES
        )
    easy = rng.normal(size=cap)
    return Measured(
        world=world,
        prompts=tuple(passes(rate) for rate in world.prompts),
        dev=tuple(passes(rate, easy) for rate in world.prompts) if world.split else (),
        rag=None if world.rag is None else passes(world.rag),
        oracle=None if world.oracle is None else passes(world.oracle),
        probe=None if world.probe is None else passes(world.probe),
        pilot=pilot,
        retained=_skills(world, rng) if pilot else None,
        clusters=groups if world.cluster > 1 else None,
        lost={name: rng.random(cap) < world.missing for name in ("p0", "p1", "p2")}
        if world.missing
        else {},
        labels=_labels(world, rng),
        hosted=None if world.hosted is None else passes(world.hosted),
        facts=rng.binomial(TAGGED, world.facts) / TAGGED if world.facts is not None else 0.0,
    )


def _skills(world: World, rng: np.random.Generator) -> Paired | None:
    if world.retained is None:
        return None
    lost = (SKILL_FLIPS - world.retained) / 2
    gained = max((SKILL_FLIPS + world.retained) / 2, 0.0)
    lost = gained - world.retained
    counts = rng.multinomial(SKILLS, [gained, lost, 1 - gained - lost])
    return Paired(gained=int(counts[0]), lost=int(counts[1]), tied=int(counts[2]))


def _labels(world: World, rng: np.random.Generator) -> Judge | None:
    if world.judge is None:
        return None
    good = rng.binomial(world.labels, max(world.prompts))
    hits = rng.binomial(good, world.judge[0])
    refused = rng.binomial(world.labels - good, world.judge[1])
    return Judge(
        true_passes=int(hits),
        false_misses=int(good - hits),
        true_misses=int(refused),
        false_passes=int(world.labels - good - refused),
    )


def evidence_at(measured: Measured, n: int, *, sequential: bool = False) -> Evidence:
    """What is known after n cases."""
    world = measured.world
    systems = [
        SystemEvidence(
            name=f"p{i}",
            rung="prompt",
            few_shot=True,
            hosted=False,
            model="base",
            outcomes=_rate(measured, passed, n, f"p{i}"),
            dev=_rate(measured, measured.dev[i], n) if measured.dev else None,
        )
        for i, passed in enumerate(measured.prompts)
    ]
    pairs = []
    for name, passed in (("rag", measured.rag), ("oracle", measured.oracle)):
        if passed is not None:
            rate = _rate(measured, passed, n)
            systems.append(
                SystemEvidence(name=name, rung="rag", oracle=name == "oracle", outcomes=rate)
            )
    if measured.probe is not None:
        rate = _rate(measured, measured.probe, n)
        systems.append(SystemEvidence(name="probe", rung="prompt", probe=True, outcomes=rate))
    if measured.hosted is not None:
        rate = _rate(measured, measured.hosted, n)
        systems.append(SystemEvidence(name="hosted", rung="prompt", hosted=True, outcomes=rate))
    if measured.rag is not None and measured.oracle is not None:
        counts = _paired(measured, measured.rag, (measured.oracle,), n)
        pairs.append(NamedPair(baseline="rag", candidate="oracle", counts=counts))
    readiness = None
    if world.ready is not None:
        readiness = Readiness(rows=ROWS, ready=world.ready, reasons=() if world.ready else ("x",))
    return Evidence(
        suite="world",
        target=world.target,
        systems=tuple(systems),
        pairs=tuple(pairs),
        settings=Settings(sequential=sequential),
        selection=Selection(
            split="locked" if world.split else "all", prompt_systems=len(world.prompts)
        ),
        judged=world.judge is not None,
        judge=measured.labels,
        readiness=readiness,
        pilot=_pilot(measured, n),
        retained=measured.retained,
        limits=Limits(private=world.hosted is not None),
        misses=_misses(measured, systems) if world.facts is not None else None,
        economics=world.money,
    )


def _misses(measured: Measured, systems: list[SystemEvidence]) -> Misses:
    """Some of the best prompt's misses, each tagged with its cause."""
    best = max(systems, key=lambda s: s.outcomes.passed)
    total = int(best.outcomes.n - best.outcomes.passed)
    tagged = min(TAGGED, total)
    lacking = round(measured.facts * tagged)
    causes = {"missing_fact": lacking, "format": tagged - lacking}
    return Misses(system=best.name, total=total, causes=causes)


def _pilot(measured: Measured, n: int) -> Pilot | None:
    if not measured.pilot:
        return None
    points = tuple(
        PilotPoint(rows=rows, passed=tuple(int(p[:n].sum()) for p in seeds), cases=n)
        for rows, seeds in zip(SIZES, measured.pilot, strict=True)
    )
    best = max(
        (*measured.prompts, *((measured.rag,) if measured.rag is not None else ())),
        key=lambda passed: int(passed[:n].sum()),
    )
    own = max(measured.prompts, key=lambda passed: int(passed[:n].sum()))
    last = measured.pilot[-1]
    return Pilot(
        points=points,
        gain=_paired(measured, own, last, n),
        gain_over_best=_paired(measured, best, last, n),
    )


def _rate(measured: Measured, passed: Passes, n: int, name: str | None = None) -> Rate:
    kept = np.ones(n, dtype=bool)
    if name in measured.lost:
        kept = ~measured.lost[name][:n]
    values, missing = passed[:n][kept], int(n - kept.sum())
    if measured.clusters is None:
        return Rate(passed=int(values.sum()), n=len(values), missing=missing)
    data = clustered(values.astype(float), measured.clusters[:n][kept])
    return Rate(
        passed=int(values.sum()),
        n=len(values),
        missing=missing,
        n_effective=data.n_effective,
        clusters=data.clusters,
        effective_clusters=data.effective_clusters,
    )


def _paired(measured: Measured, base: Passes, new: tuple[Passes, ...], n: int) -> Paired:
    """Candidate against baseline, averaged over its seeds."""
    mean = np.mean([passed[:n] for passed in new], axis=0)
    differences = mean - base[:n]
    gained, lost = int((differences > 0).sum()), int((differences < 0).sum())
    counts = {"gained": gained, "lost": lost, "tied": n - gained - lost}
    if len(new) == 1 and measured.clusters is None:
        return Paired(**counts)
    groups = measured.clusters[:n] if measured.clusters is not None else None
    error = clustered_error(differences, groups)
    return Paired(
        **counts,
        difference=float(differences.mean()) if len(new) > 1 else None,
        standard_error=error.value,
        clusters=error.clusters,
        effective_clusters=error.effective_clusters,
    )


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What was decided after how many cases."""

    action: str
    row: str
    cases: int
    chance: float | None = None  # R at the rows at hand, where a forecast was made


def at_once(measured: Measured, n: int) -> Answer:
    """One look at n cases."""
    claims, row = decide(evidence_at(measured, n))
    chance = (
        claims.reach.now if row.number in ("13", "14", "15", "16", "17") and claims.reach else None
    )
    return Answer(action=row.action, row=row.number, cases=n, chance=chance)


def until_decided(measured: Measured, cap: int, step: int = 40) -> Answer:
    """Look after every batch with evidence that holds at every look; stop when more cases are not asked."""
    for n in range(step, cap + 1, step):
        _, row = decide(evidence_at(measured, n, sequential=True))
        if row.action != "run_more_cases":
            return Answer(action=row.action, row=row.number, cases=n)
    return Answer(action="run_more_cases", row=row.number, cases=cap)


def naive(measured: Measured, n: int) -> Answer:
    """The usual rule: whichever number is above the target, on n cases."""
    world = measured.world

    def value(passed: Passes | None) -> float:
        return float(passed[:n].mean()) if passed is not None else 0.0

    action = "run_pilot"
    best = max(value(p) for p in measured.prompts)
    if best >= world.target:
        action = "stay_on_prompt"
    elif value(measured.probe) >= world.target:
        action = "change_model"
    elif value(measured.rag) >= world.target:
        action = "climb_to_rag"
    elif value(measured.oracle) >= world.target:
        action = "fix_retrieval"
    elif world.ready is not True and not measured.pilot:
        action = "collect_data"
    elif measured.pilot:
        tuned = float(np.mean([value(seed) for seed in measured.pilot[-1]]))
        kept = measured.retained is None or (measured.retained.value or 0.0) > -MARGIN
        action = "escalate_to_gpu" if tuned >= world.target and kept else "stay_on_best_rung"
    return Answer(action=action, row="-", cases=n)
