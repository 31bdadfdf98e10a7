"""Small pictures as inline SVG: percent coordinates, so that text and marks keep their size.

Elements are built and serialised by `xml.etree.ElementTree`, which escapes what it is given. Looks are
classes of report.css; no element carries a style attribute, which the page's policy forbids.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from markupsafe import Markup

from harness.design import visible
from harness.types import RUNGS

TOUCHING, TOUCHING_NARROW = 5.0, 14.0  # per cent of a chart's width, on a desk and on a phone
Mark = Literal["dot", "ring", "diamond"]
Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """An axis from `low` to `high`; what lies outside is drawn at its end."""

    low: float = 0.0
    high: float = 1.0

    def share(self, value: float) -> float:
        """Return where a value stands, between 0 and 100."""
        width = self.high - self.low or 1.0
        return min(100.0, max(0.0, 100 * (value - self.low) / width))

    def at(self, value: float) -> str:
        return f"{self.share(value):.2f}%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value with its interval; any of them may be missing."""

    value: float | None
    low: float | None = None
    high: float | None = None


def picture(height: int, label: str, *, look: str = "", width: str = "100%") -> ET.Element:
    """Begin a picture that a screen reader reads as its label."""
    root = ET.Element("svg", {"class": f"pl {look}".strip(), "width": width, "height": str(height)})
    if label:
        root.set("role", "img")
        root.set("aria-label", visible(label))
        ET.SubElement(root, "title").text = visible(label)
    else:
        root.set("aria-hidden", "true")
    return root


def finished(root: ET.Element) -> Markup:
    # Safe: ElementTree escapes attributes and text as it writes them.
    return Markup(ET.tostring(root, encoding="unicode"))


def line(root: ET.Element, look: str, **ends: str | float) -> None:
    ET.SubElement(root, "line", {"class": look} | {key: str(end) for key, end in ends.items()})


def words(root: ET.Element, text: str, look: str = "", **place: str | float) -> None:
    attributes = {key.replace("_", "-"): str(value) for key, value in place.items()}
    element = ET.SubElement(root, "text", attributes | ({"class": look} if look else {}))
    element.text = visible(text)


def mark(root: ET.Element, kind: Mark, x: str, y: float) -> None:
    """Draw an estimate: a dot, a ring for a probe, a diamond for an oracle."""
    if kind == "diamond":
        inner = ET.SubElement(root, "svg", {"x": x, "y": str(y), "class": "o"})
        ET.SubElement(inner, "path", {"class": "ho", "d": "M0-6 6 0 0 6-6 0z"})
    else:
        look, radius = ("dt", "5") if kind == "dot" else ("ho", "4.5")
        ET.SubElement(root, "circle", {"class": look, "cx": x, "cy": str(y), "r": radius})


def interval(
    reading: Reading,
    scale: Scale,
    label: str,
    *,
    references: Sequence[tuple[float, str]] = (),
    kind: Mark = "dot",
    look: str = "",
) -> Markup:
    """An estimate with its interval; references are (value, class) lines across the row."""
    height, middle = 30, 15
    root = picture(height, label, look=look)
    for value, reference in references:
        line(root, reference, x1=scale.at(value), x2=scale.at(value), y1=0, y2=height)
    if reading.low is not None and reading.high is not None:
        line(root, "ci", x1=scale.at(reading.low), x2=scale.at(reading.high), y1=middle, y2=middle)
    if reading.value is not None:
        mark(root, kind, scale.at(reading.value), middle)
    return finished(root)


def pair(
    readings: Sequence[tuple[Reading, str]], scale: Scale, label: str, *, target: float | None
) -> Markup:
    """Two estimates above each other in one row; each with its class."""
    root = picture(30, label)
    if target is not None:
        line(root, "tgt", x1=scale.at(target), x2=scale.at(target), y1=0, y2=30)
    for (reading, look), y in zip(readings, (10, 21), strict=False):
        inner = ET.SubElement(root, "g", {"class": look})
        if reading.low is not None and reading.high is not None:
            line(inner, "ci", x1=scale.at(reading.low), x2=scale.at(reading.high), y1=y, y2=y)
        if reading.value is not None:
            ET.SubElement(
                inner,
                "circle",
                {"class": "dt", "cx": scale.at(reading.value), "cy": str(y), "r": "4"},
            )
    return finished(root)


def axis(scale: Scale, ticks: Sequence[tuple[float, str]]) -> Markup:
    """The numbers below or above a column of pictures."""
    root = picture(20, "")
    for value, text in ticks:
        share = scale.share(value)
        anchor = "start" if share < 5 else "end" if share > 95 else "middle"
        words(root, text, x=f"{share:.2f}%", y=14, text_anchor=anchor)
    return finished(root)


