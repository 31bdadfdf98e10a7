"""Pages of a stored run: report.html to decide from, summary.md for a pull request.

`write_pages(folder)` writes both, `write_comparison(before, folder)` the page of one run against another,
and `annotations(folder)` gives the failed gates as workflow commands of GitHub Actions.
"""

from pathlib import Path

from harness.report.data import named, read_baseline, read_run
from harness.report.page import render_page
from harness.report.summary import render_summary
from harness.report.workflow_commands import open_gates

__all__ = ["annotations", "write_comparison", "write_pages"]


def write_pages(folder: Path, *, baseline: Path | None = None) -> None:
    """Write report.html and summary.md beside run.json.

    The page compares with the run in `baseline`; without one with the run that run.json names, which is
    the blessed one unless `pytest --baseline` named another.

    Raises
    ------
    StoreError
        The folder holds no run that can be read.
    """
    run = read_run(folder)
    before = (
        read_baseline(folder.parent, run.document.get("baseline"))
        if baseline is None
        else named(read_run(baseline))
    )
    (folder / "report.html").write_text(render_page(run, before), "utf-8")
    (folder / "summary.md").write_text(render_summary(run), "utf-8")


def write_comparison(before: Path, folder: Path) -> Path:
    """Write the page of the run in `folder` against the run in `before`, and return its file.

    Raises
    ------
    StoreError
        One of the folders holds no run that can be read.
    """
    old, run = named(read_run(before)), read_run(folder)
    file = folder / f"compare-{Path(str(old.document.get('run_id') or before.name)).name}.html"
    page = render_page(run, old, compared=True)
    file.write_text(page, "utf-8")
    return file


def annotations(folder: Path) -> list[str]:
    """Return `::error file=...` lines for what failed in a run.

    Raises
    ------
    StoreError
        The folder holds no run that can be read.
    """
    return open_gates(read_run(folder))
