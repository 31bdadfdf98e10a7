"""What a training depends on besides its rows, and how large it would be, without loading a model."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import yaml

from harness.errors import RungError
from harness.types import SystemSpec
from systems import resolve
from systems.fingerprint import base_identity, fingerprint, is_local
from systems.prepared_rows import RowPreparer
from systems.prompt import PromptSystem
from systems.recipe import Recipe, read_recipe
from systems.rows import read_objects

SAMPLE = 128  # rows whose length is counted
TEMPLATE_TOKENS = 8  # what a chat template adds around a prompt and an answer
EPOCHS = 3.0  # TRL's own
# What one sequence is made of: of a pair, the better answer stands for both.
SAID = (
    *("tools", "prompt", "input", "completion", "expected_output", "output"),
    *("chosen", "messages"),
)


def training_basis(spec: SystemSpec, *, memo: Path | None = None) -> dict[str, str]:
    """Hashes of what a training stands on: the base model, the prompt and settings, the recipe.

    Raises
    ------
    ConfigError
        A file that the system names is not there.
    """
    gone = ("adapter", "variant")
    bare = replace(spec, options={k: v for k, v in spec.options.items() if k not in gone})
    basis = {"system": fingerprint(bare, memo=memo).digest}
    if spec.model is not None:
        basis["model"] = base_identity(spec)
    if "recipe" in spec.options:
        recipe = spec.path(spec.options["recipe"])
        basis["recipe"] = (
            hashlib.sha256(recipe.read_bytes()).hexdigest() if recipe.is_file() else ""
        )
    return basis


def prompts_of(spec: SystemSpec) -> PromptSystem:
    """What renders a system's rows; the libraries that train it need not be there."""
    if spec.kind != "rag":
        return PromptSystem(spec)
    rag: Any = resolve("systems.rag:RagSystem", feature=f"system '{spec.name}'", extra="local")
    return cast("PromptSystem", rag(spec))


def training_size(spec: SystemSpec, rows: Path) -> dict[str, Any] | None:
    """Parameters of the model to be trained and tokens of a row; None where its files are not here.

    Tokens: the 95th percentile over the first rows, rendered as the system would train on them; as
    they stand in the file where that cannot be done.
    """
    folder = _folder(spec)
    parameters = _parameters(folder) if folder is not None else None
    if folder is None or not parameters:
        return None
    tokens = _tokens(folder, spec, rows)
    if tokens is None:
        return None
    return {"parameters": parameters, "tokens_per_row": tokens, "epochs": _epochs(spec)}


def _folder(spec: SystemSpec) -> Path | None:
    """The model's files on this machine, downloaded ones too."""
    if spec.model is None or spec.model.kind != "transformers":
        return None
    if is_local(spec.folder, spec.model.source):
        return spec.path(spec.model.source)
    try:
        from huggingface_hub import try_to_load_from_cache
    except ModuleNotFoundError:
        return None
    found = try_to_load_from_cache(spec.model.source, "config.json")
    return Path(found).parent if isinstance(found, str) else None


def _parameters(folder: Path) -> int:
    """Count the numbers in every safetensors file, by its header."""
    count = 0
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        for name, tensor in header.items():
            if name != "__metadata__":
                size = 1
                for side in tensor["shape"]:
                    size *= side
                count += size
    return count


def _tokens(folder: Path, spec: SystemSpec, rows: Path) -> int | None:
    from tokenizers import Tokenizer

    file = folder / "tokenizer.json"
    if not file.is_file() or not rows.is_file() or not rows.stat().st_size:
        return None
    first = read_objects(rows, key="training", most=SAMPLE)
    texts = [_text(row) for row in _rendered(spec, first, rows)]
    tokenizer = Tokenizer.from_file(str(file))
    lengths = sorted(len(encoded.ids) for encoded in tokenizer.encode_batch(texts))
    return lengths[int(0.95 * (len(lengths) - 1))] + TEMPLATE_TOKENS


def _rendered(
    spec: SystemSpec, rows: Sequence[Mapping[str, Any]], file: Path
) -> Sequence[Mapping[str, Any]]:
    """The rows as they would be trained on; as they are where they cannot be rendered."""
    try:
        recipe = read_recipe(spec) if "recipe" in spec.options else Recipe(path=file, data=file)
        return [row.example for row in RowPreparer(prompts_of(spec), recipe).prepare(rows)]
    except RungError:
        return rows  # what is wrong with them is told by what trains on them


def _text(row: Mapping[str, Any]) -> str:
    """All that the row says to the model and wants of it."""
    return "\n".join(_flat(row[key]) for key in SAID if row.get(key) is not None)


def _flat(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return _flat(value["content"]) if "content" in value else json.dumps(value)
    if isinstance(value, Sequence):
        return "\n".join(_flat(item) for item in value)
    return json.dumps(value)


def _epochs(spec: SystemSpec) -> float:
    recipe = spec.options.get("recipe")
    if recipe is None or not spec.path(recipe).is_file():
        return EPOCHS
    fields = yaml.safe_load(spec.path(recipe).read_text(encoding="utf-8"))
    trainer = fields.get("trainer") if isinstance(fields, dict) else None
    return float((trainer or {}).get("num_train_epochs", EPOCHS))
