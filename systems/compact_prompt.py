"""A prompt file without its constant words: what a tuned model need not be told again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from jinja2 import Environment, nodes

from systems.template import ROLE_LINE

OPENING = frozenset({"if", "for", "macro", "call", "filter", "with", "autoescape", "block"})
UNSEEN = frozenset({"set", "macro", "import", "from"})  # they write nothing where they stand


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A piece of a prompt file: its own words, a slot for a case, or a definition."""

    kind: Literal["words", "slot", "definition"]
    text: str


@dataclass(slots=True, kw_only=True)
class Turn:
    """One message of a prompt file; no role stands for text before the first role line."""

    role: str | None
    parts: list[Part] = field(default_factory=list)

    @property
    def asks(self) -> bool:
        """Whether anything in it changes from case to case."""
        return any(part.kind == "slot" for part in self.parts)


def compact_prompt(source: str, environment: Environment) -> str | None:
    """The slots of a prompt file without the words around them; None where it has no words to drop.

    Words inside of an `if` or a loop stay: they may differ from case to case.
    """
    tree = environment.parse(source)
    if next(tree.find_all(nodes.Extends), None) is not None:
        return None
    constants = set(_constants(tree))
    parts = [
        Part(kind="words", text=part.text) if _is_constant(part, constants, environment) else part
        for part in _parts(source, environment)
    ]
    turns = _turns(parts)
    asking = [turn for turn in turns if turn.asks]
    if not asking or not any(part.kind == "words" and _says(part.text) for part in parts):
        return None
    text = _joined(asking)
    return _definitions(parts, text, environment) + text + "\n"


def _definitions(parts: Sequence[Part], text: str, environment: Environment) -> str:
    """The definitions that a text needs, and those that they need."""
    needed = ""
    for part in reversed(parts):
        used = {name.name for name in environment.parse(needed + text).find_all(nodes.Name)}
        if part.kind == "definition" and _defined(part, environment) & used:
            needed = part.text + needed
    return needed


def _parts(source: str, environment: Environment) -> Iterator[Part]:
    """Cut a file into words and tags; a block is one part with all that it holds."""
    held, depth, name = "", 0, ""
    for kind, word, text in _tags(source, environment):
        if kind == "block" and depth == 0:
            name = word
        if kind == "block":
            depth += _step(word, text)
        if kind == "comment":
            continue
        held += text
        if depth:
            continue
        if kind == "block":
            yield Part(kind="definition" if name in UNSEEN else "slot", text=held)
        else:
            yield Part(kind="slot" if kind == "variable" else "words", text=held)
        held = ""


def _step(word: str, text: str) -> int:
    if word.startswith("end"):
        return -1
    # `{% set x %}...{% endset %}` holds text; `{% set x = 1 %}` stands alone.
    return int(word in OPENING or (word == "set" and "=" not in text))


def _tags(source: str, environment: Environment) -> Iterator[tuple[str, str, str]]:
    """Yield data, variables, blocks, comments and raw text, each whole, with a block's first word."""
    held, word = "", ""
    for _, token, text in environment.lex(source):
        kind, _, end = str(token).rpartition("_")
        if token == "data" and not held:
            yield "data", "", text
            continue
        if token == "name" and not word:
            word = text
        held += text
        if end == "end" and kind in ("variable", "block", "comment", "raw"):
            yield kind, word, held
            held = ""
        if not held:
            word = ""


def _is_constant(part: Part, constants: set[str], environment: Environment) -> bool:
    """Whether a slot writes the same for every case: `{{ "a" }}`, or a name set to a constant."""
    if part.kind != "slot" or not part.text.startswith("{{"):
        return False
    return {name.name for name in environment.parse(part.text).find_all(nodes.Name)} <= constants


def _constants(tree: nodes.Template) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, nodes.Assign) and isinstance(node.target, nodes.Name):
            read = [name for name in node.find_all(nodes.Name) if name.ctx == "load"]
            if not read:
                yield node.target.name


def _defined(part: Part, environment: Environment) -> set[str]:
    """The names that a definition makes."""
    tree = environment.parse(part.text)
    names = {name.name for name in tree.find_all(nodes.Name) if name.ctx == "store"}
    names |= {macro.name for macro in tree.find_all(nodes.Macro)}
    names |= {node.target for node in tree.find_all(nodes.Import)}
    for node in tree.find_all(nodes.FromImport):
        names |= {name if isinstance(name, str) else name[1] for name in node.names}
    return names


def _turns(parts: Sequence[Part]) -> list[Turn]:
    """Lay the parts out by message: only role lines outside of blocks begin one."""
    turns = [Turn(role=None)]
    for part in parts:
        if part.kind != "words":
            turns[-1].parts.append(part)
            continue
        first, *rest = ROLE_LINE.split(part.text)
        turns[-1].parts.append(Part(kind="words", text=first))
        for role, words in zip(rest[::2], rest[1::2], strict=True):
            turns.append(Turn(role=role, parts=[Part(kind="words", text=words)]))
    return turns


def _joined(turns: Sequence[Turn]) -> str:
    texts = [_slots(turn.parts).strip("\n") for turn in turns]
    roles = [turn.role for turn in turns]
    if roles in ([None], ["user"]) and not ROLE_LINE.search(texts[0]):
        return texts[0]
    named = [
        text if role is None else f"[{role}]\n{text}"
        for role, text in zip(roles, texts, strict=True)
    ]
    return "\n".join(named)


def _slots(parts: Sequence[Part]) -> str:
    """The slots of one message, kept apart by what kept them apart: a line or a space."""
    text, between = "", ""
    for part in parts:
        if part.kind == "slot":
            text += (_gap(between) if text and not text.endswith("\n") else "") + part.text
            between = ""
        elif part.kind == "words":
            between += part.text
    return text


def _gap(words: str) -> str:
    if "\n" in words:
        return "\n"
    return " " if words else ""


def _says(text: str) -> bool:
    """Whether constant text says anything besides whose turn it is."""
    return bool(ROLE_LINE.sub("", text).strip())
