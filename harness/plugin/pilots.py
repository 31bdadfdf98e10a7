"""What a run reads of pilots that were committed, and how large the step would be that they speak of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from harness.cases import content_hash
from harness.config import Project, State
from harness.economics import read_prices
from harness.errors import ConfigError, RungError
from harness.measured import metrics_in_source
from harness.pilot import digest, record_rows
from harness.pilot.standing import OF_SYSTEMS, SKILLS, skills_digest
from harness.store import Document
from harness.suites import Catalogue
from harness.training_check import file_hash
from harness.types import SystemSpec


def pilot_rows(document: Document, project: Project) -> list[dict[str, Any]]:
    """Rows of run.json's `pilots`, each with what it stands on and is another now."""
    by_name = {suite["name"]: suite for suite in document["suites"]}

    def present(record: Mapping[str, Any]) -> dict[str, str]:
        return _present(record, by_name, project)

    return record_rows(project, list(by_name), present)


def _present(
    record: Mapping[str, Any], suites: Mapping[str, Mapping[str, Any]], project: Project
) -> dict[str, str]:
    """The hashes of now that the record stands on."""
    from systems.untrained import training_basis

    wanted, suite = record["stands_on"], suites[record["suite"]]
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
    skills = record.get("general")
    if skills is not None and config is not None and config.retained == skills["suite"]:
        row = suites.get(skills["suite"]) or _row_of_files(skills, project)
        if row is not None:
            found[SKILLS] = skills_digest(row, skills["metrics"])
    return found | dict(_fingerprints(wanted, project))


def _row_of_files(skills: Mapping[str, Any], project: Project) -> dict[str, Any] | None:
    """What run.json would say of the general skills, where this run left them out."""
    catalogue = Catalogue()
    with suppress(RungError):  # a suite that cannot be read is told by the run that asks for it
        catalogue.find([project.folder])
    suite = next((s for s in catalogue.suites.values() if s.name == skills["suite"]), None)
    if suite is None:
        return None
    before: Mapping[str, str] = skills["metrics"]
    now = metrics_in_source(suite, before)
    return {
        "name": suite.name,
        "content_hash": content_hash(suite.cases),
        "split": suite.config.split,
        "cluster": suite.cluster,
        # A metric that is imported has no version that could be known without a run.
        "metrics": {name: now[name] or version for name, version in before.items() if name in now},
    }


def _fingerprints(wanted: Iterable[str], project: Project) -> Iterator[tuple[str, str]]:
    """Systems as they are now, of those that a record stands on."""
    from systems.fingerprint import fingerprint

    for name in wanted:
        for beginning in OF_SYSTEMS:
            spec = project.systems.get(name.removeprefix(beginning))
            if name.startswith(beginning) and spec is not None:
                with suppress(ConfigError):  # as above
                    yield name, fingerprint(spec, memo=State(project.root).hashes).digest


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
