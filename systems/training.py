"""Training an adapter (or all weights) with TRL, as a recipe says."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import peft
import torch
import trl
from datasets import Dataset, disable_progress_bars
from transformers import BitsAndBytesConfig, PrinterCallback, TrainerCallback, set_seed

from harness.errors import ConfigError, nearest
from harness.types import Case, Message, SystemSpec
from systems.answers import describe
from systems.backend import BackendSpec, Request
from systems.fingerprint import base_identity
from systems.local import LocalBackend
from systems.parity import Parity, TrainedExample, constant_tokens, require_parity
from systems.prompt import PromptSystem
from systems.recipe import (
    Recipe,
    read_recipe,
    read_training_objects,
    refuse_eval_rows,
    split_by_group,
)
from systems.rows import as_text
from systems.training_record import RECORD

OnLog = Callable[[Mapping[str, Any]], None]
SAMPLES = 8  # examples kept with an adapter, to be rendered again before it is judged
LIBRARIES = ("torch", "transformers", "peft", "trl")
TRAINERS = {"sft": (trl.SFTTrainer, trl.SFTConfig), "dpo": (trl.DPOTrainer, trl.DPOConfig)}


def train(
    spec: SystemSpec,
    out: Path,
    *,
    seed: int,
    on_log: OnLog | None = None,
    eval_inputs: Collection[str] = (),
) -> Path:
    """Train a system as its recipe says, on the recipe's rows, and return the folder.

    Parameters
    ----------
    spec
        A system with a `recipe` and a local model.
    out
        Where the adapter goes. A checkpoint of an interrupted training there is gone on from.
    seed
        Of initialization, order of rows, and the split.
    on_log
        Called with `step`, `steps`, `loss`, ... as training goes, and once with what was found
        out before it (`rows`, `validation`, `constant_prompt_tokens`).
    eval_inputs
        Inputs of the eval suites: rows that ask the same are refused.
    """
    recipe = read_recipe(spec)
    objects = read_training_objects(recipe)
    refuse_eval_rows(objects, eval_inputs, recipe)
    rows = [row for _, row in objects]
    return SystemTrainer(spec, recipe, on_log=on_log).train(rows, out=out, seed=seed)


def template_parity(spec: SystemSpec) -> dict[str, Any]:
    """Hold the rows of a system's recipe against what inference would send, without training.

    Returns how many `rows` were compared, how many tokens of their prompts never change
    (`constant_prompt_tokens`), and, where the prompt file has any, the file without them
    (`compact_prompt`).

    Raises
    ------
    ConfigError
        At the first difference, with both strings and the first differing token marked.
    """
    recipe = read_recipe(spec)
    rows = [row for _, row in read_training_objects(recipe)]
    return SystemTrainer(spec, recipe).compare(rows)


class SystemTrainer:
    """Trains one system on any rows: a `harness.types.Trainer`."""

    def __init__(
        self, spec: SystemSpec, recipe: Recipe | None = None, *, on_log: OnLog | None = None
    ) -> None:
        if spec.model is None or spec.model.kind != "transformers":
            raise ConfigError("only models on this machine are trained", key=f"systems.{spec.name}")
        options = {k: v for k, v in spec.options.items() if k not in ("adapter", "variant")}
        self.spec = replace(spec, options=options)
        self.recipe = recipe or read_recipe(spec)
        self.on_log: OnLog = on_log or (lambda entry: None)
        self.prompts = PromptSystem(self.spec)
        # A backend of its own: training writes into the weights.
        self.backend = LocalBackend(BackendSpec.of(self.spec))

    def train(self, rows: Iterable[Mapping[str, Any]], *, out: Path, seed: int) -> Path:
        """Train on rows and return the folder with the result."""
        rows = list(rows)
        examples = [self._example(row, number) for number, row in enumerate(rows, 1)]
        kept, held = split_by_group(rows, self.recipe, random.Random(seed))
        set_seed(seed)
        out.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            # The libraries use names that the others have renamed, and warn of each other.
            warnings.simplefilter("ignore", FutureWarning)
            # PEFT looks for the base model from the folder one stands in, where it need not be.
            warnings.filterwarnings("ignore", "Could not find a config file")
            return self._train(rows, examples, (kept, held), out=out, seed=seed)

    def compare(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Template parity of rows: how many were compared, and what of their prompts never changes."""
        examples = [self._example(row, number) for number, row in enumerate(rows, 1)]
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            trainer = self._trainer(examples, [], Path(folder), 0)
            self._check_parity(trainer, rows, examples)
        template = self.prompts.template
        return {
            "rows": len(rows),
            "constant_prompt_tokens": self._constant_tokens(examples),
            "compact_prompt": compact_prompt(template.source) if template is not None else None,
        }

    def _constant_tokens(self, examples: Sequence[dict[str, Any]]) -> int:
        """Tokens of the messages' own text that never change; the chat template's are no one's to drop."""
        prompts = [self.backend.encode(Request(messages=e["prompt"]))[1] for e in examples]
        empty = [{**message, "content": ""} for message in examples[0]["prompt"]]
        frame = len(self.backend.encode(Request(messages=empty))[1])
        return max(0, constant_tokens(prompts) - frame)

    def _train(
        self,
        rows: Sequence[Mapping[str, Any]],
        examples: Sequence[dict[str, Any]],
        split: tuple[list[int], list[int]],
        *,
        out: Path,
        seed: int,
    ) -> Path:
        kept, held = split
        trainer = self._trainer([examples[i] for i in kept], [examples[i] for i in held], out, seed)
        samples = self._check_parity(trainer, [rows[i] for i in kept], [examples[i] for i in kept])
        found = {
            "rows": len(kept),
            "validation": len(held),
            "constant_prompt_tokens": self._constant_tokens(examples),
        }
        self.on_log(found)
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=_last_checkpoint(out))
        self._save(trainer, out)
        record = {
            "base": base_identity(self.spec),
            "recipe": self.recipe.fields,
            "seed": seed,
            **found,
            "data": _digest(rows),
            "seconds": round(time.perf_counter() - started, 1),
            "libraries": {name: version(name) for name in LIBRARIES},
            "curve": _curve(trainer.state.log_history),
            "samples": samples,
        }
        text = json.dumps(record, ensure_ascii=False)
        (out / RECORD).write_text(text + "\n", encoding="utf-8")
        shutil.rmtree(out / "checkpoints", ignore_errors=True)
        return out

    def _example(self, row: Mapping[str, Any], number: int) -> dict[str, Any]:
        """A row in TRL's conversational form, its prompt rendered as inference renders it."""
        wanted = ("chosen", "rejected") if self.recipe.method == "dpo" else ("completion",)
        row = {**row, "completion": row.get("completion", row.get("expected_output"))}
        missing = [name for name in wanted if row.get(name) is None]
        if missing or (row.get("prompt") is None and row.get("input") is None):
            raise ConfigError(
                f"row {number} has no '{missing[0] if missing else 'prompt'}'",
                file=self.recipe.data,
            )
        prompt = self._prompt(row)
        if prompt and prompt[-1]["role"] == "assistant":
            raise ConfigError(
                "a prompt that begins the answer cannot be trained on: where the answer begins "
                "would not be where the loss begins",
                key=f"systems.{self.spec.name}.prompt",
            )
        answers = {name: _as_messages(row[name], "assistant") for name in wanted}
        return {"prompt": prompt, **answers}

    def _prompt(self, row: Mapping[str, Any]) -> list[Message]:
        if row.get("prompt") is not None:
            return _as_messages(row["prompt"], "user")
        return [dict(m) for m in self.prompts.render(Case(id="row", input=row["input"]))]

    def _trainer(
        self, examples: Sequence[Any], validation: Sequence[Any], out: Path, seed: int
    ) -> Any:
        trainer_class, config_class = TRAINERS[self.recipe.method]
        disable_progress_bars()  # of Datasets: they would be drawn over Rung's own
        try:
            trainer = trainer_class(
                model=self._base(),
                args=self._config(config_class, out, seed, bool(validation)),
                train_dataset=Dataset.from_list(list(examples)),
                eval_dataset=Dataset.from_list(list(validation)) if validation else None,
                processing_class=self.backend.tokenizer,
                peft_config=self._peft_config(),
                callbacks=[_Progress(self.on_log)],
            )
        except (ValueError, TypeError, ImportError, RuntimeError) as error:
            message = f"the recipe cannot be followed: {describe(error)}"
            raise ConfigError(message, file=self.recipe.path) from error
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _config(self, config_class: Any, out: Path, seed: int, validated: bool) -> Any:
        fields = dict(self.recipe.trainer)
        self._refuse_unknown(fields, config_class, "trainer")
        if fields.get("packing"):
            raise ConfigError(
                "packed examples cannot be compared with what inference sends",
                file=self.recipe.path,
                key="trainer.packing",
            )
        # TRL turns bf16 and gradient checkpointing on by itself, for hardware that has both.
        defaults = {
            "bf16": False,
            _checkpointing_field(config_class.__dataclass_fields__): False,
            "use_cpu": not torch.cuda.is_available(),
            "max_length": min(self.backend.context_length, 1 << 17),
            "logging_steps": 10,
            "save_strategy": "epoch",
            "save_total_limit": 1,
            "eval_strategy": "epoch" if validated else "no",
        }
        own = {
            "output_dir": str(out / "checkpoints"),
            "seed": seed,
            "report_to": "none",
            "disable_tqdm": True,
        }
        try:
            return config_class(**{**defaults, **fields, **own})
        except (ValueError, TypeError) as error:
            message = f"the recipe cannot be followed here: {describe(error)}"
            raise ConfigError(message, file=self.recipe.path, key="trainer") from error

    def _peft_config(self) -> Any:
        if self.recipe.peft is None:
            return None
        fields = {"task_type": "CAUSAL_LM", **self.recipe.peft}
        kind = str(fields.pop("peft_type")).upper()
        classes = {str(name.value): cls for name, cls in peft.PEFT_TYPE_TO_CONFIG_MAPPING.items()}
        if kind not in classes:
            raise ConfigError(
                f"PEFT has no '{kind}'",
                file=self.recipe.path,
                key="peft.peft_type",
                hint=nearest(kind, classes),
            )
        self._refuse_unknown(fields, classes[kind], "peft")
        return classes[kind](**fields)

    def _refuse_unknown(self, fields: Mapping[str, Any], config_class: Any, key: str) -> None:
        known = config_class.__dataclass_fields__
        for name in fields:
            if name not in known:
                raise ConfigError(
                    f"{config_class.__name__} has no field '{name}'",
                    file=self.recipe.path,
                    key=f"{key}.{name}",
                    hint=nearest(name, known),
                )

    def _base(self) -> Any:
        """The model to train: whole, or in 4 bits for QLoRA."""
        if self.recipe.quantize is None:
            return self.backend.model.train()
        if not torch.cuda.is_available():
            raise ConfigError(
                "4-bit training needs a CUDA device", file=self.recipe.path, key="quantize"
            )
        four_bits = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type=self.recipe.quantize,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )
        return self.backend.load_base(quantization_config=four_bits, device_map={"": 0})

    def _check_parity(
        self, trainer: Any, rows: Sequence[Mapping[str, Any]], examples: Sequence[Any]
    ) -> list[dict[str, Any]]:
        """Hold what the trainer made of the rows against inference; keep some of it."""
        if self.recipe.method == "dpo":
            return []  # pairs hold no single answer; their prompts come from the same rendering
        if len(trainer.train_dataset) != len(rows):
            lost = len(rows) - len(trainer.train_dataset)
            raise ConfigError(
                f"template parity (truncated): {lost} of {len(rows)} rows lose their whole answer",
                file=self.recipe.data,
                hint=f"Prompts longer than max_length ({trainer.args.max_length}) are cut.",
            )
        made = [
            TrainedExample(
                ids=item["input_ids"],
                in_loss=[label != -100 for label in item.get("labels", item["input_ids"])],
                answer=str(example["completion"][-1]["content"]),
            )
            for item, example in zip(trainer.train_dataset, examples, strict=True)
        ]
        prompts = [self.backend.encode(Request(messages=e["prompt"]))[1] for e in examples]
        parity = Parity(self.backend.tokenizer, self.backend.end_ids)
        require_parity(parity, zip(made, prompts, strict=True), key=f"systems.{self.spec.name}")
        return [
            {
                "input": row.get("input"),
                "messages": example["prompt"],
                "ids": list(one.ids),
                "in_loss": list(one.in_loss),
                "answer": one.answer,
            }
            for row, example, one in list(zip(rows, examples, made, strict=True))[:SAMPLES]
        ]

    def _save(self, trainer: Any, out: Path) -> None:
        model = trainer.accelerator.unwrap_model(trainer.model)
        assert self.spec.model is not None
        for config in getattr(model, "peft_config", {}).values():
            # PEFT notes the folder of this machine; the configuration's own word travels.
            config.base_model_name_or_path = self.spec.model.source
        model.save_pretrained(str(out))
        if self.recipe.peft is None:
            self.backend.tokenizer.save_pretrained(str(out))
        (out / "README.md").unlink(missing_ok=True)  # PEFT's empty model card


