"""`rung escalate`: write the GPU job, when the verdict says that it was earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from harness.cli.subject import Subject, find_subject
from harness.cli.verdict import labelled, stale_notes
from harness.cli.workspace import Workspace
from harness.config import Project
from harness.economics import read_prices
from harness.errors import ConfigError
from harness.escalation import rejudge
from harness.escalation.evidence import Training
from harness.escalation.job import Job, write_job
from harness.escalation.verdict import hardware
from harness.pilot.variants import general_of
from harness.store import read_document
from harness.types import ModelSpec, SystemSpec, Verdict
from systems.fingerprint import base_identity
from systems.prepared_rows import RowPreparer
from systems.prompt import PromptSystem
from systems.recipe import Recipe, read_recipe
from systems.rows import read_objects
from systems.split import without_test
from systems.untrained import prompts_of, training_size

METHODS = ("sft", "dpo", "both")
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Write the GPU job that was earned.")
@click.argument("target", metavar="SUITE|SYSTEM")
@click.option("--run", default="latest", show_default=True, help="The run with the verdict.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: jobs/SUITE.")
@click.option("--method", type=click.Choice(METHODS), help="Default: what the verdict says.")
@click.option("--pairs", type=FILE, help="Preference pairs for dpo: prompt, chosen, rejected.")
@click.option("--model", help="Train this base model instead: a hub id or a folder.")
@click.option("--anyway", is_flag=True, help="Whatever the verdict says.")
def escalate(
    target: str,
    run: str,
    out: Path | None,
    method: str | None,
    pairs: Path | None,
    model: str | None,
    anyway: bool,
) -> None:
    """Write a job that trains a SYSTEM of a SUITE on GPUs and judges it with the same evals.

    The folder runs by itself: rows, recipe, scripts for one GPU, several, several machines.

    \b
    rung escalate query && bash jobs/query/run.sh
    rung escalate query --model your-org/larger-model --anyway
    """
    workspace = Workspace()
    subject = find_subject(workspace, target)
    suite, project = subject.suite, subject.suite.project
    verdict, note = _verdict(workspace, run, suite.name)
    if verdict is not None and verdict.action != "escalate_to_gpu" and not anyway:
        raise ConfigError(
            f"the verdict on '{suite.name}' is {verdict.action}, not escalate_to_gpu: {verdict.sentence}",
            hint=f"Next: {verdict.next_step.get('do')}. Or say --anyway.",
        )
    if note is not None and not anyway:
        raise ConfigError(note, hint="Or say --anyway.")
    if verdict is None and not anyway:
        raise ConfigError(
            f"there is no verdict on '{suite.name}' yet",
            hint="Run `pytest evals/` first, or say --anyway.",
        )
    wish = method or (verdict.next_step.get("method") if verdict is not None else None)
    job = _job(workspace, subject, _model(subject, model), pairs=pairs, method=wish)
    if verdict is not None:
        kept = {name: asdict(verdict)[name] for name in ("action", "row", "sentence", "conditions")}
        job = replace(job, sentence=verdict.sentence, verdict=kept)
    folder = write_job(out or workspace.root / "jobs" / suite.name, job, project)
    counts = ", ".join(f"{len(job.rows[s]):,} of {job.of[s]:,} rows for {s}" for s in job.stages)
    click.echo(f"written: {folder} ({counts}); run it with: bash {folder}/run.sh")


def _verdict(workspace: Workspace, run: str, suite: str) -> tuple[Verdict | None, str | None]:
    """The verdict, as `rung verdict` gives it, and what has changed since."""
    if run == "latest" and not (workspace.store.reports / "latest").exists():
        return None, None
    document = read_document(workspace.store.find(run))
    row = next((row for row in document["verdicts"] if row["suite"] == suite), None)
    if row is None:
        return None, None
    rows = labelled(workspace, run, document, [row])
    return rejudge(rows[0]), stale_notes(document, rows, workspace).get(suite)


def _model(subject: Subject, source: str | None) -> SystemSpec:
    """The system to be trained, on another base model where one is named."""
    assert subject.system is not None
    if source is None:
        return subject.system
    return replace(
        subject.system,
        model=ModelSpec(name="target", kind="transformers", source=source),
    )


def _job(
    workspace: Workspace,
    subject: Subject,
    spec: SystemSpec,
    *,
    pairs: Path | None,
    method: str | None,
) -> Job:
    recipe = read_recipe(spec)
    rows = without_test(_clean_rows(workspace, subject, recipe.data), recipe)
    by_stage = _by_stage(prompts_of(spec), recipe, rows, pairs)
    total = len(read_objects(recipe.data, key="data"))
    method = method or ("both" if by_stage["sft"] and by_stage["dpo"] else recipe.method)
    named = replace(spec, name=f"{spec.name}-trained")
    general = None
    if subject.general is not None and subject.system is not None:
        base = general_of(subject.general, subject.system)
        if base is not None:
            skilled = replace(base, name=f"{named.name}-general", model=spec.model)
            general = (subject.general.name, skilled)
    size = training_size(spec, recipe.data)
    return Job(
        suite=subject.suite.name,
        sentence="Written without a verdict (--anyway).",
        system=named,
        general=general,
        method=method,
        rows=by_stage,
        of={"sft": total, "dpo": max(total, len(by_stage["dpo"]))},
        recipe=recipe.fields,
        identity=base_identity(spec),
        parameters=size["parameters"] if size is not None else None,
        estimates=_estimates(size, len(rows), subject.suite.project),
    )


def _estimates(
    size: dict[str, Any] | None, rows: int, project: Project
) -> Sequence[Mapping[str, Any]]:
    if size is None:
        return ()
    prices = project.decision.prices
    gpus = dict(read_prices(project.folder / prices).gpus) if prices is not None else {}
    return hardware(Training(**size, gpus=gpus), rows)


def _clean_rows(workspace: Workspace, subject: Subject, file: Path) -> list[Mapping[str, Any]]:
    """The rows without near-copies, cases of a suite and rows that lack something."""
    from harness.cli.data.encoding import open_embeddings
    from harness.cli.data.examining import Asked, examine_set

    project = subject.suite.project
    suites = {suite.name: suite.cases for suite in workspace.catalogue().suites.values()}
    store = open_embeddings(project)
    examined = examine_set(project, (subject.suite.name, file), suites, store=store, asked=Asked())
    kept = {examined.found.data.rows[i].line for i in examined.found.clean_rows}
    return [row for row in read_objects(file, key="data") if row.line in kept]


def _by_stage(
    prompts: PromptSystem, recipe: Recipe, rows: Sequence[Mapping[str, Any]], pairs: Path | None
) -> dict[str, Sequence[Mapping[str, Any]]]:
    """What each stage could train on, in TRL's conversational form."""
    sft, dpo = replace(recipe, method="sft"), replace(recipe, method="dpo")
    answered = [row for row in rows if _answer(row) is not None]
    paired = _trained_rows(prompts, dpo, [row for row in rows if "rejected" in row])
    if pairs is not None:
        paired += _trained_rows(prompts, replace(dpo, data=pairs), _pairs(pairs))
    return {"sft": _trained_rows(prompts, sft, answered), "dpo": paired}


def _answer(row: Mapping[str, Any]) -> Any:
    return next((row[k] for k in ("completion", "expected_output") if row.get(k) is not None), None)


def _trained_rows(
    prompts: PromptSystem, recipe: Recipe, rows: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Rows in TRL's conversational form, and what their prompts are rendered from."""
    return [{**row.example, **row.source} for row in RowPreparer(prompts, recipe).prepare(rows)]


def _pairs(file: Path) -> Sequence[Mapping[str, Any]]:
    objects = read_objects(file, key="--pairs")
    for row in objects:
        if not {"prompt", "chosen", "rejected"} <= row.keys():
            raise ConfigError(
                "a pair has prompt, chosen and rejected", file=file, line=row.line, key="--pairs"
            )
    return objects
