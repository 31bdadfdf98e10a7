"""Outputs that were answered elsewhere, read from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.types import Case, Output, Passage, Rung, SystemSpec, ToolCall, Usage
from systems.answers import unusable


class RecordedSystem:
    """Answers each case with the line of a JSONL file, or the row of a Parquet file, that has its id.

    A line is `{"id", "output"}`, and where known `epoch, latency_s, usage, tool_calls, passages,
    finish_reason, refused, prompt, error`. A line without `epoch` answers every epoch that has no
    line of its own.
    """

    def __init__(self, spec: SystemSpec) -> None:
        self.spec = spec
        self.path = spec.path(spec.options["outputs"])
        self._sound = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def rung(self) -> Rung:
        return self.spec.rung

    def check(self) -> None:
        """Read the whole file once, so that what is wrong with it ends a run before it begins.

        Raises
        ------
        ConfigError
            The file has no outputs, a line of it is wrong, or answers what another line answers.
        """
        if self._sound:
            return
        lines: dict[tuple[str, int | None], int] = {}
        for line, record in _records(self.path):
            epoch = record.get("epoch")
            known = lines.setdefault((record["id"], epoch), line)
            if known != line:
                raise self._twice(record["id"], known, line)
            self._output(line, record, epoch or 0)
        if not lines:
            raise ConfigError(
                "there are no outputs in this file",
                file=self.path,
                hint='Write one output a line: {"id": "...", "output": "..."}',
            )
        self._sound = True

    def _twice(self, case_id: str, known: int, line: int) -> ConfigError:
        return ConfigError(
            f"id {case_id!r} stands here and on line {known}",
            file=self.path,
            line=line,
            hint="Keep one of them, or give each an `epoch` of its own.",
        )

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield the recorded output of each case; a case without one is errored."""
        wanted = {case.id: case.id for case in cases}
        found: dict[str, tuple[bool, int, Output]] = {}
        for line, record in _records(self.path):
            if record["id"] not in wanted or record.get("epoch", epoch) != epoch:
                continue
            record["id"] = wanted[record["id"]]  # one text for case and output, of a million
            exact = "epoch" in record
            known = found.get(record["id"])
            if known and known[0] == exact:
                raise self._twice(record["id"], known[1], line)
            if exact or not known:
                found[record["id"]] = (exact, line, self._output(line, record, epoch))
        for case in cases:
            if case.id in found:
                yield found[case.id][2]
            else:
                yield Output(case_id=case.id, epoch=epoch, text="", error="no recorded output")

    def _output(self, line: int, record: Mapping[str, Any], epoch: int) -> Output:
        try:
            return _parse(record, epoch)
        except (TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                f"a field of id {record['id']!r} has the wrong form: {error}",
                file=self.path,
                line=line,
            ) from error


def _parse(record: Mapping[str, Any], epoch: int) -> Output:
    text, error = record.get("output"), record.get("error")
    if error is None:
        error = unusable(text)
    usage = record.get("usage")
    return Output(
        case_id=record["id"],
        epoch=epoch,
        text=text if isinstance(text, str) and unusable(text) is None else "",
        tool_calls=tuple(ToolCall(**call) for call in record.get("tool_calls") or ()),
        passages=tuple(
            Passage(id=passage) if isinstance(passage, str) else Passage(**passage)
            for passage in record.get("passages") or ()
        ),
        usage=Usage(**usage) if usage else None,
        latency_s=record.get("latency_s"),
        finish_reason=record.get("finish_reason"),
        refused=bool(record.get("refused", False)),
        prompt=record.get("prompt"),
        error=None if error is None else str(error),
    )


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Read a file row by row, each row checked."""
    if path.suffix.lower() == ".parquet":
        yield from _parquet_records(path)
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path) from error
    with file:
        for number, raw in enumerate(file, 1):
            raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 1 else raw
            if raw.strip():
                yield number, _record(path, number, raw)


def _parquet_records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    record = {k: v for k, v in row.items() if v is not None or k == "output"}
                    yield number, _checked(path, number, record)
    except (pa.ArrowInvalid, OSError) as error:
        raise ConfigError(f"not a Parquet file: {error}", file=path) from error


def _record(path: Path, number: int, raw: bytes) -> dict[str, Any]:
    try:
        record = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        message = f"byte {error.start + 1} of the line is not UTF-8"
        raise ConfigError(message, file=path, line=number) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise ConfigError(f"not JSON: {error}", file=path, line=number) from error
    return _checked(path, number, record)


def _checked(path: Path, number: int, record: Any) -> dict[str, Any]:
    if not isinstance(record, dict) or not isinstance(record.get("id"), str):
        raise ConfigError('expected an object {"id": text, "output": text}', file=path, line=number)
    if "output" not in record and "error" not in record:
        raise ConfigError("has neither output nor error", file=path, line=number, key="output")
    if not isinstance(record.get("epoch"), int | float | None):
        raise ConfigError("expected a whole number", file=path, line=number, key="epoch")
    return record
