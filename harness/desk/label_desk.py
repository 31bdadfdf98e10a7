"""`rung label`: one output at a time, judged by keyboard, each answer saved at once."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from harness.desk.contents import content, messages, named_fields, whole_text
from harness.desk.door import who_asks
from harness.desk.evidence import StoredSuite, SuiteLabels, count_labels
from harness.desk.labels import ANSWERS, ORDERS, Key, Label, LabelBook, label_file
from harness.desk.outputs import Item, Place, RunOutputs
from harness.desk.pages import fragment, page, static_route
from harness.desk.progress import agreement_sentence, expected_hash, progress
from harness.desk.queues import Choice, LoadEncoder, Queue, make_queue
from harness.desk.requests import Problem, explained, read_json, text_field, whole_number
from harness.desk.standing import Standing
from harness.desk.tags import BAD_LABEL, QUICK_TAGS, run_misses
from harness.error_analysis import CATEGORIES, Miss, find_misses, read_overrides
from harness.error_analysis.misses import answer_hash
from harness.metrics.retrieval import names_of

MOST_TAG, MOST_COMMENT, MOST_EDIT = 80, 10_000, 400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a desk was started."""

    evals: Path  # the folder of the suites
    suite: str
    system: str | None = None
    order: str = "misses"
    metric: str | None = None
    seed: int = 0
    count: int | None = None
    encoder: LoadEncoder | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """A queue with what a label of each place is filed under."""

    queue: Queue
    keys: tuple[Key, ...]
    numbers: Mapping[Hashable, int]


class LabelDesk:
    """The outputs of a run, in queues, and everybody's labels of them."""

    def __init__(self, outputs: RunOutputs, options: Options) -> None:
        self.outputs = outputs
        self.options = options
        self._lines: dict[Choice, _Line] = {}
        self._books: dict[str, LabelBook] = {}
        self._suites: dict[str, StoredSuite] = {}
        self._standings: dict[tuple[Choice, str], Standing] = {}
        self._misses: dict[tuple[str, str], list[Miss]] = {}
        self._lock = threading.Lock()  # one thread looks at the misses

    def choice(self, asked: Mapping[str, str]) -> Choice:
        """Read what a request wants to look at; every name must be one of this run."""
        suite = self.outputs.check_suite(asked.get("suite") or self.options.suite)
        named = asked.get("system") or (self.options.system if suite == self.options.suite else "")
        system = self.outputs.check_system(suite, named or self.outputs.systems(suite)[0])
        said = asked.get("order") or self.options.order
        order = next((known for known in ORDERS if known == said), None)
        if order is None:
            raise Problem(f"there is no order '{said[:40]}'")
        metric = asked.get("metric", self.options.metric or "") or None
        if metric is not None:
            self.outputs.check_metric(suite, metric)
        return Choice(suite=suite, system=system, order=order, metric=metric)

    def line(self, choice: Choice) -> _Line:
        """Return a queue, made when it is first asked for."""
        if choice not in self._lines:
            options = self.options
            queue = make_queue(
                self.outputs,
                choice,
                seed=options.seed,
                count=options.count,
                encoder=options.encoder,
            )
            keys = tuple(self._key(choice, place) for place in queue.places)
            numbers: dict[Hashable, int] = {key: number for number, key in enumerate(keys)}
            self._lines[choice] = _Line(queue=queue, keys=keys, numbers=numbers)
        return self._lines[choice]

    def book(self, suite: str) -> LabelBook:
        """Return the labels of a suite as they are on the disk."""
        if suite not in self._books:
            self._books[suite] = LabelBook(label_file(self.options.evals, suite))
        self._books[suite].refresh()
        return self._books[suite]

    def standing(self, choice: Choice, who: str) -> Standing:
        """Say where a person stands in a queue."""
        book = self.book(choice.suite)
        if (choice, who) not in self._standings:
            self._standings[choice, who] = Standing(who, self.line(choice).numbers)
        return self._standings[choice, who].catch_up(book.log)

    def save(self, choice: Choice, who: str, said: Mapping[str, Any]) -> None:
        """Write what a person said of the output at a place."""
        line = self.line(choice)
        place = whole_number(said, "place", below=len(line.keys))
        key = line.keys[place]
        if said.get("hash") != key[3]:
            raise Problem("this answer is not the one that was shown: load the page again", 409)
        answer = next((known for known in ANSWERS if known == said.get("label")), None)
        if answer is None:
            raise Problem("a label is right, wrong or skipped")
        book = self.book(choice.suite)
        if answer == "skipped" and key in book.of(who):
            return
        edit = text_field(said, "edit", most=MOST_EDIT)
        text = self.outputs.text(choice.suite, choice.system, line.queue.places[place])
        book.add(
            Label(
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                who=who,
                run=self.outputs.run_id,
                suite=choice.suite,
                system=choice.system,
                case=key[1],
                epoch=key[2],
                answer_hash=key[3],
                metric=choice.metric,
                label=answer,
                tag=text_field(said, "tag", most=MOST_TAG),
                edit=edit,
                answer=text if edit is not None else None,
                comment=text_field(said, "comment", most=MOST_COMMENT),
                order=choice.order,
                seed=line.queue.seed,
                place=place + 1,
                of=len(line.keys),
                scores_shown=said.get("scores_shown") is not False,
                expected_hash=expected_hash(self.outputs.case(choice.suite, key[1])),
            )
        )

    def misses(self, suite: str, system: str) -> list[Miss]:
        """Return the misses of a system by rule, found when they are first asked for."""
        with self._lock:
            if (suite, system) not in self._misses:
                self._misses[suite, system] = run_misses(self.outputs, suite, system)
            return self._misses[suite, system]

    def agreement(self, suite: str, labels: Sequence[Label]) -> dict[str, str | None]:
        """Say how far people agree, and which labels are not of this run's answers."""
        said = SuiteLabels(suite=suite, evals=self.options.evals, labels=tuple(labels))
        with self._lock:
            if suite not in self._suites:
                self._suites[suite] = StoredSuite(self.outputs, suite)
            waiting = count_labels(said, self._suites[suite]).waiting
        return {"agreement": agreement_sentence(labels), "waiting": waiting}

    def _key(self, choice: Choice, place: Place) -> Key:
        digest = answer_hash(self.outputs.text(choice.suite, choice.system, place))
        return (choice.system, *place, digest, choice.metric)


