"""A model and a prompt."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, cast

from harness.errors import ConfigError
from harness.types import Case, Message, Output, Passage, Rung, SystemSpec, ToolCall
from systems import resolve
from systems.answer_schema import read_answer_schema
from systems.backend import Backend, BackendSpec, Decoding, Request, open_backend
from systems.chain import Chain
from systems.choosing import Choosing
from systems.dialogue import Dialogue, Draft
from systems.examples import Chooser, chooser_of
from systems.fingerprint import embeds
from systems.moderation import Moderation
from systems.template import PromptTemplate, RenderError, messages_of, variables_of
from systems.tools import CallError, Toolbox
from systems.training_record import require_adapter


class PromptSystem:
    """Renders a prompt for each case and has a model complete it.

    Where the configuration says so: with examples, tools, a schema that the answer must follow,
    several steps, and checks before and after.
    """

    def __init__(self, spec: SystemSpec) -> None:
        if spec.model is None:
            raise ConfigError("needs a model", key=f"systems.{spec.name}.model")
        _check_chain(spec)
        self.spec = spec
        self.decoding = Decoding.of(spec.options.get("decoding", {}))
        self._warm = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def rung(self) -> Rung:
        return self.spec.rung

    def check(self) -> None:
        """Raise a ConfigError for whatever can be known to be wrong without loading a model."""
        _ = self.template, self.chooser, self.json_schema
        if self.chooser is not None:
            self._require_read("examples", "examples")
        _check_answer(self.spec)
        _check_encoder(self.spec)
        if self.choosing is not None:
            self.choosing.check(self.backend)
        require_adapter(self.spec)
        for part in (self.chain, self.toolbox, self.moderation, self.backend):
            if part is not None:
                part.check()

    def render(self, case: Case, passages: Sequence[Passage] | None = None) -> list[Message]:
        """The chat messages that this system would first send for a case.

        Parameters
        ----------
        case
            The case.
        passages
            What was retrieved for it; absent, it is retrieved now.

        Raises
        ------
        RenderError
            When the prompt cannot be made for this case.
        """
        self._check_defined([case])
        if error := self._unanswerable(case):
            raise RenderError(error)
        return self._messages(self._drafts([case], None if passages is None else [passages])[0])

    def retrieve(self, cases: Sequence[Case]) -> list[tuple[Passage, ...]]:
        """The passages of each case's prompt: none, without a retriever."""
        return [()] * len(cases)

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        """Yield the model's answer to each case, as it comes."""
        if not cases:
            return
        self.check()
        self.check_names(cases)
        if self.moderation is None:
            yield from self._answer(cases, epoch)
        else:
            yield from self.moderation.around(
                lambda asked: self._answer(asked, epoch), cases, epoch
            )

    @cached_property
    def backend(self) -> Backend:
        """The model that answers, opened but not loaded."""
        return open_backend(BackendSpec.of(self.spec))

    @cached_property
    def template(self) -> PromptTemplate | None:
        """The prompt file, where there is one."""
        path = self.spec.options.get("prompt")
        if path is None:
            return None
        return PromptTemplate(self.spec.path(path), key=f"systems.{self.name}.prompt")

    @cached_property
    def chooser(self) -> Chooser | None:
        """What chooses the examples, where there are any."""
        options = self.spec.options.get("examples")
        return None if options is None else chooser_of(self.spec, options)

    @cached_property
    def chain(self) -> Chain | None:
        """The steps, where there are several."""
        return Chain(self.spec, lambda: self.backend) if "steps" in self.spec.options else None

    @cached_property
    def toolbox(self) -> Toolbox | None:
        """The functions that the model may call, where there are any."""
        options = self.spec.options.get("tools")
        return None if options is None else Toolbox(self.spec, options)

    @cached_property
    def choosing(self) -> Choosing | None:
        """The choice among given options, where the answer is not to be written."""
        return Choosing(self.spec) if "choice" in self.spec.options else None

    @cached_property
    def moderation(self) -> Moderation | None:
        """The checks before and after, where there are any."""
        options = self.spec.options.get("moderation")
        return None if options is None else Moderation(self.spec, options)

    @cached_property
    def json_schema(self) -> Mapping[str, Any] | None:
        """The schema that answers must follow, where there is one."""
        return read_answer_schema(self.spec)

    def _answer(self, cases: Sequence[Case], epoch: int) -> Iterator[Output]:
        asked = []
        for case in cases:
            if error := self._unanswerable(case):
                yield self._unanswered(case, epoch, error)
            else:
                asked.append(case)
        if asked:
            self._warm_up(asked[0])
            yield from self._complete(self._drafts(asked), epoch)

    def _complete(self, drafts: Sequence[Draft], epoch: int) -> Iterator[Output]:
        if self.chain is not None:
            yield from self.chain.generate(drafts, epoch=epoch)
            return
        dialogues = []
        for draft in drafts:
            try:
                dialogues.append(Dialogue(draft=draft, request=self._request(draft, epoch)))
            except RenderError as error:
                yield Output(case_id=draft.case.id, epoch=epoch, text="", error=str(error))
        if self.choosing is not None:
            asked = [(dialogue.draft, dialogue.request) for dialogue in dialogues]
            yield from self.choosing.outputs(self.backend, asked, epoch)
            return
        while dialogues:
            going_on = []
            requests = [dialogue.request for dialogue in dialogues]
            for index, completion in self.backend.complete(requests, self.decoding):
                dialogue = dialogues[index]
                dialogue.note(completion, f"round {len(dialogue.steps) + 1}")
                output = self._finish(dialogue, epoch)
                if output is None:
                    going_on.append(dialogue)
                else:
                    yield output
            dialogues = going_on

    def _request(self, draft: Draft, epoch: int) -> Request:
        return Request(
            messages=self._messages(draft),
            seed=self.decoding.seed_for(draft.case.id, epoch),
            tools=() if self.toolbox is None else self.toolbox.schemas(draft.case),
            json_schema=self.json_schema,
        )

    def _finish(self, dialogue: Dialogue, epoch: int) -> Output | None:
        """The output, or None where functions were called and the model is to be asked again."""
        completion, answer = dialogue.last, self.spec.options.get("answer")
        if self.toolbox is None or not completion.calls or completion.error is not None:
            return dialogue.output(epoch, answer=answer)
        try:
            calls = self._call(self.toolbox, dialogue)
        except CallError as error:
            return dialogue.output(epoch, error=str(error))
        dialogue.calls.extend(calls)
        if any(call.result is None for call in calls):
            return dialogue.output(epoch, answer=answer)  # calls that are recorded, not run
        if len(dialogue.completions) > self.toolbox.max_rounds:
            rounds = self.toolbox.max_rounds
            return dialogue.output(epoch, error=f"still calling functions after {rounds} rounds")
        dialogue.go_on(completion.calls, calls)
        return None

    def _call(self, toolbox: Toolbox, dialogue: Dialogue) -> list[ToolCall]:
        """Answer the calls of a model's last completion; their time is the case's."""
        started = time.perf_counter()
        try:
            return [toolbox.answer(raw, dialogue.draft.case) for raw in dialogue.last.calls]
        finally:
            dialogue.functions_s += time.perf_counter() - started

    def _unanswerable(self, case: Case) -> str | None:
        """Say why a case cannot be asked, or None where it can."""
        return None if self.toolbox is None else self.toolbox.fault(case)

    def _unanswered(self, case: Case, epoch: int, error: str) -> Output:
        return Output(case_id=case.id, epoch=epoch, text="", error=error)

    def _warm_up(self, case: Case) -> None:
        """Load what examples and passages are found with: no answer is charged for that."""
        if not self._warm:
            self._drafts([case])
            self._warm = True

    def _drafts(
        self, cases: Sequence[Case], retrieved: Sequence[Sequence[Passage]] | None = None
    ) -> list[Draft]:
        started = time.perf_counter()
        examples = self.chooser.choose(cases) if self.chooser else [[] for _ in cases]
        found = self.retrieve(cases) if retrieved is None else retrieved
        share_s = (time.perf_counter() - started) / len(cases)  # found for all of them at once
        return [
            Draft(
                case=case,
                passages=tuple(shown),
                variables=self._variables(case, chosen, shown),
                latency_s=share_s,
            )
            for case, chosen, shown in zip(cases, examples, found, strict=True)
        ]

    def _variables(
        self, case: Case, examples: Sequence[Any], passages: Sequence[Passage]
    ) -> dict[str, Any]:
        tools = [] if self.toolbox is None else list(self.toolbox.schemas(case))
        return variables_of(case, examples=examples, passages=list(passages), tools=tools)

    def _messages(self, draft: Draft) -> list[Message]:
        if self.template is not None:
            return list(self.template.render(draft.variables))
        messages = messages_of(draft.case.input)
        if messages is None:
            raise RenderError("the input has named fields; the system needs a prompt to place them")
        if not messages:
            raise RenderError("the input has no messages")
        return list(messages)

    def check_cases(self, cases: Sequence[Case]) -> list[str]:
        """Notes on these cases, all of a suite; a ConfigError for what they show to be wrong."""
        self.check_names(cases)
        return []

    def check_names(self, cases: Sequence[Case]) -> None:
        """Raise a ConfigError for a name or a field in a template that none of these cases can fill."""
        fields = self._check_defined(cases)
        for template in self._templates:
            template.check_reads(fields)

    def _check_defined(self, cases: Sequence[Case]) -> set[str]:
        """Refuse names that none of these cases can fill; the fields that they have."""
        inputs = [case.input for case in cases if isinstance(case.input, Mapping)]
        fields = {name for named in inputs for name in named}
        for template in self._templates:
            template.check(fields, filled=self._filled)
        if self.chain is not None:
            self.chain.check()
        return fields

    def _require_read(self, name: str, option: str) -> None:
        """Refuse an option that fills a name which no template reads: it would change nothing."""
        if any(template.reads(name) for template in self._templates):
            return
        raise ConfigError(
            f"would change nothing: no prompt of this system reads `{name}`",
            file=None if self.template is None else self.template.path,
            key=f"systems.{self.name}.{option}",
            hint=f"Write {{% for one in {name} %}} ... {{% endfor %}} into its prompt, or leave "
            f"`{option}` out.",
        )

    @property
    def _filled(self) -> set[str]:
        """The variables of a prompt that this system puts something into."""
        options = self.spec.options
        filled = {
            "examples": "examples" in options,
            "tools": "tools" in options,
            "steps": "steps" in options,
            "passages": "corpus" in options and options.get("retriever") != "none",
        }
        return {name for name, there in filled.items() if there}

    @property
    def _templates(self) -> list[PromptTemplate]:
        own = [] if self.template is None else [self.template]
        return own if self.chain is None else [*own, *self.chain.templates.values()]


def _check_chain(spec: SystemSpec) -> None:
    """Refuse what a chain would leave unused."""
    if "steps" not in spec.options:
        return
    for other in ("prompt", "tools", "json_schema", "answer", "choice"):
        if other in spec.options:
            raise ConfigError(
                f"a chain has no `{other}` of its own",
                key=f"systems.{spec.name}.{other}",
                hint="Give it to a step, or leave it out."
                if other == "prompt"
                else f"Steps are prompts and functions, and take no `{other}` either: let a step be "
                "a Python function that does it, or leave `steps` out.",
            )


def _check_answer(spec: SystemSpec) -> None:
    """Refuse a pattern that is no regular expression."""
    pattern = spec.options.get("answer", {}).get("pattern")
    try:
        re.compile(pattern or "")
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(
            f"{pattern!r} is no regular expression: {error}",
            key=f"systems.{spec.name}.answer.pattern",
        ) from error


def _check_encoder(spec: SystemSpec) -> None:
    """Refuse an encoder that is not to be had; only systems that embed need the hub's library."""
    if embeds(spec):
        check = resolve("systems.hub:check_encoder", feature=f"system '{spec.name}'", extra="local")
        cast("Callable[[SystemSpec], None]", check)(spec)
