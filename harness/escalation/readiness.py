"""Whether training data are worth training on: the gates a set must hold before a pilot."""

from __future__ import annotations

from collections.abc import Iterator

from harness.escalation.evidence import Readiness
from harness.escalation.words import percent
from harness.statistics.rates import clopper_pearson

LEAST_ROWS = 100
MOST_NEAR_DUPLICATES = 0.05
LEAST_COVERAGE = 0.90
MOST_WRONG_LABELS = 0.10
MOST_UNSUPPORTED_FACTS = 0.10
AUDITED_ROWS = 50

Wanting = tuple[str, str]  # why the data are not ready, and what to do about it


def unready(readiness: Readiness) -> tuple[str, ...]:
    """Reasons why the data are not ready, the one most worth mending first; empty when they are."""
    return tuple(reason for reason, _ in _wanting(readiness))


def remedies(readiness: Readiness) -> tuple[str, ...]:
    """What to do about each of these reasons, in the same order."""
    return tuple(remedy for _, remedy in _wanting(readiness))


def rows_wanting(readiness: Readiness | None) -> int:
    """Clean rows that are missing to the least that training takes."""
    if readiness is None:
        return LEAST_ROWS
    trainable = max(readiness.rows if readiness.desired_outputs else 0, readiness.preference_pairs)
    return max(LEAST_ROWS - trainable, 0)


def labels_wanting(readiness: Readiness | None) -> int:
    """Rows that a person has yet to check."""
    if readiness is None or (readiness.ready and readiness.audit is None):
        return 0
    checked = readiness.audit.checked if readiness.audit is not None else 0
    return max(AUDITED_ROWS - checked, 0)


def audit_remedy(labels: int) -> str:
    """How a person checks rows."""
    return f"check {labels} rows by hand (`rung data` writes the sheet)"


def _wanting(readiness: Readiness) -> list[Wanting]:
    found = [*_faults(readiness), *_measures(readiness)]
    known = [reason for reason, _ in found]
    found += [(why, f"mend this: {why}") for why in readiness.reasons if why not in known]
    found += _unmeasured(readiness)
    if readiness.ready is False and not found:
        found.append(
            ("the data check did not pass them", "run the data check and mend its findings")
        )
    return found


def _faults(readiness: Readiness) -> Iterator[Wanting]:
    """What is wrong with rows that are there."""
    if readiness.leaked:
        yield f"{readiness.leaked} rows also stand in an eval suite", "remove the leaked rows"
    audit = readiness.audit
    if audit is not None and audit.checked:
        most = clopper_pearson(audit.wrong, audit.checked, confidence_level=0.9)[1]
        if most > MOST_WRONG_LABELS:
            yield (
                f"{audit.wrong} of {audit.checked} checked outputs are wrong, so up to "
                f"{percent(most)} may be",
                "correct the wrong outputs, and check others",
            )
    if readiness.incomplete:
        yield (
            f"{readiness.incomplete} rows lack an input or a desired output",
            "fill the incomplete rows in, or drop them",
        )
    facts = readiness.unsupported_facts
    if facts is not None and facts > MOST_UNSUPPORTED_FACTS:
        yield (
            f"{percent(facts)} of the answers state facts that their input does not hold: "
            "tuning teaches behaviour, not facts",
            "put the facts into the inputs of these rows, or drop them",
        )


def _measures(readiness: Readiness) -> Iterator[Wanting]:
    """Measures that miss their limit."""
    missing = rows_wanting(readiness)
    if missing:
        have = LEAST_ROWS - missing
        yield f"{have} clean rows: at least {LEAST_ROWS} are needed", f"collect {missing} more rows"
    copies = readiness.near_duplicates
    if copies is not None and copies > MOST_NEAR_DUPLICATES:
        yield (
            f"{percent(copies)} of the rows are near copies",
            "keep one row of each group of copies",
        )
    if readiness.coverage is not None and readiness.coverage < LEAST_COVERAGE:
        yield (
            f"only {percent(readiness.coverage)} of the kinds of cases have three examples or more",
            "label examples of the kinds that `rung data` lists",
        )


def _unmeasured(readiness: Readiness) -> Iterator[Wanting]:
    """Checks that nobody has made; another check's word, either way, stands for them."""
    audit = readiness.audit
    if audit is not None and (left := labels_wanting(readiness)):
        if not audit.checked:
            yield "no training row was checked by a person", audit_remedy(left)
        elif not readiness.ready:
            yield f"only {audit.checked} training rows were checked by a person", audit_remedy(left)
    if readiness.ready is not None:
        return
    checks = {
        "near copies": readiness.near_duplicates,
        "leaked rows": readiness.leaked,
        "coverage": readiness.coverage,
        "wrong outputs": audit,
    }
    unseen = [name for name, value in checks.items() if value is None]
    if unseen:
        yield f"nobody has checked the rows for {', '.join(unseen)}", "run `rung data` on the rows"


def method(readiness: Readiness | None) -> str:
    """How to train: sft on desired outputs, dpo on preference pairs, or one after the other."""
    if readiness is None:
        return "sft"
    pairs = readiness.preference_pairs >= LEAST_ROWS
    if readiness.desired_outputs and readiness.rows >= LEAST_ROWS:
        return "both" if pairs else "sft"
    return "dpo" if pairs else "sft"
