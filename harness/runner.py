"""Cases x system -> outputs: in one batch, through the cache, resumable."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from harness.cache import Cache
from harness.cases import case_hash
from harness.errors import RungError, StoreError, ends_the_session
from harness.records import fault_of, own
from harness.types import NOT_MEASURED, Case, Output, Rung, System, SystemSpec

Mode = Literal["cached", "fresh", "replay"]
Key = tuple[str, int]  # case id, epoch
# Outputs between two looks at what was spent: the most that a limit is overrun by.
BUDGET_BATCH = 20
MAX_FAILURES = 50  # errored outputs in a row; `max_failures` of a system says otherwise
MAX_TEXT = 20_000_000  # characters of an answer; a model that never stops would fill the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An output and where it came from. Without an output the case was not run."""

    output: Output | None
    cached: bool = False
    reason: str | None = None  # why it was not run


NOT_CACHED = Answer(output=None, reason="not in the cache (--replay)")


UNMEASURED = "not measured: "  # how the reasons of such cases begin
OVER_BUDGET = "the budget of --max-cost was reached"


class Progress(Protocol):
    """What a user sees while a batch runs."""

    def start(self, system: str, total: int) -> None: ...
    def advance(self) -> None: ...
    def finish(self, *, gave_up: str | None) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one system is asked: every case, once for each epoch."""

    spec: SystemSpec
    fingerprint: str
    cases: Sequence[Case]
    epochs: Sequence[int] = (0,)


@dataclass(slots=True, kw_only=True)
class Budget:
    """Money that may be spent, and what each output of a system costs."""

    limit: float
    cost: Callable[[SystemSpec, Output], float]
    unpriced: Callable[[SystemSpec], str | None] = lambda spec: None  # why its cost is not known
    spent: float = 0.0
    guessed: int = 0  # outputs that cost something, and whose tokens nobody counted

    def charge(self, spec: SystemSpec, output: Output) -> None:
        """Count what an output cost."""
        money = self.cost(spec, output)
        self.spent += money
        self.guessed += money > 0 and output.usage is None

    def exhausted(self, spec: SystemSpec) -> str | None:
        """Why nothing more may be asked of a system; None while something may."""
        return self.unpriced(spec) or (OVER_BUDGET if self.spent >= self.limit else None)


@dataclass(slots=True, kw_only=True)
class Patience:
    """Counts a system's failures in a row. A server that is down need not be asked a million times."""

    limit: int
    failures: int = 0
    last: str = ""

    def note(self, output: Output) -> None:
        """Count an output; that a case cannot be measured is no failure."""
        if output.finish_reason == NOT_MEASURED:
            return
        self.failures = self.failures + 1 if output.error is not None else 0
        self.last = output.error or ""

    @property
    def lost(self) -> str | None:
        """Why the system is asked nothing more; None while it is."""
        if not self.limit or self.failures < self.limit:
            return None
        return f"not asked after {self.failures} failures in a row (max_failures): {self.last}"


