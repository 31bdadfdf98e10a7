"""A blessed system, built again from what its run keeps of it, to be asked once more.

run.json holds a system's configuration and the text of its prompts. Whatever else it named (examples,
corpus, weights, code) must still be there unchanged. The fingerprint says whether it is: a system that
is not the blessed one to the last character is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.config import Project
from harness.errors import RungError
from harness.types import Fingerprint, ModelSpec, SystemSpec

CREDENTIALS = re.compile(r"//[^/@]*@")


class CannotRebuild(Exception):
    """The system that was blessed is not there any more, and why."""


def kept(spec: SystemSpec) -> dict[str, Any]:
    """Return a system's configuration as run.json keeps it: no credentials, nothing of a machine."""
    model = spec.model
    if model is not None:
        options = dict(model.options)
        if "base_url" in options:
            options["base_url"] = CREDENTIALS.sub("//", options["base_url"])
        model = replace(model, options=options)
    return {
        "options": dict(spec.options),
        "encoder": spec.encoder,
        "model": None
        if model is None
        else {
            "name": model.name,
            "kind": model.kind,
            "source": model.source,
            "options": dict(model.options),
        },
    }


def rebuild(
    row: Mapping[str, Any],
    project: Project,
    *,
    into: Path,
    fingerprint: Callable[[SystemSpec], Fingerprint],
) -> SystemSpec:
    """Return the system of a stored run's row, under another name, or one of today's that equals it.

    Parameters
    ----------
    row
        Of `systems[]` of the stored run.
    into
        A folder for its prompts, which may have been edited since.

    Raises
    ------
    CannotRebuild
        Something that it named has changed.
    """
    for spec in project.systems.values():
        if spec.kind == row["kind"] and _digest(spec, fingerprint) == row["fingerprint"]:
            return spec
    if not isinstance(row.get("configuration"), Mapping):
        raise CannotRebuild("its run does not keep its configuration")
    try:
        spec = _spec(row, project, into / row["fingerprint"][:16])
        found = fingerprint(spec)
    except (RungError, OSError) as error:
        raise CannotRebuild(f"it cannot be built again: {error}") from None
    if found.digest != row["fingerprint"]:
        parts = row["parts"].keys() | found.parts.keys()
        changed = sorted(p for p in parts if row["parts"].get(p) != found.parts.get(p))
        raise CannotRebuild(f"its {', '.join(changed)} changed since")
    return spec


def _digest(spec: SystemSpec, fingerprint: Callable[[SystemSpec], Fingerprint]) -> str | None:
    try:
        return fingerprint(spec).digest
    except RungError:
        return None  # a system that no suite uses may name files that are not there


def _spec(row: Mapping[str, Any], project: Project, folder: Path) -> SystemSpec:
    kept, home = row["configuration"], project.folder
    for name, text in _prompts(kept["options"], row["parts"]):
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.parent.resolve()):
            raise CannotRebuild(f"its prompt lay outside the project ({name})")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode("utf-8"))
    options = {key: _elsewhere(key, value, home) for key, value in kept["options"].items()}
    return SystemSpec(
        name=f"baseline:{row['name']}",
        kind=row["kind"],
        rung=row["rung"],
        folder=folder,
        model=_model(kept["model"], project),
        options=options,
        encoder=_elsewhere("encoder", kept["encoder"], home),
    )


def _prompts(options: Mapping[str, Any], parts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield where each prompt lay and its text, with the files that it includes."""
    named = {"prompt": options["prompt"]} if "prompt" in options else {}
    for step in options.get("steps", ()):
        if "prompt" in step:
            named[f"prompt of {step['name']}"] = step["prompt"]
    for part, text in parts.items():
        first, *included = part.split(" > ")
        if first in named:
            place = Path(named[first])
            for name in included:
                place = place.parent / name
            yield str(place), text


def _elsewhere(key: str, value: Any, home: Path) -> Any:
    """Return an option whose files are looked up where rung.yaml is."""
    from systems.fingerprint import FILE_OPTIONS, is_local

    if key == "encoder" and isinstance(value, str):
        return str(home / value) if is_local(home, value) else value
    if key in FILE_OPTIONS and isinstance(value, str):
        return str(home / value)
    if key == "json_schema" and isinstance(value, str):
        return str(home / value)
    if key == "examples":
        return {**value, "path": str(home / value["path"])}
    if key == "code":
        return [str(home / path) for path in value]
    return value


def _model(row: Mapping[str, Any] | None, project: Project) -> ModelSpec | None:
    """Return the model that was asked: today's of that name while it is the same, for its key."""
    from systems.fingerprint import is_local

    if row is None:
        return None
    for spec in project.systems.values():
        now = spec.model
        if now is not None and kept(spec)["model"] == row:
            source, options = now.source, now.options
            break
    else:
        source, options = row["source"], row["options"]
    if row["kind"] == "transformers" and is_local(project.folder, source):
        source = str((project.folder / source).resolve())
        if "tokenizer" in options and is_local(project.folder, options["tokenizer"]):
            options = {**options, "tokenizer": str(project.folder / options["tokenizer"])}
    return ModelSpec(name=row["name"], kind=row["kind"], source=source, options=options)
