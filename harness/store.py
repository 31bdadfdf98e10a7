"""Stored runs: one folder each, written whole or not at all, and read back whatever their age.

reports/<run-id>/run.json          the summary (schema: harness/schemas/run.schema.json)
reports/<run-id>/scores.parquet    a row per suite, system, case, epoch and metric
reports/<run-id>/outputs.parquet   a row per suite, system, case and epoch
reports/<run-id>/cases.parquet     a row per suite and case
reports/latest                     the last run that was whole
reports/baseline/                  the blessed run: run.json and scores.parquet
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.errors import StoreError, nearest
from harness.types import Score

SCHEMA_VERSION = 1
DOCUMENT = "run.json"
EVERY_RUN_HAS = ("run_id", "suites", "systems")
TABLES = ("scores", "outputs", "cases")
PART_ROWS = 50_000  # of a table that is laid out and written at once
ABANDONED_S = 86_400  # a folder that nobody has written into for a day belongs to a killed run
BASELINE = "baseline"
LATEST = "latest"

NUMERIC = {
    "epoch": "int32",
    "attempts": "int64",
    "prompt_tokens": "int64",
    "completion_tokens": "int64",
    "value": "float64",
    "latency_s": "float64",
}
BOOLEAN = frozenset({"cached", "refused"})

Columns = Mapping[str, list[Any]]
Document = dict[str, Any]
ScoreTable = dict[tuple[str, str, str], list[Score]]  # by suite, metric and system

# Append only: MIGRATIONS[i] brings a document of version i + 1 to version i + 2.
MIGRATIONS: tuple[Callable[[Document], Document], ...] = ()


def new_run_id(now: datetime) -> str:
    """Name a run so that names sort by time, to the millisecond, and two of one moment differ."""
    return f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}{secrets.token_hex(1)}"


class RunStore:
    """The stored runs below one `reports/` folder."""

    def __init__(self, reports: Path) -> None:
        self.reports = reports

    @contextmanager
    def writing(self, run_id: str) -> Iterator[Path]:
        """Give a folder to write a run into; it takes its name only when all of it is there."""
        final = self.reports / run_id
        partial = self.reports / f".{run_id}.partial"
        with explained(final):
            sweep(self.reports, ".*.partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            try:
                yield partial
                if final.exists():
                    shutil.rmtree(final)
                os.replace(partial, final)
            finally:
                shutil.rmtree(partial, ignore_errors=True)

    def point_latest(self, run_id: str) -> None:
        """Let `reports/latest` name this run: a link, or a one-line file where links do not work."""
        latest = self.reports / LATEST
        fresh = self.reports / f".{LATEST}.{secrets.token_hex(4)}"
        with explained(latest):
            try:
                fresh.symlink_to(run_id, target_is_directory=True)
            except (OSError, NotImplementedError):
                fresh.write_text(run_id + "\n", "utf-8")
            os.replace(fresh, latest)

    def find(self, name: str) -> Path:
        """Return the folder of a run by id, the beginning of an id, `latest`, `baseline` or path.

        Raises
        ------
        StoreError
            There is no such run, or several.
        """
        path = self.reports / name
        if path.is_file() and name == LATEST:
            path = self.reports / path.read_text("utf-8").strip()
        for candidate in (path, Path(name)):
            if (candidate / DOCUMENT).is_file():
                return candidate.resolve()
        begun = [run for run in self.run_ids() if run.startswith(name)]
        if len(begun) == 1:
            return self.reports / begun[0]
        known = [
            *self.run_ids()[-8:],
            *(n for n in (LATEST, BASELINE) if (self.reports / n).exists()),
        ]
        raise StoreError(
            f"{len(begun)} runs begin with '{name}'" if begun else f"there is no run '{name}'",
            file=self.reports,
            hint=nearest(name, known),
        )

    def latest(self) -> str | None:
        """Return the id of the last whole run; None where there is none."""
        try:
            return self.find(LATEST).name
        except StoreError:
            return None

    def run_ids(self) -> list[str]:
        """Return the ids of the stored runs, oldest first."""
        if not self.reports.is_dir():
            return []
        return sorted(
            folder.name
            for folder in self.reports.iterdir()
            if not folder.is_symlink()
            and folder.name not in (LATEST, BASELINE)
            and not folder.name.startswith(".")
            and (folder / DOCUMENT).is_file()
        )

    def documents(self, most: int | None = None) -> tuple[list[Document], list[str]]:
        """Return the runs, or the last of them, oldest first, and the ids of those that cannot be read."""
        found, unread, names = [], [], self.run_ids()
        for name in names if most is None else names[-most:]:
            try:
                found.append(read_document(self.reports / name))
            except StoreError:
                unread.append(name)
        return found, unread


def write_document(folder: Path, document: Document) -> None:
    """Write run.json."""
    text = json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False)
    (folder / DOCUMENT).write_text(text + "\n", "utf-8")


def read_document(folder: Path) -> Document:
    """Read run.json, brought up to the present schema version.

    Raises
    ------
    StoreError
        It is missing, damaged, or of a version newer than this Rung.
    """
    file = folder / DOCUMENT
    try:
        document = json.loads(file.read_text("utf-8"))
        version = document["schema_version"]
    except FileNotFoundError:
        raise StoreError("there is no run in this folder", file=folder) from None
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
        raise StoreError(f"this run is damaged: {error}", file=file) from None
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise StoreError(
            f"this run has schema version {version}; this Rung reads up to {SCHEMA_VERSION}",
            file=file,
            hint="Upgrade Rung to read it.",
        )
    for migrate in MIGRATIONS[version - 1 :]:
        document = migrate(document)
    missing = [key for key in EVERY_RUN_HAS if key not in document]
    if missing:
        raise StoreError(f"this run is damaged: it has no '{missing[0]}'", file=file)
    return dict(document)


def write_table(folder: Path, name: str, columns: Columns | Iterable[Columns]) -> None:
    """Write one table as Parquet; columns of equal length, None where there is no value.

    A table may come in parts, so that no more than one of them need be in memory.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for part in _slices(columns) if isinstance(columns, Mapping) else columns:
        table = pa.table({key: _column(key, values) for key, values in part.items()})
        if writer is None:
            file = folder / f"{name}.parquet"
            writer = pq.ParquetWriter(file, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()


def _slices(columns: Columns) -> Iterator[Columns]:
    rows = max(map(len, columns.values()), default=0)
    for start in range(0, max(rows, 1), PART_ROWS):
        yield {name: values[start : start + PART_ROWS] for name, values in columns.items()}


def _column(name: str, values: list[Any]) -> Any:
    """Lay a column out as Arrow buffers.

    `pyarrow.array` would do, but it imports pandas to look at a list, which takes longer than
    everything else that a small run does.
    """
    import numpy as np
    import pyarrow as pa

    count, absent = len(values), values.count(None)
    validity = None
    if absent:
        present = np.fromiter((value is not None for value in values), dtype=bool, count=count)
        validity = pa.py_buffer(np.packbits(present, bitorder="little").tobytes())
    kind = NUMERIC.get(name)
    if kind is not None:
        filled = [0 if value is None else value for value in values] if absent else values
        data = np.array(filled, dtype=kind)
        return pa.Array.from_buffers(
            pa.from_numpy_dtype(np.dtype(kind)), count, [validity, pa.py_buffer(data.tobytes())]
        )
    if name in BOOLEAN:
        bits = np.packbits(np.fromiter(map(bool, values), bool, count), bitorder="little")
        return pa.Array.from_buffers(pa.bool_(), count, [validity, pa.py_buffer(bits.tobytes())])
    texts = [value or "" for value in values] if absent else values
    joined = "".join(texts)
    sizes: Iterable[int] = map(len, texts)
    if not joined.isascii():
        sizes = (len(text.encode("utf-8")) for text in texts)
    offsets = np.zeros(count + 1, dtype=np.int64)
    np.cumsum(np.fromiter(sizes, dtype=np.int64, count=count), out=offsets[1:])
    return pa.Array.from_buffers(
        pa.large_string(),
        count,
        [validity, pa.py_buffer(offsets.tobytes()), pa.py_buffer(joined.encode("utf-8"))],
    )


def read_table(folder: Path, name: str) -> list[dict[str, Any]]:
    """Read one table of a run as rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = folder / f"{name}.parquet"
    try:
        rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    except FileNotFoundError:
        raise StoreError(f"this run has no {file.name}", file=folder) from None
    except pa.ArrowInvalid as error:
        raise StoreError(f"this table is damaged: {error}", file=file) from None
    return rows


def read_scores(folder: Path) -> ScoreTable:
    """Read the scores of a run by suite, metric and system."""
    table: ScoreTable = defaultdict(list)
    for row in read_table(folder, "scores"):
        table[row["suite"], row["metric"], row["system"]].append(
            Score(
                case_id=row["case"],
                epoch=row["epoch"],
                metric=row["metric"],
                state=row["state"],
                value=row["value"],
                reason=row["reason"],
            )
        )
    return dict(table)


def sweep(folder: Path, pattern: str) -> None:
    """Remove what killed runs left behind, unless another run may still be at it."""
    for left in folder.glob(pattern):
        if time.time() - left.stat().st_mtime > ABANDONED_S:
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def explained(place: Path) -> Iterator[None]:
    """Say what to do when a folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot write: {error.strerror or error}",
            file=place,
            hint="Is the disk full, or the folder read-only?",
        ) from error
