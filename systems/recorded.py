"""Outputs that were answered elsewhere, read from a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.records import fault_of, wrong
from harness.types import Case, Output, Passage, Rung, SystemSpec, ToolCall, Usage
from systems.answers import unusable


class RecordedSystem:
    """Answers each case with the line of a JSONL file, or the row of a Parquet file, that has its id.

    A line is `{"id", "output"}`, and where known `epoch, latency_s, usage, tool_calls, passages,
    finish_reason, refused, prompt, error`; null is a field that is not there. A line without `epoch`
    answers every epoch that has no line of its own.
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
            output = _parse(record, epoch)
            fault = fault_of(output)
        except TypeError as error:
            fault = str(error)
        if fault is not None:
            raise ConfigError(
                f"a field of id {record['id']!r} has the wrong form: {fault}",
                file=self.path,
                line=line,
            )
        return output


def _parse(record: Mapping[str, Any], epoch: int) -> Output:
    """Make an output of a line, its fields as they stand there.

    Raises
    ------
    TypeError
        A field with parts has others than it should.
    """
    text = record.get("output")
    unfit = unusable(text)
    usage = _object("usage", record.get("usage", {}))
    return Output(
        case_id=record["id"],
        epoch=epoch,
        text=text if isinstance(text, str) and unfit is None else "",
        tool_calls=tuple(ToolCall(**call) for call in _objects("tool_calls", record)),
        passages=tuple(Passage(**passage) for passage in _objects("passages", record)),
        usage=Usage(**usage) if usage else None,
        latency_s=record.get("latency_s"),
        finish_reason=record.get("finish_reason"),
        refused=record.get("refused", False),
        prompt=record.get("prompt"),
        error=record.get("error", unfit),
    )


def _objects(name: str, record: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the parts of a field; a passage may be written as its bare id."""
    parts = record.get(name, [])
    if not isinstance(parts, list):
        raise TypeError(wrong(name, parts, "a list"))
    for number, part in enumerate(parts):
        bare = name == "passages" and isinstance(part, str)
        yield {"id": part} if bare else _object(f"{name}.{number}", part)


def _object(place: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(wrong(place, value, "an object"))
    return value


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
                    yield number, _checked(path, number, row)
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
    # Tables have every column in every row; and an empty text is how logs say that nothing failed.
    told: dict[str, Any] = {
        name: value
        for name, value in record.items()
        if (value is not None or name == "output") and (name, value) != ("error", "")
    }
    if "output" not in told and "error" not in told:
        raise ConfigError("has neither output nor error", file=path, line=number, key="output")
    if "epoch" in told:
        told["epoch"] = _whole(told["epoch"], path, number)
    return told


def _whole(epoch: Any, path: Path, number: int) -> int:
    """An epoch; a column that lacks some of them comes as floats."""
    if type(epoch) not in (int, float) or not epoch >= 0 or epoch % 1:
        message = f"expected a whole number, got {epoch!r}"
        raise ConfigError(message, file=path, line=number, key="epoch")
    return int(epoch)
