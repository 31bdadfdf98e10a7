"""Simulate the decision in worlds of known truth and write the table that the documentation quotes.

python -m benchmarks.decision                      # writes README.md and figures.json here, and the README's table
python -m benchmarks.decision --scale 0.02 --out F  # a quick version, elsewhere
"""

from __future__ import annotations

import argparse
import json
import platform
import time
import zlib
from pathlib import Path

import numpy as np

from benchmarks.decision.forecasts import forecasts
from benchmarks.decision.table import Results, quoted, readme, targets
from benchmarks.decision.tally import tally_random, tally_world
from benchmarks.decision.worlds import EASY, HARD

SEED = 2026
QUOTED_IN = Path(__file__).resolve().parents[2] / "README.md"
BEGIN = "<!-- decision: begin. Written by `python -m benchmarks.decision` -->"
END = "<!-- decision: end -->"
REPLICATES, BATCHES, RANDOM, CURVES = 500, 100, 1500, 1500


def simulate(scale: float) -> Results:
    """Run every world; `scale` is the share of the full replicates."""

    def some(full: int) -> int:
        return max(round(full * scale), 4)

    worlds = {}
    for world in (*EASY, *HARD):
        seed = SEED + zlib.crc32(world.name.encode())
        worlds[world.name] = tally_world(
            world, some(REPLICATES), seed, batches=some(BATCHES) if scale >= 0.1 else 0
        )
        print(f"{world.name}: {dict(worlds[world.name]['Rung, 800 cases'].rows)}", flush=True)
    return Results(
        worlds=worlds,
        random=tally_random(some(RANDOM), SEED),
        forecasts=forecasts(np.random.default_rng(SEED), some(CURVES)),
    )


def quote(page: Path, lines: list[str]) -> None:
    """Put the table between the marks of a page; a page without marks is left alone."""
    text = page.read_text("utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        table = "\n".join(lines)
        page.write_text(f"{before}{begin}\n\n{table}\n\n{end}{after}", "utf-8")


def main() -> None:
    """Write the table and the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    arguments = parser.parse_args()
    started = time.process_time()
    results = simulate(arguments.scale)
    seconds = time.process_time() - started
    arguments.out.mkdir(parents=True, exist_ok=True)
    machine = f"{platform.system()}, {seconds / 60:.1f} minutes of one core"
    page = readme(results, machine=machine, scale=arguments.scale)
    (arguments.out / "README.md").write_text(page, "utf-8")
    if arguments.scale == 1:
        quote(QUOTED_IN, quoted(results))
    figures = [target.to_json() for target in targets(results)]
    (arguments.out / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
