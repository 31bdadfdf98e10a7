"""Evidence from a stored run: its document, its tables, and what rung.yaml says.

What a run cannot know (readiness of the training data, a pilot, calibration of a judge) is handed in as
`known`: parts of the evidence document by suite, as its schema has them. Rows of run.json's `pilots` and
`diversity` that name the suite may carry the same under `evidence`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.config import Project
from harness.economics import read_prices
from harness.escalation.causes import causes_of, misses_by_rule
from harness.escalation.document import evidence_from_json, evidence_to_json
from harness.escalation.evidence import (
    Evidence,
    Leakage,
    Limits,
    Misses,
    NamedPair,
    Paired,
    Selection,
    Settings,
    Slice,
    Split,
    SystemEvidence,
)
from harness.escalation.expiry import stands_on
from harness.escalation.headroom import LEAST_CASES_OF_A_TAG
from harness.escalation.outcomes_of_run import (
    Document,
    cases_of,
    deciding_metrics,
    in_split,
    paired,
    tables_of,
)
from harness.escalation.shipping import critical_misses, shipping
from harness.escalation.traits import hosted, is_oracle, trained_on_cases, training_rows
from harness.store import Columns
from harness.types import SystemSpec

CLUSTER = "group"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """A stored run with its tables as columns, and the runs before it."""

    document: Document
    scores: Columns
    cases: Columns
    history: Sequence[Document] = ()
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    # Ids of cases, by suite, that training rows or examples may hold; None where nobody looked.
    suspected: Mapping[str, Collection[str]] | None = None
    # Runs, by suite, that are known to have judged locked cases, stored or not.
    locked_uses: Mapping[str, Collection[str]] = field(default_factory=dict)


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Turn rows, as `harness.store.read_table` gives them, into columns."""
    return {name: [row[name] for row in rows] for name in (rows[0] if rows else ())}


def evidence_of_run(run: RunData, project: Project) -> dict[str, Evidence]:
    """Evidence of every suite of a run that has a target and was run whole, by suite."""
    found = {}
    for suite in run.document["suites"]:
        if suite.get("target") is None or suite.get("narrowed"):
            continue
        evidence = _Suite(run, project, suite).evidence()
        if evidence is not None:
            found[suite["name"]] = evidence
    return found


