"""Outputs that were paid for once, by fingerprint, case and epoch, in one SQLite file."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from harness.errors import StoreError
from harness.records import dumps, output_from_json, output_to_json
from harness.types import Output

VERSION = 1
BUSY_TIMEOUT_S = 60.0  # another run may hold the file; its writes take milliseconds
KEYS_PER_QUERY = 400  # SQLite's smallest limit of variables in a statement is 999

Key = tuple[str, int]  # case hash, epoch


class Cache:
    """A store of outputs that several runs may use at once and that survives being killed.

    Every output is committed when it comes. A row whose checksum does not hold is treated as
    absent, so that a damaged file costs an answer and never gives a wrong one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged = 0  # rows that were read and did not hold
        with self._explained():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
        try:
            self._prepare(connection)
        except Exception:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode=WAL")
        # NORMAL keeps every commit through a killed process; only a power cut can lose the last.
        connection.execute("PRAGMA synchronous=NORMAL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise StoreError(
                f"this cache has version {version}; this Rung reads version {VERSION}",
                file=self.path,
                hint="Upgrade Rung, or delete the file: outputs will be generated again.",
            )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS outputs (fingerprint TEXT, case_hash TEXT, epoch INTEGER,"
            " body TEXT NOT NULL, checksum INTEGER NOT NULL,"
            " PRIMARY KEY (fingerprint, case_hash, epoch)) WITHOUT ROWID"
        )
        connection.execute(f"PRAGMA user_version={VERSION}")

    def get(self, fingerprint: str, keys: Iterable[Key]) -> dict[Key, Output]:
        """Return the stored outputs among these keys."""
        wanted = set(keys)
        found: dict[Key, Output] = {}
        with self._explained():
            for row in self._select(fingerprint, sorted({case_hash for case_hash, _ in wanted})):
                case_hash, epoch, body, checksum = row
                if (case_hash, epoch) in wanted:
                    if zlib.crc32(body.encode()) == checksum:
                        found[case_hash, epoch] = output_from_json(json.loads(body))
                    else:
                        self.damaged += 1
        return found

    def _select(
        self, fingerprint: str, hashes: Sequence[str]
    ) -> Iterator[tuple[str, int, str, int]]:
        for start in range(0, len(hashes), KEYS_PER_QUERY):
            part = hashes[start : start + KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            yield from self._connection.execute(
                "SELECT case_hash, epoch, body, checksum FROM outputs"
                f" WHERE fingerprint = ? AND case_hash IN ({marks})",
                (fingerprint, *part),
            )

    def has_all(self, fingerprint: str, keys: Iterable[Key]) -> bool:
        """Tell whether every one of these keys is stored, without reading the outputs."""
        with self._explained():
            stored = set(
                self._connection.execute(
                    "SELECT case_hash, epoch FROM outputs WHERE fingerprint = ?", (fingerprint,)
                )
            )
        return stored.issuperset(keys)

    def put(self, fingerprint: str, case_hash: str, output: Output) -> None:
        """Store one output, at once and for good."""
        body = dumps(output_to_json(output))
        with self._explained():
            self._connection.execute(
                "INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?)",
                (fingerprint, case_hash, output.epoch, body, zlib.crc32(body.encode())),
            )

    def count(self) -> int:
        """Return how many outputs are stored."""
        with self._explained():
            return int(self._connection.execute("SELECT COUNT(*) FROM outputs").fetchone()[0])

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn SQLite's errors into ones that say what to do."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            damaged = not isinstance(error, sqlite3.OperationalError)
            hint = (
                "The file is damaged. Delete it: outputs will be generated again."
                if damaged
                else "Is the disk full, the folder read-only, or the file held by another program?"
            )
            raise StoreError(
                f"the cache cannot be used: {error}", file=self.path, hint=hint
            ) from None
        except OSError as error:
            raise StoreError(
                f"the cache cannot be used: {error.strerror or error}",
                file=self.path,
                hint="The folder must be writable.",
            ) from None
