"""Cases, scores and outputs as the page carries them: columns, each text once, deflated.

An *index* (ids, tags, states, the beginnings of inputs) is unpacked when the page opens. The texts lie
in *blocks* of neighbouring cases, each unpacked when one of its cases is looked at or searched.
All of it is base64, so nothing that a model wrote can end the element that holds it.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.report.data import ABSENT, PASSED, RunData, SuiteData
from harness.report.flips import Flip
from harness.report.index import preview, suite_index
from harness.report.rows import CASE_BODY, CaseColumns, picked, rows_of

BLOCK_CASES = 250
SEGMENTED = 120  # longer texts of several lines are stored line by line: prompts share most lines
COMPRESSION = 5
# Bytes of base64 that a page may carry, by the outputs of its run: 5 MB opens at once from an e-mail,
# 30 MB still opens within seconds. The rest of the page has half a megabyte of it.
SMALL_RUN, SMALL_PAGE, LARGE_PAGE = 50_000, 4_500_000, 29_000_000
SAMPLE = 6  # blocks that say how large all of them will be
SURELY = 1.1  # how far a guess must be over the limit to be believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How many characters of answers, reasons and cases a page holds; whether prompts are among them."""

    name: str
    passed: int
    missed: int
    reasons: int = 10**9
    cases: int | None = None  # characters of what a case holds; None for all
    details_of_passed: bool = False
    details_of_missed: bool = True


