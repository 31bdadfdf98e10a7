"""Simulate the statistics with known truth and write the table that the project's README quotes.

python -m benchmarks.statistics                       # README.md and figures.json here, and the quote
python -m benchmarks.statistics --scale 0.05 --out F  # a quick version, elsewhere
python -m benchmarks.statistics --render              # the pages again, from figures.json
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.statistics import builds, intervals, pairs, rankings
from benchmarks.statistics.figures import Figure
from benchmarks.statistics.quote import quote, quoted_in
from benchmarks.statistics.table import readme
from harness.comparison import compare_all
from harness.statistics import Outcomes

Section = Callable[[np.random.Generator, float], list[Figure]]

HERE = Path(__file__).parent
SEED = 2026
MILLION = "A full comparison of 1 000 000 cases"


def million(rng: np.random.Generator, scale: float) -> list[Figure]:
    """Time and memory of a comparison of a million cases, in a process of its own."""
    ids = tuple(f"case-{i}" for i in range(1_000_000))
    before = rng.random(len(ids)) < 0.8
    after = np.where(rng.random(len(ids)) < 0.05, ~before, before)
    started = time.perf_counter()
    systems = {"a": Outcomes.from_counts(ids, before), "b": Outcomes.from_counts(ids, after)}
    compare_all(systems, suite="s", metric="m")
    took = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    return [
        Figure(section=MILLION, what="seconds", value=took, half=0.0, digits=1),
        Figure(section=MILLION, what="peak memory, GB", value=peak, half=0.0, digits=2),
    ]


SECTIONS: tuple[Section, ...] = (  # the longest first, so that two workers end together
    builds.alarms_400, builds.alarms_200, builds.stored_baseline, builds.together, builds.detection, builds.epochs, pairs.paired_power,
    pairs.long_run, pairs.until_decided, intervals.judge_correction, rankings.rankings,
    intervals.clustered_pairs, builds.usual_gates, intervals.clustered_coverage,
    intervals.unequal_clusters, pairs.target, pairs.sample_sizes, intervals.rate_coverage, intervals.floor_gate,
)  # fmt: skip
ORDER = (
    intervals.rate_coverage, intervals.clustered_coverage, intervals.unequal_clusters, intervals.clustered_pairs,
    pairs.paired_power, pairs.sample_sizes, pairs.long_run, pairs.until_decided, pairs.target,
    intervals.floor_gate, builds.usual_gates, builds.alarms_200, builds.alarms_400,
    builds.stored_baseline, builds.together, builds.detection, builds.epochs, intervals.judge_correction, rankings.rankings,
)  # fmt: skip


def _run(section: Section, scale: float) -> list[Figure]:
    # Each section has a stream of its own: its figures do not depend on the others.
    name = [ord(c) for c in section.__name__]
    return section(np.random.default_rng([SEED, *name]), scale)


def measure(scale: float) -> tuple[list[Figure], str]:
    """Run every section on two processes; also say what it took."""
    started = time.perf_counter()
    with ProcessPoolExecutor(max_workers=2) as pool:
        jobs = {section: pool.submit(_run, section, scale) for section in SECTIONS}
        found = [figure for section in ORDER for figure in jobs[section].result()]
    with ProcessPoolExecutor(max_workers=1) as alone:
        found += alone.submit(_run, million, scale).result()
    minutes = (time.perf_counter() - started) / 60
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = (used.ru_utime + used.ru_stime) / 60
    machine = f"{platform.machine()}, {busy:.1f} minutes of processor time on two processes"
    return found, f"{machine} ({minutes:.1f} minutes by the clock)"


def main() -> None:
    """Measure, or read what was measured, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full replicates")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--render", action="store_true", help="write the page from figures.json")
    options = parser.parse_args()
    stored = options.out / "figures.json"
    if not options.render:
        found, machine = measure(options.scale)
        rows = [asdict(f) | {"agrees": f.agrees} for f in found]
        options.out.mkdir(parents=True, exist_ok=True)
        document = {"machine": machine, "scale": options.scale, "figures": rows}
        stored.write_text(json.dumps(document, indent=1) + "\n")
    document = json.loads(stored.read_text())
    found = [
        Figure(**{name: value for name, value in row.items() if name != "agrees"})
        for row in document["figures"]
    ]
    page = readme(found, machine=document["machine"], scale=document["scale"])
    (options.out / "README.md").write_text(page)
    if options.out == HERE:
        front = HERE.parents[1] / "README.md"
        front.write_text(quoted_in(front.read_text("utf-8"), quote(found)), "utf-8")


if __name__ == "__main__":
    main()
