"""The options of `pytest evals/`."""

from __future__ import annotations

import argparse
from typing import Any


def add(group: Any) -> None:
    """Add every option to a pytest option group."""
    group.addoption(
        "--system",
        dest="rung_system",
        metavar="NAME",
        action="append",
        default=[],
        help="run this system only (may be given again)",
    )
    group.addoption(
        "--case",
        dest="rung_case",
        metavar="ID",
        action="append",
        default=[],
        help="run this case only (may be given again)",
    )
    group.addoption(
        "--epochs",
        dest="rung_epochs",
        metavar="K",
        type=_positive,
        default=1,
        help="repeat each case K times",
    )
    group.addoption(
        "--baseline",
        dest="rung_baseline",
        metavar="RUN",
        default="baseline",
        help="the stored run to compare with, or 'none' (default: the blessed one)",
    )
    group.addoption(
        "--replay",
        dest="rung_replay",
        action="store_true",
        help="answer from the cache only; what is not there is not run",
    )
    group.addoption(
        "--fresh",
        dest="rung_fresh",
        action="store_true",
        help="ask every system again, whatever the cache holds",
    )
    group.addoption(
        "--items",
        dest="rung_items",
        choices=("case", "suite"),
        default=None,
        help="one item a case, or one a suite (default: a case, folded for large suites)",
    )
    group.addoption(
        "--max-cost",
        dest="rung_max_cost",
        metavar="MONEY",
        type=_money,
        default=None,
        help="stop asking when this much was spent, at the prices of rung.yaml's price file",
    )
    group.addoption(
        "--engine",
        dest="rung_engine",
        choices=("local", "ray"),
        default="local",
        help="where systems answer: here, or on a Ray cluster (RAY_ADDRESS, else a local one)",
    )
    group.addoption(
        "--beside",
        dest="rung_beside",
        metavar="FILE",
        default=None,
        help="judge the systems of this file too, as `rung pilot` and `rung escalate` write it",
    )
    group.addoption(
        "--until-decided",
        dest="rung_until_decided",
        action="store_true",
        help="stop asking a system once every gate and target about it is settled",
    )
    group.addoption(
        "--all-gates",
        dest="rung_all_gates",
        action="store_true",
        help="judge the gates of every system, not only of the champion",
    )


def leaves_in(config: Any, system: str) -> bool:
    """Whether `--system`, where it is given, names a system."""
    names = config.getoption("rung_system")
    return not names or system in names


def _money(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
