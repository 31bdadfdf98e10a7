"""One output for each case, whatever a system does; nothing asked twice, nothing beyond a budget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from harness.cache import Cache
from harness.cases import case_hash
from harness.errors import ConfigError
from harness.runner import Batch, Budget, Runner
from harness.types import Case, Output, Passage, Rung, Step, SystemSpec, ToolCall, Usage

CASES = [Case(id=f"c{i}", input=f"q{i}", expected_output="secret", tags=("t",)) for i in range(50)]
SPEC = SystemSpec(name="a", kind="python", rung="prompt", folder=Path())


@dataclass
class FakeSystem:
    """Answers with a function of the cases, and remembers what it was asked."""

    answer: object = None
    asked: list[Case] = field(default_factory=list)
    name: str = "a"
    rung: Rung = "prompt"

    def generate(self, cases: Sequence[Case], *, epoch: int) -> Iterator[Output]:
        self.asked.extend(cases)
        if callable(self.answer):
            yield from self.answer(cases, epoch)
        else:
            yield from (Output(case_id=c.id, epoch=epoch, text=str(c.input)) for c in cases)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with closing(Cache(tmp_path / "cache.db")) as cache:
        yield cache


def run(system: FakeSystem, *, cache: Cache | None = None, **options) -> dict:
    runner = Runner(load=lambda spec: system, cache=cache, **options)
    return runner.run(Batch(spec=SPEC, fingerprint="f", cases=CASES, epochs=range(1)))


def test_a_system_never_sees_what_is_expected_of_it() -> None:
    system = FakeSystem()
    run(system)
    assert {case.expected_output for case in system.asked} == {None}
    assert {case.tags for case in system.asked} == {()}


def test_outputs_in_another_order_find_their_cases() -> None:
    def backwards(cases, epoch):
        return (Output(case_id=c.id, epoch=epoch, text=c.id) for c in reversed(cases))

    answers = run(FakeSystem(backwards))
    assert [key[0] for key in answers] == [case.id for case in CASES]
    assert all(answers[c.id, 0].output.text == c.id for c in CASES)


def test_an_exception_keeps_what_was_answered_before_it() -> None:
    def breaks(cases, epoch):
        for case in cases:
            if case.id == "c7":
                raise RuntimeError("out of memory")
            yield Output(case_id=case.id, epoch=epoch, text="fine")

    answers = run(FakeSystem(breaks))
    errors = [a.output.error for a in answers.values()]
    assert errors[:7] == [None] * 7
    assert set(errors[7:]) == {"RuntimeError: out of memory"}


def test_missing_extra_and_unknown_outputs() -> None:
    def odd(cases, epoch):
        yield Output(case_id="c0", epoch=epoch, text="first")
        yield Output(case_id="c0", epoch=epoch, text="second")
        yield Output(case_id="unknown", epoch=epoch, text="who?")

    answers = run(FakeSystem(odd))
    assert len(answers) == len(CASES)
    assert answers["c0", 0].output.text == "first"
    assert answers["c1", 0].output.error == "the system gave no output for this case"


def test_errors_are_not_cached_and_answers_are(cache: Cache) -> None:
    def half(cases, epoch):
        for case in cases:
            bad = int(case.id[1:]) % 2
            yield Output(case_id=case.id, epoch=epoch, text="x", error="busy" if bad else None)

    run(FakeSystem(half), cache=cache)
    again = FakeSystem()
    answers = run(again, cache=cache)
    assert [case.id for case in again.asked] == [f"c{i}" for i in range(1, 50, 2)]
    assert sum(answer.cached for answer in answers.values()) == 25


def test_replay_asks_nothing(cache: Cache) -> None:
    system = FakeSystem()
    answers = run(system, cache=cache, mode="replay")
    assert system.asked == []
    assert {answer.reason for answer in answers.values()} == {"not in the cache (--replay)"}


def test_a_budget_stops_within_one_small_batch() -> None:
    system = FakeSystem()
    budget = Budget(limit=25.0, cost=lambda spec, output: 1.0)
    answers = run(system, budget=budget)
    assert len(system.asked) == 40
    absent = [a for a in answers.values() if a.output is None]
    assert len(absent) == 10
    assert {a.reason for a in absent} == {"the budget of --max-cost was reached"}


def test_a_wrong_system_is_found_before_anything_is_asked(cache: Cache) -> None:
    class Wrong(FakeSystem):
        def check(self) -> None:
            raise ConfigError("the environment variable MY_KEY is not set")

    system = Wrong()
    batch = Batch(spec=SPEC, fingerprint="f", cases=CASES)
    with pytest.raises(ConfigError, match="MY_KEY"):
        Runner(load=lambda spec: system, cache=None).check(batch)
    run(FakeSystem(), cache=cache)
    Runner(load=lambda spec: system, cache=cache).check(batch)  # everything is cached: not needed


def failing(*bad: int):
    """Answer all cases but these, which are errored."""

    def answer(cases, epoch):
        for case in cases:
            error = "503 overloaded" if int(case.id[1:]) in bad else None
            yield Output(case_id=case.id, epoch=epoch, text="fine", error=error)

    return FakeSystem(answer)


def patient(limit: int) -> SystemSpec:
    return replace(SPEC, options={"max_failures": limit})


def ask(spec: SystemSpec, system: FakeSystem, *, epochs: int = 1) -> dict:
    runner = Runner(load=lambda spec: system, cache=None)
    return runner.run(Batch(spec=spec, fingerprint="f", cases=CASES, epochs=range(epochs)))


def test_a_system_that_only_fails_is_given_up_and_the_rest_is_not_run() -> None:
    answers = ask(patient(5), failing(*range(3, 50)), epochs=2)
    errored = [key for key, a in answers.items() if a.output is not None and a.output.error]
    assert errored == [(f"c{i}", 0) for i in range(3, 8)]
    absent = [a.reason for a in answers.values() if a.output is None]
    assert len(absent) == 100 - 8, "the second epoch is not begun"
    assert set(absent) == {"not asked after 5 failures in a row (max_failures): 503 overloaded"}


def test_failures_between_answers_are_no_reason_to_give_up() -> None:
    answers = ask(patient(2), failing(*range(0, 50, 2)))
    assert all(answer.output is not None for answer in answers.values())


def test_zero_is_no_limit() -> None:
    answers = ask(patient(0), failing(*range(50)))
    assert all(answer.output is not None for answer in answers.values())


def test_recorded_failures_are_read_to_the_end() -> None:
    spec = replace(SPEC, kind="recorded")
    answers = ask(spec, failing(*range(50)), epochs=2)
    assert all(answer.output is not None for answer in answers.values())


def test_an_answer_without_end_is_cut_and_errored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.runner.MAX_TEXT", 2_000)

    def endless(cases, epoch):
        return (Output(case_id=c.id, epoch=epoch, text="x" * 2_001) for c in cases)

    output = ask(SPEC, FakeSystem(endless))["c0", 0].output
    assert output.error == "answered 2,001 characters; the limit is 2,000"
    assert len(output.text) == 1_000


def test_what_a_system_does_to_its_input_reaches_no_other_epoch_or_system() -> None:
    case = Case(
        id="c",
        input=[{"role": "user", "content": {"text": "why?"}}],
        metadata={"seen": []},
    )

    def chat(cases, epoch):
        for case in cases:
            case.input[0]["content"]["text"] += "!"
            case.input.append({"role": "assistant", "content": "because"})
            case.metadata["seen"].append(epoch)
            yield Output(case_id=case.id, epoch=epoch, text=f"{case.input[:-1]} {case.metadata}")

    runner = Runner(load=lambda spec: FakeSystem(chat, name=spec.name), cache=None)
    texts = {
        answer.output.text.replace(str([epoch]), "[epoch]")
        for name in "ab"
        for (_, epoch), answer in runner.run(
            Batch(spec=replace(SPEC, name=name), fingerprint=name, cases=[case], epochs=range(2))
        ).items()
    }
    assert len(texts) == 1, "each was asked the same"
    assert case.input == [{"role": "user", "content": {"text": "why?"}}]
    assert case.metadata == {"seen": []}


class Untold:
    """An object that cannot even say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError


