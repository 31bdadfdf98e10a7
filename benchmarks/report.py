"""The report at scale: seconds to write it, bytes, and seconds until a browser can filter it.

    python benchmarks/report.py            the sizes below
    python benchmarks/report.py --quick    the first only

Wordy runs have 110 random words in every input, answer and reason, which hardly deflate: their pages grow to
the limit, and leave texts of passed cases to the tables.

Writing is compared with storing the same run's tables, in the same process: the ratio says what the pages
add to a run. Opening needs Chromium and the package playwright, and is left out without them.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from report_runs import MadeSuite, write_run

from harness.report import write_pages
from harness.report.columns import Columns, read_columns
from harness.store import write_table

SYSTEMS = ("few-shot", "zero-shot", "rag", "lora", "bigger")
SIZES = (  # cases, systems, metrics, wordy
    (10_000, 1, 3, False),
    (10_000, 5, 1, False),
    (20_000, 5, 1, False),
    (10_000, 5, 1, True),
    (20_000, 5, 1, True),
)
LIMITS_MB = {50_000: 5.0, 100_000: 30.0}  # by outputs


def wordy() -> Callable[[int], str]:
    """Texts of words that nobody has seen before."""
    rng = random.Random(0)
    words = ["".join(rng.choices("aeioubcdfgklmnprst", k=rng.randint(2, 9))) for _ in range(6000)]
    return lambda number: " ".join(rng.choices(words, k=110))


def measured(cases: int, systems: int, metrics: int, is_wordy: bool) -> str:
    """Write one run and its pages, and return a row of the table."""
    rates = dict.fromkeys(SYSTEMS[:systems], 0.7)
    suite = MadeSuite(
        name="large", cases=cases, rates=rates, metrics=[f"metric_{i}" for i in range(metrics)]
    )
    with tempfile.TemporaryDirectory() as folder:
        run = write_run(Path(folder) / "run", [suite], text=wordy() if is_wordy else None)
        stored = spent(lambda: _store_again(run))
        write_pages(run)  # imports and templates are read once in a process
        written = spent(lambda: write_pages(run))
        page = run / "report.html"
        size = page.stat().st_size / 1e6
        opened, filtered = opening(page)
    outputs = cases * systems
    limit = next((most for n, most in LIMITS_MB.items() if outputs <= n), 30.0)
    return (
        f"| {cases:,} | {systems} | {metrics} | {'yes' if is_wordy else 'no'} | {written:.2f} | {written / stored:.2f} | "
        f"{size:.2f} (at most {limit:g}) | {opened} | {filtered} |"
    )


def _store_again(run: Path) -> None:
    for name in ("scores", "outputs", "cases"):
        table = read_columns(run, name)
        assert table is not None
        write_table(run, name, _lists(table))


def _lists(table: Columns) -> dict[str, list[object]]:
    numbers = {"epoch", "attempts", "prompt_tokens", "completion_tokens", "value", "latency_s"}
    kinds = numbers | {"cached", "refused"}
    return {
        name: [None if v != v else v for v in table.numbers(name).tolist()]
        if name in kinds
        else list(table.texts(name))
        for name in table.names
    }


def spent(work: Callable[[], None]) -> float:
    """Return the processor's seconds: other work on the machine does not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def opening(page: Path) -> tuple[str, str]:
    """Return the seconds until the cases can be filtered, and of one filter, in Chromium."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        return "not measured", "not measured"
    if chromium is None:
        return "not measured", "not measured"
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page()
        start = time.perf_counter()
        tab.goto(page.as_uri(), wait_until="commit")
        tab.locator("html[data-ready]").wait_for(state="attached")
        ready = time.perf_counter()
        tab.select_option("#f-state", "m")
        done = time.perf_counter()
        browser.close()
    return f"{ready - start:.2f}", f"{done - ready:.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest size only")
    quick = parser.parse_args().quick
    print("| cases | systems | metrics | wordy | write, s | / storing | MB | open, s | filter, s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size in SIZES[:1] if quick else SIZES:
        print(measured(*size), flush=True)


if __name__ == "__main__":
    main()