class _Progress(TrainerCallback):  # type: ignore[misc]
    """Passes what the trainer logs on."""

    def __init__(self, on_log: OnLog) -> None:
        self._on_log = on_log

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        self._on_log({"step": state.global_step, "steps": state.max_steps, **(logs or {})})


def compact_prompt(source: str) -> str | None:
    """A prompt file without the words before its first and behind its last slot; None if there are none."""
    begins, ends = source.find("{"), source.rfind("}") + 1
    kept = source[begins:ends] if begins >= 0 else source
    return kept + "\n" if kept.strip() != source.strip() else None


def _checkpointing_field(known: Collection[str]) -> str:
    """Transformers renames the field: the old name warns where the new one is there."""
    new = "activation_checkpointing"
    return new if new in known else "gradient_checkpointing"


def _as_messages(value: Any, role: str) -> list[Message]:
    if isinstance(value, list):
        return [dict(message) for message in value]
    return [{"role": role, "content": as_text(value)}]


def _last_checkpoint(out: Path) -> str | None:
    found = sorted(
        (out / "checkpoints").glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1])
    )
    return str(found[-1]) if found else None


def _digest(rows: Sequence[Mapping[str, Any]]) -> str:
    text = json.dumps(list(rows), sort_keys=True, ensure_ascii=False, default=str)
    return f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _curve(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    wanted = ("step", "epoch", "loss", "eval_loss")
    return [
        {name: round(entry[name], 5) for name in wanted if name in entry}
        for entry in history
        if "loss" in entry or "eval_loss" in entry
    ]
