"""What a finished run means: the causes of its misses, and which rung each suite justifies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from harness.config import Project
from harness.desk.evidence import with_causes
from harness.desk.verdicts import label_parts
from harness.error_analysis import Miss, count_categories
from harness.escalation import RunData, verdict_rows
from harness.escalation.outcomes_of_run import deciding_metrics
from harness.plugin.calibrating import LiveSuite
from harness.plugin.pilots import steps
from harness.store import Columns, Document
from harness.suites import Catalogue
from harness.summary import measured
from harness.training_check import TrainingCheck, readiness_of, suspected_cases, unexamined

SCORE_KEY = ("suite", "system", "case", "epoch", "metric")


def find_causes(suites: Sequence[LiveSuite]) -> dict[str, list[Miss]]:
    """Give every miss of each suite its cause; what people said at the desk or in the CSV holds."""
    causes = {}
    for live in suites:
        misses = [m for spec in live.run.suite.systems for m in live.misses(spec.name)]
        causes[live.suite] = with_causes(live.labels, misses)
    return causes


def category_rows(causes: Mapping[str, list[Miss]]) -> list[dict[str, Any]]:
    """Count the causes of misses by suite and system."""
    return [
        count.as_row()
        for suite, misses in causes.items()
        for count in count_categories(suite, misses)
    ]


def category_column(causes: Mapping[str, list[Miss]], scores: Columns) -> list[str | None]:
    """Lay the causes beside the scores: one for each row that is a miss, None for the others."""
    found = {
        (suite, miss.system, miss.case_id, miss.epoch, miss.metric): miss.category
        for suite, misses in causes.items()
        for miss in misses
    }
    keys = zip(*(scores[name] for name in SCORE_KEY), strict=True)
    return [found.get(key) for key in keys]


def _said(document: Document, live: LiveSuite) -> dict[str, Any]:
    """Return what only labels can tell the verdict on a suite."""
    suite = next(s for s in document["suites"] if s["name"] == live.suite)
    judged = set(suite["judged"]) & set(deciding_metrics(document, suite))
    return label_parts(live, live.labels, metrics=sorted(judged), systems=suite["systems"])


def training_reports(project: Project) -> dict[str, dict[str, Any] | None]:
    """Return what `rung data` found in each suite's training rows; None where nobody looked."""
    trained = {n: s.training for n, s in project.suites.items() if s.training is not None}
    files = {n: project.folder / f for n, f in trained.items() if (project.folder / f).is_file()}
    if not files:
        return {}
    catalogue = Catalogue()
    catalogue.find([project.folder])
    suites = {suite.name: suite.cases for suite in catalogue.suites.values()}
    check = TrainingCheck(project)
    return {name: check.find(file, suites, suite=name) for name, file in files.items()}


def judge(
    document: Document,
    tables: Mapping[str, Columns],
    reports: Mapping[str, dict[str, Any] | None],
    *,
    project: Project,
    history: Sequence[Document],
    suites: Sequence[LiveSuite] = (),
    locked_uses: Mapping[str, Set[str]] | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Judge every suite that has a target; say in one sentence what to do with the budget."""
    if not any(suite["target"] is not None for suite in document["suites"]):
        return [], None
    # A fresh clone has examined nothing; what the committed pilot stands on was.
    found_by_pilots = {
        row["suite"]: row["evidence"].get("readiness") for row in document.get("pilots", ())
    }
    known: dict[str, dict[str, Any]] = {
        name: {
            "readiness": readiness_of(report)
            if report is not None
            else found_by_pilots.get(name)
            or unexamined(project.folder / str(project.suites[name].training))
        }
        for name, report in reports.items()
    }
    for name, step in steps(project, [suite["name"] for suite in document["suites"]]).items():
        known[name] = known.get(name, {}) | {"training": step}
    for live in suites:
        known[live.suite] = known.get(live.suite, {}) | _said(document, live)
    data = RunData(
        document=document,
        scores=measured(tables["scores"]),
        cases=tables["cases"],
        history=history,
        known=known,
        locked_uses=locked_uses or {},
        suspected=suspected_cases(reports.values()) if any(reports.values()) else None,
    )
    return verdict_rows(data, project)
