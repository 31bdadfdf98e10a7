"""`rung label` and `rung review` without a browser: files, results, and what is wrong with a call."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from desk_project import SYSTEMS, answer_of, write_project

from harness.cli.label import label
from harness.cli.review import review
from harness.desk.labels import Label, LabelBook, label_file
from harness.desk.outputs import RunOutputs
from harness.desk.pairs import Contestant, make_agenda
from harness.desk.votes import Vote, VoteBook, vote_file
from harness.error_analysis.misses import answer_hash
from harness.errors import ConfigError, MissingExtraError, RungError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(command: object, *arguments: str) -> str:
    """Run a verb; what it raises is raised here."""
    result = CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_exports_say_what_was_written(folder: Path) -> None:
    book = LabelBook(label_file(folder / "evals", "support"))
    text = answer_of(SYSTEMS[0], 0)
    book.add(
        Label(at="2026-01-01", who="ana", run="r", suite="support", system=SYSTEMS[0], case="c000",
              epoch=0, answer_hash=answer_hash(text), label="wrong", tag="wrong_fact",
              edit="Within 30 days.", answer=text)
    )  # fmt: skip
    kinds = ("tags", "judge", "rows", "cases", "pairs")
    said = run(label, *(part for kind in kinds for part in ("--export", kind)))
    names = (
        "support.misses.csv",
        "few-shot.judge.csv",
        "train.jsonl",
        "cases.jsonl",
        "pairs.jsonl",
    )
    for name in names:
        assert name in said
    assert "0 labels in random order" in said  # a tag on a miss is no random sample


def test_a_result_without_votes_is_no_result(folder: Path) -> None:
    found = json.loads(run(review, *SYSTEMS, "--json"))
    assert found["votes"] == 0
    assert found["pairs"][0]["difference"] is None
    assert found["pairs"][0]["pvalue"] is None


@pytest.mark.parametrize(
    ("command", "arguments", "hint"),
    [
        (label, ["latest", "--suite", "suport", "--export", "tags"], "Did you mean 'support'"),
        (label, ["nothing"], "there is no run"),
        (label, ["--system", "few-shto"], "Did you mean 'few-shot'"),
        (label, ["--order", "valuable"], "encoder"),
        (label, ["--metric", "tonne"], "no metric 'tonne'. Did you mean 'tone'"),
        (label, ["--metric", "tonne", "--export", "judge"], "Did you mean 'tone'"),
        (label, ["--who", "ana", "--who", "ana"], "a name of their own"),
        (review, ["few-shot", "rga"], "is not in run"),
        (review, ["few-shot", "few-shot"], "two or more different systems"),
        (review, ["few-shot"], "two or more different systems"),
    ],
)
def test_a_wrong_call_is_told_before_a_page_opens(
    folder: Path, command: object, arguments: list[str], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.desk.serve.serve", lambda *_, **__: pytest.fail("a page opened"))
    with pytest.raises(RungError, match=hint):
        run(command, *arguments)


@pytest.mark.parametrize(("command", "arguments"), [(label, ()), (review, SYSTEMS)])
def test_a_missing_library_names_the_extra(
    folder: Path, command: object, arguments: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "harness.desk.serve", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(MissingExtraError, match=r"rung\[desk\]"):
        run(command, *arguments)


def test_a_port_that_is_taken_is_told(folder: Path) -> None:
    pytest.importorskip("uvicorn", reason="the desk's extra is not installed")
    from harness.desk.serve import open_socket

    with open_socket(0) as taken, pytest.raises(ConfigError, match="cannot be opened"):
        open_socket(taken.getsockname()[1])


class TestAJudgeOfPairs:
    """`rung review A B --judge NAME --rubric FILE`."""

    @pytest.fixture
    def judged(self, folder: Path) -> Iterator[Path]:
        evals = folder / "evals"
        with (evals / "rung.yaml").open("a") as file:
            file.write("  judge: {kind: python, callable: 'pair_judging:judge'}\n")
        # It prefers the longer deadline in whichever place, and on parcel 3 the first place.
        (evals / "pair_judging.py").write_text(
            "import json\n"
            "def judge(text: str) -> str:\n"
            "    with open('calls.log', 'a') as log: log.write('x')\n"
            "    a = text.split('[begin answer A')[1].split('[end answer A')[0]\n"
            "    if 'parcel 3 ' in a: return json.dumps({'reason': 'r', 'winner': 'A'})\n"
            "    if 'parcel 4 ' in a: return 'the first one'\n"
            "    return json.dumps({'reason': 'r', 'winner': 'A' if '30 days' in a else 'B'})\n"
        )
        (evals / "better.txt").write_text("The better answer gives more time.")
        yield folder
        sys.modules.pop("pair_judging", None)  # each project has its own

    def asked(self) -> str:
        return run(review, *SYSTEMS, "--judge", "judge", "--rubric", "better.txt")

    def test_says_which_system_it_prefers_and_what_it_could_not_tell(self, judged: Path) -> None:
        said = self.asked()
        assert "29 pairs by judge" in said
        assert "0 better, 28 worse, 1 neither" in said
        assert "1 ties because the preference changes with the order, 1 replies could not" in said
        assert "not checked by people" in said

    def test_is_asked_once_and_its_votes_are_nobody_s(self, judged: Path) -> None:
        self.asked()
        calls = len((judged / "calls.log").read_text())
        assert calls == 60  # both orders
        self.asked()
        assert len((judged / "calls.log").read_text()) == calls
        assert not vote_file(judged / "evals", "support").exists()
        assert "0 votes by nobody" in self.asked()

    def test_is_held_against_what_people_say(self, judged: Path) -> None:
        book = VoteBook(vote_file(judged / "evals", "support"))
        outputs = RunOutputs(judged / "reports" / "latest")
        contestants = [Contestant(name=s, outputs=outputs, system=s) for s in SYSTEMS]
        for number, pair in enumerate(make_agenda("support", contestants).pairs[:10]):
            one = number < 3
            book.add(
                Vote(at="2026-01-01", who="ana", suite="support", case=pair.case, epoch=0,
                     left=pair.one, right=pair.other, choice="left" if one else "right")
            )  # fmt: skip
        said = self.asked()
        assert "people say the same of" in said
        assert "Krippendorff's alpha" in said

    @pytest.mark.parametrize(
        ("arguments", "reason"),
        [
            (("--judge", "judge"), "needs a rubric"),
            (("--judge", "jugde", "--rubric", "better.txt"), "no system is called 'jugde'"),
            (("--judge", "judge", "--rubric", "worse.txt"), "rubric cannot be read"),
        ],
    )
    def test_a_wrong_call_is_told(self, judged: Path, arguments: tuple, reason: str) -> None:
        with pytest.raises(ConfigError, match=reason):
            run(review, *SYSTEMS, *arguments)
