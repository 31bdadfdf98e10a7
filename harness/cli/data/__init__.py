"""`rung data`: is this data worth training on, and is the eval clean?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

import systems
from harness.cli.workspace import Workspace
from harness.config import Project
from harness.diversity import EmbeddingStore, Options, examine
from harness.errors import ConfigError, nearest
from harness.training_check import TrainingCheck, remember
from harness.training_rows import load_training_rows, text_of

SEED = 0


@click.command(short_help="Diversity, duplicates, leaks, readiness.")
@click.argument("dataset", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--next",
    "next_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what to label next as JSONL.",
)
def data(dataset: str | None, as_json: bool, next_file: Path | None) -> None:
    """Examine DATASET: a suite's name (its training rows) or a JSONL file.

    Without DATASET: every suite that has training rows. What is found is remembered, so that the
    verdict knows it.

    \b
    rung data
    rung data query
    rung data rows.jsonl --json
    """
    workspace = Workspace()
    project, catalogue = workspace.project(), workspace.catalogue()
    suites = {suite.name: suite.cases for suite in catalogue.suites.values()}
    reports = {}
    for name, file in _sets(project, dataset).items():
        reports[name] = _examine(workspace, project, (name, file), suites, show=not as_json)
    if next_file is not None:
        rows = [row for report in reports.values() for row in report["label_next"]]
        next_file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    if as_json:
        only = next(iter(reports.values())) if len(reports) == 1 else reports
        click.echo(json.dumps(only, indent=1))


def _sets(project: Project, dataset: str | None) -> dict[str, Path]:
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
        return {"": Path(dataset)}
    raise ConfigError(
        f"'{dataset}' is no suite with training rows and no file. {nearest(dataset, known)}"
    )


def _examine(
    workspace: Workspace,
    project: Project,
    named: tuple[str, Path],
    suites: dict[str, Any],
    *,
    show: bool,
) -> dict[str, Any]:
    from harness.diversity.page import print_page

    name, file = named
    check = TrainingCheck(workspace.state.data, encoder_name=project.encoder)
    encoder: Any = systems.resolve(
        "systems.encoders:SentenceEncoder", feature="rung data", extra="local"
    )
    store = EmbeddingStore(check.folder / "embeddings", encoder(check.encoder_name, project.folder))
    rows = load_training_rows(file)
    own = suites.get(name, ())
    found = examine(
        rows,
        encoder=store,
        eval_suites=suites,
        rng=np.random.default_rng(SEED),
        options=Options(production=[text_of(case.input) for case in own]),
    )
    report = remember(check, found, file, suites, suite=name)
    if show:
        from rich.console import Console

        click.secho(f"{name or file}: {len(rows)} rows", bold=True)
        print_page(found, Console())
    return report
