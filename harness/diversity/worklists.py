"""What a person works through next: rows to label, and the audit to fill in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.diversity.labels import write_audit
from harness.diversity.report import DataReport
from harness.training_rows import TrainingRow


def write_label_next(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write the texts to label next as JSONL, the most valuable first; returns how many.

    Parameters
    ----------
    rows : iterable of mappings
        `label_next` of a report's JSON.

    Each row has an empty output: filled in, the file is a training file.
    """
    lines = [
        {
            "input": row["text"],
            "output": None,
            "metadata": {"gain": round(row["gain"], 6), "serves": row["serves"]},
        }
        for row in rows
    ]
    # Escaped beyond ASCII: texts of unknown origin may hold lone surrogates.
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return len(lines)


def write_audit_sheet(report: DataReport, path: Path) -> int:
    """Write the random sample of rows as a CSV for a person to judge; returns how many.

    `read_audit` reads it back; a file that is there is not overwritten.
    """
    rows = report.data.rows
    texts = [(row.where, *text) for row, text in zip(rows, audited_texts(rows), strict=True)]
    write_audit(path, report.answers.audit_rows, texts)
    return len(report.answers.audit_rows)


def audited_texts(rows: Sequence[TrainingRow]) -> list[tuple[str, str]]:
    """Input and output of rows as an audit sheet holds them."""
    return [(_encodable(row.shown), _encodable(row.output or "")) for row in rows]


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
