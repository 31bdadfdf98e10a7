"""Rows for training, for validation and for a test: groups stay whole."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError, nearest
from systems.recipe import Recipe
from systems.rows import PlacedRow, place, texts_of_row


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Indices of rows."""

    kept: list[int]  # trained on
    validation: list[int]  # held out for the loss curve
    test: list[int]  # never shown to a training, nor to its validation


def split_by_group(rows: Sequence[Mapping[str, Any]], recipe: Recipe, rng: random.Random) -> Split:
    """Split rows as a recipe says.

    Parameters
    ----------
    rows
        The rows.
    recipe
        Its `group` names a metadata field; without one, rows with the same input are a group.
    rng
        Chooses the groups for validation.

    Raises
    ------
    ConfigError
        When rows lack the field that `group` names.
    """
    groups = _groups(rows, recipe)
    test = _test(groups, recipe.test * len(rows))
    held = set(test)
    others = sorted(name for name in groups if groups[name][0] not in held)
    rng.shuffle(others)
    validation = _take(others, groups, recipe.validation * len(rows))
    held.update(validation)
    kept = [index for index in range(len(rows)) if index not in held]
    if not kept:
        raise ConfigError("no row is left to train on", file=recipe.path, key="validation")
    return Split(kept=kept, validation=validation, test=test)


def without_test(rows: Sequence[Mapping[str, Any]], recipe: Recipe) -> list[Mapping[str, Any]]:
    """The rows that a training may see: for one that is given parts of them, or runs elsewhere."""
    if not recipe.test:
        return list(rows)
    held = set(_test(_groups(rows, recipe), recipe.test * len(rows)))
    return [row for index, row in enumerate(rows) if index not in held]


def row_ids(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """What tells rows apart in a record: their ids, or hashes of what they say."""
    return [str(row["id"]) if row.get("id") is not None else f"sha256:{_hash(row)}" for row in rows]


def _groups(rows: Sequence[Mapping[str, Any]], recipe: Recipe) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(_names(rows, recipe)):
        groups.setdefault(name, []).append(index)
    return groups


def _test(groups: Mapping[str, list[int]], wanted: float) -> list[int]:
    """By hash, not by seed: trainings of several seeds are tested on the same rows."""
    return _take(
        sorted(groups, key=lambda name: hashlib.sha256(_bytes(name)).digest()), groups, wanted
    )


def _take(names: Iterable[str], groups: Mapping[str, list[int]], wanted: float) -> list[int]:
    taken: list[int] = []
    for name in names:
        if len(taken) + len(groups[name]) / 2 > wanted:
            break
        taken.extend(groups[name])
    return sorted(taken)


def _names(rows: Sequence[Mapping[str, Any]], recipe: Recipe) -> list[str]:
    """The group of each row."""
    if recipe.group is None:
        return ["\n".join(sorted(texts_of_row(row))) for row in rows]
    metadata = [_metadata(row, number, recipe) for number, row in enumerate(rows, 1)]
    fields = [{**row, **named} for row, named in zip(rows, metadata, strict=True)]
    lacking = [i for i, known in enumerate(fields) if known.get(recipe.group) is None]
    if lacking:
        which = (
            "no row has"
            if len(lacking) == len(rows)
            else f"{len(lacking)} of {len(rows)} rows lack"
        )
        there = {name for named in metadata for name in named}
        first = place(rows[lacking[0]], lacking[0] + 1)
        raise ConfigError(
            f"{which} a '{recipe.group}' in its metadata ({first} of {recipe.data.name})",
            file=recipe.path,
            key="group",
            hint=nearest(recipe.group, there),
        )
    return [str(known[recipe.group]) for known in fields]


def _metadata(row: Mapping[str, Any], number: int, recipe: Recipe) -> Mapping[str, Any]:
    metadata = row.get("metadata") or {}
    if not isinstance(metadata, Mapping):
        raise ConfigError(
            f"the metadata of {place(row, number)} is no object: {metadata!r:.40}",
            file=recipe.data,
            line=row.line if isinstance(row, PlacedRow) else None,
            hint=f'The recipe reads its group there: {{"{recipe.group}": ...}}.',
        )
    return metadata


def _hash(row: Mapping[str, Any]) -> str:
    text = json.dumps(row, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(_bytes(text)).hexdigest()[:16]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
