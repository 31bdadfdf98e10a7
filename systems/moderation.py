"""Checks before and after a model: inputs refused, outputs withheld."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

from harness.errors import ends_the_session
from harness.types import INPUT_REFUSED, MODERATION, OUTPUT_WITHHELD, Case, Output, Step, SystemSpec
from systems.answers import describe, printable
from systems.callables import import_callable
from systems.dialogue import total_latency
from systems.python import call_within
from systems.rows import as_text

Answer = Callable[[Sequence[Case]], Iterator[Output]]
Side = Literal["input", "output"]
TIMEOUT_S = 60.0  # for one call


class BrokenCheck(Exception):
    """A moderation function raised, or did not return in time."""


class Moderation:
    """Two functions of a text that return true, or a reason, to refuse it.

    The text of an input is all of it: every field, every message of a conversation. A refused input
    is never shown to the model; a withheld output stands in the steps, for the record. Both are
    marked `refused`, with the finish reason `input_refused` or `output_withheld`; a reason that the
    function gave is the text of the step `moderation`.
    """

    def __init__(self, spec: SystemSpec, options: Mapping[str, Any]) -> None:
        self.spec, self.options = spec, options
        self.timeout_s: float = options.get("timeout_s", TIMEOUT_S)

    def check(self) -> None:
        """Import both functions."""
        _ = self._functions

    def around(self, answer: Answer, cases: Sequence[Case], epoch: int) -> Iterator[Output]:
        """Yield refusals, and what `answer` yields for the other cases unless it is withheld."""
        asked: list[Case] = []
        seconds: dict[str, float] = {}  # that the check of each input took
        for case in cases:
            started = time.perf_counter()
            checked = self._checked_input(case, epoch)
            seconds[case.id] = time.perf_counter() - started
            if checked is None:
                asked.append(case)
            else:
                yield replace(checked, latency_s=seconds[case.id])
        for output in answer(asked):
            started = time.perf_counter()
            checked = output if output.error else self._checked_output(output)
            besides = seconds[output.case_id] + time.perf_counter() - started
            yield replace(checked, latency_s=total_latency([output.latency_s], besides=besides))

    def _checked_input(self, case: Case, epoch: int) -> Output | None:
        """What is answered in place of the model; None where it may be asked."""
        blank = Output(case_id=case.id, epoch=epoch, text="")
        try:
            reason = self._reason("input", _input_text(case.input))
        except BrokenCheck as error:  # a broken check is no permission
            return replace(blank, error=str(error))
        return None if reason is None else self._refused(blank, INPUT_REFUSED, reason)

    def _checked_output(self, output: Output) -> Output:
        try:
            reason = self._reason("output", output.text)
        except BrokenCheck as error:
            return Output(case_id=output.case_id, epoch=output.epoch, text="", error=str(error))
        if reason is None:
            return output
        refused = self._refused(output, OUTPUT_WITHHELD, reason)
        original = Step(name="withheld", prompt=output.prompt, text=output.text)
        return replace(refused, steps=(*refused.steps, original))

    def _reason(self, side: Side, text: str) -> str | None:
        """Why a text is refused, in the function's words; None where it is not."""
        function = self._functions.get(side)
        if function is None:
            return None
        try:
            value = call_within(function, text, timeout_s=self.timeout_s)
            if not value:
                return None
            return printable(value) if isinstance(value, str) else ""
        except BaseException as error:
            if ends_the_session(error):
                raise
            told = describe(error, with_place=True)
            raise BrokenCheck(f"the moderation of the {side} failed: {told}") from error

    def _refused(self, output: Output, finish_reason: str, reason: str) -> Output:
        said = (Step(name=MODERATION, text=reason),) if reason else ()
        return replace(
            output,
            text=self.options.get("refusal", ""),
            refused=True,
            finish_reason=finish_reason,
            steps=(*output.steps, *said),
        )

    @cached_property
    def _functions(self) -> dict[str, Callable[..., Any]]:
        return {
            side: import_callable(
                self.options[side],
                folder=self.spec.folder,
                key=f"systems.{self.spec.name}.moderation.{side}",
            )
            for side in ("input", "output")
            if side in self.options
        }


def _input_text(value: Any) -> str:
    """All that an input says; of the messages of a conversation not who says them."""
    if isinstance(value, list | tuple) and all(isinstance(said, Mapping) for said in value):
        value = [[said[name] for name in said if name != "role"] for said in value]
    return "\n".join(_texts(value))


def _texts(value: Any) -> Iterator[str]:
    """Whatever stands in a value, at any depth."""
    if isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)
    elif value is not None:
        yield as_text(value)
