"""How numbers are written for people."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percent(share: float) -> str:
    """A share as people write it; what is not all or none is never written as 100 % or 0 %."""
    return chance(share) if 0 < share < 1 else f"{share * 100:.0f} %"


def goal(share: float) -> str:
    """A target as it was given: 97.5 % is neither 97 % nor 98 %."""
    return f"{share * 100:.4g} %"


def beside(share: float, target: float) -> str:
    """A share that missed the target, or passed it, with the decimals that show so."""
    for digits in (0, 1, 2):
        if share == target or round(share * 100, digits) != round(target * 100, digits):
            break
    return f"{share * 100:.{digits}f} %" if digits else percent(share)


def chance(share: float, *, digits: int = 0) -> str:
    """A probability in per cent: no count of cases makes anything certain, so never 100 % or 0 %."""
    if share >= 0.9995:
        return "over 99.9 %"
    if share < 0.0005:
        return "under 0.1 %"
    near = share >= 0.995 or share < 0.005
    return f"{share * 100:.{1 if near else digits}f} %"


def counted(count: int, noun: str) -> str:
    """`1 case`, `2 cases`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def already_reach(names: Sequence[str]) -> str:
    """`x already reaches the target`, `x, y and z already reach the target`."""
    who = " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
    return f"{who} already {'reaches' if len(names) == 1 else 'reach'} the target"


def figure(value: float, *, least: float = 0.0) -> str:
    """An amount of money, memory or time in figures that count: 1,235, 12.5, 0.0004, under 0.01."""
    size = abs(value)
    if 0 < size < least:
        return f"under {least:g}"
    if size >= 100 or size == 0:
        return f"{value:,.0f}"
    if size >= 1:
        return f"{value:.3g}"
    return f"{value:.{1 - math.floor(math.log10(size))}f}".rstrip("0").removesuffix(".")
