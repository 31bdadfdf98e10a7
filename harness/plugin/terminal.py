"""The last lines of a run: what was found, where the report is, and why the exit code is what it is."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from harness.types import INPUT_REFUSED, OUTPUT_WITHHELD, GateState

if TYPE_CHECKING:
    from harness.plugin.evaluation import Evaluation

GLYPHS: dict[GateState, str] = {
    "passed": "ok",
    "failed": "FAILED",
    "undecided": "undecided",
    "not_judged": "not judged",
}
COLOURS = {"passed": "green", "failed": "red", "undecided": "yellow", "not_judged": "yellow"}


def summarise(reporter: Any, evaluation: Evaluation) -> None:
    """Write the summary of an evaluation, where there was one."""
    if evaluation.notes:
        reporter.section("rung", red=True)
        reporter.write_line("\n".join(evaluation.notes))
    if evaluation.document is None:
        return
    reporter.section("rung")
    _estimates(reporter, evaluation.document)
    _judges(reporter, evaluation.document)
    _gates(reporter, evaluation)
    _baseline(reporter, evaluation.document)
    _verdicts(reporter, evaluation.document)
    _counts(reporter, evaluation.document["counts"])
    _moderation(reporter, evaluation.document["usage"])
    reporter.write_line(f"report: {_shown(evaluation)}")
    if os.environ.get("GITHUB_ACTIONS") == "true":
        _annotate(reporter, evaluation)
    reporter.write_line(_exit_line(reporter, evaluation), bold=True)


def _estimates(reporter: Any, document: dict[str, Any]) -> None:
    suite = metric = None
    width = max((len(row["system"]) for row in document["estimates"]), default=0)
    repeated = {(r["suite"], r["metric"], r["system"]): r for r in document["repeated"]}
    for row in document["estimates"]:
        if (row["suite"], row["metric"]) != (suite, metric):
            suite, metric = row["suite"], row["metric"]
            reporter.write_line(f"{suite} · {metric}")
        again = repeated.get((row["suite"], row["metric"], row["system"]))
        reporter.write_line(
            f"    {row['system']:<{width}}  {_estimate(row)}{_repeated(again) if again else ''}"
        )


def _estimate(row: dict[str, Any]) -> str:
    rate = row["kind"] == "rate"
    if row["value"] is None:
        text = "no score"
    else:
        write = _percent if rate else "{:.3f}".format
        text = f"{write(row['value']):>5}{' %' if rate else ''} ({_limits(row, write)})"
    others = [
        f"{row[s]} {s.replace('_', ' ')}" for s in ("unscored", "errored", "not_run") if row[s]
    ]
    return "  ".join([text, f"n={row['n']}", *others, *_bounds(row)])


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _limits(found: dict[str, Any], write: Callable[[float], str] = _percent) -> str:
    """Write an interval."""
    from harness.report.wording import span

    low, high = found["low"], found["high"]
    return "no interval" if low is None or high is None else span(low, high, write=write)


def _bounds(row: dict[str, Any]) -> list[str]:
    """Write what the rate is at worst and at best, where outputs have no score."""
    missing = row["unscored"] + row["errored"]
    scores = row["passed"] + row["missed"] + missing
    if not missing or row["kind"] != "rate":
        return []
    worst, best = 100 * row["passed"] / scores, 100 * (row["passed"] + missing) / scores
    return [f"(at worst {worst:.1f} %, at best {best:.1f})"]


def _repeated(row: dict[str, Any]) -> str:
    """Write the share of cases that pass at least once, and every time."""
    parts = []
    for sign, name in (("@", "pass_at_k"), ("^", "pass_hat_k")):
        found = row[name]
        if found["value"] is not None:
            parts.append(f"  pass{sign}{row['k']} {_percent(found['value'])} % ({_limits(found)})")
    return "".join(parts)


def _judges(reporter: Any, document: dict[str, Any]) -> None:
    """Write how far each judge can be trusted, and what labels are not counted."""
    for row in document["judges"]:
        name = f"judge of {row['suite']} · {row['metric']} [{row['system']}]"
        said = "; ".join([*_calibration(row), *row["conditions"]])
        reporter.write_line(f"{name}: {said}", red=row["refusal"] is not None)
    for row in document["judge_differences"]:
        found = row["difference"]
        reporter.write_line(
            f"judge of {row['suite']} · {row['metric']}: {row['candidate']} against"
            f" {row['baseline']}: {_points(found)} corrected by {row['pairs']} labelled pairs,"
            f" {100 * row['raw']:+.1f} points as the judge sees it"
        )
    for row in document["labels"]:
        if row["waiting"]:
            reporter.write_line(f"{row['suite']}: {row['waiting']}", yellow=True)


def _calibration(row: dict[str, Any]) -> list[str]:
    if not row["labels"]:
        return []
    kappa, parts = row["kappa"]["value"], [f"on {row['labels']} {row['source']} labels"]
    parts += [f"kappa {kappa:.2f}"] if kappa is not None else []
    for name in ("sensitivity", "specificity"):
        if row[name]["value"] is not None:
            parts.append(f"{name} {row[name]['value']:.2f}")
    if row["pass_rate"]["low"] is not None and row["refusal"] is None:
        found = row["pass_rate"]
        parts.append(
            f"pass rate {_percent(found['value'])} % ({_limits(found)}) corrected,"
            f" {_percent(row['raw_pass_rate'])} % as the judge sees it"
        )
    return [", ".join(parts), *([f"refused: {row['refusal']}"] if row["refusal"] else [])]


def _points(found: dict[str, Any]) -> str:
    text = f"{100 * found['value']:+.1f}"
    if found["low"] is not None:
        text += f" ({100 * found['low']:+.1f} to {100 * found['high']:+.1f})"
    return f"{text} points"


def _gates(reporter: Any, evaluation: Evaluation) -> None:
    for gate in evaluation.gates():
        name = f"{gate.suite} · {gate.metric} [{gate.system}] {gate.kind.replace('_', ' ')}"
        colour = {COLOURS[gate.state]: True}
        reporter.write_line(f"gate {GLYPHS[gate.state]}: {name}: {gate.reason}", **colour)


def _baseline(reporter: Any, document: dict[str, Any]) -> None:
    for suite, differences in document["baseline_differences"].items():
        reporter.write_line(f"not compared with the blessed run: {suite}: {'; '.join(differences)}")
    together = document["together"]
    if together is not None:
        worse = together["state"] == "below"
        reporter.write_line(f"against the blessed run, {together['sentence']}", red=worse)


def _verdicts(reporter: Any, document: dict[str, Any]) -> None:
    for verdict in document["verdicts"]:
        reporter.write_line(f"verdict {verdict['suite']}: {verdict['sentence']}")
        if step := _next_step(verdict["next_step"]):
            reporter.write_line(f"    next: {step}")
    if document["project_verdict"]:
        reporter.write_line(document["project_verdict"], bold=True)


def _next_step(step: dict[str, Any]) -> str:
    from harness.escalation.outlook_words import cost_words

    return f"{step['do']}{cost_words(step)}" if step.get("do") else ""


def _counts(reporter: Any, counts: dict[str, int]) -> None:
    parts = [f"{counts[name]:,} {name.replace('_', ' ')}" for name in counts if name != "planned"]
    reporter.write_line(f"outputs: {counts['planned']:,} planned = {' + '.join(parts)}")


def _moderation(reporter: Any, usage: list[dict[str, Any]]) -> None:
    """Write what moderation refused and withheld, where it did."""
    for row in usage:
        if row[INPUT_REFUSED] or row[OUTPUT_WITHHELD]:
            reporter.write_line(
                f"moderation: {row['suite']} · {row['system']}: inputs refused:"
                f" {row[INPUT_REFUSED]:,}, outputs withheld: {row[OUTPUT_WITHHELD]:,}"
            )


def _annotate(reporter: Any, evaluation: Evaluation) -> None:
    """Write the workflow commands that GitHub shows beside the code."""
    from harness import report

    assert evaluation.stored is not None
    for line in report.annotations(evaluation.stored):
        reporter.write_line(line)


def _shown(evaluation: Evaluation) -> str:
    assert evaluation.stored is not None
    page = evaluation.stored / "report.html"
    here = evaluation.config.invocation_params.dir
    return str(page.relative_to(here) if page.is_relative_to(here) else page)


def _what_failed(reporter: Any, evaluation: Evaluation) -> str:
    """Count what is red: gates, other items of suites, and ordinary tests beside them."""
    gates, items, tests = set(), set(), set()
    for report in (*reporter.stats.get("failed", ()), *reporter.stats.get("error", ())):
        nodeid = report.nodeid
        file = evaluation.config.rootpath / nodeid.partition("::")[0]
        if any(name.startswith("gate_") for name, _ in getattr(report, "user_properties", ())):
            gates.add(nodeid)
        elif file in evaluation.catalogue.suites:
            items.add(nodeid)
        else:
            tests.add(nodeid)
    counted = (
        (gates, "gate", "failed"),
        (items, "item", "errored"),
        (tests, "other test", "failed"),
    )
    return (
        ", ".join(
            f"{len(found)} {what}{'s' if len(found) > 1 else ''} {how}"
            for found, what, how in counted
            if found
        )
        or "pytest was told to fail"
    )


def _exit_line(reporter: Any, evaluation: Evaluation) -> str:
    states = [gate.state for gate in evaluation.gates()]
    tally = ", ".join(
        f"{states.count(state)} {state.replace('_', ' ')}"
        for state in GLYPHS
        if states.count(state)
    )
    code = int(reporter._session.exitstatus)
    why = {
        int(pytest.ExitCode.OK): "nothing failed",
        int(pytest.ExitCode.TESTS_FAILED): _what_failed(reporter, evaluation),
        10: "nothing failed, but a gate is undecided and rung.yaml says `undecided: fail`",
    }.get(code, "pytest stopped")
    return f"exit {code}: {why}; gates: {tally or 'none'}"
