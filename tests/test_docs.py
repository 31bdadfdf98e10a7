"""The documentation does what it says: every file is written, every command run, every figure found."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner
from docs_pages import ROOT, Block, blocks, figures, indented, name_of, pages
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from sample_project import jsonl
from systems_models import chat_model
from test_systems_remote import Server, reply

from harness.cli import VERBS
from harness.cli import rung as verbs

SERVER = "http://127.0.0.1:8000/v1"
SCHEMAS = {
    name: json.loads((ROOT / "harness" / "schemas" / f"{name}.schema.json").read_text("utf-8"))
    for name in ("rung", "systems")
}
NAMES = [name_of(page) for page in pages()]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback that answers everything with one city."""
    started = Server(lambda number, body: (200, {}, reply("Ghent")))
    yield started
    started.http.shutdown()
    started.http.server_close()


CASES = [(f"c{i}", "30 days") for i in range(60)]
# What lies beside the files that a page shows.
BESIDE = {
    ("README.md", None): {"tickets.csv": "question,answer\nWhich city is the shop in?,Ghent\n"},
    ("README.md", "evals/test_support.py"): {
        "evals/rung.yaml": "systems:\n"
        + "".join(
            f"  {name}: {{kind: recorded, outputs: outputs/{name}.jsonl, rung: {rung}}}\n"
            for name, rung in (("few-shot", "prompt"), ("rag", "rag"))
        )
        + "  short-prompt: {kind: recorded, outputs: outputs/short-prompt.jsonl}\n"
        + "  long-prompt: {kind: recorded, outputs: outputs/long-prompt.jsonl}\n"
        + "suites: {support: {champion: few-shot, target: 0.8, decides: [states_the_policy]}}\n",
        "evals/support.jsonl": jsonl(
            {"id": i, "input": "How long?", "expected_output": answer} for i, answer in CASES
        ),
        "evals/outputs/few-shot.jsonl": jsonl({"id": i, "output": "30 days"} for i, _ in CASES),
        "evals/outputs/rag.jsonl": jsonl({"id": i, "output": "Within 30 days."} for i, _ in CASES),
    },
}
ENDED = "<ended>"
# Runs one command after the other in the folder that comes with it, and says how each ended.
CHILD = f"""
import json, os, sys
import pytest
from click.testing import CliRunner
from harness.cli import rung
for line in sys.stdin:
    folder, program, *arguments = json.loads(line)
    os.chdir(folder)
    if program == "pytest":
        options = ["-p", "no:randomly", "--rootdir=.", "--import-mode=importlib"]
        code = int(pytest.main([*arguments, *options]))
    else:
        result = CliRunner().invoke(rung, arguments)
        print(result.output, result.exception or "")
        code = result.exit_code
    for name, module in list(sys.modules.items()):  # another page has modules of the same names
        if str(getattr(module, "__file__", "")).startswith(folder):
            del sys.modules[name]
    print("\\n{ENDED!s}", code, flush=True)
"""


@pytest.fixture(scope="module")
def child() -> Iterator[subprocess.Popen[str]]:
    """One process for every command that loads a model: torch cannot be imported twice in one."""
    started = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    yield started
    started.kill()
    started.communicate()


