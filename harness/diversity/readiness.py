"""READY or NOT: every measure of a report held against its limit, what is worth most first."""

from __future__ import annotations

from collections.abc import Iterator

from harness.diversity.readiness_notes import note_findings
from harness.diversity.report import DataReport, Finding

_ORDER = {"blocks": 0, "warns": 1, "notes": 2}


def judge(report: DataReport) -> tuple[Finding, ...]:
    """List what is to be fixed: what blocks first, in each severity what is worth most first.

    Worth is the share of rows (or, for coverage, of queries) that a fix repairs. Leaked rows count 1
    on top, since no score means anything before they are gone.
    """
    if not report.data.rows:
        return (
            Finding(
                kind="rows",
                severity="blocks",
                message="there are no training rows",
                fix=f"Write at least {report.limits.rows} rows.",
                worth=1.0,
            ),
        )
    found = [
        *_leakage(report),
        *_other_leaks(report),
        *_missing(report),
        *_copies(report),
        *_coverage(report),
        *_labels(report),
        *_contents(report),
        *_prompts(report),
        *_size(report),
        *note_findings(report),
    ]
    return tuple(sorted(found, key=lambda f: (_ORDER[f.severity], -f.worth)))


def share(report: DataReport, rows: int) -> float:
    """Rows as a share of all."""
    return rows / len(report.data.rows)


def _leakage(report: DataReport) -> Iterator[Finding]:
    drop = report.leaked
    if drop:
        suites = sorted(
            {report.cases[x.case].suite for x in report.reach.leaks if x.action == "drop"}
        )
        yield Finding(
            kind="leaked",
            severity="blocks",
            message=f"{_rows(len(drop))} with a case of {', '.join(suites)} in them",
            fix="Drop these rows: a case that was trained on measures memory.",
            worth=1 + share(report, len(drop)),
            rows=drop,
        )
    review = tuple(sorted({x.row for x in report.reach.leaks} - set(drop)))
    if review:
        yield Finding(
            kind="leak_review",
            severity="warns",
            message=f"{_rows(len(review))} may hold an eval case in other words",
            fix="Look at each pair, and drop the rows that give an answer away.",
            worth=share(report, len(review)),
            rows=review,
        )


def _other_leaks(report: DataReport) -> Iterator[Finding]:
    for name, leaks in report.reach.other_leaks.items():
        sure = {report.cases[leak.case] for leak in leaks if leak.action == "drop"}
        if sure:
            suites = sorted({case.suite for case in sure})
            yield Finding(
                kind="leaked_examples",
                severity="warns",
                message=f"{_cases(len(sure))} of {', '.join(suites)} stand in the {name}",
                fix="Take them out of the examples: a system that is shown a case is not tested by it.",
                worth=len(sure) / len(report.cases),
            )


def _missing(report: DataReport) -> Iterator[Finding]:
    if report.contents.missing:
        yield Finding(
            kind="missing",
            severity="blocks",
            message=f"{_rows(len(report.contents.missing))} without an input or a desired output",
            fix="Fill them in, or drop them.",
            worth=share(report, len(report.contents.missing)),
            rows=report.contents.missing,
        )


def _copies(report: DataReport) -> Iterator[Finding]:
    rate, limit = report.near_duplicate_rate.value or 0.0, report.limits.near_duplicates
    copies = report.duplicates.near_copies
    if copies:
        yield Finding(
            kind="near_duplicates",
            severity="blocks" if rate > limit else "notes",
            message=f"{rate:.0%} of the rows have a near-duplicate (at most {limit:.0%}); "
            f"{len(copies)} could go",
            fix="Keep one row of each group: copies buy nothing and hide what is rare.",
            worth=share(report, len(copies)),
            rows=copies,
        )


def _coverage(report: DataReport) -> Iterator[Finding]:
    found = report.reach.coverage
    if found is None or found.clusters_covered is None:
        return
    holes = found.holes
    if holes:
        covered = found.clusters_covered >= report.limits.clusters_covered
        names = "; ".join(hole.name for hole in holes[:3])
        yield Finding(
            kind="coverage",
            severity="warns" if covered else "blocks",
            message=f"{_kinds(len(holes))} fewer than 3 examples "
            f"({found.clusters_covered:.0%} of the kinds are covered): {names}",
            fix="Label examples of these kinds; the next rows to label are listed.",
            worth=sum(hole.share for hole in holes),
        )


