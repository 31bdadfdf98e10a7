"""A training job as a folder that runs by itself: rows, recipe, scripts, the project that judges it.

Plain TRL under accelerate, so that whoever runs it can read and change it; nothing of Rung is needed
to train, and what judges the result is the project's own suites, copied.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.resources import files
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined
from packaging.requirements import Requirement

from harness.beside import Beside, write_beside
from harness.config import Project
from harness.errors import ConfigError
from harness.types import SystemSpec

TEMPLATES = (
    "train.py",
    "run.sh",
    "job.slurm",
    "accelerate.yaml",
    "accelerate-cpu.yaml",
    "README.md",
)
# Of models and projects, what a job has no use for: beside these, stopped trainings and old reports.
NOT_COPIED = ("__pycache__", ".git", ".rung", "*.pyc")
CHECKPOINT = re.compile(r"checkpoint-\d+")
EXTRAS = ("local", "train", "text", "openai")
# What the machine that writes a job may lack: 4 bits need a GPU. It asks for torch from 2.4 to below 3;
# transformers 5 asks for 0.46.1 of it or later.
STATED: Mapping[str, str] = {"bitsandbytes": "0.50.2"}
STAGES: Mapping[str, tuple[str, ...]] = {"sft": ("sft",), "dpo": ("dpo",), "both": ("sft", "dpo")}
DPO_DEFAULTS = {"num_train_epochs": 1, "beta": 0.1}

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a job is to do."""

    suite: str
    sentence: str  # the verdict's
    system: SystemSpec  # as it will be judged
    general: tuple[str, SystemSpec] | None  # the same on the suite of general skills
    method: str  # sft | dpo | both
    rows: Mapping[str, Sequence[Row]]  # by stage, in TRL's conversational form
    of: Mapping[str, int]  # rows before cleaning, by stage
    recipe: Mapping[str, Any]  # peft, quantize, trainer
    identity: str  # of the base model
    validation: Mapping[str, Sequence[Row]] = field(
        default_factory=dict
    )  # by stage, for the losses
    not_compared: int = 0  # rows whose own prompts fit no input of the system
    max_length: int | None = None  # tokens that the base model reads; None: not known here
    parameters: int | None = None
    estimates: Sequence[Mapping[str, Any]] = ()
    verdict: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    @property
    def stages(self) -> tuple[str, ...]:
        """Trainings, one after the other."""
        return STAGES[self.method]


