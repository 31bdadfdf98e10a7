"""What a suite costs beside plain pytest: 10,000 recorded cases, three asserts in one function.

    python -m benchmarks.overhead [--cases 10000] [--repeats 3]

Whole processes, from start to written run and report, in processor seconds as multiples of plain
`pytest.mark.parametrize` doing the same asserts in the same minute. 8 % of the cases miss on
Rung's side and none on the plain one: a plain failure would cost a traceback. Byte code is written
and used, as it is by default; a first pass that writes it is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = """
import pytest
pytestmark = pytest.mark.suite(cases="big.jsonl", systems=["recorded"])
def test_right(case, output):
    assert output.text
    assert len(output.text) < 100
    assert case.expected_output in output.text
"""
PLAIN = """
import json, pathlib, pytest
here = pathlib.Path(__file__).parent.parent / "evals"
read = lambda name: [json.loads(line) for line in (here / name).read_text().splitlines()]
outputs = {row["id"]: row["output"] for row in read("outputs.jsonl")}
cases = read("big.jsonl")
@pytest.mark.parametrize("case", cases, ids=[case["id"] for case in cases])
def test_right(case):
    output = outputs[case["id"]]
    assert output
    assert len(output) < 100
    assert case["expected_output"] in output or output == "no"
"""
MISSED_EVERY = 12
MODES = {
    "plain parametrize": ["plain", "--rootdir=plain", "-c", os.devnull],
    "a case an item": ["evals", "--items=case"],
    "folded": ["evals", "--items=suite"],
}


def build(folder: Path, cases: int) -> None:
    """Write both projects."""
    for name in ("evals", "plain"):
        (folder / name).mkdir()
    (folder / "conftest.py").write_text('pytest_plugins = ["harness.plugin"]\n')
    (folder / "evals/rung.yaml").write_text(
        "systems:\n  recorded: {kind: recorded, outputs: outputs.jsonl}\n"
    )
    (folder / "evals/test_big.py").write_text(SUITE)
    (folder / "plain/test_plain.py").write_text(PLAIN)
    rows, outputs = [], []
    for i in range(cases):
        rows.append({"id": f"c{i}", "input": f"question {i}", "expected_output": str(i)})
        outputs.append({"id": f"c{i}", "output": f"answer {i}" if i % MISSED_EVERY else "no"})
    for name, table in (("big", rows), ("outputs", outputs)):
        text = "".join(json.dumps(row) + "\n" for row in table)
        (folder / f"evals/{name}.jsonl").write_text(text)


def processor_seconds(folder: Path, arguments: list[str]) -> float:
    """Run pytest and return the processor seconds of the whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    taken: dict[str, list[float]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build(folder, options.cases)
        for repeat in range(options.repeats + 1):
            for mode, arguments in MODES.items():
                seconds = processor_seconds(folder, arguments)
                if repeat:
                    taken[mode].append(seconds)
    base = statistics.median(taken["plain parametrize"])
    print(
        f"| {options.cases:,} cases, median of {options.repeats} | processor s | ratio |\n|---|---|---|"
    )
    for mode, seconds in taken.items():
        median = statistics.median(seconds)
        print(f"| {mode} | {median:.2f} | {median / base:.2f} |")


if __name__ == "__main__":
    main()
