"""Training an adapter (or all weights) with TRL, as a recipe says."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import torch
import trl
from datasets import Dataset, disable_progress_bars
from transformers import BitsAndBytesConfig, PrinterCallback, TrainerCallback, set_seed

import systems
from harness.errors import ConfigError, RungError, SystemFailure
from harness.types import SystemSpec
from systems.answers import describe
from systems.backend import BackendSpec
from systems.checkpoints import Checkpoints
from systems.constant_prompt import ConstantPrompt
from systems.eval_rows import Suites, eval_cases, refuse_eval_rows
from systems.fingerprint import base_identity
from systems.local import LocalBackend
from systems.prepared_rows import PreparedRow, RowPreparer
from systems.prompt import PromptSystem
from systems.recipe import Recipe, read_recipe, read_training_objects
from systems.row_parity import Compared, RowParity
from systems.split import Split, row_ids, split_by_group
from systems.trained_folder import leave_result, require_target
from systems.trainer_settings import (
    checkpointing_field,
    peft_config,
    refuse_unknown_modules,
    trainer_config,
)

OnLog = Callable[[Mapping[str, Any]], None]
LIBRARIES = ("torch", "transformers", "peft", "trl")
TRAINERS = {"sft": (trl.SFTTrainer, trl.SFTConfig), "dpo": (trl.DPOTrainer, trl.DPOConfig)}


def train(
    spec: SystemSpec,
    out: Path,
    *,
    seed: int,
    on_log: OnLog | None = None,
    eval_inputs: Suites | None = None,
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
        out before it (`rows`, `validation`, `test`, `eval_cases`, `not_compared`,
        `constant_prompt_tokens`).
    eval_inputs
        Inputs of the cases by eval suite: rows that ask the same are refused, or counted where the
        recipe allows them.
    """
    recipe = read_recipe(spec)
    trainer = SystemTrainer(spec, recipe, on_log=on_log, eval_inputs=eval_inputs)
    require_target(spec, out)
    rows = trainer.preparer.prepare(read_training_objects(recipe))
    refuse_eval_rows(rows, eval_inputs or {}, recipe)
    return trainer.train_prepared(rows, out=out, seed=seed)


def template_parity(spec: SystemSpec) -> dict[str, Any]:
    """Hold the rows of a system's recipe against what inference would send, without training.

    Returns how many `rows` there are, how many were `compared`, why others were `not_compared`
    (reason -> rows), how many tokens of their prompts never change (`constant_prompt_tokens`), and,
    where the prompt file has any, the file without them (`compact_prompt`).

    Raises
    ------
    ConfigError
        At the first difference, with both strings and the first differing token marked.
    """
    recipe = read_recipe(spec)
    return SystemTrainer(spec, recipe).compare(read_training_objects(recipe))


