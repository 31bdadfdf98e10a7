"""What a system's configuration tells of it, beside how it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
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
    rows = _record(spec).get("rows")
    return rows if isinstance(rows, int) and rows > 0 else None


def trained_on_cases(spec: SystemSpec, suite: str) -> int:
    """The cases of a suite that a tuned system was trained on, where its record says so."""
    counts = _record(spec).get("eval_cases")
    cases = counts.get(suite) if isinstance(counts, dict) else None
    return cases if isinstance(cases, int) and cases > 0 else 0


def _record(spec: SystemSpec) -> dict[str, Any]:
    """What `rung train` left beside a tuned system's adapter; empty without it."""
    adapter = spec.options.get("adapter")
    trained = spec.kind == "fine_tuned" or "recipe" in spec.options
    if not trained or not isinstance(adapter, str):
        return {}
    try:
        record = json.loads((spec.path(adapter) / TRAINING_RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}
