"""Columns of a Parquet table, without pandas.

`to_numpy`, `take` and `dictionary_encode` of pyarrow import pandas or pyarrow.compute, which takes longer
than writing the page. Texts are read as dictionaries, so that each different one is decoded once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from harness.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

Index: TypeAlias = npt.NDArray[np.int64]
HELD_ROWS = 150_000  # a larger table would fill the memory that a run of a million cases has left


@dataclass(frozen=True, slots=True)
class OnDisk:
    """Stands for a table that is too large to be held: a column is read whenever it is asked for."""

    file: Path
    column_names: list[str]
    texts: list[str]
    num_rows: int

    def __getitem__(self, name: str) -> Any:
        import pyarrow.parquet as pq

        with pq.ParquetFile(self.file, read_dictionary=self.texts) as opened:
            return opened.read([name], use_threads=False)[name]


class Columns:
    """A table that is read column by column."""

    def __init__(self, table: pa.Table | OnDisk) -> None:
        self._table = table

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @property
    def names(self) -> list[str]:
        return list(self._table.column_names)

    def __contains__(self, name: object) -> bool:
        return name in self._table.column_names

    def codes(self, name: str) -> tuple[Index, list[str]]:
        """Return a text column as numbers, -1 where there is none, and the texts they stand for."""
        if name not in self or not len(self):
            return np.full(len(self), -1, dtype=np.int64), []
        array = _whole(self._table[name])
        codes = _buffer(array.indices).astype(np.int64)
        present = _present(array.indices)
        return np.where(present, codes, -1), array.dictionary.to_pylist()

    def places(self, name: str, names: tuple[str, ...]) -> Index:
        """Return where each row's text stands in `names`, -1 where it does not."""
        codes, texts = self.codes(name)
        position = {text: i for i, text in enumerate(names)}
        # The last entry is what the code -1 picks.
        found = np.array([*(position.get(text, -1) for text in texts), -1], dtype=np.int64)
        return found[codes]

    def texts(self, name: str) -> list[str | None]:
        """Return a text column as texts."""
        codes, texts = self.codes(name)
        known: list[str | None] = [*texts, None]
        return [known[code] for code in codes.tolist()]

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """Return a column of numbers or truths, NaN where there is none."""
        if name not in self or not len(self):
            return np.full(len(self), np.nan)
        array = _whole(self._table[name])
        if str(array.type) == "bool":
            return np.array([np.nan if v is None else v for v in array.to_pylist()], dtype=float)
        return np.where(_present(array), _buffer(array), np.nan).astype(np.float64)


def read_columns(folder: Path, name: str) -> Columns | None:
    """Read a table of a stored run, or return None where it was stored without.

    Raises
    ------
    StoreError
        The file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    file = folder / f"{name}.parquet"
    if not file.is_file():
        return None
    try:
        schema = pq.read_schema(file)
        texts = [field.name for field in schema if "string" in str(field.type)]
        with pq.ParquetFile(file, read_dictionary=texts) as opened:
            if opened.metadata.num_rows > HELD_ROWS:
                return Columns(OnDisk(file, schema.names, texts, opened.metadata.num_rows))
            return Columns(opened.read(use_threads=False))
    except (pa.ArrowInvalid, OSError) as error:
        raise StoreError(f"this table is damaged: {error}", file=file) from None


def _whole(column: Any) -> Any:
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _buffer(array: Any) -> npt.NDArray[Any]:
    kind = np.dtype(array.type.to_pandas_dtype())
    data = array.buffers()[1]
    return np.frombuffer(data, dtype=kind, count=len(array), offset=array.offset * kind.itemsize)


def _present(array: Any) -> npt.NDArray[np.bool_]:
    bits = array.buffers()[0]
    if bits is None:
        return np.ones(len(array), dtype=bool)
    flags = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), bitorder="little")
    return flags[array.offset : array.offset + len(array)].astype(bool)
