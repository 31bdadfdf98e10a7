"""Any Python function is a system; what it does wrong on a case is that case's error."""

import asyncio
import subprocess
import sys
import time

import pytest

from harness.errors import ConfigError
from harness.types import Case, SystemSpec
from systems.python import PythonSystem

CASES = [Case(id="a", input="one"), Case(id="b", input="two", tags=("t",))]


@pytest.fixture
def answers(tmp_path, monkeypatch):
    """Run a function of a module written for the test, and return its outputs by case id."""
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = tmp_path / "evals"
    folder.mkdir()
    count = iter(range(1000))

    def generate(source, *, cases=CASES, name="answer", epoch=0, **options):
        module = f"app_{tmp_path.name.replace('-', '_')}_{next(count)}"
        (folder / f"{module}.py").write_text(source)
        spec = SystemSpec(
            name="app",
            kind="python",
            rung="prompt",
            folder=folder,
            options={"callable": f"{module}:{name}", **options},
        )
        return {out.case_id: out for out in PythonSystem(spec).generate(cases, epoch=epoch)}

    return generate


def texts(outputs):
    return {id: out.text for id, out in outputs.items()}


@pytest.mark.parametrize(
    "source",
    [
        "def answer(text): return text.upper()",
        "def answer(case: 'Case'): return case.input.upper()",
        "from harness.types import Case\ndef answer(case: Case) -> str: return case.input.upper()",
        "from harness.types import Case\n"
        "def answer(cases: list[Case]): return [c.input.upper() for c in cases]",
        "def answer(texts: list[str]): return (text.upper() for text in texts)",
        "async def answer(text): return text.upper()",
        "async def answer(texts: list[str]): return [text.upper() for text in texts]",
        "class Answer:\n    async def __call__(self, text): return text.upper()\nanswer = Answer()",
        "async def ask(text): return text.upper()\ndef answer(text): return ask(text)",
        "from harness.types import Output\n"
        "def answer(text): return Output(case_id='?', epoch=9, text=text.upper())",
    ],
)
def test_it_is_called_as_its_signature_says(answers, source):
    outputs = answers(source)
    assert texts(outputs) == {"a": "ONE", "b": "TWO"}
    assert all(out.error is None and out.epoch == 0 for out in outputs.values())


@pytest.mark.parametrize(
    ("takes", "source"),
    [
        ("case", "def answer(c): return c.tags[0] if c.tags else 'none'"),
        ("list", "def answer(xs): return [x[0] for x in xs]"),
        ("text", "def answer(x: 'Case'): return x[0]"),
    ],
)
def test_the_configuration_may_say_what_it_takes(answers, takes, source):
    expected = {"case": {"a": "none", "b": "t"}}.get(takes, {"a": "o", "b": "t"})
    assert texts(answers(source, takes=takes)) == expected


@pytest.mark.parametrize("prefix", ["", "async "])
@pytest.mark.parametrize("concurrency", [1, 4])
def test_an_exception_is_the_error_of_its_case_alone(answers, prefix, concurrency):
    source = (
        f"{prefix}def answer(text):\n    if text == 'one': raise KeyError('x')\n    return text"
    )
    outputs = answers(source, concurrency=concurrency)
    assert outputs["a"].error.startswith("KeyError: 'x' (app_")
    assert ":2 in answer)" in outputs["a"].error
    assert (outputs["b"].text, outputs["b"].error) == ("two", None)


STOPS = {
    "skip": ("import pytest", "pytest.skip('hm')", "Skipped: hm"),
    "fail": ("import pytest", "pytest.fail('hm')", "Failed: hm"),
    "cancel": ("import asyncio", "raise asyncio.CancelledError('hm')", "CancelledError: hm"),
    "close": ("", "raise GeneratorExit('hm')", "GeneratorExit: hm"),
    "exit": ("import sys", "sys.exit('hm')", "SystemExit: hm"),
}
FORMS = {
    "one by one": ("def answer(text):", {}),
    "in threads": ("def answer(text):", {"concurrency": 2}),
    "in time": ("def answer(text):", {"timeout_s": 60}),
    "async": ("async def answer(text):", {}),
    "async in time": ("async def answer(text):", {"timeout_s": 60}),
}


