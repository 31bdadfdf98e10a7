"""Models on this machine, through Transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.utils import logging as transformers_logging

from harness.errors import ConfigError, RungError, SystemFailure
from harness.types import Prompt, Usage
from systems import resolve
from systems.answers import describe, unusable
from systems.backend import BackendSpec, Completion, Decoding, OptionScores, Request
from systems.context_length import longest_length, stated_length
from systems.fingerprint import is_local
from systems.generation import Generator
from systems.hub import hub_fault, is_downloaded
from systems.option_scores import loglikelihoods
from systems.sampling import Row, Sampler
from systems.tools import calls_in_text
from systems.weights import check_files

BATCH_SIZE = 64


class LocalBackend:
    """Completes prompts with a causal language model, batched. The model is loaded on first use.

    Weights are read from safetensors files only, and code that ships with a model runs only where
    the configuration says `trust_remote_code`.
    """

    def __init__(self, spec: BackendSpec) -> None:
        self.spec = spec
        self.options = spec.model.options
        self.soft_prompt: Tensor | None = None

    def check(self) -> None:
        """Refuse what is not there or cannot be loaded, an unusable device, and too long a window."""
        self._check_loadable()
        self._check_context_length()

    def _check_loadable(self) -> None:
        if self.spec.adapter is not None and self.spec.adapter.is_dir():
            check_files(self.spec.adapter, key="adapter")
        for key, source in (
            ("transformers", self.spec.model.source),
            ("tokenizer", self.options.get("tokenizer")),
        ):
            if source is not None and self._is_local(source) and not self._path(source).is_dir():
                raise ConfigError(
                    f"there is no folder {self._path(source)}",
                    key=f"models.{self.spec.model.name}.{key}",
                )
            if source is not None:
                self._check_files(source, f"models.{self.spec.model.name}.{key}")
        self._check_device()

    def _check_device(self) -> None:
        device = self.options.get("device", "cpu")
        try:
            torch.empty(0, device=device)
        except (RuntimeError, AssertionError) as error:  # no such device; torch without it
            raise ConfigError(
                f"'{device}' cannot be used: {describe(error).splitlines()[0]}",
                key=f"models.{self.spec.model.name}.device",
                hint="Without this setting the model runs on the CPU.",
            ) from error

    def _check_context_length(self) -> None:
        if "context_length" not in self.options:
            return
        asked, longest = int(self.options["context_length"]), longest_length(self.config)
        if longest is not None and asked > longest:
            raise ConfigError(
                f"{asked} tokens are more than the model itself can read: {longest}",
                key=f"models.{self.spec.model.name}.context_length",
            )

    def _check_files(self, source: str, key: str) -> None:
        if self._is_local(source):
            check_files(self._path(source), key=key)
            return
        revision = self.options.get("revision", "main")
        if not is_downloaded(source, revision) and (fault := hub_fault(source, revision)):
            raise ConfigError(
                f"'{source}' is not there and cannot be downloaded: {fault}",
                key=key,
                hint=f"To use a copy on this machine, give its folder in {key}.",
            )

    @cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer."""
        source = self.options.get("tokenizer", self.spec.model.source)
        tokenizer = self._load(AutoTokenizer.from_pretrained, source, {}, "tokenizer")
        if self.spec.chat_template is not None:
            tokenizer.chat_template = self.spec.chat_template.read_text(encoding="utf-8")
        return tokenizer

    @cached_property
    def config(self) -> PreTrainedConfig:
        """The model's configuration, read without its weights."""
        source = self.spec.model.source
        config = self._load(AutoConfig.from_pretrained, source, {}, "transformers")
        return cast("PreTrainedConfig", config)

    @cached_property
    def model(self) -> PreTrainedModel:
        """The model, ready to answer."""
        model = self.load_base()
        if self.spec.adapter is not None:
            model = self._adapted(model)
        model = model.to(self.options.get("device", "cpu")).eval()
        if self.spec.variant == "int8" or self.options.get("quantize") == "int8":
            quantize = resolve("systems.quantization:int8", feature="int8 weights", extra="local")
            model = cast("Callable[[PreTrainedModel], PreTrainedModel]", quantize)(model)
        return model

    def load_base(self, **arguments: Any) -> PreTrainedModel:
        """Load the model as it is, without adapter, with further arguments of Transformers."""
        transformers_logging.disable_progress_bar()  # it would draw over Rung's own
        dtype = self.options.get("dtype", "float32")
        arguments = {
            "dtype": dtype if dtype == "auto" else getattr(torch, dtype),
            "use_safetensors": True,
            **arguments,
        }
        load = AutoModelForCausalLM.from_pretrained
        model = self._load(load, self.spec.model.source, arguments, "transformers")
        return cast("PreTrainedModel", model)

    def _adapted(self, model: PreTrainedModel) -> PreTrainedModel:
        if len(self.tokenizer) > len(model.get_input_embeddings().weight):
            # Tokens that were added for the adapter: as PEFT does, which reads their rows from it.
            model.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        adapt = resolve(
            "systems.adapters:with_adapter",
            feature=f"the adapter {self.spec.adapter}",
            extra="train",
        )
        merge = self.spec.variant != "adapter"
        tuned = cast("Any", adapt)(model, self.spec.adapter, key="adapter", merge=merge)
        config = getattr(tuned, "active_peft_config", None)
        if config is None or not config.is_prompt_learning:
            return cast("PreTrainedModel", tuned)
        if config.peft_type == "PREFIX_TUNING":
            raise ConfigError(f"{config.peft_type} adapters are not supported", key="adapter")
        self.soft_prompt = tuned.get_prompt(batch_size=1)[0].detach()
        return cast("PreTrainedModel", tuned.get_base_model())

    @cached_property
    def context_length(self) -> int:
        """Tokens that fit into the model's window."""
        self._check_context_length()
        stated = stated_length(self.config) or 1 << 30
        return int(self.options.get("context_length", stated))

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end an answer."""
        ids = self.model.generation_config.eos_token_id
        own = {self.tokenizer.eos_token_id} - {None}
        return frozenset(own | set(ids if isinstance(ids, list) else [ids]) - {None})

    def complete(
        self, requests: Sequence[Request], decoding: Decoding
    ) -> Iterator[tuple[int, Completion]]:
        """Yield completions batch by batch, the longest prompts first."""
        generator = self._generator
        prompts: dict[int, Prompt] = {}
        rows = []
        for index, request in enumerate(requests):
            prompts[index], ids, error = self._read(request)
            room = self.context_length - len(ids) - self._soft_length
            if error is None and (room < 1 or not ids):
                error = self._misfit(len(ids))
            if error is not None:
                yield index, Completion(prompt=prompts[index], error=error)
                continue
            rows.append(self._row(index, request, ids, min(room, decoding.max_tokens)))
        for row in generator.run(rows, Sampler(decoding), stopped=self._stopped(decoding.stop)):
            completion = self._completion(row, prompts[row.index], decoding)
            if requests[row.index].tools and completion.error is None:
                completion = replace(completion, calls=calls_in_text(completion.text))
            yield row.index, completion

    def score_options(
        self, requests: Sequence[Request], options: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, OptionScores]]:
        """Yield how likely the model would go on with each option, batch by batch."""
        generator = self._generator
        encoded = [[self._option_ids(text) for text in texts] for texts in options]
        prompts: dict[int, Prompt] = {}
        rows = []
        for index, (request, ids_of) in enumerate(zip(requests, encoded, strict=True)):
            prompts[index], ids, error = self._read(request)
            longest = max(map(len, ids_of))
            if error is None and not all(ids_of):
                error = "an option is empty"
            if error is None and (
                not ids or len(ids) + self._soft_length + longest > self.context_length
            ):
                error = self._misfit(len(ids))
            if error is not None:
                yield index, OptionScores(prompt=prompts[index], error=error)
                continue
            rows.append(self._row(index, request, ids, longest))
        for row, values in loglikelihoods(generator, rows, encoded):
            read = sum(map(len, encoded[row.index]))
            yield (
                row.index,
                OptionScores(
                    loglikelihoods=tuple(values),
                    prompt=prompts[row.index],
                    usage=Usage(prompt_tokens=len(row.prompt), completion_tokens=read),
                    latency_s=row.latency_s,
                ),
            )

    @cached_property
    def _generator(self) -> Generator:
        model = self.model  # loading it also reads an adapter's soft prompt
        return Generator(
            model,
            end_ids=self.end_ids,
            batch_size=self.options.get("batch_size", BATCH_SIZE),
            share_prefix=self.options.get("shared_prefix", True),
            soft_prompt=self.soft_prompt,
        )

    def _option_ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _read(self, request: Request) -> tuple[Prompt, list[int], str | None]:
        """The prompt as text and tokens, or why the chat template refused it."""
        try:
            return *self.encode(request), None
        except RungError:
            raise
        except Exception as error:  # the template is a program that came with the model
            message = f"the chat template refused the messages: {describe(error)}"
            return tuple(request.messages), [], message

    def encode(self, request: Request) -> tuple[Prompt, list[int]]:
        """A request as the text and the tokens that the model reads.

        Control tokens inside of messages are read as text, so that no case can end its turn. A
        model without a chat template reads the messages one after the other.
        """
        template = self.tokenizer.chat_template
        if not template:
            text = "\n\n".join(str(message["content"]) for message in request.messages)
            return text, self.tokenizer(text)["input_ids"]
        messages = [dict(message) for message in request.messages]
        if "tool_calls" not in str(template):
            messages = [_told_as_text(message) for message in messages]
        if request.tools and "tools" not in str(template):
            _require_shown(request)
        arguments = {
            "tools": [dict(tool) for tool in request.tools] or None,
            "add_generation_prompt": not request.primed,
            "continue_final_message": request.primed,
        }
        apply = self.tokenizer.apply_chat_template
        text = apply(messages, tokenize=False, **arguments)
        ids = apply(
            messages, tokenize=True, return_dict=False, sanitize_control_tokens=True, **arguments
        )
        return text, list(ids)

    @property
    def _soft_length(self) -> int:
        return 0 if self.soft_prompt is None else len(self.soft_prompt)

    @cached_property
    def constraints(self) -> Any:
        """What makes the constraints of structured answers."""
        maker = resolve("systems.constraints:ConstraintMaker", feature="json_schema", extra="local")
        vocabulary = self.model.get_output_embeddings().weight.shape[0]
        return cast("Any", maker)(self.tokenizer, vocabulary=vocabulary, end_ids=self.end_ids)

    def _row(self, index: int, request: Request, ids: list[int], room: int) -> Row:
        schema = request.json_schema
        return Row(
            index=index,
            prompt=ids,
            generator=torch.Generator().manual_seed(request.seed),
            room=room,
            constraint=None if schema is None else self.constraints.make(schema),
            tokens=[],
        )

    def _completion(self, row: Row, prompt: Prompt, decoding: Decoding) -> Completion:
        text = self.tokenizer.decode(
            row.tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        ends = [text.find(stop) for stop in decoding.stop if stop in text]
        text = text[: min(ends)] if ends else text
        return Completion(
            text=text,
            prompt=prompt,
            usage=Usage(prompt_tokens=len(row.prompt), completion_tokens=len(row.tokens)),
            latency_s=row.latency_s,
            finish_reason=row.finish_reason,
            error=unusable(text),
        )

    def _stopped(self, stops: Sequence[str]) -> Callable[[list[int]], bool]:
        if not stops:
            return lambda tokens: False
        # A token holds at least one byte, so this many tokens cover the longest stop string.
        window = max(len(stop.encode()) for stop in stops) + 1

        def stopped(tokens: list[int]) -> bool:
            tail = self.tokenizer.decode(tokens[-window:], skip_special_tokens=True)
            return any(stop in tail for stop in stops)

        return stopped

    def _misfit(self, length: int) -> str:
        if length == 0:
            return "the prompt is empty"
        return (
            f"the prompt has {length} tokens; the model's window holds {self.context_length}, "
            "the answer included"
        )

    def _is_local(self, source: str) -> bool:
        return is_local(self.spec.folder, source)

    def _path(self, source: str) -> Path:
        return (self.spec.folder / Path(source).expanduser()).resolve()

    def _load(
        self, load: Callable[..., Any], source: str, arguments: Mapping[str, Any], key: str
    ) -> Any:
        self._check_loadable()
        local = self._is_local(source)
        revision = self.options.get("revision", "main")
        try:
            return load(
                str(self._path(source)) if local else source,
                trust_remote_code=self.options.get("trust_remote_code", False),
                local_files_only=not local and hub_fault(source, revision) is not None,
                **({} if local else {"revision": revision}),
                **arguments,
            )
        except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
            place = f"models.{self.spec.model.name}.{key}"
            hint = None if local else f"To use a copy on this machine, give its folder in {place}."
            raise SystemFailure(
                f"'{source}' cannot be loaded: {describe(error)}", key=place, hint=hint
            ) from error


def _require_shown(request: Request) -> None:
    """Refuse functions that neither the chat template nor the prompt shows to the model."""
    text = " ".join(str(message.get("content", "")) for message in request.messages)
    hidden = [tool["function"]["name"] for tool in request.tools]
    if any(name not in text for name in hidden):
        raise ValueError(
            "it shows no functions, and neither does the prompt: write {{ tools | tojson }} there"
        )


def _told_as_text(message: dict[str, Any]) -> dict[str, Any]:
    """A call or its result for a chat template that knows of neither."""
    if message["role"] == "tool":
        return {"role": "user", "content": f"{message['name']}: {message['content']}"}
    return {"role": message["role"], "content": message["content"]}
