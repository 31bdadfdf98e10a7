"""Functions that a model may call: their schemas go in, checked calls come out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import jsonschema

from harness.errors import ConfigError, ends_the_session, nearest
from harness.types import Case, SystemSpec, ToolCall
from systems.answers import TimedOut, describe, printable
from systems.backend import RawCall
from systems.callables import import_callable
from systems.python import call_within

MAX_ROUNDS = 4
TIMEOUT_S = 10.0


class CallError(Exception):
    """A model's function call cannot be answered."""


class Toolbox:
    """The functions of one system, and of single cases where `from_field` names them."""

    def __init__(self, spec: SystemSpec, options: Mapping[str, Any]) -> None:
        self.spec, self.options = spec, options
        self.key = f"systems.{spec.name}.tools"
        self.max_rounds: int = options.get("max_rounds", MAX_ROUNDS)

    def check(self) -> None:
        """Import the functions and check their schemas."""
        names = [tool["name"] for tool in self.options.get("functions", [])]
        if not names and "from_field" not in self.options:
            raise ConfigError("names no functions", key=self.key)
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"the function '{name}' stands twice", key=self.key)
        for tool in self.options.get("functions", []):
            try:
                jsonschema.Draft202012Validator.check_schema(tool["parameters"])
            except jsonschema.SchemaError as error:
                message = f"the parameters of '{tool['name']}' are no JSON Schema: {error.message}"
                raise ConfigError(message, key=self.key) from error
        _ = self._functions

    def fault(self, case: Case) -> str | None:
        """Why the functions that a case brings cannot be offered; None where they can."""
        brought, field = self._brought(case), self.options.get("from_field")
        if not isinstance(brought, list | tuple):
            return f"`{field}` of the case is no list of functions, but {type(brought).__name__}"
        names = {tool["name"] for tool in self.options.get("functions", [])}
        for number, tool in enumerate(brought, 1):
            if told := _fault_of(tool):
                return f"function {number} in `{field}` of the case {told}"
            if tool["name"] in names:
                return f"`{field}` of the case has the function '{tool['name']}' twice"
            names.add(tool["name"])
        return None

    def schemas(self, case: Case) -> tuple[Mapping[str, Any], ...]:
        """The functions that a case's model may call, as chat APIs take them."""
        return tuple(
            {
                "type": "function",
                "function": {
                    "name": tool["name"],
                    "description": tool.get("description", ""),
                    "parameters": tool["parameters"],
                },
            }
            for tool in self._tools(case)
        )

    def answer(self, raw: RawCall, case: Case) -> ToolCall:
        """Check a call and run its function.

        Raises
        ------
        CallError
            When there is no such function, the arguments are no JSON or not what its schema
            allows, or it raises or does not return in time.
        """
        if not raw.name:
            raise CallError(f"a call names no function: its arguments are {raw.arguments[:200]!r}")
        tools = {tool["name"]: tool for tool in self._tools(case)}
        if raw.name not in tools:
            raise CallError(f"there is no function '{raw.name}'. {nearest(raw.name, tools)}")
        arguments = self._arguments(raw, tools[raw.name]["parameters"])
        function = self._functions.get(raw.name)
        if function is None:
            return ToolCall(name=raw.name, arguments=arguments)
        timeout_s = self.options.get("timeout_s", TIMEOUT_S)
        try:
            value = call_within(lambda given: function(**given), arguments, timeout_s=timeout_s)
        except TimedOut as error:
            raise CallError(f"function '{raw.name}': {error}") from error
        except BaseException as error:
            if ends_the_session(error):
                raise
            message = f"function '{raw.name}' raised {describe(error, with_place=True)}"
            raise CallError(message) from error
        return ToolCall(name=raw.name, arguments=arguments, result=_as_result(value, raw.name))

    def _arguments(self, raw: RawCall, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            arguments = json.loads(raw.arguments or "{}")
        except (ValueError, RecursionError) as error:
            message = f"the arguments of '{raw.name}' are no JSON: {error}: {raw.arguments[:200]!r}"
            raise CallError(message) from error
        if not isinstance(arguments, dict):
            raise CallError(f"the arguments of '{raw.name}' are no object: {raw.arguments[:200]!r}")
        try:
            faults = list(jsonschema.Draft202012Validator(dict(parameters)).iter_errors(arguments))
        except Exception as error:  # a reference that leads nowhere, or in a circle
            message = f"the arguments of '{raw.name}' cannot be checked: {describe(error)}"
            raise CallError(message) from error
        if faults:
            raise CallError(f"the arguments of '{raw.name}' are wrong: {faults[0].message}")
        return arguments

    def _tools(self, case: Case) -> Sequence[Mapping[str, Any]]:
        return [*self.options.get("functions", []), *self._brought(case)]

    def _brought(self, case: Case) -> Any:
        """The case's own functions, as its row has them."""
        field = self.options.get("from_field")
        if field is None:
            return []
        fields = case.input if isinstance(case.input, Mapping) else {}
        return fields.get(field) or case.metadata.get(field) or []

    @cached_property
    def _functions(self) -> dict[str, Callable[..., Any]]:
        return {
            tool["name"]: import_callable(
                tool["callable"], folder=self.spec.folder, key=f"{self.key}.{tool['name']}"
            )
            for tool in self.options.get("functions", [])
            if "callable" in tool
        }


def _fault_of(tool: Any) -> str | None:
    """What is wrong with a function that a case brings."""
    if not isinstance(tool, Mapping):
        return f"is no object, but {type(tool).__name__}"
    if not isinstance(tool.get("name"), str) or not tool["name"]:
        return "has no `name`"
    if not isinstance(tool.get("parameters"), Mapping):
        return f"('{tool['name']}') has no `parameters`: a JSON Schema of its arguments"
    try:
        jsonschema.Draft202012Validator.check_schema(tool["parameters"])
    except jsonschema.SchemaError as error:
        return f"('{tool['name']}') has parameters that are no JSON Schema: {error.message}"
    return None


def _as_result(value: Any, name: str) -> str:
    if isinstance(value, str):
        return printable(value)
    try:
        return printable(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise CallError(f"function '{name}' returned what is no JSON: {error}") from error


def calls_in_text(text: str) -> tuple[RawCall, ...]:
    """Calls that a model wrote into its text: `<tool_call>` blocks, or nothing but JSON.

    The form that Hermes and Qwen chat templates teach: `{"name": ..., "arguments": {...}}`.
    """
    blocks = [part.partition("</tool_call>")[0] for part in text.split("<tool_call>")[1:]]
    marked = bool(blocks)
    calls: list[RawCall] = []
    for block in blocks or [text]:
        try:
            value = json.loads(block)
        except (ValueError, RecursionError):
            if marked:
                calls.append(RawCall(id=f"call_{len(calls)}", name="", arguments=block.strip()))
            continue
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, dict) and isinstance(item.get("name"), str):
                given = item.get("arguments", item.get("parameters", {}))
                arguments = given if isinstance(given, str) else json.dumps(given)
                calls.append(
                    RawCall(id=f"call_{len(calls)}", name=item["name"], arguments=arguments)
                )
    return tuple(calls)