@pytest.mark.parametrize(("imports", "statement", "reason"), STOPS.values(), ids=STOPS)
@pytest.mark.parametrize(("head", "options"), FORMS.values(), ids=FORMS)
def test_what_is_no_exception_of_the_usual_kind_is_the_error_of_its_case_too(
    answers, head, options, imports, statement, reason
):
    source = f"{imports}\n{head}\n    if text == 'one': {statement}\n    return text"
    outputs = answers(source, **options)
    assert outputs["a"].error.startswith(reason)
    assert (outputs["b"].text, outputs["b"].error) == ("two", None)


@pytest.mark.parametrize("prefix", ["", "async "])
def test_so_it_is_in_a_function_of_a_list(answers, prefix):
    source = f"import pytest\n{prefix}def answer(texts): pytest.skip('hm')"
    outputs = answers(source, takes="list")
    assert all(out.error.startswith("Skipped: hm") for out in outputs.values())


def test_an_exit_in_a_task_of_an_async_function_is_the_error_of_its_case(answers):
    source = """
import asyncio, sys
async def part(text):
    if text == 'one': sys.exit(3)
    return text
async def answer(text): return await asyncio.create_task(part(text))
"""
    outputs = answers(source)
    assert outputs["a"].error.startswith("SystemExit: 3")
    assert outputs["b"].text == "two"


@pytest.mark.parametrize(
    ("statement", "stop"),
    [
        ("raise KeyboardInterrupt", KeyboardInterrupt),
        ("pytest.exit('stop')", pytest.exit.Exception),
    ],
    ids=["Ctrl-C", "pytest.exit"],
)
@pytest.mark.parametrize(("head", "options"), FORMS.values(), ids=FORMS)
def test_what_ends_the_session_is_no_error_of_a_case(answers, head, options, statement, stop):
    with pytest.raises(stop):
        answers(f"import pytest\n{head}\n    {statement}", **options)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("None", "answered None, expected text"),
        ("b'x'", "answered bytes, expected text"),
        ("3", "answered int, expected text"),
        ("'a\\ud800'", "a lone surrogate at character 2"),
        ("__import__('sys').exit(3)", "SystemExit: 3"),
    ],
)
def test_what_is_no_text_is_errored_with_its_reason(answers, expression, reason):
    outputs = answers(f"def answer(text): return {expression}")
    assert reason in outputs["a"].error
    assert outputs["a"].text == ""


def test_an_output_with_a_field_that_is_none_is_errored_with_its_name(answers):
    source = (
        "from harness.types import Output\n"
        "def answer(text): return Output(case_id='', epoch=0, text=text, latency_s='fast')"
    )
    reason = "answered an output whose latency_s is 'fast', expected a number of seconds"
    assert {out.error for out in answers(source).values()} == {reason}


def test_a_list_of_another_length_errors_all_with_both_counts(answers):
    outputs = answers("def answer(texts): return ['x']", takes="list")
    assert {out.error for out in outputs.values()} == {
        "the function returned 1 outputs for 2 inputs"
    }


def test_one_bad_item_of_a_list_errors_one_case(answers):
    outputs = answers("def answer(texts): return ['x', None]", takes="list")
    assert outputs["a"].error is None
    assert outputs["b"].error == "answered None, expected text"


@pytest.mark.parametrize(
    "source",
    [
        "import time\ndef answer(text):\n    if text == 'one': time.sleep(30)\n    return text",
        "import asyncio\nasync def answer(text):\n"
        "    if text == 'one': await asyncio.sleep(30)\n    return text",
    ],
    ids=["blocking", "async"],
)
def test_a_call_over_its_time_is_errored_and_left_behind(answers, source):
    started = time.monotonic()
    outputs = answers(source, timeout_s=0.2)
    assert time.monotonic() - started < 20
    assert outputs["a"].error.endswith("no answer within 0.2 s")
    assert outputs["b"].text == "two"


def test_a_coroutine_that_blocks_past_its_time_is_errored_when_it_is_done(answers):
    source = "import time\nasync def answer(text):\n    time.sleep(0.05)\n    return text"
    outputs = answers(source, timeout_s=0.01, concurrency=1)
    assert {out.error for out in outputs.values()} == {"no answer within 0.01 s"}
    assert {out.text for out in outputs.values()} == {""}


