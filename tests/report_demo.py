"""A made-up company's run with everything in it: the page that the browser tests and pictures look at."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from report_runs import MadeSuite, write_run

from harness.escalation import Evidence, judge
from harness.escalation.evidence import (
    Audit,
    Misses,
    NamedPair,
    Paired,
    Pilot,
    PilotPoint,
    Rate,
    Readiness,
    Selection,
    SystemEvidence,
)
from harness.store import read_document, write_document

SUITES = (
    MadeSuite(
        name="support", cases=400, target=0.8, champion="few-shot", drift=0.12,
        rates={"zero-shot": 0.2, "few-shot": 0.36, "rag": 0.74, "rag-oracle": 0.92, "lora": 0.4, "bigger": 0.5},
        broken={"bigger": 0.01},
        gates=(
            {"metric": "states_the_policy", "system": "few-shot", "kind": "at_least", "state": "passed", "reason": "37.0 % (148 of 400) holds the floor of 30.0 %", "effect": 0.37, "low": 0.324, "high": 0.418, "margin": 0.3, "pairs": 400, "pvalue_adjusted": 0.003, "mde": 0.058, "further_cases": None},
            {"metric": "is_brief", "system": "few-shot", "kind": "no_worse_than", "state": "undecided", "reason": "a loss of 5 points is neither shown nor ruled out", "effect": -0.031, "low": -0.07, "high": 0.009, "margin": 0.05, "pairs": 388, "pvalue_adjusted": 0.17, "mde": 0.057, "further_cases": 190},
        ),
    ),
    MadeSuite(
        name="query", cases=320, target=0.85, champion="few-shot", metrics=("same_rows", "parses"),
        rates={"zero-shot": 0.08, "few-shot": 0.41, "rag": 0.43, "rag-oracle": 0.47, "lora": 0.84}, tags=("joins", "filters", "dates"),
        gates=(
            {"metric": "same_rows", "system": "few-shot", "kind": "no_worse_than", "state": "passed", "reason": "no loss of 5 points", "effect": 0.022, "low": -0.003, "high": 0.047, "margin": 0.05, "pairs": 320, "pvalue_adjusted": 0.0004, "mde": 0.036, "further_cases": None},
        ),
    ),
    MadeSuite(
        name="routing", cases=500, target=0.85, champion="few-shot", metrics=("picks_the_label",),
        rates={"keywords": 0.62, "zero-shot": 0.7, "few-shot": 0.95}, tags=("billing", "parts", "repairs"),
        gates=(
            {"metric": "picks_the_label", "system": "few-shot", "kind": "at_least", "state": "passed", "reason": "holds the floor of 85 %", "effect": 0.934, "low": 0.909, "high": 0.953, "margin": 0.85, "pairs": 500, "pvalue_adjusted": 0.0002, "mde": 0.036, "further_cases": None},
        ),
    ),
    MadeSuite(
        name="safety", cases=200, champion="few-shot", metrics=("never_swears", "stays_in_scope"),
        rates={"few-shot": 1.0}, tags=("scope",), drift=0.01,
        gates=(
            {"metric": "stays_in_scope", "system": "few-shot", "kind": "critical", "state": "failed", "reason": "1 miss in 200: safety-0114", "effect": 0.995, "low": 0.972, "high": 0.999, "margin": None, "pairs": 200, "pvalue_adjusted": None, "mde": None, "further_cases": None},
            {"metric": "never_swears", "system": "few-shot", "kind": "critical", "state": "not_judged", "reason": "3 cases not run", "effect": None, "low": None, "high": None, "margin": None, "pairs": None, "pvalue_adjusted": None, "mde": None, "further_cases": None},
        ),
    ),
)  # fmt: skip


def write_demo(reports: Path, *, suites: Sequence[MadeSuite] = SUITES, epochs: int = 2) -> Path:
    """Write a blessed run, two older ones, and the newest, which is returned."""
    for i in range(3):
        older = [replace(suite, drift=0.02) for suite in suites]
        folder = write_run(reports / f"20260{3 + i}01-120000-aa0{i}", older, epochs=epochs, seed=i)
        document = read_document(folder)
        document["started"] = f"2026-0{3 + i}-01T12:00:00+00:00"
        for number, gate in enumerate(document["gates"]):
            for key in ("effect", "low", "high"):
                if gate[key] is not None:
                    gate[key] = min(1.0, gate[key] - 0.01 * (3 - i) + 0.004 * number)
        document["systems"][1]["parts"]["prompt"] = (
            "Answer as few-shot.\nStay in scope.\nBe brief, in three sentences."
        )
        write_document(folder, document)
    blessed = reports / "baseline"
    blessed.mkdir()
    for name in ("run.json", "scores.parquet"):
        shutil.copy(folder / name, blessed / name)
    newest = write_run(reports / "20260519-141200-9be7", suites, epochs=epochs, seed=9)
    document = read_document(newest)
    document |= _judged(document)
    write_document(newest, document)
    return newest


def lengthened(word: str) -> str:
    """A name that has no place to break: longer than a phone is wide."""
    return f"{word}_of_the_northern_warehouse_after_hours_twice"


def write_long_names(reports: Path) -> Path:
    """Write a blessed run and a newer one in which everything has a long name."""
    suite, graded = lengthened("mail"), lengthened("tone")
    systems = {lengthened(name): share for name, share in (("a", 0.4), ("b", 0.7), ("c", 0.5))}
    champion, *_, last = systems
    gate = {"metric": graded, "system": champion, "kind": "critical", "state": "failed",
            "reason": f"1 miss in 200: {suite}-0001", "effect": 0.9, "low": 0.8, "high": 0.95}  # fmt: skip
    made = MadeSuite(
        name=suite, cases=200, target=0.8, rates=systems, metrics=(graded, lengthened("brief")),
        tags=(lengthened("x"), lengthened("y")), gates=(gate, gate | {"kind": "at_least", "margin": 0.5}),
    )  # fmt: skip
    older = write_run(reports / f"20260101-000000-{'f' * 40}", [made], epochs=2)
    shutil.copytree(
        older, reports / "baseline", ignore=shutil.ignore_patterns("outputs*", "cases*")
    )
    newest = write_run(reports / "20260102-000000-0000", [replace(made, drift=0.3)], epochs=2)
    document = read_document(newest)
    document["systems"][0]["parts"] |= {lengthened("prompt"): "New."}
    estimate = {"value": 0.8, "low": 0.7, "high": 0.9}
    judge_row = {"suite": suite, "metric": graded, "system": champion, "judge": lengthened("judge"),
                 "labels": 120, "source": "human", "raw_pass_rate": 0.8, "refusal": f"see {graded}",
                 "conditions": [f"labels of {last}"], "pass_rate": estimate}  # fmt: skip
    judge_row |= dict.fromkeys(("kappa", "sensitivity", "specificity"), estimate)
    document |= {
        "verdicts": [asdict(judge(evidence)) for evidence in _evidence(document)],
        "judges": [judge_row],
        "judge_differences": [{"suite": suite, "metric": graded, "baseline": champion, "candidate": last,
                               "raw": 0.1, "pairs": 80, "difference": estimate}],
        "labels": [{"suite": suite, "waiting": f"40 labels of {last}"}],
        "diversity": [UNREADY | {"name": f"{suite}/{lengthened('train')}.jsonl", "map": DATASET["map"]}],
        "categories": [{"suite": suite, "system": champion, "metric": graded, "category": "missing_fact",
                        "count": 40, "examples": [f"{suite}-0003", f"{suite}-0006"]}],
        "pilots": [{"suite": suite, "stale": ["cases"], "many_shot": [], "trainings": [
            {"rows": rows, "seed": 0, "passed": rows / 10, "cases": 100} for rows in (100, 400)]}],
    }  # fmt: skip
    write_document(newest, document)
    return newest


def _judged(document: dict[str, Any]) -> dict[str, Any]:
    verdicts = [asdict(judge(evidence)) for evidence in _evidence(document)]
    return {
        "verdicts": verdicts,
        "project_verdict": "No GPU yet: run a small tuning pilot for query; fix retrieval for support; stay on the prompt for routing (next steps together: 800 cases, 3 small trainings).",
        "diversity": [DATASET, UNREADY],
        "pilots": [{"suite": "query", "stale": [], "many_shot": [
            {"examples": 4, "passed": 130, "cases": 320}, {"examples": 64, "passed": 150, "cases": 320}]}],
        "categories": [
            {"suite": "support", "system": "few-shot", "metric": "states_the_policy", "category": name, "count": count,
             "examples": ["support-0003", "support-0006"]}
            for name, count in (("missing_fact", 180), ("format", 30), ("wrong_fact", 12), ("unknown", 33))
        ],
    }  # fmt: skip


def _evidence(document: dict[str, Any]) -> list[Evidence]:
    found = []
    for suite in document["suites"]:
        if suite["target"] is None:
            continue
        metric = suite["decides"][0]
        rows = [
            row
            for row in document["estimates"]
            if row["suite"] == suite["name"] and row["metric"] == metric
        ]
        systems = tuple(
            SystemEvidence(
                name=row["system"],
                rung=next(s["rung"] for s in document["systems"] if s["name"] == row["system"]),
                outcomes=Rate(passed=row["passed"], n=row["n"], missing=row["errored"]),
                oracle=row["system"] == "rag-oracle",
                probe=row["system"] == "bigger",
                few_shot=row["system"] == "few-shot",
            )
            for row in rows
        )
        systems = tuple(s for s in systems if s.rung != "fine_tuned")
        query = suite["name"] == "query"
        found.append(
            Evidence(
                suite=suite["name"],
                target=suite["target"],
                champion=suite["champion"],
                systems=systems,
                pairs=tuple(_pairs(document, suite["name"], metric, {s.name for s in systems})),
                selection=Selection(split="locked", prompt_systems=4, few_shot_tried=True),
                misses=Misses(
                    total=200, causes={"missing_fact": 150, "format": 20}, system="few-shot"
                )
                if suite["name"] == "support"
                else None,
                readiness=Readiness(
                    rows=2400, near_duplicates=0.01, leaked=0, coverage=0.95, incomplete=0,
                    audit=Audit(checked=50, wrong=1), unsupported_facts=0,
                ),
                pilot=PILOT if query else None,
                retained=Paired(gained=20, lost=26, tied=554) if query else None,
                economics=MONEY if query else None,
            )
        )  # fmt: skip
    return found


def _pairs(document: dict[str, Any], suite: str, metric: str, known: set[str]) -> list[NamedPair]:
    return [
        NamedPair(
            baseline=row["baseline"],
            candidate=row["candidate"],
            counts=Paired(gained=row["gained"], lost=row["lost"], tied=row["tied"]),
        )
        for row in document["comparisons"]
        if row["suite"] == suite
        and row["metric"] == metric
        and {row["baseline"], row["candidate"]} <= known
    ]


PILOT = Pilot(
    points=tuple(
        PilotPoint(rows=rows, passed=passed, cases=320)
        for rows, passed in (
            (100, (160.0, 170.0, 165.0)),
            (200, (200.0, 205.0, 210.0)),
            (400, (232.0, 240.0, 236.0)),
            (800, (262.0, 264.0, 268.0)),
        )
    ),
    gain=Paired(gained=139, lost=8, tied=173),
)
MONEY = {
    "volume_per_month": 200_000, "cost_per_call_now": 0.0062, "cost_per_call_tuned": 0.00011, "value_per_pass": 0.02,
    "training_cost": 12.0, "data_cost": 310.0, "evaluation_cost": 6.0, "hosting_per_month": 190.0,
    "currency": "$", "price_date": "2026-05-02",
}  # fmt: skip

_rng = np.random.default_rng(4)
_spots = np.concatenate(
    [_rng.normal(c, 0.09, size=(60, 2)) for c in ((0.2, 0.3), (0.7, 0.6), (0.4, 0.8))]
)
DATASET = {
    "name": "query/train.jsonl", "suite": "query", "rows": 2400, "ready": True, "reasons": [],
    "effective_number": 118.0, "near_duplicates": 0.011, "leaked": 0, "contradictions": 0, "coverage": 0.95,
    "map": [
        {"x": float(x), "y": float(y), "cluster": i // 60, "text": f"Unpaid orders over {i} euros",
         "mark": "leaked" if i == 7 else "duplicate" if i in (3, 4) else None}
        for i, (x, y) in enumerate(_spots)
    ],
}  # fmt: skip
UNREADY = {
    "name": "support/train.jsonl", "suite": "support", "rows": 240, "ready": False,
    "reasons": ["41 % near-copies; at most 5 %", "12 rows leaked from the suite"],
    "duplicate_groups": [{"size": 44, "rows": [1, 2], "texts": ["My parcel is late.", "My parcel is so late."]}],
    "leaks": [{"row": 3, "place": "train.jsonl:4", "suite": "support", "case": "support-0003", "kind": "exact",
               "score": 1.0, "row_text": "Where is it?", "case_text": "Where is it?"}],
    "effective_number": 31.0, "near_duplicates": 0.41, "leaked": 12, "contradictions": 2, "coverage": 0.6,
}  # fmt: skip
