"""A number that knows how sure it is."""

from __future__ import annotations

from harness.types import Estimate, GateState


class Measure(float):
    """A number with its interval. It compares as a number; `at_least` asks what is proven.

    No data is not zero: without a value it is NaN, which is neither above nor below anything.
    """

    estimate: Estimate

    def __new__(cls, estimate: Estimate) -> Measure:
        """Make a number of an estimate."""
        made = super().__new__(cls, float("nan") if estimate.value is None else estimate.value)
        made.estimate = estimate
        return made

    def at_least(self, floor: float) -> GateState:
        """Passed or failed where the whole interval says so, else undecided."""
        return self._against(floor, passed_above=True)

    def at_most(self, ceiling: float) -> GateState:
        """Passed or failed where the whole interval says so, else undecided."""
        return self._against(ceiling, passed_above=False)

    def _against(self, limit: float, *, passed_above: bool) -> GateState:
        low, high = self.estimate.low, self.estimate.high
        if low is None or high is None:
            return "not_judged" if self.estimate.value is None else "undecided"
        if low >= limit if passed_above else high <= limit:
            return "passed"
        return "failed" if (high < limit if passed_above else low > limit) else "undecided"

    def __repr__(self) -> str:
        if self.estimate.value is None:
            return "no data"
        if self.estimate.low is None or self.estimate.high is None:
            return f"{float(self):.4g}"
        return f"{float(self):.4g} ({self.estimate.low:.4g} to {self.estimate.high:.4g})"
