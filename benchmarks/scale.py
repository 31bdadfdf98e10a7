"""What a run costs as it grows: folded recorded cases, one assert, from start to written report.

    python benchmarks/scale.py [--cases 1000,10000,100000,1000000]

Processor seconds and peak memory of whole processes. The exponent is the slope of a line through the
logarithms; that of growth alone leaves out what the smallest run costs. Writes scale.svg beside it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SUITE = """
import pytest
pytestmark = pytest.mark.suite(cases="big.jsonl", systems=["recorded"])
def test_right(case, output):
    assert case.expected_output in output.text
"""
CONFIGURATION = "systems:\n  recorded: {kind: recorded, outputs: outputs.jsonl}\n"
MISSED_EVERY = 12
PLOT = Path(__file__).with_name("scale.svg")
LIMIT_MB = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run cost."""

    cases: int
    seconds: float
    megabytes: float


def build(folder: Path, cases: int) -> None:
    """Write a project, line by line."""
    (folder / "evals").mkdir()
    (folder / "conftest.py").write_text('pytest_plugins = ["harness.plugin"]\n')
    (folder / "evals/rung.yaml").write_text(CONFIGURATION)
    (folder / "evals/test_big.py").write_text(SUITE)
    with (
        (folder / "evals/big.jsonl").open("w") as rows,
        (folder / "evals/outputs.jsonl").open("w") as outputs,
    ):
        for i in range(cases):
            row = {"id": f"c{i}", "input": f"question {i}", "expected_output": str(i)}
            rows.write(json.dumps(row) + "\n")
            text = f"answer {i}" if i % MISSED_EVERY else "no"
            outputs.write(json.dumps({"id": f"c{i}", "output": text}) + "\n")


def measure(cases: int) -> Cost:
    """Run one project in a process of its own."""
    with tempfile.TemporaryDirectory() as name:
        build(Path(name), cases)
        command = [sys.executable, "-m", "pytest", "evals", "-q", "-p", "no:cacheprovider"]
        process = subprocess.Popen([*command, "--items=suite"], cwd=name, stdout=subprocess.DEVNULL)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
    return Cost(
        cases=cases, seconds=used.ru_utime + used.ru_stime, megabytes=used.ru_maxrss / 1_000
    )


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Slope of the least-squares line through the logarithms."""
    x, y = [math.log(s) for s in sizes], [math.log(v) for v in values]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    above = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return above / sum((a - mean_x) ** 2 for a in x)


def number(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def panel(costs: Sequence[Cost], values: Sequence[float], *, left: int, title: str) -> list[str]:
    """Draw one chart on logarithmic axes, 300 by 220 units."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    first, last = math.log10(costs[0].cases), math.log10(costs[-1].cases)

    def place(cases: float, value: float) -> tuple[float, float]:
        across = (math.log10(cases) - first) / (last - first or 1)
        up = (math.log10(value) - low) / (high - low or 1)
        return left + 300 * across, 250 - 200 * up

    parts = [f'<text x="{left}" y="30" font-weight="bold">{title}</text>']
    for power in range(low, high + 1):
        _, y = place(costs[0].cases, 10**power)
        parts.append(f'<line x1="{left}" y1="{y}" x2="{left + 300}" y2="{y}" class="grid"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4}" text-anchor="end">{10**power:,}</text>')
    points = [place(cost.cases, value) for cost, value in zip(costs, values, strict=True)]
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    parts.append(f'<polyline points="{joined}" class="line"/>')
    for (x, y), cost, value in zip(points, costs, values, strict=True):
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>')
        parts.append(
            f'<text x="{x:.1f}" y="{y - 10:.1f}" text-anchor="middle">{number(value)}</text>'
        )
        parts.append(f'<text x="{x:.1f}" y="270" text-anchor="middle">{cost.cases:,}</text>')
    return parts


def plot(costs: Sequence[Cost]) -> str:
    """Draw seconds and megabytes against cases."""
    style = (
        "text{font:12px sans-serif;fill:#334}.grid{stroke:#dde}"
        ".line{fill:none;stroke:#3949ab;stroke-width:2}circle{fill:#3949ab}"
    )
    seconds = panel(costs, [c.seconds for c in costs], left=70, title="Processor seconds")
    memory = panel(costs, [c.megabytes for c in costs], left=470, title="Peak memory, MB")
    cases = '<text x="420" y="295" text-anchor="middle">cases (both axes logarithmic)</text>'
    body = "\n".join([*seconds, *memory, cases])
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 820 305">'
        f'<rect width="820" height="305" fill="#fff"/><style>{style}</style>\n{body}\n</svg>\n'
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", default="1000,10000,100000,1000000")
    sizes = [int(size) for size in parser.parse_args().cases.split(",")]
    measure(10)  # writes the byte code
    costs = [measure(size) for size in sizes]
    print("| cases | processor s | peak MB |\n|---|---|---|")
    for cost in costs:
        print(f"| {cost.cases:,} | {cost.seconds:.1f} | {cost.megabytes:,.0f} |")
    for name, values in (
        ("time", [c.seconds for c in costs]),
        ("memory", [c.megabytes for c in costs]),
    ):
        grown = [value - values[0] for value in values[1:]]
        growth = exponent(sizes[1:], grown) if len(grown) > 1 and min(grown) > 0 else math.nan
        print(f"exponent of {name}: {exponent(sizes, values):.2f}; of growth alone: {growth:.2f}")
    if sizes[-1] >= 1_000_000:
        assert costs[-1].megabytes < LIMIT_MB, "a million cases need less than 2 GB"
    PLOT.write_text(plot(costs), "utf-8")


if __name__ == "__main__":
    main()
