"""`rung label`: look at outputs, say what they are, and write the files that follow from it."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import systems
from harness.cli.workspace import Workspace
from harness.errors import ConfigError, MissingExtraError, nearest

if TYPE_CHECKING:
    from harness.types import Encoder

ORDERS = ("random", "misses", "disagreements", "valuable")
EXPORTS = ("tags", "judge", "rows", "cases", "pairs")


@click.command(short_help="Label and tag outputs on a local page.")
@click.argument("run", default="latest")
@click.option("--suite", metavar="NAME", help="Default: the first suite of the run.")
@click.option("--system", metavar="NAME", help="Default: the suite's champion.")
@click.option("--order", type=click.Choice(ORDERS), default="misses", help="What comes first.")
@click.option("--metric", metavar="NAME", help="Label this metric, not the whole answer.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@click.option("--seed", type=int, default=0, help="Of the random order.")
@click.option("--who", multiple=True, metavar="NAME", help="A person; repeat it for several.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@click.option("--export", "exports", type=click.Choice(EXPORTS), multiple=True, help="Write files.")
def label(run: str, **options: Any) -> None:
    """Label outputs of RUN by keyboard; each answer is saved at once, beside the suite.

    \b
    rung label --order random --count 50
    rung label latest --suite support --system rag --who ana --who ben
    rung label --export tags --export rows      write the files, open no page
    """
    workspace = Workspace()
    outputs, suite = open_run(workspace, run, options["suite"])
    if options["metric"] is not None:
        outputs.check_metric(suite, options["metric"])
    if options["exports"]:
        for kind in options["exports"]:
            for line in _export(workspace, outputs, suite, kind, options):
                click.echo(line)
        return
    with desk_extra():
        from harness.desk.door import new_tokens
        from harness.desk.label_desk import LabelDesk, Options, label_app
        from harness.desk.serve import serve
    desk = LabelDesk(
        outputs,
        Options(
            evals=workspace.file.parent,
            suite=suite,
            system=options["system"],
            order=options["order"],
            metric=options["metric"],
            seed=options["seed"],
            count=options["count"],
            encoder=_encoder(workspace),
        ),
    )
    desk.line(desk.choice({}))  # what is wrong is told here, not in the browser
    click.echo(f"{suite} of {outputs.run_id}: open your address, Ctrl-C ends it")
    serve(
        label_app(desk),
        tokens=new_tokens(people(options["who"])),
        port=options["port"],
        say=click.echo,
    )


def open_run(workspace: Workspace, run: str, suite: str | None) -> tuple[Any, str]:
    """Read a run and choose one of its suites."""
    from harness.desk.outputs import RunOutputs

    outputs = RunOutputs(workspace.store.find(run))
    known = [name for name in outputs.suites if outputs.systems(name)]
    if not known:
        raise ConfigError("this run has no outputs", file=outputs.folder)
    if suite is not None and suite not in known:
        raise ConfigError(
            f"this run has no suite '{suite}'. {nearest(suite, known)}", key="--suite"
        )
    return outputs, suite or known[0]


def people(who: tuple[str, ...]) -> list[str]:
    """Return who answers: the names given, or the user."""
    names = list(who) or [_user()]
    if len(set(names)) != len(names) or not all(name.strip() for name in names):
        raise ConfigError("each person needs a name of their own", key="--who")
    return names


@contextmanager
def desk_extra() -> Iterator[None]:
    """Say which extra to install where a library of the desk is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in ("", "harness", "systems"):
            raise
        raise MissingExtraError("the desk", extra="desk", missing=missing) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def _encoder(workspace: Workspace) -> Callable[[], Encoder] | None:
    name = workspace.project().encoder
    folder = workspace.file.parent
    return None if name is None else lambda: systems.load_encoder(name, folder)


def _export(
    workspace: Workspace, outputs: Any, suite: str, kind: str, options: dict[str, Any]
) -> list[str]:
    from harness.desk import exports
    from harness.desk.labels import LabelBook, label_file

    evals: Path = workspace.file.parent
    book = LabelBook(label_file(evals, suite))
    book.refresh()
    system = outputs.check_system(suite, options["system"] or outputs.systems(suite)[0])
    return exports.write(
        kind,
        book,
        outputs=outputs,
        evals=evals,
        suite=suite,
        system=system,
        metric=options["metric"],
    )
