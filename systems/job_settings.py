"""A recipe's settings for a training on another machine: checked and converted here, not followed."""

from __future__ import annotations

from dataclasses import replace

from trl import DPOConfig, SFTConfig

from systems.recipe import Recipe
from systems.trainer_settings import peft_fields, trainer_fields

CONFIGS = {"sft": SFTConfig, "dpo": DPOConfig}
OWN = {"output_dir": None, "seed": 0, "report_to": "none", "disable_tqdm": True}  # the job's to say


def job_settings(recipe: Recipe) -> Recipe:
    """The recipe with its fields as TRL and PEFT take them: YAML reads 2e-3 as text.

    Raises
    ------
    ConfigError
        As `rung train` does, for a field that is not known or a value that cannot be.
    """
    fields = trainer_fields(recipe, CONFIGS[recipe.method], own=OWN)
    # What Rung sets itself may stand in a recipe with just that value.
    trainer = {name: value for name, value in fields.items() if name not in OWN}
    if recipe.peft is None:
        return replace(recipe, trainer=trainer)
    _, adapter = peft_fields(recipe)
    return replace(recipe, trainer=trainer, peft={"peft_type": recipe.peft["peft_type"], **adapter})