class LabelPages:
    """What a browser asks of a desk."""

    def __init__(self, desk: LabelDesk) -> None:
        self._desk = desk

    async def index(self, request: Request) -> Response:
        choice = self._desk.choice(request.query_params)
        outputs = self._desk.outputs
        return page(
            "label.html.j2",
            run=outputs.run_id,
            who=who_asks(request),
            choice=choice,
            suites=[name for name in outputs.suites if outputs.systems(name)],
            systems=outputs.systems(choice.suite),
            metrics=list(outputs.suites[choice.suite]["metrics"]),
            orders=ORDERS if self._desk.options.encoder else [o for o in ORDERS if o != "valuable"],
            tags=QUICK_TAGS,
            more_tags=[name for name in CATEGORIES if name not in (*QUICK_TAGS, "unknown")],
            bad_label=BAD_LABEL,
            # Safe: the template escaped it.
            item=Markup(_item(self._desk, choice, who_asks(request), None)),
        )

    async def item(self, request: Request) -> Response:
        choice = self._desk.choice(request.query_params)
        asked = request.query_params
        place = (
            None
            if asked.get("place") == "next"
            else whole_number(asked, "place", below=len(self._desk.line(choice).keys))
        )
        return PlainTextResponse(
            _item(self._desk, choice, who_asks(request), place), media_type="text/html"
        )

    async def answer(self, request: Request) -> Response:
        said = await read_json(request)
        choice = self._desk.choice(
            {key: str(said.get(key) or "") for key in ("suite", "system", "order", "metric")}
        )
        self._desk.save(choice, who_asks(request), said)
        standing = self._desk.standing(choice, who_asks(request))
        following = standing.next()
        return JSONResponse(
            {
                "next": following,
                "after": standing.next(without=following),
                "back": standing.back(following),
            }
        )

    async def text(self, request: Request) -> Response:
        choice = self._desk.choice(request.query_params)
        line = self._desk.line(choice)
        place = line.queue.places[whole_number(request.query_params, "place", below=len(line.keys))]
        found = self._desk.outputs.item(choice.suite, choice.system, place)
        return PlainTextResponse(_whole(found, request.query_params.get("part", "")))

    async def counts(self, request: Request) -> Response:
        choice = self._desk.choice(request.query_params)
        # In threads: the first count looks at every miss, and answers must not wait for it.
        misses = await run_in_threadpool(self._desk.misses, choice.suite, choice.system)
        book = self._desk.book(choice.suite)
        rows = progress(
            book,
            system=choice.system,
            misses=misses,
            by_hand=read_overrides(self._desk.options.evals / f"{choice.suite}.misses.csv"),
            judged=[choice.metric] if choice.metric else self._desk.outputs.judged(choice.suite),
        )
        return page(
            "progress.html.j2",
            rows=rows,
            mine=self._desk.standing(choice, who_asks(request)).done,
            of=len(self._desk.line(choice).keys),
            people=book.people(),
            problems=book.problems,
            **await run_in_threadpool(self._desk.agreement, choice.suite, book.all()),
        )


