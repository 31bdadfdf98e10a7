"""The Markdown summary of a run, for a pull request: verdict and gates first, at most 60 lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from harness.design import visible
from harness.report import gates, ladders
from harness.report.data import RunData
from harness.report.reliability import MODERATED, moderated
from harness.report.verdicts import action_words, project_words
from harness.report.wording import counted, glyph, percent, phrase, pvalue, signed, span

MAX_LINES = 60
MARKER = "<!-- rung-summary -->"  # by which a workflow finds its own comment to update
SPECIAL = re.compile(r"([\\`*{}\[\]<>|~]|(?<!\w)_|_(?!\w))")
MENTION = re.compile(r"([@#])(?=\w)")  # a backslash does not keep a forge from linking these


def escaped(text: object) -> str:
    """Write untrusted text so that Markdown shows it and does nothing else.

    >>> escaped("<img src=x> | @team")
    '\\\\<img src=x\\\\> \\\\| @&#8203;team'
    """
    plain = SPECIAL.sub(r"\\\1", " ".join(visible(str(text)).split()))
    return MENTION.sub(r"\1&#8203;", plain)


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, most: int) -> list[str]:
    """Lay out a table; rows beyond `most` are counted."""
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    lines += ["| " + " | ".join(row) + " |" for row in rows[:most]]
    if len(rows) > most:
        lines.append(f"| … | {counted(len(rows) - most, 'more row')}" + " |" * (len(header) - 1))
    return lines


def folded(title: str, lines: Sequence[str]) -> list[str]:
    """Hide details behind a line that opens them."""
    return (
        ["", f"<details><summary>{title}</summary>", "", *lines, "", "</details>"] if lines else []
    )


def render_summary(run: RunData) -> str:
    """Write summary.md; the same order in every run, so that two of them compare line by line."""
    state, outcome = gates.headline(run)
    lines = [MARKER, f"### {glyph(state)} Rung: {outcome}", ""]
    heading, rest = project_words(run.document.get("project_verdict"))
    if heading:
        lines += [f"**{escaped(heading)}** {escaped(rest)}".rstrip(), ""]
    lines += _verdicts(run)
    foot = ["", _foot(run)]
    for section in (_gates(run), _changes(run), _passed(run), _rates(run)):
        # A section comes whole or not at all: half of a folded one would swallow what follows.
        if len(lines) + len(section) + len(foot) <= MAX_LINES:
            lines += section
    return "\n".join([*lines, *foot]) + "\n"


def _verdicts(run: RunData) -> list[str]:
    rows = []
    for card in ladders.cards(run):
        mark, words = action_words(card.verdict)
        rows.append([escaped(card.suite), f"{mark} {words}", escaped(card.say)])
    return table(["Suite", "Verdict", "Because"], rows, most=6)


def _gates(run: RunData) -> list[str]:
    rows = [row for row in gates.ordered(run.rows("gates")) if row["state"] != "passed"]
    said = gates.together(run)
    return [
        *(["", *_gate_table(rows, most=8)] if rows else []),
        *(["", f"Against the blessed run, {escaped(said)}."] if said else []),
    ]


def _passed(run: RunData) -> list[str]:
    rows = [row for row in gates.ordered(run.rows("gates")) if row["state"] == "passed"]
    return folded(f"{counted(len(rows), 'gate')} passed", _gate_table(rows, most=6) if rows else [])


def _gate_table(rows: Sequence[dict[str, Any]], *, most: int) -> list[str]:
    cells = [
        [
            f"{glyph(str(row['state']))} {phrase(str(row['state']))}",
            escaped(f"{row['suite']} {row['metric']} ({row['system']})"),
            escaped(row.get("reason") or ""),
        ]
        for row in rows
    ]
    return table(["State", "Gate", "Reason"], cells, most=most)


def _changes(run: RunData) -> list[str]:
    """What differs from the blessed run, newly missed first."""
    rows = [
        row
        for row in run.rows("comparisons")
        if str(row["baseline"]).startswith("baseline:") and (row["gained"] or row["lost"])
    ]
    rows.sort(key=lambda r: (-r["lost"], -r["gained"], r["suite"], r["metric"], r["candidate"]))
    cells = [
        [
            escaped(f"{row['suite']} {row['metric']} ({row['candidate']})"),
            f"{row['lost']:,}",
            f"{row['gained']:,}",
            f"{signed(row['difference'])} ({span(row['low'], row['high'], write=signed)})",
            pvalue(row.get("pvalue_adjusted")),
        ]
        for row in rows
    ]
    header = ["Against the blessed run", "Newly missed", "Newly passed", "Points (95 %)", "p"]
    return ["", *table(header, cells, most=6)] if cells else []


def _rates(run: RunData) -> list[str]:
    cells = [
        [
            escaped(f"{row['suite']} {row['metric']}"),
            escaped(row["system"]),
            f"{percent(row['value'])} % ({span(row['low'], row['high'])})",
            f"{row['passed']:,} of {row['passed'] + row['missed']:,}",
        ]
        for row in run.rows("estimates")
        if row.get("kind", "rate") == "rate"
    ]
    header = ["Metric", "System", "Pass rate, 95 %", "Passed"]
    return folded("Pass rates of every system", table(header, cells, most=10) if cells else [])


def _foot(run: RunData) -> str:
    counts = run.document.get("counts") or {}
    parts = [
        f"{counted(counts.get(key) or 0, 'output')} {phrase(key)}"
        for key in ("planned", "cached", "not_run", "errored")
        if counts.get(key)
    ]
    usage = run.rows("usage")
    totals = {key: sum(row.get(key) or 0 for row in usage) for key in MODERATED}
    parts += [moderated(totals)] if any(totals.values()) else []
    return f"<sub>{' · '.join(parts)} · the page: report.html of run {run.document.get('run_id')}</sub>"
