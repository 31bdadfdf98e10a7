"""`rung data make`: rows from documents, by rewriting, and from a stronger system."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from harness.cli.data.assertions import SuiteAssertions
from harness.cli.data.encoding import open_embeddings
from harness.cli.data.sources import Source, ask_system, read_documents, rows_by_page
from harness.cli.workspace import Workspace
from harness.diversity.changes import load_changes, perturbed
from harness.diversity.leakage import Item, LeakLimits
from harness.diversity.making import (
    Made,
    distilled,
    keep,
    requests,
    rewrite_requests,
    row_to_json,
    rows_from_outputs,
)
from harness.errors import ConfigError, nearest
from harness.training_check import training_rows
from harness.training_rows import TrainingRow, rows_of_cases

if TYPE_CHECKING:
    from harness.run import Suite

FILE = click.Path(path_type=Path, dir_okay=False)
SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What should be made of what, as the options say it."""

    documents: Path | None
    rewrite: bool
    inputs: Path | None
    system: str | None
    template: Path | None
    changes: Path | None
    each: int
    limit: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Rows before anything was refused, and what did not even become a row."""

    rows: Sequence[TrainingRow]
    asked: int = 0
    unanswered: Sequence[str] = ()  # reasons
    expected: dict[str, str | None] | None = field(default=None)  # of distilled rows, by source


@click.command(short_help="Make training rows.")
@click.argument("suite")
@click.option("--documents", type=click.Path(path_type=Path), help="A folder or file of texts.")
@click.option("--rewrite", is_flag=True, help="Rewrite the suite's training rows.")
@click.option("--inputs", type=FILE, help="Rows whose outputs a stronger system shall write.")
@click.option("--system", metavar="NAME", help="A system of rung.yaml that writes.")
@click.option("--template", type=FILE, help="With --documents: Jinja that writes `Q:` and `A:`.")
@click.option("--changes", type=FILE, help="With --rewrite: a CSV old,new[,old_output,new_output].")
@click.option("--each", type=click.IntRange(min=1), default=1, help="Changes of one row at most.")
@click.option("--limit", type=click.IntRange(min=1), help="Ask for so many at most.")
@click.option("--out", type=FILE, help="Default: beside the training rows, <name>.made.jsonl.")
@click.option("--refused", type=FILE, help="Write what was refused, with reasons, as JSONL.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def make(suite: str, out: Path | None, refused: Path | None, as_json: bool, **wish: Any) -> None:
    """Make training rows for SUITE. Kept is what passes the suite's own assertions, is no copy, and
    holds no eval case; where each row comes from is written into its metadata.

    \b
    rung data make support --documents handbook/ --system writer
    rung data make query --rewrite --changes changes.csv --each 3
    rung data make query --inputs label_these.jsonl --system bigger
    """
    maker = _Maker(Workspace(), suite)
    place = out or maker.default_out
    if place.exists():
        raise ConfigError("this file is there already", file=place, hint="Name another: --out FILE")
    found = maker.candidates(Wish(**wish))
    assertions = SuiteAssertions(maker.suite, found.expected)
    made = maker.keep(found.rows, assertions)
    _write(place, [row_to_json(row) for row in made.kept])
    if refused is not None:
        _write(refused, [{**row_to_json(r.row), "refused": r.reason} for r in made.refused])
    _tell(found, made, assertions, place=place, as_json=as_json)


class _Maker:
    """Makes rows for one suite."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self.project = workspace.project()
        self.suites = {s.name: s for s in workspace.catalogue().suites.values()}
        if name not in self.suites:
            raise ConfigError(f"no suite is called '{name}'. {nearest(name, self.suites)}")
        self.suite: Suite = self.suites[name]
        training = self.suite.config.training
        self.training = None if training is None else self.project.folder / training

    @property
    def default_out(self) -> Path:
        """Beside the training rows, or beside the cases where there are none yet."""
        file = self.training or self.suite.cases_file
        return file.with_name(f"{file.stem}.made.jsonl")

    @property
    def existing(self) -> tuple[TrainingRow, ...]:
        """The training rows that there are."""
        if self.training is None or not self.training.is_file():
            return ()
        return training_rows(self.project, self.training)

    def candidates(self, wish: Wish) -> Candidates:
        """Make rows of one of the three sources."""
        _check(wish)
        if wish.documents is not None:
            return self._of_documents(wish.documents, wish)
        if wish.rewrite:
            return self._rewritten(wish)
        assert wish.inputs is not None
        rows = training_rows(self.project, wish.inputs)[: wish.limit]
        source = Source.of_rows(rows)
        outputs, unanswered = ask_system(self.project, wish.system, source.cases)
        return Candidates(
            rows=list(distilled(source.cases, outputs, system=str(wish.system))),
            asked=len(source.cases),
            unanswered=unanswered,
            expected=source.expected,
        )

    def _of_documents(self, place: Path, wish: Wish) -> Candidates:
        pages = read_documents(place)[: wish.limit]
        if wish.template is not None:
            rows = rows_by_page(pages, wish.template)
            return Candidates(rows=rows, asked=len(pages))
        cases = requests(pages)
        outputs, unanswered = ask_system(self.project, wish.system, cases)
        rows = list(rows_from_outputs(outputs, system=str(wish.system)))
        return Candidates(rows=rows, asked=len(cases), unanswered=unanswered)

    def _rewritten(self, wish: Wish) -> Candidates:
        rows = self.existing[: wish.limit]
        if not rows:
            raise ConfigError(
                f"the suite '{self.suite.name}' has no training rows to rewrite", key="--rewrite"
            )
        if wish.changes is not None:
            changes, rng = load_changes(wish.changes), np.random.default_rng(SEED)
            made = list(perturbed(rows, changes, rng=rng, each=wish.each))
            return Candidates(rows=made, asked=len(rows))
        cases = rewrite_requests(rows)
        outputs, unanswered = ask_system(self.project, wish.system, cases)
        made = list(rows_from_outputs(outputs, system=str(wish.system), rewritten=cases))
        return Candidates(rows=made, asked=len(cases), unanswered=unanswered)

    def keep(self, rows: Sequence[TrainingRow], assertions: SuiteAssertions) -> Made:
        """Keep what passes, is no copy of another row, and holds no case of any suite."""
        cases = rows_of_cases(case for suite in self.suites.values() for case in suite.cases)
        limits = LeakLimits()
        return keep(
            rows,
            existing=self.existing,
            cases=[Item(input=case.input, answer=case.output) for case in cases],
            encoder=open_embeddings(self.project),
            predicates=[assertions],
            limits=limits,
        )


