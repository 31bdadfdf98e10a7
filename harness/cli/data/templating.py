"""`rung data --template`: is a model asked as it was trained?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import click

import systems
from harness.config import Project
from harness.errors import ConfigError, nearest


def check_templates(project: Project, name: str | None, *, as_json: bool) -> None:
    """Compare training and inference for one system, or for every one that has a recipe.

    Raises
    ------
    ConfigError
        When a system is none or has no recipe; at the first difference where one system was asked for.
    """
    specs = {key: spec for key, spec in project.systems.items() if "recipe" in spec.options}
    if name is not None and name not in specs:
        raise ConfigError(
            f"'{name}' is no system with a recipe", key="DATASET", hint=nearest(name, specs)
        )
    if not specs:
        raise ConfigError(
            "no system has a training recipe",
            file=project.file,
            hint="A fine-tuned system names one: `recipe: recipes/lora.yaml`.",
        )
    parity: Any = systems.resolve(
        "systems.training:template_parity", feature="rung data --template", extra="train"
    )
    for key in [name] if name is not None else specs:
        found = parity(specs[key])
        if as_json:
            click.echo(json.dumps({"system": key, **found}))
            continue
        for line in _told(key, found):
            click.echo(line)
        if constant := found["constant_prompt_tokens"]:
            click.echo(
                f"  {constant} tokens of every prompt never change: fine-tuning can drop them"
            )
            if compact := found["compact_prompt"]:
                click.echo(f"  a compact prompt to train on and to ask with:\n{compact}")


def _told(system: str, found: dict[str, Any]) -> Iterator[str]:
    """What was compared, and what could not be."""
    if found["compared"]:
        yield f"{system}: {found['compared']} rows, the same tokens in training and inference"
    else:
        yield f"{system}: no row could be compared with what inference sends"
    for reason, rows in found["not_compared"].items():
        yield f"  {rows} of {found['rows']} rows not compared: {reason}"
