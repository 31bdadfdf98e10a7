"""Which passages the desk marks as gold, and which gold ones it says were not given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from desk_project import SYSTEMS, write_project

pytest.importorskip("starlette", reason="the desk's extra is not installed")

from starlette.testclient import TestClient

from harness.desk.door import Door
from harness.desk.label_desk import LabelDesk, Options, label_app
from harness.desk.outputs import Item, Place, RunOutputs
from harness.types import Passage

HOME = "http://127.0.0.1:8123"


class Given(RunOutputs):
    """A run of which every output was given the same passages."""

    ids: tuple[str, ...] = ()

    def item(self, suite: str, system: str, place: Place) -> Item:
        found = super().item(suite, system, place)
        passages = tuple(Passage(id=id, text=f"text of {id}") for id in self.ids)
        return replace(found, output=replace(found.output, passages=passages))


@pytest.mark.parametrize(
    ("ids", "gold", "absent"),
    [
        (("returns.md#deadline",), 1, False),
        (("returns.md#deadline~2", "returns.md#deadline~3"), 2, False),
        (("returns.md#costs~1",), 0, True),
        (("hours.md#monday",), 0, True),
        ((), 0, True),
    ],
)
def test_a_chunk_of_a_gold_passage_is_marked(
    tmp_path: Path, ids: tuple[str, ...], gold: int, absent: bool
) -> None:
    """The cases of the project name `returns.md#deadline`."""
    outputs = Given(write_project(tmp_path))
    outputs.ids = ids
    app = label_app(LabelDesk(outputs, Options(evals=tmp_path / "evals", suite="support")))
    door = Door(app, tokens={"token": "ana"}, port=8123)
    browser = TestClient(door, base_url=HOME, follow_redirects=False)
    browser.get("/?token=token")
    page = browser.get(f"/item?place=0&system={SYSTEMS[1]}").text
    assert page.count("<b>gold</b>") == gold
    assert page.count('<li class="gold">') == gold
    assert ("gold, not given" in page) == absent
