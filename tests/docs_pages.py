"""A page of the documentation as a reader follows it: files to write, commands to run, what they print."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[a-z]+)?(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.M | re.S,
)
# An indented block is read for its commands only.
INDENTED = re.compile(r"(?<=\n\n)((?: {4}(?:rung|pytest|make|pip) .*\n)+)")
TITLE = re.compile(r'title="([^"]+)"')
SNIPPET = re.compile(r'^ *--8<-- "([^"]+)"$', re.M)
NOT_RUN = re.compile(r"<!-- not run: (.+) -->\n\Z")
FIGURE = re.compile(r"^<!-- figure: (\S+) \| (.+) \| (.+) \| (\S+) -->$", re.M)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block."""

    page: str
    line: int
    language: str
    title: str | None  # the file that it is
    body: str
    not_run: str | None  # why it is not
    printed: bool = False  # it shows what the block above it printed

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments; a backslash joins two."""
        joined = re.sub(r"\\\n\s*", " ", self.body)
        lines = [re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines()]
        return [line for line in lines if line]


def pages() -> list[Path]:
    """Every page that shows code, the README first."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Read the fenced blocks of a page, in order."""
    return list(_blocks(page.read_text("utf-8"), name_of(page)))


def _blocks(text: str, page: str) -> Iterator[Block]:
    end, above = 0, ""
    for found in FENCE.finditer(text):
        title = TITLE.search(found["info"])
        reason = NOT_RUN.search(text[: found.start()])
        body = textwrap.dedent(found["body"])
        body = SNIPPET.sub(lambda m: (ROOT / m[1]).read_text("utf-8").rstrip("\n"), body)
        yield Block(
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"] or "",
            title=title[1] if title else None,
            body=body,
            not_run=reason[1] if reason else None,
            printed=found["language"] == "text"
            and above == "sh"
            and not text[end : found.start()].strip(),
        )
        end, above = found.end(), found["language"] or ""


def indented(page: Path) -> list[Block]:
    """Read the indented commands of a page; they are shown, not run."""
    text = page.read_text("utf-8")
    return [
        Block(
            page=name_of(page),
            line=text.count("\n", 0, found.start()) + 1,
            language="sh",
            title=None,
            body=re.sub(r" {3,}[^-].*$", "", textwrap.dedent(found[1]), flags=re.MULTILINE),
            not_run="indented",
        )
        for found in INDENTED.finditer(FENCE.sub("", text))
    ]


def figures(page: Path) -> list[tuple[str, str, str, str]]:
    """Read the figures that a page quotes: benchmark, section, what, and how it is written."""
    return FIGURE.findall(page.read_text("utf-8"))
