"""`rung.yaml`: read, checked against the shipped schema, and made into records."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, cast

import yaml

from harness.errors import ConfigError, nearest
from harness.types import ModelSpec, Rung, SystemSpec
from harness.yaml_keys import KeyPath, dotted, key_lines, line_of

FILE_NAME = "rung.yaml"
SYSTEM_NAME = re.compile(r"[a-z0-9_-]+")
TEXT_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")  # `<<` takes in another mapping

# Where a kind stands when its entry does not say `rung:`.
DEFAULT_RUNG: Mapping[str, Rung] = {
    "classical": "classical",
    "rag": "rag",
    "fine_tuned": "fine_tuned",
}


@dataclass(frozen=True, slots=True)
class State:
    """What a project remembers between runs, below `.rung/`: safe to delete, not to be committed."""

    root: Path

    @property
    def folder(self) -> Path:
        """The folder of it all."""
        return self.root / ".rung"

    @property
    def cache(self) -> Path:
        """Outputs, an SQLite file."""
        return self.folder / "cache.db"

    @property
    def hashes(self) -> Path:
        """File hashes, by size and modification time."""
        return self.folder / "hashes.json"

    @property
    def locked_uses(self) -> Path:
        """The log of looks at locked cases."""
        return self.folder / "locked_uses.jsonl"

    @property
    def data(self) -> Path:
        """Embeddings, and what was found in training rows."""
        return self.folder / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteConfig:
    """What `suites:` says of one suite."""

    champion: str | None = None
    target: float | None = None
    decides: tuple[str, ...] = ()
    retained: str | None = None
    training: str | None = None
    split: str = "all"
    production: str | None = None
    pool: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What `decision:` says; fixed before a run and hashed into its report."""

    worthwhile_gain: float = 0.05
    tolerated_loss: float = 0.05
    alpha: float = 0.05
    max_cases: int = 800
    undecided: str = "pass"
    limits: Mapping[str, Any] = field(default_factory=dict)
    prices: str | None = None
    volume_per_month: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A checked `rung.yaml`."""

    file: Path
    systems: Mapping[str, SystemSpec]
    suites: Mapping[str, SuiteConfig]
    decision: Decision
    probes: frozenset[str] = frozenset()  # systems on a stronger base model, for the verdict only
    encoder: str | None = None
    duplicate_cosine: float | None = None  # from where rows are near-duplicates, where calibrated

    @property
    def folder(self) -> Path:
        """The folder that paths in the file are relative to."""
        return self.file.parent

    @property
    def root(self) -> Path:
        """The folder that holds `reports/` and `.rung/`: the one above `evals/`."""
        return root_of(self.file)

    def system(
        self, name: str, *, file: Path | str | None = None, key: str | None = None
    ) -> SystemSpec:
        """Look a system up by name."""
        try:
            return self.systems[name]
        except KeyError:
            raise ConfigError(
                f"no system is called '{name}'. {nearest(name, self.systems)}",
                file=file or self.file,
                key=key,
                hint=f"Systems are defined under `systems:` in {self.file.name}.",
            ) from None


def find_project(start: Path) -> Path | None:
    """Return the nearest rung.yaml in this folder, in its `evals/`, or above it."""
    start = start.resolve()
    folder = start if start.is_dir() else start.parent
    for candidate in (folder, folder / "evals", *folder.parents):
        if (candidate / FILE_NAME).is_file():
            return candidate / FILE_NAME
    return None


def root_of(file: Path) -> Path:
    """Return the folder of the project that a rung.yaml belongs to."""
    return file.parent.parent if file.parent.name == "evals" else file.parent


def load_project(file: Path) -> Project:
    """Read and check a rung.yaml.

    Raises
    ------
    ConfigError
        With file, line and key, what was expected and the nearest known name.
    """
    document, lines = _read_yaml(file)
    _validate(document, file=file, lines=lines)
    _check_numbers(document, (), file=file, lines=lines)
    models = {name: _model(name, entry) for name, entry in (document.get("models") or {}).items()}
    encoder = document.get("encoder")
    systems: dict[str, SystemSpec] = {}
    probes: set[str] = set()
    for name, entry in document["systems"].items():
        if not SYSTEM_NAME.fullmatch(name):
            raise ConfigError(
                f"'{name}' cannot name a system: use lower-case letters, digits, '_' and '-'",
                file=file,
                line=lines.get(("systems", name)),
                key=f"systems.{name}",
            )
        if entry.get("probe"):
            probes.add(name)
        systems[name] = _system(name, entry, models=models, file=file, lines=lines, encoder=encoder)
    project = Project(
        file=file,
        systems=systems,
        suites={n: _suite(e) for n, e in (document.get("suites") or {}).items()},
        decision=Decision(**(document.get("decision") or {})),
        probes=frozenset(probes),
        encoder=encoder,
        duplicate_cosine=(document.get("data") or {}).get("duplicate_cosine"),
    )
    _check_names(project, lines)
    return project


def _model(name: str, entry: Mapping[str, Any]) -> ModelSpec:
    kind = "openai" if "openai" in entry else "transformers"
    options = {key: value for key, value in entry.items() if key != kind}
    return ModelSpec(name=name, kind=kind, source=entry[kind], options=options)  # type: ignore[arg-type]


def _system(
    name: str,
    entry: Mapping[str, Any],
    *,
    models: Mapping[str, ModelSpec],
    file: Path,
    lines: Mapping[KeyPath, int],
    encoder: str | None,
) -> SystemSpec:
    kind = entry["kind"]
    model_name = entry.get("model")
    if model_name is not None and model_name not in models:
        raise ConfigError(
            f"no model is called '{model_name}'. {nearest(model_name, models)}",
            file=file,
            line=lines.get(("systems", name, "model")),
            key=f"systems.{name}.model",
            hint="Models are defined under `models:`.",
        )
    options = {k: v for k, v in entry.items() if k not in ("kind", "model", "rung", "probe")}
    return SystemSpec(
        name=name,
        kind=kind,
        rung=cast(Rung, entry.get("rung") or _rung(entry)),
        folder=file.parent,
        model=models.get(model_name) if model_name is not None else None,
        options=options,
        encoder=encoder,
    )


def _rung(entry: Mapping[str, Any]) -> Rung:
    """Where a system stands that does not say; what is trained by a recipe was tuned."""
    return "fine_tuned" if "recipe" in entry else DEFAULT_RUNG.get(entry["kind"], "prompt")


def _suite(entry: Mapping[str, Any] | None) -> SuiteConfig:
    entry = dict(entry or {})
    entry["decides"] = tuple(entry.get("decides") or ())
    return SuiteConfig(**entry)


def _check_names(project: Project, lines: Mapping[KeyPath, int]) -> None:
    for name, suite in project.suites.items():
        if suite.champion is not None and suite.champion not in project.systems:
            raise ConfigError(
                f"no system is called '{suite.champion}'. {nearest(suite.champion, project.systems)}",
                file=project.file,
                line=lines.get(("suites", name, "champion")),
                key=f"suites.{name}.champion",
            )


def _read_yaml(file: Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """Parse YAML, and remember the line of every key so that errors can name it."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(
            "there is no such file", file=file, hint="Write one with `rung init`."
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"byte {error.start + 1} is not UTF-8", file=file) from None
    try:
        lines = key_lines(text, file)
        _check_keys(yaml.compose(text, Loader=yaml.SafeLoader), file=file, lines=lines)
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else None
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"not YAML: {problem}", file=file, line=line) from None
    if not isinstance(document, dict):
        raise ConfigError(
            "this file must hold a mapping with `systems:`",
            file=file,
            hint="Write a first one with `rung init`.",
        )
    return document, lines


