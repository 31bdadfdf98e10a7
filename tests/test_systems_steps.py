"""Tools, chains and moderation: what happens around a model's answers, on a scripted model."""

import json
import time

import pytest

from harness.config import schema
from harness.errors import ConfigError
from harness.types import Case, ModelSpec, SystemSpec, ToolCall, Usage
from systems.backend import Completion, RawCall
from systems.prompt import PromptSystem
from systems.tools import calls_in_text

FUNCTIONS = """
import time

import pytest

def weather(city):
    return {"city": city, "sky": "clear"}

def broken(city):
    raise LookupError(city)

def endless(city):
    time.sleep(60)

def odd(city):
    return object()

def lookup(case, steps):
    return {"billing": "Bills come monthly."}[steps["classify"].strip()]

def nothing(case, steps):
    return None

def sleeps(case, steps):
    time.sleep(60)

def leaves(*args):
    raise SystemExit("bye")

def skips(*args):
    raise pytest.skip.Exception("bye")

def waits(*args, **given):
    time.sleep(3)
    return ""

def fails_late(city):
    time.sleep(3)
    raise LookupError(city)

def refuses_late(text):
    time.sleep(3)
    return "darn" in text

def swears(text):
    return "darn" in text

def says_why(text):
    return "it says darn" if "darn" in text else ""

def repeats(text):
    return text

async def swears_later(text):
    return "darn" in text

def hangs(text):
    time.sleep(60)

def fails(text):
    raise RuntimeError("down")
"""
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CASE = Case(id="a", input="hello")


class Scripted:
    """A model that answers as a function of the messages says, and keeps what it was asked."""

    def __init__(self, answer):
        self.answer, self.batches = answer, []

    def check(self):
        pass

    def complete(self, requests, decoding):
        self.batches.append(list(requests))
        for index, request in enumerate(requests):
            made = self.answer(list(request.messages))
            if isinstance(made, str):
                made = Completion(text=made)
            yield (
                index,
                Completion(
                    text=made.text,
                    calls=made.calls,
                    error=made.error,
                    prompt=tuple(request.messages),
                    usage=Usage(prompt_tokens=10, completion_tokens=1),
                    latency_s=0.5,
                    attempts=made.attempts,
                ),
            )


def spec_of(folder, options):
    model = ModelSpec(name="m", kind="openai", source="m")
    return SystemSpec(
        name="s", kind="prompt", rung="prompt", folder=folder, model=model, options=options
    )


@pytest.fixture
def run(tmp_path):
    name = f"functions_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(FUNCTIONS)

    def build(model_answer, *cases, files=None, **options):
        for file, text in (files or {}).items():
            (tmp_path / file).write_text(text)
        text = json.dumps(options).replace("functions:", f"{name}:")
        spec = spec_of(tmp_path, json.loads(text))
        system = PromptSystem(spec)
        model = system.__dict__["backend"] = Scripted(model_answer)
        outputs = {out.case_id: out for out in system.generate(cases or (CASE,), epoch=0)}
        return outputs if len(cases) > 1 else outputs[(cases or (CASE,))[0].id], model

    return build


@pytest.fixture
def clock(monkeypatch):
    """Time that passes by sleeping alone."""
    passed = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: sum(passed))
    monkeypatch.setattr(time, "sleep", passed.append)


def call(arguments='{"city": "Cork"}', name="weather"):
    return Completion(text="", calls=(RawCall(id="1", name=name, arguments=arguments),))


def tools(target="weather", **more):
    tool = {"name": "weather", "description": "The sky over a city.", "parameters": CITY}
    if target is not None:
        tool["callable"] = f"functions:{target}"
    return {"functions": [tool], **more}


def once(completion, then="It is clear."):
    return lambda messages: then if messages[-1]["role"] == "tool" else completion


