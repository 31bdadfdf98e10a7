"""`rung check`: validate everything, ask each system once, and count what a full run costs."""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import click

import systems
from harness.cache import Cache
from harness.cases import case_hash
from harness.cli.workspace import Workspace
from harness.errors import ConfigError, nearest
from harness.evidence_files import check_evidence_files
from harness.gates.rule import counted
from harness.run import Suite
from harness.types import NOT_MEASURED, Case, Output, SystemSpec
from systems.fingerprint import fingerprint
from systems.recorded import RecordedSystem

SHOWN_CHARACTERS = 1_500


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one system answered to its first case, and what a full run asks of it."""

    system: str
    case: str
    suite: str
    output: Output
    seconds: float
    calls: int
    cached: int
    warnings: Sequence[str]


@click.command(short_help="Validate, and ask each system once.")
@click.option("--system", "only", metavar="NAME", multiple=True, help="This system only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(only: tuple[str, ...], as_json: bool) -> None:
    """Validate rung.yaml, cases and suites; ask each system once; count a full run's calls.

    \b
    rung check
    rung check --system few-shot
    """
    workspace = Workspace()
    _check_sources(workspace.file.parent)
    suites = list(workspace.catalogue().suites.values())
    if not suites:
        raise ConfigError(
            "there is no suite beside this file",
            file=workspace.file,
            hint="A suite is a test_*.py with `pytestmark = pytest.mark.suite(cases=..., systems=[...])`.",
        )
    check_evidence_files(suites)
    names = {spec.name for suite in suites for spec in suite.systems}
    for name in only:
        if name not in names:
            raise ConfigError(f"no suite runs on '{name}'. {nearest(name, names)}", key="--system")
    checks = [
        _ask(workspace, spec, suites) for spec in _distinct(suites) if not only or spec.name in only
    ]
    if as_json:
        click.echo(json.dumps([_row(item) for item in checks], ensure_ascii=False, indent=1))
    else:
        for item in checks:
            _show(item)
        _show_total(checks, suites)
    if any(item.output.error and item.output.finish_reason != NOT_MEASURED for item in checks):
        raise SystemExit(1)


def _check_sources(folder: Path) -> None:
    """Name a suite's module that cannot be parsed; a run leaves this to pytest, which imports it."""
    for file in sorted(folder.rglob("test_*.py")):
        source = file.read_bytes()
        if b"mark.suite" not in source:
            continue
        try:
            ast.parse(source, filename=str(file))
        except SyntaxError as error:
            raise ConfigError(f"not Python: {error.msg}", file=file, line=error.lineno) from None
        except ValueError as error:
            raise ConfigError(f"not Python: {error}", file=file) from None


def _distinct(suites: Sequence[Suite]) -> list[SystemSpec]:
    return list({spec.name: spec for suite in suites for spec in suite.systems}.values())


def _ask(workspace: Workspace, spec: SystemSpec, suites: Sequence[Suite]) -> Check:
    using = [s for s in suites if spec.name in {other.name for other in s.systems}]
    case = using[0].cases[0]
    printed = fingerprint(spec, memo=workspace.state.hashes)
    began = perf_counter()
    question = replace(case, expected_output=None, tags=())
    system = systems.load(spec)
    if isinstance(system, RecordedSystem):
        system.check()  # whatever else a file says of other cases
    cases = [c for suite in using for c in suite.cases]
    check_cases = getattr(system, "check_cases", None)
    notes = check_cases(cases) if check_cases is not None else []
    outputs = list(system.generate([question], epoch=0))
    output = outputs[0] if outputs else Output(case_id=case.id, epoch=0, text="", error="no output")
    return Check(
        system=spec.name,
        case=case.id,
        suite=using[0].name,
        output=output,
        seconds=perf_counter() - began,
        calls=len(cases),
        cached=_cached(workspace, printed.digest, cases),
        warnings=(*printed.warnings, *notes),
    )


def _cached(workspace: Workspace, digest: str, cases: Sequence[Case]) -> int:
    path = workspace.state.cache
    if not path.exists():
        return 0
    with closing(Cache(path)) as cache:
        return len(cache.get(digest, [(case_hash(case), 0) for case in cases]))


def _show(item: Check) -> None:
    click.secho(f"{item.system}  ({item.suite}: {item.case})", bold=True)
    for warning in item.warnings:
        click.secho(f"  warning: {warning}", fg="yellow")
    if item.output.prompt is not None:
        click.echo("  prompt:")
        click.echo(_quoted(item.output.prompt))
    if item.output.error is not None:
        click.secho(f"  error: {item.output.error}", fg="red")
    else:
        click.echo("  answer:")
        click.echo(_quoted(item.output.text))
    usage = item.output.usage
    tokens = (
        f"{usage.prompt_tokens} + {usage.completion_tokens} tokens"
        if usage
        else "tokens not counted"
    )
    latency = item.output.latency_s
    took = f"{latency:.2f} s" if latency is not None else f"{item.seconds:.2f} s with loading"
    click.echo(f"  {took}, {tokens}")


def _quoted(prompt: Any) -> str:
    """Show text a model may have written: bounded, and with no control characters."""
    if isinstance(prompt, str):
        text = prompt
    else:
        text = "\n".join(f"[{m.get('role')}] {m.get('content')}" for m in prompt)
    if len(text) > SHOWN_CHARACTERS:
        text = f"{text[:SHOWN_CHARACTERS]}... ({len(text):,} characters)"
    safe = "".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text)
    return "\n".join(f"    | {line}" for line in safe.split("\n"))


def _show_total(checks: Sequence[Check], suites: Sequence[Suite]) -> None:
    cases = sum(len(suite.cases) for suite in suites)
    click.secho(f"{counted(len(suites), 'suite')}, {counted(cases, 'case')}", bold=True)
    for item in checks:
        usage = item.output.usage
        tokens = (
            f", about {(usage.prompt_tokens + usage.completion_tokens) * (item.calls - item.cached):,} tokens"
            if usage
            else ""
        )
        click.echo(
            f"  {item.system}: {counted(item.calls - item.cached, 'call')} to make"
            f" ({item.cached:,} of {item.calls:,} are cached){tokens}"
        )


def _row(item: Check) -> dict[str, Any]:
    usage = item.output.usage
    return {
        "system": item.system,
        "suite": item.suite,
        "case": item.case,
        "prompt": item.output.prompt,
        "answer": item.output.text if item.output.error is None else None,
        "error": item.output.error,
        "latency_s": item.output.latency_s,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "calls": item.calls,
        "cached": item.cached,
        "warnings": list(item.warnings),
    }