class Reader:
    """Follows a page in an empty folder."""

    def __init__(
        self, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, url: str
    ) -> None:
        self.pytester, self.monkeypatch, self.url = pytester, monkeypatch, url
        self.folder = pytester.path
        self.printed = ""
        self.apart: subprocess.Popen[str] | None = None

    def follow(self, block: Block) -> None:
        if block.language == "sh":
            self.printed = "".join(self.run(command, block) for command in block.commands)
        elif block.title is not None:
            self.write(block.title, block.body)
            self.write_beside(block.page, block.title)
        elif block.printed:
            self.compare(block)
        elif block.language == "python":
            exec(compile(block.body, block.place, "exec"), {"__name__": "page"})

    def write_beside(self, page: str, title: str | None) -> None:
        for name, text in BESIDE.get((page, title), {}).items():
            self.write(name, text)

    def write(self, name: str, text: str) -> None:
        conftest = self.folder / "conftest.py"
        if name.startswith("evals/") and not conftest.exists():
            conftest.write_text('pytest_plugins = ["harness.plugin"]\n')
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(self._here(text), "utf-8")

    def _here(self, text: str) -> str:
        text = text.replace(SERVER, self.url)
        return text.replace("your-org/your-model", chat_model()) if "your-org" in text else text

    def run(self, command: str, block: Block) -> str:
        if re.match(r"export (\w+)=(\S+)$", command):
            name, _, value = command.removeprefix("export ").partition("=")
            self.monkeypatch.setenv(name, value)
            return ""
        program, *arguments = shlex.split(self._here(command))
        if program == "cd":
            self.monkeypatch.chdir(arguments[0])
            self.folder = Path.cwd()
            return ""
        if self.apart is not None:
            return self._apart([program, *arguments], block)
        if program == "pytest":
            return self._pytest(arguments, block)
        assert program == "rung", f"{block.place}: nobody knows how to run {program}"
        return self._rung(arguments, block)

    def _apart(self, command: list[str], block: Block) -> str:
        assert self.apart is not None
        assert self.apart.stdin is not None
        assert self.apart.stdout is not None
        self.apart.stdin.write(json.dumps([str(self.folder), *command]) + "\n")
        self.apart.stdin.flush()
        lines = []
        for line in self.apart.stdout:
            if line.startswith(ENDED):
                assert line.split() == [ENDED, "0"], f"{block.place}:\n{''.join(lines)}"
                return "".join(lines)
            lines.append(line)
        raise AssertionError(f"{block.place}: the process ended:\n{''.join(lines)}")

    def _pytest(self, arguments: list[str], block: Block) -> str:
        inner = self.pytester
        run = inner.runpytest_subprocess if "-n" in arguments else inner.runpytest_inprocess
        if "-n" in arguments:
            arguments[arguments.index("-n") + 1] = "1"  # more have nothing to do here
        # The inner session's root is the folder where the reader stands.
        result = run(*arguments, "-p", "no:randomly", f"--rootdir={self.folder}")
        assert result.ret == 0, f"{block.place}: pytest ended with {result.ret}"
        return result.stdout.str()

    def _rung(self, arguments: list[str], block: Block) -> str:
        result = CliRunner().invoke(verbs, arguments)
        if result.exit_code != 0:
            raise AssertionError(f"{block.place}: {result.output}") from result.exception
        return str(result.output)

    def compare(self, block: Block) -> None:
        """What a page shows was printed, in this order; `...` stands for anything."""
        lines = [line.rstrip() for line in self.printed.splitlines()]
        for expected in block.body.splitlines():
            if expected.strip() == "...":
                continue
            pattern = re.sub(r"([\[*?])", r"[\1]", expected.rstrip()).replace("...", "*")
            while lines and not fnmatch.fnmatchcase(lines[0], pattern):
                lines.pop(0)
            assert lines, f"{block.place}: nobody printed {expected!r}:\n{self.printed}"


@pytest.fixture
def reader(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, server: Server) -> Reader:
    return Reader(pytester, monkeypatch, server.url)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_can_be_followed_from_top_to_bottom(
    name: str, reader: Reader, request: pytest.FixtureRequest
) -> None:
    found = [block for block in blocks(ROOT / name) if block.not_run is None]
    if not any(block.language in ("sh", "python") or block.title for block in found):
        pytest.skip("nothing to follow on this page")
    if any(
        (block.title and "your-org" in block.body)
        or "rung data " in block.body
        or "kind: classical" in block.body
        for block in found
    ):
        reader.apart = request.getfixturevalue("child")
    reader.write_beside(name, None)
    for block in found:
        reader.follow(block)


