"""Pages that are written from the package: schemas as tables, measured figures from benchmarks/.

A line `<!-- schema: FILE [DEFINITION] -->` becomes a table of that schema's keys, a line
`<!-- section: FILE / HEADING -->` the section of a Markdown file in the repository, and a line
`<!-- verbs -->` the help of every verb.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from harness.cli import VERBS, rung

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "harness" / "schemas"
SCHEMA = re.compile(r"^<!-- schema: (\S+)(?: (\S+))? -->$", re.MULTILINE)
VERB_LIST = re.compile(r"^<!-- verbs -->$", re.MULTILINE)
WIDTH = 100  # characters of a line of help
SECTION = re.compile(r"^<!-- section: (\S+) / (.+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in what is written from the package."""
    markdown = SCHEMA.sub(lambda m: schema_table(m[1], m[2]), markdown)
    markdown = SECTION.sub(lambda m: section(ROOT / m[1], m[2]), markdown)
    return VERB_LIST.sub(lambda _: verbs(), markdown)


def verbs() -> str:
    """Write what each verb says of itself."""
    return "\n\n".join(
        f"## `rung {verb}`\n\n```text\n{told(verb)}\n```" for verb in (*VERBS, "data make")
    )


def told(verb: str) -> str:
    """Return the help of a verb, without the options that every one has."""
    text = CliRunner().invoke(
        rung, [*verb.split(), "--help"], prog_name="rung", terminal_width=WIDTH
    )
    return re.sub(r"\n  -h, --help .*", "", text.output).replace("rung rung", "rung").strip()


def section(file: Path, heading: str) -> str:
    """Return what stands under a heading of a Markdown file."""
    text = file.read_text("utf-8")
    found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    if found is None:
        raise ValueError(f"{file}: there is no section '{heading}'")
    return found[1].strip()


def schema_table(name: str, definition: str | None = None) -> str:
    """Write the keys of an object of a schema as a table."""
    document = json.loads((SCHEMAS / name).read_text("utf-8"))
    found = document["$defs"][definition] if definition else document
    required = found.get("required", ())
    rows = [
        f"| `{key}`{' *' if key in required else ''} | {kind_of(value)} | {cell(value)} |"
        for key, value in sorted(found["properties"].items(), key=lambda kv: kv[0] not in required)
    ]
    note = ["", "\\* required"] if required else []
    return "\n".join(["| key | value | |", "|---|---|---|", *rows, *note])


def cell(schema: dict[str, Any]) -> str:
    """What is said about a key, and its limits."""
    return (schema.get("description") or referred(schema).get("description") or "").replace(
        "|", "\\|"
    )


def kind_of(schema: dict[str, Any]) -> str:
    """Name the values that a key takes."""
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in schema["enum"])
    if "$ref" in schema:
        target = schema["$ref"].rpartition("/")[2]
        return kind_of(referred(schema)) if "type" in referred(schema) else target
    for many in ("oneOf", "anyOf"):
        if many in schema:
            return " or ".join(dict.fromkeys(kind_of(option) for option in schema[many]))
    kind = schema.get("type", "any")
    if isinstance(kind, list):
        return " or ".join(kind)
    if kind == "array" and "items" in schema:
        return f"list of {kind_of(schema['items'])}"
    return str(kind) + limits(schema)


def limits(schema: dict[str, Any]) -> str:
    """Write the bounds of a number."""
    words = {
        "minimum": "≥",
        "exclusiveMinimum": ">",
        "maximum": "≤",
        "exclusiveMaximum": "<",
    }
    bounds = [f"{sign} {schema[key]}" for key, sign in words.items() if key in schema]
    return f" {', '.join(bounds)}" if bounds else ""


def referred(schema: dict[str, Any]) -> dict[str, Any]:
    """Follow a reference to a definition of one of the schemas."""
    reference = schema.get("$ref", "")
    name = reference.rpartition("/")[2]
    for file in sorted(SCHEMAS.glob("*.json")):
        definitions = json.loads(file.read_text("utf-8")).get("$defs", {})
        if name and name in definitions:
            return dict(definitions[name])
    return {}
