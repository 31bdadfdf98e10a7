"""Training and judging, one folder a result: what is there and still stands is never done again."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.beside import Beside, write_beside
from harness.pilot.plan import Training

Rows = Sequence[Mapping[str, Any]]
Train = Callable[[Rows, Path, int], Path]  # rows, folder, seed -> the folder of the adapter
Judge = Callable[[Path], Path]  # a file of systems -> the folder of the stored run


def digest(value: object) -> str:
    """Hash anything that JSON can hold."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """Does what a plan names, below one folder.

    `basis` holds hashes of everything but the rows that a training depends on, `judged_by` of what
    judges it.
    """

    folder: Path
    basis: Mapping[str, str]
    judged_by: str
    train: Train
    judge: Judge

    def adapter(self, training: Training, rows: Rows) -> Path:
        """The adapter of one training, made when it is not there or stands on something else."""
        place = self.folder / training.name
        key = digest([dict(self.basis), digest(list(rows)), training.seed])
        if (done := _done(place / "trained.json", key)) is not None:
            return place / str(done["adapter"])
        if _done(place / "begun.json", key) is None:
            # Another data set or recipe: its checkpoints must not be gone on from.
            shutil.rmtree(place, ignore_errors=True)
            _note(place / "begun.json", key)
        started = time.monotonic()
        adapter = self.train(rows, place / "adapter", training.seed)
        _note(
            place / "trained.json",
            key,
            adapter=adapter.name,
            seconds=round(time.monotonic() - started, 1),
        )
        return adapter

    def seconds(self, training: Training) -> float | None:
        """How long a training took."""
        file = self.folder / training.name / "trained.json"
        return float(json.loads(file.read_text("utf-8"))["seconds"]) if file.is_file() else None

    def run(self, name: str, beside: Beside, *, key: object = None) -> Path:
        """The stored run of some systems, made when it is not there or stands on something else."""
        place = self.folder / name
        whole = digest([self.judged_by, dict(self.basis), key, repr(beside.suites)])
        done = _done(place / "judged.json", whole)
        if done is not None and (place / "runs" / str(done["run"]) / "run.json").is_file():
            return place / "runs" / str(done["run"])
        shutil.rmtree(place / "runs", ignore_errors=True)
        file = place / "systems.json"
        write_beside(file, Beside(suites=beside.suites, reports=Path("runs")))
        run = self.judge(file)
        _note(place / "judged.json", whole, run=run.name)
        return run


def _done(file: Path, key: str) -> dict[str, Any] | None:
    try:
        noted = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return noted if isinstance(noted, dict) and noted.get("key") == key else None


def _note(file: Path, key: str, **more: object) -> None:
    """Write a note whole or not at all: it is what says that a result is there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(f".{os.getpid()}.partial")
    partial.write_text(json.dumps({"key": key, **more}) + "\n", "utf-8")
    os.replace(partial, file)
