"""Adapters on a base model, with PEFT."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from peft import PeftConfig, PeftModel
from transformers import PreTrainedModel

from harness.errors import ConfigError
from systems.adapter_folder import ADAPTER_CONFIG
from systems.answers import describe


def with_adapter(model: PreTrainedModel, adapter: Path, *, key: str, merge: bool) -> Any:
    """A base model with an adapter on it, or merged into its weights.

    Raises
    ------
    ConfigError
        When the adapter is not there, or was made for another base model.
    """
    if not (adapter / ADAPTER_CONFIG).is_file():
        raise ConfigError(f"there is no adapter ({ADAPTER_CONFIG})", file=adapter, key=key)
    try:
        config = PeftConfig.from_pretrained(str(adapter))
    except (ValueError, KeyError, OSError, TypeError) as error:
        message = f"is no configuration of an adapter: {describe(error)}"
        raise ConfigError(message, file=adapter / ADAPTER_CONFIG, key=key) from error
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            tuned = PeftModel.from_pretrained(model, str(adapter), config=config)
    except (ValueError, RuntimeError, KeyError, OSError, TypeError) as error:
        reason = describe(error).splitlines()[0]
        raise _another_base(adapter, key, reason) from error
    for warning in caught:
        if "missing adapter keys" in str(warning.message):
            raise _another_base(adapter, key, str(warning.message)[:200])
    if merge:
        if not hasattr(tuned, "merge_and_unload") or config.is_prompt_learning:
            raise ConfigError(f"{config.peft_type} adapters cannot be merged", key=key)
        return tuned.merge_and_unload()
    return tuned


def _another_base(adapter: Path, key: str, reason: str) -> ConfigError:
    return ConfigError(
        f"does not fit the base model: {reason}",
        file=adapter,
        key=key,
        hint="Was it trained on another base model?",
    )