class _Suite:
    """One suite of a run, its tables read once."""

    def __init__(self, run: RunData, project: Project, suite: Mapping[str, Any]) -> None:
        self.run, self.project, self.suite = run, project, suite
        self.name: str = suite["name"]
        self.sequential = bool(run.document.get("until_decided"))
        prices = project.decision.prices
        self.prices = read_prices(project.folder / prices) if prices is not None else None
        cluster = suite.get("cluster", CLUSTER)
        self.metrics = deciding_metrics(run.document, suite)
        self.cases = cases_of(run.cases, self.name, cluster)
        self.tables = tables_of(
            run.scores, self.name, self.metrics, not_run_counts=not self.sequential
        )
        self.judged_on = in_split(self.cases, suite.get("split"))
        self.dev = in_split(self.cases, "dev") if len(self.judged_on) < len(self.cases) else []

    def evidence(self) -> Evidence | None:
        """Put everything together; None where no system has a score."""
        specs = [
            self.project.systems[n] for n in self.suite["systems"] if n in self.project.systems
        ]
        systems = [self.system(spec) for spec in specs if spec.name in self.tables]
        if not any(system.outcomes.n for system in systems):
            return None
        best = best_cheap(systems)
        decision = self.project.decision
        evidence = Evidence(
            suite=self.name,
            target=self.suite["target"],
            systems=tuple(systems),
            pairs=tuple(self.pairs([s.name for s in systems])),
            champion=self.suite["champion"] if self.suite["champion"] in self.tables else None,
            settings=Settings(
                worthwhile_gain=decision.worthwhile_gain,
                tolerated_loss=decision.tolerated_loss,
                alpha=decision.alpha,
                max_cases=decision.max_cases,
                sequential=self.sequential,
            ),
            selection=self.selection(systems),
            limits=Limits(**decision.limits),
            misses=self.misses(best) if best is not None else None,
            judged=bool(set(self.metrics) & set(self.suite.get("judged", ()))),
            leakage=self.leakage([s.name for s in systems]),
            shipping=shipping(self.run.document, self.run.scores, self.suite),
            retained=self.retained(specs),
            economics=self.economics(systems, best),
            slices=tuple(self.slices(systems)),
            stands_on=stands_on(self.run.document, self.suite, self.project),
        )
        stored = [
            row.get("evidence")
            for section in ("diversity", "pilots")
            for row in self.run.document.get(section, ())
            if row.get("suite") == self.name
        ]
        return with_known(evidence, *stored, self.run.known.get(self.name))

    def system(self, spec: SystemSpec) -> SystemEvidence:
        """Outcomes of one system, and what it is."""
        table, options = self.tables[spec.name], spec.options
        usage: Mapping[str, Any] = next(
            (
                row
                for row in self.run.document["usage"]
                if (row["suite"], row["system"]) == (self.name, spec.name)
            ),
            {},
        )
        dev = table.rate(self.cases, self.dev) if self.dev else None
        return SystemEvidence(
            name=spec.name,
            rung=spec.rung,
            outcomes=table.rate(self.cases, self.judged_on),
            dev=dev if dev is not None and dev.n else None,
            oracle=spec.rung == "rag" and is_oracle(options.get("retriever")),
            probe=spec.name in self.project.probes,
            few_shot="examples" in options,
            hosted=hosted(spec),
            model=spec.model.name if spec.model is not None else None,
            training_rows=training_rows(spec),
            trained_on_cases=trained_on_cases(spec, self.name),
            latency_p95_s=usage.get("latency_p95_s"),
            cost_per_call=self.cost_per_call(spec, usage),
            critical_misses=critical_misses(
                self.run.document, self.run.scores, self.name, spec.name
            ),
        )

    def cost_per_call(self, spec: SystemSpec, usage: Mapping[str, Any]) -> float | None:
        """Measured tokens of a call at the prices of its model."""
        if self.prices is None or spec.model is None or not usage.get("outputs"):
            return None
        if usage.get("prompt_tokens") is None or usage.get("completion_tokens") is None:
            return None
        outputs = usage["outputs"]
        tokens = (usage["prompt_tokens"] / outputs, usage["completion_tokens"] / outputs)
        return self.prices.cost_per_call(spec.model.name, *tokens)

    def economics(
        self, systems: Sequence[SystemEvidence], best: SystemEvidence | None
    ) -> dict[str, Any] | None:
        """What is known of the money: prices given, tokens measured; the rest stays missing."""
        volume = self.project.decision.volume_per_month
        if self.prices is None and volume is None:
            return None
        found: dict[str, Any] = {}
        if self.prices is not None:
            found = {"currency": self.prices.currency, "price_date": self.prices.date}
            found |= self.prices.step
        if volume is not None:
            found["volume_per_month"] = volume
        tuned = next((s for s in systems if s.rung == "fine_tuned"), None)
        for name, system in (("cost_per_call_now", best), ("cost_per_call_tuned", tuned)):
            if system is not None and system.cost_per_call is not None:
                found[name] = {"value": system.cost_per_call, "source": "measured"}
        return found

    def pairs(self, names: Sequence[str]) -> Iterable[NamedPair]:
        """Every pair of systems on the judged cases."""
        for first, second in itertools.combinations(names, 2):
            counts = paired(self.tables[first], self.tables[second], self.cases, self.judged_on)
            if counts is not None:
                yield NamedPair(baseline=first, candidate=second, counts=counts)

    def selection(self, systems: Sequence[SystemEvidence]) -> Selection:
        """What was tried over the stored runs, and how often the locked cases were judged on."""
        split: Split = self.suite.get("split") or "all"
        if split == "locked" and not any(case.split for case in self.cases.values()):
            split = "all"
        prompts = {s.name for s in systems if s.rung == "prompt" and not s.probe}
        tried, few_shot = set(), any(s.few_shot for s in systems)
        uses = set(self.run.locked_uses.get(self.name, ()))
        runs = {d["run_id"]: d for d in (*self.run.history, self.run.document)}
        for document in runs.values():
            suite = next((s for s in document["suites"] if s["name"] == self.name), None)
            if suite is None or suite.get("narrowed"):
                continue
            uses |= {document["run_id"]} if suite.get("split") == "locked" else set()
            named = {
                s["name"]: s for s in document["systems"] if s["name"] in suite.get("systems", ())
            }
            prompted = [
                s
                for name, s in named.items()
                if s["rung"] == "prompt" and name not in self.project.probes
            ]
            tried |= {s["fingerprint"] for s in prompted}
            few_shot |= any(
                "examples" in s.get("configuration", {}).get("options", {}) for s in prompted
            )
        return Selection(
            split=split,
            locked_uses=len(uses) if split == "locked" else None,
            prompt_systems=max(len(tried), len(prompts)) if self.run.history else None,
            few_shot_tried=few_shot or None,
        )

    def misses(self, best: SystemEvidence) -> Misses | None:
        """Causes that a person gave, else by rule.

        The rule of a prompt whose cases name their gold passages: it is shown none, so it lacks a fact.
        """
        tagged = tagged_misses(best, self.causes_by_hand(best.name))
        if tagged is not None:
            return tagged
        fractions = self.tables[best.name].fractions
        missed = {i: 1 - f for i in self.judged_on if (f := fractions.get(i)) is not None and f < 1}
        causes: Mapping[str, str] = {i: "missing_fact" for i in missed if self.cases[i].gold}
        if best.rung != "prompt" or not causes:
            causes = causes_of(self.run.scores, self.name, best.name, self.metrics)
        return misses_by_rule(best, causes, missed)

    def causes_by_hand(self, system: str) -> dict[str, int]:
        """Misses of a system that a person tagged, by cause."""
        return {
            row["category"]: row["by_hand"]
            for row in self.run.document.get("categories", ())
            if (row["suite"], row["system"]) == (self.name, system) and row["by_hand"]
        }

    def leakage(self, names: Sequence[str]) -> Leakage | None:
        """Outcomes without the judged cases that may be in training data; None where nobody looked."""
        if self.run.suspected is None:
            return None
        suspects = self.run.suspected.get(self.name, ())
        clean = [case for case in self.judged_on if case not in suspects]
        suspected = len(self.judged_on) - len(clean)
        without = {name: self.tables[name].rate(self.cases, clean) for name in names}
        return Leakage(suspected=suspected, without=without if suspected and clean else {})

    def retained(self, specs: Sequence[SystemSpec]) -> Paired | None:
        """A tuned system of this suite against its base model on the suite of general skills."""
        config = self.project.suites.get(self.name)
        other = config.retained if config is not None else None
        suite = next((s for s in self.run.document["suites"] if s["name"] == other), None)
        if suite is None or suite.get("narrowed"):
            return None
        skills = _Suite(self.run, self.project, suite)
        # A system that was trained a moment ago is asked general skills under a name of its own.
        tuned = [
            (spec, name)
            for spec in specs
            for name in (spec.name, f"{spec.name}-general")
            if spec.rung == "fine_tuned" and name in skills.tables
        ]
        if not tuned:
            return None
        bases = [
            spec
            for name in (suite["champion"], *suite["systems"])
            if (spec := self.project.systems.get(name)) is not None
            and spec.rung == "prompt"
            and spec.model == tuned[0][0].model
            and name in skills.tables
        ]
        if not bases:
            return None
        base, new = skills.tables[bases[0].name], skills.tables[tuned[0][1]]
        return paired(base, new, skills.cases, skills.judged_on)

    def slices(self, systems: Sequence[SystemEvidence]) -> Iterable[Slice]:
        """Every system that a verdict may speak about, by tag; tags of few cases say nothing."""
        by_tag: dict[str, list[str]] = {}
        for name in self.judged_on:
            for tag in self.cases[name].tags:
                by_tag.setdefault(tag, []).append(name)
        for system in (s for s in systems if not s.oracle):
            for tag, ids in sorted(by_tag.items()):
                rate = self.tables[system.name].rate(self.cases, ids)
                if rate.n >= LEAST_CASES_OF_A_TAG:
                    yield Slice(tag=tag, system=system.name, outcomes=rate)


