"""Whether the hub has a model, asked once and briefly.

The libraries that load models ask for every file again, with pauses: offline, an encoder that is
not there would be told after more than a minute, in the middle of a run.
"""

from __future__ import annotations

from functools import cache

from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError

from harness.errors import ConfigError
from harness.types import SystemSpec
from systems.answers import describe
from systems.fingerprint import DEFAULT_ENCODER, embeds, encoder_of, is_local

TIMEOUT_S = 10.0
MARKS = ("config.json", "modules.json")  # a model has one of them


@cache
def hub_fault(source: str, revision: str | None = None) -> str | None:
    """Why a hub id cannot be downloaded; None where it can."""
    try:
        get_hf_file_metadata(hf_hub_url(source, MARKS[0], revision=revision), timeout=TIMEOUT_S)
    except EntryNotFoundError:
        return None  # the model is there, without this file
    except Exception as error:  # no name, no route, no such model, no leave, no valid id
        return describe(error).splitlines()[0]
    return None


def is_downloaded(source: str, revision: str | None = None) -> bool:
    """Whether this machine has a copy of a hub id."""
    try:
        found = [try_to_load_from_cache(source, mark, revision=revision) for mark in MARKS]
    except ValueError:  # no valid id
        return False
    return any(isinstance(path, str) for path in found)


def check_encoder(spec: SystemSpec) -> None:
    """Refuse an encoder of the hub that is neither on this machine nor to be had.

    Raises
    ------
    ConfigError
        With the setting that names a local folder instead.
    """
    source = encoder_of(spec)
    if not embeds(spec) or source == DEFAULT_ENCODER or is_local(spec.folder, source):
        return
    if not is_downloaded(source) and (fault := hub_fault(source)):
        raise ConfigError(
            f"the encoder '{source}' is not there and cannot be downloaded: {fault}",
            key="encoder",
            hint="`encoder:` in rung.yaml may name a local folder; "
            f"'{DEFAULT_ENCODER}' is installed with Rung.",
        )
