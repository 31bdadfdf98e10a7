"""What verdicts rest on beside outputs, looked at before anything runs.

A run may take hours and cost money: a typo in a file that is read at its end is told at its beginning.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.config import Project
from harness.desk.evidence import SuiteLabels
from harness.economics import read_prices
from harness.error_analysis import read_overrides
from harness.errors import ConfigError, nearest
from harness.judges import read_labels
from harness.pilot import read_record, record_file
from harness.run import Suite
from harness.suites import suite_name
from systems.rows import read_objects
from systems.untrained import SAMPLE


def check_evidence_files(suites: Iterable[Suite]) -> None:
    """Refuse prices, pilots, labels and training rows that cannot be read, and names of no suite.

    Of training rows the first are read, as a run does; `rung data` reads all.

    Raises
    ------
    RungError
        With file, line and key.
    """
    suites = list(suites)
    for project in {suite.project.file: suite.project for suite in suites}.values():
        _check_suite_names(project)
        if project.decision.prices is not None:
            read_prices(project.folder / project.decision.prices)
    for suite in suites:
        if (record := record_file(suite.project, suite.name)).is_file():
            read_record(record)
        written = SuiteLabels(suite=suite.name, evals=suite.file.parent)
        read_overrides(written.misses_file)
        for file in written.judge_files:
            read_labels(file)
        if suite.config.training is not None:
            rows = suite.project.folder / suite.config.training
            _check_rows(rows, f"suites.{suite.name}.training")


def _check_suite_names(project: Project) -> None:
    """Refuse settings of a suite that has no module: its target would never be looked at."""
    known = {suite_name(file) for file in project.folder.rglob("test_*.py")}
    named = {f"suites.{name}": name for name in project.suites}
    named |= {f"suites.{n}.retained": s.retained for n, s in project.suites.items() if s.retained}
    for key, name in named.items():
        if name not in known:
            raise ConfigError(
                f"there is no suite '{name}' (test_{name}.py)",
                file=project.file,
                key=key,
                hint=nearest(name, known),
            )


def _check_rows(file: Path, key: str) -> None:
    if not file.is_file():
        near = nearest(file.name, [path.name for path in file.parent.glob("*.jsonl")])
        raise ConfigError("there is no such file", file=file, key=key, hint=near)
    if file.stat().st_size:
        read_objects(file, key=key, most=SAMPLE)
