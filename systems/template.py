"""Prompt templates: Jinja2 files that give chat messages.

A line `[system]`, `[user]` or `[assistant]` begins a message; a file without one is a single user
message, and a last `[assistant]` part is the beginning of the answer. Templates see

- `input`: the case's input, and each of its fields by name where it is an object, unless that name
  stands below
- `examples`: a list with `.input` and `.output`
- `passages`: a list with `.id`, `.text` and `.rank`
- `steps`: the answers of earlier steps of a chain, by name
- `tools`: the schemas of the functions that the model may call
- `case`: the whole case
"""

from __future__ import annotations

import os
import re
import secrets
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from jinja2 import (
    Environment,
    FunctionLoader,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.meta import find_referenced_templates, find_undeclared_variables

from harness.errors import ConfigError, nearest
from harness.types import Case, CaseInput
from systems.answers import describe
from systems.template_environment import PromptEnvironment

VARIABLES = ("input", "examples", "passages", "steps", "tools", "case")
DEFAULT = ("default", "d")  # the filter's two names
ROLE_LINE = re.compile(r"^\[(system|user|assistant)\][ \t]*$", re.MULTILINE)


class RenderError(Exception):
    """A template cannot be rendered for one case."""


class PromptTemplate:
    """A template file, compiled once.

    Raises
    ------
    ConfigError
        When the file is missing or its syntax is wrong, with file and line.
    """

    def __init__(self, path: Path, *, key: str, source: str | None = None) -> None:
        self.path, self.key = path, key
        # Only lines of the template's own text make messages: they are marked with a secret
        # before rendering, so that no text of a case can begin a message of another role.
        self._mark = secrets.token_hex(16)
        self._named: set[str] = {path.name}
        self.environment = PromptEnvironment(loader=FunctionLoader(self._load))
        self.source = self._read(path) if source is None else source
        self._note_names(self.source)
        try:
            self._template = (
                self.environment.get_template(path.name)
                if source is None
                else self.environment.from_string(self._marked(source))
            )
        except TemplateSyntaxError as error:
            file = path.parent / error.name if error.name else path
            raise ConfigError(
                error.message or "syntax error", file=file, line=error.lineno, key=key
            ) from error

    def check(self, fields: Iterable[str], *, filled: Iterable[str] = VARIABLES) -> None:
        """Refuse names that no case can fill, given the fields of the cases' inputs.

        Parameters
        ----------
        fields
            Names that some input has.
        filled
            The variables that the system puts something into; where it does not, a field of the
            same name would be looked for in vain.
        """
        known = {*VARIABLES, *fields}
        for name in sorted(self._free_names - known - self._guarded):
            line = min(node.lineno for node in self._tree.find_all(nodes.Name) if node.name == name)
            raise ConfigError(
                f"'{name}' is not defined in a prompt",
                file=self.path,
                line=line,
                key=self.key,
                hint=nearest(name, known),
            )
        self._check_hidden(set(fields), set(filled))

    def _check_hidden(self, fields: set[str], filled: set[str]) -> None:
        """Refuse a variable in place of the input's field of that name, which it hides."""
        owner = "case.input" if "input" in fields else "input"
        for name, line in self._reads_of_variables:
            # `case` is always there, but whole it is no text for a prompt.
            if name in fields and (name == "case" or name not in filled):
                raise ConfigError(
                    f"`{name}` does not read the input's field '{name}': in prompts it is a name of "
                    "Rung's own",
                    file=self.path,
                    line=line,
                    key=self.key,
                    hint=f"Write `{owner}.{name}` to read the field.",
                )

    def check_reads(self, fields: set[str]) -> None:
        """Refuse `input.name` where inputs are objects and none has the name."""
        if not fields or "input" in fields:
            return
        for name, line in self._reads_of_input:
            if name not in fields:
                raise ConfigError(
                    f"no input has the field '{name}' that a prompt reads",
                    file=self.path,
                    line=line,
                    key=self.key,
                    hint=nearest(name, fields),
                )

    @cached_property
    def _reads_of_input(self) -> tuple[tuple[str, int], ...]:
        """Fields of the input that are read whatever the case, with their lines.

        What is read under a condition may be for cases that are not there today.
        """
        if any(n.name == "input" and n.ctx != "load" for n in self._tree.find_all(nodes.Name)):
            return ()
        return tuple(
            (name, node.lineno)
            for node, name in self._fields_of_input
            if id(node) not in self._conditional
        )

    @cached_property
    def _reads_of_variables(self) -> tuple[tuple[str, int], ...]:
        """Variables that are read whatever the case, with their lines; of `case` only the whole."""
        accesses = self._tree.find_all((nodes.Getattr, nodes.Getitem))
        owned = {id(getattr(node, "node", None)) for node in accesses}
        return tuple(
            (name.name, name.lineno)
            for name in self._tree.find_all(nodes.Name)
            if name.name in self._free_names.intersection(VARIABLES[1:])
            and id(name) not in self._conditional
            and not (name.name == "case" and id(name) in owned)
        )

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names that only a field of a case's input can fill, alone or as `input.name`."""
        of_input = {name for _, name in self._fields_of_input}
        return tuple(sorted((self._free_names - set(VARIABLES)) | of_input))

    @cached_property
    def _fields_of_input(self) -> tuple[tuple[nodes.Node, str], ...]:
        """Where fields of the input are read; methods of it that are called are none."""
        called = {id(call.node) for call in self._tree.find_all(nodes.Call)}
        return tuple(
            (node, name)
            for node in self._tree.find_all((nodes.Getattr, nodes.Getitem))
            if (name := _field_of_input(node)) is not None
            and not (id(node) in called and (hasattr(dict, name) or hasattr(str, name)))
        )

    @cached_property
    def _conditional(self) -> set[int]:
        """The nodes that are read under a condition; the tree keeps them, and so their ids."""
        return {id(node) for node in _conditional_nodes(self._tree)}

    @cached_property
    def _tree(self) -> nodes.Template:
        return self.environment.parse(self._marked(self.source))

    @cached_property
    def _free_names(self) -> set[str]:
        return find_undeclared_variables(self._tree)

    @cached_property
    def _guarded(self) -> set[str]:
        return set(_guarded_names(self._tree))

    def with_source(self, source: str) -> PromptTemplate:
        """The same file with another text in it."""
        return PromptTemplate(self.path, key=self.key, source=source)

    def reads(self, name: str) -> bool:
        """Whether this template or one that it names reads a name; true where that cannot be known."""
        left, seen = [self.source], set[str | None]()
        try:
            while left:
                text = left.pop()
                if name in find_undeclared_variables(self.environment.parse(text)):
                    return True
                named = set(references(text)) - seen
                if None in named:
                    return True
                seen |= named
                left += [self._load(other)[0] for other in named if other is not None]
        except (ConfigError, TemplateError):  # told when the file is used, if it ever is
            return True
        return False

    def render(self, variables: Mapping[str, Any]) -> list[dict[str, str]]:
        """Render to chat messages.

        Raises
        ------
        RenderError
            When a name or field is missing for this case, or is not of the kind that the template
            works on, with file and line.
        """
        try:
            text = self._template.render(**variables)
        except ConfigError:  # of a file that the template names: wrong for every case
            raise
        except (TemplateError, TypeError, ValueError) as error:
            raise RenderError(f"{self._place(error)}: {error}") from error
        except Exception as error:  # whatever a filter makes of odd input is that case's own
            raise RenderError(f"{self._place(error)}: {describe(error)}") from error
        head, *parts = text.split(self._mark)
        if not parts:
            return [{"role": "user", "content": text.strip("\n")}]
        if head.strip():
            line = head.strip().splitlines()[0][:60]
            raise RenderError(f"{self.path.name}: {line!r} stands before the first role line")
        messages = []
        for part in parts:
            role, _, content = part.partition("\n")
            if content.strip():
                messages.append({"role": role.strip("[] \t"), "content": content.strip("\n")})
        if not messages:
            raise RenderError(f"{self.path.name}: the prompt is empty")
        return messages

    def _place(self, error: BaseException) -> str:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(self.path)]
        return f"{self.path.name}:{lines[-1]}" if lines else self.path.name

    def _load(self, name: str) -> tuple[str, str, Callable[[], bool]]:
        path = (self.path.parent / name).resolve()
        if name not in self._named and path not in computable(self.path):
            there = f"*{self.path.suffix} in or below {self.path.parent.name}/"
            message = f"there is no template '{name}': a computed name may mean {there}"
            raise TemplateNotFound(name, message)
        text = self._read(path)
        self._note_names(text)
        return self._marked(text), str(path), lambda: True

    def _note_names(self, text: str) -> None:
        # The syntax of a wrong file is told by Jinja, with its name and line.
        with suppress(TemplateSyntaxError):
            self._named.update(other for other in references(text) if other is not None)

    def _marked(self, source: str) -> str:
        return ROLE_LINE.sub(lambda match: f"{self._mark}[{match.group(1)}]", source)

    def _read(self, path: Path) -> str:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
            raise ConfigError(message, file=path, key=self.key) from error
        except UnicodeDecodeError as error:
            message = f"not UTF-8 at byte {error.start + 1}"
            raise ConfigError(message, file=path, key=self.key) from error
        return text.replace("\r\n", "\n")


