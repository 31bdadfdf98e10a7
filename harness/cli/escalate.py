"""`rung escalate`: write the GPU job, when the verdict says that it was earned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, cast

import click

from harness.cli.job_rows import JobRows
from harness.cli.subject import Subject, find_subject
from harness.cli.verdict import labelled, stale_notes
from harness.cli.workspace import Workspace
from harness.config import Project
from harness.economics import read_prices
from harness.errors import ConfigError, MissingExtraError, RungError
from harness.escalation import rejudge
from harness.escalation.evidence import Training
from harness.escalation.job import STAGES, Job, write_job
from harness.escalation.verdict import hardware
from harness.pilot.variants import general_of
from harness.store import read_document
from harness.types import ModelSpec, SystemSpec, Verdict
from systems import resolve
from systems.fingerprint import base_identity
from systems.prepared_rows import PreparedRow
from systems.recipe import Recipe
from systems.untrained import training_size

METHODS = tuple(STAGES)
MOST_TOKENS = 1 << 17  # of a row, whatever the model could read: as in `rung train`
FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Write the GPU job that was earned.")
@click.argument("target", metavar="SUITE|SYSTEM")
@click.option("--run", default="latest", show_default=True, help="The run with the verdict.")
@click.option("--out", type=click.Path(path_type=Path), help="Default: jobs/SUITE.")
@click.option("--method", type=click.Choice(METHODS), help="Default: what the verdict says.")
@click.option(
    "--pairs", type=FILE, help="Preference pairs for dpo: input (or prompt), chosen, rejected."
)
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
    counts = ", ".join(_count(job, stage) for stage in job.stages)
    click.echo(f"written: {folder} ({counts}); run it with: bash {folder}/run.sh")
    if job.not_compared:
        click.echo(
            f"{job.not_compared} rows are not compared with what the system sends: "
            "their own prompts fit no input of it"
        )


def _count(job: Job, stage: str) -> str:
    held = len(job.validation.get(stage, ()))
    more = f" and {held:,} held out for validation" if held else ""
    return f"{len(job.rows[stage]):,} of {job.of[stage]:,} rows for {stage}{more}"


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
    rows = JobRows(workspace, subject, spec, pairs=pairs)
    method = method or rows.method
    stages = {stage: rows.stage(stage) for stage in STAGES[method]}
    recipe = _settings(rows.recipe)
    named = replace(spec, name=f"{spec.name}-trained")
    general = None
    if subject.general is not None and subject.system is not None:
        base = general_of(subject.general, subject.system)
        if base is not None:
            skilled = replace(base, name=f"{named.name}-general", model=spec.model)
            general = (subject.general.name, skilled)
    size = training_size(spec, rows.recipe.data)
    return Job(
        suite=subject.suite.name,
        sentence="Written without a verdict (--anyway).",
        system=named,
        general=general,
        method=method,
        rows={stage: _conversational(found.kept) for stage, found in stages.items()},
        validation={stage: _conversational(found.validation) for stage, found in stages.items()},
        of={stage: found.of for stage, found in stages.items()},
        not_compared=sum(found.not_compared for found in stages.values()),
        recipe=recipe.fields,
        max_length=_max_length(spec),
        identity=base_identity(spec),
        parameters=size["parameters"] if size is not None else None,
        estimates=_estimates(size, len(rows.kept), subject.suite.project),
    )


def _conversational(rows: Sequence[PreparedRow]) -> list[dict[str, Any]]:
    """Rows in TRL's conversational form, and what their prompts are rendered from."""
    return [{**row.example, **row.source} for row in rows]


def _settings(recipe: Recipe) -> Recipe:
    """The recipe with its fields as the trainer takes them; as they stand where TRL is not here."""
    try:
        checked: Any = resolve("systems.job_settings:job_settings", feature="", extra="train")
    except MissingExtraError:
        return recipe
    return cast("Recipe", checked(recipe))


def _max_length(spec: SystemSpec) -> int | None:
    """Tokens of a row, as `rung train` takes them; None where the base model is not here."""
    try:
        window: Any = resolve("systems.window:ModelWindow", feature="", extra="local")
        return min(window(spec).tokens or MOST_TOKENS, MOST_TOKENS)
    except RungError:
        return None


def _estimates(
    size: dict[str, Any] | None, rows: int, project: Project
) -> Sequence[Mapping[str, Any]]:
    if size is None:
        return ()
    prices = project.decision.prices
    gpus = dict(read_prices(project.folder / prices).gpus) if prices is not None else {}
    return hardware(Training(**size, gpus=gpus), rows)
