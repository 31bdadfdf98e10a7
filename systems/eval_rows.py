"""Training rows that are cases of an eval suite: what is trained on cannot be judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from harness.errors import ConfigError
from harness.types import CaseInput
from systems.prepared_rows import PreparedRow
from systems.recipe import Recipe
from systems.rows import PlacedRow, asked_texts, texts_of_row

Suites = Mapping[str, Sequence[CaseInput]]  # the inputs of the cases as they stand there, by suite


def refuse_eval_rows(rows: Sequence[PreparedRow], suites: Suites, recipe: Recipe) -> None:
    """Refuse rows that ask what an eval suite asks, unless the recipe allows them.

    A row's own prompt may hold a case among the prompt file's words: what is asked counts as well as
    what stands in the row.

    Raises
    ------
    ConfigError
        With the number of such rows, and the line of the first.
    """
    if recipe.allow_eval_rows:
        return
    asked = {text for inputs in suites.values() for text in _texts_of_cases(inputs)}
    found = [row.row for row in rows if _texts(row) & asked]
    if found:
        raise ConfigError(
            f"{len(found)} rows are cases of an eval suite: what is trained on cannot be judged by",
            file=recipe.data,
            line=found[0].line if isinstance(found[0], PlacedRow) else None,
            hint="Take them out, or say allow_eval_rows: true in the recipe.",
        )


def eval_cases(rows: Sequence[PreparedRow], suites: Suites) -> dict[str, int]:
    """How many cases of each suite are among the rows; suites of which none is are left out."""
    trained = {text for row in rows for text in _texts(row)}
    counts = {
        name: sum(bool(asked_texts(value) & trained) for value in inputs)
        for name, inputs in suites.items()
    }
    return {name: count for name, count in counts.items() if count}


def _texts(row: PreparedRow) -> frozenset[str]:
    asked = row.asked.input
    return texts_of_row(row.row) | (frozenset() if asked is None else asked_texts(asked))


def _texts_of_cases(inputs: Sequence[CaseInput]) -> Iterator[str]:
    for value in inputs:
        yield from asked_texts(value)
