"""Stored runs made up for tests and benchmarks of the report: any size, any text, no model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.comparison import Names, compare
from harness.records import dumps
from harness.statistics.outcomes import Outcomes
from harness.statistics.rates import rate
from harness.store import write_document, write_table

STATES = np.array(["passed", "missed", "unscored", "errored"])
RUNG_OF = {
    "zero-shot": "prompt",
    "few-shot": "prompt",
    "bigger": "prompt",
    "rag": "rag",
    "rag-oracle": "rag",
    "lora": "fine_tuned",
    "keywords": "classical",
}
CAUSES = ("missing_fact", "format", "unknown")  # of a suite's misses, by turns
SUBJECTS = ("a torn jersey", "my cracked frame", "the late parcel", "a missing pedal", "my refund")
OPENINGS = ("Could you tell me about", "I wrote last week about", "Nobody answered about")
ENDINGS = ("I bought it on sale.", "It is the third time!", "Please be quick.", "Thank you, Ines.")


@dataclass(frozen=True, kw_only=True)
class MadeSuite:
    """What one made-up suite looks like; rates are pass rates of each system."""

    name: str
    rates: Mapping[str, float]
    cases: int = 200
    metrics: Sequence[str] = ("states_the_policy", "is_brief")
    champion: str | None = None
    target: float | None = None
    tags: Sequence[str] = ("refunds", "delivery", "warranty")
    gates: Sequence[Mapping[str, Any]] = ()
    broken: Mapping[str, float] = field(default_factory=dict)  # share errored, by system
    drift: float = 0.0  # share of cases whose state differs from the run of seed 0


def text_of(rng: np.random.Generator, number: int) -> str:
    """An invented e-mail."""
    pick = [words[rng.integers(len(words))] for words in (OPENINGS, SUBJECTS, ENDINGS)]
    return f"{pick[0]} {pick[1]} (order {10_000 + number})? {pick[2]}"


def answer_of(rng: np.random.Generator, number: int, passed: bool) -> str:
    days = 30 if passed else int(rng.integers(3, 29))
    extra = "" if rng.random() < 0.5 else f" We are sorry about order {10_000 + number}."
    return f"You can send it back within {days} days and we pay the postage.{extra}"


def write_run(
    folder: Path,
    suites: Sequence[MadeSuite],
    *,
    epochs: int = 1,
    seed: int = 0,
    prompts: bool = True,
    text: Callable[[int], str] | None = None,
    sections: Mapping[str, Any] | None = None,
) -> Path:
    """Write run.json and its tables; `text`, by row, stands in for every text a model or user wrote."""
    rng = np.random.default_rng(seed)
    tables: dict[str, dict[str, list[Any]]] = {name: {} for name in ("scores", "outputs", "cases")}
    document = _document(folder, suites, epochs)
    for suite in suites:
        _write_suite(suite, tables, document, epochs, rng, prompts=prompts, text=text)
    document |= dict(sections or {})
    folder.mkdir(parents=True, exist_ok=True)
    write_document(folder, document)
    for name, columns in tables.items():
        write_table(folder, name, columns)
    return folder


def _document(folder: Path, suites: Sequence[MadeSuite], epochs: int) -> dict[str, Any]:
    systems = list(dict.fromkeys(name for suite in suites for name in suite.rates))
    outputs = sum(suite.cases * len(suite.rates) for suite in suites) * epochs
    return {
        "schema_version": 1,
        "run_id": folder.name,
        "started": "2026-05-19T14:12:00+00:00",
        "finished": "2026-05-19T14:26:00+00:00",
        "rung_version": "0.1.0",
        "git": {"commit": "9be77a1c0ffee", "dirty": False},
        "seed": 0,
        "environment": {"python": "3.12.1", "platform": "Linux"},
        "systems": [_system(name) for name in systems],
        "suites": [],
        "estimates": [],
        "gates": [],
        "comparisons": [],
        "slices": [],
        "categories": [],
        "usage": [],
        "diversity": [],
        "pilots": [],
        "verdicts": [],
        "project_verdict": None,
        "counts": {"planned": outputs, "generated": outputs, "cached": 0, "not_run": 0, "errored": 0},
    }  # fmt: skip


def _system(name: str) -> dict[str, Any]:
    parts = {"prompt": f"Answer as {name}.\nBe brief.", "model": "sha256:abc", "decoding": "greedy"}
    digest = hashlib.sha256(name.encode()).hexdigest()
    rung = RUNG_OF.get(name, "prompt")
    return {"name": name, "rung": rung, "kind": rung, "fingerprint": digest, "parts": parts, "warnings": []}  # fmt: skip


def _write_suite(
    suite: MadeSuite,
    tables: dict[str, dict[str, list[Any]]],
    document: dict[str, Any],
    epochs: int,
    rng: np.random.Generator,
    *,
    prompts: bool,
    text: Callable[[int], str] | None,
) -> None:
    stable = np.random.default_rng(int(hashlib.sha256(suite.name.encode()).hexdigest()[:8], 16))
    ids = [f"{suite.name}-{i:04d}" for i in range(suite.cases)]
    inputs = [text(i) if text else text_of(stable, i) for i in range(suite.cases)]
    tags = [suite.tags[i] for i in stable.integers(len(suite.tags), size=suite.cases)]
    hard = stable.random(suite.cases)
    add(tables["cases"], suite=[suite.name] * suite.cases, case=ids,
        input=[dumps(i) for i in inputs],
        expected_output=[dumps(text(i) if text else "within 30 days") for i in range(suite.cases)],
        context=[dumps([{"id": f"policy/{tag}", "text": f"What holds for {tag}."}]) for tag in tags],
        tags=[dumps([tag]) for tag in tags], metadata=["{}"] * suite.cases)  # fmt: skip
    outcomes: dict[tuple[str, str], Outcomes] = {}
    for system, share in suite.rates.items():
        passed = hard < share
        states = {}
        for number, metric in enumerate(suite.metrics):
            noise = stable.random((suite.cases, epochs))
            good = (passed[:, None] & (noise < 0.95)) | (~passed[:, None] & (noise < 0.05))
            if number:
                good = noise < 0.97
            flips = rng.random((suite.cases, epochs)) < suite.drift
            code = np.where(good ^ flips, 0, 1)
            code[stable.random((suite.cases, epochs)) < suite.broken.get(system, 0)] = 3
            states[metric] = code
            outcomes[metric, system] = _outcomes(ids, code)
            _estimate(document, suite, metric, system, code)
            _scores(tables["scores"], suite, system, metric, ids, STATES[code], text)
        _outputs(tables["outputs"], suite, system, ids, inputs, next(iter(states.values())), rng, tags,
                 prompts=prompts, text=text)  # fmt: skip
        _slices(document, suite, system, states, tags)
        document["usage"].append(_usage(suite, system, epochs))
    _pairs(document, suite, outcomes)
    document["gates"] += [dict(gate) | {"suite": suite.name} for gate in suite.gates]
    document["suites"].append({
        "name": suite.name, "file": f"evals/test_{suite.name}.py", "cases_file": f"{suite.name}.jsonl",
        "cases": suite.cases, "content_hash": "75cb588e", "epochs": epochs, "narrowed": False,
        "systems": list(suite.rates), "metrics": dict.fromkeys(suite.metrics, "e7dc4cc1"),
        "champion": suite.champion or next(iter(suite.rates)), "target": suite.target,
        "decides": [suite.metrics[0]], "split": "locked",
    })  # fmt: skip


def add(table: dict[str, list[Any]], **columns: list[Any]) -> None:
    for name, values in columns.items():
        table.setdefault(name, []).extend(values)


def _outcomes(ids: list[str], code: np.ndarray) -> Outcomes:
    counts = [(code == c).sum(1).astype(np.int64) for c in range(4)]
    return Outcomes(case_ids=tuple(ids), passed=counts[0], missed=counts[1], unscored=counts[2],
                    errored=counts[3], not_run=np.zeros(len(ids), dtype=np.int64))  # fmt: skip


def _estimate(
    document: dict[str, Any], suite: MadeSuite, metric: str, system: str, code: np.ndarray
) -> None:
    passed, missed, unscored, errored = (int((code == c).sum()) for c in range(4))
    estimate = asdict(rate(passed, passed + missed))
    document["estimates"].append(
        estimate
        | {"suite": suite.name, "metric": metric, "system": system, "passed": passed, "missed": missed,
           "unscored": unscored, "errored": errored, "not_run": 0, "metric_version": "e7dc4cc1"}
    )  # fmt: skip


def _scores(
    table: dict[str, list[Any]],
    suite: MadeSuite,
    system: str,
    metric: str,
    ids: list[str],
    states: np.ndarray,
    text: Callable[[int], str] | None,
) -> None:
    cases, epochs = states.shape
    flat = states.reshape(-1).tolist()
    count = cases * epochs
    add(table, suite=[suite.name] * count, system=[system] * count, case=np.repeat(ids, epochs).tolist(),
        epoch=list(range(epochs)) * cases, metric=[metric] * count, state=flat,
        value=[{"passed": 1.0, "missed": 0.0}.get(state) for state in flat],
        reason=[None if state == "passed" else text(i) if text else f"expected 'within 30 days' ({state})"
                for i, state in enumerate(flat)],
        category=[{"missed": CAUSES[i // epochs % len(CAUSES)], "errored": "error"}.get(state)
                  for i, state in enumerate(flat)],
        cached=[False] * count, latency_s=[0.4] * count, prompt_tokens=[210] * count,
        completion_tokens=[24] * count)  # fmt: skip


def _outputs(
    table: dict[str, list[Any]],
    suite: MadeSuite,
    system: str,
    ids: list[str],
    inputs: list[str],
    code: np.ndarray,
    rng: np.random.Generator,
    tags: list[str],
    *,
    prompts: bool,
    text: Callable[[int], str] | None,
) -> None:
    cases, epochs = code.shape
    count = cases * epochs
    flat = code.reshape(-1).tolist()
    at = np.repeat(np.arange(cases), epochs).tolist()
    rag = RUNG_OF.get(system) == "rag"
    examples = "\n".join(f"Q: example {i} for {system}\nA: within {i} days" for i in range(8))
    add(table, suite=[suite.name] * count, system=[system] * count, case=[ids[i] for i in at],
        epoch=list(range(epochs)) * cases,
        text=[text(i) if text else answer_of(rng, i, c == 0) for i, c in zip(at, flat, strict=True)],
        prompt=[dumps(f"You answer for Tallow Cycles.\n{examples}\n\nQ: {inputs[i]}\nA:") if prompts else None for i in at],
        passages=[dumps([{"id": f"policy/{tags[i]}", "text": f"What holds for {tags[i]}.", "rank": 1, "score": 0.71},
                         {"id": "shops/hours", "text": "We open at nine.", "rank": 2, "score": 0.44}]) if rag else None for i in at],
        steps=[None] * count, tool_calls=[None] * count, prompt_tokens=[210] * count,
        completion_tokens=[24] * count, latency_s=rng.gamma(4, 0.12, size=count).tolist(),
        attempts=[1] * count, finish_reason=["stop"] * count, refused=[False] * count,
        error=["the server answered 503 (three attempts)" if c == 3 else None for c in flat],
        cached=[False] * count)  # fmt: skip


def _slices(
    document: dict[str, Any],
    suite: MadeSuite,
    system: str,
    states: Mapping[str, np.ndarray],
    tags: list[str],
) -> None:
    for metric, code in states.items():
        for tag in sorted(set(tags)):
            chosen = code[[i for i, t in enumerate(tags) if t == tag]]
            passed, missed = int((chosen == 0).sum()), int((chosen == 1).sum())
            estimate = asdict(rate(passed, passed + missed))
            document["slices"].append(
                estimate | {"suite": suite.name, "metric": metric, "system": system, "tag": tag}
            )


def _usage(suite: MadeSuite, system: str, epochs: int) -> dict[str, Any]:
    outputs = suite.cases * epochs
    slow = 1.42 if system == "bigger" else 0.4
    return {
        "suite": suite.name, "system": system, "outputs": outputs, "cached": outputs // 2,
        "errored": int(outputs * suite.broken.get(system, 0)), "not_run": 0, "retried": 3,
        "prompt_tokens": 210 * outputs, "completion_tokens": 24 * outputs,
        "latency_p50_s": slow, "latency_p95_s": slow * 2.1,
    }  # fmt: skip


def _pairs(
    document: dict[str, Any], suite: MadeSuite, outcomes: Mapping[tuple[str, str], Outcomes]
) -> None:
    systems = list(suite.rates)
    for metric in suite.metrics:
        for i, first in enumerate(systems):
            for second in systems[i + 1 :]:
                names = Names(suite=suite.name, metric=metric, baseline=first, candidate=second)
                row = compare(outcomes[metric, first], outcomes[metric, second], names=names)
                document["comparisons"].append(asdict(row))
