"""A data report on the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table

from harness.diversity.plain_text import excerpt
from harness.diversity.readiness_notes import DRIFTED
from harness.diversity.report import DataReport
from harness.types import Estimate

WORST_GROUPS = 10
SHOWN = 10
UNLIKE = 5
_STYLE = {"blocks": "red", "warns": "yellow", "notes": "dim"}


def print_page(report: DataReport, console: Console) -> None:
    """Print the verdict, what to fix, the measures, and the rows that they speak of."""
    for part in _parts(report):
        console.print(part)
        console.print()


def _parts(report: DataReport) -> Iterator[RenderableType]:
    yield _verdict(report)
    if report.findings:
        yield _findings(report)
    yield _measures(report)
    for part in (
        _leaks(report),
        _other_leaks(report),
        _duplicates(report),
        _holes(report),
        _unlike(report),
        _suspects(report),
    ):
        if part is not None:
            yield part
    if report.reach.next_rows:
        yield _next(report)
    if report.not_measured:
        yield Group("[bold]Not measured[/]", *(f"  {escape(x)}" for x in report.not_measured))


def _verdict(report: DataReport) -> str:
    count = f"{len(report.data.rows):,} rows, {len(report.clean_rows):,} of them clean"
    if report.ready:
        return f"[bold green]READY[/]  {count}"
    blocking = len(report.reasons)
    return f"[bold red]NOT READY[/]  {count}; {blocking} thing{'s' * (blocking != 1)} to fix first"


def _findings(report: DataReport) -> Table:
    table = _table("What to fix, in order of worth", "", "what", "how", "rows")
    for finding in report.findings:
        places = [report.data.rows[row].where or str(row) for row in finding.rows[:3]]
        more = len(finding.rows) - len(places)
        table.add_row(
            f"[{_STYLE[finding.severity]}]{finding.severity}[/]",
            escape(finding.message),
            escape(finding.fix),
            escape("\n".join(places)) + (f"\n+ {more:,}" if more > 0 else ""),
        )
    return table


def _measures(report: DataReport) -> Table:
    table = _table("Measures", "measure", "value", "note")
    number = report.effective_number
    table.add_row("effective number", _shown(number, ".1f"), escape(number.method))
    table.add_row("near-duplicates", _shown(report.near_duplicate_rate, ".1%"), "rows with a copy")
    cosine = report.mean_cosine
    table.add_row("mean cosine", "-" if cosine is None else f"{cosine:.3f}", "shown, not judged")
    table.add_row("clusters", str(len(report.clusters.centroids)), escape(_largest(report)))
    coverage = report.reach.coverage
    if coverage is not None:
        note = f"queries with a row at cosine {coverage.threshold:.2f} or more"
        table.add_row("coverage", _shown(coverage.rate, ".1%"), note)
    drift = report.reach.drift
    if drift is not None and drift.auc is not None:
        note = f".5: rows and queries are alike; p = {drift.pvalue:.3f}"
        table.add_row("drift (AUC)", f"{drift.auc:.2f}", note)
    lengths = report.contents.input_lengths
    if lengths is not None:
        note = f"95 % have at most {lengths.p95:g}, the longest {lengths.longest:,}"
        table.add_row(f"input {lengths.unit}", f"{lengths.median:g}", note)
    audit = report.answers.audit
    if audit is not None and audit.upper is not None:
        note = f"at most, at 95 %; {len(audit.wrong)} of {audit.audited} in a random sample"
        table.add_row("wrong outputs", f"{audit.upper:.0%}", note)
    origins = report.contents.provenance.origins
    table.add_row("origin", "", ", ".join(f"{name} {count:,}" for name, count in origins.items()))
    return table


def _largest(report: DataReport) -> str:
    sizes = report.clusters.sizes.tolist()
    named = sorted(zip(sizes, report.cluster_names, strict=True), reverse=True)[:3]
    return "; ".join(f"{name} ({size})" for size, name in named)


def _leaks(report: DataReport) -> Table | None:
    leaks = report.reach.leaks
    if not leaks:
        return None
    table = _table(f"Leaks: {len(leaks)} pairs", "", "how", "row", "case")
    for leak in leaks[:SHOWN]:
        case = report.cases[leak.case]
        row = report.data.rows[leak.row].where or str(leak.row)
        table.add_row(
            f"[{'red' if leak.action == 'drop' else 'yellow'}]{leak.action}[/]",
            f"{leak.kind} {leak.score:.2f}",
            escape(f"{row}\n{excerpt(report.data.inputs[leak.row], 70)}"),
            escape(f"{case.suite}: {case.id}\n{excerpt(case.text, 70)}"),
        )
    return table


def _duplicates(report: DataReport) -> Table | None:
    groups = report.duplicates.groups
    if not groups:
        return None
    table = _table(f"The worst of {len(groups)} groups of near-duplicates", "rows", "texts")
    for group in groups[:WORST_GROUPS]:
        texts = (f"{row}: {excerpt(report.data.inputs[row], 90)}" for row in group[:3])
        table.add_row(str(len(group)), escape("\n".join(texts)))
    return table


def _holes(report: DataReport) -> Table | None:
    holes = report.reach.coverage.holes if report.reach.coverage else ()
    if not holes:
        return None
    table = _table("Holes in coverage", "kind of query", "share", "examples", "such as")
    for hole in holes[:SHOWN]:
        table.add_row(
            escape(hole.name), f"{hole.share:.0%}", str(hole.examples), escape(hole.example)
        )
    return table


def _other_leaks(report: DataReport) -> Table | None:
    found = [(name, leak) for name, leaks in report.reach.other_leaks.items() for leak in leaks]
    if not found:
        return None
    table = _table("Leaks into what systems are shown", "", "how", "where", "case")
    for name, leak in found[:SHOWN]:
        case = report.cases[leak.case]
        table.add_row(
            f"[{'red' if leak.action == 'drop' else 'yellow'}]{leak.action}[/]",
            f"{leak.kind} {leak.score:.2f}",
            escape(f"{name}, row {leak.row + 1}"),
            escape(f"{case.suite}: {case.id}\n{excerpt(case.text, 70)}"),
        )
    return table


def _unlike(report: DataReport) -> Table | None:
    drift = report.reach.drift
    if drift is None or drift.auc is None or drift.auc <= DRIFTED:
        return None
    table = _table(
        "What tells rows from queries", "rows unlike any query", "queries unlike any row"
    )
    for row, query in list(zip_longest(*report.reach.unlike, fillvalue=""))[:UNLIKE]:
        table.add_row(escape(excerpt(row, 70)), escape(excerpt(query, 70)))
    return table


def _suspects(report: DataReport) -> Table | None:
    suspects = report.answers.suspects
    if not suspects:
        return None
    table = _table(f"Labels to look at: {len(suspects)}", "row", "text", "label", "others suggest")
    for suspect in suspects[:SHOWN]:
        table.add_row(
            escape(report.data.rows[suspect.row].where or str(suspect.row)),
            escape(excerpt(report.data.inputs[suspect.row], 70)),
            escape(suspect.label),
            escape(suspect.suggested),
        )
    return table


def _next(report: DataReport) -> Table:
    rows = report.reach.next_rows
    table = _table(f"Label these {len(rows)} next", "text", "gain")
    for row in rows[:SHOWN]:
        table.add_row(escape(excerpt(row.text, 100)), f"{row.gain:.4f}")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _shown(estimate: Estimate, form: str) -> str:
    if estimate.value is None:
        return "no data"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:{form}}"
    return f"{estimate.value:{form}} ({estimate.low:{form}} to {estimate.high:{form}})"
