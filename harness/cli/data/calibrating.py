"""`rung data --calibrate`: from which cosine on two rows are the same, for this encoder and language."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from harness.cli.data.encoding import open_embeddings
from harness.config import Project
from harness.diversity import Limits
from harness.diversity.calibration import PRECISION, Calibration, calibrate, load_pairs
from harness.errors import CaseError

if TYPE_CHECKING:
    from harness.types import Estimate

SEED = 0


def calibrate_threshold(project: Project, pairs_file: Path, *, as_json: bool) -> None:
    """Print the threshold of each language style and what it is worth; say where it goes."""
    pairs = load_pairs(pairs_file)
    if not pairs:
        raise CaseError("there are no pairs in this file", file=pairs_file)
    found = calibrate(
        pairs,
        encoder=open_embeddings(project),
        rng=np.random.default_rng(SEED),
        shipped=project.duplicate_cosine or Limits().duplicate_cosine,
    )
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=1))
        return
    for one in found:
        _show(one)
    best = found[0].threshold
    if best is not None and found[0].is_enough:
        click.echo(f"In rung.yaml:\n    data: {{duplicate_cosine: {best:.3f}}}")


def _show(one: Calibration) -> None:
    click.secho(f"{one.style}: {one.pairs} pairs, {one.duplicates} of them the same", bold=True)
    if not one.is_enough:
        click.echo("  too few pairs to rest on: label at least 100")
    if one.threshold is None:
        click.echo(f"  no cosine from which on {PRECISION:.0%} of the pairs are the same")
    else:
        click.echo(f"  threshold {one.threshold:.3f}")
        click.echo(f"    precision {_rate(one.precision)}; held out {_rate(one.held_out)}")
        click.echo(f"    finds     {_rate(one.recall)} of the same ones")
    click.echo(f"  now {one.now.threshold:.3f}")
    click.echo(f"    precision {_rate(one.now.precision)}")
    click.echo(f"    finds     {_rate(one.now.recall)} of the same ones")


def _rate(estimate: Estimate) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "no data"
    return f"{estimate.value:.0%} ({estimate.low:.0%} to {estimate.high:.0%})"
