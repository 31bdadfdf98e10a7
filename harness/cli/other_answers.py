"""How many answers of two runs are not the same text: another engine, batch size or machine may change some."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from harness.errors import StoreError

KEYS = ["suite", "system", "case", "epoch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherAnswers:
    """Of the outputs to the same question without an error on either side: those with another text."""

    suite: str
    system: str
    outputs: int
    differ: int

    def __str__(self) -> str:
        share = 100 * self.differ / self.outputs
        return f"{self.differ:,} of {self.outputs:,} answers ({share:.1f} %)"


def other_answers(
    before: Path,
    after: Path,
    *,
    systems: Mapping[str, str],
    cases: Mapping[str, Collection[str]],
) -> Iterator[OtherAnswers]:
    """Compare two runs' outputs on the cases that are the same question in both.

    Nothing is yielded where a run keeps no outputs, as the blessed one.

    Parameters
    ----------
    systems
        For each system of the first run its counterpart in the second.
    cases
        Ids of those cases by suite.
    """
    first, second = _texts(before), _texts(after)
    if first is None or second is None:
        return
    for system, other in systems.items():
        ours = first.filter(pc.field("system") == system).drop_columns("system")
        theirs = second.filter(pc.field("system") == other).drop_columns("system")
        both = ours.join(theirs, KEYS[:1] + KEYS[2:], join_type="inner", right_suffix=" after")
        for suite, ids in sorted(cases.items()):
            of_suite = pc.field("suite") == suite
            within = both.filter(of_suite & pc.field("case").isin(list(ids)))
            if within.num_rows:
                differ = pc.sum(pc.not_equal(within["text"], within["text after"])).as_py()
                yield OtherAnswers(
                    suite=suite, system=other, outputs=within.num_rows, differ=differ
                )


def _texts(folder: Path) -> pa.Table | None:
    file = folder / "outputs.parquet"
    if not file.is_file():
        return None
    try:
        table = pq.read_table(file, columns=[*KEYS, "text", "error"])
    except pa.ArrowInvalid as error:
        raise StoreError(f"this table is damaged: {error}", file=file) from None
    plain = table.schema.set(0, pa.field("suite", pa.string()))
    for name in ("suite", "system", "case", "text"):
        plain = plain.set(plain.get_field_index(name), pa.field(name, pa.string()))
    return table.cast(plain).filter(pc.field("error").is_null()).drop_columns("error")
