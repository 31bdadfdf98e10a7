"""Checkpoints of one training, and what that training stands on."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from harness.errors import ConfigError

BASIS = "basis.json"
RESULT = "result"
NAME = re.compile(r"checkpoint-(\d+)")


class Checkpoints:
    """A folder of checkpoints beside what they were made with.

    Parameters
    ----------
    folder
        Where the trainer writes them.
    basis
        Everything that a training depends on: recipe, rows, seed, base model.
    """

    def __init__(self, folder: Path, basis: Mapping[str, Any]) -> None:
        self.folder = folder
        self.basis = json.loads(json.dumps(basis, default=str))

    def begin(self) -> None:
        """Note what this training stands on, and clear away checkpoints that were not written whole.

        Raises
        ------
        ConfigError
            When there are checkpoints of another training.
        """
        broken = [path for path in self._found() if not _is_whole(path)]
        for path in broken:
            # The trainer would count it among the newest, and delete whole ones in its place.
            shutil.rmtree(path, ignore_errors=True)
        if self.last() is not None:
            self._require_same()
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / BASIS).write_text(json.dumps(self.basis), encoding="utf-8")

    def new_result(self) -> Path:
        """An empty folder for the result, until it is written whole: it goes with the checkpoints."""
        folder = self.folder / RESULT
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def remove(self) -> None:
        """Delete them all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def last(self) -> Path | None:
        """The newest checkpoint that was written whole."""
        whole = [path for path in self._found() if _is_whole(path)]
        return whole[-1] if whole else None

    def _found(self) -> list[Path]:
        """Oldest first."""
        named = ((NAME.fullmatch(path.name), path) for path in self.folder.glob("checkpoint-*"))
        steps = [(int(name.group(1)), path) for name, path in named if name and path.is_dir()]
        return [path for _, path in sorted(steps)]

    def _require_same(self) -> None:
        try:
            noted = json.loads((self.folder / BASIS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            noted = {}
        before, now = dict(_flat(noted)), dict(_flat(self.basis))
        changed = [
            _told(name, before.get(name), now.get(name))
            for name in sorted({*before, *now})
            if before.get(name) != now.get(name)
        ]
        if changed:
            what = "changed since: " + ", ".join(changed) if noted else "nothing says of which"
            raise ConfigError(
                f"the checkpoints here are of another training; {what}",
                file=self.folder,
                hint="To start anew, delete this folder or say another --out; "
                "to go on, undo the change.",
            )


def _is_whole(checkpoint: Path) -> bool:
    """Whether all files of a checkpoint were written to their end; its state is written last."""
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        weights = list(checkpoint.glob("*.safetensors"))
        for file in weights:
            with safe_open(file, framework="pt"):
                pass
    except (OSError, ValueError, SafetensorError):
        return False
    tensors = [*checkpoint.glob("*.pt"), *checkpoint.glob("*.pth")]
    return isinstance(state, dict) and bool(weights) and all(map(zipfile.is_zipfile, tensors))


def _flat(value: Mapping[str, Any], above: str = "") -> list[tuple[str, Any]]:
    """Nested values by dotted name."""
    found: list[tuple[str, Any]] = []
    for name, inner in value.items():
        if isinstance(inner, Mapping):
            found.extend(_flat(inner, f"{above}{name}."))
        else:
            found.append((f"{above}{name}", inner))
    return found


def _told(name: str, before: Any, now: Any) -> str:
    if str(now).startswith("sha256:") or str(before).startswith("sha256:"):
        return name
    return f"{name} (was {json.dumps(before)}, is {json.dumps(now)})"
