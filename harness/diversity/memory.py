"""Results that were computed once, by what they depend on."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from harness.store import explained

VERSION = 1  # raised when a measure would say something else of the same data
Json: TypeAlias = Any


class Memory:
    """JSON files below a folder, written whole or not at all; one that cannot be read is absent."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def recall(self, parts: Sequence[object], compute: Callable[[], Json]) -> Json:
        """Return what was computed from these parts, or compute it and keep it.

        Parameters
        ----------
        parts : sequence
            Everything that the result depends on, as JSON.
        """
        key = hashlib.sha256(json.dumps([VERSION, *parts]).encode()).hexdigest()[:32]
        file = self._folder / f"{key}.json"
        try:
            return json.loads(file.read_text("utf-8"))
        except (OSError, ValueError):
            pass
        result = compute()
        with explained(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            partial = file.with_suffix(f".{uuid.uuid4().hex}.partial")
            partial.write_text(json.dumps(result), "utf-8")
            os.replace(partial, file)
        return result
