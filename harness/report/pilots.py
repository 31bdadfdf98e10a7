"""The learning curve of a pilot: what was measured at each size, and what more rows may reach."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.report import charts
from harness.report.charts import Scale
from harness.report.data import RunData, inside
from harness.report.wording import counted, listed, percent, span


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A pilot of one suite, drawn over the number of training rows (log scale)."""

    suite: str
    heading: str
    note: str
    axis: str
    plot: Markup
    rows: tuple[tuple[str, str, str, str], ...]  # size, measured or expected, interval, reaches


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    rows: int
    rates: tuple[float, ...]


def curves(run: RunData) -> list[Curve]:
    """Build the curve of every suite that was piloted: what its verdict rests on, or what is stale."""
    committed = {row.get("suite"): row for row in run.rows("pilots")}
    found = []
    for suite in run.suites:
        verdict = next(iter(run.of_suite("verdicts", suite)), {})
        record = committed.get(suite) or {}
        stale = [str(name) for name in record.get("stale") or ()]
        measured = _trainings(record) if stale else _points(verdict)
        if len(measured) < 2:
            continue
        forecast = [] if stale else list(inside(verdict, "expected", "learning_curve") or ())
        many_shot = [
            _Measured(rows=int(shots["examples"]), rates=(shots["passed"] / shots["cases"],))
            for shots in record.get("many_shot") or ()
            if shots.get("cases")
        ]
        found.append(
            _curve(
                suite,
                measured,
                forecast,
                many_shot=many_shot,
                target=inside(verdict, "evidence", "target"),
                stale=stale,
            )
        )
    return found


def _points(verdict: Mapping[str, Any]) -> list[_Measured]:
    return [
        _Measured(rows=p["rows"], rates=tuple(v / p["cases"] for v in p["passed"]))
        for p in inside(verdict, "evidence", "pilot", "points") or ()
        if p.get("cases")
    ]


def _trainings(record: Mapping[str, Any]) -> list[_Measured]:
    sizes: dict[int, list[float]] = {}
    for training in record.get("trainings") or ():
        if training.get("cases"):
            sizes.setdefault(training["rows"], []).append(training["passed"] / training["cases"])
    return [_Measured(rows=rows, rates=tuple(rates)) for rows, rates in sorted(sizes.items())]


def _curve(
    suite: str,
    measured: Sequence[_Measured],
    forecast: Sequence[Mapping[str, Any]],
    *,
    many_shot: Sequence[_Measured],
    target: float | None,
    stale: Sequence[str],
) -> Curve:
    trainings = sum(len(point.rates) for point in measured)
    note = f"{counted(trainings, 'training')} at {counted(len(measured), 'nested size')}; a dot is one seed. "
    if stale:
        note += (
            f"This pilot is stale ({listed(stale)} changed since), and no verdict rests on it: "
            f"run `rung pilot {suite}` again."
        )
    else:
        note += (
            "Band: what the fitted curves allow. Dashed: forecast, not quoted beyond four times the "
            "largest pilot."
        )
    if many_shot:
        note += " Rings: the same model untrained, with as many examples in its prompt."
    return Curve(
        suite=suite,
        heading=_heading(suite, measured, forecast, target),
        note=note,
        axis=f"training rows{', or examples in the prompt' if many_shot else ''}; log scale",
        plot=_plot(suite, measured, forecast, many_shot=many_shot, target=target),
        rows=(
            *map(_measured_row, measured),
            *map(_forecast_row, forecast),
            *(
                (f"{p.rows:,} in the prompt", f"{percent(p.rates[0])} measured", "", "")
                for p in many_shot
            ),
        ),
    )


def _heading(
    suite: str,
    measured: Sequence[_Measured],
    forecast: Sequence[Mapping[str, Any]],
    target: float | None,
) -> str:
    last = measured[-1]
    text = f"{suite}: {last.rows:,} rows passed {percent(sum(last.rates) / len(last.rates))} %"
    if forecast and target is not None:
        most = forecast[-1]
        chance = percent(most.get("reaches_target"), digits=0)
        text += f"; {most['rows']:,} reach the target with probability {chance} %"
    return text


def _measured_row(point: _Measured) -> tuple[str, str, str, str]:
    mean = percent(sum(point.rates) / len(point.rates))
    return f"{point.rows:,}", f"{mean} measured", span(min(point.rates), max(point.rates)), ""


def _forecast_row(row: Mapping[str, Any]) -> tuple[str, str, str, str]:
    reaches = row.get("reaches_target")
    return (
        f"{row['rows']:,}",
        f"{percent(row['median'])} expected",
        span(row["low"], row["high"]),
        "" if reaches is None else f"{percent(reaches, digits=0)} %",
    )


def _plot(
    suite: str,
    measured: Sequence[_Measured],
    forecast: Sequence[Mapping[str, Any]],
    *,
    many_shot: Sequence[_Measured],
    target: float | None,
) -> Markup:
    values = [rate for point in (*measured, *many_shot) for rate in point.rates]
    values += [row[key] for row in forecast for key in ("low", "high")]
    values += [] if target is None else [target]
    low = math.floor(10 * min(values)) / 10
    high = min(1.0, math.ceil(10 * max(values)) / 10)
    sizes = [point.rows for point in (*measured, *many_shot)] + [row["rows"] for row in forecast]
    across = Scale(low=math.log(min(sizes)), high=math.log(max(sizes)))
    up = Scale(low=low, high=high)
    return charts.curve(
        charts.CurveData(
            label=f"{suite}: pass rate by number of training rows, measured and expected",
            dots=tuple((math.log(p.rows), rate) for p in measured for rate in p.rates),
            rings=tuple((math.log(p.rows), p.rates[0]) for p in many_shot),
            line=tuple((math.log(p.rows), sum(p.rates) / len(p.rates)) for p in measured),
            forecast=tuple(
                (math.log(row["rows"]), row["median"], row["low"], row["high"]) for row in forecast
            ),
            ticks=tuple((math.log(size), f"{size:,}") for size in sorted(set(sizes))),
            levels=tuple(
                (level / 10, f"{10 * level} %")
                for level in range(round(10 * low), round(10 * high) + 1)
            ),
            target=target,
        ),
        across,
        up,
    )
