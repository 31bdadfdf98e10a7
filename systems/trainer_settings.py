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
# What they make stands in the model's cache, where systems answer with prefixes of their own.
INTO_THE_CACHE = ("PREFIX_TUNING", "CARTRIDGE")
BY_TASK = ("MULTITASK_PROMPT_TUNING", "POLY")  # with each question they want to be told its task
INSTEAD = {
    "output_dir": "Say where the result goes in the system's `adapter`, or with `rung train --out`.",
    "seed": "Leave it out, and give it with `rung train --seed`.",
    "report_to": "Leave it out: the losses are printed and left in rung.json beside the weights.",
    "disable_tqdm": "Leave it out: Rung shows the progress itself.",
}

# Read by the scripts of transformers alone: a trainer passes them over.
UNREAD = {
    "do_eval": "Leave it out: say `validation` in the recipe, and `eval_strategy`.",
    "do_predict": "Leave it out: `pytest evals/` asks what was trained.",
    "resume_from_checkpoint": "Leave it out: `rung train` goes on where it was stopped.",
}


def trainer_config(
    recipe: Recipe, config_class: Any, *, defaults: Mapping[str, Any], own: Mapping[str, Any]
) -> Any:
    """The trainer's configuration: defaults, the recipe's fields, and what is Rung's own to say.

    Raises
    ------
    ConfigError
        With file and key, for a field that is not known or a value that cannot be.
    """
    fields = trainer_fields(recipe, config_class, own=own)
    try:
        return config_class(**{**defaults, **fields, **own})
    except Exception as error:  # the libraries raise what they like for values they do not
        message = f"the recipe cannot be followed here: {describe(error)}"
        raise ConfigError(message, file=recipe.path, key="trainer") from error


def trainer_fields(recipe: Recipe, config_class: Any, *, own: Mapping[str, Any]) -> dict[str, Any]:
    """The recipe's fields of the trainer, each as the configuration takes it.

    Raises
    ------
    ConfigError
        As `trainer_config` does.
    """
    fields = _checked(recipe, recipe.trainer, config_class, "trainer")
    if fields.get("packing"):
        raise ConfigError(
            "packed examples cannot be compared with what inference sends",
            file=recipe.path,
            key="trainer.packing",
        )
    _refuse_unused(recipe, fields, own)
    return fields


def peft_config(recipe: Recipe) -> Any:
    """The adapter's configuration; None where all weights are trained.

    Raises
    ------
    ConfigError
        As `trainer_config` does.
    """
    if recipe.peft is None:
        return None
    config_class, fields = peft_fields(recipe)
    try:
        return config_class(**{"task_type": "CAUSAL_LM", **fields})
    except Exception as error:  # as above
        message = f"the recipe cannot be followed here: {describe(error)}"
        raise ConfigError(message, file=recipe.path, key="peft") from error


def peft_fields(recipe: Recipe) -> tuple[Any, dict[str, Any]]:
    """The class of the adapter's configuration, and the recipe's fields as it takes them.

    Raises
    ------
    ConfigError
        As `trainer_config` does.
    """
    assert recipe.peft is not None
    fields = dict(recipe.peft)
    kind = str(fields.pop("peft_type")).upper()
    classes = {str(name.value): cls for name, cls in peft.PEFT_TYPE_TO_CONFIG_MAPPING.items()}
    if kind not in classes:
        raise ConfigError(
            f"PEFT has no '{kind}'",
            file=recipe.path,
            key="peft.peft_type",
            hint=nearest(kind, classes),
        )
    if kind in INTO_THE_CACHE + BY_TASK:
        raise ConfigError(
            f"no system could answer with what {kind} makes",
            file=recipe.path,
            key="peft.peft_type",
            hint="Kinds that change weights can be used, such as LORA, IA3 and LOHA, and soft "
            "prompts: PROMPT_TUNING and P_TUNING.",
        )
    return classes[kind], _checked(recipe, fields, classes[kind], "peft")


def refuse_unknown_modules(recipe: Recipe, model: Any) -> None:
    """Refuse names of `target_modules` that no module of the model ends with.

    PEFT itself only says so where none of them is there.

    Raises
    ------
    ConfigError
        With file and key, and the nearest name.
    """
    named = (recipe.peft or {}).get("target_modules")
    if not isinstance(named, list):
        return
    modules = [name.split(".") for name, _ in model.named_modules() if name]
    for wanted in map(str, named):
        parts = wanted.split(".")
        if not any(module[-len(parts) :] == parts for module in modules):
            raise ConfigError(
                f"the recipe cannot be followed: the model has no module '{wanted}'",
                file=recipe.path,
                key="peft.target_modules",
                hint=nearest(wanted, {name for *_, name in modules if not name.isdecimal()}),
            )


def checkpointing_field(known: Collection[str]) -> str:
    """Transformers renames the field: the old name warns where the new one is there."""
    new = "activation_checkpointing"
    return new if new in known else "gradient_checkpointing"


def _refuse_unused(recipe: Recipe, fields: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """Refuse what nobody reads or Rung would set otherwise: the record would say what was not done."""
    for name in fields:
        if name in own and fields[name] != own[name]:
            raise ConfigError(
                f"{fields[name]!r} would have no effect: Rung sets `{name}` itself",
                file=recipe.path,
                key=f"trainer.{name}",
                hint=INSTEAD.get(name),
            )
        if name in UNREAD and fields[name]:
            raise ConfigError(
                f"`{name}` would have no effect: it is read by the scripts of transformers alone",
                file=recipe.path,
                key=f"trainer.{name}",
                hint=UNREAD[name],
            )


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
