"""Worlds with known truth: what every system really passes, and what the right answer is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

Curve = Callable[[float], float]

TARGET, DELTA, MARGIN = 0.85, 0.05, 0.05
SIZES = (50, 100, 200, 400, 800)
ROWS = 800  # training rows at hand: the largest size of the pilot
TOLERANCE = 0.02
TOLERABLE_COST = 0.1  # lost of what a step costs: no mistake yet
TAGGED = 60  # misses that a person looked at
NEAR, FAR = 0.0, 0.07  # how far above the target a tuned truth must be for a missed escalation


def power_law(top: float, gap: float, b: float) -> Curve:
    """`top - gap (n / 50)^-b`."""
    return lambda n: top - gap * (n / 50) ** -b


def exponential(top: float, gap: float, length: float) -> Curve:
    """`top - gap exp(-(n - 50) / length)`."""
    return lambda n: top - gap * math.exp(-(n - 50) / length)


def hill(start: float, top: float, half: float, power: float) -> Curve:
    """Morgan-Mercer-Flodin; a late sigmoid where `power` is large."""
    return lambda n: start + (top - start) * n**power / (half**power + n**power)


def shifted_power_law(top: float, gap: float, shift: float, b: float) -> Curve:
    """`top - gap ((n + shift) / (50 + shift))^-b`: not in the grid that is fitted."""
    return lambda n: top - gap * ((n + shift) / (50 + shift)) ** -b


def log_linear(start: float, slope: float) -> Curve:
    """`start + slope log2(n / 50)`, at most .98: not in the grid that is fitted."""
    return lambda n: min(start + slope * math.log2(n / 50), 0.98)


def peaked(top: float, gap: float, length: float, peak: float, slope: float) -> Curve:
    """An exponential that loses `slope` for each doubling beyond `peak`."""
    rising = exponential(top, gap, length)
    return lambda n: rising(n) - slope * max(math.log2(n / peak), 0.0)


@dataclass(frozen=True, kw_only=True)
class World:
    """Truth. Rates are of new cases; `right` are the actions that are not mistakes."""

    name: str
    kind: str  # easy | hard | random
    right: frozenset[str]
    prompts: tuple[float, ...] = (0.66, 0.68, 0.70)
    rag: float | None = 0.72
    oracle: float | None = 0.73
    probe: float | None = None
    curve: Curve | None = None
    retained: float | None = 0.0  # change of general skills by tuning
    ready: bool | None = True
    likeness: float = 0.6  # of systems on one case: sets how many cases flip
    cluster: int = 1  # cases to a cluster
    cluster_share: float = 0.0  # of the likeness that a cluster shares
    judge: tuple[float, float] | None = None  # sensitivity, specificity
    labels: int = 300
    split: bool = False  # prompts are chosen on as many dev cases
    target: float = TARGET
    missing: float = 0.0  # share of outputs without a score
    hosted: float | None = None  # a hosted prompt, which a hard limit rules out
    facts: float | None = None  # share of misses that lack a fact; TAGGED of them were looked at
    money: Mapping[str, float] | None = None  # inputs of the net value
    note: str = field(default="", compare=False)

    @property
    def tuned(self) -> float | None:
        """What training on the rows at hand really gives."""
        return self.curve(ROWS) if self.curve is not None else None

    @property
    def best_cheap(self) -> float:
        """The best that prompting or RAG really gives."""
        return max((*self.prompts, self.rag or 0.0))

    @property
    def goal(self) -> float:
        """What a tuned system must reach: the target, or parity with what is ruled out."""
        return self.target if self.hosted is None else self.hosted - MARGIN

    @property
    def net(self) -> float:
        """What the step is truly worth over a year."""
        assert self.money is not None
        gain = (self.tuned or 0.0) - self.best_cheap
        a_call = self.money["cost_per_call_now"] - self.money["cost_per_call_tuned"]
        earned = (
            self.money["volume_per_month"] * 12 * (a_call + self.money["value_per_pass"] * gain)
        )
        return earned - self.cost

    @property
    def cost(self) -> float:
        """What the step costs whatever comes of it."""
        assert self.money is not None
        once = self.money["data_cost"] + self.money["training_cost"]
        return once + 12 * self.money["hosting_per_month"]

    @property
    def wrong_to_escalate(self) -> bool:
        """Whether a GPU would be a mistake beyond the tolerance."""
        if self.tuned is None or self.retained is None:
            return True
        short = self.tuned < self.goal - TOLERANCE
        if self.money is not None and self.net < -TOLERABLE_COST * self.cost:
            return True
        return short or self.tuned - self.best_cheap < DELTA or self.retained <= -MARGIN + 1e-12


def world(name: str, kind: str, right: str, **truth: object) -> World:
    """Write a world in one line; `right` lists actions, separated by blanks."""
    return World(name=name, kind=kind, right=frozenset(right.split()), **truth)  # type: ignore[arg-type]


PRICES = {
    "value_per_pass": 0.05, "data_cost": 1000.0, "training_cost": 50.0, "hosting_per_month": 200.0,
    "cost_per_call_now": 0.001, "cost_per_call_tuned": 0.001,
}  # fmt: skip
GOOD = power_law(0.94, 0.44, 1.0)  # .9125 at 800 rows

EASY: tuple[World, ...] = (
    world("prompt .92", "easy", "stay_on_prompt", prompts=(0.80, 0.85, 0.92), curve=GOOD),
    world("RAG .70 to .92", "easy", "climb_to_rag", rag=0.92, oracle=0.94, curve=GOOD),
    world("retrieval broken", "easy", "fix_retrieval", rag=0.73, oracle=0.92),
    world("stronger model .93", "easy", "change_model", probe=0.93, curve=GOOD),
    world("no pilot, data ready", "easy", "run_pilot"),
    world("no pilot, data not ready", "easy", "collect_data", ready=False),
    world("no training data", "easy", "collect_data", ready=None),
    world("tuned to .94", "easy", "escalate_to_gpu", curve=exponential(0.94, 0.44, 150)),
    world("tuned flat .74", "easy", "stay_on_best_rung collect_data run_pilot", curve=exponential(0.74, 0.30, 80)),
    world("tuned slow .79", "easy", "stay_on_best_rung collect_data run_pilot", curve=power_law(0.80, 0.25, 0.9)),
    world("tuned .94, forgets 12", "easy", "run_pilot", curve=exponential(0.94, 0.44, 150), retained=-0.12),
    world("hosted .92 ruled out, tuned .94", "easy", "escalate_to_gpu", hosted=0.92, curve=exponential(0.94, 0.44, 150)),
    world("tuned .94, earns its money twice", "easy", "escalate_to_gpu", curve=exponential(0.94, 0.44, 150), money={**PRICES, "volume_per_month": 60_000.0}),
    world("tuned .94, never earns its money", "easy", "stay_on_best_rung", curve=exponential(0.94, 0.44, 150), money={**PRICES, "volume_per_month": 2_000.0}),
    world("no RAG, half of the misses lack a fact", "easy", "climb_to_rag", rag=None, oracle=None, facts=0.5),
    world("no RAG, 2 % of the misses lack a fact", "easy", "run_pilot look_at_misses", rag=None, oracle=None, facts=0.02),
    world("nothing but a prompt at .70", "easy", "collect_data look_at_misses", rag=None, oracle=None, ready=None),
)  # fmt: skip

UNSURE = "run_more_cases run_pilot collect_data stay_on_best_rung"
HARD: tuple[World, ...] = (
    world("tuned .84, a point below", "hard", UNSURE, curve=power_law(0.86, 0.40, 1.08)),
    world("tuned .82", "hard", UNSURE, curve=power_law(0.84, 0.38, 1.06)),
    world("tuned .94, forgets exactly 5", "hard", "run_more_cases run_pilot", curve=GOOD, retained=-0.05),
    world("tuned .94, forgets 2", "hard", "escalate_to_gpu", curve=GOOD, retained=-0.02),
    world("tuned .88", "hard", "escalate_to_gpu", curve=power_law(0.90, 0.40, 1.08)),
    world("tuned .97, power law", "hard", "escalate_to_gpu", curve=power_law(0.97, 0.42, 0.7)),
    world("late sigmoid to .93", "hard", "escalate_to_gpu", curve=hill(0.40, 0.94, 250, 4.0)),
    world("peak at 400, then down to .82", "hard", UNSURE, curve=peaked(0.885, 0.40, 90, 400, 0.065)),
    world("hosted .92 ruled out, tuned .84", "hard", UNSURE, hosted=0.92, curve=power_law(0.86, 0.40, 1.08)),
    world("tuned .94, money just lost", "hard", "stay_on_best_rung escalate_to_gpu", curve=exponential(0.94, 0.44, 150), money={**PRICES, "volume_per_month": 26_000.0}),
    world("no RAG, a tenth of the misses lack a fact", "hard", "climb_to_rag look_at_misses run_pilot", rag=None, oracle=None, facts=0.10),
    world("log-linear to .86", "hard", "escalate_to_gpu run_pilot collect_data", curve=log_linear(0.62, 0.06)),
    world("prompt exactly .85", "hard", "run_more_cases stay_on_prompt", prompts=(0.80, 0.83, 0.85)),
    world("prompt .83, tuned .93", "hard", "escalate_to_gpu run_more_cases", prompts=(0.78, 0.80, 0.83), rag=0.83, oracle=0.83, curve=power_law(0.95, 0.44, 0.9)),
    world("six prompts at .83", "hard", "run_more_cases run_pilot", prompts=(0.83,) * 6, rag=None, oracle=None, curve=None),
    world("six prompts at .83, dev split", "hard", "run_more_cases run_pilot", prompts=(0.83,) * 6, rag=None, oracle=None, curve=None, split=True),
    world("RAG gap of one point", "hard", "escalate_to_gpu", rag=0.72, oracle=0.73, curve=GOOD),
    world("RAG gap of six points", "hard", "fix_retrieval run_more_cases", rag=0.80, oracle=0.86),
    world("clusters of 10, tuned .93", "hard", "escalate_to_gpu run_more_cases", curve=GOOD, cluster=10, cluster_share=0.5),
    world("clusters of 10, prompt exactly .85", "hard", "run_more_cases stay_on_prompt", prompts=(0.78, 0.82, 0.85), cluster=10, cluster_share=0.5),
    world("judge .95/.85, prompt .82", "hard", "run_more_cases run_pilot", prompts=(0.74, 0.78, 0.82), rag=None, oracle=None, judge=(0.95, 0.85)),
    world("judge .97/.90, tuned .94", "hard", "escalate_to_gpu run_more_cases run_pilot", curve=exponential(0.94, 0.44, 150), judge=(0.97, 0.90)),
    world("no oracle run, tuned .82", "hard", UNSURE, oracle=None, curve=power_law(0.84, 0.38, 1.06)),
    world("forgetting not measured, tuned .94", "hard", "run_more_cases", curve=GOOD, retained=None),
    world("5 % of outputs lost, prompt .83", "hard", "run_more_cases fix_eval run_pilot", prompts=(0.75, 0.80, 0.83), rag=None, oracle=None, missing=0.05),
)  # fmt: skip


def random_curve(rng: np.random.Generator) -> tuple[str, Curve]:
    """Draw a truth from seven families, of which the fit knows four."""
    family = str(rng.choice(["pow3", "exp3", "mmf", "pow4", "log-linear", "late sigmoid", "peak"]))
    top, start = rng.uniform(0.6, 0.98), rng.uniform(0.3, 0.7)
    gap = max(top - start, 0.02)
    length = math.exp(rng.uniform(math.log(60), math.log(1500)))
    curves: dict[str, Curve] = {
        "pow3": power_law(top, gap, rng.uniform(0.2, 1.2)),
        "exp3": exponential(top, gap, length),
        "mmf": hill(min(start, top), top, length, rng.uniform(0.7, 1.5)),
        "pow4": shifted_power_law(top, gap, rng.uniform(0, 300), rng.uniform(0.4, 2.0)),
        "log-linear": log_linear(rng.uniform(0.4, 0.7), rng.uniform(0.01, 0.06)),
        "late sigmoid": hill(min(start, top), top, rng.uniform(300, 2000), rng.uniform(2.5, 5)),
        "peak": peaked(top, gap, length / 4, rng.uniform(300, 1600), rng.uniform(0.01, 0.05)),
    }
    return family, curves[family]


def random_world(rng: np.random.Generator) -> World:
    """Draw a world from the prior that the table is pooled over."""
    target = float(rng.choice([0.75, 0.8, 0.85, 0.9]))
    best = float(np.clip(rng.normal(target - 0.08, 0.09), 0.2, 0.97))
    prompts = tuple(float(best - d) for d in (*np.sort(rng.uniform(0.01, 0.1, 2))[::-1], 0.0))
    has_rag = rng.random() < 0.7
    rag = float(np.clip(best + rng.normal(0.04, 0.06), 0.1, 0.98)) if has_rag else None
    oracle = None
    if rag is not None and rng.random() < 0.7:
        oracle = float(np.clip(rag + rng.exponential(0.05), rag, 0.99))
    ready = [True, False, None][int(rng.choice(3, p=[0.7, 0.15, 0.15]))]
    curve = random_curve(rng)[1] if ready and rng.random() < 0.8 else None
    retained = float(rng.choice([0.0, 0.0, -0.01, -0.02, -0.05, -0.08, -0.12]))
    grouped = rng.random() < 0.3
    made = World(
        name="random", kind="random", right=frozenset(), prompts=prompts, rag=rag, oracle=oracle,
        probe=None, curve=curve, retained=retained, ready=ready, target=target,
        likeness=float(rng.uniform(0.3, 0.8)), cluster=5 if grouped else 1,
        cluster_share=0.5 if grouped else 0.0,
    )  # fmt: skip
    return World(**{**made.__dict__, "right": right_actions(made)})


def right_actions(truth: World) -> frozenset[str]:
    """What one who knew the truth might do; both sides where it lies within the tolerance."""
    low, high = truth.target - TOLERANCE, truth.target + TOLERANCE
    found = {"run_more_cases"}
    if max(truth.prompts) >= low:
        found.add("stay_on_prompt")
    if max(truth.prompts) >= high:
        return frozenset(found)
    if truth.rag is not None and truth.rag >= low:
        found.add("climb_to_rag")
        if truth.rag >= high:
            return frozenset(found)
    if truth.rag is not None and truth.oracle is not None and truth.oracle >= low:
        found.add("fix_retrieval")
        if truth.oracle >= high and truth.oracle - truth.rag >= 2 * DELTA:
            return frozenset(found)
    return frozenset(found | _tuning_actions(truth))


def _tuning_actions(truth: World) -> set[str]:
    if not truth.ready:
        return {"collect_data"}
    if truth.tuned is None:
        return {"run_pilot"}
    found = {"run_pilot", "collect_data"}
    if not truth.wrong_to_escalate:
        found.add("escalate_to_gpu")
    if truth.wrong_to_escalate or truth.tuned < truth.target + TOLERANCE:
        found.add("stay_on_best_rung")
    return found


def should_escalate(truth: World, above: float = FAR) -> bool:
    """Whether a GPU is clearly right: nothing cheaper does, nothing is lost, and tuning is well above."""
    if truth.curve is None or truth.retained is None or truth.tuned is None or not truth.ready:
        return False
    if truth.money is not None and truth.net < truth.cost:
        return False
    cheap = max(truth.best_cheap, truth.oracle or 0.0)
    return (
        truth.tuned >= truth.goal + above
        and cheap <= truth.target - FAR
        and (truth.oracle or 0.0) - (truth.rag or 0.0) <= DELTA / 2
        and truth.retained > -MARGIN / 2
    )
