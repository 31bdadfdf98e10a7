"""What a verdict says beyond its sentence, as lines that a lead can read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.data import inside
from harness.report.wording import (
    described,
    glyph,
    listed,
    percent,
    phrase,
    sentence,
    span,
)
from harness.types import RUNGS

# What could be mended, as `expected.headroom.at_most` names it.
MENDED: Mapping[str, str] = {
    "retrieval": "better retrieval",
    "facts": "the missing facts",
    "labels": "correct labels",
}
# What each action leaves a suite on.
EARNED: Mapping[str, str] = {
    "stay_on_prompt": "prompt",
    "improve_prompt": "prompt",
    "change_model": "prompt",
    "climb_to_rag": "rag",
    "fix_retrieval": "rag",
    "escalate_to_gpu": "fine_tuned",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One part of a verdict: its title, its lines, and the command that does it."""

    title: str
    lines: tuple[str, ...]
    command: str = ""
    behind: bool = False  # shown when asked for


def facts(verdict: Mapping[str, Any]) -> list[Fact]:
    """Return the verdict's parts, in the order in which a lead asks for them."""
    step = verdict.get("next_step") or {}
    opinions = inside(verdict.get("evidence"), "opinions") or ()
    systems = inside(verdict.get("evidence"), "systems") or ()
    names = [*(inside(row, "name") for row in systems), *(inside(row, "by") for row in opinions)]
    found = [
        _fact("Leaning", verdict.get("leaning")),
        _fact("Confidence", *_confidence(verdict.get("confidence"))),
        Fact(
            title="Next step", lines=tuple(_step(step)), command=str(inside(step, "command") or "")
        ),
        _fact("Expect", *_expected(verdict.get("expected"))),
        _fact("Could gain", at_most(verdict)),
        _fact("Training", *_training(verdict)),
        _fact("Would change", *_would_change(verdict.get("would_change"))),
        _fact("Scope", _scope(inside(verdict, "would_change", "scope"))),
        _fact("Because", *(verdict.get("reasons") or ()), names=names, behind=True),
        _fact("Conditions", *(verdict.get("conditions") or ()), names=names, behind=True),
    ]
    found += [
        _fact(
            "Another view",
            f"{o.get('by')}: {phrase(str(o.get('action')))}. {o.get('because')}",
            names=names,
        )
        for o in opinions
    ]
    return [fact for fact in found if fact.lines]


def earned_rung(verdict: Mapping[str, Any] | None, champion: str | None) -> str | None:
    """Return the rung that a verdict leaves its suite on, where it says so."""
    if verdict is None:
        return None
    action = str(verdict["action"])
    if action == "step_down":
        return _named_below(verdict, champion)
    return champion if action == "stay_on_best_rung" else EARNED.get(action)


def _named_below(verdict: Mapping[str, Any], champion: str | None) -> str | None:
    """The rung of the cheaper system that a verdict's sentence names."""
    below = RUNGS[: RUNGS.index(champion)] if champion in RUNGS else RUNGS
    for system in inside(verdict, "evidence", "systems") or ():
        if f"'{system['name']}'" in str(verdict.get("sentence")) and system["rung"] in below:
            return str(system["rung"])
    return None


def action_words(verdict: Mapping[str, Any] | None) -> tuple[str, str]:
    """Return the glyph and the words of a verdict's action."""
    if verdict is None:
        return "–", "no verdict"
    action = str(verdict["action"])
    return glyph(action), phrase(action)


def project_words(project: Any) -> tuple[str, str]:
    """Split the project's sentence into a heading and what follows its colon."""
    text = described(inside(project, "sentence") if isinstance(project, Mapping) else project)
    heading, colon, rest = text.partition(": ")
    if colon and len(heading) <= 60:
        return heading.rstrip(".") + ".", sentence(rest)
    return text, ""


def _fact(title: str, *values: Any, names: Sequence[str] = (), behind: bool = False) -> Fact:
    """Begin each line with a capital, but for a name that it begins with."""
    begun = tuple(f"{name}{after}" for name in names for after in " :")
    lines = [described(value) for value in values]
    kept = (line if begun and line.startswith(begun) else sentence(line) for line in lines if line)
    return Fact(title=title, lines=tuple(kept), behind=behind)


