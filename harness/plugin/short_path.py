"""The protocol of items that need nothing of pytest's fixtures: three reports and no set-up.

pytest's own protocol costs more than three asserts do. It is kept wherever it could be noticed:
when another plugin takes part in running a test, or when the function asks for other fixtures.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from time import perf_counter, time
from typing import Any, Literal

import pytest
from _pytest.logging import catching_logs

from harness.plugin.items import CaseItem, conclude, score_case
from harness.plugin.subtests import ENDS_THE_SESSION

PHASES: tuple[Literal["setup", "call", "teardown"], ...] = ("setup", "call", "teardown")
# Hooks of single tests that others may have implemented; pytest's own implementations of these
# capture output, logs and warnings around the phases, which a passing short item does not need.
WATCHED_HOOKS = (
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtest_call",
    "pytest_runtest_teardown",
    "pytest_runtest_makereport",
    "pytest_pyfunc_call",
    "pytest_exception_interact",
)
# The last three come along with common libraries and act on property tests and coroutines alone.
QUIET_PLUGINS = (
    "_pytest.", "xdist.", "harness.plugin",
    "_hypothesis_pytestplugin", "anyio.", "pytest_asyncio.",
)  # fmt: skip
PASSED: dict[str, Any] = {"outcome": "passed", "longrepr": None}
NOISY_OPTIONS = ("setupshow", "setuponly", "setupplan", "usepdb", "trace")


def is_quiet(item: pytest.Item) -> bool:
    """Tell whether nobody but pytest and Rung takes part in running this item."""
    if any(item.config.getoption(name, False) for name in NOISY_OPTIONS):
        return False
    return all(
        _module_of(implementation).startswith(QUIET_PLUGINS)
        for name in WATCHED_HOOKS
        for implementation in getattr(item.ihook, name).get_hookimpls()
    )


def _module_of(implementation: Any) -> str:
    return str(getattr(implementation.function, "__module__", "") or "")


def run_short(item: CaseItem, nextitem: pytest.Item | None) -> None:
    """Score a case and report its three phases."""
    hook = item.ihook
    nodeid, location = item.nodeid, item.location
    hook.pytest_runtest_logstart(nodeid=nodeid, location=location)
    started, clock = time(), perf_counter()
    out, err = StringIO(), StringIO()
    with _logged(item) as log:
        if item.config.getoption("capture") == "no":
            outcome = _outcome(item)
        else:
            # pytest captures file descriptors, which takes longer than the asserts; what a metric
            # prints goes through sys.stdout.
            with redirect_stdout(out), redirect_stderr(err):
                outcome = _outcome(item)
    took = perf_counter() - clock
    streams = (("log", log), ("stdout", out), ("stderr", err))
    sections = [(f"Captured {name} call", s.getvalue()) for name, s in streams if s.tell()]
    for phase in PHASES:
        call = phase == "call"
        report = pytest.TestReport(
            nodeid=nodeid,
            location=location,
            keywords={item.name: 1},
            when=phase,
            sections=sections if call else (),
            duration=took if call else 0.0,
            start=started,
            stop=started + took,
            user_properties=item.user_properties,
            **(outcome if call else PASSED),
        )
        hook.pytest_runtest_logreport(report=report)
    hook.pytest_runtest_logfinish(nodeid=nodeid, location=location)
    stack = item.session._setupstate
    if stack.stack:  # an ordinary item before this one may have left its module set up
        stack.teardown_exact(nextitem)


@contextmanager
def _logged(item: CaseItem) -> Iterator[StringIO]:
    """Give what is logged meanwhile, in the format and from the level that pytest was asked for."""
    plugin: Any = item.config.pluginmanager.getplugin("logging-plugin")
    if plugin is None:
        yield StringIO()
        return
    with catching_logs(plugin.report_handler, level=plugin.log_level) as handler:
        handler.reset()
        yield handler.stream


def _outcome(item: CaseItem) -> dict[str, Any]:
    """Run an item; return the fields of a report that say how it ended, as pytest would fill them."""
    try:
        conclude(item, score_case(item.view, item.case))
    except pytest.skip.Exception as skip:
        path, line = item.reportinfo()[:2]
        where = (str(path), (line or 0) + 1, f"Skipped: {skip.msg}")
        return {"outcome": "skipped", "longrepr": where}
    except pytest.xfail.Exception as expected:
        return {"outcome": "skipped", "longrepr": _shown(item), "wasxfail": str(expected.msg)}
    except ENDS_THE_SESSION:
        raise
    except BaseException:
        return {"outcome": "failed", "longrepr": _shown(item)}
    return PASSED


def _shown(item: CaseItem) -> Any:
    return item.repr_failure(pytest.ExceptionInfo.from_current())
