"""The report in a real browser: filters, search, permalinks, differences, keys, colours, paper."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from report_demo import write_demo, write_long_names
from report_runs import MadeSuite, write_run
from sample_project import SampleProject

from harness.report import write_comparison, write_pages

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

# Everything that a text can try in a page.
ATTACKS = (
    "<script>window.hit = 1</script>",
    "<img src=x onerror='window.hit = 1'>",
    "<svg onload='window.hit = 1'><iframe src='javascript:parent.hit=1'></iframe>",
    "</script><script>window.hit = 1</script>",
    "</template></textarea></title><script>window.hit = 1</script>",
    "<a href='javascript:window.hit=1' autofocus onfocus='window.hit=1'>click</a>",
    "{{ constructor.constructor('window.hit = 1')() }} ${window.hit = 1} {% raw %}",
    "\u202egnp.exe\u202c \u2066hidden\u2069",
    "]]><!--<style>@import 'http://127.0.0.1:9/x.css'</style>--><link rel=stylesheet href=http://127.0.0.1:9/>",
    "__proto__",
    "<" * 1_000_000,
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright.expect.set_options(timeout=20_000)  # a test machine may have other work
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_demo(tmp_path_factory.mktemp("browser") / "reports")
    write_pages(folder)
    return folder / "report.html"


Open = Callable[..., Any]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """Open a page; at the end nothing may have been asked of a network, or gone wrong."""
    pages, requests, errors = [], [], []

    def open_page(file: Path, *, hash_: str = "", **options: Any) -> Any:
        page = browser.new_page(**({"viewport": {"width": 1280, "height": 900}} | options))
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.goto(file.as_uri() + hash_)
        if options.get("java_script_enabled", True):
            page.locator("html[data-ready]").wait_for(state="attached")
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert errors == []
    assert [url for url in requests if not url.startswith("file:")] == []


def shown(page: Any) -> str:
    return str(page.inner_text("#count"))


class TestFilters:
    def test_all_cases_are_listed_and_few_are_drawn(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        assert shown(page) == "1,420 of 1,420 cases"
        assert page.locator(".lrow").count() < 60

    def test_by_suite_system_metric_and_state(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.select_option("#f-suite", "safety")
        assert shown(page) == "200 of 1,420 cases"
        assert page.locator("#lhead .c-sys").all_inner_texts() == ["few-shot"]
        page.select_option("#f-metric", "stays_in_scope")
        page.select_option("#f-state", "m")
        assert (
            page.locator(".lrow .c-sys").all_inner_texts() == ["✕"] * page.locator(".lrow").count()
        )

    def test_by_tag_and_by_what_changed(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.select_option("#f-tag", "joins")
        assert page.locator(".lrow small").first.inner_text() == "query joins"
        page.select_option("#f-tag", "")
        page.select_option("#f-change", "lost")
        page.select_option("#f-system", "few-shot")
        assert 0 < int(shown(page).split()[0]) < 400

    def test_differs_only_leaves_cases_on_which_systems_disagree(
        self, demo: Path, visit: Open
    ) -> None:
        page = visit(demo)
        page.check("#f-differs")
        for row in page.locator(".lrow").all():
            assert len({text for text in row.locator(".c-sys").all_inner_texts() if text}) > 1

    def test_no_match_says_so_and_clear_brings_all_back(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.fill("#f-q", "no such words anywhere")
        page.locator("#none").wait_for(state="visible")
        page.click("button[type=reset]")
        page.locator("#none").wait_for(state="hidden")
        assert shown(page) == "1,420 of 1,420 cases"

    def test_scrolling_draws_the_rows_in_sight(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.locator("#rows").evaluate("box => { box.scrollTop = box.scrollHeight }")
        page.get_by_role("button", name="safety-0199").wait_for()
        assert page.locator(".lrow").count() < 60


class TestSearch:
    def test_finds_words_of_answers_that_no_preview_shows(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.fill("#f-q", "SORRY about order 10007")
        page.wait_for_timeout(400)
        playwright.expect(page.locator("#count")).not_to_have_text("0 of 1,420 cases")
        page.locator(".lrow .link").first.click()
        playwright.expect(page.locator("#d-body")).to_contain_text("sorry about order 10007")

    def test_slash_goes_to_the_search_field(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.keyboard.press("/")
        playwright.expect(page.locator("#f-q")).to_be_focused()


class TestOneCase:
    def test_shows_input_expectation_and_every_answer(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.get_by_role("button", name="support-0002").click()
        drawer = page.locator("#drawer")
        playwright.expect(drawer).to_contain_text("within 30 days")
        names = drawer.locator(".ans h4").all_inner_texts()
        assert [name.split()[0] for name in names] == [
            "zero-shot", "few-shot", "rag", "rag-oracle", "lora", "bigger",
        ]  # fmt: skip

    def test_shows_prompt_and_passages_with_the_gold_one_marked(
        self, demo: Path, visit: Open
    ) -> None:
        page = visit(demo, hash_="#case=support%2Fsupport-0002")
        card = page.locator(".ans").nth(2)
        card.get_by_text("Prompt as sent").first.click()
        playwright.expect(card.locator("pre").first).to_contain_text(
            "You answer for Tallow Cycles."
        )
        card.get_by_text("2 passages").first.click()
        playwright.expect(card.locator(".pass .gold").first).to_contain_text("(gold)")

    def test_marks_the_words_that_differ_from_another_system(self, demo: Path, visit: Open) -> None:
        page = visit(demo, hash_="#case=query%2Fquery-0001")
        page.select_option("#d-body select", "few-shot")
        assert page.locator(".ans ins").count() > 0
        assert page.locator(".ans.ch ins").count() == 0

    def test_gives_the_command_that_reproduces_it(self, demo: Path, visit: Open) -> None:
        page = visit(demo, hash_="#case=support%2Fsupport-0002")
        page.locator(".ans").first.get_by_text("Reproduce").click()
        playwright.expect(page.locator(".ans pre").first).to_have_text(
            "pytest 'evals/test_support.py' --case support-0002 --system zero-shot"
        )

    def test_a_flip_opens_with_both_answers(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        flip = page.locator("details.flip").first
        flip.locator("summary").click()
        playwright.expect(flip.locator(".side")).to_contain_text("Before")
        playwright.expect(flip.locator(".side")).to_contain_text("postage")


class TestCauses:
    def test_misses_are_filtered_by_their_cause(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.select_option("#f-suite", "support")
        page.select_option("#f-system", "few-shot")
        page.select_option("#f-metric", "states_the_policy")
        page.select_option("#f-state", "m")
        missed = shown(page)
        page.select_option("#f-cause", "format")
        assert 0 < int(shown(page).split()[0]) < int(missed.split()[0])

    def test_a_case_says_why_it_was_missed(self, demo: Path, visit: Open) -> None:
        page = visit(demo, hash_="#suite=support&cause=missing_fact&state=m")
        page.locator(".lrow .link").first.click()
        playwright.expect(page.locator(".score .tag").first).to_have_text("missing fact")

    def test_the_table_of_causes_leads_to_their_cases(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.locator("#causes a").get_by_text("missing fact").first.click()
        page.wait_for_function("document.getElementById('f-cause').value === 'missing_fact'")
        assert page.input_value("#f-suite") == "support"
        page.locator("#causes a.mono").first.click()
        playwright.expect(page.locator("#d-title")).to_contain_text("support-0003")


class TestReproduce:
    def test_the_command_of_a_missed_case_runs_it_again(
        self, project: SampleProject, visit: Open
    ) -> None:
        project.suite(
            "def test_right(case, output):\n    assert output.text == 'yes'\n",
            systems={"first": {"it's a case": "yes", "-x": "no"}, "other": {"it's a case": "no"}},
        )
        project.run()
        page = visit(project.latest / "report.html", hash_="#case=toy%2F-x")
        page.locator(".ans").first.get_by_text("Reproduce").click()
        line = page.locator(".ans").first.locator("pre").inner_text()
        page.locator(".ans").first.get_by_role("button", name="Copy command").click()
        playwright.expect(page.locator("#said")).to_have_text("Command copied")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        again = subprocess.run(
            line, shell=True, cwd=project.folder, env=os.environ | {"PATH": path},
            capture_output=True, text=True,
        )  # fmt: skip
        assert "1 missed" in again.stdout
        assert "passed" not in again.stdout
        assert again.returncode == 0


class TestAddress:
    def test_a_link_to_a_case_opens_it(self, demo: Path, visit: Open) -> None:
        page = visit(demo, hash_="#suite=query&state=m&case=query%2Fquery-0003")
        playwright.expect(page.locator("#d-title")).to_contain_text("query-0003")
        assert page.input_value("#f-suite") == "query"

    def test_the_address_follows_what_is_looked_at(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.select_option("#f-suite", "routing")
        page.get_by_role("button", name="routing-0000").click()
        page.locator("#drawer[open]").wait_for()
        page.wait_for_url(re.compile(r"#suite=routing&case=routing%2Frouting-0000$"))
        page.keyboard.press("Escape")
        page.wait_for_url(re.compile(r"#suite=routing$"))

    def test_an_unknown_case_leaves_the_list(self, demo: Path, visit: Open) -> None:
        page = visit(demo, hash_="#case=query%2Fnobody")
        assert page.locator("#drawer[open]").count() == 0


class TestKeys:
    def test_arrows_and_enter_open_j_and_k_move_escape_closes(
        self, demo: Path, visit: Open
    ) -> None:
        page = visit(demo)
        page.locator("#rows").focus()
        for key in ("ArrowDown", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        title = page.locator("#d-title")
        playwright.expect(title).to_contain_text("support-0001")
        page.keyboard.press("j")
        playwright.expect(title).to_contain_text("support-0002")
        page.keyboard.press("k")
        playwright.expect(title).to_contain_text("support-0001")
        page.keyboard.press("Escape")
        playwright.expect(page.locator("#drawer[open]")).to_have_count(0)

    def test_the_first_tab_stop_skips_to_the_verdict(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.keyboard.press("Tab")
        playwright.expect(page.locator(".skip")).to_be_focused()


@pytest.fixture(scope="module")
def long_names(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_long_names(tmp_path_factory.mktemp("long") / "reports")
    write_pages(folder)
    write_comparison(folder.parent / "baseline", folder)
    return folder


def wide_sections(page: Any) -> list[str]:
    """The sections with something that is cut off or makes the page scroll sideways; all is opened."""
    found: list[str] = page.evaluate(
        """() => {
          const width = document.documentElement.clientWidth, wide = new Set();
          for (const made of document.querySelectorAll("main details")) made.open = true;
          for (const made of document.querySelectorAll("main *")) {
            if (made.closest(".scroll, .two, .lbody, dialog, svg")) continue;
            if (made.getBoundingClientRect().right > width + 1) wide.add(made.closest("main > *").id);
          }
          if (document.documentElement.scrollWidth > width) wide.add("page");
          return [...wide];
        }"""
    )
    return found


class TestLooks:
    def paper(self, page: Any) -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    def test_dark_and_light_follow_the_system_and_can_be_switched(
        self, demo: Path, visit: Open
    ) -> None:
        page = visit(demo, color_scheme="dark")
        assert self.paper(page) == "rgb(18, 20, 24)"
        page.click("#theme")
        assert self.paper(page) == "rgb(255, 255, 255)"

    @pytest.mark.parametrize("width", [360, 390, 820, 1440])
    def test_nothing_is_wider_than_the_screen(self, demo: Path, visit: Open, width: int) -> None:
        page = visit(demo, viewport={"width": width, "height": 900})
        assert wide_sections(page) == []

    @pytest.mark.parametrize("width", [360, 820, 1440])
    @pytest.mark.parametrize("name", ["report.html", "compare-*.html"])
    def test_nor_is_it_with_long_names(
        self, long_names: Path, visit: Open, name: str, width: int
    ) -> None:
        (file,) = long_names.glob(name)
        page = visit(file, viewport={"width": width, "height": 900})
        assert page.locator("nav.toc li").count() == page.locator("main > [id]").count()
        assert wide_sections(page) == []

    def test_nor_is_a_case_with_long_names(self, long_names: Path, visit: Open) -> None:
        page = visit(long_names / "report.html", viewport={"width": 360, "height": 900})
        page.locator(".lrow").first.click()
        page.locator("#drawer[open]").wait_for()
        for summary in page.locator("#d-body summary").all():
            summary.click()
        assert page.evaluate(
            "() => { const box = document.querySelector('.dbox'); return box.scrollWidth <= box.clientWidth }"
        )

    def test_paper_leaves_out_what_needs_a_screen(self, demo: Path, visit: Open) -> None:
        page = visit(demo)
        page.emulate_media(media="print")
        assert not page.locator("nav.toc").is_visible()
        assert not page.locator("#explorer").is_visible()
        assert page.locator("#gates").is_visible()

    def test_without_scripts_verdict_and_gates_are_there(self, demo: Path, visit: Open) -> None:
        page = visit(demo, java_script_enabled=False)
        assert page.locator("h1").inner_text() == "No GPU yet."
        assert page.locator("#gates th").get_by_text("stays_in_scope").first.is_visible()
        assert not page.locator("#explorer").is_visible()


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    suite = MadeSuite(
        name="<b>suite", cases=len(ATTACKS), rates={"a": 0.5, "<img src=x onerror=hit=1>": 0.9},
        metrics=("<script>hit=1</script>",), tags=ATTACKS[:3],
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("hostile") / "<script>alert(1)<"
    write_run(folder, [suite], text=lambda i: ATTACKS[i % len(ATTACKS)], epochs=2)
    write_pages(folder)
    return folder / "report.html"


class TestHostileText:
    def test_nothing_runs_and_nothing_is_asked_for(self, hostile: Path, visit: Open) -> None:
        page = visit(hostile)
        for number in range(len(ATTACKS)):
            page.evaluate("id => { location.hash = '#case=' + encodeURIComponent(id) }",
                          f"<b>suite/<b>suite-{number:04d}")  # fmt: skip
            playwright.expect(page.locator("#d-title")).to_contain_text(f"{number:04d}")
            for summary in page.locator("#d-body summary").all():
                summary.click()
            for reference in ("a", "="):
                page.select_option("#d-body select", reference)
        assert page.evaluate("window.hit") is None
        assert page.locator("#d-body img, #d-body iframe, #d-body a, #d-body script").count() == 0

    def test_what_it_says_is_shown_as_text(self, hostile: Path, visit: Open) -> None:
        page = visit(hostile, hash_="#case=%3Cb%3Esuite%2F%3Cb%3Esuite-0000")
        playwright.expect(page.locator(".ans .out").first).to_have_text(ATTACKS[0])

    def test_direction_marks_are_shown(self, hostile: Path, visit: Open) -> None:
        page = visit(hostile, hash_="#case=%3Cb%3Esuite%2F%3Cb%3Esuite-0007")
        playwright.expect(page.locator(".ans .out").first).to_contain_text(
            "[U+202E]gnp.exe[U+202C]"
        )

    def test_a_megabyte_is_cut_until_it_is_asked_for(self, hostile: Path, visit: Open) -> None:
        page = visit(hostile, hash_=f"#case=%3Cb%3Esuite%2F%3Cb%3Esuite-{len(ATTACKS) - 1:04d}")
        answer = page.locator(".ans .out").first
        answer.wait_for()
        assert len(answer.text_content()) == 20_000
        page.locator(".ans").first.get_by_role(
            "button", name="Show all 1,000,000 characters"
        ).first.click()
        assert len(answer.text_content()) == 1_000_000


def test_ten_thousand_cases_open_and_can_be_filtered(tmp_path: Path, visit: Open) -> None:
    suite = MadeSuite(name="large", cases=10_000, rates={"a": 0.6, "b": 0.7}, metrics=("right",))
    folder = write_run(tmp_path / "r", [suite])
    write_pages(folder)
    page = visit(folder / "report.html")
    page.select_option("#f-state", "m")
    assert 3_000 < int(shown(page).split()[0].replace(",", "")) < 6_000
    assert page.locator(".lrow").count() < 60
