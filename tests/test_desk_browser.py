"""The desk in a real browser: by keyboard, through a killed server, by two people, with hostile text."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from desk_project import ENVIRONMENT, SYSTEMS, MadeRun, write_project

pytest.importorskip("uvicorn", reason="the desk's extra is not installed")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(not CHROMIUM.is_file(), reason="there is no chromium here")
FEW_SHOT, RAG = SYSTEMS


class Server:
    """A desk in a process of its own."""

    def __init__(self, folder: Path, verb: str, *arguments: str) -> None:
        self.log = folder / f"{verb}.log"
        code = ENVIRONMENT.format(verb=verb)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-c", code, *arguments],
                cwd=folder, stdout=log, stderr=subprocess.STDOUT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
            )  # fmt: skip
        self.addresses = self._wait(max(arguments.count("--who"), 1))

    def _wait(self, people: int) -> dict[str, str]:
        while self.process.poll() is None:
            found = dict(re.findall(r"^(\w+): (http://\S+)\n", self.log.read_text(), re.MULTILINE))
            if len(found) == people:
                return found
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def stop(self, how: signal.Signals = signal.SIGTERM) -> str:
        """End the server; returns what it said."""
        self.process.send_signal(how)
        self.process.wait(30)
        return self.log.read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(verb: str, *arguments: str) -> Server:
        servers.append(Server(tmp_path, verb, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


def open_page(browser: Any, address: str, **options: Any) -> Any:
    """Open an address in a browser of its own; anything its console complains of is an error."""
    page = browser.new_context(**options).new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.goto(address)
    return page


def press(page: Any, key: str) -> None:
    """Press a key, and wait until the next item is there."""
    at = page.get_attribute("article", "data-at")
    page.keyboard.press(key)
    page.wait_for_function("at => document.querySelector('article').dataset.at !== at", arg=at)


def wait_for_rows(folder: Path, count: int, name: str = "support.jsonl") -> list[dict[str, Any]]:
    """Wait until so many answers are on the disk."""
    for _ in range(600):
        if len(rows(folder, name)) >= count:
            break
        time.sleep(0.05)
    assert len(rows(folder, name)) == count
    return rows(folder, name)


def rows(folder: Path, name: str = "support.jsonl") -> list[dict[str, Any]]:
    file = folder / "evals" / "labels" / name
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_labels_by_keyboard_go_on_after_the_server_was_killed(
    browser: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    write_project(tmp_path)
    server = serve("label", "--who", "ana", "--order", "random")
    page = open_page(browser, server.addresses["ana"])
    for number in range(12):
        press(page, "r" if number % 2 else str(1 + number % 9))
        wait_for_rows(tmp_path, number + 1)  # each at once, not a batch of them
    server.stop(signal.SIGKILL)

    page.keyboard.press("r")
    page.wait_for_selector("#alarm:not([hidden])")
    assert "Not saved" in page.inner_text("#alarm")
    assert "13 of 30" in page.inner_text(".where")  # nobody goes on from an answer that is not kept
    assert len(rows(tmp_path)) == 12

    page = open_page(browser, serve("label", "--who", "ana", "--order", "random").addresses["ana"])
    assert "13 of 30" in page.inner_text(".where")
    for _ in range(8):
        press(page, "w")
    written = wait_for_rows(tmp_path, 20)
    assert [row["place"] for row in written] == list(range(1, 21))
    assert len({row["case"] for row in written}) == 20
    assert {(row["order"], row["seed"], row["who"]) for row in written} == {("random", 0, "ana")}
    assert not any(row["scores_shown"] for row in written)  # hidden in a random sample
    assert page.complaints == []


def test_everything_a_person_can_say_is_said_by_keyboard(
    browser: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    write_project(tmp_path)
    page = open_page(browser, serve("label", "--who", "ana").addresses["ana"])

    page.keyboard.press("e")
    page.wait_for_selector("#edit-text:focus")
    page.wait_for_function("() => document.querySelector('#edit-text').value.includes('14 days')")
    page.fill("#edit-text", "Within 30 days.")
    press(page, "Control+Enter")

    page.keyboard.press("c")
    page.keyboard.type("rude, rw12")  # letters in a field are no commands
    page.keyboard.press("Escape")
    press(page, "3")

    page.keyboard.press("t")
    page.keyboard.type("too chatty")
    press(page, "Enter")

    page.keyboard.press("x")
    press(page, "r")
    press(page, "s")
    press(page, "b")  # the skipped one is no answer to go back to
    press(page, "w")  # another mind about the fourth

    wait_for_rows(tmp_path, 6)
    said = [{k: row.get(k) for k in ("label", "tag", "edit", "comment")} for row in rows(tmp_path)]
    plain = {"tag": None, "edit": None, "comment": None}
    assert said == [
        plain | {"label": "wrong", "edit": "Within 30 days."},
        plain | {"label": "wrong", "tag": "wrong_fact", "comment": "rude, rw12"},
        plain | {"label": "wrong", "tag": "too chatty"},
        plain | {"label": "right", "tag": "bad_label"},
        plain | {"label": "skipped"},
        plain | {"label": "wrong", "tag": "bad_label"},
    ]
    assert rows(tmp_path)[3]["case"] == rows(tmp_path)[5]["case"]
    for _ in range(2):
        press(page, "b")  # as far back as one likes
    assert "you said: wrong · too chatty" in page.inner_text(".where")
    assert page.complaints == []


def test_two_people_label_at_once_and_do_not_disturb_each_other(
    browser: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    write_project(tmp_path)
    addresses = serve("label", "--who", "ana", "--who", "ben").addresses
    pages = [open_page(browser, addresses[who]) for who in ("ana", "ben")]
    for _ in range(5):
        for page in pages:
            press(page, "r")
    written = wait_for_rows(tmp_path, 10)
    for who in ("ana", "ben"):
        assert [row["place"] for row in written if row["who"] == who] == [1, 2, 3, 4, 5]


def test_a_half_written_edit_survives_a_reload(
    browser: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    write_project(tmp_path)
    page = open_page(browser, serve("label", "--who", "ana").addresses["ana"])
    page.keyboard.press("e")
    page.wait_for_selector("#edit-text:focus")
    page.wait_for_function("() => document.querySelector('#edit-text').value.includes('14 days')")
    page.fill("#edit-text", "Within 30 d")
    page.reload()
    assert page.input_value("#edit-text") == "Within 30 d"


@pytest.mark.parametrize("verb", ["label", "review"])
def test_hostile_text_is_inert(
    browser: Any, serve: Callable[..., Server], tmp_path: Path, verb: str
) -> None:
    attack = (
        "<script>window.hacked=1</script><img src=x onerror='window.hacked=2'>"
        "</article></main><svg onload=window.hacked=3><a href='javascript:window.hacked=4'>x</a>"
        "<iframe srcdoc='<script>parent.hacked=5</script>'></iframe>{{7*7}}\" data-at=\"9"
    )
    answers = {name: [f"{attack} {name[0]} {i}" for i in range(30)] for name in SYSTEMS}
    write_project(tmp_path, MadeRun(answers=answers, inputs=[attack] * 30))
    arguments = SYSTEMS if verb == "review" else ()
    page = open_page(browser, serve(verb, *arguments, "--who", "ana").addresses["ana"])
    for _ in range(3):
        assert page.evaluate("window.hacked") is None
        assert page.locator("main img, main iframe, main script, main a, main svg").count() == 0
        assert "<script>window.hacked=1</script>" in page.inner_text("main")
        assert "{{7*7}}" in page.inner_text("main")
        press(page, "1")
    assert page.complaints == []


def test_two_reviewers_judge_blindly_and_the_result_is_told_at_the_end(
    browser: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    write_project(tmp_path)
    server = serve("review", *SYSTEMS, "--who", "ana", "--who", "ben")
    for who in ("ana", "ben"):
        page = open_page(browser, server.addresses[who])
        requests: list[str] = []
        page.on("request", lambda request, seen=requests: seen.append(request.url))
        for _ in range(12):
            first = page.inner_text(".pair section:first-child")
            press(page, "1" if "30 days" in first else "2")
        press(page, "3")
        press(page, "4")
        html = page.content() + " ".join(requests)
        assert not any(name in html for name in SYSTEMS)
        assert page.complaints == []
    votes = wait_for_rows(tmp_path, 28, "support.votes.jsonl")
    lefts = [row["left"]["system"] for row in votes]
    assert set(lefts) == set(SYSTEMS)
    assert [row["case"] for row in votes[:14]] == [row["case"] for row in votes[14:]]
    said = server.stop(signal.SIGINT)
    assert "28 votes by ana, ben" in said
    assert "0 better, 12 worse, 2 neither" in said
    assert "alpha 1.00" in said


def test_nothing_is_wider_than_the_window(
    browser: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    wide = "x" * 5_000
    table = json.dumps({"rows": [{"name": wide, "more": {"a": [1, 2, {"b": wide}]}}] * 3})
    write_project(tmp_path, MadeRun(answers={FEW_SHOT: [wide, table]}, inputs=[wide] * 30))
    address = serve("label", "--who", "ana").addresses["ana"]
    for width in (390, 820, 1440):
        page = open_page(browser, address, viewport={"width": width, "height": 900})
        for _ in range(2):
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            press(page, "s")


def test_a_long_text_is_folded_and_a_longer_one_fetched_when_asked_for(
    browser: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    long, longer = "word " * 1_000, "word " * 10_000 + "omega"
    write_project(tmp_path, MadeRun(answers={FEW_SHOT: [long, longer]}))
    page = open_page(browser, serve("label", "--who", "ana").addresses["ana"])
    height = page.locator(".answer").bounding_box()["height"]
    page.click(".answer .unfold")
    assert page.locator(".answer").bounding_box()["height"] > height
    press(page, "w")
    assert "omega" not in page.content()
    page.click(".answer .more")
    page.locator(".answer", has_text="omega").wait_for()


def test_progress_is_counted_on_the_page(
    browser: Any, serve: Callable[..., Server], tmp_path: Path
) -> None:
    write_project(tmp_path)
    server = serve("label", "--who", "ana", "--who", "ben", "--order", "random")
    page = open_page(browser, server.addresses["ana"])
    press(page, "r")
    page.locator("#progress", has_text="49 more").wait_for()
    assert "1 of 30 answered by you" in page.inner_text("#progress")
    assert "two people" not in page.inner_text("#progress")
    other = open_page(browser, server.addresses["ben"])
    press(other, "r")
    other.locator("#progress", has_text="1 output labelled by two people or more: 1 the").wait_for()
