"""The end of a session: the run as a document, its tables, its pages, and the name `latest`."""

from __future__ import annotations

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import summary
from harness.cases import content_hash
from harness.locked_uses import LOCKED, log_uses, logged_uses
from harness.plugin import verdicts
from harness.plugin.calibrating import LiveSuite, difference_rows, judge_rows, label_rows
from harness.plugin.datasets import DATA
from harness.plugin.judging import SEED
from harness.plugin.pilots import pilot_rows
from harness.plugin.rebuilding import kept
from harness.plugin.together import look_together
from harness.report import write_pages
from harness.run import SuiteRun
from harness.store import SCHEMA_VERSION, Document, write_document, write_table

if TYPE_CHECKING:
    from harness.plugin.evaluation import Evaluation

GIT_TIMEOUT_S = 10
HISTORY = 50  # stored runs looked at for what was tried, and how often


def store_run(evaluation: Evaluation) -> None:
    """Write the run's folder and, when nothing was left out of it, call it the latest."""
    runs = evaluation.runs()
    document, tables = _judged(evaluation)
    with evaluation.store.writing(evaluation.run_id) as folder:
        write_document(folder, document)
        write_table(folder, "outputs", summary.output_parts(runs))
        while tables:
            write_table(folder, *tables.popitem())
        for run in runs:
            run.forget()
        write_pages(folder)
    if not any(run.narrowed for run in runs):
        evaluation.store.point_latest(evaluation.run_id)
    evaluation.stored = evaluation.store.reports / evaluation.run_id
    evaluation.document = document


def _judged(evaluation: Evaluation) -> tuple[dict[str, Any], dict[str, dict[str, list[Any]]]]:
    """Build run.json with its verdicts, and the tables that these are read from."""
    runs = evaluation.runs()
    suites = [LiveSuite(run) for run in runs]
    causes = verdicts.find_causes(suites)
    document = build_document(evaluation) | {
        "categories": verdicts.category_rows(causes),
        "labels": label_rows(suites),
        "judges": judge_rows(suites),
        "judge_differences": difference_rows(suites),
    }
    tables = {
        "scores": summary.score_columns(runs),
        "cases": summary.case_columns(runs),
    }
    tables["scores"]["category"] = verdicts.category_column(causes, tables["scores"])
    projects = {run.suite.project.file: run.suite.project for run in runs}
    reports = {file: verdicts.training_reports(project) for file, project in projects.items()}
    document["diversity"] = evaluation.config.stash[DATA].beside(
        [
            report
            for found in reports.values()
            for name, report in found.items()
            if report is not None and name in evaluation.run.runs
        ]
    )
    history, looks, sentences = _history(evaluation), _looks(evaluation), []
    for file, project in projects.items():  # each by its own rules
        own = [live for live in suites if live.run.suite.project.file == file]
        names = {live.suite for live in own}
        part = document | {"suites": [row for row in document["suites"] if row["name"] in names]}
        part["pilots"] = pilot_rows(part, project)
        rows, sentence = verdicts.judge(
            part,
            tables,
            reports[file],
            project=project,
            history=history,
            suites=own,
            locked_uses=looks,
        )
        document["pilots"] += part["pilots"]
        document["verdicts"] += rows
        sentences += [sentence] if sentence else []
    document["project_verdict"] = " ".join(sentences) or None
    return document, tables


def _history(evaluation: Evaluation) -> list[Document]:
    """The runs before this one; what cannot be read of them is told, and costs no run."""
    found, unread = evaluation.store.documents(HISTORY)
    if unread:
        evaluation.notes.append(
            f"stored runs that cannot be read and count as none: {', '.join(unread)}"
        )
    return found


def _looks(evaluation: Evaluation) -> dict[str, set[str]]:
    """Log this run's looks at locked cases; every run that ever looked, by suite."""
    file = evaluation.state.locked_uses
    looked = [run.suite.name for run in evaluation.runs() if _looked_at_locked(run)]
    log_uses(file, evaluation.run_id, looked)
    return logged_uses(file)


