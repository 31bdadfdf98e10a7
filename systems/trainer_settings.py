"""A recipe's fields as the configuration objects of TRL and PEFT."""

from __future__ import annotations

import math
import types
from collections.abc import Collection, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import peft

from harness.errors import ConfigError, nearest
from systems.answers import describe
from systems.recipe import Recipe

WORDS = {int: "a whole number", float: "a number", bool: "true or false"}


def trainer_config(
    recipe: Recipe, config_class: Any, *, defaults: Mapping[str, Any], own: Mapping[str, Any]
) -> Any:
    """The trainer's configuration: defaults, the recipe's fields, and what is Rung's own to say.

    Raises
    ------
    ConfigError
        With file and key, for a field that is not known or a value that cannot be.
    """
    fields = _checked(recipe, recipe.trainer, config_class, "trainer")
    if fields.get("packing"):
        raise ConfigError(
            "packed examples cannot be compared with what inference sends",
            file=recipe.path,
            key="trainer.packing",
        )
    try:
        return config_class(**{**defaults, **fields, **own})
    except Exception as error:  # the libraries raise what they like for values they do not
        message = f"the recipe cannot be followed here: {describe(error)}"
        raise ConfigError(message, file=recipe.path, key="trainer") from error


def peft_config(recipe: Recipe) -> Any:
    """The adapter's configuration; None where all weights are trained.

    Raises
    ------
    ConfigError
        As `trainer_config` does.
    """
    if recipe.peft is None:
        return None
    fields = {"task_type": "CAUSAL_LM", **recipe.peft}
    kind = str(fields.pop("peft_type")).upper()
    classes = {str(name.value): cls for name, cls in peft.PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if kind not in classes:
        raise ConfigError(
            f"PEFT has no '{kind}'",
            file=recipe.path,
            key="peft.peft_type",
            hint=nearest(kind, classes),
        )
    fields = _checked(recipe, fields, classes[kind], "peft")
    try:
        return classes[kind](**fields)
    except Exception as error:  # as above
        message = f"the recipe cannot be followed here: {describe(error)}"
        raise ConfigError(message, file=recipe.path, key="peft") from error


def checkpointing_field(known: Collection[str]) -> str:
    """Transformers renames the field: the old name warns where the new one is there."""
    new = "activation_checkpointing"
    return new if new in known else "gradient_checkpointing"


def _checked(
    recipe: Recipe, fields: Mapping[str, Any], config_class: Any, section: str
) -> dict[str, Any]:
    known = config_class.__dataclass_fields__
    hints = _hints(config_class)
    found = {}
    for name, value in fields.items():
        key = f"{section}.{name}"
        if name not in known:
            raise ConfigError(
                f"{config_class.__name__} has no field '{name}'",
                file=recipe.path,
                key=key,
                hint=nearest(str(name), known),
            )
        try:
            found[name] = _as_wanted(value, hints.get(name, Any))
        except ValueError as error:
            raise ConfigError(str(error), file=recipe.path, key=key) from error
    return found


def _hints(config_class: Any) -> dict[str, Any]:
    try:
        return get_type_hints(config_class)
    except (NameError, TypeError):  # types that are imported for type checkers only
        return {}


def _as_wanted(value: Any, hint: Any) -> Any:
    """A value as its field takes it: YAML reads 2e-4 as text.

    Raises
    ------
    ValueError
        When the field takes one plain type and the value is none of it.
    """
    taken = _alternatives(hint)
    wanted = next((kind for kind in (float, int, bool) if kind in taken), None)
    if wanted is None or taken - {float, int, bool, type(None)}:
        return value
    if value is None and type(None) in taken:
        return value
    number = value
    if isinstance(value, str) and wanted is not bool:
        number = _number(value, whole=wanted is int)
    plain = isinstance(number, bool) == (wanted is bool) and isinstance(number, bool | int | float)
    if not plain and not (isinstance(number, bool) and bool in taken):
        raise ValueError(f"{value!r}: expected {WORDS[wanted]}")
    return number


def _number(text: str, *, whole: bool) -> int | float | str:
    try:
        number = float(text)
    except ValueError:
        return text
    if not math.isfinite(number) or (whole and not number.is_integer()):
        return text
    return int(number) if whole else number


def _alternatives(hint: Any) -> set[Any]:
    """The types that a field takes; anything but plain types stands for itself."""
    if get_origin(hint) in (Union, types.UnionType):
        return {kind for part in get_args(hint) for kind in _alternatives(part)}
    if get_origin(hint) is Literal:
        return {type(choice) for choice in get_args(hint)}
    return {hint}
