"""Chains: several prompts and functions, one after the other, to one answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from harness.errors import ConfigError, ends_the_session, nearest
from harness.types import Output, Step, SystemSpec
from systems.answers import describe, unusable
from systems.backend import Backend, Completion, Decoding, Request
from systems.callables import import_callable
from systems.dialogue import Draft, total_attempts, total_latency, total_usage
from systems.python import call_within
from systems.template import PromptTemplate, RenderError

MAX_STEPS = 8
TIMEOUT_S = 60.0  # for one call of a step's function
END = "end"  # a `next` that ends the chain


@dataclass(slots=True, kw_only=True)
class Progress:
    """How far one case has come."""

    draft: Draft
    at: str | None  # the step to take; None at the end
    texts: dict[str, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    completions: list[Completion] = field(default_factory=list)
    seconds: list[float | None] = field(default_factory=list)  # of each model and function asked
    error: str | None = None

    @property
    def done(self) -> bool:
        return self.at is None or self.error is not None

    def output(self, epoch: int) -> Output:
        last = self.completions[-1] if self.completions else None
        return Output(
            case_id=self.draft.case.id,
            epoch=epoch,
            text=self.steps[-1].text if self.steps and self.error is None else "",
            passages=self.draft.passages,
            steps=tuple(self.steps),
            usage=total_usage(self.completions),
            latency_s=total_latency(self.seconds, besides=self.draft.latency_s),
            attempts=total_attempts(self.completions),
            finish_reason=None if last is None else last.finish_reason,
            refused=False if last is None else last.refused,
            prompt=None if last is None else last.prompt,
            error=self.error,
        )


class Chain:
    """The steps of a system.

    A step is a template, which sees earlier answers as `steps.<name>`, or a function of the case
    and those answers. `next` may lead elsewhere by what was answered; a case that takes more than
    `max_steps` is errored.
    """

    def __init__(self, spec: SystemSpec, backend: Callable[[], Backend]) -> None:
        self.spec, self._backend = spec, backend
        self.key = f"systems.{spec.name}.steps"
        self.options: dict[str, Mapping[str, Any]] = {}
        for step in spec.options["steps"]:
            if step["name"] in self.options:
                raise ConfigError(f"the step '{step['name']}' stands twice", key=self.key)
            self.options[step["name"]] = step
        self.names = list(self.options)
        self.max_steps: int = spec.options.get("max_steps", MAX_STEPS)

    def check(self) -> None:
        """Read the templates, import the functions, look every `next` up, and count the steps."""
        _ = self.templates, self._functions
        for name, step in self.options.items():
            for target in step.get("next", {}).values():
                if target not in (*self.names, END):
                    raise ConfigError(
                        f"there is no step '{target}'",
                        key=f"{self.key}.{name}.next",
                        hint=nearest(target, [*self.names, END]),
                    )
        fewest = self._fewest_steps()
        if fewest is not None and fewest > self.max_steps:
            raise ConfigError(
                f"the chain takes {fewest} steps at least, and `max_steps` allows {self.max_steps}",
                key=f"systems.{self.spec.name}.max_steps",
                hint=f"Write `max_steps: {fewest}` or more, or let the chain end earlier.",
            )

    def generate(self, drafts: Sequence[Draft], *, epoch: int) -> Iterator[Output]:
        """Yield the output of each case; cases at the same step are asked in one batch."""
        under_way = [Progress(draft=draft, at=self.names[0]) for draft in drafts]
        while under_way:
            step = next(name for name in self.names if any(p.at == name for p in under_way))
            here = [progress for progress in under_way if progress.at == step]
            # Each as it comes: whoever counts failures in a row can end a run whose function hangs.
            for progress in self._take(here, step, epoch):
                if not progress.done and len(progress.steps) >= self.max_steps:
                    path = " > ".join(step.name for step in progress.steps)
                    progress.error = f"the chain did not end within {self.max_steps} steps: {path}"
                if progress.done:
                    yield progress.output(epoch)
            under_way = [progress for progress in under_way if not progress.done]

    def _take(self, here: Sequence[Progress], step: str, epoch: int) -> Iterator[Progress]:
        """Take a step with every case that is there, and yield each when it was taken."""
        if step not in self._functions:
            yield from self._ask(here, step, epoch)
            return
        for progress in here:
            self._call(progress, step)
            yield progress

    def _ask(self, here: Sequence[Progress], step: str, epoch: int) -> Iterator[Progress]:
        decoding = Decoding.of(
            self.options[step].get("decoding", self.spec.options.get("decoding", {}))
        )
        asked, requests = [], []
        for progress in here:
            variables = {**progress.draft.variables, "steps": progress.texts}
            try:
                messages = self.templates[step].render(variables)
            except RenderError as error:
                progress.error = f"step {step}: {error}"
                yield progress
                continue
            seed = decoding.seed_for(f"{progress.draft.case.id}\0{len(progress.steps)}", epoch)
            asked.append(progress)
            requests.append(Request(messages=messages, seed=seed))
        for index, completion in self._backend().complete(requests, decoding):
            progress = asked[index]
            progress.completions.append(completion)
            progress.seconds.append(completion.latency_s)
            if completion.error is not None:
                progress.error = f"step {step}: {completion.error}"
            self._note(progress, step, completion.text, completion)
            yield progress

    def _call(self, progress: Progress, step: str) -> None:
        case, texts = progress.draft.case, dict(progress.texts)
        function = self._functions[step]
        timeout_s = self.options[step].get("timeout_s", TIMEOUT_S)
        started = time.perf_counter()
        try:
            value = call_within(lambda _: function(case, texts), None, timeout_s=timeout_s)
        except BaseException as error:
            if ends_the_session(error):
                raise
            progress.error = f"step {step}: {describe(error, with_place=True)}"
            return
        finally:
            seconds = time.perf_counter() - started
            progress.seconds.append(seconds)
        if reason := unusable(value):
            progress.error = f"step {step} {reason}"
            return
        self._note(progress, step, value, Completion(text=value, latency_s=seconds))

    def _note(self, progress: Progress, step: str, text: str, completion: Completion) -> None:
        progress.texts[step] = text
        progress.steps.append(
            Step(name=step, prompt=completion.prompt, text=text, latency_s=completion.latency_s)
        )
        progress.at = self._after(step, text)

    def _after(self, step: str, text: str) -> str | None:
        leads = self.options[step].get("next", {})
        target = leads.get(text.strip(), leads.get("*"))
        if target is None:
            index = self.names.index(step) + 1
            return self.names[index] if index < len(self.names) else None
        return None if target == END else str(target)

    def _fewest_steps(self) -> int | None:
        """How many steps the shortest way to the end has; None where there is none."""
        here, seen = {self.names[0]}, set[str]()
        for count in range(1, len(self.names) + 1):
            leads = set[str | None]().union(*(self._leads(step) for step in here))
            if None in leads:
                return count
            seen |= here
            here = {step for step in leads if step is not None and step not in seen}
        return None

    def _leads(self, step: str) -> set[str | None]:
        """The steps that may come after one; None stands for the end."""
        targets = self.options[step].get("next", {})
        leads = {None if target == END else str(target) for target in targets.values()}
        if "*" not in targets:
            following = self.names[self.names.index(step) + 1 :]
            leads.add(following[0] if following else None)
        return leads

    @cached_property
    def templates(self) -> dict[str, PromptTemplate]:
        return {
            name: PromptTemplate(self.spec.path(step["prompt"]), key=f"{self.key}.{name}.prompt")
            for name, step in self.options.items()
            if "prompt" in step
        }

    @cached_property
    def _functions(self) -> dict[str, Callable[..., Any]]:
        return {
            name: import_callable(
                step["callable"], folder=self.spec.folder, key=f"{self.key}.{name}.callable"
            )
            for name, step in self.options.items()
            if "callable" in step
        }
