"""The systems that a pilot compares, made of those in rung.yaml."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.run import Suite
from harness.types import SystemSpec

RECORD = "rung.json"


def tuned(spec: SystemSpec, adapter: Path, *, name: str) -> SystemSpec:
    """The system that is piloted, with the adapter of one training."""
    return replace(spec, name=name, options={**spec.options, "adapter": str(adapter)})


def many_shot(spec: SystemSpec, rows: Path, k: int) -> SystemSpec:
    """A prompt system with the first `k` training rows as its examples."""
    examples = {**spec.options["examples"], "path": str(rows), "k": k}
    return replace(spec, name=f"many-shot-{k}", options={**spec.options, "examples": examples})


def on_general_skills(base: SystemSpec, adapter: Path, *, name: str) -> SystemSpec:
    """A base system of the suite of general skills, as it is, but for the adapter."""
    options = {**base.options, "adapter": str(_for_other_prompts(adapter))}
    return replace(base, name=name, kind="fine_tuned", rung="fine_tuned", options=options)


def with_model_of(spec: SystemSpec, systems: Sequence[SystemSpec]) -> list[SystemSpec]:
    """Prompt systems on the model of `spec`; one that names no model may be on it."""
    return [
        other
        for other in systems
        if other.rung == "prompt"
        and (None in (spec.model, other.model) or other.model == spec.model)
    ]


def general_of(general: Suite, spec: SystemSpec) -> SystemSpec | None:
    """The prompt system on general skills that tuning is compared with: same model, champion first."""
    found = [s for s in with_model_of(spec, general.systems) if s.model is not None]
    champion = [s for s in found if s.name == general.champion]
    return next(iter((*champion, *found)), None)


def _for_other_prompts(adapter: Path) -> Path:
    """A copy without samples: they hold the task's prompt to training, and this is another task."""
    copy = adapter.with_name(f"{adapter.name}-general")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(adapter, copy)
    record = copy / RECORD
    if record.is_file():
        content = json.loads(record.read_text("utf-8"))
        record.write_text(json.dumps({**content, "samples": []}) + "\n", "utf-8")
    return copy
