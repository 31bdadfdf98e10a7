"""What stored runs and today's suites were measured with: cases by content, metrics by version."""

from __future__ import annotations

import ast
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.declared import declared_in, metric_names
from harness.errors import StoreError
from harness.gates import Measured
from harness.run import Suite, SuiteRun
from harness.store import Columns, Document, read_table
from harness.suites import metric_version
from harness.summary import case_columns

HASHES = "hashes"  # the table that a baseline keeps in place of its cases
CONTENT = ("input", "expected_output", "context", "metadata")  # tags change no outcome
Hashes = Mapping[str, Mapping[str, str]]  # by suite and case


def measured_in(folder: Path, document: Document) -> dict[str, Measured]:
    """Return what a stored run measured, by suite.

    Without its cases the ids of its scores stand for them, and their content is not known.
    """
    hashes = read_hashes(folder)
    ids: Mapping[str, Iterable[str]] = hashes or _scored_cases(folder)
    return {
        row["name"]: Measured(
            cases=hashes.get(row["name"]) or dict.fromkeys(ids.get(row["name"], ())),
            metrics=row["metrics"],
        )
        for row in document["suites"]
    }


def measured_by(suite: Suite, metrics: Mapping[str, str | None]) -> Measured:
    """Return what a suite measures as it stands now."""
    rows = case_columns([SuiteRun(suite=suite, epochs=1)])
    return Measured(cases=content_hashes(rows).get(suite.name, {}), metrics=metrics)


def metrics_in_source(suite: Suite, run: Mapping[str, str | None]) -> dict[str, str | None]:
    """Version the metrics of a suite by their source, without importing it.

    `run` are the metrics that a run had, with their versions. A parametrized one stands for its
    function; of a judged one, whose version goes on with its rubric's and judge's, the function alone
    is looked at; one that is imported has no version that could be known here.
    """
    functions = dict(_functions(suite.file.read_text("utf-8")))
    found: dict[str, str | None] = {}
    for name, before in run.items():
        base = name.partition("[")[0]
        if base in functions:
            now = functions[base]
            found[name] = before if before and now == before.partition("-")[0] else now
    taken = {name.partition("[")[0] for name in found}
    return found | {name: v for name, v in functions.items() if name not in taken}


def _functions(source: str) -> Iterator[tuple[str, str | None]]:
    lines = source.splitlines(keepends=True)
    functions = declared_in(ast.parse(source)).functions
    for path, name in metric_names(functions).items():
        node = functions[path]
        if node is None:
            yield name, None
            continue
        first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        yield name, metric_version("".join(lines[first - 1 : node.end_lineno]))


def content_hashes(columns: Columns) -> dict[str, dict[str, str]]:
    """Hash all of each case that can change an outcome; columns as those of cases.parquet."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    fields = (columns[name] for name in CONTENT)
    for suite, case, *content in zip(columns["suite"], columns["case"], *fields, strict=True):
        text = "\n".join(value or "" for value in content)
        found[suite][case] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return dict(found)


def stored_groups(
    suite: Mapping[str, Any], metadata: Mapping[str, str | None]
) -> dict[str, str] | None:
    """The cluster of each case, by its metadata as they are stored; None where every case stands alone."""
    key = suite.get("cluster") or "group"
    named = {case: json.loads(text or "{}").get(key) for case, text in metadata.items()}
    groups = {case: str(g) if g is not None else f"case:{case}" for case, g in named.items()}
    return groups if len(set(groups.values())) < len(groups) else None


def hash_columns(hashes: Hashes) -> dict[str, list[Any]]:
    """Lay hashes out as the columns of the table that a baseline keeps."""
    rows = [(suite, case, h) for suite, cases in hashes.items() for case, h in cases.items()]
    return {name: [row[i] for row in rows] for i, name in enumerate(("suite", "case", "hash"))}


def read_hashes(folder: Path) -> dict[str, dict[str, str]]:
    """Read the hashes that a baseline keeps, or make them of a run's cases; empty without either."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    if (folder / f"{HASHES}.parquet").is_file():
        for row in read_table(folder, HASHES):
            found[row["suite"]][row["case"]] = row["hash"]
        return dict(found)
    try:
        rows = read_table(folder, "cases")
    except StoreError:
        return {}
    return content_hashes(
        {name: [row[name] for row in rows] for name in ("suite", "case", *CONTENT)}
    )


def _scored_cases(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for row in read_table(folder, "scores"):
        found[row["suite"]].add(row["case"])
    return found
