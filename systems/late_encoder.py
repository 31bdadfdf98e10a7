"""An encoder that is loaded when the first text has to be encoded, and identified without loading it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.types import Encoder
from systems import load_encoder
from systems.fingerprint import encoder_identity

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class LateEncoder:
    """The encoder of a project, by its name in rung.yaml.

    Parameters
    ----------
    name
        The encoder that is installed with Rung, a local folder, or a hub id.
    folder
        What a relative folder is relative to.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder

    @cached_property
    def fingerprint(self) -> str:
        """A folder by its content, any other by its name."""
        return encoder_identity(self.name, self.folder)

    @cached_property
    def loaded(self) -> Encoder:
        """The encoder itself."""
        return load_encoder(self.name, self.folder)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return an array of shape (len(texts), d), rows of length 1."""
        return self.loaded.encode(texts)
