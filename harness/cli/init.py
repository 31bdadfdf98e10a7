"""`rung init`: a working evals/ in a new project."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import click

from harness.errors import CaseError, ConfigError, nearest

SUITE_CASES = "evals/first.jsonl"


@click.command(short_help="Scaffold evals/.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
@click.option("--base-url", help="An OpenAI-compatible server, such as http://127.0.0.1:8000/v1.")
@click.option("--model", help="The model's name on that server.")
@click.option("--api-key-env", metavar="VAR", help="The environment variable that holds the key.")
@click.option(
    "--cases", type=click.Path(path_type=Path), help="Your rows, a CSV file with a header."
)
@click.option("--input", "input_column", metavar="COLUMN", help="The column with the input.")
@click.option("--expected", metavar="COLUMN", help="The column with the expected output.")
def init(
    folder: Path,
    base_url: str | None,
    model: str | None,
    api_key_env: str | None,
    cases: Path | None,
    input_column: str | None,
    expected: str | None,
) -> None:
    """Scaffold evals/ in FOLDER (default: here).

    Without options: a tiny example with recorded answers that runs at once. With an endpoint and a
    CSV file: a suite of your own. Nothing that exists is overwritten.

    \b
    rung init
    rung init --base-url http://127.0.0.1:8000/v1 --model my-model \\
              --cases tickets.csv --input question --expected answer
    """
    own = [base_url, model, cases, input_column, expected]
    scaffold = Scaffold(folder)
    if not any(value is not None for value in own):
        scaffold.copy("example")
    elif base_url and model and cases and input_column and expected:
        rows = list(_rows(cases, input_column, expected))
        scaffold.copy(
            "endpoint", {"base_url": base_url, "model": model, "api_key_env": api_key_env}
        )
        scaffold.write(SUITE_CASES, "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))
        click.echo(f"{len(rows)} cases from {cases} in {scaffold.folder / SUITE_CASES}")
    else:
        raise click.UsageError(
            "an endpoint suite needs all of --base-url, --model, --cases, --input and --expected"
        )
    scaffold.finish()


class Scaffold:
    """Files to be written into a project; none of them replaces one that is there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes: list[str] = []
        if (folder / "evals").exists():
            raise ConfigError(
                "there is an evals/ already",
                file=folder / "evals",
                hint="Give another folder: rung init FOLDER",
            )

    def copy(self, name: str, values: dict[str, Any] | None = None) -> None:
        """Copy a scaffold of the package; `.j2` files are filled in."""
        with as_file(files("harness") / "scaffold") as source:
            for file in sorted((source / name).rglob("*")):
                relative = file.relative_to(source / name).as_posix()
                if file.is_dir() or "__pycache__" in relative:
                    continue
                text = file.read_text("utf-8")
                if relative.endswith(".yaml.j2"):
                    relative, text = relative.removesuffix(".j2"), _filled(text, values or {})
                self.write(relative, text)
            self._write_beside("conftest.py", (source / "conftest.py.txt").read_text("utf-8"))
            self._write_beside(".gitignore", (source / "gitignore.txt").read_text("utf-8"))

    def write(self, relative: str, text: str) -> None:
        """Write one file of evals/."""
        file = self.folder / relative
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")

    def _write_beside(self, name: str, text: str) -> None:
        file = self.folder / name
        if not file.exists():
            file.write_text(text, "utf-8")
        elif text.strip() not in file.read_text("utf-8"):
            self.notes.append(f"{file} exists: add to it\n" + _indented(text))

    def finish(self) -> None:
        """Say what was written and what to do next."""
        click.echo(f"wrote {self.folder / 'evals'}/ with rung.yaml, a suite and its cases")
        for note in self.notes:
            click.echo(note)
        click.echo("next: rung check, then pytest evals/")


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


def _filled(text: str, values: dict[str, Any]) -> str:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text).render(values)


def _rows(file: Path, input_column: str, expected: str) -> Iterator[dict[str, Any]]:
    """Yield cases from a user's CSV; other columns are kept as metadata."""
    try:
        stream = file.open(newline="", encoding="utf-8-sig")
    except OSError as error:
        raise CaseError(error.strerror or str(error), file=file) from None
    with stream:
        reader = csv.DictReader(stream, strict=True)
        try:
            columns = list(reader.fieldnames or [])
            for option, column in (("--input", input_column), ("--expected", expected)):
                if column not in columns:
                    raise ConfigError(
                        f"the file has no column '{column}'. {nearest(column, columns)}",
                        file=file,
                        line=1,
                        key=option,
                    )
            yield from _cases(reader, input_column, expected, file)
        except (csv.Error, UnicodeDecodeError) as error:
            raise CaseError(f"not a CSV file in UTF-8: {error}", file=file) from None


def _cases(
    reader: csv.DictReader[str], input_column: str, expected: str, file: Path
) -> Iterator[dict[str, Any]]:
    number = 0
    for row in reader:
        if None in row or None in row.values():
            raise CaseError(
                "this row has another number of values than the header",
                file=file,
                line=reader.line_num,
                hint="Quote a value that holds a comma, a quote or a line end.",
            )
        for column in (input_column, expected):
            if not row[column].strip():
                raise CaseError(
                    "there is no value here",
                    file=file,
                    line=reader.line_num,
                    key=column,
                    hint="Fill it in, or leave the row out: every case needs both.",
                )
        number += 1
        case: dict[str, Any] = {
            "id": f"row-{number:04d}",
            "input": row[input_column],
            "expected_output": row[expected],
        }
        rest = {k: v for k, v in row.items() if k not in (input_column, expected)}
        yield case | ({"metadata": rest} if rest else {})
    if not number:
        raise CaseError("there are no rows below the header", file=file)
