"""What a pytest session does as an evaluation: check, plan, judge, store, and say how it ended."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

import systems
from harness.beside import Beside, read_beside
from harness.cache import Cache
from harness.cases import case_hash
from harness.config import Project, State
from harness.errors import ConfigError, nearest
from harness.plugin import parts, short_path
from harness.plugin.asking import Judges
from harness.plugin.blessed import Baseline
from harness.plugin.collection import Collector
from harness.plugin.items import CaseItem, FoldedItem, GateItem, score_case
from harness.plugin.judging import SEED, Judging
from harness.plugin.options import leaves_in
from harness.plugin.progress import BatchProgress
from harness.plugin.projects import check_apart
from harness.plugin.second_look import SecondLook
from harness.plugin.until_decided import UntilDecided
from harness.run import Run, Suite, SuiteRun
from harness.runner import Budget, Mode, Runner
from harness.store import RunStore, new_run_id
from harness.suites import Catalogue
from harness.types import Fingerprint, GateResult, System, SystemSpec

if TYPE_CHECKING:
    from harness.plugin.money import Tariff

RAN_THROUGH = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)
UNDECIDED_EXIT = 10  # nothing failed, but a gate is undecided and the project asked for a decision


class Evaluation:
    """One session: made in `pytest_configure`, so that mistakes are found before anything runs."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.started = datetime.now(UTC)
        self.worker: dict[str, Any] | None = getattr(config, "workerinput", None)
        self.run_id: str = (self.worker or {}).get("rung_run_id") or new_run_id(self.started)
        beside = self._option("beside")
        self.beside = read_beside(Path(beside)) if beside is not None else Beside()
        self.catalogue = Catalogue(self.beside)
        self.catalogue.find(_asked_paths(config))
        self._check_names()
        self._check_projects()
        self.misconfigured = False
        self.reached_last = False  # the last item of the session has begun
        self.stopped = False  # items were left that nobody chose to leave out
        self.notes: list[str] = []  # what went wrong, for the user
        self.stored: Path | None = None  # the folder of the run, once it is written
        self.document: dict[str, Any] | None = None
        self._fingerprints: dict[tuple[Path, str], Fingerprint] = {}
        self.runner = self._runner()
        self.run = Run(
            runner=self.runner, fingerprint=self.fingerprint, epochs=self._option("epochs")
        )
        for suite in self.catalogue.suites.values():
            for spec in self.chosen(suite):
                self.fingerprint(spec)  # a file that a system names and that is not there
        self._check()
        self.baseline = Baseline(self._option("baseline"), self.store)
        if self.catalogue.suites and not config.option.collectonly:
            self.baseline.check()
        self._collector = self._collect()
        self._quiet: dict[Path, bool] = {}

    def _collect(self) -> Collector:
        """What turns test functions into items, with who judges and who answers them."""
        judges = Judges(self.run)
        judging = Judging(
            again=SecondLook(
                baseline=self.baseline, judges=judges, folder=self.state.folder / "blessed"
            ),
            run=self.run,
            sequential=self._option("until_decided"),
            all_systems=self._option("all_gates"),
        )
        collector = Collector(
            catalogue=self.catalogue,
            session=self.run,
            judge=judging.judge,
            asking=judges,
            options=self.config,
        )
        if self._option("until_decided"):
            self.run.answer = UntilDecided(
                ask=self.run.answer_all, judging=judging, views=collector.views, seed=SEED
            )
        return collector

    def _option(self, name: str) -> Any:
        return self.config.getoption(f"rung_{name}")

    @property
    def project(self) -> Project | None:
        """The project of the session's suites; the first, where there are several."""
        return next((suite.project for suite in self.catalogue.suites.values()), None)

    @property
    def root(self) -> Path:
        """The folder that holds `reports/` and `.rung/`: the one above `evals/`."""
        return self.project.root if self.project is not None else self.config.rootpath

    @property
    def state(self) -> State:
        """What is remembered between runs."""
        return State(self.root)

    @property
    def store(self) -> RunStore:
        """The stored runs of the project."""
        return RunStore(self.beside.reports or self.root / "reports")

    def _runner(self) -> Runner:
        if self._option("fresh") and self._option("replay"):
            raise ConfigError(
                "--fresh ignores the cache and --replay reads nothing else: give one of them"
            )
        mode: Mode = (
            "fresh" if self._option("fresh") else "replay" if self._option("replay") else "cached"
        )
        return Runner(
            load=self._loader(),
            cache=self.cache,
            mode=mode,
            progress=BatchProgress(self.config) if self.worker is None else None,
            budget=self._budget(),
        )

    @cached_property
    def cache(self) -> Cache | None:
        """Open the cache until pytest ends, where anything may be asked."""
        if not self.catalogue.suites or self.config.option.collectonly:
            return None
        cache = Cache(self.state.cache)
        self.config.add_cleanup(cache.close)
        return cache

    def _loader(self) -> Callable[[SystemSpec], System]:
        """Return what builds a system for the engine that was asked for."""
        if self._option("engine") == "local":
            return systems.load
        loader: Any = systems.resolve(
            "systems.on_ray:load_on_ray", feature="--engine ray", extra="ray"
        )
        return cast("Callable[[SystemSpec], System]", loader)

    def _budget(self) -> Budget | None:
        if self.tariff is None:
            return None
        for suite in self.catalogue.suites.values():
            for spec in self.chosen(suite):
                self.tariff.check(spec)
        workers = (self.worker or {}).get("workercount", 1)  # each of them spends its share
        return Budget(
            limit=self._option("max_cost") / workers,
            cost=self.tariff.cost,
            unpriced=self.tariff.unpriced,
        )

    @cached_property
    def tariff(self) -> Tariff | None:
        """What answers cost, where `--max-cost` limits it."""
        if self._option("max_cost") is None or self.project is None:
            return None
        from harness.plugin.money import Tariff

        return Tariff.of(self.project)

    def _check_judges(self, suite: Suite) -> None:
        """Find a judge whose answers have no price; its mark may be known from collection on."""
        for metric in self.run.run_of(suite).metrics.values():
            if self.tariff is not None and metric.judge is not None:
                self.tariff.check(suite.project.system(metric.judge.system))

    def _check(self) -> None:
        """Find what is wrong with systems and files before anything runs; the controller does it for all."""
        if self.worker is not None or self.config.option.collectonly:
            return
        from harness.evidence_files import check_evidence_files

        check_evidence_files(self.catalogue.suites.values())
        for suite in self.catalogue.suites.values():
            for spec in self.chosen(suite):
                self.run.check(spec, suite.cases)

    def _check_names(self) -> None:
        suites = self.catalogue.suites.values()
        known = {spec.name for suite in suites for spec in suite.systems}
        for name in self._option("system"):
            if known and name not in known:
                raise ConfigError(
                    f"no suite runs on '{name}'. {nearest(name, known)}", key="--system"
                )
        ids = {case.id for suite in suites for case in suite.cases}
        for name in self._option("case"):
            if ids and name not in ids:
                raise ConfigError(
                    f"no case has the id '{name}'. {nearest(name, ids)}", key="--case"
                )

    def _check_projects(self) -> None:
        suites = self.catalogue.suites.values()
        check_apart((suite, spec) for suite in suites for spec in self.chosen(suite))

    def chosen(self, suite: Suite) -> list[SystemSpec]:
        """The systems of a suite that `--system` leaves in."""
        return [spec for spec in suite.systems if leaves_in(self.config, spec.name)]

    def fingerprint(self, spec: SystemSpec) -> Fingerprint:
        """Hash a system, once a session."""
        from systems.fingerprint import fingerprint

        key = (spec.folder, spec.name)
        if key not in self._fingerprints:
            memo = self.state.hashes
            self._fingerprints[key] = fingerprint(spec, memo=memo)
        return self._fingerprints[key]

    def items(
        self, module: pytest.Module, functions: Sequence[pytest.Function]
    ) -> list[pytest.Item] | None:
        """Make the items of a suite's functions; None where the module is no suite."""
        suite = self._collector.suite_of(module)
        if suite is None:
            return None
        self._check_projects()  # its mark may be known from collection on
        items = list(self._collector.items(suite, functions))
        self._check_judges(suite)
        return items

    def plan(self, selected: Sequence[CaseItem | FoldedItem]) -> None:
        """Fix the batches, and note which suites were narrowed by the user."""
        self._narrowing = bool(
            self._option("case") or self.config.option.keyword or self.config.option.markexpr
        )
        chosen = set(map(id, selected))
        for item in self._collector.created:
            run = item.view.run
            taken = id(item) in chosen
            if taken:
                run.plan(item.view.system.name, _cases(item))
            run.narrowed |= not taken or (
                isinstance(item, FoldedItem) and bool(self._option("case"))
            )

    def is_quiet(self, item: CaseItem) -> bool:
        """Tell whether this item's module may run the short way."""
        if item.path not in self._quiet:
            self._quiet[item.path] = short_path.is_quiet(item)
        return self._quiet[item.path]

    def complete(self, gate: GateItem) -> None:
        """Score the cases of a gate that was selected without them."""
        if self._left_out_on_purpose(gate):
            return
        from _pytest.runner import runtestprotocol

        for item in list(gate.unscored_items()):
            gate.view.run.plan(gate.view.system.name, _cases(item))
        for item in list(gate.unscored_items()):
            if item.view.marked or (isinstance(item, CaseItem) and not item.view.short):
                runtestprotocol(item, log=False, nextitem=gate)
            else:
                for case in _cases(item):
                    score_case(item.view, case)

    def _left_out_on_purpose(self, gate: GateItem) -> bool:
        """Tell whether `--case`, `-k` or `-m` took some, but not all, of a gate's cases."""
        if self._option("case"):
            return True
        planned = gate.view.run.planned.get(gate.view.system.name, {})
        scored = gate.view.run.scores.get((gate.view.metric.name, gate.view.system.name), {})
        return self._narrowing and bool(scored) and len(planned) < len(gate.view.run.suite.cases)

    def finish(self, session: pytest.Session) -> int:
        """Store what was run and return the session's exit code."""
        exitstatus = int(session.exitstatus)
        if self.misconfigured:
            return int(pytest.ExitCode.USAGE_ERROR)
        folder = self.state.folder / "parts" / self.run_id
        if self.worker is not None:
            parts.write(folder, str(self.worker["workerid"]), self.run)
            return exitstatus
        if self.config.option.collectonly or not self.catalogue.suites:
            return exitstatus
        parts.merge(folder, self.run, self.catalogue)
        self.notes += self.runner.notes()
        if not any(run.answers for run in self.run.runs.values()):
            return exitstatus
        self._note_stop(session)
        from harness.plugin.finish import store_run

        store_run(self)
        return self._exit_code(exitstatus)

    def _note_stop(self, session: pytest.Session) -> None:
        """Treat a run that was stopped as a narrowed one: what is missing from it was not measured."""
        # `-x` ends a session as failed; under `-n`, and by Ctrl-C, it ends as interrupted.
        failed = bool(session.shouldfail) and not self.reached_last
        self.stopped = failed or session.exitstatus not in RAN_THROUGH
        if self.stopped:
            for run in self.runs():
                run.narrowed = True
            self.notes.append(
                "this run was stopped before its end: it is stored, but `latest` stays where it was,"
                " no verdict is drawn and it cannot be blessed"
            )
            self.notes += self._unheard()

    def _unheard(self) -> Iterator[str]:
        """Say of each system that was stopped while it answered how many of its answers are kept."""
        for run in self.runs():
            hashes = {case.id: case_hash(case) for case in run.suite.cases}
            specs = {spec.name: spec for spec in run.suite.systems}
            for system, keys in run.unanswered.items():
                digest = self.fingerprint(specs[system]).digest
                wanted = [(hashes[case], epoch) for case, epoch in keys]
                kept = len(self.cache.get(digest, wanted)) if self.cache is not None else 0
                yield (
                    f"{system} was stopped while it answered {run.suite.name}: {len(keys):,} of its"
                    f" outputs count as not run; {kept:,} of them are in the cache for the next run"
                )

    def _exit_code(self, exitstatus: int) -> int:
        undecided = any(
            gate.state == "undecided"
            for run in self.run.runs.values()
            if run.suite.project.decision.undecided == "fail"
            for gates in run.gates.values()
            for gate in gates
        )
        return UNDECIDED_EXIT if exitstatus == pytest.ExitCode.OK and undecided else exitstatus

    def gates(self) -> Iterator[GateResult]:
        """Yield every judged gate."""
        for run in self.run.runs.values():
            for results in run.gates.values():
                yield from results

    def runs(self) -> list[SuiteRun]:
        """Return the suites that did something."""
        return [run for run in self.run.runs.values() if run.answers]


def _cases(item: CaseItem | FoldedItem) -> Sequence[Any]:
    return [item.case] if isinstance(item, CaseItem) else item.cases


def _asked_paths(config: pytest.Config) -> list[Path]:
    """Return the modules that the command line asks for, without those that pytest would skip."""
    ignored = config.getini("norecursedirs")
    found: list[Path] = []
    for argument in config.args:
        path = (config.invocation_params.dir / str(argument).partition("::")[0]).resolve()
        if path.is_file():
            found.append(path)
        for folder, names, files in os.walk(path):
            names[:] = sorted(
                n for n in names if not any(fnmatch.fnmatch(n, pattern) for pattern in ignored)
            )
            found += [Path(folder, f) for f in sorted(files) if fnmatch.fnmatch(f, "test_*.py")]
    return found
