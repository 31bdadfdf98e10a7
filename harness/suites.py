"""Suites as test modules declare them, read from their source before anything is imported.

Marks are read with `ast` so that a wrong one ends the session as a usage error, serial and under
`-n`, before a case has run. A mark whose arguments are computed is checked when it is collected.
"""

from __future__ import annotations

import ast
import hashlib
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.beside import Beside, with_beside
from harness.cases import load_cases
from harness.config import FILE_NAME, Project, SuiteConfig, find_project, load_project
from harness.declared import declared_in, marks_in
from harness.errors import ConfigError, nearest
from harness.run import GateMark, JudgeMark, Suite

SUITE_KEYS = ("cases", "systems", "cluster")
GATE_KEYS = ("at_least", "no_worse_than", "critical", "every_epoch")
JUDGE_KEYS = ("system", "rubric", "votes", "scale", "passages")


def suite_name(file: Path) -> str:
    """Name a suite after its module."""
    return file.stem.removeprefix("test_")


class Catalogue:
    """The suites of a session by module file; each rung.yaml and cases file is read once."""

    def __init__(self, beside: Beside | None = None) -> None:
        self.suites: dict[Path, Suite] = {}
        self._projects: dict[Path, Project] = {}
        self._beside = beside or Beside()

    def find(self, paths: Sequence[Path]) -> None:
        """Take in every suite whose mark can be read from the source of these files and folders."""
        for file in _modules(paths):
            source = file.read_bytes()
            if b"mark.suite" not in source:
                continue
            try:
                tree = ast.parse(source, filename=str(file))
            except (SyntaxError, ValueError):
                continue  # pytest reports it when it collects the module
            arguments, line = _suite_arguments(tree)
            if arguments is not None:
                _check_declared(tree, self.suite(file, arguments, line=line))

    def suite(self, file: Path, arguments: Mapping[str, Any], *, line: int | None = None) -> Suite:
        """Return the suite of a module, made of its mark when it is first asked for."""
        if file not in self.suites:
            suite = make_suite(file, arguments, project=self._project(file, line), line=line)
            more = self._beside.suites.get(suite.name, ())
            suite = replace(suite, systems=(*suite.systems, *more))
            twin = next((s for s in self.suites.values() if s.name == suite.name), None)
            if twin is not None:
                raise ConfigError(
                    f"the suite name '{suite.name}' is already taken by {twin.file}",
                    file=file,
                    hint="A suite is named after its module: rename one of them.",
                )
            self.suites[file] = suite
        return self.suites[file]

    def _project(self, file: Path, line: int | None) -> Project:
        project_file = find_project(file)
        if project_file is None:
            raise ConfigError(
                f"this suite has no {FILE_NAME} in its folder or above it",
                file=file,
                line=line,
                hint="Write one with `rung init`.",
            )
        if project_file not in self._projects:
            self._projects[project_file] = with_beside(load_project(project_file), self._beside)
        return self._projects[project_file]


def make_suite(
    file: Path, arguments: Mapping[str, Any], *, project: Project, line: int | None = None
) -> Suite:
    """Check the arguments of a suite mark and load what they name."""
    _known_keys(arguments, SUITE_KEYS, mark="suite", file=file, line=line)
    names = _system_names(arguments.get("systems"), file=file, line=line)
    systems = tuple(project.system(n, file=f"{file}:{line or 1}", key="systems") for n in names)
    config = project.suites.get(suite_name(file), SuiteConfig())
    if config.champion is not None and config.champion not in names:
        raise ConfigError(
            f"the champion '{config.champion}' is not among the suite's systems."
            f" {nearest(config.champion, names)}",
            file=project.file,
            key=f"suites.{suite_name(file)}.champion",
        )
    cases_file = file.parent / _text(arguments.get("cases"), "cases", file=file, line=line)
    return Suite(
        name=suite_name(file),
        file=file,
        project=project,
        cases=load_cases(cases_file),
        cases_file=cases_file,
        systems=systems,
        cluster=arguments.get("cluster") or "group",
        config=config,
    )


def make_gate(arguments: Mapping[str, Any], *, file: Path, line: int | None = None) -> GateMark:
    """Check the arguments of a gate mark."""
    _known_keys(arguments, GATE_KEYS, mark="gate", file=file, line=line)
    gate = GateMark(**arguments)
    floor = gate.at_least
    if floor is not None and not (isinstance(floor, int | float) and 0 < floor <= 1):
        raise ConfigError(
            f"at_least={floor!r} is not a rate: give a number above 0 and up to 1",
            file=file,
            line=line,
            key="gate",
        )
    if gate.no_worse_than not in (None, "baseline"):
        raise ConfigError(
            f"no_worse_than={gate.no_worse_than!r}: gates compare with the blessed run, 'baseline'",
            file=file,
            line=line,
            key="gate",
        )
    if gate.every_epoch and floor is None:
        raise ConfigError(
            "every_epoch=True says how at_least= is counted, and there is none",
            file=file,
            line=line,
            key="gate",
            hint="Give at_least=0.8, every_epoch=True: four cases in five pass in all their epochs.",
        )
    if gate == GateMark():
        raise ConfigError(
            "this gate asks for nothing",
            file=file,
            line=line,
            key="gate",
            hint='Give at_least=0.8, no_worse_than="baseline" or critical=True.',
        )
    return gate


