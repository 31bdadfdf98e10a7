"""The line of every key of a YAML text; a key that is given twice is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from harness.errors import ConfigError

KeyPath = tuple[str | int, ...]


def key_lines(text: str, file: Path) -> dict[KeyPath, int]:
    """Compose a YAML text, and return the line of each key and item by its path.

    Raises
    ------
    ConfigError
        A key is given twice: YAML would take the last and drop the others unseen.
    yaml.YAMLError
        The text is not YAML.
    """
    lines: dict[KeyPath, int] = {}
    _note(yaml.compose(text, Loader=yaml.SafeLoader), (), lines, file, above=())
    return lines


def dotted(path: Iterable[str | int]) -> str:
    """Write a path as people do: `systems.rag.prompt`."""
    return ".".join(str(part) for part in path)


def line_of(path: KeyPath, lines: Mapping[KeyPath, int]) -> int | None:
    """The line of a key, or of the nearest key above it that stands in the text."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path)


def _note(
    node: Any, path: KeyPath, lines: dict[KeyPath, int], file: Path, above: tuple[int, ...]
) -> None:
    if id(node) in above:  # an alias may name a part that holds it
        return
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*path, str(key.value))
            if here in lines:
                raise ConfigError(
                    f"this key was already given on line {lines[here]}",
                    file=file,
                    line=key.start_mark.line + 1,
                    key=dotted(here),
                )
            lines[here] = key.start_mark.line + 1
            _note(value, here, lines, file, above)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*path, index)] = value.start_mark.line + 1
            _note(value, (*path, index), lines, file, above)
