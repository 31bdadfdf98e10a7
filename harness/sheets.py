"""CSV files that people fill in, in a spreadsheet as often as not."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from harness.errors import CaseError, nearest

Cells = dict[str, str]


def read_sheet(
    path: Path, *, needed: Sequence[str], known: Collection[str] | None = None
) -> Iterator[tuple[int, Cells]]:
    """Yield the rows in which something is written, each with its line; a cell left out is "".

    Parameters
    ----------
    path
        The file, in UTF-8 with a header.
    needed
        Columns that it must have.
    known
        All that it may have; any, where this is absent.

    Raises
    ------
    CaseError
        There is no such file, it is no CSV in UTF-8, or its columns are others.
    """
    if not path.is_file():
        raise CaseError("there is no such file", file=path)
    with path.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.DictReader(stream)
        try:
            _check_columns(reader.fieldnames or (), path, needed, known)
            for row in reader:
                if any(row.values()):
                    yield reader.line_num, {c: row.get(c) or "" for c in reader.fieldnames or ()}
        except UnicodeDecodeError as error:
            hint = "Save it as CSV in UTF-8."
            raise CaseError(f"not UTF-8: {error.reason}", file=path, hint=hint) from None
        except csv.Error as error:
            raise CaseError(f"not CSV: {error}", file=path, line=reader.line_num) from None


def _check_columns(
    columns: Sequence[str], path: Path, needed: Sequence[str], known: Collection[str] | None
) -> None:
    unknown = [column for column in columns if known is not None and column not in known]
    if unknown:
        hint = nearest(unknown[0], known or ())
        raise CaseError(f"unknown column '{unknown[0]}'", file=path, line=1, hint=hint)
    if twice := [column for column in columns if column and columns.count(column) > 1]:
        message = f"there are two columns '{twice[0]}'"
        raise CaseError(message, file=path, line=1, hint="Only one of them would be read.")
    if missing := [column for column in needed if column not in columns]:
        raise CaseError(
            f"there is no column {', '.join(missing)}",
            file=path,
            line=1,
            hint=f"The first line names the columns: {','.join(known or needed)}",
        )
