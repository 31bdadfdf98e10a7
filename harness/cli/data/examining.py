"""Examine sets of training rows as a project knows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import systems
from harness.config import Project
from harness.diversity import DataReport, EmbeddingStore, Options, examine
from harness.diversity.worklists import write_audit_sheet
from harness.errors import ConfigError, nearest
from harness.training_check import (
    Suites,
    TrainingCheck,
    audit_file,
    options_of,
    remember,
    report_of,
    training_rows,
)
from harness.training_rows import TrainingRow, load_training_rows

if TYPE_CHECKING:
    from harness.types import SystemSpec

SEED = 0
INDEXED_FROM = 20_000  # rows: below, loading FAISS takes longer than it saves


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked for on the command line, beside what rung.yaml says."""

    production: Path | None = None
    pool: Path | None = None
    model: str | None = None
    window: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether rung.yaml alone decides: then the report is remembered for the verdict."""
        return self == Asked()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A set, what was found in it, and where a person audits it."""

    name: str
    file: Path
    found: DataReport
    report: dict[str, Any]
    audit: Path


def sets_of(project: Project, dataset: str | None) -> dict[str, Path]:
    """Return the files to examine by suite; a file that no suite names is a set of its own."""
    known = {
        name: project.folder / suite.training
        for name, suite in project.suites.items()
        if suite.training is not None
    }
    if dataset is None:
        if not known:
            raise ConfigError(
                "no suite has training rows",
                file=project.file,
                hint="Give a suite `training: rows.jsonl`, or name a file: rung data rows.jsonl",
            )
        return known
    if dataset in known:
        return {dataset: known[dataset]}
    if Path(dataset).is_file():
        file = Path(dataset).resolve()
        return {next((n for n, f in known.items() if f.resolve() == file), ""): Path(dataset)}
    raise ConfigError(
        f"'{dataset}' is no suite with training rows and no file. {nearest(dataset, known)}"
    )


def examine_set(
    project: Project,
    named: tuple[str, Path],
    suites: Suites,
    *,
    store: EmbeddingStore,
    asked: Asked,
) -> Examined:
    """Examine one set; lay an audit sheet beside it where there is none."""
    name, file = named
    rows = training_rows(project, file)
    options = _options(project, named, rows, suites, asked)
    found = examine(
        rows, encoder=store, eval_suites=suites, rng=np.random.default_rng(SEED), options=options
    )
    audit = audit_file(project.folder, name, file)
    if rows and not audit.exists():
        write_audit_sheet(found, audit)
    if asked.is_plain:
        report = remember(TrainingCheck(project), found, file, suites, suite=name)
    else:
        report = report_of(found, file, suite=name)
    return Examined(name=name, file=file, found=found, report=report, audit=audit)


def _options(
    project: Project,
    named: tuple[str, Path],
    rows: Sequence[TrainingRow],
    suites: Suites,
    asked: Asked,
) -> Options:
    name, file = named
    options = options_of(project, name, file, rows=rows, cases=suites.get(name, ()))
    if asked.production is not None:
        options = replace(options, production=_texts(asked.production))
    if asked.pool is not None:
        options = replace(options, pool=_texts(asked.pool))
    if len(rows) >= INDEXED_FROM:
        index: Any = systems.resolve(
            "systems.neighbours:FlatIndex", feature="searching many rows", extra="local"
        )
        options = replace(options, make_index=index)
    spec = _model_of(project, name, asked.model)
    if spec is not None and rows:
        window: Any = systems.resolve(
            "systems.window:ModelWindow", feature="counting tokens", extra="local"
        )
        model = window(spec)
        options = replace(
            options,
            window=asked.window or model.tokens,
            count_tokens=model.count,
            tokenizer=spec.model.source if spec.model else None,
        )
    return options


def _model_of(project: Project, suite: str, asked: str | None) -> SystemSpec | None:
    """A system on the model that would be trained: the one asked for, else the champion's, if local."""
    specs = [s for s in project.systems.values() if s.model is not None]
    if asked is not None:
        found = next((s for s in specs if s.model and s.model.name == asked), None)
        if found is None:
            known = {s.model.name for s in specs if s.model}
            raise ConfigError(
                f"no system has a model '{asked}'. {nearest(asked, known)}", key="--model"
            )
        if found.model is None or found.model.kind != "transformers":
            raise ConfigError(
                f"'{asked}' is no model of this machine: its tokens cannot be counted here",
                key="--model",
            )
        return found
    config = project.suites.get(suite)
    champion = project.systems.get(config.champion or "") if config is not None else None
    if champion is None or champion.model is None or champion.model.kind != "transformers":
        return None
    return champion


def _texts(file: Path) -> tuple[str, ...]:
    return tuple(row.input for row in load_training_rows(file))
