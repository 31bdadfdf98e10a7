"""What the report says, and what it must never let through."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import shutil
import zlib
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_demo import SUITES, write_demo
from report_runs import MadeSuite, write_run

from harness.design import visible
from harness.errors import StoreError
from harness.report import payload, write_pages
from harness.report.data import read_run
from harness.store import read_document, write_document

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'{{ 7*7 }}</template>\u202egnp"
TOY = MadeSuite(name="toy", cases=12, rates={"a": 0.5, "b": 0.8}, tags=("x", "y"))


def page_of(folder: Path) -> str:
    write_pages(folder)
    return (folder / "report.html").read_text("utf-8")


def text_of(page: str) -> str:
    """The page as it is read: without its data, styles and tags."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", bare)).split())


def unpacked(page: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The data that the page carries: the index and the blocks of texts."""
    packed = re.findall(r'<script type="application/octet-stream"[^>]*>([^<]*)</script>', page)
    index, *blocks = [json.loads(zlib.decompress(base64.b64decode(text))) for text in packed]
    return index, blocks


class Elements(HTMLParser):
    """Counts the elements of a page and the names of their attributes, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: Counter[str] = Counter()
        self.attributes: Counter[str] = Counter()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names[tag] += 1
        self.attributes.update(name for name, _ in attrs)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demo(tmp_path_factory.mktemp("demo") / "reports")


@pytest.fixture(scope="module")
def page(demo: Path) -> str:
    return page_of(demo)


class TestWhatItSays:
    def test_begins_with_the_verdict_for_the_project(self, page: str) -> None:
        assert "<h1>No GPU yet.</h1>" in page
        assert "Do not ship this build: safety fails a gate." in text_of(page)

    def test_names_the_verdict_of_every_suite(self, page: str) -> None:
        words = text_of(page)
        assert "support → fix retrieval" in words
        assert "routing ✓ stay on prompt" in words
        assert "safety – no verdict" in words

    def test_states_each_section_as_a_finding(self, page: str) -> None:
        words = text_of(page)
        assert "One of six gates failed, one is undecided and one was not judged" in words
        assert "One thing changed: prompt" in words
        assert re.search(r"\d+ outcomes newly missed, \d+ newly passed", words)
        assert "The rows of query/train.jsonl are ready to train on" in words

    def test_shows_gates_with_effect_interval_margin_and_mde(self, page: str) -> None:
        assert "−3.1 −7.0 to +0.9 −5.0 5.7 388 .170" in text_of(page)

    def test_puts_failed_gates_before_passed_ones(self, page: str) -> None:
        words = text_of(page)
        assert words.index("stays_in_scope few-shot") < words.index("never_swears few-shot")

    def test_shows_every_metric_on_every_system_with_its_interval(
        self, demo: Path, page: str
    ) -> None:
        words = text_of(page)
        for row in read_document(demo)["estimates"]:
            low, high = 100 * row["low"], 100 * row["high"]
            assert f"{100 * row['value']:.1f} {low:.1f} to {high:.1f}" in words

    def test_shows_the_prompt_line_that_changed(self, page: str) -> None:
        assert "<del>- Stay in scope.</del>" in page

    def test_carries_every_case_with_every_output(self, demo: Path, page: str) -> None:
        index, blocks = unpacked(page)
        assert [suite["name"] for suite in index["suites"]] == [suite.name for suite in SUITES]
        assert sum(len(suite["ids"]) for suite in index["suites"]) == 1420
        outputs = read_run(demo).outputs
        assert outputs is not None
        assert sum(len(block["outputs"]) for block in blocks) == len(outputs)

    def test_is_the_same_for_the_same_run(self, demo: Path, page: str) -> None:
        assert page_of(demo) == page

    def test_keeps_a_number_without_data_apart_from_zero(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path / "r", [replace(TOY, broken={"b": 1.0})])
        document = read_document(folder)
        for row in document["estimates"]:
            if row["system"] == "b":
                row |= {"value": None, "low": None, "high": None}
        write_document(folder, document)
        assert "b: 0 of 0 passed, – % (–)" in text_of(page_of(folder))


class TestVerdicts:
    def words(self, tmp_path: Path, **parts: Any) -> str:
        verdict = {"suite": "toy", "action": "run_more_cases", "row": "3", "sentence": "Run more."}
        sections = {"verdicts": [verdict | parts]}
        return text_of(page_of(write_run(tmp_path / "r", [TOY], sections=sections)))

    def test_name_the_next_step_with_its_cost_and_command(self, tmp_path: Path) -> None:
        step = {"do": "add cases", "command": "pytest evals/", "cost": {"cases": 1, "money": 2.5}}
        words = self.words(tmp_path, next_step=step)
        assert "Next step Add cases: 1 case and 2.5 money pytest evals/" in words

    def test_name_their_weakest_link(self, tmp_path: Path) -> None:
        sure = {"value": 0.91234, "weakest": "'a' misses the target"}
        assert "91.2 %. Weakest link: 'a' misses the target" in self.words(
            tmp_path, confidence=sure
        )

    def test_say_what_would_change_them(self, tmp_path: Path) -> None:
        change = {
            "flips": {"cases": 3, "what": "'a': 3 more pass", "becomes": "stay_on_prompt"},
            "target": {"higher": {"target": 0.9, "becomes": "climb_to_rag"}},
            "further_cases": {"a": {"median": 190, "open_at_cap": 0.1, "cap": 800}},
            "scope": {"several_tasks": True, "reach": ["x"], "rest": [{"tag": "y", "passed": 1, "n": 4}]},
        }  # fmt: skip
        words = self.words(tmp_path, would_change=change)
        assert "'a': 3 more pass → stay on prompt" in words
        assert "A target of 90 % → climb to RAG" in words
        assert "About 190 further cases would settle 'a'" in words
        said = "These are several tasks; x already reaches the target; not yet shown of y (25 %)"
        assert said in words

    def test_put_their_own_counts_on_the_ladder(self, tmp_path: Path) -> None:
        outcomes = {"passed": 180, "n": 300}
        evidence = {"systems": [{"name": "a", "rung": "prompt", "outcomes": outcomes}]}
        assert "a: 180 of 300 passed, 60.0 % (54.4 to 65.4)" in self.words(
            tmp_path, evidence=evidence
        )


class TestWhatIsNotThere:
    def test_a_run_without_verdicts_states_what_was_measured(self, tmp_path: Path) -> None:
        words = text_of(page_of(write_run(tmp_path / "r", [TOY])))
        assert "No gate is set" in words
        assert "No target is set, so nothing is concluded." in words

    @pytest.mark.parametrize(
        "section", ["pilot", "data", "causes", "changed", "flips", "history", "None"]
    )
    def test_an_empty_section_leaves_no_heading(self, tmp_path: Path, section: str) -> None:
        page = page_of(write_run(tmp_path / "r", [TOY]))
        assert f'id="{section}"' not in page
        assert f'href="#{section}"' not in page

    def test_a_run_of_no_suites_still_opens(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path / "r", [TOY])
        document = read_document(folder)
        document |= {"suites": [], "estimates": [], "comparisons": [], "usage": [], "slices": []}
        write_document(folder, document)
        assert "No gate is set" in page_of(folder)

    @pytest.mark.parametrize("table", ["outputs", "cases"])
    def test_a_run_stored_without_texts_still_opens(self, tmp_path: Path, table: str) -> None:
        folder = write_run(tmp_path / "r", [TOY])
        (folder / f"{table}.parquet").unlink()
        index, _ = unpacked(page_of(folder))
        assert len(index["suites"][0]["ids"]) == 12

    def test_sections_that_an_older_rung_did_not_write_are_left_out(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path / "r", [TOY])
        document = read_document(folder)
        for section in ("slices", "usage", "verdicts", "diversity", "categories", "counts", "git"):
            del document[section]
        write_document(folder, document)
        assert "Look at any answer" in page_of(folder)

    def test_a_verdict_of_an_unknown_shape_is_shown_as_far_as_it_goes(self, tmp_path: Path) -> None:
        verdict = {"suite": "toy", "action": "wait", "row": "99", "sentence": "Wait.", "expected": 3,
                   "confidence": "high", "next_step": ["a", {"b": 2}], "would_change": None}  # fmt: skip
        folder = write_run(tmp_path / "r", [TOY], sections={"verdicts": [verdict]})
        assert "→ wait" in text_of(page_of(folder))

    def test_a_run_without_scores_is_refused_by_name(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path / "r", [TOY])
        (folder / "scores.parquet").unlink()
        with pytest.raises(StoreError, match=r"no scores\.parquet"):
            write_pages(folder)

    def test_a_damaged_table_is_refused_by_name(self, tmp_path: Path) -> None:
        folder = write_run(tmp_path / "r", [TOY])
        (folder / "outputs.parquet").write_bytes(b"PAR1 not")
        with pytest.raises(StoreError, match=r"outputs\.parquet"):
            write_pages(folder)

    def test_a_broken_baseline_is_no_reason_to_fail(self, tmp_path: Path) -> None:
        (tmp_path / "baseline").mkdir()
        (tmp_path / "baseline" / "run.json").write_text("{", "utf-8")
        page = page_of(write_run(tmp_path / "r", [TOY]))
        assert "no blessed run to compare with" in page


class TestWhatChanged:
    def blessed(self, tmp_path: Path, **changes: Any) -> Path:
        old = write_run(tmp_path / "20260101-000000-0000", [TOY])
        (tmp_path / "baseline").mkdir()
        for name in ("run.json", "scores.parquet"):
            shutil.copy(old / name, tmp_path / "baseline" / name)
        return write_run(tmp_path / "20260102-000000-0000", [replace(TOY, **changes)], seed=3)

    def test_says_so_when_nothing_did(self, tmp_path: Path) -> None:
        words = text_of(page_of(self.blessed(tmp_path)))
        assert "Nothing that can change an answer was changed" in words
        assert "No outcome of a champion changed" in words

    def test_warns_when_more_than_one_thing_did(self, tmp_path: Path) -> None:
        folder = self.blessed(tmp_path)
        document = read_document(folder)
        document["systems"][0]["parts"] |= {"prompt": "Other.", "model": "sha256:def"}
        document["suites"][0]["metrics"]["is_brief"] = "new"
        write_document(folder, document)
        page = page_of(folder)
        assert "Three things changed: metrics, prompt and model" in text_of(page)
        assert "change one at a time" in text_of(page)
        assert page.count('class="changed bad"') == 3

    def test_counts_flips_of_the_champion_and_keeps_its_old_answer(self, tmp_path: Path) -> None:
        page = page_of(self.blessed(tmp_path, drift=0.4))
        flips = re.findall(r'<details class="flip" data-suite="0" data-case="(\d+)"', page)
        _, blocks = unpacked(page)
        assert flips
        assert {row[0] for row in blocks[0]["before"]} == {int(case) for case in flips}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    suite = MadeSuite(
        name=HOSTILE, cases=6, rates={"a": 0.5, f"b{HOSTILE}": 0.9}, metrics=(HOSTILE,),
        tags=(HOSTILE, "t"), target=0.5,
        gates=({"metric": HOSTILE, "system": "a", "kind": "at_least", "state": "failed", "reason": HOSTILE,
                "effect": 0.5, "low": 0.1, "high": 0.9, "margin": 0.8},),
    )  # fmt: skip
    verdict = {"suite": HOSTILE, "action": HOSTILE, "row": HOSTILE, "sentence": HOSTILE, "leaning": HOSTILE,
               "conditions": [HOSTILE], "reasons": [HOSTILE], "next_step": {"do": HOSTILE, "command": HOSTILE}}  # fmt: skip
    sections = {
        "verdicts": [verdict],
        "project_verdict": HOSTILE,
        "diversity": [
            {"name": HOSTILE, "ready": False, "reasons": [HOSTILE], HOSTILE: HOSTILE,
             "map": [{"x": 1, "y": 2, "text": HOSTILE}, {"x": 2, "y": 1, "mark": "leaked", "text": HOSTILE}]}
        ],
        "categories": [{"suite": HOSTILE, "system": "a", "category": HOSTILE, "count": 3}],
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("hostile") / "r"
    return page_of(write_run(folder, [suite], text=lambda _: HOSTILE, sections=sections))


class TestHostileText:
    def test_no_element_comes_from_it(self, hostile: str) -> None:
        seen = Elements()
        seen.feed(hostile)
        assert seen.names["script"] == 1 + hostile.count("application/octet-stream")
        assert seen.names["img"] == 0
        assert not {name for name in seen.attributes if name.startswith("on")}

    def test_no_template_expression_is_evaluated(self, hostile: str) -> None:
        assert "{{ 7*7 }}" in html.unescape(hostile)
        assert "49" not in re.findall(r"<h1>.*?</h1>", hostile)[0]

    def test_direction_marks_are_shown_by_their_code_point(self, hostile: str) -> None:
        assert "\u202e" not in hostile
        assert "[U+202E]gnp" in hostile

    def test_the_policy_allows_this_script_and_style_alone(self, hostile: str) -> None:
        policy = html.unescape(
            re.findall(r'Content-Security-Policy" content="([^"]*)"', hostile)[0]
        )
        script = re.findall(r"<script>(.*?)</script>", hostile, flags=re.DOTALL)
        style = re.findall(r"<style>(.*?)</style>", hostile, flags=re.DOTALL)
        for kind, texts in (("script-src", script), ("style-src", style)):
            assert len(texts) == 1
            digest = base64.b64encode(hashlib.sha256(texts[0].encode()).digest()).decode()
            assert f"{kind} 'sha256-{digest}'" in policy
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy

    def test_nothing_is_loaded_from_anywhere(self, page: str) -> None:
        assert not re.search(r"\bsrc=|@import|url\(|<link|<iframe|<base", page)
        assert all(link.startswith("#") for link in re.findall(r'href="([^"]*)"', page))

    def test_no_style_attribute_needs_the_policy_to_be_weaker(self, page: str) -> None:
        assert not re.search(r"<[^>]*\sstyle=", page)

    def test_control_characters_become_visible(self) -> None:
        assert visible("a\u0000b\u2066c\ufeff") == "a[U+0000]b[U+2066]c[U+FEFF]"
        assert visible("tab\tand\nline, ünïcode 🦆") == "tab\tand\nline, ünïcode 🦆"


class TestSize:
    def test_repeated_lines_of_prompts_are_stored_once(self, tmp_path: Path) -> None:
        page = page_of(write_run(tmp_path / "r", [replace(TOY, cases=200)]))
        _, blocks = unpacked(page)
        shared = [text for text in blocks[0]["texts"] if "A: within 3 days" in text]
        assert len(shared) == 1  # not one for each of 400 outputs

    def test_texts_come_back_as_they_were(self, tmp_path: Path) -> None:
        texts = [
            "",
            "one",
            "two\nlines",
            "x" * 500 + "\n" + "y" * 500,
            'quote " \\n backslash\\\\' * 20,
        ]
        folder = write_run(tmp_path / "r", [replace(TOY, cases=5)], text=lambda i: texts[i % 5])
        _, blocks = unpacked(page_of(folder))
        known = blocks[0]["texts"]

        def joined(at: Any) -> str:
            if isinstance(at, int):
                return str(known[at])
            return ("\\n" if at[0] else "\n").join(known[i] for i in at[1:])

        assert [joined(row[3]) for row in blocks[0]["outputs"] if row[1] == 0] == texts

    def test_passed_answers_give_way_when_a_page_grows_too_large(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = write_run(tmp_path / "r", [replace(TOY, cases=300)])
        whole = len(page_of(folder))
        monkeypatch.setattr(payload, "SMALL_PAGE", 12_000)
        page = page_of(folder)
        assert "This run is" in page
        assert "outputs.parquet" in page
        assert len(page) < whole

    def test_reasons_as_long_as_answers_give_way_too(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rng = np.random.default_rng(0)
        words = [rng.bytes(300).hex() for _ in range(600)]
        folder = write_run(tmp_path / "r", [replace(TOY, cases=600)], text=lambda i: words[i])
        monkeypatch.setattr(payload, "SMALL_PAGE", 400_000)
        page = page_of(folder)
        assert "cases and missed answers are cut short" in page
        _, blocks = unpacked(page)
        assert all(len(text) <= 170 for text in blocks[0]["texts"] if "policy" not in text)
        monkeypatch.setattr(payload, "SMALL_PAGE", 60_000)
        assert "all texts are left to outputs.parquet" in page_of(folder)

    def test_a_suite_of_ten_thousand_cases_on_five_systems_fits_an_email(
        self, tmp_path: Path
    ) -> None:
        rates = dict.fromkeys(("few-shot", "zero-shot", "rag", "lora", "bigger"), 0.7)
        suite = MadeSuite(name="large", cases=10_000, rates=rates, metrics=("right",))
        folder = write_run(tmp_path / "r", [suite])
        write_pages(folder)
        assert (folder / "report.html").stat().st_size <= 5_000_000
