"""Training recipes: TRL's and PEFT's own fields, in YAML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from harness.errors import ConfigError, nearest
from harness.types import SystemSpec
from harness.yaml_keys import key_lines, line_of
from systems.rows import PlacedRow, read_objects


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a system is trained."""

    path: Path
    data: Path
    method: str = "sft"
    peft: Mapping[str, Any] | None = None  # None: all weights
    trainer: Mapping[str, Any] = field(default_factory=dict)
    quantize: str | None = None
    validation: float = 0.0
    test: float = 0.0
    group: str | None = None
    allow_eval_rows: bool = False

    @property
    def fields(self) -> dict[str, Any]:
        """What the file says, for the record that is left with an adapter."""
        return {
            "method": self.method,
            "data": self.data.name,
            "peft": None if self.peft is None else dict(self.peft),
            "trainer": dict(self.trainer),
            "quantize": self.quantize,
            "validation": self.validation,
            **({"test": self.test} if self.test else {}),
            "group": self.group,
            **({"allow_eval_rows": True} if self.allow_eval_rows else {}),
        }


def read_recipe(spec: SystemSpec) -> Recipe:
    """Read the recipe of a system, checked against the schema.

    Raises
    ------
    ConfigError
        With file and key.
    """
    named = spec.options.get("recipe")
    if named is None:
        raise ConfigError("names no training recipe", key=f"systems.{spec.name}.recipe")
    path = spec.path(named)
    try:
        text = path.read_text(encoding="utf-8")
        lines = key_lines(text, path)
        value = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"no YAML: {error}", file=path) from error
    schema = json.loads(
        (files("harness") / "schemas/systems.schema.json").read_text(encoding="utf-8")
    )
    validator = jsonschema.Draft202012Validator({**schema, "$ref": "#/$defs/recipe"})
    for fault in validator.iter_errors(value):
        known = schema["$defs"]["recipe"]["properties"]
        unknown = sorted(set(map(str, value)) - set(known)) if isinstance(value, dict) else []
        raise ConfigError(
            fault.message,
            file=path,
            line=line_of((*fault.path, *unknown[:1]), lines),
            key=".".join(map(str, fault.path)) or None,
            hint=nearest(unknown[0], known) if unknown else None,
        )
    recipe = Recipe(path=path, **{**value, "data": (path.parent / value["data"]).resolve()})
    if recipe.validation + recipe.test >= 1:
        raise ConfigError("validation and test leave no row to train on", file=path, key="test")
    return recipe


def read_training_objects(recipe: Recipe) -> list[PlacedRow]:
    """The rows of a recipe, each with its line."""
    return read_objects(recipe.data, key="data")
