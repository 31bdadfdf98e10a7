"""A small project with a suite to pilot on, and a trainer that learns at once."""

import subprocess
import sys
from pathlib import Path

from sample_project import SampleProject, jsonl

from harness.types import SystemSpec

CASES = 20
YAML = """
models:
  base: {transformers: some/model}
systems:
  plain: {kind: recorded, outputs: outputs/plain.jsonl}
  lora: {kind: fine_tuned, model: base, prompt: p.j2, recipe: recipe.yaml, adapter: to_be_trained}
  t8: {kind: recorded, outputs: outputs/t8.jsonl, rung: fine_tuned}
  t16: {kind: recorded, outputs: outputs/t16.jsonl, rung: fine_tuned}
suites:
  toy: {champion: plain, target: 0.8, decides: [is_right], training: train.jsonl}
"""
SUITE = """
import pytest

pytestmark = pytest.mark.suite(cases="toy.jsonl", systems=["plain", "lora"])

def test_is_right(case, output):
    assert output.text == case.expected_output
"""


def outputs(passed):
    return jsonl({"id": f"c{i}", "output": "yes" if i < passed else "no"} for i in range(CASES))


class Toy(SampleProject):
    """A project with a suite, recorded systems and training rows."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.evals = folder, folder / "evals"
        self.write("conftest.py", 'pytest_plugins = ["harness.plugin"]\n')
        self.write("evals/rung.yaml", YAML)
        self.write("evals/test_toy.py", SUITE)
        tags = ("short", "long")
        cases = (
            {
                "id": f"c{i}",
                "input": f"question {i}",
                "expected_output": "yes",
                "tags": [tags[i % 2]],
            }
            for i in range(CASES)
        )
        self.write("evals/toy.jsonl", jsonl(cases))
        rows = ({"prompt": f"ask {i}", "completion": "yes"} for i in range(40))
        self.write("evals/train.jsonl", jsonl(rows))
        self.write("evals/recipe.yaml", "data: train.jsonl\n")
        self.write("evals/p.j2", "{{ input }}")
        for name, passed in (("plain", 4), ("t8", 10), ("t16", 16)):
            self.write(f"evals/outputs/{name}.jsonl", outputs(passed))

    def evaluate(self, *systems: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the suites in a process of their own."""
        command = [sys.executable, "-m", "pytest", "evals", "-q", "-p", "no:cacheprovider"]
        for name in systems:
            command += ["--system", name]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=check)


class Trainer:
    """Learns to answer one case for every two rows; dies when it is told to."""

    def __init__(self) -> None:
        self.trained: list[tuple[int, int]] = []
        self.dies_at: int | None = None

    def train(self, rows, *, out, seed):
        if len(rows) == self.dies_at:
            raise KeyboardInterrupt
        self.trained.append((len(rows), seed))
        out.mkdir(parents=True)
        (out / "outputs.jsonl").write_text(outputs(min(len(rows) // 2 + seed, CASES)))
        return out


def recorded(spec, adapter, *, name):
    """Stand in for a tuned model: what the trainer left is what it answers."""
    options = {"outputs": str(adapter / "outputs.jsonl"), "adapter": str(adapter)}
    return SystemSpec(
        name=name, kind="recorded", rung="fine_tuned", folder=spec.folder, options=options
    )
