"""`--max-cost`: what is counted against it, what it is taken for where nobody counted, and what stops."""

from __future__ import annotations

from pathlib import Path

import pytest
from sample_project import SampleProject
from test_systems_remote import broken, ok, serve  # noqa: F401 - fixtures

from harness.economics import Prices
from harness.plugin.money import Tariff, most_tokens
from harness.types import ModelSpec, Output, Step, SystemSpec, Usage

# Tokens at a price of one, and answers of the server that cost 5 + 2 of them.
PRICES = """
date: 2026-11-20
currency: EUR
models: {hosted: {input_per_million: 1000000, output_per_million: 1000000}}
"""
SAYS_YES = '{"reason": "it does", "pass": true}'
JUDGED = (
    '@pytest.mark.judge(system="judge", rubric="tone.txt")\n'
    "def test_tone(judgement):\n    assert judgement.passed\n"
)
PLAIN = "def test_right(output):\n    assert output.text\n"


def model(name: str = "hosted", kind: str = "openai", **options) -> ModelSpec:
    return ModelSpec(name=name, kind=kind, source="m", options=options)


def system(**fields) -> SystemSpec:
    given = {"model": model(), **fields}
    return SystemSpec(name="a", kind="prompt", rung="prompt", folder=Path(), **given)


@pytest.fixture
def tariff() -> Tariff:
    one = {"input_per_million": 1_000_000, "output_per_million": 1_000_000}
    prices = Prices(date="2026-11-20", currency="EUR", models={"hosted": one})
    return Tariff(file=Path("prices.yaml"), prices=prices)


def answered(text: str = "", **fields) -> Output:
    return Output(case_id="c", epoch=0, text=text, **fields)


PROMPT = ({"role": "user", "content": "x" * 100},)


def test_an_answer_costs_what_its_server_counted(tariff: Tariff) -> None:
    usage = Usage(prompt_tokens=5, completion_tokens=2)
    assert tariff.cost(system(), answered("pong", usage=usage)) == 7


@pytest.mark.parametrize("usage", [None, Usage(prompt_tokens=0, completion_tokens=0)])
def test_an_answer_that_nobody_counted_is_not_free(tariff: Tariff, usage) -> None:
    few = system(options={"decoding": {"max_tokens": 10}})
    cost = tariff.cost(few, answered("pong", prompt=PROMPT, usage=usage))
    assert 100 + 10 < cost < 200


def test_a_request_that_failed_may_have_been_billed(tariff: Tariff) -> None:
    assert tariff.cost(system(), answered(prompt=PROMPT, error="timed out")) > 256


@pytest.mark.parametrize(
    ("fields", "options", "expected"),
    [
        ({"text": "short"}, {"decoding": {"max_tokens": 10}}, 10),
        ({"text": "x" * 50}, {"decoding": {"max_tokens": 10}}, 52),
        ({"text": "short"}, {}, 256),
        ({"text": "short"}, {"steps": [{"decoding": {"max_tokens": 400}}]}, 400),
        (
            {"steps": tuple(Step(name=n, prompt=PROMPT, text="x") for n in "ab")},
            {"decoding": {"max_tokens": 10}},
            20,
        ),
    ],
    ids=["limit", "longer than the limit", "default", "of a step", "two steps"],
)  # fmt: skip
def test_an_answer_has_no_more_tokens_than_it_was_allowed(fields, options, expected) -> None:
    output = answered(**{"prompt": PROMPT, **fields})
    assert most_tokens(system(options=options), output).completion_tokens == expected


def test_a_limit_of_the_request_itself_counts_too() -> None:
    asked = system(model=model(extra_body={"max_completion_tokens": 4_000}))
    assert most_tokens(asked, answered(prompt=PROMPT)).completion_tokens == 4_000


def test_functions_that_are_offered_are_part_of_what_is_sent() -> None:
    offered = system(options={"tools": {"functions": [{"name": "look", "description": "x" * 500}]}})
    counts = [most_tokens(s, answered(prompt=PROMPT)).prompt_tokens for s in (system(), offered)]
    assert counts[1] - counts[0] >= 500


def test_what_was_never_sent_costs_nothing(tariff: Tariff) -> None:
    refused = answered("no", refused=True, finish_reason="input_refused")
    assert tariff.cost(system(), refused) == 0


@pytest.mark.parametrize("asked", [system(model=None), system(model=model(kind="transformers"))])
def test_answers_of_this_machine_cost_nothing_a_call(tariff: Tariff, asked: SystemSpec) -> None:
    assert tariff.cost(asked, answered("pong", prompt=PROMPT)) == 0
    assert tariff.unpriced(asked) is None


def test_a_model_without_a_price_is_named(tariff: Tariff) -> None:
    assert "'far'" in (tariff.unpriced(system(model=model("far"))) or "")


@pytest.fixture
def hosted(project: SampleProject, serve):  # noqa: F811
    """A project of sixty cases with a system and a judge on one server."""

    def build(answer, body: str, *, prices: str = PRICES):
        server = serve(lambda number, request: answer)
        project.suite(body, systems={"a": {f"c{i}": "yes" for i in range(60)}})
        local = "  a: {kind: recorded, outputs: outputs/a.jsonl}\n"
        asked = "  a: {kind: prompt, model: hosted, decoding: {max_tokens: 10}}\n"
        project.write(
            "evals/rung.yaml",
            f'models: {{hosted: {{openai: m-2026-01-01, base_url: "{server.url}"}}}}\n'
            "systems:\n"
            f"{local if 'judgement' in body else asked}"
            "  judge: {kind: prompt, model: hosted}\n"
            "decision: {prices: prices.yaml}\n",
        )
        project.write("evals/prices.yaml", prices)
        project.write("evals/tone.txt", "The answer says yes.")
        return server

    return build


def states(project: SampleProject) -> list[str]:
    return [row["state"] for row in project.table("scores")]


def test_a_judge_is_asked_until_the_money_is_spent(project, hosted) -> None:
    server = hosted(ok(SAYS_YES), JUDGED)
    project.run("--max-cost", "100")
    assert len(server.requests) == 20
    assert states(project).count("passed") == 20
    assert states(project).count("unscored") == 40


def test_a_server_that_counts_nothing_is_not_asked_without_end(project, hosted) -> None:
    server = hosted(broken({"usage": None}), PLAIN)
    result = project.run("--max-cost", "100")
    assert len(server.requests) == 20
    assert states(project).count("not_run") == 40
    result.stdout.fnmatch_lines(["--max-cost: the tokens of 20 outputs were not counted*"])


def test_workers_together_spend_no_more_than_one_process(project, hosted) -> None:
    server = hosted(ok(), PLAIN)
    project.run_outside("-n", "2", "--max-cost", "300")
    assert len(server.requests) == 40, "half of it pays for 22 answers"


@pytest.mark.parametrize("name", ['"judge"', '"jud" + "ge"'], ids=["written", "computed"])
def test_a_judge_without_a_price_ends_the_run_before_it_begins(project, hosted, name) -> None:
    body = JUDGED.replace('"judge"', name)
    server = hosted(ok(SAYS_YES), body, prices="date: 2026-11-20\ncurrency: EUR\n")
    result = project.run("--max-cost", "100")
    assert result.ret == 4
    result.stdout.fnmatch_lines(["*prices.yaml: models.hosted: this model has no price*"])
    assert server.requests == []
