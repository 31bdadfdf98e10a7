"""Training and judging for `rung pilot`: what is piloted, and the bench that it is done on."""

from __future__ import annotations

import json
import os
import random
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import click

import systems
from harness.beside import Beside
from harness.cases import content_hash
from harness.cli.subject import Subject
from harness.cli.suite_process import run_suites
from harness.cli.workspace import Workspace
from harness.errors import ConfigError
from harness.escalation.evidence import Audit, Readiness
from harness.escalation.readiness import unready
from harness.escalation.traits import is_oracle
from harness.pilot import (
    Pilots,
    Training,
    Workshop,
    digest,
    findings_of,
    nested,
    read_scored,
)
from harness.pilot.findings import Scored
from harness.pilot.standing import hashes_beside
from harness.pilot.variants import general_of, many_shot, on_general_skills, tuned, with_model_of
from harness.run import Suite
from harness.training_check import file_hash, readiness_of
from harness.types import SystemSpec
from systems.eval_rows import Suites, eval_cases, refuse_eval_rows
from systems.fingerprint import fingerprint
from systems.prepared_rows import PreparedRow, RowPreparer
from systems.recipe import read_recipe, read_training_objects
from systems.split import without_test
from systems.untrained import prompts_of, training_basis

ORDER = 0  # seed of the order in which nested subsets take the rows
LOGGED_S = 10.0  # seconds between two lines of progress


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Trains and judges one subject, and says how far it is."""

    workspace: Workspace
    subject: Subject
    quiet: bool = False
    tuned_elsewhere: Sequence[tuple[int, str]] = ()  # training rows and system

    @cached_property
    def workshop(self) -> Workshop:
        """Where results are kept."""
        suite, general = self.subject.suite, self.subject.general
        judged_by = [
            [s.file.read_text("utf-8"), content_hash(s.cases), list(s.config.decides)]
            for s in (suite, general)
            if s is not None
        ]
        spec = self.subject.system
        memo = self.workspace.state.hashes
        return Workshop(
            folder=self.workspace.state.folder / "pilot" / self.subject.name,
            basis=training_basis(spec, memo=memo) if spec is not None else {},
            judged_by=digest(judged_by),
            train=self._train,
            judge=self._judge,
        )

    def say(self, text: str) -> None:
        """Tell how far it is; on stderr, where JSON is printed."""
        click.echo(text, err=self.quiet)

    @cached_property
    def prepared(self) -> list[PreparedRow]:
        """The training rows as they would be trained on."""
        assert self.subject.system is not None
        recipe = read_recipe(self.subject.system)
        preparer = RowPreparer(prompts_of(self.subject.system), recipe)
        return preparer.prepare(read_training_objects(recipe))

    @property
    def inputs(self) -> Suites:
        """What the suites ask."""
        suites = self.workspace.catalogue().suites.values()
        return {suite.name: [case.input for case in suite.cases] for suite in suites}

    @cached_property
    def prints(self) -> dict[str, str]:
        """Fingerprints of what trainings are compared with, as they were when it was first judged."""
        return self._printed(self._comparable)

    def rows(self) -> list[Mapping[str, Any]]:
        """The training rows in nested order; refused when a case of a suite is among them."""
        assert self.subject.system is not None
        recipe = read_recipe(self.subject.system)
        refuse_eval_rows(self.prepared, self.inputs, recipe)
        shown = without_test([row.row for row in self.prepared], recipe)
        return nested(shown, rng=random.Random(ORDER))

    def readiness(self, rows: Path) -> dict[str, Any]:
        """What `rung data` finds in the rows: a pilot on bad rows says little."""
        suite = self.subject.suite
        found = examined(self.workspace, suite, rows)
        if not found.get("ready", True):
            audit = found.get("audit")
            known = {**found, "audit": None if audit is None else Audit(**audit)}
            self.say(f"the training rows are not ready: {'; '.join(unready(Readiness(**known)))}")
        return found

    def trained(
        self, plan: Sequence[Training], rows: Sequence[Mapping[str, Any]]
    ) -> dict[Training, SystemSpec]:
        """Train what the plan names, and judge each on the suite as soon as it is there."""
        assert self.subject.system is not None
        found = {}
        for number, training in enumerate(plan, 1):
            self.say(f"[{number} of {len(plan)}] {training.rows:,} rows, seed {training.seed}")
            subset = rows[: training.rows]
            adapter = self.workshop.adapter(training, subset)
            spec = tuned(self.subject.system, adapter, name=training.name)
            self._score(training, spec, largest=training.rows == plan[-1].rows)
            found[training] = spec
        return found

    def _score(self, training: Training, spec: SystemSpec, *, largest: bool) -> None:
        suites = {self.subject.suite.name: (spec,)}
        base, key = self.general_base, None
        if largest and self.subject.general is not None and base is not None:
            adapter = Path(spec.options["adapter"])
            skilled = on_general_skills(base, adapter, name=f"{training.name}-general")
            suites[self.subject.general.name] = (skilled,)
            key = self.prints[base.name]
        run = self.workshop.run(training.name, Beside(suites=suites), key=key)
        scored = read_scored([run], self.subject.suite.name)
        passed, cases = scored.passed(spec.name), len(scored.judged_on)
        self.say(f"    passes {passed:g} of {cases} cases ({passed / cases:.0%})")

    @property
    def cheap(self) -> list[SystemSpec]:
        """The prompt and RAG systems that compete with tuning."""
        suite = self.subject.suite
        return [
            s
            for s in suite.systems
            if s.rung in ("prompt", "rag")
            and not is_oracle(s.options.get("retriever"))
            and s.name not in suite.project.probes
        ]

    @property
    def general_base(self) -> SystemSpec | None:
        """The prompt system on general skills that tuning is compared with."""
        general, spec = self.subject.general, self.subject.system
        if general is None or spec is None:
            return None
        return general_of(general, spec)

    @cached_property
    def imported(self) -> dict[Training, SystemSpec]:
        """Systems that were tuned elsewhere, in the place of trainings."""
        project, found = self.subject.suite.project, {}
        seeds: dict[int, int] = {}
        for rows, name in sorted(self.tuned_elsewhere):
            seed = seeds.get(rows, 0)
            found[Training(rows=rows, seed=seed)] = project.system(name, key="--import")
            seeds[rows] = seed + 1
        return found

    def conclude(
        self,
        trained: Mapping[Training, SystemSpec],
        *,
        shots: Sequence[int],
        smaller: float | None,
    ) -> dict[str, Any]:
        """Judge what the trainings are compared with, and put everything together."""
        suite, general = self.subject.suite, self.subject.general
        spec = self.subject.system or next(iter(trained.values()))
        self._require_unchanged()
        own = with_model_of(spec, self.cheap)
        many_shot = self._many_shot(own, shots)
        runs = self._compared([many for _, many in many_shot], trained)
        scored, pilots = read_scored(runs, suite.name), self._parts(trained, own, many_shot)
        skills = None
        if general is not None and pilots.general:
            skills = read_scored(runs, general.name)
        findings = findings_of(scored, pilots, target=self.subject.target, general=skills)
        found = findings.to_json()
        stands_on = self._stands_on(found, scored, skills)
        record = self._record(found, spec, stands_on, smaller) | {"metrics": sorted(scored.metrics)}
        if skills is not None:
            record["general"] = {"suite": skills.suite["name"], "metrics": dict(skills.metrics)}
        if self.subject.system is not None and (held := self._eval_cases(trained)):
            record["eval_cases"] = held
        return record

    def _parts(
        self,
        trained: Mapping[Training, SystemSpec],
        own: Sequence[SystemSpec],
        many_shot: Sequence[tuple[int, SystemSpec]],
    ) -> Pilots:
        base, largest = self.general_base, max(training.rows for training in trained)
        skilled = [f"{t.name}-general" for t in trained if t.rows == largest]
        return Pilots(
            trained={training: s.name for training, s in trained.items()},
            prompts=[s.name for s in own],
            cheap=[s.name for s in self.cheap],
            many_shot={k: many.name for k, many in many_shot},
            general=skilled if base is not None else (),
            general_base=base.name if base is not None else None,
        )

    @property
    def _comparable(self) -> list[SystemSpec]:
        base = self.general_base
        return [*self.cheap, *([base] if base is not None else []), *self.imported.values()]

    def _printed(self, specs: Iterable[SystemSpec]) -> dict[str, str]:
        memo = self.workspace.state.hashes
        return {spec.name: fingerprint(spec, memo=memo).digest for spec in specs}

    def _eval_cases(self, trained: Iterable[Training]) -> dict[str, int]:
        """Cases by suite that the largest training saw, where the recipe allows them."""
        shown = set(map(id, self.rows()[: max(training.rows for training in trained)]))
        return eval_cases([row for row in self.prepared if id(row.row) in shown], self.inputs)

    def _require_unchanged(self) -> None:
        """Refuse trainings of two recipes or two base models as one curve, and two prompts as one."""
        spec = self.subject.system
        now = training_basis(spec, memo=self.workspace.state.hashes) if spec is not None else {}
        prints = self._printed(self._comparable)
        changed = [name for name, value in now.items() if self.workshop.basis.get(name) != value]
        changed += [f"system {n}" for n, value in self.prints.items() if prints.get(n) != value]
        if changed:
            raise ConfigError(
                f"changed while the pilot ran: {', '.join(changed)}", hint="Run it again."
            )

    def _many_shot(
        self, prompts: Sequence[SystemSpec], shots: Sequence[int]
    ) -> list[tuple[int, SystemSpec]]:
        """The same prompt with more and more training rows in it."""
        shown = [s for s in prompts if "examples" in s.options]
        if not shown or self.subject.system is None or not shots:
            return []
        recipe = read_recipe(self.subject.system)
        rows = len(read_training_objects(recipe))
        return [(k, many_shot(shown[0], recipe.data, k)) for k in shots if k <= rows]

    def _compared(
        self,
        many_shot: Sequence[SystemSpec],
        trained: Mapping[Training, SystemSpec],
    ) -> list[Path]:
        """Stored runs of everything: the trainings, their base, the prompts, the many-shot prompts."""
        self.say("what it is compared with: prompts, many-shot prompts, general skills")
        suite, general = self.subject.suite, self.subject.general
        extra = [s for s in self.imported.values() if s not in suite.systems]
        beside = {suite.name: [*many_shot, *extra]}
        if general is not None and self.general_base is not None:
            beside[general.name] = []
        run = self.workshop.run(
            "compared",
            Beside(suites={name: tuple(specs) for name, specs in beside.items()}),
            key=self.prints,
        )
        done = [self.workshop.folder / t.name for t in trained if self.subject.system is not None]
        notes = [json.loads((place / "judged.json").read_text("utf-8")) for place in done]
        return [run, *(p / "runs" / n["run"] for p, n in zip(done, notes, strict=True))]

    @property
    def _rows_file(self) -> Path | None:
        suite = self.subject.suite
        if self.subject.system is not None:
            return read_recipe(self.subject.system).data
        training = suite.config.training
        return suite.project.folder / training if training is not None else None

    def _stands_on(
        self,
        found: Mapping[str, Any],
        scored: Scored,
        skills: Scored | None,
    ) -> dict[str, str]:
        """Hashes of all that was found stands on; `harness.pilot.standing` says what falls with which."""
        rows, base = self._rows_file, self.general_base
        stands_on = {
            **self.workshop.basis,
            **hashes_beside(
                found,
                self.prints,
                skills=skills,
                base=base.name if base is not None else None,
                imported=self.subject.system is None,
            ),
            "cases": content_hash(self.subject.suite.cases),
            "metrics": digest(dict(scored.metrics)),
        }
        if rows is not None and rows.is_file():
            stands_on["training"] = file_hash(rows)
        return dict(sorted(stands_on.items()))

    def _record(
        self,
        found: Mapping[str, Any],
        spec: SystemSpec,
        stands_on: Mapping[str, str],
        smaller: float | None,
    ) -> dict[str, Any]:
        suite, rows = self.subject.suite, self._rows_file
        target_model = suite.project.systems[suite.champion].model or spec.model
        pilot = found["evidence"]["pilot"]
        pilot |= {
            "same_model": smaller is None and spec.model in (None, target_model),
            "cases_hash": stands_on["cases"],
        }
        if spec.model is not None:
            pilot["model"] = spec.model.name
        if smaller is not None:
            pilot["times_smaller"] = smaller
        if rows is not None and "training" in stands_on:
            pilot["data_hash"] = stands_on["training"]
            found["evidence"]["readiness"] = self.readiness(rows)
        return {
            "suite": suite.name,
            "system": self.subject.name,
            "made": datetime.now(UTC).date().isoformat(),
            "rows_file": None if rows is None else _relative(rows, suite.project.folder),
            "stands_on": dict(stands_on),
            **found,
        }

    def _train(self, rows: Sequence[Mapping[str, Any]], out: Path, seed: int) -> Path:
        assert self.subject.system is not None
        trainer = systems.load_trainer(self.subject.system, on_log=_Ticker(self.say))
        with warnings.catch_warnings():
            # PEFT looks for the base model where rung.yaml's path does not lead.
            warnings.filterwarnings("ignore", message="Could not find a config file")
            return trainer.train(rows, out=out, seed=seed)

    def _judge(self, beside: Path) -> Path:
        """Run the suites themselves, in a process of their own, on the systems of a file."""
        document = json.loads(beside.read_text("utf-8"))
        named = [spec["name"] for specs in document["suites"].values() for spec in specs]
        if beside.parent.name == "compared":
            named += [s.name for s in self._comparable]
        asked = (self.subject.suite, self.subject.general)
        files = [s.file for s in asked if s is not None and s.name in document["suites"]]
        return run_suites(files, beside, systems=named, folder=self.workspace.root)


def examined(workspace: Workspace, suite: Suite, rows: Path) -> dict[str, Any]:
    """Examine training rows as `rung data` does, and remember it."""
    from harness.cli.data.encoding import open_embeddings
    from harness.cli.data.examining import Asked, examine_set

    suites = {s.name: s.cases for s in workspace.catalogue().suites.values()}
    project = suite.project
    store = open_embeddings(project)
    found = examine_set(project, (suite.name, rows), suites, store=store, asked=Asked())
    return readiness_of(found.report)


def _relative(file: Path, folder: Path) -> str:
    return Path(os.path.relpath(file, folder)).as_posix()


class _Ticker:
    """Says every few seconds how far a training is."""

    def __init__(self, say: Any) -> None:
        self._say, self._last = say, time.monotonic()

    def __call__(self, entry: Mapping[str, Any]) -> None:
        now = time.monotonic()
        if "loss" in entry and now - self._last >= LOGGED_S:
            self._last = now
            self._say(
                f"    step {entry['step']} of {entry['steps']}, loss {float(entry['loss']):.3f}"
            )