def make_judge(
    arguments: Mapping[str, Any], *, project: Project, file: Path, line: int | None = None
) -> JudgeMark:
    """Check the arguments of a judge mark."""
    _known_keys(arguments, JUDGE_KEYS, mark="judge", file=file, line=line)
    for key in ("system", "rubric"):
        if not isinstance(arguments.get(key), str):
            raise ConfigError(f"the judge mark needs {key}=", file=file, line=line, key="judge")
    judge = JudgeMark(**arguments)
    project.system(judge.system, file=f"{file}:{line or 1}", key="judge")
    if not (file.parent / judge.rubric).is_file():
        raise ConfigError(f"there is no rubric '{judge.rubric}'", file=file, line=line, key="judge")
    if judge.scale is not None and not _is_scale(judge.scale):
        raise ConfigError(
            f"scale={judge.scale!r}: give the least and the most, as (1, 5)",
            file=file, line=line, key="judge",
        )  # fmt: skip
    if not isinstance(judge.votes, int) or judge.votes < 1:
        raise ConfigError(
            f"votes={judge.votes!r}: give 1 or more", file=file, line=line, key="judge"
        )
    return judge


def _is_scale(value: Any) -> bool:
    pair = isinstance(value, (list, tuple)) and len(value) == 2
    return pair and all(type(end) is int for end in value) and value[0] < value[1]


def _known_keys(
    arguments: Mapping[str, Any],
    known: Sequence[str],
    *,
    mark: str,
    file: Path,
    line: int | None,
) -> None:
    for key in arguments:
        if key not in known:
            raise ConfigError(
                f"unknown argument '{key}' of the {mark} mark. {nearest(key, known)}",
                file=file,
                line=line,
                key=mark,
            )


def _text(value: object, key: str, *, file: Path, line: int | None) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(
            f"the suite mark needs {key}=, the name of a file beside the module",
            file=file,
            line=line,
            key="suite",
        )
    return value


def _system_names(value: object, *, file: Path, line: int | None) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if (
        not isinstance(value, list | tuple)
        or not value
        or not all(isinstance(v, str) for v in value)
    ):
        raise ConfigError(
            "the suite mark needs systems=, a list of names from rung.yaml",
            file=file,
            line=line,
            key="suite",
        )
    if len(set(value)) != len(value):
        raise ConfigError("a system is named twice", file=file, line=line, key="suite.systems")
    return tuple(value)


def _modules(paths: Sequence[Path]) -> Iterator[Path]:
    seen: set[Path] = set()
    for path in paths:
        found = sorted(path.rglob("test_*.py")) if path.is_dir() else [path]
        for file in found:
            if file.suffix == ".py" and file.is_file() and file not in seen:
                seen.add(file)
                yield file


def _suite_arguments(tree: ast.Module) -> tuple[dict[str, Any] | None, int | None]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(t, ast.Name) and t.id == "pytestmark" for t in node.targets
        ):
            marks = (
                node.value.elts if isinstance(node.value, ast.List | ast.Tuple) else [node.value]
            )
            for mark in marks:
                if _mark_name(mark) == "suite":
                    return _literals(mark), mark.lineno
    return None, None


def _check_declared(tree: ast.Module, suite: Suite) -> None:
    """Check what the source of a suite says of its metrics: its marks, and the names of those that decide."""
    for mark in marks_in(tree):
        arguments = _literals(mark) if _mark_name(mark) in ("gate", "judge") else None
        if arguments is not None and _mark_name(mark) == "gate":
            make_gate(arguments, file=suite.file, line=mark.lineno)
        elif arguments is not None:
            make_judge(arguments, project=suite.project, file=suite.file, line=mark.lineno)
    declared = declared_in(tree)
    if declared.complete and declared.functions:
        check_decides(suite, declared.graded)


def check_decides(suite: Suite, graded: Mapping[str, bool]) -> None:
    """Check the metrics that rung.yaml says decide whether a case passes.

    Parameters
    ----------
    suite
        Whose `decides` is looked at.
    graded
        The suite's metrics, and whether each is graded. A parametrized one goes without its parameters:
        its name alone means every one of its metrics.
    """
    for name in suite.config.decides:
        base = name if name in graded else name.partition("[")[0]
        if base not in graded:
            raise no_such_metric(suite, name, graded)
        if graded[base]:
            raise ConfigError(
                f"'{name}' is a graded metric: it gives a case a number, and does not pass or miss it",
                file=suite.project.file,
                key=f"suites.{suite.name}.decides",
                hint="Assert a threshold in a test of its own, and name that one.",
            )


def no_such_metric(suite: Suite, name: str, known: Iterable[str]) -> ConfigError:
    """What is wrong with a deciding metric that the suite does not have."""
    return ConfigError(
        f"the suite has no metric '{name}'. {nearest(name, known)}",
        file=suite.project.file,
        key=f"suites.{suite.name}.decides",
    )


def _mark_name(node: ast.expr) -> str | None:
    """Return the name of a `pytest.mark.<name>(...)`."""
    call = node.func if isinstance(node, ast.Call) else node
    if isinstance(call, ast.Attribute) and isinstance(call.value, ast.Attribute):
        return call.attr if call.value.attr == "mark" else None
    return None


def _literals(node: ast.expr) -> dict[str, Any] | None:
    """Return a mark's keyword arguments, or None where one of them is computed."""
    if not isinstance(node, ast.Call):
        return {}
    try:
        found = {k.arg: ast.literal_eval(k.value) for k in node.keywords}
    except ValueError:
        return None
    named = {name: value for name, value in found.items() if name is not None}
    return named if len(named) == len(found) else None  # **arguments


def metric_version(source: str) -> str:
    """Version a metric by the source of its function, so that scores of two rules never mix.

    Gates are left out of it: another floor measures nothing else.
    """
    source = textwrap.dedent(source)
    lines = source.splitlines()
    try:
        marks = [m for n in ast.parse(source).body for m in getattr(n, "decorator_list", ())]
    except (SyntaxError, ValueError):
        marks = []
    for mark in reversed([mark for mark in marks if _mark_name(mark) == "gate"]):
        del lines[mark.lineno - 1 : mark.end_lineno]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
