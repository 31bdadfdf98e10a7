"""Template parity: what a model is trained on must be what it is asked with.

An example as the trainer sees it (tokens, and which of them count in the loss) is held against the
prompt as inference sends it. The classic mistakes are a doubled BOS, a missing generation prompt, a
trailing space, an end token left out of the loss, a system prompt in training only, and an answer
that was cut off.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.errors import ConfigError

Fault = Literal["prompt", "bos", "loss mask", "stop token", "truncated"]
MARK = "⟦{}⟧"
AROUND = 12  # tokens shown on each side of a difference


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedExample:
    """One example as a trainer made it."""

    ids: Sequence[int]
    in_loss: Sequence[bool]  # which tokens count in the loss
    answer: str  # the completion that the row holds


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Where the training path and the inference path part."""

    fault: Fault
    message: str
    trained: str  # around the difference, the first differing token marked
    asked: str


class Parity:
    """Compares examples of one tokenizer.

    Parameters
    ----------
    tokenizer
        A Transformers tokenizer.
    end_ids
        Tokens that end an answer at inference.
    """

    def __init__(self, tokenizer: Any, end_ids: frozenset[int]) -> None:
        self.tokenizer, self.end_ids = tokenizer, end_ids

    def differences(
        self, example: TrainedExample, prompt_ids: Sequence[int]
    ) -> Iterator[Difference]:
        """Yield what is wrong with an example, given its prompt as inference sends it."""
        ids, prompt = list(example.ids), list(prompt_ids)
        split = first_difference(ids[: len(prompt)], prompt)
        if split is not None:
            yield self._prompt_difference(ids, prompt, split)
            return  # nothing behind stands where it should
        begins = next((i for i, counts in enumerate(example.in_loss) if counts), None)
        if begins != len(prompt):
            place = "nowhere" if begins is None else f"at token {begins}"
            yield Difference(
                fault="loss mask",
                message=f"the loss begins {place}; the answer begins at token {len(prompt)}",
                trained=self._marked(ids, begins if begins is not None else len(ids)),
                asked=self._marked(prompt, len(prompt)),
            )
        yield from self._end_differences(example, ids, len(prompt))

    def _prompt_difference(self, ids: list[int], prompt: list[int], split: int) -> Difference:
        trained, asked = self._marked(ids, split), self._marked(prompt, split)
        bos = self.tokenizer.bos_token_id
        counts = (self._leading(ids, bos), self._leading(prompt, bos))
        if bos is not None and counts[0] != counts[1]:
            message = f"training begins with {counts[0]} BOS tokens, inference with {counts[1]}"
            return Difference(fault="bos", message=message, trained=trained, asked=asked)
        return Difference(
            fault="prompt",
            message=f"training and inference read different prompts from token {split} on",
            trained=trained,
            asked=asked,
        )

    def _end_differences(
        self, example: TrainedExample, ids: list[int], start: int
    ) -> Iterator[Difference]:
        ends = [i for i in range(start, len(ids)) if ids[i] in self.end_ids]
        last = ends[0] if ends else len(ids)
        written = self.tokenizer.decode(ids[start:last], skip_special_tokens=True)
        if not written.strip().endswith(example.answer.strip()):
            yield Difference(
                fault="truncated",
                message=f"the answer is cut off: the row has {example.answer!r}, training {written!r}",
                trained=self._marked(ids, len(ids)),
                asked=example.answer,
            )
        elif not any(example.in_loss[i] for i in ends):
            what = "is left out of the loss" if ends else "is not in the example"
            yield Difference(
                fault="stop token",
                message=f"the token that ends an answer {what}: the model would never learn to stop",
                trained=self._marked(ids, last),
                asked=" or ".join(sorted(map(self._token, self.end_ids))),
            )

    def _leading(self, ids: Sequence[int], token: int | None) -> int:
        return next((i for i, id in enumerate(ids) if id != token), len(ids))

    def _marked(self, ids: Sequence[int], index: int) -> str:
        """The text around a token, the token itself marked."""
        before = self.tokenizer.decode(list(ids[max(0, index - AROUND) : index]))
        token = self._token(ids[index]) if index < len(ids) else "end"
        after = self.tokenizer.decode(list(ids[index + 1 : index + 1 + AROUND]))
        return f"{before}{MARK.format(token)}{after}".replace("\n", "\\n")

    def _token(self, id: int) -> str:
        text: str = self.tokenizer.decode([id])
        return text if text.strip() else repr(text)


def first_difference(a: Sequence[int], b: Sequence[int]) -> int | None:
    """The first index at which two sequences differ, or None where they are equal."""
    for index, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return index
    return None if len(a) == len(b) else min(len(a), len(b))


def require_parity(
    parity: Parity,
    pairs: Iterable[tuple[TrainedExample, Sequence[int]]],
    *,
    key: str,
    note: str = "",
) -> int:
    """Compare examples with their prompts, and return how many were compared.

    A note says what else to know of these examples, where there is a difference.

    Raises
    ------
    ConfigError
        At the first difference, with both strings and the first differing token marked.
    """
    compared = 0
    for example, prompt_ids in pairs:
        for difference in parity.differences(example, prompt_ids):
            raise ConfigError(
                f"template parity ({difference.fault}): {difference.message}",
                key=key,
                hint=f"training:  {difference.trained}\n  inference: {difference.asked}"
                + (f"\n  {note}" if note else ""),
            )
        compared += 1
    return compared


def constant_tokens(prompts: Sequence[Sequence[int]]) -> int:
    """How many tokens at both ends of the prompts never change: a tuned model can do without them."""
    if len(prompts) < 2:
        return 0
    lists = [list(prompt) for prompt in prompts]
    first, last = min(lists), max(lists)
    shortest = min(map(len, prompts))
    head = first_difference(first[:shortest], last[:shortest])
    if head is None:
        return shortest
    backwards = [ids[::-1] for ids in lists]
    tail = first_difference(min(backwards)[:shortest], max(backwards)[:shortest])
    return min(shortest, head + (shortest if tail is None else tail))
