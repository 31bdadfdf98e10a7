"""The page of a run: one HTML file that opens without a network and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound
from markupsafe import Markup

from harness.design import colours, visible
from harness.report import (
    causes,
    costs,
    datasets,
    flips,
    gates,
    heading,
    history,
    judges,
    ladders,
    methods,
    pilots,
    reliability,
    slices,
)
from harness.report.changes import changes
from harness.report.data import RunData
from harness.report.payload import Payload, pack
from harness.report.verdicts import action_words
from harness.report.wording import coded, counted, glyph, phrase

SCRIPTS = ("text.js", "diff.js", "payload.js", "list.js", "drawer.js", "report.js")
TEMPLATE = "report.html.j2"


class _Assets(BaseLoader):
    """Templates that lie in this package."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Any]:
        try:
            return asset(template), template, lambda: True
        except FileNotFoundError:
            raise TemplateNotFound(template) from None


def asset(name: str) -> str:
    """Read a file of this package."""
    return files("harness.report").joinpath(name).read_text("utf-8")


def shown(value: Any) -> Any:
    """Make direction marks visible in whatever a template prints; autoescape does the rest."""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def environment() -> Environment:
    """Return the templates' environment."""
    made = Environment(
        loader=_Assets(),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "glyph": glyph,
        "coded": coded,
        "phrase": phrase,
        "counted": counted,
        "action_words": action_words,
    }
    return made


def render_page(run: RunData, before: RunData | None, *, compared: bool = False) -> str:
    """Write the page of a run; `before` is the blessed run, or the one that it is `compared` with."""
    script, style = _script(), colours() + asset("report.css")
    flipped = flips.find(run, before) if before is not None else []
    context = view(run, before, flipped)
    context["against"] = flips.against(run, before) if compared and before is not None else []
    context["before_called"] = before.called if before is not None else ""
    context |= {
        "contents": _contents(run, context),
        "payload": _marked(pack(run, before, flipped)),
        "policy": policy(script, style),
        # Safe: both are files of this package.
        "script": Markup(script),
        "style": Markup(style),
    }
    return environment().get_template(TEMPLATE).render(context)


def view(run: RunData, before: RunData | None, flipped: Sequence[flips.Flip]) -> dict[str, Any]:
    """Build what the templates show, but for the cases."""
    cards, rivals = ladders.cards(run), flips.rivals(run)
    past = history.trends(run, before)
    sliced, reasons, sets = slices.groups(run), causes.groups(run), datasets.datasets(run)
    spent, held = costs.rows(run), judges.rows(run)
    found: dict[str, Any] = {
        "head": heading.heading(run, before),
        "cards": cards,
        "changes": changes(run, before) if before is not None else None,
        "gates": {
            "groups": gates.groups(run),
            "finding": gates.finding(run),
            "together": gates.together(run),
        },
        "flips": None
        if before is None
        else {
            "rows": flipped[: flips.MOST],
            "all": len(flipped),
            "lost": sum(flip.change == "lost" for flip in flipped),
            "movements": flips.movements(flipped),
            "finding": flips.finding(flipped),
        },
        "rivals": {"rows": rivals, "finding": flips.standing(rivals)},
        "slices": {
            "groups": sliced,
            "finding": slices.finding(sliced),
            "axis": ladders.percent_axis(),
        },
        "causes": {"groups": reasons, "finding": causes.finding(reasons)},
        "reliability": reliability.section(run),
        "judges": {
            "rows": held,
            "differences": judges.differences(run),
            "waiting": judges.waiting(run),
            "finding": judges.finding(held),
        },
        "datasets": {
            "rows": sets,
            "measures": datasets.measures(sets),
            "finding": datasets.finding(sets),
        },
        "pilots": pilots.curves(run),
        "costs": {"rows": spent, "finding": costs.finding(spent), "money": costs.money(run)},
        "history": {"rows": past, "finding": history.finding(past)},
        "methods": methods.paragraphs(run, before),
    }
    return found


def _script() -> str:
    body = "\n".join(asset(name) for name in SCRIPTS)
    return f'"use strict";(()=>{{\n{body}\n}})();'


def policy(script: str, style: str) -> str:
    """Allow this script and this style, by their hashes, and nothing from anywhere else."""
    hashes = [
        base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
        for text in (script, style)
    ]
    return (
        f"default-src 'none'; script-src 'sha256-{hashes[0]}'; style-src 'sha256-{hashes[1]}'; "
        "base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def _marked(payload: Payload) -> Mapping[str, Any]:
    # Safe: base64 has no character that HTML reads.
    return {
        "index": Markup(payload.index),
        "blocks": [Markup(block) for block in payload.blocks],
        "bodies": payload.bodies,
    }


def _contents(run: RunData, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List the sections that this page has, with what a reader should know of each."""
    failed = gates.tally(run)["failed"]
    moved = found["changes"].changed if found["changes"] else 0
    lost = found["flips"]["lost"] if found["flips"] else 0
    missing = sum(row.lost for row in found["reliability"]["rows"])
    entries: list[tuple[str, str, str, bool, Any]] = [
        ("verdict", "Verdict", "", False, True),
        ("suites", "Suites", str(len(run.suites)), False, True),
        ("changed", "What changed", str(moved or ""), moved > 1, found["changes"]),
        ("gates", "Gates", f"✕ {failed}" if failed else "", bool(failed), True),
        ("flips", "Flips", str(lost or ""), False, found["flips"]),
        ("rivals", "Systems compared", "", False, found["rivals"]["rows"]),
        ("against", "Run against run", "", False, found["against"]),
        ("slices", "Slices", "", False, found["slices"]["groups"]),
        ("causes", "Causes of misses", "", False, found["causes"]["groups"]),
        ("reliability", "Reliability", f"! {missing}" if missing else "", False, True),
        ("judges", "Judges", "", False, found["judges"]["rows"]),
        ("data", "Data and leakage", "", False, found["datasets"]["rows"]),
        ("pilot", "Pilot", "", False, found["pilots"]),
        ("cost", "Cost and latency", "", False, found["costs"]["rows"] or found["costs"]["money"]),
        ("cases", "Cases", "", False, True),
        ("history", "History", "", False, found["history"]["rows"]),
        ("methods", "Methods", "", False, True),
    ]
    return [
        {"id": i, "title": title, "count": count, "alarm": alarm}
        for i, title, count, alarm, there in entries
        if there
    ]
