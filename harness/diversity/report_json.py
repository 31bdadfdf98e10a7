"""A data report as plain JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.diversity.plain_text import excerpt

if TYPE_CHECKING:
    from harness.diversity.leakage import Leak
    from harness.diversity.report import DataReport

SHOWN = 100  # of each list; counts are of all


def as_json(report: DataReport) -> dict[str, Any]:
    """Make a report an object of numbers, texts and lists.

    `near_duplicates`, `leaked` and `contradictions` are counts of rows; `coverage` is the share of
    queries with a near example, null where nothing was there to cover.
    """
    return {
        "ready": report.ready,
        "reasons": list(report.reasons),
        "findings": [_finding(report, number) for number in range(len(report.findings))],
        "rows": len(report.data.rows),
        "clean_rows": len(report.clean_rows),
        "effective_number": report.effective_number.value,
        "near_duplicates": len(report.duplicates.near_copies),
        "leaked": len(report.leaked),
        "contradictions": sum(map(len, report.answers.contradictions)),
        "coverage": report.reach.coverage.rate.value if report.reach.coverage else None,
        "encoder": report.encoder,
        "estimates": {
            "effective_number": asdict(report.effective_number),
            "near_duplicate_rate": asdict(report.near_duplicate_rate),
            "coverage": asdict(report.reach.coverage.rate) if report.reach.coverage else None,
        },
        "mean_cosine": report.mean_cosine,
        "duplicate_groups": [
            {"size": len(group), "rows": list(group[:SHOWN]), "texts": _texts(report, group[:3])}
            for group in report.duplicates.groups[:SHOWN]
        ],
        "clusters": _clusters(report),
        **_leaks(report),
        **_coverage(report),
        **_labels(report),
        **_parts(report),
        "label_next": [asdict(row) for row in report.reach.next_rows],
        "map": [{**asdict(point), "mark": point.mark} for point in report.map],
        "not_measured": list(report.not_measured),
    }


def _finding(report: DataReport, number: int) -> dict[str, Any]:
    finding = report.findings[number]
    places = [report.data.rows[row].where for row in finding.rows[:SHOWN]]
    return {**asdict(finding), "rows": list(finding.rows), "places": places}


def _clusters(report: DataReport) -> list[dict[str, Any]]:
    sizes = report.clusters.sizes.tolist()
    found = [
        {"cluster": k, "name": name, "size": size}
        for k, (name, size) in enumerate(zip(report.cluster_names, sizes, strict=True))
    ]
    return sorted(found, key=lambda cluster: -int(str(cluster["size"])))


def _leaks(report: DataReport) -> dict[str, Any]:
    return {
        "leaks": [_leak(report, leak) for leak in report.reach.leaks],
        "suspected_cases": [{"suite": s, "case": c} for s, c in sorted(report.suspected_cases)],
        "other_leaks": {
            name: [
                {
                    **asdict(leak),
                    "suite": report.cases[leak.case].suite,
                    "case": report.cases[leak.case].id,
                }
                for leak in leaks
            ]
            for name, leaks in report.reach.other_leaks.items()
        },
    }


def _leak(report: DataReport, leak: Leak) -> dict[str, Any]:
    case = report.cases[leak.case]
    return {
        "row": leak.row,
        "place": report.data.rows[leak.row].where,
        "suite": case.suite,
        "case": case.id,
        "kind": leak.kind,
        "action": leak.action,
        "score": leak.score,
        "gives_away": leak.gives_away,
        "row_text": excerpt(report.data.inputs[leak.row]),
        "case_text": excerpt(case.text),
    }


def _coverage(report: DataReport) -> dict[str, Any]:
    found = report.reach.coverage
    drift = report.reach.drift
    return {
        "coverage_threshold": found.threshold if found else None,
        "clusters_covered": found.clusters_covered if found else None,
        "query_clusters": [asdict(c) for c in found.clusters] if found else [],
        "holes": [asdict(c) for c in found.holes] if found else [],
        "drift": {
            "auc": drift.auc,
            "pvalue": drift.pvalue,
            "rows": [excerpt(text) for text in report.reach.unlike[0]],
            "queries": [excerpt(text) for text in report.reach.unlike[1]],
        }
        if drift
        else None,
    }


def _labels(report: DataReport) -> dict[str, Any]:
    audit = report.answers.audit
    return {
        "contradiction_groups": [
            {
                "rows": list(group),
                "input": excerpt(report.data.inputs[group[0]]),
                "outputs": sorted({excerpt(report.data.answers[row] or "") for row in group}),
            }
            for group in report.answers.contradictions[:SHOWN]
        ],
        "suspect_labels": [
            {**asdict(s), "text": excerpt(report.data.inputs[s.row])}
            for s in report.answers.suspects
        ],
        "labels": report.answers.balance.counts if report.answers.balance else None,
        "audit": {"audited": audit.audited, "wrong": list(audit.wrong), "upper": audit.upper}
        if audit
        else None,
        "audit_rows": list(report.answers.audit_rows),
    }


def _parts(report: DataReport) -> dict[str, Any]:
    return {
        "targets": asdict(report.answers.targets) if report.answers.targets else None,
        "constant_parts": asdict(report.data.constant),
        "attributes": asdict(report.contents.attributes),
        "lengths": {
            "inputs": asdict(report.contents.input_lengths)
            if report.contents.input_lengths
            else None,
            "outputs": asdict(report.contents.output_lengths)
            if report.contents.output_lengths
            else None,
        },
        "truncated": list(report.contents.truncated),
        "missing": list(report.contents.missing),
        "facts": list(report.contents.facts),
        "grades": asdict(report.contents.grades),
        "vocabulary": [asdict(wanted) for wanted in report.contents.wanted],
        "provenance": asdict(report.contents.provenance),
    }


def _texts(report: DataReport, rows: tuple[int, ...]) -> list[str]:
    return [excerpt(report.data.inputs[row]) for row in rows]