def references(text: str) -> list[str | None]:
    """Names of the templates that a template includes, imports or extends; None for a computed one.

    Raises
    ------
    TemplateSyntaxError
        When the text is no template.
    """
    return list(find_referenced_templates(Environment().parse(text)))


def computable(path: Path) -> list[Path]:
    """The files that a computed name in a template may mean: of its kind, in or below its folder."""
    root = path.parent.resolve()
    alike = (file for file in root.rglob(f"*{path.suffix}") if file.suffix == path.suffix)
    found = {file.resolve() for file in alike if file.is_file()}
    return sorted(file for file in found if file.is_relative_to(root))


def computed_texts(path: Path) -> dict[str, str]:
    """All that a computed name may bring into a prompt: texts by their names beside it."""
    root = path.parent.resolve()
    left, texts = computable(path), {}
    while left:
        file = left.pop()
        name = os.path.relpath(file, root)
        if name not in texts and file.is_file():
            texts[name] = file.read_bytes().decode("utf-8", "backslashreplace")
            with suppress(TemplateSyntaxError):  # of a file that this prompt may never use
                left += [(root / other).resolve() for other in references(texts[name]) if other]
    return texts


def variables_of(case: Case, **others: Any) -> dict[str, Any]:
    """The variables that a template sees for a case."""
    fields = case.input if isinstance(case.input, Mapping) else {}
    named = {name: value for name, value in fields.items() if name.isidentifier()}
    return {
        **{name: value for name, value in named.items() if name not in VARIABLES[1:]},
        "input": named.get("input", case.input),
        "examples": [],
        "passages": [],
        "steps": {},
        "tools": [],
        "case": case,
        **others,
    }