WHOLE = 10**9
LEVELS = (
    Level(name="all", passed=WHOLE, missed=WHOLE, details_of_passed=True),
    Level(name="brief", passed=WHOLE, missed=WHOLE),
    Level(name="cut", passed=160, missed=WHOLE),
    Level(name="missed", passed=0, missed=WHOLE),
    Level(name="least", passed=0, missed=400, reasons=200, details_of_missed=False),
    Level(name="excerpts", passed=0, missed=160, reasons=80, cases=160, details_of_missed=False),
    Level(name="none", passed=0, missed=0, reasons=0, details_of_missed=False),
)
OUTPUT_TEXTS = ("text", "prompt", "passages", "steps", "tool_calls", "error", "finish_reason")
OUTPUT_NUMBERS = ("latency_s", "prompt_tokens", "completion_tokens", "attempts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """Packed data of a page."""

    index: str
    blocks: tuple[str, ...]
    bodies: str  # the name of its level

    @property
    def size(self) -> int:
        return len(self.index) + sum(map(len, self.blocks))


class Texts:
    """Texts by number, each kept once; long ones line by line."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def add(self, text: str | None) -> int | list[int] | None:
        if text is None:
            return None
        if len(text) > SEGMENTED:
            lines = text.split("\n") if "\n" in text else text.split("\\n")
            if len(lines) > 1:
                joint = 0 if "\n" in text else 1
                return [joint, *(self._one(line) for line in lines)]
        return self._one(text)

    def _one(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


def pack(run: RunData, before: RunData | None, flips: Sequence[Flip] = ()) -> Payload:
    """Pack a run, with the blessed run's answers to cases that flipped.

    Where the page would grow too large, texts of passed cases stay in the tables.
    """
    outputs = len(run.outputs) if run.outputs is not None else 0
    most = SMALL_PAGE if outputs <= SMALL_RUN else LARGE_PAGE
    sources = _sources(run, before, flips)
    index = squeeze(_index(run, before, sources))
    room = most - len(index)
    # Each level is smaller than the one before: a few guesses find where to begin.
    first = bisect_left(
        LEVELS[:-1], True, key=lambda level: _expected_size(sources, level) <= SURELY * room
    )
    for level in LEVELS[first:-1]:
        blocks = _blocks_within(room, sources, level)
        if blocks is not None:
            return Payload(index=index, blocks=blocks, bodies=level.name)
    last = LEVELS[-1]
    kept = tuple(_block(source, start, last) for source, start in _starts(sources))
    return Payload(index=index, blocks=kept, bodies=last.name)


def _sources(run: RunData, before: RunData | None, flips: Sequence[Flip]) -> list[_Sources]:
    cases = CaseColumns(run)
    return [
        _Sources(
            suite=suite,
            cases=cases,
            rows=cases.rows(suite),
            outputs=_Outputs(run, suite),
            reasons=_Reasons(run, suite),
            before=_OldAnswers(before, suite, flips),
        )
        for suite in run.suites.values()
    ]


def _index(run: RunData, before: RunData | None, sources: Sequence[_Sources]) -> dict[str, Any]:
    suites, first = [], 0
    for source in sources:
        old = before.suites.get(source.suite.name) if before is not None else None
        suites.append(suite_index(run, source.suite, source.cases, old) | {"first": first})
        first += math.ceil(len(source.suite.cases) / BLOCK_CASES)
    return {"run": run.document.get("run_id"), "size": BLOCK_CASES, "suites": suites}


def _starts(sources: Sequence[_Sources]) -> list[tuple[_Sources, int]]:
    """Return the first case of every block."""
    return [
        (source, start)
        for source in sources
        for start in range(0, len(source.suite.cases), BLOCK_CASES)
    ]


def _expected_size(sources: Sequence[_Sources], level: Level) -> float:
    """Guess the size of all blocks from a few: to pack them all and throw them away takes seconds."""
    starts = _starts(sources)
    if len(starts) <= 2 * SAMPLE:
        return 0.0
    some = starts[:: len(starts) // SAMPLE]
    return sum(len(_block(*start, level)) for start in some) * len(starts) / len(some)


def _blocks_within(most: int, sources: Sequence[_Sources], level: Level) -> tuple[str, ...] | None:
    """Pack with this much of each output, or return None when that is more than `most` bytes."""
    blocks: list[str] = []
    size = 0
    for source, start in _starts(sources):
        blocks.append(_block(source, start, level))
        size += len(blocks[-1])
        if size > most:
            return None
    return tuple(blocks)


def squeeze(value: object) -> str:
    """JSON, deflated, in base64."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("ascii"), COMPRESSION)).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sources:
    """Where the texts of a suite come from."""

    suite: SuiteData
    cases: CaseColumns
    rows: list[int | None]
    outputs: _Outputs
    reasons: _Reasons
    before: _OldAnswers


def _block(source: _Sources, start: int, level: Level) -> str:
    texts = Texts()
    stop = min(start + BLOCK_CASES, len(source.suite.cases))
    kept = source.rows[start:stop] if level.missed else []
    block = {
        "cases": [
            [texts.add(_excerpt(n, source.cases.get(n, row), level.cases)) for n in CASE_BODY]
            for row in kept
        ],
        "outputs": source.outputs.block(start, stop, texts, level),
        "reasons": source.reasons.block(start, stop, texts, level.reasons),
        "before": source.before.block(start, stop, texts) if level.missed else [],
    }
    return squeeze(block | {"texts": list(texts.numbers)})


def _excerpt(name: str, stored: str | None, most: int | None) -> str | None:
    """Cut a stored JSON text so that it is JSON still; what has parts is left out instead."""
    if stored is None or most is None or len(stored) <= most:
        return stored
    whole = name in ("input", "expected_output")
    return json.dumps(preview(stored, most) + " …") if whole else None


class _Outputs:
    """The outputs of a suite, case by case: answers to one question deflate well side by side."""

    def __init__(self, run: RunData, suite: SuiteData) -> None:
        table = run.outputs
        if table is None:
            self.case = np.zeros(0, dtype=np.int64)
            return
        good = (suite.states == PASSED) | (suite.states == ABSENT)
        self.wanted = ~good.all(axis=(0, 3))  # (systems, cases): something was not passed
        self.rows, system, self.case, epoch = rows_of(table, suite)
        self.system, self.epoch = system.tolist(), epoch.tolist()
        chosen = self.rows.tolist()
        self.texts = [picked(table.texts(name), chosen) for name in OUTPUT_TEXTS]
        numbers = [_numbers(table.numbers(name)[self.rows], name) for name in OUTPUT_NUMBERS]
        flags = table.numbers("cached")[self.rows] + 2 * table.numbers("refused")[self.rows]
        # Columns, not rows: a tuple for each of a million outputs is 100 MB.
        self.numbers = [*numbers, np.nan_to_num(flags).astype(int).tolist()]

    def block(self, start: int, stop: int, texts: Texts, level: Level) -> list[list[Any]]:
        """Return one row an output: case, system, epoch, seven texts, numbers and flags."""
        chosen = range(*np.searchsorted(self.case, (start, stop)))
        found: list[list[Any]] = []
        for row in chosen:
            system, case = self.system[row], int(self.case[row])
            missed = bool(self.wanted[system, case])
            most = level.missed if missed else level.passed
            answer = self.texts[0][row]
            cut = answer is not None and len(answer) > most
            body = [texts.add(answer[:most] if cut and answer else answer) if most else None]
            if level.details_of_missed if missed else level.details_of_passed:
                body += [texts.add(column[row]) for column in self.texts[1:]]
            body += [None] * (len(OUTPUT_TEXTS) - len(body))
            kept = 0 if not most else 2 if cut else 1
            numbers = (column[row] for column in self.numbers)
            found.append([case - start, system, self.epoch[row], *body, *numbers, kept])
        return found


class _Reasons:
    """Why a score is what it is, where the metric said so."""

    def __init__(self, run: RunData, suite: SuiteData) -> None:
        reasons, texts = run.scores.codes("reason")
        rows, system, self.case, epoch = rows_of(run.scores, suite)
        said = np.flatnonzero(reasons[rows] >= 0)
        self.case = self.case[said]
        metric = run.scores.places("metric", suite.metrics)[rows[said]]
        columns = (self.case, system[said], metric, epoch[said])
        self.rows = list(zip(*(c.tolist() for c in columns), strict=True))
        self.texts = [texts[code] for code in reasons[rows[said]].tolist()]

    def block(self, start: int, stop: int, texts: Texts, most: int) -> list[list[Any]]:
        if not most:
            return []
        chosen = range(*np.searchsorted(self.case, (start, stop)))
        return [
            [self.rows[i][0] - start, *self.rows[i][1:], texts.add(self.texts[i][:most])]
            for i in chosen
        ]


class _OldAnswers:
    """What the champion answered in the blessed run, for cases whose outcome flipped."""

    def __init__(self, before: RunData | None, suite: SuiteData, flips: Sequence[Flip]) -> None:
        self.rows: list[tuple[int, int, int]] = []
        self.texts: list[str | None] = []
        flipped = sorted({flip.place[1] for flip in flips if flip.suite == suite.name})
        if before is None or before.outputs is None or not flipped or suite.champion is None:
            return
        rows, system, case, epoch = rows_of(before.outputs, suite)
        chosen = np.flatnonzero(
            np.isin(case, flipped) & (system == suite.systems.index(suite.champion)) & (epoch == 0)
        )
        found = (case[chosen].tolist(), system[chosen].tolist(), epoch[chosen].tolist())
        self.rows = list(zip(*found, strict=True))
        self.texts = picked(before.outputs.texts("text"), rows[chosen].tolist())

    def block(self, start: int, stop: int, texts: Texts) -> list[list[Any]]:
        return [
            [case - start, system, epoch, texts.add(text)]
            for (case, system, epoch), text in zip(self.rows, self.texts, strict=True)
            if start <= case < stop
        ]


def _numbers(values: npt.NDArray[np.float64], name: str) -> list[float | int | None]:
    write = (lambda v: round(v, 3)) if name == "latency_s" else int
    return [write(v) if v == v else None for v in values.tolist()]