def _labels(report: DataReport) -> Iterator[Finding]:
    rows = tuple(sorted(row for group in report.answers.contradictions for row in group))
    if rows:
        small = share(report, len(rows)) <= report.limits.small_share
        yield Finding(
            kind="contradictions",
            severity="warns" if small else "blocks",
            message=f"{_rows(len(rows))} with the same input and different outputs",
            fix="Decide which output is right; where both are, the input lacks what decides.",
            worth=share(report, len(rows)),
            rows=rows,
        )
    if report.answers.suspects:
        suspects = tuple(suspect.row for suspect in report.answers.suspects)
        yield Finding(
            kind="suspect_labels",
            severity="warns",
            message=f"{_rows(len(suspects))} with a label that the other rows speak against",
            fix="Look at these first: each comes with the label that the other rows suggest.",
            worth=share(report, len(suspects)),
            rows=suspects,
        )
    yield from _audit(report)


def _audit(report: DataReport) -> Iterator[Finding]:
    wanted = min(report.limits.audited_rows, len(report.data.rows))
    audit = report.answers.audit
    done = audit.audited if audit else 0
    if done < wanted:
        yield Finding(
            kind="audit",
            severity="blocks",
            message=f"{done} of {wanted} rows of a random sample were checked by a person",
            fix="Fill in the audit file: is this the output you want?",
            worth=0.0,
        )
    elif audit is not None and audit.upper is not None and audit.upper > report.limits.wrong_labels:
        yield Finding(
            kind="audit",
            severity="blocks",
            message=f"{len(audit.wrong)} of {audit.audited} checked rows are wrong: up to "
            f"{audit.upper:.0%} of all may be (at most {report.limits.wrong_labels:.0%})",
            fix="Correct the labels, then check another sample.",
            worth=len(audit.wrong) / audit.audited,
            rows=audit.wrong,
        )


def _contents(report: DataReport) -> Iterator[Finding]:
    part = share(report, len(report.contents.facts))
    if report.contents.facts:
        yield Finding(
            kind="facts",
            severity="blocks" if part > report.limits.facts else "notes",
            message=f"{_rows(len(report.contents.facts))} with an answer that states what the input does not hold",
            fix="Teach behaviour, not facts: give the passage in the input, or leave it to retrieval.",
            worth=part,
            rows=report.contents.facts,
        )
    poor = report.contents.grades.poor
    if poor:
        yield Finding(
            kind="graded_poor",
            severity="warns" if share(report, len(poor)) <= report.limits.small_share else "blocks",
            message=f"{_rows(len(poor))} with an output that somebody graded as poor",
            fix="Rewrite these outputs, drop them, or use them as the rejected side of pairs.",
            worth=share(report, len(poor)),
            rows=poor,
        )
    if report.contents.grades.outputs_are_grades:
        yield Finding(
            kind="outputs_are_grades",
            severity="warns",
            message="the outputs are grades of an answer, not answers",
            fix="Fine for teaching a judge; otherwise write the answer that is wanted.",
            worth=1.0,
        )
    absent = [wanted for wanted in report.contents.wanted if wanted.is_missing]
    if absent:
        names = ", ".join(f"{w.kind} {w.name} ({w.examples})" for w in absent[:6])
        yield Finding(
            kind="vocabulary",
            severity="blocks" if any(not w.examples for w in absent) else "warns",
            message=f"{len(absent)} of {len(report.contents.wanted)} names that the suite asks for have "
            f"fewer than 3 examples: {names}",
            fix="Write examples that use them.",
            worth=len(absent) / len(report.contents.wanted),
        )


def _prompts(report: DataReport) -> Iterator[Finding]:
    if report.contents.attributes.leaking:
        names = ", ".join(report.contents.attributes.leaking)
        yield Finding(
            kind="leaking_attribute",
            severity="blocks",
            message=f"the field {names} gives the answer away",
            fix="Take it out of the input, unless it is known in production before the answer is.",
            worth=max(report.contents.attributes.leaking.values()),
        )
    if report.contents.truncated:
        part = share(report, len(report.contents.truncated))
        yield Finding(
            kind="truncated",
            severity="blocks" if part > report.limits.small_share else "warns",
            message=f"{_rows(len(report.contents.truncated))} longer than the model's window",
            fix="Shorten them or choose a larger window: what is cut off is the answer.",
            worth=part,
            rows=report.contents.truncated,
        )


def _size(report: DataReport) -> Iterator[Finding]:
    clean, wanted = len(report.clean_rows), report.limits.rows
    if clean < wanted:
        yield Finding(
            kind="rows",
            severity="blocks",
            message=f"{clean} clean rows are left (at least {wanted})",
            fix=f"Collect {wanted - clean} more.",
            worth=(wanted - clean) / wanted,
        )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _cases(count: int) -> str:
    return "1 case" if count == 1 else f"{count:,} cases"


def _kinds(count: int) -> str:
    return "1 kind of query has" if count == 1 else f"{count:,} kinds of query have"