class TestTools:
    def test_a_call_is_run_and_its_result_goes_back_to_the_model(self, run):
        out, model = run(once(call()), tools=tools())
        assert out.text == "It is clear."
        result = '{"city": "Cork", "sky": "clear"}'
        assert out.tool_calls == (
            ToolCall(name="weather", arguments={"city": "Cork"}, result=result),
        )
        first, second = (batch[0] for batch in model.batches)
        assert first.tools[0]["function"]["parameters"] == CITY
        assert [message["role"] for message in second.messages] == ["user", "assistant", "tool"]
        assert second.messages[-1]["content"] == result
        assert [step.name for step in out.steps] == ["round 1", "round 2"]
        assert out.usage == Usage(prompt_tokens=20, completion_tokens=2)
        assert out.attempts == 1

    @pytest.mark.usefixtures("clock")
    def test_the_time_of_a_function_is_latency(self, run):
        out, _ = run(once(call()), tools=tools("waits"))
        assert out.latency_s == 0.5 + 3 + 0.5
        out, _ = run(once(call()), tools=tools("fails_late"))
        assert "raised LookupError" in out.error
        assert out.latency_s == 0.5 + 3

    def test_attempts_are_those_of_calls_that_had_to_be_repeated(self, run):
        repeated = Completion(text="", calls=call().calls, attempts=3)
        assert run(once(repeated), tools=tools())[0].attempts == 3

    def test_a_call_without_a_function_behind_it_is_recorded(self, run):
        out, model = run(lambda messages: call(), tools=tools(None))
        assert out.tool_calls == (ToolCall(name="weather", arguments={"city": "Cork"}),)
        assert out.error is None
        assert len(model.batches) == 1

    def test_a_case_may_bring_its_own_functions(self, run):
        case = Case(
            id="a",
            input="?",
            metadata={"functions": [{"name": "f.g", "parameters": {"type": "object"}}]},
        )
        out, _ = run(
            lambda messages: call("{}", name="f.g"), case, tools={"from_field": "functions"}
        )
        assert out.tool_calls == (ToolCall(name="f.g", arguments={}),)

    @pytest.mark.parametrize(
        ("completion", "target", "reason"),
        [
            (call("{not json"), "weather", "are no JSON"),
            (call("[1]"), "weather", "are no object"),
            (call("{}"), "weather", "'city' is a required property"),
            (call('{"city": 3}'), "weather", "is not of type 'string'"),
            (call(name="wether"), "weather", "Did you mean 'weather'"),
            (call(), "broken", "raised LookupError: Cork"),
            (call(), "odd", "returned what is no JSON"),
        ],
        ids=["json", "list", "missing", "type", "name", "raises", "result"],
    )
    def test_a_call_that_cannot_be_answered_errors_its_case(self, run, completion, target, reason):
        out, _ = run(once(completion), tools=tools(target))
        assert reason in out.error

    @pytest.mark.parametrize(
        ("brought", "reason"),
        [
            ([{"name": "f"}], "function 1 in `functions` of the case ('f') has no `parameters`"),
            ([{"parameters": {}}], "function 1 in `functions` of the case has no `name`"),
            (["f"], "function 1 in `functions` of the case is no object, but str"),
            ({"name": "f"}, "`functions` of the case is no list of functions, but dict"),
            ([{"name": "f", "parameters": {"type": "dict"}}], "no JSON Schema"),
            ([{"name": "f", "parameters": {}}] * 2, "has the function 'f' twice"),
        ],
        ids=["parameters", "name", "text", "object", "schema", "twice"],
    )
    def test_a_case_with_a_wrong_function_is_errored_alone(self, run, brought, reason):
        right = [{"name": "g", "parameters": {"type": "object"}}]
        cases = [
            Case(id="bad", input="?", metadata={"functions": brought}),
            Case(id="good", input="?", metadata={"functions": right}),
            Case(id="none", input="?"),
        ]
        outputs, _ = run(lambda messages: "fine", *cases, tools={"from_field": "functions"})
        assert reason in outputs["bad"].error
        assert (outputs["good"].text, outputs["good"].error) == ("fine", None)
        assert outputs["none"].text == "fine"

    def test_functions_and_the_field_that_brings_them_may_have_one_name(self, run):
        case = Case(id="a", input={"tools": [{"name": "f", "parameters": {}}], "text": "hello"})
        files = {"all.j2": "{{ tools | length }} {{ text }}"}
        _, model = run(
            lambda messages: "x", case, files=files, prompt="all.j2", tools={"from_field": "tools"}
        )
        assert model.batches[0][0].messages[0]["content"] == "1 hello"
        with pytest.raises(ConfigError, match=r"Write `input\.tools` to read the field"):
            run(lambda messages: "x", case, files=files, prompt="all.j2")

    def test_parameters_that_lead_nowhere_error_the_case_that_calls(self, run):
        tool = {"name": "f", "parameters": {"$ref": "#/$defs/gone"}}
        case = Case(id="a", input="?", metadata={"functions": [tool]})
        out, _ = run(lambda messages: call("{}", name="f"), case, tools={"from_field": "functions"})
        assert "the arguments of 'f' cannot be checked" in out.error

    @pytest.mark.parametrize(("target", "raised"), [("leaves", "SystemExit"), ("skips", "Skipped")])
    def test_a_function_that_leaves_the_program_errors_its_case(self, run, target, raised):
        parameters = {"functions": [{"name": "weather", "parameters": {"type": "object"}}]}
        parameters["functions"][0]["callable"] = f"functions:{target}"
        out, _ = run(once(call("{}")), tools=parameters)
        assert f"function 'weather' raised {raised}: bye" in out.error

    def test_a_function_that_never_returns_is_given_up_on(self, run):
        out, _ = run(once(call()), tools=tools("endless", timeout_s=0.1))
        assert out.error == "function 'weather': no answer within 0.1 s"

    def test_a_model_that_never_stops_calling_is_stopped(self, run):
        out, model = run(lambda messages: call(), tools=tools(max_rounds=2))
        assert out.error == "still calling functions after 2 rounds"
        assert len(model.batches) == 3

    @pytest.mark.parametrize(
        ("section", "complaint"),
        [
            ({"functions": [{"name": "f", "parameters": {"type": "objct"}}]}, "no JSON Schema"),
            ({"max_rounds": 2}, "names no functions"),
            (tools("weathr"), "Did you mean 'weather'"),
            ({"functions": tools()["functions"] * 2}, "stands twice"),
        ],
        ids=["schema", "none", "callable", "twice"],
    )
    def test_a_wrong_section_is_a_configuration_error(self, run, section, complaint):
        with pytest.raises(ConfigError, match=complaint):
            run(lambda messages: "x", tools=section)

    @pytest.mark.parametrize(
        ("text", "calls"),
        [
            ('<tool_call>{"name": "f", "arguments": {"x": 1}}</tool_call>', [("f", '{"x": 1}')]),
            ('{"name": "f", "parameters": {}}', [("f", "{}")]),
            ('[{"name": "f"}, {"name": "g"}]', [("f", "{}"), ("g", "{}")]),
            ('a <tool_call>{"name": </tool_call>', [("", '{"name":')]),
            ("plain text", []),
            ('{"answer": 3}', []),
        ],
    )
    def test_calls_are_found_in_what_a_local_model_writes(self, text, calls):
        assert [(found.name, found.arguments) for found in calls_in_text(text)] == calls


