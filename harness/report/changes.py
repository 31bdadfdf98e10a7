"""What changed since the blessed run, factor by factor, and the prompts line by line."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.report.data import RunData
from harness.report.wording import counted, listed, sentence, spelled

Look = Literal["same", "changed", "info"]

# Which factor a fingerprint's part belongs to, by the beginning of its name.
FACTORS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("Prompt", ("prompt", "steps", "system", "examples_template")),
    ("Examples", ("examples",)),
    ("Model", ("model", "adapter", "weights", "tokenizer", "encoder", "endpoint")),
    ("Corpus and index", ("corpus", "retriever", "index", "chunk", "rerank")),
    ("Decoding", ("decoding", "temperature", "max_", "top_", "seed", "stop", "json_schema")),
    ("Judge", ("judge", "rubric")),
    ("Training data", ("training", "data", "recipe", "peft", "trainer")),
    ("Template", ("template", "chat_template")),
    ("Code", ("code", "callable", "kind", "outputs", "tools", "moderation")),
)
OTHER = "Settings"
JUDGED = ("rubric", "judge")  # what follows the function in the version of a judged metric
MAX_DIFF = 60  # lines of one prompt's diff


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """One cell of the strip."""

    title: str
    look: Look
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDiff:
    """One text before and after, by lines: (sign, line)."""

    title: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The comparability strip."""

    heading: str
    warning: str
    factors: tuple[Factor, ...]
    diffs: tuple[TextDiff, ...]

    @property
    def changed(self) -> int:
        return sum(factor.look == "changed" for factor in self.factors)


def changes(run: RunData, before: RunData) -> Changes:
    """Compare what went into two runs; only what both hold can be compared."""
    parts = _changed_parts(run, before)
    factors = [*_inputs(run, before), *_systems(parts, run, before), *_surroundings(run, before)]
    moved = [factor.title.lower() for factor in factors if factor.look == "changed"]
    if not moved:
        heading = "Nothing that can change an answer was changed"
    elif len(moved) == 1:
        heading = f"One thing changed: {moved[0]}"
    else:
        heading = f"{sentence(spelled(len(moved)))} things changed: {listed(moved)}"
    warning = (
        "A difference between the runs may come from any of these: change one at a time to know which."
        if len(moved) > 1
        else ""
    )
    return Changes(
        heading=heading,
        warning=warning,
        factors=tuple(factors),
        diffs=tuple(_diffs(parts)),
    )


Part = tuple[str, str, str, str]  # system, part, before, after


def _parts(run: RunData) -> dict[str, Mapping[str, str]]:
    return {row["name"]: row.get("parts") or {} for row in run.rows("systems")}


def _changed_parts(run: RunData, before: RunData) -> list[Part]:
    new, old = _parts(run), _parts(before)
    return [
        (system, part, old[system].get(part, ""), new[system].get(part, ""))
        for system in new
        if system in old
        for part in sorted({*new[system], *old[system]})
        if new[system].get(part) != old[system].get(part)
    ]


def _inputs(run: RunData, before: RunData) -> Iterator[Factor]:
    shared = [name for name in run.suites if name in before.suites]
    moved = [
        name
        for name in shared
        if run.suites[name].info.get("content_hash") != before.suites[name].info.get("content_hash")
    ]
    same = sum(len({*run.suites[n].cases} & {*before.suites[n].cases}) for n in shared)
    extra = [name for name in run.suites if name not in before.suites]
    note = f"{counted(same, 'case')} in both"
    if extra:
        note += f"; new: {', '.join(extra)}"
    yield Factor(
        title="Cases",
        look="changed" if moved else "same",
        value=f"changed in {', '.join(moved)}" if moved else "the same",
        note=note,
    )
    edited, judges = _edited_metrics(run, before, shared)
    if judges:
        note = "; ".join(judges)
        yield Factor(title="Judge", look="changed", value="changed", note=note)
    yield Factor(
        title="Metrics",
        look="changed" if edited else "same",
        value=counted(len(edited), "changed", "changed") if edited else "the same",
        note=", ".join(edited),
    )


def _edited_metrics(
    run: RunData, before: RunData, shared: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Name metrics whose function changed, and judged ones whose rubric or judge did."""
    edited, judges = [], []
    for name in shared:
        for metric, version in _versions(run, name).items():
            now = str(version).split("-")
            then = str(_versions(before, name).get(metric, version)).split("-")
            if now[0] != then[0] or len(now) != len(then):
                edited.append(f"{name}: {metric}")
            elif now != then:
                moved = [w for w, a, b in zip(JUDGED, now[1:], then[1:], strict=False) if a != b]
                judges.append(f"{listed(moved)} of {name}: {metric}")
    return edited, judges


def _versions(run: RunData, suite: str) -> Mapping[str, Any]:
    versions = run.suites[suite].info.get("metrics")
    return versions if isinstance(versions, Mapping) else {}


def _systems(parts: Sequence[Part], run: RunData, before: RunData) -> Iterator[Factor]:
    by_factor: dict[str, set[str]] = {title: set() for title in (*(t for t, _ in FACTORS), OTHER)}
    for system, part, _, _ in parts:
        by_factor[_factor_of(part)].add(system)
    for title in by_factor:
        systems = sorted(by_factor[title])
        if systems:
            yield Factor(title=title, look="changed", value="changed", note=f"of {listed(systems)}")
        elif title in ("Prompt", "Model"):
            yield Factor(title=title, look="same", value="the same")
    added = [name for name in run.rungs if name not in before.rungs]
    gone = [name for name in before.rungs if name not in run.rungs]
    if added or gone:
        notes = [f"{word} {listed(n)}" for word, n in (("new:", added), ("gone:", gone)) if n]
        yield Factor(title="Systems", look="info", value="not the same set", note="; ".join(notes))


def _factor_of(part: str) -> str:
    for title, beginnings in FACTORS:
        if part.startswith(beginnings):
            return title
    return OTHER


def _surroundings(run: RunData, before: RunData) -> Iterator[Factor]:
    old, new = _commit(before), _commit(run)
    dirty = (run.document.get("git") or {}).get("dirty")
    if old or new:
        yield Factor(
            title="Git",
            look="info",
            value=new if old == new else f"{old or 'unknown'}..{new or 'unknown'}",
            note="with uncommitted changes" if dirty else "",
        )
    versions = [str(r.document.get("rung_version") or "unknown") for r in (before, run)]
    yield Factor(
        title="Rung",
        look="same" if versions[0] == versions[1] else "changed",
        value=versions[1] if versions[0] == versions[1] else f"{versions[0]} → {versions[1]}",
    )


def _commit(run: RunData) -> str:
    return str((run.document.get("git") or {}).get("commit") or "")[:8]


def _diffs(parts: Sequence[Part]) -> Iterator[TextDiff]:
    """Show each changed text once, however many systems use it."""
    seen: dict[tuple[str, str], list[str]] = {}
    for system, part, before, after in parts:
        if not (before + after).startswith("sha256:") and _factor_of(part) != "Code":
            seen.setdefault((before, after), []).append(f"{system}: {part}")
    for (before, after), where in seen.items():
        lines = difflib.ndiff(before.splitlines(), after.splitlines())
        kept = [(line[0], line[2:]) for line in lines if line[0] != "?"]
        if len(kept) > MAX_DIFF:
            kept = [*kept[:MAX_DIFF], (" ", f"… {counted(len(kept) - MAX_DIFF, 'more line')}")]
        yield TextDiff(title=", ".join(where), lines=tuple(kept))
