"""What a run reads of pilots that were committed, and how large the step would be that they speak of."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from harness.config import Project, State
from harness.economics import read_prices
from harness.errors import ConfigError
from harness.pilot import digest, record_rows
from harness.store import Document
from harness.training_check import file_hash
from harness.types import SystemSpec


def pilot_rows(document: Document, project: Project) -> list[dict[str, Any]]:
    """Rows of run.json's `pilots`, each with what it stands on and is another now."""
    by_name = {suite["name"]: suite for suite in document["suites"]}

    def present(record: Mapping[str, Any]) -> dict[str, str]:
        return _present(record, by_name[record["suite"]], project)

    return record_rows(project, list(by_name), present)


def _present(
    record: Mapping[str, Any], suite: Mapping[str, Any], project: Project
) -> dict[str, str]:
    """The hashes of now that the record stands on."""
    from systems.untrained import training_basis

    wanted = record["stands_on"]
    found: dict[str, str] = {"cases": suite["content_hash"]}
    versions = {name: suite["metrics"].get(name) for name in record.get("metrics", ())}
    found["metrics"] = digest(versions)
    system = project.systems.get(record["system"])
    if system is not None:
        with suppress(ConfigError):  # a file is gone: what it made is not there to be compared
            found |= training_basis(system, memo=State(project.root).hashes)
    config = project.suites.get(suite["name"])
    rows = record.get("rows_file") or (config.training if config is not None else None)
    if rows is not None and (project.folder / rows).is_file() and "training" in wanted:
        found["training"] = file_hash(project.folder / rows)
    return found


def steps(project: Project, suites: list[str]) -> dict[str, dict[str, Any]]:
    """Evidence about the step itself by suite: what would be trained, on which GPUs at which price."""
    from systems.untrained import training_size

    prices = project.decision.prices
    gpus = dict(read_prices(project.folder / prices).gpus) if prices is not None else {}
    found = {}
    for name in suites:
        config = project.suites.get(name)
        if config is None or config.training is None or config.target is None:
            continue
        rows = project.folder / config.training
        spec = _to_train(project, config.champion, rows)
        size = training_size(spec, rows) if spec is not None and rows.is_file() else None
        if size is not None:
            found[name] = size | ({"gpus": gpus} if gpus else {})
    return found


def _to_train(project: Project, champion: str | None, rows: Any) -> SystemSpec | None:
    """The system whose recipe trains on these rows, else the champion as it stands."""
    from systems.recipe import read_recipe

    for spec in project.systems.values():
        if "recipe" in spec.options:
            try:
                if read_recipe(spec).data == rows.resolve():
                    return spec
            except ConfigError:
                continue
    return project.systems.get(champion) if champion is not None else None
