"""Compose pairs.csv: labelled pairs of texts on which a near-duplicate threshold is judged.

    python benchmarks/diversity/build_pairs.py

Constructed, by rule, from hand-written lines in pairs/: `text | the same in other words | one detail
changed | another request about the same thing`. The labels follow from how a pair was made; nobody has
judged them one by one.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
STYLES = {
    "mails": ("e-mails (constructed)", "Hello, {} Kind regards, Sam"),
    "searches": ("search queries (constructed)", "{} please"),
    "commands": ("commands (constructed)", "Could you do this for me? {}"),
}
Pair = tuple[str, str, str, str]


def with_slip(text: str, rng: random.Random) -> str:
    """Swap two neighbouring letters inside the longest word."""
    word = max(text.split(), key=lambda w: (w.isalpha(), len(w)))
    at = rng.randrange(1, max(2, len(word) - 2))
    return text.replace(word, word[:at] + word[at + 1] + word[at] + word[at + 2 :], 1)


def shouted(text: str) -> str:
    """The same text in capitals, without its last full stop."""
    return text.rstrip(".?").upper()


def pairs(name: str, rng: random.Random) -> Iterator[Pair]:
    """Yield four pairs that say the same and four that do not, of every line."""
    style, frame = STYLES[name]
    for line in (HERE / "pairs" / f"{name}.txt").read_text("utf-8").splitlines():
        text, same, changed, other = (part.strip() for part in line.split("|"))
        framed = frame.format(text)
        for one, two in (
            (text, same),
            (text, with_slip(text, rng)),
            (text, shouted(text)),
            (framed, text),
        ):
            yield one, two, "yes", style
        for one, two in (
            (text, changed),
            (same, changed),
            (framed, frame.format(changed)),
            (text, other),
        ):
            yield one, two, "no", style


def main() -> None:
    """Write pairs.csv."""
    rng = random.Random(0)
    with (HERE / "pairs.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("one", "other", "duplicate", "style"))
        for name in STYLES:
            writer.writerows(pairs(name, rng))


if __name__ == "__main__":
    main()
