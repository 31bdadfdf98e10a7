"""`rung data`: is this data worth training on, and is the eval clean?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from harness.cli.workspace import Workspace


class DataVerb(click.Command):
    """Examines a set; `rung data make` is a verb of its own."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any
    ) -> click.Context:
        if args[:1] == ["make"]:
            from harness.cli.data.making import make

            name = f"{info_name} make"
            context: click.Context = make.make_context(name, args[1:], parent=parent, **extra)
            return context
        return super().make_context(info_name, args, parent=parent, **extra)


FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(cls=DataVerb, short_help="Diversity, duplicates, leaks, readiness.")
@click.argument("dataset", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--next", "next_file", type=FILE, help="Write what to label next as JSONL.")
@click.option("--production", type=FILE, help="Queries of real use: what rows should cover.")
@click.option("--pool", type=FILE, help="Texts without labels: --next chooses from them.")
@click.option("--model", metavar="NAME", help="Count tokens as this model. [champion's]")
@click.option("--window", type=click.IntRange(min=1), metavar="N", help="Tokens. [the model's]")
@click.option("--calibrate", type=FILE, help="Find the near-duplicate threshold on labelled pairs.")
@click.option("--template", is_flag=True, help="Is a system (DATASET) asked as it was trained?")
def data(
    dataset: str | None,
    as_json: bool,
    next_file: Path | None,
    calibrate: Path | None,
    template: bool,
    **asked: Any,
) -> None:
    """Examine DATASET: a suite's name (its training rows) or a JSONL file.

    Without DATASET: every suite that has training rows. What is found is remembered, so that the
    verdict knows it. A sheet with a random 50 rows is laid beside the suite, for a person to check.

    \b
    rung data query
    rung data rows.jsonl --pool unlabelled.jsonl --next label_these.jsonl
    rung data --calibrate pairs.csv
    rung data query-lora --template
    rung data make --help      make rows from documents, by rewriting, from a stronger system
    """
    workspace = Workspace()
    if template:
        from harness.cli.data.templating import check_templates

        check_templates(workspace.project(), dataset, as_json=as_json)
    elif calibrate is not None:
        from harness.cli.data.calibrating import calibrate_threshold

        calibrate_threshold(workspace.project(), calibrate, as_json=as_json)
    else:
        _examine(workspace, dataset, next_file, asked, as_json=as_json)


def _examine(
    workspace: Workspace,
    dataset: str | None,
    next_file: Path | None,
    asked: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    from harness.cli.data.encoding import open_embeddings
    from harness.cli.data.examining import Asked, Examined, examine_set, sets_of

    project, catalogue = workspace.project(), workspace.catalogue()
    suites = {suite.name: suite.cases for suite in catalogue.suites.values()}
    store = open_embeddings(project)
    examined: list[Examined] = []
    for named in sets_of(project, dataset).items():
        one = examine_set(project, named, suites, store=store, asked=Asked(**asked))
        examined.append(one)
        if not as_json:
            _show(one)
    if next_file is not None:
        from harness.diversity.worklists import write_label_next

        count = write_label_next(
            [row for one in examined for row in one.report["label_next"]], next_file
        )
        click.echo(f"{count} texts to label next: {next_file}", err=as_json)
    if as_json:
        reports = {one.name: one.report for one in examined}
        click.echo(json.dumps(examined[0].report if len(examined) == 1 else reports, indent=1))


def _show(one: Any) -> None:
    from rich.console import Console

    from harness.diversity.page import print_page

    click.secho(f"{one.name or one.file}: {len(one.found.data.rows)} rows", bold=True)
    print_page(one.found, Console())
    wanted = one.found.limits.audited_rows
    audit = one.found.answers.audit
    if one.audit.is_file() and (audit.audited if audit else 0) < wanted:
        click.echo(f"To audit: fill in the column `right` of {_shown(one.audit)}\n")


def _shown(path: Path) -> str:
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)
