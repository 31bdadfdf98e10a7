"""What new rows are made of: documents, rows without outputs, and what a system answers about them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import systems
from harness.cache import Cache
from harness.config import Project, State
from harness.diversity.making import Document, passages, read_pairs
from harness.errors import CaseError, ConfigError
from harness.runner import Batch, Runner
from harness.training_rows import TrainingRow
from harness.types import Case, Output
from systems.fingerprint import fingerprint

TEXTS = (".md", ".txt", ".rst")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Questions for a stronger system, and the answers that are known already."""

    cases: tuple[Case, ...]
    expected: dict[str, str | None]

    @classmethod
    def of_rows(cls, rows: Sequence[TrainingRow]) -> Source:
        """Ask each row once; its place is its name."""
        named = {row.id or row.where or f"row {n}": row for n, row in enumerate(rows, start=1)}
        return cls(
            cases=tuple(
                Case(id=name, input=dict(row.fields) or row.input, metadata=row.metadata)
                for name, row in named.items()
            ),
            expected={name: row.output for name, row in named.items()},
        )


def read_documents(place: Path) -> list[Document]:
    """Read a file or a folder of texts and of JSONL rows with a `text`, cut into passages."""
    if not place.exists():
        raise CaseError("there is no such file or folder", file=place)
    files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
    found = [page for file in files for page in _documents(file, place)]
    if not found:
        raise CaseError(
            "there are no texts here", file=place, hint=f"Read are {', '.join(TEXTS)} and .jsonl."
        )
    return [part for document in found for part in passages(document)]


def _documents(file: Path, place: Path) -> Iterator[Document]:
    name = file.name if file == place else file.relative_to(place).as_posix()
    if file.suffix not in (*TEXTS, ".jsonl"):
        return
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CaseError(f"byte {error.start + 1} is not UTF-8", file=file) from None
    if file.suffix != ".jsonl":
        yield Document(name=name, text=text)
        return
    for line, raw in enumerate(text.splitlines(), start=1):
        if raw.strip():
            yield Document(name=f"{name}:{line}", text=_text_of(raw, file, line))


def _text_of(raw: str, file: Path, line: int) -> str:
    try:
        row = json.loads(raw)
    except ValueError as error:
        raise CaseError(f"not JSON: {error}", file=file, line=line) from None
    if isinstance(row, dict) and isinstance(row.get("text"), str):
        return str(row["text"])
    raise CaseError("a document has a `text`", file=file, line=line)


def rows_by_page(pages: Sequence[Document], template: Path) -> list[TrainingRow]:
    """Render a Jinja template for each passage and read the questions and answers that it writes."""
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, keep_trailing_newline=True
    )
    rows = []
    try:
        compiled = environment.from_string(template.read_text("utf-8"))
        for page in pages:
            for question, answer in read_pairs(compiled.render(document=page.text, name=page.name)):
                made = {"origin": "generated", "generated_by": template.name, "source": page.name}
                rows.append(TrainingRow(input=question, output=answer, metadata=made))
    except FileNotFoundError:
        raise ConfigError("there is no such file", file=template) from None
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise ConfigError(f"not a template: {error}", file=template, line=line) from None
    return rows


def ask_system(
    project: Project, name: str | None, cases: Sequence[Case]
) -> tuple[list[Output], list[str]]:
    """Ask a system of rung.yaml through the cache; return its outputs, and why others are missing."""
    spec = project.system(str(name), key="--system")
    state = State(project.root)
    state.folder.mkdir(parents=True, exist_ok=True)
    digest = fingerprint(spec, memo=state.hashes).digest
    batch = Batch(spec=spec, fingerprint=digest, cases=cases)
    with closing(Cache(state.cache)) as cache:
        runner = Runner(load=systems.load, cache=cache, progress=_Bar())
        runner.check(batch)
        answers = runner.run(batch)
    outputs, unanswered = [], []
    for answer in answers.values():
        if answer.output is None or answer.output.error is not None:
            unanswered.append(str(answer.reason or (answer.output and answer.output.error)))
        else:
            outputs.append(answer.output)
    return outputs, unanswered


class _Bar:
    """Shows on a terminal how many answers have come; one line a batch elsewhere."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None

    def start(self, system: str, total: int) -> None:
        """Begin a batch."""
        if not sys.stderr.isatty() or os.environ.get("CI"):
            print(f"{system}: {total:,} answers", file=sys.stderr)
            return
        from rich.console import Console
        from rich.progress import Progress

        self._bar = Progress(console=Console(file=sys.stderr), transient=True)
        self._bar.start()
        self._task = self._bar.add_task(system, total=total)

    def advance(self) -> None:
        """One answer more."""
        if self._bar is not None:
            self._bar.advance(self._task)

    def finish(self, *, gave_up: str | None) -> None:
        """End a batch; say why the rest was not asked for."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        if gave_up is not None:
            print(gave_up, file=sys.stderr)