def messages_of(value: CaseInput) -> list[dict[str, Any]] | None:
    """An input as chat messages without a template; None for an object of named fields.

    Raises
    ------
    RenderError
        When the input is neither of these nor a text.
    """
    if isinstance(value, str):
        return [{"role": "user", "content": value}]
    if isinstance(value, Mapping):
        return None
    said = value if isinstance(value, list | tuple) else [value]
    faults = [part for part in said if not isinstance(part, Mapping) or "role" not in part]
    if faults:
        raise RenderError(
            f"the input is no text and no list of messages, each with its role: {faults[0]!r:.80}; "
            "the system needs a prompt to place it"
        )
    return [dict(message) for message in value]


def _field_of_input(node: nodes.Node) -> str | None:
    """The field that `input.name` or `input["name"]` reads."""
    owner = getattr(node, "node", None)
    if not isinstance(owner, nodes.Name) or owner.name != "input":
        return None
    if isinstance(node, nodes.Getattr):
        return node.attr
    key = node.arg if isinstance(node, nodes.Getitem) else None
    return key.value if isinstance(key, nodes.Const) and isinstance(key.value, str) else None


def _conditional_nodes(tree: nodes.Template) -> Iterator[nodes.Node]:
    """What is read under a condition, or may be missing."""
    for branch in tree.find_all((nodes.If, nodes.CondExpr, nodes.And, nodes.Or, nodes.Test)):
        yield from branch.find_all(nodes.Node)
    for default in tree.find_all(nodes.Filter):
        if default.name in DEFAULT:
            yield from default.find_all(nodes.Node)


def _guarded_names(tree: nodes.Template) -> Iterator[str]:
    """Names that a template itself asks about before it uses them.

    Both branches of an `if ... is defined` count: they are for cases of different fields.
    """
    for branch in tree.find_all(nodes.If):
        tests = [branch.test, *branch.test.find_all(nodes.Test)]
        if any(getattr(test, "name", None) in ("defined", "undefined") for test in tests):
            yield from (name.name for name in branch.find_all(nodes.Name))
    for default in tree.find_all(nodes.Filter):
        if default.name in DEFAULT and isinstance(default.node, nodes.Name):
            yield default.node.name
