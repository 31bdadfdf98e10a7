"""The rows of a job by stage: cleaned, split and checked as `rung train` would on this machine."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.cli.subject import Subject
from harness.cli.workspace import Workspace
from harness.errors import ConfigError
from harness.types import CaseInput, SystemSpec
from systems.eval_rows import refuse_eval_rows
from systems.prepared_rows import PreparedRow, RowPreparer
from systems.recipe import Recipe, read_recipe
from systems.rows import PlacedRow, read_objects
from systems.split import split_by_group
from systems.untrained import prompts_of

SEED = 0  # of the split: `rung train` holds the same rows out with its own default
GUESSED = (
    "The user's text of the row's own prompt was taken as the case's input. Where it is not, give "
    "the row its `input`, and no prompt."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRows:
    """What one stage trains on."""

    kept: Sequence[PreparedRow]
    validation: Sequence[PreparedRow]
    of: int  # rows that it could train on, before any was left out

    @property
    def not_compared(self) -> int:
        """Rows whose own prompt fits no input of the system."""
        return sum(row.asked.not_compared is not None for row in self.kept)


class JobRows:
    """The rows of a system's recipe, and preference pairs of another file."""

    def __init__(
        self, workspace: Workspace, subject: Subject, spec: SystemSpec, *, pairs: Path | None
    ) -> None:
        self.workspace, self.subject = workspace, subject
        self.prompts, self.recipe = prompts_of(spec), read_recipe(spec)
        self.objects = read_objects(self.recipe.data, key="data")
        split = split_by_group(self.objects, self.recipe, random.Random(SEED))
        clean = self._clean_lines()
        self.kept, self.validation = (
            [row for row in (self.objects[i] for i in chosen) if row.line in clean]
            for chosen in (split.kept, split.validation)
        )
        self.pairs_file, self.pairs = pairs, [] if pairs is None else _read_pairs(pairs)

    @property
    def method(self) -> str:
        """What the rows are for: both stages, where there are rows for both."""
        pairs = [*filter(_is_paired, self.kept), *self.pairs]
        return "both" if pairs and any(map(_is_answered, self.kept)) else self.recipe.method

    def stage(self, method: str) -> StageRows:
        """The rows of a stage.

        Raises
        ------
        ConfigError
            At a row that lacks something, is a case of an eval suite, or brings a prompt that the
            system does not send.
        """
        usable = _is_paired if method == "dpo" else _is_answered
        # The other stage has none of the recipe's settings, and so no validation.
        held = filter(usable, self.validation) if method == self.recipe.method else ()
        recipe = replace(self.recipe, method=method)
        kept = self._prepared(filter(usable, self.kept), recipe)
        of = sum(map(usable, self.objects))
        if method == "dpo" and self.pairs_file is not None:
            kept += self._prepared(self.pairs, replace(recipe, data=self.pairs_file))
            of += len(self.pairs)
        return StageRows(kept=kept, validation=self._prepared(held, recipe), of=of)

    def _prepared(self, rows: Iterable[PlacedRow], recipe: Recipe) -> list[PreparedRow]:
        prepared = RowPreparer(self.prompts, recipe).prepare(rows)
        refuse_eval_rows(prepared, self._cases, recipe)
        for row in prepared:
            _require_sent(row, file=recipe.data, key=f"systems.{self.prompts.name}")
        return prepared

    @cached_property
    def _cases(self) -> dict[str, list[CaseInput]]:
        suites = self.workspace.catalogue().suites.values()
        return {suite.name: [case.input for case in suite.cases] for suite in suites}

    def _clean_lines(self) -> set[int | None]:
        """Lines without near-copies, cases of a suite and rows that lack something."""
        from harness.cli.data.encoding import open_embeddings
        from harness.cli.data.examining import Asked, examine_set

        project, file = self.subject.suite.project, self.recipe.data
        suites = {suite.name: suite.cases for suite in self.workspace.catalogue().suites.values()}
        named = (self.subject.suite.name, file)
        store = open_embeddings(project)
        found = examine_set(project, named, suites, store=store, asked=Asked()).found
        return {found.data.rows[i].line for i in found.clean_rows}


def _is_answered(row: Mapping[str, Any]) -> bool:
    return any(row.get(key) is not None for key in ("completion", "expected_output"))


def _is_paired(row: Mapping[str, Any]) -> bool:
    return "rejected" in row


def _read_pairs(file: Path) -> list[PlacedRow]:
    objects = read_objects(file, key="--pairs")
    for row in objects:
        if not {"chosen", "rejected"} <= row.keys() or not {"input", "prompt"} & row.keys():
            raise ConfigError(
                "a pair has input (or prompt), chosen and rejected",
                file=file,
                line=row.line,
                key="--pairs",
            )
    return objects


def _require_sent(row: PreparedRow, *, file: Path, key: str) -> None:
    """Hold a row's own prompt against what the system sends; tokens are compared where it is trained.

    A base model that is to be trained elsewhere may not even be on this machine.
    """
    asked = row.asked
    if not row.brings_prompt or asked.not_compared is not None:
        return
    sent = (asked.request.messages, [dict(tool) for tool in asked.request.tools])
    trained = (row.example["prompt"], _tools(row.example.get("tools")))
    if (_said(trained[0]), trained[1]) == (_said(sent[0]), sent[1]):
        return
    texts = ("\n".join(_lines(*side)) for side in (trained, sent))
    hint = "training:  {}\n  inference: {}".format(*(text.replace("\n", "\\n") for text in texts))
    raise ConfigError(
        "template parity (prompt): training and inference read different prompts",
        file=file,
        line=row.row.line if isinstance(row.row, PlacedRow) else None,
        key=key,
        hint=hint + (f"\n  {GUESSED}" if asked.guessed else ""),
    )


def _tools(value: Any) -> Any:
    if not isinstance(value, str):
        return value or []
    try:
        return json.loads(value)
    except ValueError:
        return value


def _said(messages: Sequence[Mapping[str, Any]]) -> list[tuple[Any, Any]]:
    return [(message["role"], message.get("content")) for message in messages]


def _lines(messages: Sequence[Mapping[str, Any]], tools: Any) -> Iterator[str]:
    for role, content in _said(messages):
        yield f"{role}: {content}"
    if tools:
        yield f"tools: {json.dumps(tools, ensure_ascii=False)}"