def label_app(desk: LabelDesk) -> Starlette:
    """Make the pages of a desk; `Door` stands before them."""
    pages = LabelPages(desk)
    return Starlette(
        routes=[
            Route("/", pages.index),
            Route("/item", pages.item),
            Route("/text", pages.text),
            Route("/progress", pages.counts),
            Route("/answer", pages.answer, methods=["POST"]),
            static_route(),
        ],
        exception_handlers=explained(),
    )


def _item(desk: LabelDesk, choice: Choice, who: str, place: int | None) -> str:
    """Render one output; with no place, the first that the person has not answered."""
    line = desk.line(choice)
    standing = desk.standing(choice, who)
    at = standing.next() if place is None else place
    back = standing.back(at)
    if at is None:
        return fragment("done.html.j2", back=back, of=len(line.keys))
    found = desk.outputs.item(choice.suite, choice.system, line.queue.places[at])
    judged = desk.outputs.judged(choice.suite)
    return fragment(
        "item.html.j2",
        at=at,
        of=len(line.keys),
        next=standing.next(without=at),
        back=back,
        hash=line.keys[at][3],
        said=desk.book(choice.suite).of(who).get(line.keys[at]),
        # What a machine thinks of an answer must not sway a label that the machine is checked by.
        blind=choice.order == "random",
        choice=choice,
        item=found,
        shown=_shown(found),
        scores=_sorted_scores(found, judged),
        judged=judged,
        cause=_cause(found),
        **_gold(found),
    )


def _cause(item: Item) -> Miss | None:
    """Return what the rules make of a miss, for a person to agree with or not."""
    misses = find_misses(item.system, [item.case], [item.output], item.scores)
    return next((miss for miss in misses if miss.category != "unknown"), None)


def _shown(item: Item) -> dict[str, Any]:
    expected = item.case.expected_output
    return {
        "input": messages(named_fields(item.case.input)),
        "expected": content(expected) if expected is not None else None,
        "answer": content(item.output.text),
        "prompt": messages(item.output.prompt),
        "calls": [
            (c.name, content(dict(c.arguments)), content(c.result) if c.result else None)
            for c in item.output.tool_calls
        ],
        "steps": [(s.name, messages(s.prompt), content(s.text)) for s in item.output.steps],
    }


def _gold(item: Item) -> dict[str, Any]:
    """Which passages given are gold, by their ids, and the gold ones of which none was given."""
    names = {passage.id: names_of(passage.id) for passage in item.output.passages}
    wanted = {passage.id for passage in item.case.context}
    given = {name for found in names.values() for name in found}
    return {
        "gold": {passage for passage, found in names.items() if wanted.intersection(found)},
        "absent": [passage for passage in item.case.context if passage.id not in given],
    }


def _sorted_scores(item: Item, judged: Sequence[str]) -> list[Any]:
    rank = {"missed": 0, "errored": 1, "unscored": 2, "passed": 3}
    return sorted(item.scores, key=lambda s: (rank.get(s.state, 4), s.metric in judged, s.metric))


def _whole(item: Item, part: str) -> str:
    """Return a text that the page has only the beginning of."""
    kind, _, number = part.partition(":")
    texts: dict[str, Any] = {
        "answer": item.output.text,
        "expected": item.case.expected_output,
        "input": named_fields(item.case.input),
        "prompt": item.output.prompt,
    }
    if texts.get(kind) is None:
        raise Problem("there is no such text", 404)
    return whole_text(texts[kind], number)