def target_label(scale: Scale, target: float, text: str) -> Markup:
    """The target's name above its line, on the side with room for it."""
    root = picture(20, "")
    anchor = "end" if scale.share(target) > 50 else "start"
    words(root, text, "lbl", x=scale.at(target), y=13, text_anchor=anchor)
    return finished(root)


def rungs(champion: str | None, justified: str | None) -> Markup:
    """Four steps: a dot where the champion stands, a ring around the rung that is justified."""
    label = f"champion on {champion or 'no rung'}; justified rung: {justified or 'none given'}"
    root = picture(18, label.replace("_", "-"), width="96", look="rungs")
    line(root, "rail", x1=8, x2=86, y1=9, y2=9)
    for step, rung in enumerate(RUNGS):
        x = str(8 + 26 * step)
        here = rung == champion
        attributes = {"class": "here" if here else "step", "cx": x, "cy": "9"}
        ET.SubElement(root, "circle", attributes | {"r": "5" if here else "2.5"})
        if rung == justified:
            ET.SubElement(root, "circle", {"class": "due", "cx": x, "cy": "9", "r": "7.5"})
    return finished(root)


def movement(lost: int, gained: int, most: int) -> Markup:
    """Newly missed to the left of the middle, newly passed to the right."""
    root = picture(14, f"{lost} newly missed, {gained} newly passed")
    for count, look, left in ((lost, "b1 bad", True), (gained, "b1", False)):
        width = 50 * count / (most or 1)
        x = 50 - width if left else 50
        place = {"x": f"{x:.2f}%", "width": f"{width:.2f}%", "y": "1", "height": "12"}
        ET.SubElement(root, "rect", {"class": look} | place)
    line(root, "zero", x1="50%", x2="50%", y1=0, y2=14)
    return finished(root)


def stacked(parts: Sequence[tuple[int, str]], label: str) -> Markup:
    """Counts as shares of one bar; parts are (count, class)."""
    root = picture(12, label)
    total = sum(count for count, _ in parts) or 1
    x = 0.0
    for count, look in parts:
        width = 100 * count / total
        place = {"x": f"{x:.3f}%", "width": f"{width:.3f}%", "y": "0", "height": "12"}
        if count:
            ET.SubElement(root, "rect", {"class": look} | place)
        x += width
    return finished(root)


def latency(p50: float, p95: float, scale: Scale, *, limit: float | None, look: str = "") -> Markup:
    """From the median (dot) to the 95th percentile (bar)."""
    root = picture(22, f"median {p50:.2f} s, 95 % within {p95:.2f} s", look=look)
    if limit is not None:
        line(root, "tgt", x1=scale.at(limit), x2=scale.at(limit), y1=0, y2=22)
    line(root, "ci", x1=scale.at(p50), x2=scale.at(p95), y1=11, y2=11)
    line(root, "ci", x1=scale.at(p95), x2=scale.at(p95), y1=6, y2=16)
    ET.SubElement(root, "circle", {"class": "dt", "cx": scale.at(p50), "cy": "11", "r": "4.5"})
    return finished(root)


def path(root: ET.Element, look: str, points: Sequence[Point], *, closed: bool = False) -> None:
    """Draw a line or a band; points in per cent of the picture, in a stretched inner SVG."""
    inner = ET.SubElement(
        root,
        "svg",
        {
            "width": "100%",
            "height": "100%",
            "viewBox": "0 0 100 100",
            "preserveAspectRatio": "none",
        },
    )
    text = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    ET.SubElement(inner, "polygon" if closed else "polyline", {"class": look, "points": text})


def trend(
    readings: Sequence[Reading], scale: Scale, label: str, *, floor: float | None, look: str = ""
) -> Markup:
    """Values of past runs, oldest first, with their intervals as a band and the floor across."""
    root = picture(44, label, look=look)
    width = max(len(readings) - 1, 1)
    at = [100 * i / width for i in range(len(readings))]
    known = [(x, r) for x, r in zip(at, readings, strict=True) if r.value is not None]
    band = [(x, r.low, r.high) for x, r in known if r.low is not None and r.high is not None]
    if len(band) > 1:
        upper = [(x, 100 - scale.share(high)) for x, _, high in band]
        lower = [(x, 100 - scale.share(low)) for x, low, _ in band]
        path(root, "past", [*upper, *reversed(lower)], closed=True)
    points = [(x, 100 - scale.share(r.value or 0.0)) for x, r in known]
    if len(points) > 1:
        path(root, "line", points)
    if floor is not None:
        y = f"{100 - scale.share(floor):.2f}%"
        line(root, "tgt", x1=0, x2="100%", y1=y, y2=y)
    if points:
        place = {"cx": f"{points[-1][0]:.2f}%", "cy": f"{points[-1][1]:.2f}%"}
        ET.SubElement(root, "circle", {"class": "dt", "r": "4"} | place)
    return finished(root)


