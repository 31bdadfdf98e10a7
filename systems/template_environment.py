"""How prompts read their variables: fields before methods, and never a function as text.

Where a field of an input is called like a method of Python's (`items`, `values`, `title`), it is the
field that a prompt means.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment


class UncalledMethod(StrictUndefined):
    """A method that a template names: undefined, but it can be called."""

    __slots__ = ("method",)
    # Read by Jinja before it calls anything; of an undefined value every other attribute raises.
    unsafe_callable = alters_data = False
    jinja_pass_arg = None

    def __init__(self, method: Callable[..., Any], obj: Any, name: str) -> None:
        told = f"there is no field '{name}' here, only a method: `{name}()` would call it"
        super().__init__(hint=told, obj=obj, name=name)
        self.method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.method(*args, **kwargs)


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """Reads fields before methods, and writes no function into a prompt."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_no_function,
            **options,
        )

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return _unless_method(super().getattr(obj, attribute), obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        return _unless_method(super().getitem(obj, argument), obj, argument)


def _unless_method(value: Any, obj: Any, name: Any) -> Any:
    """A value of a field or an item; a method in its place may only be called."""
    return UncalledMethod(value, obj, name) if inspect.isroutine(value) else value


def _no_function(value: Any) -> Any:
    """What a prompt writes of a value; a function that was not called has no text."""
    if callable(value) and not isinstance(value, Undefined):
        raise TypeError("a function was named and not called: it has no text to write")
    return value
