"""The files that labels become. Formats: docs/labels.md."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from harness.desk.labels import Label, LabelBook, majority
from harness.desk.outputs import RunOutputs
from harness.desk.progress import unswayed
from harness.desk.tags import BAD_LABEL, overrides_of, run_misses
from harness.error_analysis.overrides import guarded, replace_file, write_overrides
from harness.errors import ConfigError, nearest
from harness.records import dumps
from harness.types import Case

LABEL_COLUMNS = ("case_id", "epoch", "passed", "source", "labeller", "answer_hash")


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is written, from what, and where."""

    labels: Sequence[Label]  # everybody's newest, of one suite
    outputs: RunOutputs
    evals: Path
    suite: str
    system: str
    metric: str | None = None

    def file(self, ending: str) -> Path:
        """Return a derived file beside the labels."""
        return self.evals / "labels" / f"{self.suite}.{ending}"

    def case(self, label: Label) -> Case | None:
        """Return the case of a label, if the run still has it."""
        try:
            return self.outputs.case(self.suite, label.case)
        except KeyError:
            return None


def write(
    kind: str,
    book: LabelBook,
    *,
    outputs: RunOutputs,
    evals: Path,
    suite: str,
    system: str,
    metric: str | None = None,
) -> list[str]:
    """Write one kind of file from a suite's labels; returns what to tell the user."""
    if kind not in WRITERS:
        raise ConfigError(f"there is no export '{kind}'. {nearest(kind, WRITERS)}", key="--export")
    export = Export(
        labels=book.all(), outputs=outputs, evals=evals, suite=suite, system=system, metric=metric
    )
    lines = list(WRITERS[kind](export))
    if book.problems:
        lines.append(
            f"{book.problems} lines of {book.journal.path.name} could not be read: left out"
        )
    return lines


def export_tags(export: Export) -> Iterator[str]:
    """Write a row for each miss into `<suite>.misses.csv`, with the categories that people gave."""
    path = export.evals / f"{export.suite}.misses.csv"
    systems = export.outputs.systems(export.suite)
    misses = [m for s in systems for m in run_misses(export.outputs, export.suite, s)]
    given = overrides_of(export.labels)
    rows = write_overrides(path, misses, given=given)
    yield f"{path}: {len(rows)} rows, {sum(row.category is not None for row in rows)} with a category by hand"


def export_judge_labels(export: Export) -> Iterator[str]:
    """Write labels of a random sample of one system, as judge calibration reads them.

    What most people say counts; an output on which they are split is left out.
    """
    about = [
        label
        for label in unswayed(export.labels)
        if label.system == export.system and label.metric == export.metric
    ]
    agreed = majority(about)
    name = f"{export.system}.{export.metric}" if export.metric else export.system
    path = export.file(f"{name}.judge.csv")
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(LABEL_COLUMNS)
    for key, (right, who) in sorted(agreed.items(), key=lambda item: item[0][1:4]):
        cells = (key[1], key[2], "passed" if right else "missed", "human", "+".join(who), key[3])
        writer.writerow([guarded(str(cell)) for cell in cells])
    replace_file(path, text.getvalue())
    split = len({label.key for label in about}) - len(agreed)
    yield f"{path}: {len(agreed)} labels in random order" + (f", {split} split" if split else "")


def export_rows(export: Export) -> Iterator[str]:
    """Write edited answers as training rows, with where they come from."""
    found = list(_edited(export))
    path = export.file("train.jsonl")
    _write_jsonl(path, (_training_row(label, case) for label, case in found))
    yield f"{path}: {len(found)} rows"
    yield from _cases_within(found, export.suite)


def export_cases(export: Export) -> Iterator[str]:
    """Write a new case for each edited answer: the input, and the edit as what is expected."""
    found = list(_edited(export))
    path = export.file("cases.jsonl")
    _write_jsonl(path, (_new_case(label, case) for label, case in found))
    yield f"{path}: {len(found)} cases"
    bad = {label.case for label in export.labels if label.tag == BAD_LABEL}
    if bad:
        yield f"{len(bad)} cases have a wrong expected answer: {', '.join(sorted(bad)[:10])}"


def export_pairs(export: Export) -> Iterator[str]:
    """Write edited answers as preference pairs: the edit is chosen, the answer rejected."""
    found = [(label, case) for label, case in _edited(export) if label.edit != label.answer]
    path = export.file("pairs.jsonl")
    _write_jsonl(
        path,
        (
            preference_pair(
                case, chosen=label.edit or "", rejected=label.answer or "", about=_about(label)
            )
            for label, case in found
        ),
    )
    yield f"{path}: {len(found)} pairs"
    yield from _cases_within(found, export.suite)


WRITERS: Mapping[str, Callable[[Export], Iterator[str]]] = MappingProxyType(
    {
        "tags": export_tags,
        "judge": export_judge_labels,
        "rows": export_rows,
        "cases": export_cases,
        "pairs": export_pairs,
    }
)


def preference_pair(
    case: Case, *, chosen: str, rejected: str, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Make a preference pair: the case's own input, around which each system puts its prompt."""
    return {
        "input": case.input,
        "chosen": chosen,
        "rejected": rejected,
        "metadata": dict(about),
    }


def write_pairs(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write preference pairs."""
    _write_jsonl(path, rows)


def _edited(export: Export) -> Iterator[tuple[Label, Case]]:
    """Yield the newest edit of each output, with its case."""
    newest: dict[Any, Label] = {}
    for label in export.labels:
        if label.edit is not None:
            newest[label.key[:4]] = label
    for label in newest.values():
        case = export.case(label)
        if case is not None:
            yield label, case


def _cases_within(found: Sequence[tuple[Label, Case]], suite: str) -> Iterator[str]:
    """Say that the suite's cases are among what may be trained on."""
    if found:
        cases = len({label.case for label, _ in found})
        yield (
            f"{cases} cases of {suite} are in these rows now: take them out of the suite, or"
            " the rows out of training, before anything trained on them is judged by it"
        )


def _training_row(label: Label, case: Case) -> dict[str, Any]:
    group = case.metadata.get("group", case.id)
    metadata = {**_about(label), "group": group, "origin": "person"}
    # Not as a prompt: what a row brings itself is trained on as it stands, and the system's own
    # words would be missing around it.
    return {"input": case.input, "expected_output": label.edit, "metadata": metadata}


def _new_case(label: Label, case: Case) -> dict[str, Any]:
    # The old case's cluster: two cases of one input are not two pieces of evidence.
    metadata = {**case.metadata, "group": case.metadata.get("group", case.id), **_about(label)}
    return {
        "id": f"{case.id[:180]}-{label.answer_hash}",
        "input": case.input,
        "expected_output": label.edit,
        "context": [
            {"id": p.id, "text": p.text} if p.text is not None else p.id for p in case.context
        ],
        "tags": [*case.tags, "from-label"],
        "metadata": metadata,
    }


def _about(label: Label) -> dict[str, Any]:
    return {
        "annotator": label.who,
        "labelled_at": label.at,
        "from_case": label.case,
        "from_run": label.run,
        "from_system": label.system,
        "answer_hash": label.answer_hash,
    }


def _write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    replace_file(path, "".join(f"{dumps(dict(row))}\n" for row in rows))