def _looked_at_locked(run: SuiteRun) -> bool:
    """Whether any locked case was answered, where the suite is judged on these."""
    if run.suite.config.split != LOCKED:
        return False
    locked = {case.id for case in run.suite.cases if case.metadata.get("split") == LOCKED}
    answered = (key for table in run.answers.values() for key, a in table.items() if a.output)
    return any(key[0] in locked for key in answered)


def build_document(evaluation: Evaluation) -> dict[str, Any]:
    """Build run.json."""
    numbers = summary.summarise(
        evaluation.run, baseline=evaluation.baseline.comparable_scores(evaluation.runs())
    )
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": evaluation.run_id,
        "started": evaluation.started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "rung_version": _version("rung"),
        "git": _git(evaluation.root),
        "seed": SEED,
        "stopped": evaluation.stopped,
        "until_decided": evaluation.config.getoption("rung_until_decided"),
        "environment": {
            "python": platform.python_version(),
            "platform": platform.system(),
            "pytest": _version("pytest"),
        },
        "systems": _systems(evaluation),
        "baseline": evaluation.baseline.run_id,
        "baseline_differences": {
            run.suite.name: list(found.differences)
            for run in evaluation.runs()
            if (found := evaluation.baseline.differences(run)) and not found.same
        },
        "together": look_together(evaluation.runs(), evaluation.baseline),
        "suites": [_suite(run, evaluation.root) for run in evaluation.runs()],
        **numbers,
        "categories": [],
        "diversity": [],
        "pilots": [],
        "verdicts": [],
        "project_verdict": None,
        "counts": counts(evaluation.runs(), stopped=evaluation.stopped),
    }


def _systems(evaluation: Evaluation) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for run in evaluation.runs():
        for spec in evaluation.chosen(run.suite):
            fingerprint = evaluation.fingerprint(spec)
            rows[spec.name] = {
                "name": spec.name,
                "rung": spec.rung,
                "kind": spec.kind,
                "fingerprint": fingerprint.digest,
                "parts": dict(fingerprint.parts),
                "warnings": list(fingerprint.warnings),
                "configuration": kept(spec),
            }
    return list(rows.values())


def _suite(run: SuiteRun, root: Path) -> dict[str, Any]:
    suite, config = run.suite, run.suite.config
    return {
        "name": suite.name,
        "file": _relative(suite.file, root),
        "cases_file": _relative(suite.cases_file, root),
        "cases": len(suite.cases),
        "content_hash": content_hash(suite.cases),
        "epochs": run.epochs,
        "narrowed": run.narrowed,
        "systems": [spec.name for spec in suite.systems],
        "metrics": {name: metric.version for name, metric in run.metrics.items()},
        "champion": suite.champion,
        "target": config.target,
        "decides": list(config.decides),
        "judged": [name for name, metric in run.metrics.items() if metric.judge is not None],
        "cluster": suite.cluster,
        "split": config.split,
    }


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


def counts(runs: list[SuiteRun], *, stopped: bool) -> dict[str, int]:
    """Count the outputs that were planned, and what became of them; the four add up to it."""
    answers = [
        answer for run in runs for table in run.answers.values() for answer in table.values()
    ]
    lost = sum(len(keys) for run in runs if stopped for keys in run.unanswered.values())
    planned = len(answers) + lost
    not_run = sum(a.output is None for a in answers) + lost
    errored = sum(a.output is not None and a.output.error is not None for a in answers)
    cached = sum(a.cached for a in answers)
    return {
        "planned": planned,
        "generated": planned - cached - not_run - errored,
        "cached": cached,
        "not_run": not_run,
        "errored": errored,
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _git(root: Path) -> dict[str, Any] | None:
    """Return the commit that was judged, or None outside a checkout."""
    try:
        head = _ask_git(root, "rev-parse", "HEAD")
        return {"commit": head, "dirty": bool(_ask_git(root, "status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _ask_git(root: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(root), *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=GIT_TIMEOUT_S,
    ).stdout.strip()
