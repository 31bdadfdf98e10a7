"""What every page that Rung writes has in common: colours, glyphs, and text made safe to show."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

# A glyph for each state, so that nothing is told by colour alone.
GLYPHS: Mapping[str, str] = MappingProxyType(
    {
        "passed": "✓",
        "missed": "✕",
        "failed": "✕",
        "unscored": "?",
        "errored": "!",
        "not_run": "–",
        "undecided": "◐",
        "not_judged": "–",
    }
)
# Characters that turn the reading direction, or cannot be seen: shown by their code point.
_HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
    "|[\ud800-\udfff]"
)


def visible(text: str) -> str:
    """Write direction marks, control characters and lone surrogates as code points.

    They can forge what is read.

    >>> visible("safe\\u202egnp.exe")
    'safe[U+202E]gnp.exe'
    """
    return _HIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", text.replace("\r\n", "\n"))


@cache
def colours() -> str:
    """Return the style sheet of colours and type faces, light and dark."""
    return files("harness.design").joinpath("colours.css").read_text("utf-8")
