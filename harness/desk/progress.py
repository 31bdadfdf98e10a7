"""How much has been labelled, and how much more would let something be said."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.desk.agreement import krippendorff_alpha
from harness.desk.labels import Label, LabelBook
from harness.desk.tags import BAD_LABEL, apply_labels
from harness.error_analysis import Miss, Override, as_evidence
from harness.error_analysis.misses import answer_hash
from harness.errors import MissingExtraError
from harness.escalation.claims import TAGS_WANTED
from harness.judges.calibration import FEWEST_LABELS
from harness.records import dumps
from harness.types import Case

if TYPE_CHECKING:
    from harness.diversity.labels import Audit


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One thing that labels feed."""

    name: str
    done: int
    wanted: int | None  # None: the more the better
    text: str

    @property
    def share(self) -> int:
        """Per cent of what is wanted."""
        return 100 if not self.wanted else min(100, 100 * self.done // self.wanted)


def sampled(labels: Sequence[Label]) -> list[Label]:
    """Keep labels of random samples: only these say something of the outputs nobody looked at."""
    return [label for label in labels if label.order == "random" and label.label != "skipped"]


def unswayed(labels: Sequence[Label]) -> list[Label]:
    """Keep those of them that were given before anybody could see what a judge had said."""
    return [label for label in sampled(labels) if not label.scores_shown]


def audit(labels: Sequence[Label]) -> Audit:
    """Count the expected answers that were looked at in random samples, and those that are wrong.

    A case counts once; it is wrong if anybody says so, since the limit is an upper one.
    """
    cases = list(dict.fromkeys(label.case for label in sampled(labels)))
    bad = {label.case for label in sampled(labels) if label.tag == BAD_LABEL}
    wrong = tuple(number for number, case in enumerate(cases) if case in bad)
    # Every run counts labels; only one that has some pays for the import, half a second of scipy.stats.
    from harness.diversity.labels import Audit

    return Audit(audited=len(cases), wrong=wrong)


def expected_hash(case: Case) -> str:
    """Hash what a case expects, so that a label of it is known for one of another."""
    return answer_hash(dumps(case.expected_output))


def progress(
    book: LabelBook,
    *,
    system: str,
    misses: Sequence[Miss],
    by_hand: Sequence[Override],
    judged: Sequence[str],
) -> list[Progress]:
    """Say for everything that labels feed how far it is."""
    labels = book.all()
    own = [label for label in labels if label.system == system]
    found = [_tags(system, apply_labels(misses, own, by_hand))] if misses else []
    found.append(_audit(labels))
    if judged:
        found += [_judge(own, metric) for metric in judged]
    edited = {label.key for label in labels if label.edit is not None}
    found.append(
        Progress(
            name="Training rows",
            done=len(edited),
            wanted=None,
            text=f"{_counted(len(edited), 'edited answer')}: rows, new cases and preference pairs",
        )
    )
    return found


def agreement_sentence(labels: Sequence[Label]) -> str | None:
    """Say how far people agree on right and wrong; None where no output has two labels."""
    table = agreement_table(labels)
    by_output: dict[Hashable, list[str]] = {}
    for said in table.values():
        for key, answer in said.items():
            by_output.setdefault(key, []).append(answer)
    twice = [said for said in by_output.values() if len(said) > 1]
    if not twice:
        return None
    same = sum(len(set(said)) == 1 for said in twice)
    sentence = f"{_counted(len(twice), 'output')} labelled by two people or more: {same} the same"
    try:
        alpha = krippendorff_alpha(table)
    except MissingExtraError:
        return sentence
    if alpha.value is None:
        return f"{sentence}; no alpha: everybody always said one and the same"
    limits = "" if alpha.low is None else f" ({alpha.low:.2f} to {alpha.high:.2f})"
    return (
        f"{sentence}; Krippendorff's alpha {alpha.value:.2f}{limits}, 1 is agreement, 0 is chance"
    )


def agreement_table(labels: Sequence[Label]) -> dict[str, dict[Hashable, str]]:
    """Lay labels out by person and output, as agreement is measured."""
    table: dict[str, dict[Hashable, str]] = {}
    for label in labels:
        table.setdefault(label.who, {})[label.key] = label.label
    return table


def _tags(system: str, misses: Sequence[Miss]) -> Progress:
    evidence = as_evidence(system, misses)
    total, known = evidence["total"], sum(evidence["causes"].values())
    wanted = min(TAGS_WANTED, total)
    more = max(wanted - known, 0)
    text = (
        f"{_counted(more, 'more tag')} let{'s' if more == 1 else ''} the verdict speak about RAG"
        if more
        else "enough causes are known for the verdict to speak about RAG"
    )
    return Progress(
        name="Causes of misses",
        done=known,
        wanted=wanted,
        text=f"{known:,} of {_counted(total, 'missed case')} known; {text}",
    )


def _audit(labels: Sequence[Label]) -> Progress:
    from harness.diversity.labels import AUDIT_ROWS

    found = audit(labels)
    more = max(AUDIT_ROWS - found.audited, 0)
    upper = found.upper
    said = (
        f"{len(found.wrong)} of {found.audited} expected answers wrong, at most {100 * upper:.0f} % of all"
        if upper is not None
        else "nothing looked at in random order yet"
    )
    rest = f"; {more} more for an audit" if more else ""
    return Progress(
        name="Audit of expected answers", done=found.audited, wanted=AUDIT_ROWS, text=said + rest
    )


def _judge(labels: Sequence[Label], metric: str) -> Progress:
    about = [label for label in unswayed(labels) if label.metric == metric]
    done = len({(label.case, label.epoch) for label in about})
    more = max(FEWEST_LABELS - done, 0)
    text = (
        f"{_counted(more, 'more label')} in random order, asked about {metric}, to calibrate the judge"
        if more
        else "enough labels to calibrate the judge"
    )
    return Progress(name=f"Judge of {metric}", done=done, wanted=FEWEST_LABELS, text=text)


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