def bar(value: float, most: float, label: str) -> Markup:
    """One quantity as a bar from zero."""
    root = picture(14, label)
    width = f"{100 * value / (most or 1):.2f}%"
    ET.SubElement(root, "rect", {"class": "b1", "x": "0", "y": "1", "height": "12", "width": width})
    return finished(root)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveData:
    """A learning curve: measured dots, their mean, a forecast (x, median, low, high), and axes.

    Rings are another way to the same end, beside the curve.
    """

    label: str
    dots: tuple[Point, ...]
    rings: tuple[Point, ...]
    line: tuple[Point, ...]
    forecast: tuple[tuple[float, float, float, float], ...]
    ticks: tuple[tuple[float, str], ...]
    levels: tuple[tuple[float, str], ...]
    target: float | None


def curve(data: CurveData, across: Scale, up: Scale) -> Markup:
    """Draw a learning curve over labelled axes."""
    root = picture(280, data.label, look="plot")

    def spot(x: float, y: float) -> Point:
        return across.share(x), 100 - up.share(y)

    for value, text in data.levels:
        y = f"{100 - up.share(value):.2f}%"
        line(root, "grid-line", x1=0, x2="100%", y1=y, y2=y)
        words(root, text, x=0, y=y, dx=-8, dy=4, text_anchor="end")
    for value, text, look in _spaced(data.ticks, across):
        words(root, text, look, x=across.at(value), y="100%", dy=20, text_anchor="middle")
    if data.forecast:
        upper = [spot(x, high) for x, _, _, high in data.forecast]
        lower = [spot(x, low) for x, _, low, _ in data.forecast]
        path(root, "band", [*upper, *reversed(lower)], closed=True)
        path(root, "curve fc", [spot(x, median) for x, median, _, _ in data.forecast])
    path(root, "curve", [spot(x, y) for x, y in data.line])
    if data.target is not None:
        y = f"{100 - up.share(data.target):.2f}%"
        line(root, "tgt", x1=0, x2="100%", y1=y, y2=y)
        words(root, f"target {100 * data.target:.0f} %", "lbl halo", x=6, y=y, dy=-6)
    if len(data.rings) > 1:
        path(root, "line", [spot(x, y) for x, y in data.rings])
    for x, value in data.rings:
        place = {"cx": across.at(x), "cy": f"{100 - up.share(value):.2f}%"}
        ET.SubElement(root, "circle", {"class": "ho", "r": "4"} | place)
    for x, value in data.dots:
        place = {"cx": across.at(x), "cy": f"{100 - up.share(value):.2f}%"}
        ET.SubElement(root, "circle", {"class": "dt", "r": "4"} | place)
    return finished(root)


def _spaced(ticks: Sequence[tuple[float, str]], across: Scale) -> Iterator[tuple[float, str, str]]:
    """Leave out ticks that would touch, from the right; a phone has room for fewer."""
    last, last_narrow = math.inf, math.inf
    for value, text in reversed(ticks):
        at = across.share(value)
        if last - at < TOUCHING:
            continue
        look = "opt" if last_narrow - at < TOUCHING_NARROW else ""
        last, last_narrow = at, last_narrow if look else at
        yield value, text, look


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One point of a map, with the text that shows when it is pointed at."""

    x: float
    y: float
    look: str
    title: str


def scatter(spots: Sequence[Spot], label: str) -> Markup:
    """Draw points where they lie, with some room around."""
    root = picture(340, label, look="map")
    across = _padded([spot.x for spot in spots])
    up = _padded([spot.y for spot in spots])
    for spot in spots:
        place = {"cx": across.at(spot.x), "cy": f"{100 - up.share(spot.y):.2f}%"}
        radius = "3.5" if spot.look.startswith("k") else "2" if spot.look == "q" else "6"
        circle = ET.SubElement(root, "circle", {"class": spot.look, "r": radius} | place)
        ET.SubElement(circle, "title").text = visible(spot.title)
    return finished(root)


def _padded(values: Sequence[float]) -> Scale:
    room = 0.04 * (max(values) - min(values)) or 1.0
    return Scale(low=min(values) - room, high=max(values) + room)
