"""The folder that training leaves: what is in it, and what is said where nothing is."""

from __future__ import annotations

from pathlib import Path

from harness.errors import ConfigError
from harness.types import SystemSpec

ADAPTER_CONFIG = "adapter_config.json"  # PEFT's


def holds_weights(folder: Path) -> bool:
    """Whether training left a whole model in a folder, rather than an adapter for one."""
    return (
        (folder / "config.json").is_file()
        and not (folder / ADAPTER_CONFIG).exists()
        and any(folder.glob("*.safetensors"))
    )


def trained_as(spec: SystemSpec) -> str:
    """The system that makes the adapter: itself, or the one that the folder is named after."""
    return spec.name if "recipe" in spec.options else Path(str(spec.options["adapter"])).name


def no_adapter(spec: SystemSpec) -> ConfigError:
    """What is said of a system whose adapter is not there: what makes it."""
    made = f"`rung train {trained_as(spec)}` makes it"
    if "recipe" not in spec.options:
        made += ", where that system has a recipe"
    return ConfigError(
        "there is no adapter here yet",
        file=spec.path(str(spec.options["adapter"])),
        key=f"systems.{spec.name}.adapter",
        hint=f"{made}. Until then `pytest evals/ --system NAME` runs the others.",
    )