UNSTORABLE = [
    ({"text": None}, "text is None, expected text"),
    ({"latency_s": "fast"}, "latency_s is 'fast', expected a number of seconds"),
    ({"latency_s": float("nan")}, "latency_s is nan, expected a number of seconds"),
    ({"latency_s": -1.0}, "latency_s is -1.0, expected a number of seconds"),
    ({"latency_s": 10**400}, "expected a number of seconds"),
    ({"attempts": True}, "attempts is True, expected a whole number"),
    ({"finish_reason": 3}, "finish_reason is 3, expected text"),
    ({"refused": "false"}, "refused is 'false', expected true or false"),
    ({"error": ValueError("x")}, "error is ValueError('x'), expected text that says what failed"),
    ({"error": ""}, "error is '', expected text that says what failed"),
    ({"prompt": 5}, "prompt is 5, expected text or a list of messages"),
    ({"prompt": [{"content": b"x"}]}, "prompt is [{'content': b'x'}], expected text or"),
    ({"prompt": Untold()}, "prompt is of type Untold, expected text or a list of messages"),
    ({"usage": {"prompt_tokens": 1}}, "usage is {'prompt_tokens': 1}, expected Usage("),
    (
        {"usage": Usage(prompt_tokens=10**23, completion_tokens=1)},
        f"usage.prompt_tokens is {10**23}, expected a whole number",
    ),
    ({"passages": "doc1"}, "passages is 'doc1', expected a tuple of Passage"),
    ({"passages": ["a"]}, "passages.0 is 'a', expected a Passage"),
    (
        {"passages": (Passage(id="a"), Passage(id="b", score=float("inf")))},
        "passages.1.score is inf, expected a number",
    ),
    (
        {"steps": (Step(name="a", prompt=object()),)},
        "steps.0.prompt is <object object>, expected text or a list of messages",
    ),
    (
        {"tool_calls": (ToolCall(name="f", arguments="{}"),)},
        "tool_calls.0.arguments is '{}', expected an object of JSON values",
    ),
    (
        {"tool_calls": (ToolCall(name="f", arguments={"x": {1}}),)},
        "tool_calls.0.arguments is {'x': {1}}, expected an object of JSON values",
    ),
]