def test_a_call_that_hangs_among_others_does_not_keep_the_process_alive(tmp_path):
    (tmp_path / "app.py").write_text(
        "import threading\n"
        "def answer(text):\n"
        "    if text == 'one': threading.Event().wait()\n"
        "    raise KeyboardInterrupt\n"
    )
    (tmp_path / "main.py").write_text(f"""
from pathlib import Path
from harness.types import Case, SystemSpec
from systems.python import PythonSystem
options = {{"callable": "app:answer", "concurrency": 2}}
spec = SystemSpec(
    name="app", kind="python", rung="prompt", folder=Path({str(tmp_path)!r}), options=options
)
cases = [Case(id="a", input="one"), Case(id="b", input="two")]
list(PythonSystem(spec).generate(cases, epoch=0))
""")
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "main.py")], capture_output=True, text=True, timeout=60
    )
    assert "KeyboardInterrupt" in ended.stderr


def test_an_async_function_works_inside_of_a_running_loop(answers):
    async def notebook():
        return answers("async def answer(text): return text.upper()")

    assert texts(asyncio.run(notebook())) == {"a": "ONE", "b": "TWO"}


def test_no_more_calls_than_allowed_are_under_way_at_once(answers):
    source = """
import asyncio
now = most = 0
async def answer(text):
    global now, most
    now += 1
    most = max(most, now)
    await asyncio.sleep(0.01)
    now -= 1
    return str(most)
"""
    cases = [Case(id=str(i), input="x") for i in range(12)]
    outputs = answers(source, cases=cases, concurrency=3)
    assert max(int(out.text) for out in outputs.values()) == 3


def test_inputs_with_fields_arrive_as_they_are(answers):
    case = Case(id="a", input={"question": "q", "schema": "s"})
    outputs = answers("def answer(x): return x['question'] + x['schema']", cases=[case])
    assert outputs["a"].text == "qs"


def test_nothing_more_is_begun_for_a_consumer_that_left(tmp_path):
    (tmp_path / "left.py").write_text("""
import asyncio
began = []
async def answer(text):
    began.append(text)
    if len(began) > 1: await asyncio.Event().wait()
    return text
""")
    spec = SystemSpec(
        name="s",
        kind="python",
        rung="prompt",
        folder=tmp_path,
        options={"callable": "left:answer", "concurrency": 1},
    )
    system = PythonSystem(spec)
    outputs = system.generate(CASES * 20, epoch=0)
    next(outputs)
    outputs.close()
    assert len(system.function.__globals__["began"]) <= 2


def test_a_consumer_may_leave_early(answers, tmp_path):
    (tmp_path / "evals/slow.py").write_text("async def answer(text): return text")
    spec = SystemSpec(
        name="s",
        kind="python",
        rung="prompt",
        folder=tmp_path / "evals",
        options={"callable": "slow:answer"},
    )
    outputs = PythonSystem(spec).generate(CASES * 20, epoch=0)
    next(outputs)
    outputs.close()


@pytest.mark.parametrize(
    ("source", "name", "complaint"),
    [
        ("def answer(text): ...", "answr", "Did you mean 'answer'"),
        ("answer = 3", "answer", "is not a function, but int"),
        ("import nowhere_at_all", "answer", "No module named 'nowhere_at_all'"),
        ("1/0", "answer", "ZeroDivisionError"),
        ("def answer(:", "answer", "SyntaxError"),
    ],
)
def test_a_function_that_cannot_be_had_is_a_configuration_error(answers, source, name, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        answers(source, name=name)
    assert caught.value.key == "systems.app.callable"


def test_a_module_that_is_not_there_says_where_it_was_looked_for(tmp_path):
    spec = SystemSpec(
        name="app",
        kind="python",
        rung="prompt",
        folder=tmp_path,
        options={"callable": "nowhere_at_all:answer"},
    )
    with pytest.raises(ConfigError, match="in the folder above it"):
        list(PythonSystem(spec).generate(CASES, epoch=0))
