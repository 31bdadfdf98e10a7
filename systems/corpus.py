"""Documents of a corpus, cut into passages.

Files are `.md`, `.txt` and `.jsonl` (rows of `{"id", "text"}`). A unit is what has an id by itself: a
section of a Markdown file (`leaving.md#your-deposit`, as its heading is linked to), a text file
(`notes/a.txt`), a row. A unit longer than a chunk is cut into `<id>~1`, `<id>~2`, ... with overlap.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import ConfigError
from systems.rows import read_objects

SUFFIXES = (".md", ".txt", ".jsonl")
HEADING = re.compile(r"^(#{1,6})[ \t]+(.*)$", re.MULTILINE)
# As CommonMark has it: closed by at least as many marks, and a line of code is no fence.
FENCE = re.compile(
    r"^ {0,3}(?P<fence>(?P<mark>[`~])(?P=mark){2,})(?!(?<=`)[^\n]*`)"
    r".*?(?:^ {0,3}(?P=fence)(?P=mark)*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
WORD = re.compile(r"\S+")
LETTER = re.compile(r"\w")  # of any alphabet, or a digit: what a search can find


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """A piece of a document that has an id by itself."""

    id: str
    document: str
    start: int  # character offset in the document
    text: str
    title: str = ""  # the headings above it
    line: int | None = None  # of a row, in its file


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage that can be found: `text` is the document's from `start` to `end`.

    Outputs carry the `id` alone. It names the unit and the document (`returns.md#postage~2`), and
    reading the corpus again with the same chunking gives the offsets.
    """

    id: str
    unit: str
    document: str
    start: int
    end: int
    text: str
    title: str = ""

    @property
    def indexed_text(self) -> str:
        """What a retriever reads: the headings too, for a section often leaves its subject to them."""
        return f"{self.title}\n{self.text}" if self.title else self.text


def read_corpus(path: Path, *, size: int, overlap: int, key: str) -> list[Chunk]:
    """Read a folder or file and cut it into chunks of at most `size` words.

    Raises
    ------
    ConfigError
        For a file that is empty, has no words or is no text, an id that stands twice (of a unit or
        of a piece of one), or a corpus without documents.
    """
    if overlap >= size:
        raise ConfigError(
            f"an overlap of {overlap} words leaves nothing new in chunks of {size}",
            key=key.replace(".corpus", ".chunking"),
        )
    chunks: list[Chunk] = []
    seen: dict[str, Unit] = {}
    for unit in _units(path, key):
        pieces = list(_chunks(unit, size, overlap))
        for id in dict.fromkeys([unit.id, *(piece.id for piece in pieces)]):
            if id in seen:
                raise _stands_twice(id, unit, seen[id], path, key)
            seen[id] = unit
        chunks.extend(pieces)
    if not any(LETTER.search(chunk.indexed_text) for chunk in chunks):
        raise ConfigError("holds no word: nothing in it can be found", file=path, key=key)
    return chunks


def _stands_twice(id: str, unit: Unit, first: Unit, path: Path, key: str) -> ConfigError:
    root = path if path.is_dir() else path.parent
    pieces = [f"'{one.id}'" for one in (first, unit) if one.id != id]
    return ConfigError(
        f"the id '{id}' stands twice",
        file=root / unit.document,
        line=_line(unit, root, key),
        key=key,
        hint=f"It stands first in {first.document}, line {_line(first, root, key)}."
        + (f" One of them is a piece of {pieces[0]}, which is cut." if pieces else ""),
    )


def _line(unit: Unit, root: Path, key: str) -> int:
    """The line of its file that a unit begins on."""
    if unit.line is not None:
        return unit.line
    return _read(root / unit.document, key).count("\n", 0, unit.start) + 1


