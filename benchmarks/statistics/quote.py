"""The few figures that the project's README quotes, between two marks that a test holds it to."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.statistics.figures import Figure

BEGIN = "<!-- statistics: begin. Written by `python -m benchmarks.statistics` -->"
END = "<!-- statistics: end -->"

# What is said, and of which figures: by the beginning of their section, and a part of their name.
Source = tuple[str, str]
ROWS: Sequence[tuple[str, tuple[Source, ...], str]] = (
    (
        "A 95 % interval of 20 cases covers: ours, the textbook's",
        (("Coverage of 95", "n = 20, wilson, mean"), ("Coverage of 95", "n = 20, wald, mean")),
        "{:.1%}, {:.1%}",
    ),
    (
        "The same for 40 documents of 10 cases: by document, as if independent",
        (
            ("Clustered cases", "40 x 10, ICC 0.3: effective n"),
            ("Clustered cases", "40 x 10, ICC 0.3: Wilson"),
        ),
        "{:.1%}, {:.1%}",
    ),
    (
        '8 suites, nothing changed: a build in which "more than 2 points down" fires',
        (("The usual gates", "flips 0.11: > 2"), ("The usual gates", "flips 0.19: > 2")),
        "{:.0%} to {:.0%}",
    ),
    (
        "Rung's two looks: a *series of 100* such builds with any alarm",
        (
            ("100 unchanged builds", "n 200, flips 0.19: series"),
            ("100 unchanged builds", "n 400, flips 0.11: series"),
        ),
        "{:.1%} and {:.1%}",
    ),
    (
        "A 10-point drop in one of 8 suites of 200, of 400: caught in that build",
        (
            ("A drop in one", "10 points, n 200, flips 0.19, spread"),
            ("A drop in one", "10 points, n 400, flips 0.11, spread"),
        ),
        "{:.0%}, {:.0%}",
    ),
    (
        "A 5-point drop, likewise",
        (
            ("A drop in one", "5 points, n 200, flips 0.19, spread"),
            ("A drop in one", "5 points, n 400, flips 0.11, spread"),
        ),
        "{:.0%}, {:.0%}",
    ),
    (
        "3 points down in *every* suite: found by the look at all as one",
        (
            ("8 suites looked at as one", "n 200, flips 0.19: a loss of 3"),
            ("8 suites looked at as one", "n 400, flips 0.11: a loss of 3"),
        ),
        "{:.0%}, {:.0%}",
    ),
    (
        "A true null looked at every 10 cases up to 5 000: false alarms of e-values, of p-values",
        (
            ("Looking every 10", "flips 0.05: e-value"),
            ("Looking every 10", "flips 0.05: peeking"),
        ),
        "{:.1%}, {:.0%}",
    ),
    (
        "`--until-decided`: cases saved on the published mix; most left undecided in one world of it",
        (
            ("`--until-decided` with", "saved against a fixed 400, the published mix"),
            ("`--until-decided` with", "undecided in one world, the published mix"),
        ),
        "{:.0%}; {:.1%}",
    ),
    (
        "A full comparison of 1 000 000 cases",
        (("A full comparison", "seconds"), ("A full comparison", "peak memory")),
        "{:.1f} s, {:.2f} GB",
    ),
)


def quote(figures: Sequence[Figure]) -> str:
    """The table."""
    lines = ["| simulated with known truth | |", "|---|---|"]
    for said, sources, shown in ROWS:
        values = [_only(figures, source).value for source in sources]
        lines.append(f"| {said} | {shown.format(*values).replace('%', ' %')} |")
    return "\n".join(lines)


def quoted_in(page: str, table: str) -> str:
    """A page with the table between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no marks: {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def _only(figures: Sequence[Figure], source: Source) -> Figure:
    section, part = source
    (found,) = [f for f in figures if f.section.startswith(section) and part in f.what]
    return found
