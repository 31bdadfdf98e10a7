"""The project's encoder as the verbs use it: what was embedded before is read, progress is shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.config import Project
from harness.diversity import EmbeddingStore
from harness.training_check import TrainingCheck
from harness.types import Encoder
from systems.late_encoder import LateEncoder

if TYPE_CHECKING:
    from harness.diversity.vectors import FloatArray

AT_ONCE = 512  # texts between two steps of the bar
SHOWN_FROM = 2_000  # texts: fewer are done before a bar is read


class ShownEncoder:
    """Encodes with a progress bar where it takes a while; plain lines where there is no terminal."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def fingerprint(self) -> str:
        """That of the encoder."""
        return self._encoder.fingerprint

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return one unit row for each text, shape (len(texts), d)."""
        if len(texts) < SHOWN_FROM:
            return self._encoder.encode(texts)
        import numpy as np
        from rich.console import Console
        from rich.progress import track

        console = Console(file=sys.stderr)
        starts = range(0, len(texts), AT_ONCE)
        parts = [
            self._encoder.encode(texts[start : start + AT_ONCE])
            for start in track(
                starts, f"embedding {len(texts):,} texts", console=console, transient=True
            )
        ]
        return np.concatenate(parts)


def open_embeddings(project: Project) -> EmbeddingStore:
    """Open the store of the project's embeddings; the encoder is loaded when a new text comes."""
    check = TrainingCheck(project)
    encoder = ShownEncoder(LateEncoder(check.encoder_name, project.folder))
    return EmbeddingStore(check.folder / "embeddings", encoder)