def write_job(folder: Path, job: Job, project: Project) -> Path:
    """Write the job's folder.

    Raises
    ------
    ConfigError
        The folder is there already and holds something, a stage has no rows, or the project reads
        what the job's folder could not hold.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError("this folder is not empty", file=folder, key="--out")
    for stage in job.stages:
        if not job.rows.get(stage):
            wanted = "a desired output" if stage == "sft" else "a better and a worse answer"
            raise ConfigError(f"there are no rows with {wanted}: {stage} cannot be trained")
    _check_validation(job)
    inside, outside = _named_paths(job, project)
    folder.mkdir(parents=True, exist_ok=True)
    _copy_project(folder / "project", project, inside)
    _copy_packages(folder / "rung")
    data = {stage: _write_rows(folder, stage, job) for stage in job.stages}
    source = _source(job.system, project, folder / "project")
    _write_json(
        folder / "job.json",
        {
            "suite": job.suite,
            "model": {"source": source, "identity": job.identity, "parameters": job.parameters},
            "method": job.method,
            "data": data,
            "seed": job.seed,
            "rung_version": _version("rung"),
            "verdict": dict(job.verdict),
        },
    )
    (folder / "recipe.yaml").write_text(_recipe(job), "utf-8")
    (folder / "requirements.txt").write_text("\n".join(_pinned(job)) + "\n", "utf-8")
    _render_all(folder, job, {"data": data, "outside": outside, "model": source})
    _write_judged(folder, job)
    return folder


def _check_validation(job: Job) -> None:
    """Refuse to look at the loss of held-out rows where none are held out."""
    own = job.recipe.get("method", "sft")
    asked = (job.recipe.get("trainer") or {}).get("eval_strategy", "no")
    if own in job.stages and asked != "no" and not job.validation.get(own):
        raise ConfigError(
            f"the recipe says eval_strategy: {asked}, and no row for {own} is held out to do it on",
            key="trainer.eval_strategy",
            hint="Say `validation: 0.05` in the recipe (or more), or leave eval_strategy out.",
        )


def _write_rows(folder: Path, stage: str, job: Job) -> dict[str, Any]:
    entry = {**_write_jsonl(folder, stage, job.rows[stage]), "of": job.of[stage]}
    if held := job.validation.get(stage):
        entry["validation"] = _write_jsonl(folder, f"{stage}-validation", held)
    return entry


def _write_jsonl(folder: Path, name: str, rows: Sequence[Row]) -> dict[str, Any]:
    file = f"data/{name}.jsonl"
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
    (folder / "data").mkdir(exist_ok=True)
    (folder / file).write_bytes(content)
    return {"file": file, "sha256": hashlib.sha256(content).hexdigest(), "rows": len(rows)}


def _recipe(job: Job) -> str:
    """TRL's and PEFT's fields by stage."""
    own = job.recipe.get("method", "sft")
    trainer = dict(job.recipe.get("trainer") or {})
    fields: dict[str, Any] = {
        "peft": job.recipe.get("peft"),
        "quantize": job.recipe.get("quantize"),
    }
    for stage in job.stages:
        other = DPO_DEFAULTS if stage == "dpo" else {}
        shared = (
            "per_device_train_batch_size",
            "gradient_accumulation_steps",
            "max_length",
            "max_steps",
        )
        kept = {key: trainer[key] for key in shared if key in trainer}
        fields[stage] = {**_implied(job, stage), **(trainer if stage == own else other | kept)}
    head = "# TRL's SFTConfig and DPOConfig, PEFT's configuration: their own field names.\n"
    return head + str(yaml.safe_dump(fields, sort_keys=False))


def _implied(job: Job, stage: str) -> dict[str, Any]:
    """What `rung train` says where the recipe does not: TRL's own would cut longer rows."""
    implied: dict[str, Any] = {}
    if job.max_length is not None:
        implied["max_length"] = job.max_length
    if job.validation.get(stage):
        implied["eval_strategy"] = "epoch"
    return implied


def _write_judged(folder: Path, job: Job) -> None:
    """The file of `--beside`: the result as one more system of its suites."""
    last = job.stages[-1]
    suites = {job.suite: (_judged(job, job.system, f"out/{last}"),)}
    if job.general is not None:
        suite, spec = job.general
        suites[suite] = (_judged(job, spec, f"out/{last}-general"),)
    file = folder / "judged.json"
    write_beside(file, Beside(suites=suites))


def _judged(job: Job, spec: SystemSpec, out: str) -> SystemSpec:
    """A system with what the job trains; paths are relative, for the folder may be moved."""
    options = {k: v for k, v in spec.options.items() if k != "variant"}
    model = spec.model
    if job.recipe.get("peft") is not None:
        options["adapter"] = f"../../{out}"
    elif model is not None:
        model = replace(model, source=f"../../{out}")
    return SystemSpec(
        name=spec.name,
        kind="rag" if spec.kind == "rag" else "fine_tuned",
        rung="fine_tuned",
        folder=Path("project/evals"),
        model=model,
        options=options,
        encoder=spec.encoder,
    )


def _named_paths(job: Job, project: Project) -> tuple[list[Path], list[str]]:
    """What rung.yaml and the job read outside of evals/: inside the project, and elsewhere by absolute paths.

    Raises
    ------
    ConfigError
        A relative path leads out of the project: from the job's folder it would lead elsewhere.
    """
    texts = set(_texts(yaml.safe_load(project.file.read_text("utf-8-sig"))))
    if job.system.model is not None:
        texts.add(job.system.model.source)
    inside, outside, folder = [], [], project.folder.resolve()
    for text in sorted(texts):
        if not text.startswith((".", "/", "~/")):
            continue
        path = project.folder / Path(text).expanduser()
        if not os.path.exists(path):
            continue
        path = path.resolve()
        # Within evals/ it is copied anyway; and a text such as ".." above it is no file to be read.
        if path.is_relative_to(folder) or folder.is_relative_to(path):
            continue
        if not text.startswith("."):
            outside.append(text)
        elif path.is_relative_to(project.root.resolve()):
            inside.append(path)
        else:
            raise ConfigError(
                f"'{text}' lies outside the project: the job, which may be moved, would not find it",
                file=project.file,
                hint=f"Move it into {project.root}: then it is copied into the job, however large. "
                "Or give its absolute path, which must be the same on the machine that trains; or a "
                "model's hub id.",
            )
    return inside, outside


