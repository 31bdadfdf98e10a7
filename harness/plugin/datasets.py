"""`@pytest.mark.dataset(...)`, and the fixtures `dataset` and `outputs`: data as ordinary tests see them.

What was measured is remembered by the hash of what it was measured on, so a second session with the
same data imports no encoder. What tests asked for goes into the run's `diversity`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import systems
from harness.config import FILE_NAME, Project, State, find_project, load_project
from harness.errors import ConfigError, RungError, nearest
from harness.plugin.options import leaves_in
from harness.run import Suite
from harness.suites import Catalogue

if TYPE_CHECKING:
    from harness.diversity import EmbeddingStore
    from harness.diversity.dataset import Dataset
    from harness.diversity.system_outputs import SystemOutputs
    from harness.plugin.evaluation import Evaluation
    from harness.types import Encoder, Output

MARK = (
    "dataset(file, duplicate_cosine=None, seed=0): training rows beside this module,"
    " for the fixture `dataset`"
)
ARGUMENTS = ("duplicate_cosine", "seed")
DATA: pytest.StashKey[Data] = pytest.StashKey()
ROWS = "rung_data_rows"  # in what a worker hands to the controller


def check(functions: Sequence[pytest.Function]) -> None:
    """Find a wrong mark and a missing file before anything runs."""
    for function in functions:
        mark = function.get_closest_marker("dataset")
        if mark is not None:
            _training_file(function, mark)


def last(items: list[pytest.Item]) -> None:
    """Move tests of outputs behind the suites, whose answers they then share."""
    items.sort(key=lambda item: "outputs" in _asked_for(item))


class Data:
    """The sets and outputs that the tests of one session ask for."""

    def __init__(self, evaluation: Evaluation) -> None:
        self._evaluation = evaluation
        self._projects: dict[Path, _ProjectData] = {}
        self._sets: dict[tuple[object, ...], tuple[Dataset, str, str]] = {}
        self._outputs: dict[tuple[Path, str, str], SystemOutputs] = {}
        self.handed_over: list[dict[str, Any]] = []  # rows of workers

    def dataset(self, item: pytest.Function) -> Dataset:
        """Return the rows that an item's mark names."""
        mark = item.get_closest_marker("dataset")
        if mark is None:
            raise ConfigError(
                "`dataset` needs to know which rows",
                file=item.path,
                key=item.name,
                hint='Mark the test or its module: pytest.mark.dataset("train.jsonl").',
            )
        file, asked = _training_file(item, mark), mark.kwargs
        key = (file, *sorted(asked.items()))
        if key not in self._sets:
            data = self._project(item)
            name = data.suite_of(file)
            self._sets[key] = (data.dataset(file, name, asked), mark.args[0], name)
        return self._sets[key][0]

    def outputs(self, item: pytest.Function, suite: str, system: str) -> SystemOutputs:
        """Return what a system answered on a suite: in this session, or through the cache."""
        options, data = self._evaluation.config, self._project(item)
        if options.getoption("rung_case"):
            pytest.skip("--case leaves outputs out")
        if not leaves_in(options, system):
            pytest.skip(f"--system leaves {system} out")
        key = (data.project.file, suite, system)
        if key not in self._outputs:
            answered = self._answered(data, data.suite(suite), system)
            texts = {o.case_id: o.text for o in answered if o.error is None}
            self._outputs[key] = data.outputs(f"{system} on {suite}", texts)
        return self._outputs[key]

    def rows(self) -> list[dict[str, Any]]:
        """What was measured, as rows of run.json's `diversity`."""
        found = [
            {"name": name, "suite": suite or None, "rows": len(dataset), **dataset.measured}
            for dataset, name, suite in self._sets.values()
            if dataset.measured
        ]
        found += [
            {"suite": suite, "system": system, **outputs.measured}
            for (_, suite, system), outputs in self._outputs.items()
        ]
        return found + self.handed_over

    def beside(self, reports: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Put what tests measured of a suite's training rows into its report, and the rest behind."""
        rows = self.rows()
        merged = []
        for report in reports:
            of_suite = [r for r in rows if r["suite"] == report["suite"] and "system" not in r]
            rows = [r for r in rows if r not in of_suite]
            merged.append({**{k: v for r in of_suite for k, v in r.items()}, **report})
        return merged + rows

    def _answered(self, data: _ProjectData, suite: Suite, system: str) -> list[Output]:
        run = self._evaluation.run.runs.get(suite.name)
        held = run.answers.get(system, {}) if run is not None else {}
        keys = [(case.id, 0) for case in suite.cases]
        answers = [held[key] for key in keys if key in held]
        if len(answers) < len(keys):
            options = self._evaluation.config
            answers = data.ask(
                suite,
                system,
                only_cached=options.getoption("rung_replay")
                or options.getoption("rung_max_cost") is not None,
            )
        absent = [answer for answer in answers if answer.output is None]
        if absent:
            pytest.skip(
                f"{len(absent)} of {len(keys)} outputs of {system} not run: {absent[0].reason}"
            )
        return [answer.output for answer in answers if answer.output is not None]

    def _project(self, item: pytest.Function) -> _ProjectData:
        file = find_project(item.path)
        if file is None:
            raise ConfigError(
                f"this test has no {FILE_NAME} in its folder or above it",
                file=item.path,
                hint="Write one with `rung init`.",
            )
        if file not in self._projects:
            self._projects[file] = _ProjectData(load_project(file), self._evaluation.catalogue)
        return self._projects[file]


class _ProjectData:
    """A project's suites, embeddings and remembered measures."""

    def __init__(self, project: Project, catalogue: Catalogue) -> None:
        from harness.diversity.memory import Memory

        self.project = project
        self.state = State(project.root)
        self._memory = Memory(self.state.data / "measures")
        self._session = catalogue

    @cached_property
    def suites(self) -> Mapping[str, Suite]:
        """Every suite beside rung.yaml, also those that this session does not run."""
        catalogue = Catalogue()
        catalogue.suites = dict(self._session.suites)
        catalogue.find([self.project.folder])
        own = self.project.file
        return {s.name: s for s in catalogue.suites.values() if s.project.file == own}

    @cached_property
    def encoder(self) -> EmbeddingStore:
        """The store of embeddings; the encoder is loaded when a new text comes."""
        from harness.diversity import EmbeddingStore
        from harness.training_check import TrainingCheck
        from systems.late_encoder import LateEncoder

        name = TrainingCheck(self.project).encoder_name
        encoder = _TestsEncoder(LateEncoder(name, self.project.folder))
        return EmbeddingStore(self.state.data / "embeddings", encoder)

    def suite(self, name: str) -> Suite:
        """Look a suite up."""
        if name not in self.suites:
            raise ConfigError(f"no suite is called '{name}'. {nearest(name, self.suites)}")
        return self.suites[name]

    def suite_of(self, training: Path) -> str:
        """The suite whose training rows these are; empty where they are nobody's."""
        folder = self.project.folder
        trained = {n: s.training for n, s in self.project.suites.items() if s.training is not None}
        return next((n for n, f in trained.items() if (folder / f).resolve() == training), "")

    def dataset(self, file: Path, suite: str, asked: Mapping[str, Any]) -> Dataset:
        """Read rows, with all that the project knows beside them."""
        from dataclasses import replace

        from harness.diversity.dataset import Dataset
        from harness.training_check import options_of, training_rows

        rows = training_rows(self.project, file)
        cases = {name: found.cases for name, found in self.suites.items()}
        options = options_of(self.project, suite, file, rows=rows, cases=cases.get(suite, ()))
        cosine = asked.get("duplicate_cosine")
        if cosine is not None:
            options = replace(options, limits=replace(options.limits, duplicate_cosine=cosine))
        return Dataset(
            rows,
            encoder=self.encoder,
            eval_suites=cases,
            options=options,
            seed=asked.get("seed", 0),
            memory=self._memory,
        )

    def outputs(self, name: str, texts: Mapping[str, str]) -> SystemOutputs:
        """Make outputs measurable."""
        from harness.diversity.system_outputs import SystemOutputs

        return SystemOutputs(name, texts, encoder=self.encoder, memory=self._memory)

    def ask(self, suite: Suite, system: str, *, only_cached: bool) -> list[Any]:
        """Ask a system for a suite's cases, through the cache."""
        from harness.cache import Cache
        from harness.runner import Batch, Mode, Runner
        from systems.fingerprint import fingerprint

        spec = self.project.system(system)
        digest = fingerprint(spec, memo=self.state.hashes).digest
        batch = Batch(spec=spec, fingerprint=digest, cases=suite.cases)
        with closing(Cache(self.state.cache)) as cache:
            mode: Mode = "replay" if only_cached else "cached"
            return list(Runner(load=systems.load, cache=cache, mode=mode).run(batch).values())


class _TestsEncoder:
    """An encoder whose failure is told in a line: a traceback through ours would help nobody."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    @property
    def fingerprint(self) -> str:
        """That of the encoder."""
        return self._encoder.fingerprint

    def encode(self, texts: Sequence[str]) -> Any:
        """Return one unit row for each text, shape (len(texts), d)."""
        try:
            return self._encoder.encode(texts)
        except RungError as error:
            raise failure(error) from None


def failure(error: RungError) -> BaseException:
    """What fails a test by a message alone."""
    return pytest.fail.Exception(f"rung: {error}", pytrace=False)


def _training_file(function: pytest.Function, mark: pytest.Mark) -> Path:
    module, key = function.path, f"{function.name}: dataset"
    for name in mark.kwargs:
        if name not in ARGUMENTS:
            raise ConfigError(
                f"unknown argument '{name}' of the dataset mark. {nearest(name, ARGUMENTS)}",
                file=module,
                key=key,
            )
    if len(mark.args) != 1 or not isinstance(mark.args[0], str):
        raise ConfigError(
            "the dataset mark names one file: dataset('train.jsonl')", file=module, key=key
        )
    file = (module.parent / mark.args[0]).resolve()
    if not file.is_file():
        near = [p.relative_to(module.parent).as_posix() for p in _beside(file)]
        raise ConfigError(
            f"there is no file '{mark.args[0]}' beside this module. {nearest(mark.args[0], near)}",
            file=module,
            key=key,
        )
    return file


def _beside(file: Path) -> Iterator[Path]:
    return file.parent.glob("*.jsonl") if file.parent.is_dir() else iter(())


def _asked_for(item: pytest.Item) -> Sequence[str]:
    return getattr(item, "fixturenames", ())
