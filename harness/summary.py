"""A run as one document: estimates, comparisons, slices and usage, by the rules of statistics."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import compress, islice
from typing import Any

from harness.comparison import Names, adjust, compare, compare_all
from harness.records import dumps
from harness.run import Key, Run, SuiteRun
from harness.runner import UNMEASURED, Answer
from harness.statistics.outcomes import Outcomes
from harness.store import PART_ROWS
from harness.types import (
    INPUT_REFUSED,
    OUTPUT_WITHHELD,
    SCORE_STATES,
    Case,
    Comparison,
    Output,
    Score,
    Usage,
)

Rows = list[dict[str, Any]]
# The blessed run's scores: by suite, metric and system.
StoredScores = Mapping[tuple[str, str, str], Sequence[Score]]

CASES = ("suite", "case", "input", "expected_output", "context", "tags", "metadata")
SCORES = (
    "suite", "system", "case", "epoch", "metric", "state", "value", "reason", "cached",
    "latency_s", "prompt_tokens", "completion_tokens",
)  # fmt: skip
NO_ANSWER = Answer(output=None)
BLESSED = "baseline"  # what the blessed run is called among the systems it is compared with


def outcomes_of(run: SuiteRun, metric: str, system: str) -> Outcomes:
    """Return the outcomes of a metric on a system over every case that was planned for it."""
    planned = run.planned.get(system, {})
    return Outcomes.from_scores(
        run.scores.get((metric, system), {}).values(),
        case_ids=list(planned),
        groups=groups_of(run, planned.values()),
        graded=run.metrics[metric].graded,
        left_out=len(run.suite.cases) - len(planned),
    )


def groups_of(run: SuiteRun, cases: Iterable[Case]) -> dict[str, str] | None:
    """Return the cluster of each case, or None where every case stands alone."""
    groups = {case.id: run.suite.group(case) for case in cases}
    return groups if len(set(groups.values())) < len(groups) else None


def summarise(run: Run, *, baseline: StoredScores) -> dict[str, Rows]:
    """Compute the sections of run.json that are numbers."""
    runs = list(run.runs.values())
    tables = [_Suite(suite_run) for suite_run in runs]
    comparisons = [row for table in tables for row in table.comparisons()]
    comparisons += _with_blessed(tables, baseline)
    return {
        "estimates": [row for table in tables for row in table.estimates()],
        "repeated": [row for table in tables for row in table.repeated()],
        "gates": [
            asdict(gate)
            for suite_run in runs
            for gates in suite_run.gates.values()
            for gate in gates
        ],
        "comparisons": [asdict(row) for row in comparisons],
        "slices": [row for table in tables for row in table.slices()],
        "usage": [row for table in tables for row in table.usage()],
    }


class _Suite:
    """The numbers of one suite, each computed once."""

    def __init__(self, run: SuiteRun) -> None:
        self.run = run
        self.outcomes: dict[tuple[str, str], Outcomes] = {
            (metric, spec.name): outcomes_of(run, metric, spec.name)
            for metric in run.metrics
            for spec in run.suite.systems
            if (metric, spec.name) in run.scores
        }

    def estimates(self) -> Iterator[dict[str, Any]]:
        for (metric, system), outcomes in self.outcomes.items():
            estimate = outcomes.estimate()
            row: dict[str, Any] = {
                "suite": self.run.suite.name,
                "metric": metric,
                "system": system,
                "kind": estimate.kind,
            }
            row |= {state: int(getattr(outcomes, state).sum()) for state in SCORE_STATES}
            row |= {
                "value": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "confidence_level": estimate.confidence_level,
                "n": estimate.n,
                "n_effective": estimate.n_effective,
                "method": estimate.method,
                "metric_version": self.run.metrics[metric].version,
            }
            yield row

    def repeated(self) -> Iterator[dict[str, Any]]:
        """Yield what all epochs of a case together say: pass@k and pass^k, k the epochs of the run."""
        import numpy as np

        k = self.run.epochs
        for (metric, system), outcomes in self.outcomes.items():
            scored = outcomes.scored
            if k < 2 or outcomes.values is not None or not ((scored == 0) | (scored == k)).all():
                continue
            row: dict[str, Any] = {"suite": self.run.suite.name, "metric": metric, "system": system}
            row["k"] = k
            measures = (("at", outcomes.pass_at), ("hat", outcomes.pass_hat))
            for name, measure in measures:
                found = measure(k, rng=np.random.default_rng(k))
                limits = [
                    None if x is None else min(1.0, max(0.0, x)) for x in (found.low, found.high)
                ]
                row[f"pass_{name}_k"] = {
                    "value": found.value,
                    "low": limits[0],
                    "high": limits[1],
                    "n": found.n,
                    "method": found.method,
                }
            yield row

    def comparisons(self) -> list[Comparison]:
        rungs = {spec.name: spec.rung for spec in self.run.suite.systems}
        """Compare every pair of systems by every metric: side by side in the report, corrected together."""
        found = [
            row
            for metric in self.run.metrics
            for row in compare_all(
                {
                    s.name: self.outcomes[metric, s.name]
                    for s in self.run.suite.systems
                    if (metric, s.name) in self.outcomes
                },
                suite=self.run.suite.name,
                metric=metric,
                rungs=rungs,
            )
        ]
        return adjust(found)

    def slices(self) -> Iterator[dict[str, Any]]:
        """Yield the pass rate of each tag; a graded metric has its mean."""
        tags: dict[str, set[str]] = defaultdict(set)
        for case in self.run.suite.cases:
            for tag in case.tags:
                tags[tag].add(case.id)
        cases = {case.id: case for case in self.run.suite.cases}
        for (metric, system), table in self.run.scores.items():
            for tag, ids in sorted(tags.items()):
                scores = [score for score in table.values() if score.case_id in ids]
                planned = [i for i in self.run.planned.get(system, {}) if i in ids]
                if planned:
                    estimate = Outcomes.from_scores(
                        scores,
                        case_ids=planned,
                        groups=groups_of(self.run, (cases[i] for i in planned)),
                        graded=self.run.metrics[metric].graded,
                    ).estimate()
                    yield {
                        "suite": self.run.suite.name,
                        "metric": metric,
                        "system": system,
                        "tag": tag,
                        "value": estimate.value,
                        "low": estimate.low,
                        "high": estimate.high,
                        "confidence_level": estimate.confidence_level,
                        "n": estimate.n,
                        "method": estimate.method,
                    }

    def usage(self) -> Iterator[dict[str, Any]]:
        for system, answers in self.run.answers.items():
            outputs = [a.output for a in answers.values() if a.output is not None]
            counted = [o.usage for o in outputs if o.usage is not None]
            yield {
                "suite": self.run.suite.name,
                "system": system,
                "outputs": len(outputs),
                "cached": sum(a.cached for a in answers.values()),
                "errored": sum(o.error is not None for o in outputs),
                "not_run": len(answers) - len(outputs),
                "retried": sum(o.attempts > 1 for o in outputs),
                INPUT_REFUSED: sum(o.finish_reason == INPUT_REFUSED for o in outputs),
                OUTPUT_WITHHELD: sum(o.finish_reason == OUTPUT_WITHHELD for o in outputs),
                "prompt_tokens": sum(u.prompt_tokens for u in counted) if counted else None,
                "completion_tokens": sum(u.completion_tokens for u in counted) if counted else None,
                **_latency(outputs),
            }


def _latency(outputs: Sequence[Output]) -> dict[str, float | None]:
    import numpy as np

    seconds = [o.latency_s for o in outputs if o.latency_s is not None]
    if not seconds:
        return {"latency_p50_s": None, "latency_p95_s": None}
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return {"latency_p50_s": float(p50), "latency_p95_s": float(p95)}


def _with_blessed(tables: Sequence[_Suite], baseline: StoredScores) -> list[Comparison]:
    """Compare every system with itself in the blessed run."""
    found = []
    for table in tables:
        for (metric, system), outcomes in table.outcomes.items():
            before = baseline.get((table.run.suite.name, metric, system))
            if before:
                names = Names(
                    suite=table.run.suite.name,
                    metric=metric,
                    baseline=f"{BLESSED}:{system}",
                    candidate=system,
                )
                stored = Outcomes.from_scores(before, graded=table.run.metrics[metric].graded)
                found.append(compare(stored, outcomes, names=names))
    return adjust(found)


def measured(scores: Mapping[str, list[Any]]) -> Mapping[str, list[Any]]:
    """Leave out the scores of cases that say nothing of their system: no verdict counts them."""
    kept = [
        state != "not_run" or not (reason or "").startswith(UNMEASURED)
        for state, reason in zip(scores["state"], scores["reason"], strict=True)
    ]
    if all(kept):
        return scores
    return {name: list(compress(values, kept)) for name, values in scores.items()}


def score_columns(runs: Iterable[SuiteRun]) -> dict[str, list[Any]]:
    """Lay the scores out as columns of scores.parquet."""
    return _joined(score_parts(runs), SCORES)


def score_parts(runs: Iterable[SuiteRun]) -> Iterator[dict[str, list[Any]]]:
    """Lay the scores out in parts of a table."""
    for run in runs:
        for (metric, system), table in run.scores.items():
            answers = run.answers.get(system, {})
            for keys in _parts(table):
                scores = [table[key] for key in keys]
                given = [answers.get(key, NO_ANSWER) for key in keys]
                outputs = [answer.output for answer in given]
                usages = [None if output is None else output.usage for output in outputs]
                yield {
                    "suite": [run.suite.name] * len(keys),
                    "system": [system] * len(keys),
                    "case": [score.case_id for score in scores],
                    "epoch": [score.epoch for score in scores],
                    "metric": [metric] * len(keys),
                    "state": [score.state for score in scores],
                    "value": [score.value for score in scores],
                    "reason": [text_or_none(score.reason) for score in scores],
                    "cached": [answer.cached for answer in given],
                    "latency_s": [None if o is None else o.latency_s for o in outputs],
                    **_tokens(usages),
                }


def output_parts(runs: Iterable[SuiteRun]) -> Iterator[dict[str, list[Any]]]:
    """Lay the outputs out in parts of outputs.parquet; structured fields are JSON text."""
    for run in runs:
        for system, answers in run.answers.items():
            for keys in _parts(answers):
                given = [(answers[key].output, answers[key].cached) for key in keys]
                outputs = [output for output, _ in given if output is not None]
                yield {
                    "suite": [run.suite.name] * len(outputs),
                    "system": [system] * len(outputs),
                    "case": [o.case_id for o in outputs],
                    "epoch": [o.epoch for o in outputs],
                    "text": [text_or_none(o.text) for o in outputs],
                    "prompt": [None if o.prompt is None else dumps(o.prompt) for o in outputs],
                    "passages": [_rows(o.passages) for o in outputs],
                    "steps": [_rows(o.steps) for o in outputs],
                    "tool_calls": [
                        dumps([_call(c) for c in o.tool_calls]) if o.tool_calls else None
                        for o in outputs
                    ],
                    **_tokens([o.usage for o in outputs]),
                    "latency_s": [o.latency_s for o in outputs],
                    "attempts": [o.attempts for o in outputs],
                    "finish_reason": [text_or_none(o.finish_reason) for o in outputs],
                    "refused": [o.refused for o in outputs],
                    "error": [text_or_none(o.error) for o in outputs],
                    "cached": [cached for output, cached in given if output is not None],
                }


def _parts(table: Mapping[Key, Any]) -> Iterator[list[Key]]:
    """Yield the keys of a table, so many at a time."""
    keys = iter(table)
    while part := list(islice(keys, PART_ROWS)):
        yield part


def _tokens(usages: Sequence[Usage | None]) -> dict[str, list[Any]]:
    return {
        "prompt_tokens": [None if usage is None else usage.prompt_tokens for usage in usages],
        "completion_tokens": [
            None if usage is None else usage.completion_tokens for usage in usages
        ],
    }


def _rows(values: Sequence[Any]) -> str | None:
    return dumps([asdict(value) for value in values]) if values else None


def _call(call: Any) -> dict[str, Any]:
    return {"name": call.name, "arguments": dict(call.arguments), "result": call.result}


def case_columns(runs: Iterable[SuiteRun]) -> dict[str, list[Any]]:
    """Lay the cases out as columns of cases.parquet; structured fields are JSON text."""
    return _joined(case_parts(runs), CASES)


def case_parts(runs: Iterable[SuiteRun]) -> Iterator[dict[str, list[Any]]]:
    """Lay the cases out in parts of a table."""
    for run in runs:
        for start in range(0, len(run.suite.cases), PART_ROWS):
            cases = run.suite.cases[start : start + PART_ROWS]
            expected = [case.expected_output for case in cases]
            yield {
                "suite": [run.suite.name] * len(cases),
                "case": [case.id for case in cases],
                "input": [dumps(case.input) for case in cases],
                "expected_output": [None if e is None else dumps(e) for e in expected],
                "context": [
                    dumps([{"id": p.id, "text": p.text} for p in case.context])
                    if case.context
                    else "[]"
                    for case in cases
                ],
                "tags": [dumps(case.tags) if case.tags else "[]" for case in cases],
                "metadata": [dumps(dict(c.metadata)) if c.metadata else "{}" for c in cases],
            }


def _joined(parts: Iterable[Mapping[str, list[Any]]], names: Iterable[str]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {name: [] for name in names}
    for part in parts:
        for name, values in part.items():
            columns[name].extend(values)
    return columns


def text_or_none(text: str | None) -> str | None:
    """Replace lone surrogates, which Arrow's UTF-8 cannot hold, by their escapes."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
