"""What a graded metric calls with its value."""

from __future__ import annotations

import math


class ScoreSink:
    """`score(0.7)`, or `score(None, reason="...")` for unscored."""

    value: float | None = None
    reason: str | None = None
    called: bool = False

    def __call__(self, value: float | None, *, reason: str | None = None) -> None:
        """Record a value for this output.

        Raises
        ------
        TypeError, ValueError
            The value is not a finite number, or the reason no text: no score is invented for it.
        """
        if value is not None:
            value = float(value)
            if not math.isfinite(value):
                raise ValueError(f"score({value}) is not a finite number")
        said: object = reason
        if said is not None and not isinstance(said, str):
            raise TypeError(f"the reason of a score is text, not {type(said).__name__}")
        self.value, self.reason, self.called = value, reason, True
