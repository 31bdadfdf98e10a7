"""How the numbers of a run were made, in words generated from what was done."""

from __future__ import annotations

from harness.report.data import RunData, inside
from harness.report.wording import counted, listed

METHODS = {
    "wilson": "Wilson's score interval",
    "clopper-pearson": "the exact interval of Clopper and Pearson",
    "jeffreys": "Jeffreys' interval",
    "t": "Student's t over cases",
    "worst-case": "worst-case bounds",
}

PAIRED = {"t test, t": "Student's t on the cases' differences"}


def paragraphs(run: RunData, before: RunData | None) -> list[str]:
    """Return the footer, a paragraph each for estimates, differences, gates and provenance."""
    found = [
        _estimates(run),
        _differences(run),
        _gates(run),
        _verdicts(run),
        _flips(before),
        _provenance(run),
    ]
    return [text for text in found if text]


def _estimates(run: RunData) -> str:
    methods = dict.fromkeys(row.get("method") or "" for row in run.rows("estimates"))
    named = [METHODS.get(method, method) for method in methods if method]
    levels = [row["confidence_level"] for row in run.rows("estimates") if "confidence_level" in row]
    if not named:
        return ""
    level = f" at {100 * max(levels):.0f} %" if levels else ""
    return (
        f"Intervals of single rates and means: {listed(named)}{level}. Unscored, errored and outputs "
        "that were not run are never counted as zero: estimates leave them out and gates count them "
        "by worst-case bounds."
    )


def _differences(run: RunData) -> str:
    methods = list(dict.fromkeys(row.get("method") or "" for row in run.rows("comparisons")))
    named = [PAIRED.get(method, method) for method in methods if method]
    return f"Differences between systems are paired by case: {listed(named)}." if named else ""


def _gates(run: RunData) -> str:
    total = len(run.rows("gates"))
    if not total:
        return ""
    return (
        f"p-values of gates are one-sided, multiplied by the {counted(total, 'gate')} of the run, "
        "and say that the floor or margin holds; failing is tested apart. Undecided is neither."
    )


def _verdicts(run: RunData) -> str:
    for verdict in run.rows("verdicts"):
        settings = inside(verdict, "evidence", "settings") or {}
        alpha = settings.get("alpha", 0.05)
        gain = settings.get("worthwhile_gain", 0.05)
        loss = settings.get("tolerated_loss", 0.05)
        return (
            f"Claims of the verdicts are tested at {alpha:g}; a gain of {100 * gain:g} points is worth a "
            f"step, a loss of {100 * loss:g} is tolerated: fixed before the run. Every verdict holds its "
            "evidence in run.json and can be judged again under another target."
        )
    return ""


def _flips(before: RunData | None) -> str:
    if before is None:
        return ""
    return (
        f"Flips are counted against run {before.document.get('run_id')} on the cases that both runs "
        "have; with several epochs, by the majority of each."
    )


def _provenance(run: RunData) -> str:
    document = run.document
    parts = [f"Run {document.get('run_id')}"]
    if document.get("started"):
        parts.append(f"{document['started']} to {document.get('finished')}")
    git = document.get("git")
    if git:
        parts.append(
            f"git {str(git.get('commit'))[:10]}, "
            + ("with changes" if git.get("dirty") else "clean")
        )
    parts.append(f"seed {document.get('seed')}")
    parts.append(f"Rung {document.get('rung_version') or 'of an unknown version'}")
    environment = document.get("environment") or {}
    parts += [f"{name} {value}" for name, value in environment.items() if value]
    parts.append("scores and outputs: run.json and the parquet files beside this page")
    return " · ".join(parts) + "."
