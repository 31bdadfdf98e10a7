"""Cases from `.jsonl`, `.csv` and `.parquet` files, each row checked, each error with its place."""

from __future__ import annotations

import codecs
import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, time
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from harness.errors import CaseError, nearest
from harness.records import own, unstorable
from harness.types import Case, Passage

FIELDS = ("id", "input", "expected_output", "context", "tags", "metadata")
PLAIN_FIELDS = frozenset(FIELDS)
MAX_ROW_BYTES = 5_000_000  # a longer row is a whole corpus in one case: a mistake, or a memory bomb
MAX_ERRORS_SHOWN = 10

Row = dict[str, Any]

# One encoder for every hash: `json.dumps` makes a new one at each call that asks for sorted keys.
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, default=str)


def load_cases(path: Path) -> tuple[Case, ...]:
    """Read every case of a file.

    Raises
    ------
    CaseError
        The file is missing, empty or of an unknown kind, a row is wrong, or an id comes twice.
    """
    cases: list[Case] = []
    lines: dict[str, int] = {}
    for line, row in _rows(path):
        case = parse_case(row, file=path, line=line)
        if case.id in lines:
            raise CaseError(
                f"the id '{case.id}' was already used on line {lines[case.id]}",
                file=path,
                line=line,
                key="id",
                hint="Ids pair the answers of two systems, so each must be unique in its file.",
            )
        lines[case.id] = line
        cases.append(case)
    if not cases:
        raise CaseError(
            "there are no cases in this file",
            file=path,
            hint='Write one case a row: {"id": "...", "input": "...", "expected_output": "..."}',
        )
    return tuple(cases)


def parse_case(row: object, *, file: Path | str, line: int | None = None) -> Case:
    """Check one row and make it a case."""
    if not _plainly_valid(row):
        _check(row, file=file, line=line)
    assert isinstance(row, dict)
    _check_storable(row, file=file, line=line)
    context = tuple(
        Passage(id=item) if isinstance(item, str) else Passage(id=item["id"], text=item.get("text"))
        for item in row.get("context") or ()
    )
    return Case(
        id=row["id"],
        input=row["input"],
        expected_output=row.get("expected_output"),
        context=context,
        tags=tuple(row.get("tags") or ()),
        metadata=row.get("metadata") or {},
    )


def own_copy(case: Case) -> Case:
    """Copy what can be changed in a case, for functions of users: what they change is theirs alone."""
    return replace(
        case,
        input=own(case.input),
        expected_output=own(case.expected_output),
        metadata=own(case.metadata),
    )


def case_hash(case: Case) -> str:
    """Hash what a system may see of a case.

    The expected output and the tags are left out: a system never gets them, so correcting a
    label must not throw away answers that were paid for.
    """
    seen = [case.id, case.input, [[p.id, p.text] for p in case.context], case.metadata]
    return hashlib.sha256(_canonical(seen)).hexdigest()


def content_hash(cases: tuple[Case, ...]) -> str:
    """Hash everything about these cases, expected outputs included, in any order."""
    rows = sorted(_canonical([case_hash(c), c.expected_output, c.tags]) for c in cases)
    digest = hashlib.sha256()
    for number, row in enumerate(rows):  # joined piece by piece: a million rows are 150 MB
        digest.update(b"\n" + row if number else row)
    return digest.hexdigest()


def _canonical(value: object) -> bytes:
    return _ENCODER.encode(value).encode()


def _plainly_valid(row: object) -> bool:
    """Recognise the common row in a microsecond; the schema is asked about every other one.

    Asking it takes a millisecond, which for a few thousand cases is longer than all else.
    """
    return (
        isinstance(row, dict)
        and PLAIN_FIELDS.issuperset(row)
        and isinstance(row.get("id"), str)
        and 0 < len(row["id"]) <= 200
        and isinstance(row.get("input"), str)
        and ("tags" not in row or _are_texts(row["tags"]))
        and ("context" not in row or _are_passages(row["context"]))
        and ("metadata" not in row or _is_plain_metadata(row["metadata"]))
    )


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _are_passages(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(item, str)
        or (
            isinstance(item, dict)
            and item.keys() == {"id", "text"}
            and isinstance(item["id"], str)
            and isinstance(item["text"], str)
        )
        for item in value
    )


def _is_plain_metadata(value: object) -> bool:
    return isinstance(value, dict) and value.get("split", "dev") in ("dev", "locked")


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator

    schema = json.loads((files("harness") / "schemas" / "case.schema.json").read_text("utf-8"))
    return Draft202012Validator(schema)


def _check(row: object, *, file: Path | str, line: int | None) -> None:
    from jsonschema.exceptions import best_match

    if not isinstance(row, dict):
        raise CaseError(f"a case is an object, not {_shown(row)}", file=file, line=line)
    for key in row:
        if key not in FIELDS:
            raise CaseError(
                f"unknown field. {nearest(str(key), FIELDS)}",
                file=file,
                line=line,
                key=str(key),
                hint="Put further fields under `metadata`.",
            )
    error = best_match(_validator().iter_errors(row))
    if error is not None:
        key = ".".join(str(part) for part in error.absolute_path)
        expected = error.schema.get("description", "") if isinstance(error.schema, Mapping) else ""
        raise CaseError(
            _short(error.message),
            file=file,
            line=line,
            key=key,
            hint=f"Expected: {expected}." if expected else None,
        )