class Runner:
    """Generates outputs, asking each system only for what the cache does not hold.

    Parameters
    ----------
    load
        Builds a system; called at the first batch that needs an answer from it.
    cache
        Where outputs are kept; None to keep none.
    mode
        `cached` reads and writes the cache, `fresh` only writes it, `replay` only reads it.
    """

    def __init__(
        self,
        *,
        load: Callable[[SystemSpec], System],
        cache: Cache | None,
        mode: Mode = "cached",
        progress: Progress | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._load = load
        self._cache = cache
        self._mode = mode
        self._progress = progress
        self._budget = budget
        self._systems: dict[str, System] = {}
        self._patience: dict[str, Patience] = {}
        self._not_kept: str | None = None  # why outputs are not in the cache, though they should be
        self._cache_in_use = cache
        self._told: list[str] = []  # by systems, of the cases that they will be asked

    def notes(self) -> list[str]:
        """Say what the user should know of the systems and the cache."""
        damaged = self._cache_in_use.damaged if self._cache_in_use is not None else 0
        found = [*self._told]
        if damaged:
            found.append(f"cache: {damaged} stored outputs were damaged and are asked for again")
        if self._budget is not None and self._budget.guessed:
            found.append(
                f"--max-cost: the tokens of {self._budget.guessed} outputs were not counted, and each"
                " was taken at the most it can have cost"
            )
        if self._not_kept is not None:
            found.append(f"the outputs of this run are not kept for the next one: {self._not_kept}")
        return found

    def check(self, batch: Batch) -> None:
        """Find what is configured wrong in a system that will be asked, before anything runs.

        Raises
        ------
        ConfigError
            A key is not in the environment, a template is wrong, a folder is not there.
        """
        if self._mode == "replay":
            return
        if self._cache is not None and self._mode == "cached" and batch.spec.kind != "recorded":
            keys = [(case_hash(case), epoch) for case in batch.cases for epoch in batch.epochs]
            if self._cache.has_all(batch.fingerprint, keys):
                return
        system = self._system(batch.spec)
        if (check := getattr(system, "check", None)) is not None:
            check()
        if (check_cases := getattr(system, "check_cases", None)) is not None:
            self._told += check_cases(batch.cases)

    def run(self, batch: Batch) -> dict[Key, Answer]:
        """Return an answer for every case and epoch of the batch, in their order."""
        # A recorded file is itself the record: copying it into the cache would only cost time.
        cache = self._cache if batch.spec.kind != "recorded" else None
        hashes = {case.id: case_hash(case) for case in batch.cases} if cache else {}
        answers = {(case.id, epoch): NOT_CACHED for epoch in batch.epochs for case in batch.cases}
        if cache is not None and self._mode != "fresh":
            answers |= self._recall(batch, cache, hashes)
        todo = {
            epoch: [case for case in batch.cases if answers[case.id, epoch] is NOT_CACHED]
            for epoch in batch.epochs
        }
        total = sum(map(len, todo.values()))
        if total and (self._mode != "replay" or cache is None):
            for output in self._generate(batch.spec, todo, total):
                if self._budget is not None:
                    self._budget.charge(batch.spec, output)
                if output.error is None:
                    self._keep(batch, hashes, output)
                answers[output.case_id, output.epoch] = _answer(output)
                total -= 1
            if total:
                why = self._why_not_asked(batch.spec)
                answers |= {key: why for key, a in answers.items() if a is NOT_CACHED}
        return answers

    def _keep(self, batch: Batch, hashes: Mapping[str, str], output: Output) -> None:
        """Store an output. A disk that fills up must not cost the answers that are still to come."""
        if self._cache is not None and hashes:
            try:
                self._cache.put(batch.fingerprint, hashes[output.case_id], output)
            except StoreError as error:
                self._cache = None
                self._not_kept = str(error)

    def _recall(self, batch: Batch, cache: Cache, hashes: Mapping[str, str]) -> dict[Key, Answer]:
        keys = [(h, epoch) for h in hashes.values() for epoch in batch.epochs]
        found = cache.get(batch.fingerprint, keys)
        stored = {key: output for key, output in found.items() if fault_of(output) is None}
        cache.damaged += len(found) - len(stored)
        return {
            (case.id, epoch): Answer(output=stored[hashes[case.id], epoch], cached=True)
            for case in batch.cases
            for epoch in batch.epochs
            if (hashes[case.id], epoch) in stored
        }

    def _why_not_asked(self, spec: SystemSpec) -> Answer:
        reason = self._patience_with(spec).lost
        if reason is None and self._budget is not None:
            reason = self._budget.exhausted(spec)
        return Answer(output=None, reason=reason)

    def _patience_with(self, spec: SystemSpec) -> Patience:
        limit = 0 if spec.kind == "recorded" else spec.options.get("max_failures", MAX_FAILURES)
        return self._patience.setdefault(spec.name, Patience(limit=limit))

    def _generate(
        self, spec: SystemSpec, todo: Mapping[int, Sequence[Case]], total: int
    ) -> Iterator[Output]:
        patience = self._patience_with(spec)
        if self._progress is not None:
            self._progress.start(spec.name, total)
        try:
            for epoch, cases in todo.items():
                for part in self._parts(spec, cases):
                    if patience.lost:
                        return
                    for output in self._ask(spec, part, epoch):
                        if self._progress is not None:
                            self._progress.advance()
                        yield output
        finally:
            if self._progress is not None:
                self._progress.finish(gave_up=patience.lost)

    def _parts(self, spec: SystemSpec, cases: Sequence[Case]) -> Iterator[Sequence[Case]]:
        """Yield the cases as one batch; under a budget in small ones, until it is spent."""
        size = len(cases) if self._budget is None else BUDGET_BATCH
        for start in range(0, len(cases), max(1, size)):
            if self._budget is not None and self._budget.exhausted(spec):
                return
            yield cases[start : start + size]

    def _ask(self, spec: SystemSpec, cases: Sequence[Case], epoch: int) -> Iterator[Output]:
        """Yield one output for each case, whatever the system does, until it is given up."""
        patience = self._patience_with(spec)
        waiting = {case.id for case in cases}
        failure = "the system gave no output for this case"
        try:
            for output in self._system(spec).generate(_questions(cases), epoch=epoch):
                if output.case_id in waiting:
                    output = _checked(output, epoch)
                    waiting.remove(output.case_id)
                    patience.note(output)
                    yield output
                    if patience.lost:
                        return
        except RungError as error:
            failure = str(error)
        except (
            BaseException
        ) as error:  # recorded: each case that is left is errored with this reason
            if ends_the_session(error) or isinstance(error, GeneratorExit):
                raise
            failure = f"{type(error).__name__}: {error}"
        for case in cases:
            if case.id in waiting:
                yield Output(case_id=case.id, epoch=epoch, text="", error=failure)

    def _system(self, spec: SystemSpec) -> System:
        if spec.name not in self._systems:
            self._systems[spec.name] = self._load(spec)
        return self._systems[spec.name]


def _answer(output: Output) -> Answer:
    """An output as an answer; a case that says nothing of the system was not run."""
    if output.finish_reason != NOT_MEASURED:
        return Answer(output=output)
    why = (output.error or "").removeprefix(UNMEASURED)
    return Answer(output=None, reason=f"{UNMEASURED}{why}")


def _questions(cases: Sequence[Case]) -> list[Case]:
    """Copy cases without what a system must never see: what is expected of it, and the tags.

    Nothing in a copy is shared: what a system does to its input must reach no other system or epoch.
    """
    return [
        Case(id=c.id, input=own(c.input), context=c.context, metadata=own(c.metadata))
        for c in cases
    ]


def _checked(output: Output, epoch: int) -> Output:
    """An output that can be stored; one that cannot is the error of its case."""
    if fault := fault_of(output):
        error = f"answered an output whose {fault}"
        return Output(case_id=output.case_id, epoch=epoch, text="", error=error)
    if len(output.text) > MAX_TEXT:
        error = f"answered {len(output.text):,} characters; the limit is {MAX_TEXT:,}"
        return replace(output, epoch=epoch, text=output.text[:1000], error=error)
    return output if output.epoch == epoch else replace(output, epoch=epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedSystem:
    """A system whose answers go through the cache, for whoever asks it as a system."""

    spec: SystemSpec
    ask: Callable[[SystemSpec, Sequence[Case], Sequence[int]], Mapping[Key, Answer]]

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def rung(self) -> Rung:
        return self.spec.rung

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield the answers; what was not run is an error that says so."""
        for (case_id, _), answer in self.ask(self.spec, cases, (epoch,)).items():
            error = f"'{self.name}' was not run: {answer.reason}"
            yield answer.output or Output(case_id=case_id, epoch=epoch, text="", error=error)