def _copy_project(to: Path, project: Project, named: Sequence[Path]) -> None:
    """Copy the suites and what else of the project they read."""
    root = project.root.resolve()
    ignore = _ignored(root)
    shutil.copytree(project.folder, to / "evals", ignore=ignore)
    for name in ("conftest.py", "evals/conftest.py"):
        if (project.root / name).is_file():
            shutil.copy2(project.root / name, to / name)
    baseline = project.root / "reports" / "baseline"
    if baseline.is_dir():
        shutil.copytree(baseline, to / "reports" / "baseline")
    for path in named:
        copy = to / path.relative_to(root)
        if path.is_dir():
            shutil.copytree(path, copy, ignore=ignore, dirs_exist_ok=True)
        else:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)


def _ignored(root: Path) -> Callable[[str, list[str]], set[str]]:
    """What `shutil.copytree` leaves out of a folder."""
    always = shutil.ignore_patterns(*NOT_COPIED)

    def ignored(folder: str, names: list[str]) -> set[str]:
        place = Path(folder)
        left_out = {n for n in names if CHECKPOINT.fullmatch(n) and (place / n).is_dir()}
        if place.resolve() == root:
            left_out.add("reports")
        return left_out | always(folder, names)

    return ignored


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _source(spec: SystemSpec, project: Project, copied: Path) -> str:
    """Where the job finds its base model: a folder of its own, or the hub id."""
    assert spec.model is not None
    source = spec.model.source
    path, root = spec.path(source), project.root.resolve()
    if not source.startswith(("/", "~")) and path.is_dir() and path.is_relative_to(root):
        return (Path(copied.name) / path.relative_to(root)).as_posix()
    return source


def _copy_packages(to: Path) -> None:
    """The engine itself, as it is here: the judge must not change with the machine."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for package in ("harness", "systems"):
        shutil.copytree(Path(str(files(package))), to / package, ignore=ignore)
    launcher = Path(str(files("harness"))).parent / "rung.py"
    if launcher.is_file():
        shutil.copy2(launcher, to / "rung.py")


def _pinned(job: Job) -> list[str]:
    """Every package that the job needs, at the versions that are installed here."""
    names = {"torch", "transformers", "trl", "peft", "accelerate", "datasets", "pyyaml"}
    for text in requires("rung") or ():
        requirement = Requirement(text)
        wanted = requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in EXTRAS
        )
        if wanted and requirement.name != "rung":
            names.add(requirement.name)
    if job.recipe.get("quantize"):
        names.add("bitsandbytes")
    versions = {name: _version(name) or STATED.get(name) for name in sorted(names)}
    # A wheel's local label (+cpu, +cu128) names a build, not a version.
    return [f"{n}=={v.partition('+')[0]}" for n, v in versions.items() if v is not None]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def _environment() -> Environment:
    return Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )  # shell, YAML and Markdown: nothing here is HTML


def _render_all(folder: Path, job: Job, more: Mapping[str, Any]) -> None:
    own = "full" if job.recipe.get("peft") is None else "lora"
    own = "qlora" if job.recipe.get("quantize") else own
    mine = [e for e in job.estimates if e["tuning"] == own] or list(job.estimates)
    fastest = min(mine, key=lambda e: e["gpu_hours"], default=None)
    values = {
        "suite": job.suite,
        "sentence": job.sentence,
        "system": job.system.name,
        "stages": job.stages,
        "parameters": job.parameters,
        "estimates": mine,
        "gpu": fastest["gpu"] if fastest else "GPU",
        "gpus": fastest["gpus"] if fastest else 1,
        "nodes": 1,
        "sharded": bool(mine) and min(e["gpus"] for e in mine) > 1,
        "hours": max(round(3 * fastest["hours"]), 1) if fastest else 24,
        **more,
    }
    for name in TEMPLATES:
        template = (files("harness") / "escalation" / "job_files" / f"{name}.j2").read_text("utf-8")
        (folder / name).write_text(_environment().from_string(template).render(values), "utf-8")
    (folder / "run.sh").chmod(0o755)


def _write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
