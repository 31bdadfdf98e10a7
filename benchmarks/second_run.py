"""Nothing changed: what a second run costs beside plain pytest on as many tests, and what starting costs.

    python -m benchmarks.second_run [--items 500,2000,10000] [--repeats 3]

A Python system answers once; what is measured reads its answers from the cache. Processor seconds of
whole processes, stored run and report included, as in `benchmarks.overhead`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.overhead import MODES, build, processor_seconds

ANSWERING = """
def answer(text: str) -> str:
    n = int(text.split()[1])
    return f"answer {n}" if n % 12 else "no"
"""
CONFIGURATION = "systems:\n  recorded: {kind: python, callable: 'answering:answer'}\n"
IMPORT = (
    "import time, pytest; t = time.process_time(); import harness.plugin;"
    "print(1000 * (time.process_time() - t))"
)
HELP = (
    "import time; t = time.perf_counter(); import subprocess, sys;"
    "subprocess.run([sys.argv[1], '--help'], stdout=subprocess.DEVNULL, check=True);"
    "print(1000 * (time.perf_counter() - t))"
)


def milliseconds(script: str, *arguments: str, repeats: int) -> float:
    """Run a script that prints a time; return the median."""
    command = [sys.executable, "-c", script, *arguments]
    runs = [subprocess.run(command, capture_output=True, check=True) for _ in range(repeats + 1)]
    return statistics.median(float(run.stdout) for run in runs[1:])


def second_run(items: int, repeats: int) -> tuple[float, float]:
    """Return the processor seconds of plain pytest and of a run from the cache."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, items)
        (folder / "evals/answering.py").write_text(ANSWERING)
        (folder / "evals/rung.yaml").write_text(CONFIGURATION)
        modes = (MODES["plain parametrize"], MODES["a case an item"])
        taken = [[processor_seconds(folder, mode) for mode in modes] for _ in range(repeats + 1)]
    plain, ours = (statistics.median(column) for column in zip(*taken[1:], strict=True))
    return plain, ours


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", default="500,2000,10000")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print("| items | plain s | second run s | ratio |\n|---|---|---|---|")
    for items in map(int, options.items.split(",")):
        plain, ours = second_run(items, options.repeats)
        print(f"| {items:,} | {plain:.2f} | {ours:.2f} | {ours / plain:.2f} |")
    rung = str(Path(sys.executable).with_name("rung"))
    print(f"\nimport of the plugin: {milliseconds(IMPORT, repeats=options.repeats):.0f} ms")
    print(f"rung --help: {milliseconds(HELP, rung, repeats=options.repeats):.0f} ms")


if __name__ == "__main__":
    main()
