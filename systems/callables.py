"""Functions that a configuration names as `package.module:function`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any

from harness.errors import ConfigError, nearest
from systems.answers import describe


def import_callable(target: str, *, folder: Path, key: str) -> Callable[..., Any]:
    """Import a function from the configuration's folder, the one above it, or the environment.

    Both folders stay on the import path, as they do for tests under pytest, because the function
    may import its own neighbours when it is called.
    """
    for place in (folder.resolve().parent, folder.resolve()):
        if str(place) not in sys.path:
            sys.path.insert(0, str(place))
    module_name, _, path = target.partition(":")
    value: Any = _import_module(module_name, folder, key)
    _check_place(value, module_name, folder, key)
    for attribute in path.split("."):
        if not hasattr(value, attribute):
            raise ConfigError(
                f"'{module_name}' has no '{path}'",
                key=key,
                hint=nearest(attribute, [name for name in dir(value) if not name.startswith("_")]),
            )
        value = getattr(value, attribute)
    if not callable(value):
        raise ConfigError(f"'{target}' is not a function, but {type(value).__name__}", key=key)
    return value  # type: ignore[no-any-return]


def module_beside(name: str, folder: Path) -> Path | None:
    """Find a module's file in the configuration's folder or the one above it, without importing it."""
    return module_file(name, (folder, folder.parent))


def module_file(name: str, places: Iterable[Path]) -> Path | None:
    """Find a module's file in the first of these folders that holds one, without importing it."""
    for place in places:
        relative = place.joinpath(*name.split("."))
        for file in (relative.with_suffix(".py"), relative / "__init__.py"):
            if file.is_file():
                return file.resolve()
    return None


def _check_place(module: Any, name: str, folder: Path, key: str) -> None:
    """Refuse a module that was imported from elsewhere before: the fingerprint is of the one beside."""
    beside, found = module_beside(name, folder), getattr(module, "__file__", None)
    if beside is not None and (found is None or Path(found).resolve() != beside):
        raise ConfigError(
            f"'{name}' is another module in this process than the one of this project",
            key=key,
            hint=f"Imported from {found or 'the interpreter'}; meant is {beside}. Rename one of them.",
        )


def _import_module(name: str, folder: Path, key: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigError(
                f"there is no module '{error.name}'",
                key=key,
                hint=f"Looked in {folder}, in the folder above it, and among what is installed.",
            ) from error
        raise ConfigError(f"'{name}' cannot be imported: {describe(error)}", key=key) from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may also skip or exit
        message = f"'{name}' cannot be imported: {describe(error, with_place=True)}"
        raise ConfigError(message, key=key) from error