CHAIN = [
    {"name": "classify", "prompt": "classify.j2"},
    {"name": "lookup", "callable": "functions:lookup"},
    {"name": "answer", "prompt": "answer.j2"},
]
FILES = {
    "classify.j2": "Which class? {{ input }}",
    "answer.j2": "{{ steps.lookup }} Answer: {{ input }}",
}


def echo(messages):
    text = messages[-1]["content"]
    return "billing" if text.startswith("Which class") else f"<{text}>"


class TestChains:
    def test_steps_see_what_earlier_steps_answered(self, run):
        out, _ = run(echo, steps=CHAIN, files=FILES)
        assert out.text == "<Bills come monthly. Answer: hello>"
        assert [(step.name, step.text) for step in out.steps][:2] == [
            ("classify", "billing"),
            ("lookup", "Bills come monthly."),
        ]
        assert out.steps[0].prompt[0]["content"] == "Which class? hello"
        assert out.usage == Usage(prompt_tokens=20, completion_tokens=2)

    @pytest.mark.usefixtures("clock")
    def test_latency_is_that_of_all_steps(self, run):
        cases = [Case(id=str(i), input=str(i)) for i in range(3)]
        steps = [CHAIN[0], {"name": "lookup", "callable": "functions:waits"}, CHAIN[2]]
        outputs, _ = run(echo, *cases, steps=steps, files=FILES)
        for out in outputs.values():
            assert [step.latency_s for step in out.steps] == [0.5, 3, 0.5]
            assert out.latency_s == 0.5 + 3 + 0.5

    @pytest.mark.usefixtures("clock")
    def test_a_step_that_fails_took_its_time_too(self, run):
        steps = [CHAIN[0], {"name": "lookup", "callable": "functions:sleeps"}]
        out, _ = run(echo, steps=steps, files=FILES)
        assert out.error == "step lookup answered None, expected text"
        assert out.latency_s == 0.5 + 60

    def test_a_chain_is_no_repetition_of_its_calls(self, run):
        assert run(echo, steps=CHAIN, files=FILES)[0].attempts == 1
        out, _ = run(
            lambda messages: Completion(text="billing", attempts=3), steps=CHAIN, files=FILES
        )
        assert out.attempts == 1 + 2 + 2

    def test_a_step_may_be_called_like_a_method(self, run):
        steps = [{"name": "values", "prompt": "classify.j2"}, {"name": "b", "prompt": "b.j2"}]
        out, _ = run(echo, steps=steps, files={**FILES, "b.j2": "{{ steps.values }}"})
        assert out.text == "<billing>"

    def test_cases_at_the_same_step_are_asked_in_one_batch(self, run):
        cases = [Case(id=str(i), input=str(i)) for i in range(5)]
        outputs, model = run(echo, *cases, steps=CHAIN, files=FILES)
        assert [len(batch) for batch in model.batches] == [5, 5]
        assert outputs["3"].text.endswith("Answer: 3>")

    def test_an_answer_may_lead_to_another_step(self, run):
        steps = [
            {"name": "classify", "prompt": "classify.j2", "next": {"billing": "short"}},
            {"name": "long", "prompt": "long.j2", "next": {"*": "end"}},
            {"name": "short", "prompt": "short.j2"},
        ]
        files = {**FILES, "long.j2": "long", "short.j2": "short"}
        out, _ = run(echo, steps=steps, files=files)
        assert [step.name for step in out.steps] == ["classify", "short"]

    def test_a_chain_that_loops_is_stopped_and_shows_its_path(self, run):
        steps = [{"name": "again", "prompt": "classify.j2", "next": {"*": "again"}}]
        out, _ = run(echo, steps=steps, files=FILES, max_steps=3)
        assert out.error == "the chain did not end within 3 steps: again > again > again"

    def test_a_function_that_fails_errors_its_case_alone(self, run):
        def classify(messages):
            text = messages[-1]["content"]
            return "unknown" if text == "Which class? bad" else echo(messages)

        cases = [Case(id="bad", input="bad"), Case(id="good", input="good")]
        outputs, _ = run(classify, *cases, steps=CHAIN, files=FILES)
        assert "step lookup: KeyError: 'unknown'" in outputs["bad"].error
        assert outputs["good"].error is None

    def test_a_function_that_never_returns_is_given_up_on(self, run):
        steps = [{"name": "f", "callable": "functions:sleeps", "timeout_s": 0.1}]
        out, _ = run(echo, steps=steps)
        assert out.error == "step f: no answer within 0.1 s"

    def test_each_case_is_told_as_soon_as_its_function_was_given_up_on(self, run, tmp_path):
        """Or a thousand cases of a function that hangs would all be waited for."""
        run(echo, steps=[{"name": "f", "callable": "functions:lookup"}])  # writes the functions
        name = f"functions_{tmp_path.name.replace('-', '_')}"
        steps = [{"name": "f", "callable": f"{name}:sleeps", "timeout_s": 0.2}]
        spec = spec_of(tmp_path, {"steps": steps})
        cases = [Case(id=str(i), input="x") for i in range(1000)]
        first = next(iter(PromptSystem(spec).generate(cases, epoch=0)))
        assert first.error == "step f: no answer within 0.2 s"

    @pytest.mark.parametrize(("target", "raised"), [("leaves", "SystemExit"), ("skips", "Skipped")])
    def test_a_function_that_leaves_the_program_errors_its_case(self, run, target, raised):
        out, _ = run(echo, steps=[{"name": "f", "callable": f"functions:{target}"}])
        assert f"step f: {raised}: bye" in out.error

    def test_a_function_must_answer_text(self, run):
        steps = [{"name": "f", "callable": "functions:nothing"}]
        out, _ = run(echo, steps=steps)
        assert out.error == "step f answered None, expected text"

    def test_a_model_that_fails_names_the_step(self, run):
        out, _ = run(lambda messages: Completion(error="down"), steps=CHAIN, files=FILES)
        assert out.error == "step classify: down"

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            (
                {"steps": [{"name": "a", "prompt": "classify.j2", "next": {"*": "b"}}]},
                "no step 'b'",
            ),
            ({"steps": [{"name": "a", "prompt": "nowhere.j2"}]}, "cannot be read"),
            ({"steps": [CHAIN[0], CHAIN[0]]}, "stands twice"),
            ({"steps": CHAIN, "answer": {"after": "x"}}, "a chain has no `answer`"),
            ({"steps": CHAIN, "choice": {}}, "a chain has no `choice`"),
            ({"steps": CHAIN, "max_steps": 2}, "takes 3 steps at least, and `max_steps` allows 2"),
        ],
        ids=["next", "prompt", "twice", "answer", "choice", "steps"],
    )
    def test_a_wrong_chain_is_a_configuration_error(self, run, options, complaint):
        with pytest.raises(ConfigError, match=complaint):
            run(echo, files=FILES, **options)

    def test_a_chain_of_more_steps_than_are_allowed_is_refused_before_it_runs(self, run):
        steps = [{"name": f"s{i}", "prompt": "classify.j2"} for i in range(9)]
        with pytest.raises(ConfigError) as caught:
            run(echo, steps=steps, files=FILES)
        assert caught.value.key == "systems.s.max_steps"
        assert "`max_steps: 9`" in caught.value.hint
        assert len(run(echo, steps=steps, files=FILES, max_steps=9)[0].steps) == 9

    def test_a_chain_that_may_end_early_is_not_refused_for_its_length(self, run):
        steps = [{"name": f"s{i}", "prompt": "classify.j2"} for i in range(9)]
        steps[1]["next"] = {"billing": "end"}
        out, _ = run(echo, steps=steps, files=FILES)
        assert [step.name for step in out.steps] == ["s0", "s1"]
        steps[1]["next"] = {"billing": "s3"}
        out, _ = run(echo, steps=steps, files=FILES)
        assert [step.name for step in out.steps] == ["s0", "s1", "s3", "s4", "s5", "s6", "s7", "s8"]

    @pytest.mark.parametrize("option", ["tools", "json_schema", "answer", "choice"])
    def test_no_advice_is_given_that_the_schema_refuses(self, run, option):
        with pytest.raises(ConfigError) as caught:
            run(echo, files=FILES, steps=CHAIN, **{option: {}})
        step = schema("systems")["$defs"]["step"]["properties"]
        assert option not in step
        assert "Give it to a step" not in str(caught.value)
        assert "a Python function" in caught.value.hint

    def test_a_prompt_may_be_given_to_a_step(self, run):
        with pytest.raises(ConfigError, match="Give it to a step"):
            run(echo, files=FILES, steps=CHAIN, prompt="answer.j2")


