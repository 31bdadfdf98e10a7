"""The command line. Each verb is a module of its own, imported when it is called."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from harness.errors import RungError, nearest

# verb -> where it is, and the line of `rung --help`
VERBS = {
    "init": (
        "harness.cli.init:init",
        "Scaffold evals/ for your endpoint and CSV, or a tiny example.",
    ),
    "check": ("harness.cli.check:check", "Validate, call each system once, and count a full run."),
    "verdict": ("harness.cli.verdict:verdict", "Which rung each suite justifies, and why."),
    "compare": (
        "harness.cli.compare:compare",
        "Two runs or two systems: differences, flips, changes.",
    ),
    "audit-gates": (
        "harness.cli.audit:audit_gates",
        "How often your own gates cry wolf, or sleep.",
    ),
    "calibrate": ("harness.cli.audit:audit_gates", "The same as audit-gates."),
    "data": ("harness.cli.data:data", "Diversity, duplicates, leaks; is this worth training on?"),
    "train": ("harness.cli.train:train", "Train a system's adapter by its recipe."),
    "pilot": ("harness.cli.pilot:pilot", "Would tuning reach the target? LoRA at nested sizes."),
    "escalate": ("harness.cli.escalate:escalate", "Write the GPU job, when it was earned."),
    "label": ("harness.cli.label:label", "Label and tag outputs on a local page."),
    "review": ("harness.cli.review:review", "Compare systems blindly on a local page."),
    "report": ("harness.cli.runs:report", "Render a stored run again."),
    "bless": ("harness.cli.runs:bless", "Make a run the baseline that changes are compared with."),
    "runs": ("harness.cli.runs:runs", "List, show and clean the stored runs."),
}


class Verbs(click.Group):
    """Loads a verb's module when it is called: `rung --help` must be instant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        module, _, name = VERBS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in VERBS and not args[0].startswith("-"):
            raise click.UsageError(f"there is no verb '{args[0]}'. {nearest(args[0], VERBS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rung", prog_name="rung")
def rung() -> None:
    """Have you earned the GPU? Evals as pytest suites, and a verdict with evidence.

    \b
    rung init               write evals/ into a new project
    pytest evals/           run every suite, judge the gates, write the report
    """


def main() -> None:
    """Run a verb; what a user did wrong is told in a line, without a traceback."""
    try:
        rung(prog_name="rung")
    except RungError as error:
        print(f"rung: {error}", file=sys.stderr)
        raise SystemExit(2) from None