def _check_storable(row: Row, *, file: Path | str, line: int | None) -> None:
    """Refuse what is no JSON in UTF-8: no system could be asked it, and no run could keep it."""
    fault = unstorable(row)
    if fault is not None:
        path, reason = fault
        key = ".".join(path).encode("utf-8", "backslashreplace").decode("utf-8")
        raise CaseError(reason, file=file, line=line, key=_short(key, 80))


def _rows(path: Path) -> Iterator[tuple[int, object]]:
    readers: dict[str, Callable[[Path], Iterator[tuple[int, object]]]] = {
        ".jsonl": _jsonl_rows,
        ".csv": _csv_rows,
        ".parquet": _parquet_rows,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise CaseError(
            f"unknown kind of file '{path.suffix}'",
            file=path,
            hint=f"Cases are read from {', '.join(readers)}.",
        )
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.*")] if path.parent.is_dir() else []
        raise CaseError("there is no such file", file=path, hint=nearest(path.name, near))
    return reader(path)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield numbered lines of UTF-8 text, without a byte order mark or line ends."""
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            if len(raw) > MAX_ROW_BYTES:
                raise CaseError(
                    f"this line has {len(raw) / 1e6:.1f} MB; the limit is {MAX_ROW_BYTES / 1e6:.0f} MB",
                    file=path,
                    line=number,
                    hint="Put long documents into a corpus, or check that rows end with a line end.",
                )
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise CaseError(
                    f"byte {error.start + 1} (0x{raw[error.start]:02x}) is not UTF-8",
                    file=path,
                    line=number,
                    hint=f"Convert it: iconv -f {_encoding(raw, number)} -t utf-8"
                    f" {path.name} > utf8-{path.name}",
                ) from None
            yield number, text.rstrip("\r\n")


def _encoding(raw: bytes, number: int) -> str:
    """Guess what a line that is not UTF-8 was written in: a file's first bytes may say it."""
    marked = number == 1 and raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return "utf-16" if marked else "latin1"


def _jsonl_rows(path: Path) -> Iterator[tuple[int, object]]:
    decode = json.JSONDecoder(parse_constant=_refuse_constant).decode
    for number, text in _lines(path):
        if not text.strip():
            continue
        try:
            yield number, decode(text)
        except (json.JSONDecodeError, ValueError, RecursionError) as error:
            column = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
            reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
            raise CaseError(
                f"not JSON{column}: {_short(reason)}",
                file=path,
                line=number,
                hint="Each line is one JSON object.",
            ) from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _csv_rows(path: Path) -> Iterator[tuple[int, object]]:
    reader = csv.reader((text + "\n" for _, text in _lines(path)), strict=True)
    csv.field_size_limit(MAX_ROW_BYTES)
    header: list[str] | None = None
    while True:
        try:
            values = next(reader, None)
        except csv.Error as error:
            raise CaseError(f"not CSV: {error}", file=path, line=reader.line_num) from None
        if values is None:
            return
        if header is None:
            header = values
            _check_header(header, path)
        elif any(values):
            if len(values) != len(header):
                raise CaseError(
                    f"{len(values)} values under {len(header)} columns",
                    file=path,
                    line=reader.line_num,
                    hint="Quote a value that holds a comma, a quote or a line end.",
                )
            yield reader.line_num, _csv_row(header, values)


def _check_distinct(columns: Sequence[str], path: Path) -> None:
    """Refuse two columns of one name: only one of them would be read."""
    for number, column in enumerate(columns):
        if column in columns[:number]:
            raise CaseError("there are two columns of this name", file=path, line=1, key=column)


def _check_header(header: list[str], path: Path) -> None:
    _check_distinct(header, path)
    for column in header:
        name, dot, field = column.partition(".")
        if name not in FIELDS or (dot and not field):
            raise CaseError(
                f"unknown column. {nearest(column, FIELDS)}",
                file=path,
                line=1,
                key=column,
                hint="Name further columns `metadata.<name>`, and fields of the input `input.<name>`.",
            )
        if dot and name in header:
            raise CaseError(
                f"stands beside a column `{name}`: a value is whole, or made of fields",
                file=path,
                line=1,
                key=column,
                hint=f"Keep `{name}`, or the columns `{name}.<name>`.",
            )


def _csv_row(header: list[str], values: list[str]) -> Row:
    """Make a row of a CSV line; `a.b` columns nest, lists are split at semicolons."""
    row: Row = {}
    for column, value in zip(header, values, strict=True):
        name, _, field = column.partition(".")
        if field:
            if value or name == "input":
                row.setdefault(name, {})[field] = value
        elif name in ("tags", "context"):
            row[name] = [part.strip() for part in value.split(";") if part.strip()]
        elif value or name in ("id", "input"):
            row[name] = value
    return row


def _parquet_rows(path: Path) -> Iterator[tuple[int, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            _check_distinct(file.schema_arrow.names, path)
            number = 0
            for batch in file.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    yield number, {k: _as_json(v) for k, v in row.items() if v is not None}
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise CaseError(f"not a parquet file: {_short(str(error))}", file=path) from None


def _as_json(value: Any) -> Any:
    """Write dates and decimals of Parquet as JSON does: text in ISO 8601, and numbers."""
    if isinstance(value, date | time):  # a datetime is a date
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value


def _shown(value: object) -> str:
    return _short(repr(value))


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text):,} characters)"
