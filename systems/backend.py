"""What a system asks of a model, whatever answers it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

from harness.types import Message, ModelSpec, Prompt, SystemSpec, Usage
from systems import BACKENDS, resolve
from systems.adapter_folder import holds_weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoding:
    """How tokens are chosen. Greedy unless told otherwise."""

    max_tokens: int = 256
    temperature: float | None = 0.0  # None: the server's own
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Decoding:
        """Read the `decoding` section of a system."""
        known = {field.name for field in fields(cls)}
        values = {name: value for name, value in options.items() if name in known}
        if "stop" in values:
            values["stop"] = tuple(values["stop"])
        return cls(**values)

    @property
    def greedy(self) -> bool:
        return not self.temperature

    def seed_for(self, case_id: str, epoch: int) -> int:
        """Seed of one answer: the same whatever else stands in the batch."""
        key = f"{self.seed}\0{epoch}\0{case_id}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt for a model. A last message of the assistant is a prefix to go on from."""

    messages: Sequence[Message]
    seed: int = 0
    tools: tuple[Mapping[str, Any], ...] = ()  # function schemas, as chat APIs take them
    json_schema: Mapping[str, Any] | None = None

    @property
    def primed(self) -> bool:
        return bool(self.messages) and self.messages[-1]["role"] == "assistant"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawCall:
    """A function call as the model wrote it; arguments are JSON text, not yet checked."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a model answered to one request."""

    text: str = ""
    prompt: Prompt | None = None
    calls: tuple[RawCall, ...] = ()
    usage: Usage | None = None
    latency_s: float | None = None
    attempts: int = 1
    finish_reason: str | None = None
    refused: bool = False
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionScores:
    """How likely a model would go on with each option: natural logarithms, summed over tokens."""

    loglikelihoods: tuple[float, ...] = ()
    prompt: Prompt | None = None
    usage: Usage | None = None
    latency_s: float | None = None
    error: str | None = None


@runtime_checkable
class OptionScorer(Protocol):
    """A model that also tells how likely given texts are."""

    def score_options(
        self, requests: Sequence[Request], options: Sequence[Sequence[str]]
    ) -> Iterator[tuple[int, OptionScores]]:
        """Yield each request's position and scores, in any order. Never raises for one."""
        ...


class Backend(Protocol):
    """A model that completes prompts."""

    def check(self) -> None:
        """Raise a ConfigError for what can be known to be wrong without loading a model."""

    def complete(
        self, requests: Sequence[Request], decoding: Decoding
    ) -> Iterator[tuple[int, Completion]]:
        """Yield each request's position and completion, in any order. Never raises for one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSpec:
    """What a backend is built from. Hashable, so that systems on the same model share it."""

    model: ModelSpec = field(hash=False)
    folder: Path  # paths are relative to it
    adapter: Path | None = None
    variant: str = "adapter"
    chat_template: Path | None = None  # in place of the tokenizer's own
    identity: str  # stands for the model's options in the hash

    @classmethod
    def of(cls, spec: SystemSpec) -> BackendSpec:
        """The backend of a system: its model, and the adapter on it or the weights in its place."""
        assert spec.model is not None
        model, adapter = spec.model, spec.options.get("adapter")
        folder = None if adapter is None else spec.path(adapter)
        template = None
        if folder is not None:
            model, template = _read_as_trained(model, folder)
            if holds_weights(folder):
                options = {"tokenizer": model.source, **model.options}
                model, folder = replace(model, source=str(folder), options=options), None
        return cls(
            model=model,
            folder=spec.folder,
            adapter=folder,
            variant=spec.options.get("variant", "adapter"),
            chat_template=template,
            identity=f"{model.kind} {model.source} {sorted(model.options.items())!r}",
        )


def _read_as_trained(model: ModelSpec, folder: Path) -> tuple[ModelSpec, Path | None]:
    """A model with the tokenizer and the chat template that training left, where it left any.

    TRL saves both beside an adapter. What a model was trained with it must be asked with.
    """
    if any(file.is_file() for file in folder.glob("tokenizer*")):
        return replace(model, options={**model.options, "tokenizer": str(folder)}), None
    template = folder / "chat_template.jinja"
    return model, template if template.is_file() else None


@lru_cache(maxsize=8)
def open_backend(spec: BackendSpec) -> Backend:
    """Open the backend of a model; systems of one process that name the same model share it."""
    target, extra = BACKENDS[spec.model.kind]
    factory = resolve(target, feature=f"model '{spec.model.name}'", extra=extra)
    return cast("Callable[[BackendSpec], Backend]", factory)(spec)
