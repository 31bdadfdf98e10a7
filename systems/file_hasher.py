"""Hashes of files and folders, remembered so that an unchanged file is not read twice."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from harness.errors import ConfigError


def is_source(name: Path) -> bool:
    """Everything but what Python leaves beside its sources."""
    return "__pycache__" not in name.parts and name.suffix != ".pyc"


class FileHasher:
    """Hashes files, and remembers hashes by size and modification time."""

    def __init__(self, memo: Path | None) -> None:
        self.memo = memo
        self.known: dict[str, list[Any]] = {}
        self.changed = False
        if memo is not None:
            try:
                known = json.loads(memo.read_text(encoding="utf-8"))
                self.known = known if isinstance(known, dict) else {}
            except (OSError, ValueError):
                self.known = {}  # a lost memo costs time, nothing else

    def tree(
        self,
        paths: Iterable[Path],
        *,
        key: str,
        kept: Callable[[Path], bool] = is_source,
        named: bool = False,
    ) -> str:
        """Hash files, and folders by the names and contents of the files below that are kept.

        Parameters
        ----------
        named
            Hash a file as a folder that holds nothing else: its name counts too.
        """
        digests = []
        for path in paths:
            if path.is_dir():
                files = sorted(file for file in path.rglob("*") if file.is_file())
                relative = [(file.relative_to(path), file) for file in files]
                digests += [
                    f"{name.as_posix()} {self.file(file, key=key)}"
                    for name, file in relative
                    if kept(name)
                ]
            else:
                name = f"{path.name} " if named else ""
                digests.append(f"{name}{self.file(path, key=key)}")
        if len(digests) == 1 and " " not in digests[0]:
            return f"sha256:{digests[0]}"
        joined = "\n".join(digests)
        return f"sha256:{hashlib.sha256(joined.encode()).hexdigest()}"

    def files(self, folder: Path, patterns: Iterable[str], *, key: str) -> str:
        """Hash the files of a folder that match a pattern, by name and content."""
        if not folder.is_dir():
            raise ConfigError("there is no such folder", file=folder, key=key)
        matching = {path for pattern in patterns for path in folder.glob(pattern)}
        found = sorted(path for path in matching if not path.is_dir())
        if not found:
            raise ConfigError("holds no model", file=folder, key=key)
        named = "\n".join(f"{file.name} {self.file(file, key=key)}" for file in found)
        return f"sha256:{hashlib.sha256(named.encode()).hexdigest()}"

    def file(self, path: Path, *, key: str) -> str:
        """The SHA-256 of a file, read only if its size or modification time is new."""
        try:
            stat = path.stat()
            stamp = [stat.st_size, stat.st_mtime_ns]
            known = self.known.get(str(path))
            if isinstance(known, list) and known[:2] == stamp and len(known) == 3:
                return str(known[2])
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ConfigError(f"cannot be read: {error.strerror}", file=path, key=key) from error
        self.known[str(path)] = [*stamp, digest]
        self.changed = True
        return digest

    def save(self) -> None:
        """Write what is remembered, whole or not at all."""
        if self.memo is None or not self.changed:
            return
        self.memo.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.memo.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(self.known), encoding="utf-8")
        temporary.replace(self.memo)