def _confidence(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [described(value)]
    sure, weakest = value.get("value"), value.get("weakest")
    if sure is None:
        return []
    from harness.escalation.words import chance

    text = chance(sure, digits=1)
    return [f"{text}. Weakest link: {weakest}" if weakest else text]


def _step(step: Any) -> list[str]:
    if not isinstance(step, Mapping):
        return [described(step)] if step else []
    from harness.escalation.outlook_words import cost_parts

    parts = cost_parts(step)
    do = sentence(described(step.get("do") or step.get("sentence")))
    return [f"{do}: {listed(parts)}" if parts else do] if do else []


def _expected(value: Any) -> list[str]:
    rate = inside(value, "pass_rate")
    if not isinstance(rate, Mapping):
        return [] if inside(value, "headroom") is not None else [described(value)]
    text = f"{'at most ' if rate.get('at_most') else ''}{percent(rate.get('median'))} %"
    if rate.get("low") is not None:
        level = percent(rate.get("confidence_level") or 0.8, digits=0)
        text += f", {level} % interval {span(rate['low'], rate['high'])}"
    if rate.get("rows"):
        text += f", with {rate['rows']:,} training rows"
    return [text]


def at_most(verdict: Mapping[str, Any] | None) -> str:
    """Say what retrieval, facts and labels could buy at most; empty where a verdict says nothing."""
    found = inside(verdict, "expected", "headroom", "at_most")
    if not isinstance(found, Mapping):
        return ""
    parts = [
        f"{words} {_points(found[name])}"
        for name, words in MENDED.items()
        if found.get(name) is not None
    ]
    return f"at most, by {', by '.join(parts)}" if parts else ""


def _points(value: Any) -> str:
    return f"{percent(value)} points" if isinstance(value, int | float) else f"({value})"


def _training(verdict: Mapping[str, Any]) -> list[str]:
    """What the step would take on GPUs, in weeks and in skills."""
    if not isinstance(verdict.get("expected"), Mapping):
        return []
    from harness.escalation.money_words import calendar_lines, gpu_lines

    return [*gpu_lines(verdict), *calendar_lines(verdict)]


def _would_change(value: Any) -> list[str]:
    if not isinstance(value, Mapping):
        return [described(value)]
    from harness.escalation.words import goal

    lines = []
    flips = value.get("flips")
    if isinstance(flips, Mapping):
        lines.append(f"{flips.get('what')} → {phrase(str(flips.get('becomes')))}")
    for side in ("lower", "higher"):
        other = inside(value.get("target"), side)
        if other:
            became = phrase(str(other.get("becomes")))
            lines.append(f"a target of {goal(other['target'])} → {became}")
    further = inside(value, "further_cases")
    lines += [_further(str(name), more) for name, more in (further or {}).items()]
    return lines


def _further(system: str, more: Any) -> str:
    """How many more cases would settle an open claim about a system."""
    if not inside(more, "median") and None in (inside(more, "open_at_cap"), inside(more, "cap")):
        return f"'{system}': {described(more)}"
    from harness.escalation.outlook_words import further_line

    return further_line(system, more)


def _scope(found: Any) -> str:
    """Say that a suite is several tasks, some of which already reach the target."""
    if not isinstance(found, Mapping):
        return ""
    reach = [str(tag) for tag in found.get("reach") or ()]
    rest = [
        f"{part['tag']} ({percent(part['passed'] / part['n'], digits=0)} %)"
        for part in found.get("rest") or ()
        if part.get("n")
    ]
    who = f" for '{found['system']}'" if found.get("system") else ""
    if not reach:
        return f"these are several tasks{who}: {listed(rest)}"
    from harness.escalation.words import already_reach

    text = f"these are several tasks; {already_reach(reach)}{who}"
    return text + (f"; not yet shown of {listed(rest)}" if rest else "")
