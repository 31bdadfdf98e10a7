"""`rung review`: two answers to one case, side by side, and nothing that tells whose they are."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from harness.desk.contents import content, messages, named_fields, whole_text
from harness.desk.door import who_asks
from harness.desk.outputs import RunOutputs
from harness.desk.pages import fragment, page, static_route
from harness.desk.pairs import Agenda, Contestant, Sides
from harness.desk.requests import Problem, explained, read_json, text_field
from harness.desk.standing import Standing
from harness.desk.votes import CHOICES, Pair, Side, Vote, VoteBook, vote_file
from harness.desk.word_diff import word_diff
from harness.types import Output

MOST_COMMENT = 10_000


class ReviewDesk:
    """The pairs of an agenda, and everybody's votes on them."""

    def __init__(
        self,
        agenda: Agenda,
        contestants: Sequence[Contestant],
        *,
        evals: Path,
        sides: Sides | None = None,
    ) -> None:
        self.agenda = agenda
        self.book = VoteBook(vote_file(evals, agenda.suite))
        self._sides = sides or Sides()
        self._tables: dict[str, RunOutputs] = {c.outputs.run_id: c.outputs for c in contestants}
        self._keys: dict[Hashable, int] = {pair.key: i for i, pair in enumerate(agenda.pairs)}
        self._standings: dict[str, Standing] = {}
        self._numbers: dict[str, dict[str, int]] = {}  # by person: what a pair is called there

    def number(self, name: str, who: str) -> int:
        """Find a pair by the name that a person's page has for it."""
        if who not in self._numbers:
            self._numbers[who] = {
                self._sides.name(pair, who): i for i, pair in enumerate(self.agenda.pairs)
            }
        if name not in self._numbers[who]:
            raise Problem("there is no such pair: load the page again", 404)
        return self._numbers[who][name]

    def name(self, number: int | None, who: str) -> str:
        """Return what a pair is called on a person's page."""
        return "" if number is None else self._sides.name(self.agenda.pairs[number], who)

    def standing(self, who: str) -> Standing:
        """Say where a person stands in the agenda."""
        self.book.refresh()
        if who not in self._standings:
            self._standings[who] = Standing(who, self._keys)
        return self._standings[who].catch_up(self.book.log)

    def save(self, who: str, said: Mapping[str, Any]) -> None:
        """Write which answer a person prefers; the sides are known here alone."""
        number = self.number(str(said.get("pair", "")), who)
        choice = next((known for known in CHOICES if known == said.get("choice")), None)
        if choice is None:
            raise Problem("a choice is left, right, tie, both_bad or skipped")
        pair = self.agenda.pairs[number]
        if choice == "skipped" and pair.key in self.book.of(who):
            return
        left, right = self._sides.of(pair, who)
        self.book.add(
            Vote(
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                who=who,
                suite=self.agenda.suite,
                case=pair.case,
                epoch=pair.epoch,
                left=left,
                right=right,
                choice=choice,
                comment=text_field(said, "comment", most=MOST_COMMENT),
                seed=self.agenda.seed,
                place=number + 1,
                of=len(self.agenda.pairs),
            )
        )

    def render(self, who: str, at: int | None = None) -> str:
        """Render a pair: the case, and two answers in the same form."""
        standing = self.standing(who)
        at = standing.next() if at is None else at
        back = self.name(standing.back(at), who)
        if at is None:
            return fragment("review_done.html.j2", back=back, of=standing.done)
        pair = self.agenda.pairs[at]
        case = self._tables[pair.one.run].case(self.agenda.suite, pair.case)
        outputs = [self._output(pair, side) for side in self._sides.of(pair, who)]
        vote = self.book.of(who).get(pair.key)
        # The sides may have been drawn anew since: what was preferred is told by the answer itself.
        return fragment(
            "pair.html.j2",
            name=self.name(at, who),
            next=self.name(standing.next(without=at), who),
            back=back,
            done=standing.done,
            of=len(self.agenda.pairs),
            said=_said(vote, self._sides.of(pair, who)),
            case=case,
            asked=messages(named_fields(case.input)),
            expected=content(case.expected_output) if case.expected_output is not None else None,
            answers=[_answer(output) for output in outputs],
            diffs=word_diff(outputs[0].text, outputs[1].text),
        )

    def whole(self, who: str, name: str, part: str) -> str:
        """Return a text that the page has only the beginning of."""
        pair = self.agenda.pairs[self.number(name, who)]
        kind, _, number = part.partition(":")
        case = self._tables[pair.one.run].case(self.agenda.suite, pair.case)
        if part in ("0", "1"):
            side = self._sides.of(pair, who)[int(part)]
            # The text alone: to read passages as well would take longer for the system that has them.
            place = (pair.case, pair.epoch)
            return whole_text(self._tables[side.run].text(self.agenda.suite, side.system, place))
        if kind in ("case", "expected"):
            return whole_text(
                named_fields(case.input) if kind == "case" else case.expected_output, number
            )
        raise Problem("there is no such text", 404)

    def _output(self, pair: Pair, side: Side) -> Output:
        return self._tables[side.run].output(
            self.agenda.suite, side.system, (pair.case, pair.epoch)
        )


class ReviewPages:
    """What a browser asks of a review."""

    def __init__(self, desk: ReviewDesk) -> None:
        self._desk = desk

    async def index(self, request: Request) -> Response:
        who = who_asks(request)
        # Safe: the template escaped it.
        return page("review.html.j2", who=who, item=Markup(self._desk.render(who)))

    async def pair(self, request: Request) -> Response:
        who = who_asks(request)
        name = request.path_params["name"]
        at = None if name == "next" else self._desk.number(name, who)
        return PlainTextResponse(self._desk.render(who, at), media_type="text/html")

    async def text(self, request: Request) -> Response:
        asked = request.query_params
        return PlainTextResponse(
            self._desk.whole(who_asks(request), asked.get("pair", ""), asked.get("part", ""))
        )

    async def vote(self, request: Request) -> Response:
        who = who_asks(request)
        self._desk.save(who, await read_json(request))
        standing = self._desk.standing(who)
        following = standing.next()
        numbers = {
            "next": following,
            "after": standing.next(without=following),
            "back": standing.back(following),
        }
        names = {key: self._desk.name(number, who) or None for key, number in numbers.items()}
        return JSONResponse({**names, "done": standing.done})


def review_app(desk: ReviewDesk) -> Starlette:
    """Make the pages of a review; `Door` stands before them."""
    pages = ReviewPages(desk)
    return Starlette(
        routes=[
            Route("/", pages.index),
            Route("/pair/{name}", pages.pair),
            Route("/text", pages.text),
            Route("/vote", pages.vote, methods=["POST"]),
            static_route(),
        ],
        exception_handlers=explained(),
    )


def _answer(output: Output) -> dict[str, Any]:
    """Keep what was said and what was called: passages, steps, tokens and times would give it away."""
    return {
        "text": content(output.text),
        "calls": [(call.name, content(dict(call.arguments))) for call in output.tool_calls],
    }


def _said(vote: Vote | None, sides: tuple[Side, Side]) -> str | None:
    if vote is None:
        return None
    if vote.winner is None:
        return {"tie": "tie", "both_bad": "both bad"}.get(vote.choice, "skipped")
    return f"answer {1 + sides.index(vote.winner)}"