class SystemTrainer:
    """Trains one system on any rows: a `harness.types.Trainer`."""

    def __init__(
        self,
        spec: SystemSpec,
        recipe: Recipe | None = None,
        *,
        on_log: OnLog | None = None,
        eval_inputs: Suites | None = None,
    ) -> None:
        if spec.model is None or spec.model.kind != "transformers":
            raise ConfigError("only models on this machine are trained", key=f"systems.{spec.name}")
        options = {k: v for k, v in spec.options.items() if k not in ("adapter", "variant")}
        self.spec = replace(spec, options=options)
        self.recipe = recipe or read_recipe(spec)
        self.on_log: OnLog = on_log or (lambda entry: None)
        self.eval_inputs = eval_inputs
        self.prompts = cast("PromptSystem", systems.load(self.spec))
        self.preparer = RowPreparer(self.prompts, self.recipe)
        # A backend of its own: training writes into the weights.
        self.backend = LocalBackend(BackendSpec.of(self.spec))

    def train(self, rows: Iterable[Mapping[str, Any]], *, out: Path, seed: int) -> Path:
        """Train on rows that somebody chose, and return the folder with the result.

        None of them is held out for a test: `split.without_test` leaves those rows out before.
        """
        require_target(self.spec, out)
        return self.train_prepared(self.preparer.prepare(rows), out=out, seed=seed, test=0.0)

    def train_prepared(
        self, rows: Sequence[PreparedRow], *, out: Path, seed: int, test: float | None = None
    ) -> Path:
        """Train on rows that are prepared already; `test` instead of the recipe's share."""
        recipe = self.recipe if test is None else replace(self.recipe, test=test)
        split = split_by_group([row.row for row in rows], recipe, random.Random(seed))
        checkpoints = Checkpoints(out / "checkpoints", self._basis(rows, seed))
        try:
            checkpoints.begin()
        except OSError as error:
            raise ConfigError(f"cannot be written: {error.strerror}", file=out) from error
        set_seed(seed)
        with _quiet():
            return self._train(rows, split, checkpoints, out=out, seed=seed)

    def compare(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Template parity of rows: how many were compared, and what of their prompts never changes."""
        prepared = self.preparer.prepare(rows)
        with tempfile.TemporaryDirectory() as folder, _quiet():
            _, compared = self._compared_trainer(prepared, [], Path(folder), 0)
        constant = ConstantPrompt(self.backend, self.prompts, prepared)
        return {
            "rows": len(rows),
            "compared": compared.compared,
            "not_compared": dict(compared.not_compared),
            "constant_prompt_tokens": constant.tokens,
            "compact_prompt": constant.compact,
        }

    def _basis(self, rows: Sequence[PreparedRow], seed: int) -> dict[str, Any]:
        """What a checkpoint must have been made with to be gone on from."""
        return {
            "base": base_identity(self.spec),
            "recipe": self.recipe.fields,
            "seed": seed,
            "data": _digest([row.row for row in rows]),
            "prompts": _digest([row.example for row in rows]),
        }

    def _train(
        self,
        rows: Sequence[PreparedRow],
        split: Split,
        checkpoints: Checkpoints,
        *,
        out: Path,
        seed: int,
    ) -> Path:
        kept = [rows[i] for i in split.kept]
        validation = [rows[i] for i in split.validation]
        trainer, compared = self._compared_trainer(kept, validation, out, seed)
        found = {
            "rows": len(kept),
            "validation": len(validation),
            "test": len(split.test),
            "not_compared": dict(compared.not_compared),
            "constant_prompt_tokens": ConstantPrompt(self.backend, self.prompts, rows).tokens,
        }
        if self.eval_inputs is not None:
            found["eval_cases"] = eval_cases(kept, self.eval_inputs)
        self.on_log(found)
        started = time.perf_counter()
        self._run(trainer, checkpoints)
        record = {
            **{name: value for name, value in checkpoints.basis.items() if name != "prompts"},
            **found,
            "test_rows": row_ids(rows[i].row for i in split.test),
            "seconds": round(time.perf_counter() - started, 1),
            "libraries": {name: version(name) for name in LIBRARIES},
            "curve": _curve(trainer.state.log_history),
            "samples": list(compared.samples),
        }
        result = checkpoints.new_result()
        self._save(trainer, result)
        leave_result(result, record, out)
        checkpoints.remove()
        return out

    def _run(self, trainer: Any, checkpoints: Checkpoints) -> None:
        last = checkpoints.last()
        try:
            trainer.train(resume_from_checkpoint=str(last) if last is not None else None)
        except RungError:
            raise
        except Exception as error:  # what is wrong with a value often shows in the first step only
            raise SystemFailure(
                f"the training failed: {describe(error, with_place=True)}",
                file=self.recipe.path,
                hint=f"It began at {last}; delete that folder to start anew." if last else None,
            ) from error
        if trainer.state.global_step == 0:
            raise ConfigError(
                "not one step was trained", file=self.recipe.path, key="trainer.max_steps"
            )
        if _diverged(trainer):
            checkpoints.remove()  # to go on from them would diverge again
            raise SystemFailure(
                "the training diverged: loss or weights are no numbers any more",
                file=self.recipe.path,
                hint="Lower trainer.learning_rate, or warm it up (trainer.warmup_steps).",
            )

    def _compared_trainer(
        self,
        rows: Sequence[PreparedRow],
        validation: Sequence[PreparedRow],
        out: Path,
        seed: int,
    ) -> tuple[Any, Compared]:
        """The trainer, once what it made of the rows was held against inference."""
        parity = RowParity(self.backend, key=f"systems.{self.spec.name}")
        trainer = self._trainer(rows, validation, out, seed)
        return trainer, parity.require(trainer, rows, file=self.recipe.data)

    def _trainer(
        self,
        rows: Sequence[PreparedRow],
        validation: Sequence[PreparedRow],
        out: Path,
        seed: int,
    ) -> Any:
        trainer_class, config_class = TRAINERS[self.recipe.method]
        disable_progress_bars()  # of Datasets: they would be drawn over Rung's own
        settings = self._settings(config_class, out, seed, bool(validation))
        adapter, base = peft_config(self.recipe), self._base()
        refuse_unknown_modules(self.recipe, base)
        try:
            trainer = trainer_class(
                model=base,
                args=settings,
                train_dataset=_dataset(rows),
                eval_dataset=_dataset(validation) if validation else None,
                # A copy: a recipe may give its trainer another chat template or end token, and
                # inference must not follow it unseen.
                processing_class=copy.deepcopy(self.backend.tokenizer),
                peft_config=adapter,
                callbacks=[_Progress(self.on_log)],
            )
        except Exception as error:  # the libraries raise what they like
            message = f"the recipe cannot be followed: {describe(error)}"
            raise ConfigError(message, file=self.recipe.path) from error
        trainer.remove_callback(PrinterCallback)
        return trainer

    def _settings(self, config_class: Any, out: Path, seed: int, validated: bool) -> Any:
        # TRL turns bf16 and gradient checkpointing on by itself, for hardware that has both.
        defaults = {
            "bf16": False,
            checkpointing_field(config_class.__dataclass_fields__): False,
            "use_cpu": not torch.cuda.is_available(),
            "max_length": min(self.backend.context_length, 1 << 17),
            "logging_steps": 10,
            "logging_nan_inf_filter": False,  # it would show a loss of 0 for one that is no number
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
        settings = trainer_config(self.recipe, config_class, defaults=defaults, own=own)
        if settings.fp16 and (settings.use_cpu or not torch.cuda.is_available()):
            raise ConfigError(
                "training in 16-bit floats (fp16) needs a CUDA device",
                file=self.recipe.path,
                key="trainer.fp16",
                hint="Leave it out, or say bf16: true, which a CPU can do too.",
            )
        return settings

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

    def _save(self, trainer: Any, result: Path) -> None:
        model = trainer.accelerator.unwrap_model(trainer.model)
        assert self.spec.model is not None
        for config in getattr(model, "peft_config", {}).values():
            # PEFT notes the folder of this machine; the configuration's own word travels.
            config.base_model_name_or_path = self.spec.model.source
            # And keeps the modules as a set, whose order differs from process to process.
            if isinstance(modules := getattr(config, "target_modules", None), set):
                config.target_modules = sorted(modules)
        model.save_pretrained(str(result))
        if self.recipe.peft is None:
            self.backend.tokenizer.save_pretrained(str(result))
        (result / "README.md").unlink(missing_ok=True)  # PEFT's empty model card


class _Progress(TrainerCallback):  # type: ignore[misc]
    """Passes what the trainer logs on."""

    def __init__(self, on_log: OnLog) -> None:
        self._on_log = on_log

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not math.isfinite((logs or {}).get("loss", 0.0)):
            control.should_training_stop = True
        self._on_log({"step": state.global_step, "steps": state.max_steps, **(logs or {})})


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        # The libraries use names that the others have renamed, and warn of each other.
        warnings.simplefilter("ignore", FutureWarning)
        # PEFT looks for the base model from the folder one stands in, where it need not be.
        warnings.filterwarnings("ignore", "Could not find a config file")
        yield


def _diverged(trainer: Any) -> bool:
    losses = (entry.get("loss", 0.0) for entry in trainer.state.log_history)
    trained = (p for p in trainer.model.parameters() if p.requires_grad)
    return not all(map(math.isfinite, losses)) or not all(bool(p.isfinite().all()) for p in trained)


def _dataset(rows: Sequence[PreparedRow]) -> Dataset:
    return Dataset.from_list([dict(row.example) for row in rows])


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
