"""Failure tags: what people said of misses, as the rows of `evals/<suite>.misses.csv`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from harness.declared import metrics_named
from harness.desk.labels import Label
from harness.desk.outputs import RunOutputs
from harness.error_analysis import (
    CATEGORIES,
    Category,
    Miss,
    Override,
    apply_overrides,
    find_misses,
)

# What a person presses a digit for; the others are typed, and so are one's own.
QUICK_TAGS: tuple[Category, ...] = (
    "missing_fact",
    "unused_fact",
    "wrong_fact",
    "reasoning",
    "off_topic",
    "format",
    "too_long",
    "misspelled",
    "refused",
)
BAD_LABEL: Category = "bad_label"


def run_misses(outputs: RunOutputs, suite: str, system: str) -> list[Miss]:
    """Find the misses of a system by rule, on the metrics that decide where the suite names some."""
    info = outputs.suites[suite]
    decides = metrics_named(info["metrics"], info.get("decides") or info["metrics"])
    scores = [
        score
        for said in outputs.scores(suite, system).values()
        for score in said
        if score.metric in decides and score.state in ("missed", "errored")
    ]
    places = {(s.case_id, s.epoch) for s in scores}
    places = {place for place in places if outputs.has(suite, system, place)}
    return find_misses(
        system,
        [outputs.case(suite, case) for case in {case for case, _ in places}],
        [outputs.output(suite, system, place) for place in places],
        scores,
    )


def overrides_of(labels: Iterable[Label]) -> list[Override]:
    """Make a row of each tagged output: the category that most people gave, the newest on a tie.

    A person's own tag is no category: it stands in the note, and the category is left to the rules.
    """
    by_output: dict[tuple[str, str, str, str], list[Label]] = {}
    for label in labels:
        if label.tag is not None and label.label != "skipped":
            key = (label.system, label.case, label.metric or "", label.answer_hash)
            by_output.setdefault(key, []).append(label)
    return [_override(key, said) for key, said in sorted(by_output.items())]


def apply_labels(
    misses: Iterable[Miss], labels: Iterable[Label], by_hand: Iterable[Override]
) -> list[Miss]:
    """Give misses the categories that people gave, in the CSV and at the desk."""
    return apply_overrides(misses, [*overrides_of(labels), *by_hand])


def _override(key: tuple[str, str, str, str], said: list[Label]) -> Override:
    counts = Counter(label.tag for label in said)
    most = max(counts.values())
    newest = max((x for x in said if counts[x.tag] == most), key=lambda label: label.at)
    category = next((known for known in CATEGORIES if known == newest.tag), None)
    own = [newest.tag] if category is None else []
    note = "; ".join(
        filter(None, [*own, newest.comment, "by " + ", ".join(sorted({x.who for x in said}))])
    )
    system, case, metric, digest = key
    return Override(
        system=system,
        case_id=case,
        metric=metric,
        answer_hash=digest,
        by_rule="",
        category=category,
        note=" ".join(note.split()),
        answer="",
    )