def _check_keys(root: yaml.Node | None, *, file: Path, lines: Mapping[KeyPath, int]) -> None:
    """Refuse keys that YAML takes for numbers, dates or yes and no: names are text."""
    paths = {(path[-1], line): path for path, line in lines.items()}
    for key in _keys(root):
        if key.tag not in TEXT_KEYS:
            line = key.start_mark.line + 1
            raise ConfigError(
                f"YAML does not take {key.value} for text",
                file=file,
                line=line,
                key=dotted(paths.get((key.value, line), (key.value,))),
                hint=f'Write it in quotes: "{key.value}".',
            )


def _keys(root: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """Yield every key that stands in a YAML text; an alias leads to no new ones."""
    waiting, seen = [root], {id(None)}
    while waiting:
        node = waiting.pop()
        if id(node) in seen or isinstance(node, yaml.ScalarNode):
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            yield from (key for key, _ in node.value if isinstance(key, yaml.ScalarNode))
            waiting += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def schema(name: str) -> dict[str, Any]:
    """Read a schema that is shipped in the package, such as `rung` or `run`."""
    text = (files("harness") / "schemas" / f"{name}.schema.json").read_text("utf-8")
    return cast(dict[str, Any], json.loads(text))


def _validate(document: Mapping[str, Any], *, file: Path, lines: Mapping[KeyPath, int]) -> None:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    systems = schema("systems")
    registry = Registry().with_resource("urn:rung:systems", Resource.from_contents(systems))
    validator = Draft202012Validator(schema("rung"), registry=registry)
    # A misspelt key is also a missing one: say the misspelling.
    errors = sorted(
        validator.iter_errors(document),
        key=lambda e: (e.validator == "required", len(e.absolute_path), str(e.path)),
    )
    if errors:
        _raise(_deepest(errors[0]), file=file, lines=lines)


def _check_numbers(
    value: object, path: KeyPath, *, file: Path, lines: Mapping[KeyPath, int]
) -> None:
    """Refuse YAML's `.nan` and `.inf`: they compare with nothing, and JSON does not know them."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(
            f"{value} is no number", file=file, line=line_of(path, lines), key=dotted(path)
        )
    inner: Iterable[tuple[Any, object]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list):
        inner = enumerate(value)
    for key, item in inner:
        _check_numbers(item, (*path, key), file=file, lines=lines)


def _deepest(error: Any) -> Any:
    """Follow a failed choice (`oneOf`, `anyOf`) to the branch that came closest."""
    from jsonschema.exceptions import best_match

    return best_match([error]) if error.context else error


def _raise(error: Any, *, file: Path, lines: Mapping[KeyPath, int]) -> None:
    path: KeyPath = tuple(error.absolute_path)
    message, expected = (
        error.message,
        error.schema.get("description") if isinstance(error.schema, dict) else None,
    )
    if error.validator in ("additionalProperties", "unevaluatedProperties"):
        known = error.schema.get("properties", {})
        unknown = next(key for key in error.instance if key not in known)
        path, expected = (*path, unknown), None
        message = f"unknown key '{unknown}'. {nearest(str(unknown), known)}"
    elif error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        message = f"the key '{missing}' is missing"
        expected = error.schema.get("properties", {}).get(missing, {}).get("description")
    elif error.validator == "enum":
        known = map(str, error.validator_value)
        message = f"'{error.instance}' is not known. {nearest(str(error.instance), known)}"
    raise ConfigError(
        message if len(message) <= 300 else f"{message[:300]}...",
        file=file,
        line=line_of(path, lines),
        key=dotted(path),
        hint=f"Expected: {expected.rstrip('.')}." if expected else None,
    )