class TestModeration:
    def test_a_refused_input_is_never_shown_to_the_model(self, run):
        cases = [Case(id="bad", input="darn it"), Case(id="good", input="hello")]
        moderation = {"input": "functions:swears", "refusal": "No."}
        outputs, model = run(lambda messages: "fine", *cases, moderation=moderation)
        bad = outputs["bad"]
        assert (bad.text, bad.refused, bad.finish_reason) == ("No.", True, "input_refused")
        assert outputs["good"].text == "fine"
        assert len(model.batches[0]) == 1

    @pytest.mark.parametrize(
        "value",
        [
            [{"role": "user", "content": "darn"}, {"role": "user", "content": "hello"}],
            [{"role": "system", "content": "darn"}, {"role": "user", "content": "hello"}],
            [
                {"role": "user", "content": "hello"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"function": {"name": "darn"}}],
                },
                {"role": "tool", "content": "fine"},
            ],
            [{"role": "user", "content": [{"type": "text", "text": "darn"}]}],
            {"question": "hello", "note": "darn"},
            {"question": "hello", "notes": [{"text": "darn"}]},
            {"role": "darn", "content": "hello"},
        ],
        ids=["earlier", "system", "call", "parts", "field", "deep field", "field called role"],
    )
    def test_all_of_an_input_is_checked(self, run, value):
        out, model = run(
            lambda messages: "fine",
            Case(id="a", input=value),
            files={"all.j2": "{{ input }}"},
            prompt="all.j2",
            moderation={"input": "functions:swears"},
        )
        assert (out.refused, out.finish_reason) == (True, "input_refused")
        assert model.batches == []

    def test_a_check_reads_what_messages_say_not_who_says_it(self, run):
        said = [{"role": "user", "content": "one"}, {"role": "assistant", "content": 'the "two"'}]
        out, _ = run(
            lambda messages: "fine",
            Case(id="a", input=said),
            moderation={"input": "functions:repeats"},
        )
        assert out.steps[0].text == 'one\nthe "two"'

    def test_a_withheld_output_stands_in_the_steps(self, run):
        out, _ = run(lambda messages: "darn", moderation={"output": "functions:swears"})
        assert (out.text, out.refused, out.finish_reason) == ("", True, "output_withheld")
        assert out.steps[-1].text == "darn"

    @pytest.mark.parametrize("side", ["input", "output"])
    def test_a_check_that_fails_is_no_permission(self, run, side):
        out, _ = run(lambda messages: "fine", moderation={side: "functions:fails"})
        assert f"the moderation of the {side} failed: RuntimeError: down" in out.error

    @pytest.mark.parametrize("side", ["input", "output"])
    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            ("hangs", "no answer within 0.1 s"),
            ("leaves", "SystemExit: bye"),
            ("skips", "Skipped: bye"),
        ],
    )
    def test_a_check_that_hangs_or_leaves_errors_its_case(self, run, side, target, reason):
        moderation = {side: f"functions:{target}", "timeout_s": 0.1}
        out, _ = run(lambda messages: "fine", moderation=moderation)
        assert out.error.startswith(f"the moderation of the {side} failed: {reason}")
        assert not out.refused

    def test_an_asynchronous_check_is_waited_for(self, run):
        cases = [Case(id="bad", input="darn it"), Case(id="good", input="hello")]
        moderation = {"input": "functions:swears_later"}
        outputs, _ = run(lambda messages: "fine", *cases, moderation=moderation)
        assert (outputs["bad"].refused, outputs["good"].refused) == (True, False)

    def test_the_reason_that_a_check_gives_is_kept(self, run):
        moderation = {"input": "functions:says_why", "output": "functions:says_why"}
        refused, _ = run(lambda messages: "fine", Case(id="a", input="darn"), moderation=moderation)
        assert [(step.name, step.text) for step in refused.steps] == [
            ("moderation", "it says darn")
        ]
        withheld, _ = run(lambda messages: "darn", moderation=moderation)
        assert [(step.name, step.text) for step in withheld.steps] == [
            ("moderation", "it says darn"),
            ("withheld", "darn"),
        ]

    @pytest.mark.usefixtures("clock")
    def test_latency_is_that_of_a_cases_own_checks_too(self, run):
        cases = [
            Case(id=id, input="darn it" if id == "bad" else "hello") for id in ("bad", "a", "b")
        ]
        moderation = {"input": "functions:refuses_late", "output": "functions:waits"}
        outputs, _ = run(lambda messages: "fine", *cases, moderation=moderation)
        assert {id: out.latency_s for id, out in outputs.items()} == {
            "bad": 3,
            "a": 3 + 0.5 + 3,
            "b": 3 + 0.5 + 3,
        }

    def test_chains_are_moderated_too(self, run):
        moderation = {"output": "functions:swears"}
        out, _ = run(
            lambda messages: "darn" if "Answer" in messages[-1]["content"] else echo(messages),
            steps=CHAIN,
            files=FILES,
            moderation=moderation,
        )
        assert out.refused


class SlowExamples:
    """Loads for a minute when it is first asked, and takes a second for each case."""

    def __init__(self):
        self.loaded = False

    def choose(self, cases):
        time.sleep(len(cases) if self.loaded else 60)
        self.loaded = True
        return [[] for _ in cases]


@pytest.mark.usefixtures("clock")
def test_what_is_looked_up_for_a_batch_is_shared_out_and_loading_is_no_latency(tmp_path):
    (tmp_path / "prompt.j2").write_text("{% for one in examples %}{% endfor %}{{ input }}")
    system = PromptSystem(spec_of(tmp_path, {"prompt": "prompt.j2"}))
    system.__dict__ |= {"backend": Scripted(lambda messages: "x"), "chooser": SlowExamples()}
    cases = [Case(id=str(i), input="hello") for i in range(4)]
    assert [out.latency_s for out in system.generate(cases, epoch=0)] == [1.5] * 4
    assert [out.latency_s for out in system.generate(cases, epoch=1)] == [1.5] * 4
