"""`rung pilot`: would tuning reach the target? A small LoRA at nested sizes, judged by the suite itself."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

import click
from click.core import ParameterSource

from harness.cli.bench import Bench
from harness.cli.subject import find_subject
from harness.cli.workspace import Workspace
from harness.errors import ConfigError
from harness.pilot import (
    describe,
    read_record,
    read_sizes,
    record_file,
    trainings,
    usual_sizes,
    write_record,
)

SHOTS = "4,16,64"
OF_TRAININGS = ("sizes", "seeds", "shots")  # options that systems tuned elsewhere have no use for


@click.command(short_help="Would tuning reach the target?")
@click.argument("target", metavar="SYSTEM|SUITE")
@click.option("--sizes", help="Training rows, such as 50,100,200,400. Default: four, up to all.")
@click.option("--seeds", type=int, default=3, show_default=True, help="Trainings at the largest.")
@click.option("--shots", default=SHOTS, show_default=True, help="Examples in many-shot prompts.")
@click.option(
    "--import",
    "imports",
    multiple=True,
    metavar="SIZE=SYSTEM",
    help="A system tuned elsewhere on so many rows (repeat).",
)
@click.option("--smaller", type=float, help="The pilot's model is so many times the smaller one.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def pilot(
    target: str,
    sizes: str | None,
    seeds: int,
    shots: str,
    imports: tuple[str, ...],
    smaller: float | None,
    as_json: bool,
) -> None:
    """Train SYSTEM on nested subsets and judge each by its suite: a learning curve with its doubt.

    What was trained and judged is kept in .rung/pilot and never done twice. The result goes to
    evals/pilots/SUITE.json: commit it, and the verdict reads it.

    \b
    rung pilot query-lora --sizes 100,200,400,800
    rung pilot support --import 100=hosted-100 --import 200=hosted-200 --import 400=hosted-400
    """
    workspace = Workspace()
    if imports:
        _refuse_options_of_trainings()
    _check_smaller(smaller)
    elsewhere = _imports(imports) if imports else []
    subject = find_subject(workspace, target, tuned_elsewhere=bool(imports))
    bench = Bench(workspace=workspace, subject=subject, quiet=as_json, tuned_elsewhere=elsewhere)
    counts = [] if imports else _shots(shots)
    file = record_file(subject.suite.project, subject.suite.name)
    _clear_way(file, bench)
    if elsewhere:
        trained = bench.imported
    else:
        rows = bench.rows()
        chosen = read_sizes(sizes, len(rows)) if sizes else usual_sizes(len(rows))
        trained = bench.trained(trainings(chosen, seeds), rows)
    record = bench.conclude(trained, shots=counts, smaller=smaller)
    write_record(file, record)
    if as_json:
        click.echo(json.dumps(record, indent=1))
        return
    tolerated = subject.suite.project.decision.tolerated_loss
    for line in describe(record, target=subject.target, tolerated=tolerated):
        click.echo(line)
    click.echo(f"written: {file} (commit it; `pytest evals/` judges with it)")


def _clear_way(file: Path, bench: Bench) -> None:
    """Remove a record that cannot be read: no suite would run beside it, and it is made anew."""
    try:
        _ = read_record(file) if file.exists() else None
    except ConfigError as error:
        bench.say(f"{error}\n  It is made anew.")
        file.unlink()


def _refuse_options_of_trainings() -> None:
    """Refuse what would be read by nobody: nothing is trained where systems are imported."""
    context = click.get_current_context()
    for name in OF_TRAININGS:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise ConfigError(
                "would have no effect: --import names what was tuned elsewhere, and nothing is trained",
                key=f"--{name}",
                hint="Leave it out, or leave out --import.",
            )


def _check_smaller(times: float | None) -> None:
    if times is not None and not (math.isfinite(times) and times > 1):
        raise ConfigError(
            f"{times:g} is no number above 1: how many times smaller the pilot's model is",
            key="--smaller",
        )


def _imports(pairs: Sequence[str]) -> list[tuple[int, str]]:
    found = []
    for pair in pairs:
        text, _, name = pair.partition("=")
        rows = _count(text)
        if rows is None or not name:
            raise ConfigError(f"'{pair}' is not SIZE=SYSTEM, such as 200=tuned-200", key="--import")
        found.append((rows, name))
    names = [name for _, name in found]
    if twice := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"the system '{twice[0]}' comes twice", key="--import")
    if len({rows for rows, _ in found}) < 2:
        raise ConfigError(
            "a learning curve needs two sizes at least, four to say much", key="--import"
        )
    return found


def _shots(text: str) -> list[int]:
    counts = [_count(part) for part in text.split(",") if part]
    found = {count for count in counts if count is not None}
    if None in counts:
        raise ConfigError(f"'{text}' is no list of counts such as 4,16,64", key="--shots")
    return sorted(found)


def _count(text: str) -> int | None:
    """A number of rows; None for what is none, as '²' is, which Python takes for a digit."""
    try:
        return int(text) if text.isdecimal() and int(text) else None
    except ValueError:  # more digits than a number may have
        return None