def tagged_misses(best: SystemEvidence, by_hand: Mapping[str, int]) -> Misses | None:
    """Causes that people gave, as evidence; None where nobody did, or nothing was missed.

    Tags stand on every metric and split; no more of them count than there are misses.
    """
    total = int(best.outcomes.n - best.outcomes.passed)
    if not total or not sum(by_hand.values()):
        return None
    share = min(total / sum(by_hand.values()), 1.0)
    causes = {cause: int(count * share) for cause, count in by_hand.items()}
    return Misses(system=best.name, total=total, causes=causes)


def best_cheap(systems: Sequence[SystemEvidence]) -> SystemEvidence | None:
    """The best system by prompt or RAG, whose misses are asked after; None without a score."""
    cheap = [
        s
        for s in systems
        if s.rung in ("prompt", "rag") and not (s.oracle or s.probe) and s.outcomes.n
    ]
    chosen = all(s.dev is not None for s in cheap)
    rates = {s.name: s.dev if chosen and s.dev is not None else s.outcomes for s in cheap}
    return max(cheap, key=lambda s: rates[s.name].value or 0.0, default=None)


def with_known(evidence: Evidence, *parts: Mapping[str, Any] | None) -> Evidence:
    """Put what the run cannot know into its evidence, later parts before earlier ones; check it all.

    A pilot or a readiness that was measured on other cases or other training data is left out, and
    said to be.
    """
    document, left_out = evidence_to_json(evidence), list(evidence.left_out)
    for key, value in (item for part in parts for item in (part or {}).items()):
        if key == "left_out":
            left_out += value
            continue
        merge = isinstance(value, Mapping) and key in ("selection", "stands_on", "settings")
        document[key] = {**document.get(key, {}), **value} if merge else value
    standing = document.get("stands_on", {})
    for key, gone in (("pilot", ("pilot", "retained")), ("readiness", ("readiness",))):
        what = _outdated(document.get(key) or {}, standing)
        if what is not None:
            document = {name: value for name, value in document.items() if name not in gone}
            left_out.append(f"left out: the {key} stands on other {what}; run it again")
    if left_out:
        document["left_out"] = left_out
    return evidence_from_json(document)


def _outdated(part: Mapping[str, Any], standing: Mapping[str, str]) -> str | None:
    for field_name, kind in (("cases_hash", "cases"), ("data_hash", "training")):
        own, now = part.get(field_name), standing.get(kind)
        if own is not None and now is not None and own != now:
            return "cases" if kind == "cases" else "training data"
    return None
