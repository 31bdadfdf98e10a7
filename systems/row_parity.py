"""Template parity of training rows, before training and again before their model is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from harness.errors import ConfigError
from systems.answers import describe
from systems.asked_prompts import Asked
from systems.backend import Request
from systems.local import LocalBackend
from systems.parity import Parity, TrainedExample, require_parity
from systems.prepared_rows import PreparedRow, answer_of

SAMPLES = 8  # examples kept with an adapter, to be rendered again before it is judged
GUESSED = (
    "The user's text of the row's own prompt was taken as the case's input. "
    "Where it is not, give the row its `input`."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """How many rows gave the same tokens, and why others could not be compared."""

    compared: int
    not_compared: Mapping[str, int]  # reason -> rows
    samples: Sequence[Mapping[str, Any]] = ()


class RowParity:
    """Compares what a trainer made of rows with what inference sends.

    To be built before the trainer: trainers change the model's end tokens to suit their own.
    """

    def __init__(self, backend: LocalBackend, *, key: str) -> None:
        self.backend, self.key = backend, key
        self.parity = Parity(backend.tokenizer, backend.end_ids)

    def require(self, trainer: Any, rows: Sequence[PreparedRow], *, file: Any) -> Compared:
        """Compare all rows.

        Raises
        ------
        ConfigError
            At the first difference, and for rows that the trainer lost.
        """
        if len(trainer.train_dataset) != len(rows):
            lost = len(rows) - len(trainer.train_dataset)
            raise ConfigError(
                f"template parity (truncated): {lost} of {len(rows)} rows lose their whole answer",
                file=file,
                hint=f"Prompts longer than max_length ({trainer.args.max_length}) are cut.",
            )
        reasons: Counter[str] = Counter()
        samples: list[Mapping[str, Any]] = []
        for item, row in zip(trainer.train_dataset, rows, strict=True):
            examples = list(_examples(item, row, trainer.args))
            for example in examples:
                self.require_example(example, row.asked, place=row.place)
            if row.asked.not_compared is not None:
                reasons[row.asked.not_compared] += 1
            if len(samples) < SAMPLES:
                samples.append(_sample(row, examples[0]))
        equal = len(rows) - reasons.total()
        return Compared(compared=equal, not_compared=dict(reasons), samples=samples)

    def require_example(self, example: TrainedExample, asked: Asked, *, place: str) -> None:
        """Compare one example.

        Raises
        ------
        ConfigError
            With both strings and the first differing token marked.
        """
        ids = self._ids(asked.request)
        note = GUESSED if asked.guessed else ""
        require_parity(self.parity, [(example, ids)], key=f"{self.key}: {place}", note=note)
        self._require_turn(example, asked.request, ids, place)

    def _require_turn(
        self, example: TrainedExample, request: Request, ids: list[int], place: str
    ) -> None:
        """Refuse a chat template that never begins the answer's turn, where training has its beginning."""
        tokenizer, answer = self.backend.tokenizer, example.answer.strip()
        if not tokenizer.chat_template or not answer:
            return
        head = tokenizer.decode(list(example.ids[len(ids) :])).partition(answer)[0]
        if not head.strip():
            return
        if self._ids(request, begun=False) == ids:
            raise ConfigError(
                "template parity (prompt): the chat template has no generation prompt: training "
                f"reads {head!r} before the answer, inference does not send it",
                key=f"{self.key}: {place}",
                hint="It should write this when it is called with add_generation_prompt.",
            )

    def _ids(self, request: Request, *, begun: bool = True) -> list[int]:
        try:
            if begun:
                return self.backend.encode(request)[1]
            apply = self.backend.tokenizer.apply_chat_template
            messages = [dict(message) for message in request.messages]
            tools = [dict(tool) for tool in request.tools] or None
            return list(
                apply(messages, tools=tools, return_dict=False, sanitize_control_tokens=True)
            )
        except (ValueError, TypeError, KeyError, NotImplementedError, TemplateError) as error:
            message = f"the chat template refused the messages: {describe(error)}"
            raise ConfigError(message, key=self.key) from error


def _examples(item: Mapping[str, Any], row: PreparedRow, args: Any) -> Iterator[TrainedExample]:
    """What the trainer made of a row: one example, or one for each answer of a pair."""
    if "chosen" not in row.example:
        labels = item.get("labels", item["input_ids"])
        yield TrainedExample(
            ids=item["input_ids"],
            in_loss=[label != -100 for label in labels],
            answer=answer_of(row.example["completion"]),
        )
        return
    # Pairs are cut when they are put into batches, by the rule that stands here.
    most = args.max_length
    cut = slice(None) if most is None else slice(most)
    if most is not None and args.truncation_mode == "keep_end":
        cut = slice(-most, None)
    for name in ("chosen", "rejected"):
        prompt, answer = item["prompt_ids"], item[f"{name}_ids"]
        in_loss = [False] * len(prompt) + [True] * len(answer)
        yield TrainedExample(
            ids=[*prompt, *answer][cut], in_loss=in_loss[cut], answer=answer_of(row.example[name])
        )


def _sample(row: PreparedRow, example: TrainedExample) -> dict[str, Any]:
    return {
        **row.source,
        "messages": row.example["prompt"],
        "ids": list(example.ids),
        "in_loss": list(example.in_loss),
        "answer": example.answer,
    }
