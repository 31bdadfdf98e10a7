"""Who may come in, what a request may name, and what a reviewer can find out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from desk_project import SYSTEMS, MadeRun, write_project

pytest.importorskip("starlette", reason="the desk's extra is not installed")
pytest.importorskip("uvicorn", reason="the desk's extra is not installed")

from starlette.testclient import TestClient

from harness.desk.door import Door
from harness.desk.label_desk import LabelDesk, Options, label_app
from harness.desk.labels import label_file
from harness.desk.outputs import RunOutputs
from harness.desk.pairs import Contestant, Sides, make_agenda
from harness.desk.review_desk import ReviewDesk, review_app
from harness.desk.votes import vote_file

FEW_SHOT, RAG = SYSTEMS
TOKENS = {"token-of-ana": "ana", "token-of-ben": "ben"}
PORT = 8123
HOME = f"http://127.0.0.1:{PORT}"
OWN = {"origin": HOME}


def client(app: object) -> TestClient:
    """A browser at the door."""
    return TestClient(Door(app, tokens=TOKENS, port=PORT), base_url=HOME, follow_redirects=False)


def let_in(app: object, token: str = "token-of-ana") -> TestClient:
    """A browser that has opened the address with its token."""
    made = client(app)
    assert made.get(f"/?token={token}").status_code == 303
    return made


@pytest.fixture
def labels(tmp_path: Path) -> object:
    outputs = RunOutputs(write_project(tmp_path))
    return label_app(LabelDesk(outputs, Options(evals=tmp_path / "evals", suite="support")))


def review(folder: Path, sides: Sides | None = None, made: MadeRun | None = None) -> object:
    outputs = RunOutputs(write_project(folder, made))
    contestants = [Contestant(name=s, outputs=outputs, system=s) for s in SYSTEMS]
    agenda = make_agenda("support", contestants)
    return review_app(ReviewDesk(agenda, contestants, evals=folder / "evals", sides=sides))


ANSWER = {"suite": "support", "system": FEW_SHOT, "order": "misses", "place": "0", "label": "right"}


def first_answer(browser: TestClient) -> dict[str, str]:
    """What the page would post of its first item."""
    found = re.search(r'data-hash="(\w+)"', browser.get("/").text)
    assert found
    return ANSWER | {"hash": found[1]}


class TestTheDoor:
    @pytest.mark.parametrize(
        "path", ["/", "/item?place=0", "/progress", "/static/desk.js", "/text?part=answer"]
    )
    def test_stays_shut_without_the_token(self, labels: object, path: str) -> None:
        browser = client(labels)
        assert browser.get(path).status_code == 403
        assert browser.get(path, headers={"cookie": f"rung-desk-{PORT}=guess"}).status_code == 403
        assert "c000" not in browser.get(path).text

    def test_takes_no_guessed_token(self, labels: object) -> None:
        assert client(labels).get("/?token=guess").status_code == 403
        assert client(labels).get("/?token=").status_code == 403

    def test_puts_the_token_into_a_cookie_that_no_script_or_site_gets(self, labels: object) -> None:
        response = client(labels).get("/?token=token-of-ana")
        cookie = response.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert response.headers["location"] == "/"

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "http://evil.example"},
            {"origin": "null"},
            {"origin": f"http://localhost:{PORT + 1}"},
            {"origin": HOME, "sec-fetch-site": "cross-site"},
            {},  # a post that does not say where it comes from
        ],
    )
    def test_refuses_answers_from_another_origin(
        self, labels: object, headers: dict[str, str], tmp_path: Path
    ) -> None:
        browser = let_in(labels)
        said = first_answer(browser)
        assert browser.post("/answer", json=said, headers=headers).status_code == 403
        assert not label_file(tmp_path / "evals", "support").exists()
        assert browser.post("/answer", json=said, headers=OWN).status_code == 200

    def test_refuses_reads_from_another_origin(self, labels: object) -> None:
        browser = let_in(labels)
        assert (
            browser.get("/item?place=0", headers={"origin": "http://evil.example"}).status_code
            == 403
        )
        assert (
            browser.get("/item?place=0", headers={"sec-fetch-site": "cross-site"}).status_code
            == 403
        )

    def test_refuses_another_name_for_this_machine(self, labels: object) -> None:
        assert let_in(labels).get("/", headers={"host": "evil.example"}).status_code == 421

    def test_allows_only_its_own_scripts(self, labels: object) -> None:
        policy = let_in(labels).get("/").headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy

    @pytest.mark.parametrize(
        "path",
        [
            "/static/../door.py",
            "/static/..%2fdoor.py",
            "/static/%2e%2e/%2e%2e/errors.py",
            "/static/label_desk.py",
            "/static//etc/passwd",
            "/static/label.html.j2",
            "/../../etc/passwd",
        ],
    )
    def test_no_path_is_a_file(self, labels: object, path: str) -> None:
        response = let_in(labels).get(path)
        assert response.status_code == 404
        assert "root:" not in response.text
        assert "import" not in response.text

    @pytest.mark.parametrize(
        "changes",
        [
            {"suite": "../../../etc/passwd"},
            {"suite": "../support"},
            {"system": "../few-shot"},
            {"order": "../random"},
            {"metric": "../x"},
            {"place": "-1"},
            {"place": "10000"},
            {"place": "1e3"},
            {"label": "perhaps"},
            {"label": ["right"]},
            {"tag": "x" * 81},
            {"tag": 7},
            {"edit": {"a": 1}},
        ],
    )
    def test_an_answer_that_names_what_is_not_there_writes_nothing(
        self, labels: object, changes: dict[str, object], tmp_path: Path
    ) -> None:
        browser = let_in(labels)
        response = browser.post("/answer", json=first_answer(browser) | changes, headers=OWN)
        assert 400 <= response.status_code < 500
        assert not (tmp_path / "evals" / "labels").exists()

    def test_an_answer_to_another_text_is_refused(self, labels: object) -> None:
        browser = let_in(labels)
        said = first_answer(browser) | {"hash": "000000000000"}
        assert browser.post("/answer", json=said, headers=OWN).status_code == 409

    def test_refuses_what_is_not_a_small_json_object(self, labels: object) -> None:
        browser = let_in(labels)
        form = browser.post("/answer", data={"a": "b"}, headers=OWN)
        large = browser.post(
            "/answer", content=b"[" * 3_000_000, headers=OWN | {"content-type": "application/json"}
        )
        deep = browser.post(
            "/answer", content=b"[" * 300_000, headers=OWN | {"content-type": "application/json"}
        )
        assert (form.status_code, large.status_code, deep.status_code) == (415, 413, 400)


class TestThePages:
    def test_hold_one_output_at_a_time(self, labels: object) -> None:
        browser = let_in(labels)
        ids = set(re.findall(r"c\d{3}", browser.get("/").text))
        assert len(ids) == 1

    def test_show_everything_that_a_label_rests_on(self, labels: object) -> None:
        text = let_in(labels).get(f"/?system={RAG}").text
        for part in ("May I return parcel 0?", "within 30 days", "You are rag-secret-name.",
                     "hours.md#monday", "gold, not given", "states the policy", "tone"):  # fmt: skip
            assert part in text

    def test_escape_hostile_text(self, tmp_path: Path) -> None:
        hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'\u202egnp.exe\x00\ud800"
        plain = hostile.encode("utf-8", "backslashreplace").decode()
        made = MadeRun(answers={FEW_SHOT: [plain] * 30}, inputs=[hostile] * 30)
        outputs = RunOutputs(write_project(tmp_path, made))
        app = label_app(LabelDesk(outputs, Options(evals=tmp_path / "evals", suite="support")))
        text = let_in(app).get("/").text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "[U+202E]" in text

    def test_say_when_the_disk_takes_nothing_more(self, labels: object, tmp_path: Path) -> None:
        (tmp_path / "evals" / "labels").write_text("not a folder")
        browser = let_in(labels)
        response = browser.post("/answer", json=first_answer(browser), headers=OWN)
        assert response.status_code == 500
        assert "cannot write" in response.text

    def test_a_person_is_whoever_holds_the_token(self, labels: object, tmp_path: Path) -> None:
        for token in TOKENS:
            browser = let_in(labels, token)
            said = first_answer(browser) | {"who": "somebody else"}
            assert browser.post("/answer", json=said, headers=OWN).json() == {
                "next": 1,
                "after": 2,
                "back": 0,
            }
        rows = label_file(tmp_path / "evals", "support").read_text().splitlines()
        assert [json.loads(row)["who"] for row in rows] == ["ana", "ben"]


class TestAReviewerIsBlind:
    SECRETS = (
        *SYSTEMS,
        "20260101-120000-aaaa",
        "0.1234",
        "4.321",
        "latency",
        "hours.md",
        "You are few",
        "210 + 24",
    )

    def everything(self, browser: TestClient) -> list[tuple[str, str]]:
        """Every response, with its headers, of a session that judges five pairs."""
        seen = []

        def keep(response: object) -> object:
            seen.append((str(response.url), f"{response.headers} {response.text}"))
            return response

        for name in ("desk.js", "review.js", "desk.css"):
            keep(browser.get(f"/static/{name}"))
        page = keep(browser.get("/"))
        for _ in range(5):
            name = re.search(r'data-at="(\w+)"', page.text)[1]
            keep(browser.get(f"/text?pair={name}&part=0"))
            said = keep(browser.post("/vote", json={"pair": name, "choice": "left"}, headers=OWN))
            page = keep(browser.get(f"/pair/{said.json()['next']}"))
        return seen

    def test_neither_pages_nor_addresses_nor_headers_name_a_system(self, tmp_path: Path) -> None:
        for url, response in self.everything(let_in(review(tmp_path))):
            for secret in self.SECRETS:
                assert secret not in url
                assert secret not in response

    def test_the_sides_are_in_the_log_alone(self, tmp_path: Path) -> None:
        self.everything(let_in(review(tmp_path)))
        rows = [
            json.loads(row)
            for row in vote_file(tmp_path / "evals", "support").read_text().splitlines()
        ]
        assert len(rows) == 5
        assert all({row["left"]["system"], row["right"]["system"]} == set(SYSTEMS) for row in rows)
        assert all(row["who"] == "ana" and row["seed"] == 0 for row in rows)

    def test_a_page_with_the_sides_swapped_differs_in_the_answers_alone(
        self, tmp_path: Path
    ) -> None:
        """Whatever tells two systems apart, in bytes or in requests, would show here."""
        answers = {
            s: [f"Answer number {i} of {k}." for i in range(30)]
            for k, s in zip("xy", SYSTEMS, strict=True)
        }
        pages = {}
        for number in range(40):
            made = MadeRun(answers=answers)
            app = review(tmp_path / str(number), Sides(bytes([number]) * 32), made)
            text = let_in(app).get("/").text
            first = "x" if text.index("of x.") < text.index("of y.") else "y"
            pages[first] = re.sub(r'data-(at|next|back)="\w*"', "", text)
            if len(pages) == 2:
                break
        assert set(pages) == {"x", "y"}
        swapped = (
            pages["y"].replace("of y.", "of #.").replace("of x.", "of y.").replace("of #.", "of x.")
        )
        marks = str.maketrans("", "", "xy")
        assert swapped.translate(marks) == pages["x"].translate(marks)
        assert len(pages["x"]) == len(pages["y"])

    def test_no_request_does_more_work_for_one_system_than_for_the_other(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What tells systems apart beside an answer's text would tell in the time it takes."""
        looked_at: list[tuple[str, str]] = []

        def spied(name: str) -> None:
            real = getattr(RunOutputs, name)

            def look(outputs: RunOutputs, suite: str, system: str, place: object) -> object:
                looked_at.append((name, system))
                return real(outputs, suite, system, place)

            monkeypatch.setattr(RunOutputs, name, look)

        browser = let_in(review(tmp_path))
        for name in ("output", "text", "item", "scores"):
            spied(name)
        for _ in range(2):  # the second time as the first: nothing is kept of either
            looked_at.clear()
            page = browser.get("/")
            assert sorted(looked_at) == sorted(("output", system) for system in SYSTEMS)
        pair = re.search(r'data-at="(\w+)"', page.text)[1]
        sides = []
        for part in ("0", "1"):
            looked_at.clear()
            answer = browser.get(f"/text?pair={pair}&part={part}")
            sides.append((looked_at[0][1], dict(answer.headers) | {"content-length": ""}))
            # The text alone: passages and steps are there for one of the two, and take time to read.
            assert [name for name, _ in looked_at] == ["text"]
        assert {system for system, _ in sides} == set(SYSTEMS)
        assert sides[0][1] == sides[1][1]

    def test_names_of_pairs_say_nothing_and_are_each_persons_own(self, tmp_path: Path) -> None:
        app = review(tmp_path)
        names = [
            re.search(r'data-at="(\w+)"', let_in(app, token).get("/").text)[1] for token in TOKENS
        ]
        assert names[0] != names[1]
        assert let_in(app, "token-of-ben").get(f"/pair/{names[0]}").status_code == 404

    @pytest.mark.parametrize("name", ["0", "..%2f..%2fetc", FEW_SHOT, "a" * 24])
    def test_a_pair_that_is_not_there_is_refused(self, tmp_path: Path, name: str) -> None:
        browser = let_in(review(tmp_path))
        assert browser.get(f"/pair/{name}").status_code in (303, 404)
        assert (
            browser.post("/vote", json={"pair": name, "choice": "left"}, headers=OWN).status_code
            == 404
        )
