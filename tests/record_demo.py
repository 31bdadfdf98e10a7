"""Record the demo's runs for test_twins.py: what every system passed, and what retrieval found.

python tests/record_demo.py latest          # after `make evals`; or several run ids, later suites win

Written to tests/data/demo: the run's document and tables, less what no verdict reads.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from harness.escalation import columns_of
from harness.store import RunStore, read_document, read_table, write_table

ROOT = Path(__file__).resolve().parent.parent
OUT = Path(__file__).resolve().parent / "data" / "demo"
SCORES = ("suite", "system", "case", "epoch", "metric", "state")
CASES = ("suite", "case", "tags", "metadata", "context")
SECTIONS = ("suites", "systems", "gates", "usage", "categories")


def record(folders: list[Path]) -> tuple[dict[str, Any], list[Any], list[Any]]:
    """Put runs together; a suite is taken from the last run that has it."""
    last = {s["name"]: f for f in folders for s in read_document(f)["suites"]}
    document: dict[str, Any] = {"run_id": folders[-1].name, "pilots": [], "found": {}}
    document |= {section: [] for section in SECTIONS}
    scores, cases = [], []
    for folder in dict.fromkeys(last.values()):
        own = {suite for suite, source in last.items() if source == folder}
        run = read_document(folder)
        for section in SECTIONS:
            document[section] += [
                row
                for row in run[section]
                if section == "systems" or (row.get("suite") or row.get("name")) in own
            ]
        scores += [row for row in read_table(folder, "scores") if row["suite"] in own]
        cases += [row for row in read_table(folder, "cases") if row["suite"] in own]
        outputs = read_table(folder, "outputs")
        document["found"] |= retrieved(row for row in outputs if row["suite"] in own)
    for system in document["systems"]:
        system.pop("parts", None)
    return document, scores, cases


def retrieved(outputs: Any) -> dict[str, list[str]]:
    """The passages that RAG was shown, by case."""
    return {
        row["case"]: [passage["id"] for passage in json.loads(row["passages"])]
        for row in outputs
        if row["system"] == "rag" and row["passages"]
    }


def main() -> None:
    """Write the recording."""
    store = RunStore(ROOT / "reports")
    document, scores, cases = record([store.find(name) for name in sys.argv[1:] or ["latest"]])
    OUT.mkdir(parents=True, exist_ok=True)
    for name, rows, columns in (("scores", scores, SCORES), ("cases", cases, CASES)):
        kept = [{column: row[column] for column in columns} for row in rows]
        write_table(OUT, name, columns_of(kept))
    (OUT / "run.json").write_text(json.dumps(document, separators=(",", ":")) + "\n", "utf-8")
    print(f"written: {OUT}")


if __name__ == "__main__":
    main()