def _check(wish: Wish) -> None:
    """Refuse options that do not go together, before anything is asked."""
    sources = [wish.documents is not None, wish.rewrite, wish.inputs is not None]
    if sum(sources) != 1:
        raise ConfigError(
            "say what rows are made of: --documents PLACE, --rewrite or --inputs FILE",
            hint="One of the three. `rung data make --help` has an example of each.",
        )
    rule = wish.template if wish.documents is not None else wish.changes
    name = "--template FILE" if wish.documents is not None else "--changes FILE"
    if wish.inputs is not None and wish.system is None:
        raise ConfigError("say who writes the outputs: --system NAME", key="--inputs")
    if wish.inputs is None and (rule is None) == (wish.system is None):
        raise ConfigError(f"say who writes: --system NAME, or {name}")


def _write(place: Path, rows: Sequence[dict[str, Any]]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # Escaped beyond ASCII: texts of unknown origin may hold lone surrogates.
    place.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")


def _tell(
    found: Candidates, made: Made, assertions: SuiteAssertions, *, place: Path, as_json: bool
) -> None:
    reasons = Counter(refused.reason.partition(":")[0] for refused in made.refused)
    numbers = {
        "asked": found.asked,
        "unanswered": len(found.unanswered),
        "made": len(found.rows),
        "kept": len(made.kept),
        "refused": dict(reasons.most_common()),
        "checked": sorted(set(assertions.metrics) - assertions.unchecked),
        "unchecked": sorted(assertions.unchecked),
        "file": str(place),
    }
    if as_json:
        click.echo(json.dumps(numbers, indent=1))
        return
    asked = f"{found.asked:,} asked for, {len(found.rows):,} rows made"
    if found.unanswered:
        asked += f"; {len(found.unanswered):,} without an answer, such as: {found.unanswered[0]}"
    click.echo(asked)
    click.secho(f"kept {len(made.kept):,}: {place}", bold=True)
    for reason, count in reasons.most_common():
        example = next(r.reason for r in made.refused if r.reason.partition(":")[0] == reason)
        click.echo(f"  refused {count:,}: {example}")
    if assertions.unchecked:
        click.echo(f"  not checked by: {', '.join(sorted(assertions.unchecked))}")
