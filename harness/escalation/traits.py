"""What a system's configuration tells of it, beside how it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from harness.types import SystemSpec

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})
TRAINING_RECORD = "rung.json"  # what `rung train` leaves beside an adapter


def is_oracle(retriever: object) -> bool:
    """Whether a retriever hands out the gold passages."""
    return retriever == "oracle" or (isinstance(retriever, Mapping) and "oracle" in retriever)


def hosted(spec: SystemSpec) -> bool | None:
    """Whether answers leave the house; None where a callable or a recording does not say."""
    if spec.model is None:
        return False if spec.kind in ("classical", "fine_tuned") else None
    if spec.model.kind == "transformers":
        return False
    host = urlsplit(str(spec.model.options.get("base_url", ""))).hostname
    return host not in LOOPBACK


def training_rows(spec: SystemSpec) -> int | None:
    """The rows that a tuned system was trained on; None for one that was trained elsewhere."""
    adapter = spec.options.get("adapter")
    trained = spec.kind == "fine_tuned" or "recipe" in spec.options
    if not trained or not isinstance(adapter, str):
        return None
    try:
        record = json.loads((spec.path(adapter) / TRAINING_RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    rows = record.get("rows") if isinstance(record, dict) else None
    return rows if isinstance(rows, int) and rows > 0 else None
