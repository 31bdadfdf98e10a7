"""`rung train`: train a fine-tuned system by its recipe, with TRL and PEFT."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

import systems
from harness.cli.workspace import Workspace
from harness.errors import ConfigError

MOST_SEED = 2**32 - 1  # NumPy's
SHOWN = ("loss", "eval_loss", "mean_token_accuracy")


@click.command(short_help="Train a system's adapter.")
@click.argument("system")
@click.option("--out", type=click.Path(path_type=Path), help="Default: the system's `adapter:`.")
@click.option(
    "--seed",
    type=click.IntRange(0, MOST_SEED),
    default=0,
    show_default=True,
    help="Of weights, order and split.",
)
def train(system: str, out: Path | None, seed: int) -> None:
    """Train SYSTEM as its `recipe:` says. An interrupted training is gone on from.

    \b
    rung train query-lora
    rung train query-lora --out adapters/query-seed1 --seed 1
    """
    workspace = Workspace()
    spec = workspace.project().system(system, key="SYSTEM")
    adapter = spec.options.get("adapter")
    if out is None and adapter is None:
        raise ConfigError(
            "where should the adapter go?",
            key=f"systems.{system}",
            hint="Give the system `adapter: FOLDER`, or say --out FOLDER.",
        )
    target = out or spec.path(str(adapter))
    run: Any = systems.resolve("systems.training:train", feature="rung train", extra="train")
    suites = workspace.catalogue().suites.values()
    inputs = {suite.name: [case.input for case in suite.cases] for suite in suites}
    folder = run(spec, target, seed=seed, on_log=_show, eval_inputs=inputs)
    click.echo(f"trained: {folder}")


def _show(entry: dict[str, Any]) -> None:
    """Show one line of the training's log."""
    if "rows" in entry:
        held = [f"{entry[name]} held out for {name}" for name in ("validation", "test")]
        click.echo(f"{entry['rows']} rows to train on; {', '.join(held)}")
        for suite, cases in entry.get("eval_cases", {}).items():
            click.echo(
                f"{cases} cases of the suite '{suite}' are trained on: it says little of the result"
            )
        for reason, rows in entry["not_compared"].items():
            click.echo(f"{rows} of them not compared with what inference sends: {reason}")
        if constant := entry["constant_prompt_tokens"]:
            click.echo(
                f"{constant} tokens of every prompt never change: fine-tuning can drop them "
                "(`rung data --template` shows a compact prompt)"
            )
        return
    values = [f"{name} {entry[name]:.4g}" for name in SHOWN if name in entry]
    if values:
        width = shutil.get_terminal_size().columns
        click.echo(f"step {entry['step']} of {entry['steps']}: {', '.join(values)}"[:width])