@pytest.mark.parametrize(("fields", "fault"), UNSTORABLE, ids=[f for _, f in UNSTORABLE])
def test_an_output_that_cannot_be_stored_is_the_error_of_its_case(cache, fields, fault) -> None:
    def one_odd(cases, epoch):
        for case in cases:
            output = Output(case_id=case.id, epoch=epoch, text="fine")
            yield replace(output, **fields) if case.id == "c1" else output

    outputs = {
        case: answer.output for (case, _), answer in run(FakeSystem(one_odd), cache=cache).items()
    }
    assert outputs["c1"].error.startswith("answered an output whose ")
    assert fault in outputs["c1"].error
    assert {o.error for case, o in outputs.items() if case != "c1"} == {None}
    assert cache.count() == len(CASES) - 1


def test_any_object_that_counts_tokens_will_do() -> None:
    @dataclass
    class Counted:
        prompt_tokens: int = 3
        completion_tokens: int = 1

    def counting(cases, epoch):
        return (Output(case_id=c.id, epoch=epoch, text="x", usage=Counted()) for c in cases)

    assert {a.output.error for a in run(FakeSystem(counting)).values()} == {None}


@pytest.mark.parametrize(
    "fields",
    [{"latency_s": "fast"}, {"usage": Usage(prompt_tokens=10**23, completion_tokens=1)}],
    ids=["latency", "usage"],
)
def test_what_the_cache_should_never_have_kept_is_damaged_and_asked_for_again(
    cache, fields
) -> None:
    for case in CASES:
        odd = fields if case.id == "c1" else {}
        output = Output(case_id=case.id, epoch=0, text="kept", **odd)
        cache.put("f", case_hash(case), output)
    system = FakeSystem()
    runner = Runner(load=lambda spec: system, cache=cache)
    answers = runner.run(Batch(spec=SPEC, fingerprint="f", cases=CASES))
    assert [case.id for case in system.asked] == ["c1"]
    assert answers["c1", 0].output.text == "q1"
    assert runner.notes() == ["cache: 1 stored outputs were damaged and are asked for again"]


def test_a_system_whose_cost_is_not_known_is_not_asked_under_a_budget() -> None:
    system = FakeSystem()
    budget = Budget(limit=1.0, cost=lambda spec, output: 0.0, unpriced=lambda spec: "no price")
    answers = run(system, budget=budget)
    assert system.asked == []
    assert {answer.reason for answer in answers.values()} == {"no price"}


def test_outputs_that_were_charged_without_a_count_are_told() -> None:
    counted = Usage(prompt_tokens=1, completion_tokens=1)

    def half(cases, epoch):
        for case in cases:
            odd = int(case.id[1:]) % 2
            yield Output(case_id=case.id, epoch=epoch, text="x", usage=counted if odd else None)

    system = FakeSystem(half)
    budget = Budget(limit=1_000.0, cost=lambda spec, output: 1.0)
    runner = Runner(load=lambda spec: system, cache=None, budget=budget)
    runner.run(Batch(spec=SPEC, fingerprint="f", cases=CASES))
    assert budget.spent == len(CASES)
    (note,) = runner.notes()
    assert note.startswith("--max-cost: the tokens of 25 outputs were not counted")