def _units(path: Path, key: str) -> Iterator[Unit]:
    root = path if path.is_dir() else path.parent
    found = (file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
    files = sorted(file for file in found if not file.is_dir()) if path.is_dir() else [path]
    if not files:
        raise ConfigError("holds no .md, .txt or .jsonl file", file=path, key=key)
    for file in files:
        name = file.relative_to(root).as_posix()
        if file.suffix.lower() == ".jsonl":
            yield from _rows(file, name, key)
            continue
        text = _read(file, key)
        units = [Unit(id=name, document=name, start=0, text=text)]
        if file.suffix.lower() == ".md":
            units = list(_sections(text, name))
        if not units:
            raise ConfigError(
                "holds headings only: there is no text below them", file=file, key=key
            )
        yield from units


def _read(file: Path, key: str) -> str:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=file, key=key) from error
    except UnicodeDecodeError as error:
        message = f"is no text: byte {error.start + 1} is not UTF-8"
        raise ConfigError(message, file=file, key=key) from error
    if "\0" in text:
        raise ConfigError("is no text: it holds null bytes", file=file, key=key)
    if not text.strip():
        raise ConfigError("is empty", file=file, key=key)
    if not LETTER.search(text):
        raise ConfigError("holds no word: nothing in it can be found", file=file, key=key)
    return text.replace("\r\n", "\n")


def _rows(file: Path, name: str, key: str) -> Iterator[Unit]:
    for row in read_objects(file, key=key):
        if not isinstance(row.get("id"), str) or not isinstance(row.get("text"), str):
            raise ConfigError(
                'expected an object {"id": text, "text": text}',
                file=file,
                line=row.line,
                key=key,
            )
        if not row["text"].strip():
            raise ConfigError("its text is empty", file=file, line=row.line, key=key)
        yield Unit(id=row["id"], document=name, start=0, text=row["text"], line=row.line)


def _sections(text: str, name: str) -> Iterator[Unit]:
    """The sections of a Markdown text, without their heading lines."""
    fenced = [match.span() for match in FENCE.finditer(text)]
    headings = [
        match
        for match in HEADING.finditer(text)
        if not any(start <= match.start() < end for start, end in fenced)
    ]
    ends = [*(match.start() for match in headings), len(text)]
    if text[: ends[0]].strip():
        yield _trimmed(Unit(id=name, document=name, start=0, text=text[: ends[0]]))
    above: dict[int, str] = {}
    anchors = Anchors()
    for heading, end in zip(headings, ends[1:], strict=True):
        level, title = len(heading.group(1)), _title(heading.group(2))
        above = {depth: words for depth, words in above.items() if depth < level}
        above[level] = title
        anchor = anchors.next(title)
        if text[heading.end() : end].strip():
            yield _trimmed(
                Unit(
                    id=f"{name}#{anchor}",
                    document=name,
                    start=heading.end(),
                    text=text[heading.end() : end],
                    title=" / ".join(above.values()),
                )
            )


def _title(written: str) -> str:
    """The words of a heading, without the marks that may close it behind a space."""
    words = written.strip(" \t")
    open_end = words.rstrip("#")
    return open_end.rstrip(" \t") if open_end[-1:] in (" ", "\t", "") else words


class Anchors:
    """The anchors of one document's headings, as GitHub makes them: counted until one is free."""

    def __init__(self) -> None:
        self._used: dict[str, int] = {}  # how many more there are of each

    def next(self, title: str) -> str:
        """The anchor of the next heading."""
        slug = re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", title.strip().lower()))
        anchor = slug
        while anchor in self._used:
            self._used[slug] += 1
            anchor = f"{slug}-{self._used[slug]}"
        self._used[anchor] = 0
        return anchor


def _trimmed(unit: Unit) -> Unit:
    text = unit.text.strip()
    start = unit.start + unit.text.index(text)
    return Unit(id=unit.id, document=unit.document, start=start, text=text, title=unit.title)


def _chunks(unit: Unit, size: int, overlap: int) -> Iterator[Chunk]:
    words = [match.span() for match in WORD.finditer(unit.text)]
    starts = list(range(0, max(1, len(words) - overlap), size - overlap))
    for number, first in enumerate(starts, 1):
        last = min(first + size, len(words)) - 1
        start, end = words[first][0], words[last][1]
        yield Chunk(
            id=unit.id if len(starts) == 1 else f"{unit.id}~{number}",
            unit=unit.id,
            document=unit.document,
            start=unit.start + start,
            end=unit.start + end,
            text=unit.text[start:end],
            title=unit.title,
        )