@pytest.mark.parametrize("name", NAMES)
def test_every_block_says_what_it_is(name: str) -> None:
    for block in blocks(ROOT / name):
        assert block.language, f"{block.place}: a block without a language"
        if block.language == "python":
            compile(block.body, block.place, "exec")
        if block.language in ("yaml", "yml"):
            check_yaml(block)
        if block.language == "jsonl":
            assert all(json.loads(line) for line in block.body.splitlines())
        for command in block.commands if block.language == "sh" else ():
            check_command(command, block)
    for block in indented(ROOT / name):
        for command in block.commands:
            check_command(command, block)


def check_yaml(block: Block) -> None:
    """A piece of rung.yaml has keys and values that the schema knows."""
    value = yaml.safe_load(block.body)
    if block.title not in (None, "evals/rung.yaml"):
        return
    schema = dict(SCHEMAS["rung"])
    if block.title is None:
        schema.pop("required")
    systems = Resource.from_contents(SCHEMAS["systems"])
    registry = Registry().with_resource("urn:rung:systems", systems)
    errors = [*Draft202012Validator(schema, registry=registry).iter_errors(value)]
    assert not errors, f"{block.place}: {errors[0].message}"


def check_command(command: str, block: Block) -> None:
    """A command that is shown exists, with these options, whether it is run or not."""
    for part in re.split(r"&&|\|\|?|;", command):
        words = shlex.split(part)
        if words[:1] == ["rung"]:
            check_verb(words[1:], block)
        elif words[:1] == ["make"]:
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M), block.place
        elif words[:2] == ["pip", "install"]:
            check_extras(part, block)


def check_verb(words: list[str], block: Block) -> None:
    context = click.Context(verbs, info_name="rung")
    command = verbs.get_command(context, words[0])
    assert command is not None, f"{block.place}: there is no verb {words[0]}"
    if words[:2] == ["data", "make"]:
        from harness.cli.data.making import make as command
    known = {option for parameter in command.params for option in parameter.opts}
    asked = {word.partition("=")[0] for word in words[1:] if word.startswith("--")}
    assert asked <= {*known, "--help"}, f"{block.place}: {asked - known} of rung {words[0]}"


def check_extras(command: str, block: Block) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"rung\[([\w,]+)\]", command):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), block.place


@pytest.mark.parametrize("name", [name for name in NAMES if figures(ROOT / name)])
def test_every_figure_is_the_measured_one(name: str) -> None:
    for benchmark, section, what, written in figures(ROOT / name):
        file = ROOT / "benchmarks" / benchmark / "figures.json"
        (found,) = [
            row["value"]
            for row in json.loads(file.read_text())["figures"]
            if (row["section"], row["what"]) == (section, what)
        ]
        digits = len(written.partition(".")[2])
        assert f"{found:.{digits}f}" == written, f"{name}: {what} is {found}"


def test_what_is_said_to_take_the_place_of_another_tool_is_there() -> None:
    text = (ROOT / "docs" / "coming-from.md").read_text("utf-8")
    ours = " ".join(re.findall(r"^\|[^|]*\|(.*)\|$", text, re.MULTILINE))
    for package, name in re.findall(r"\b(metrics|judges)\.(\w+)", ours):
        assert hasattr(import_module(f"harness.{package}"), name), f"harness.{package}.{name}"
    known = {*vars(import_module("harness.assertions")), *vars(import_module("harness.metrics"))}
    named = set(re.findall(r"`([a-z]+(?:_[a-z0-9]+)+)`", ours))
    assert named <= known, named - known


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra `docs` is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    cli = (tmp_path / "reference" / "cli" / "index.html").read_text("utf-8")
    assert all(f"Usage: rung {verb} [OPTIONS]" in cli for verb in VERBS)
    config = (tmp_path / "reference" / "config" / "index.html").read_text("utf-8")
    assert "<!-- schema" not in config
    assert "contains_none" in (tmp_path / "reference" / "assertions" / "index.html").read_text(
        "utf-8"
    )
    for page in tmp_path.rglob("*.html"):
        asked = re.findall(
            r'<(?:script|link|img)[^>]+(?:src|href)="(https?://[^"]+)"', page.read_text("utf-8")
        )
        assert not [url for url in asked if "fonts" in url or ".js" in url], page
