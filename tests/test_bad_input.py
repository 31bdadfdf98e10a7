"""What is configured wrong ends with exit code 4, where and what to do on one screen, serial and -n."""

from __future__ import annotations

import sys

import pytest
from sample_project import SampleProject

RIGHT = "def test_right(case, output):\n    assert output.text == case.expected_output\n"

CASES = {
    "two rows with one id": (
        b'{"id": "a", "input": "x"}\n{"id": "a", "input": "y"}\n',
        "toy.jsonl:2: id: *already used on line 1*",
    ),
    "an empty file": (b"", "toy.jsonl: there are no cases*"),
    "invalid UTF-8": (
        b'{"id": "a", "input": "\xff"}\n',
        "toy.jsonl:1: byte 23 (0xff) is not UTF-8*",
    ),
    "UTF-16": (
        '{"id": "a", "input": "x"}\n'.encode("utf-16"),
        "toy.jsonl:1: *\n*Convert it: iconv -f utf-16 -t utf-8 toy.jsonl*",
    ),
    "a line of 10 MB": (
        b'{"id": "a", "input": "' + b"x" * 10_000_000 + b'"}\n',
        "toy.jsonl:1: this line has 10.0 MB; the limit is 5 MB*",
    ),
    "a row that is not JSON": (b'{"id": "a", "input": }\n', "toy.jsonl:1: not JSON at column 22*"),
    "a row that is no object": (b"[1]\n", "toy.jsonl:1: a case is an object*"),
    "a misspelt field": (
        b'{"id": "a", "inptu": "x"}\n',
        "toy.jsonl:1: inptu: unknown field. Did you mean 'input'?*",
    ),
    "a missing field": (b'{"id": "a"}\n', "toy.jsonl:1: *'input' is a required property*"),
    "a number as an id": (
        b'{"id": 7, "input": "x"}\n',
        "toy.jsonl:1: id: 7 is not of type 'string'*",
    ),
    "NaN": (
        b'{"id": "a", "input": "x", "expected_output": NaN}\n',
        "toy.jsonl:1: *NaN is not a JSON*",
    ),
    "an id that is no text in UTF-8": (
        rb'{"id": "a\ud800", "input": "x"}' + b"\n",
        "toy.jsonl:1: id: text that is not valid Unicode: a lone surrogate at character 2*",
    ),
    "an unknown split": (
        b'{"id": "a", "input": "x", "metadata": {"split": "test"}}\n',
        "toy.jsonl:1: metadata.split: 'test' is not one of*",
    ),
}

BESIDE = {
    "prices that are no YAML": ("prices.yaml", b"date: [", "prices.yaml: not YAML: *"),
    "prices that are gone": ("prices.yaml", None, "prices.yaml: there is no such file of prices*"),
    "a pilot's record cut short": (
        "pilots/toy.json",
        b"{",
        "pilots/toy.json: this is no record of a pilot: *",
    ),
    "a training row that is no object": (
        "train.jsonl",
        b'{"input": "x", "output": "y"}\n\n[1]\n',
        "train.jsonl:3: suites.toy.training: expected an object*",
    ),
    "training rows that are gone": (
        "train.jsonl",
        None,
        "train.jsonl: suites.toy.training: there is no such file*",
    ),
    "causes in another encoding": (
        "toy.misses.csv",
        "system,case_id,metric,category,note\na,c1,,format,s\u00fc\u00df\n".encode("cp1252"),
        "toy.misses.csv: not UTF-8: *",
    ),
    "labels without a column": (
        "labels/toy.a.right.judge.csv",
        b"case_id,passed\n",
        "toy.a.right.judge.csv:1: there is no column source*",
    ),
}

CONFIGURATIONS = {
    "an unknown kind": (
        "systems:\n  a: {kind: recordde, outputs: x}\n",
        "rung.yaml:2: systems.a.kind: *Did you mean 'recorded'?*",
    ),
    "an unknown key": (
        "systems:\n  a: {kind: recorded, output: x}\n",
        "rung.yaml:2: systems.a.output: unknown key*Did you mean 'outputs'?*",
    ),
    "a number that is none": (
        "systems:\n  a: {kind: recorded, outputs: outputs/a.jsonl}\nsuites:\n  toy:\n    target: .nan\n",
        "rung.yaml:5: suites.toy.target: nan is no number",
    ),
    "an infinite number": (
        "systems:\n  a: {kind: recorded, outputs: outputs/a.jsonl}\ndecision: {volume_per_month: .inf}\n",
        "rung.yaml:3: decision.volume_per_month: inf is no number",
    ),
    "settings of a suite that is not there": (
        "systems:\n  a: {kind: recorded, outputs: outputs/a.jsonl}\nsuites: {toi: {target: 0.8}}\n",
        "rung.yaml: suites.toi: there is no suite 'toi' (test_toi.py)*",
    ),
    "general skills that are not there": (
        "systems:\n  a: {kind: recorded, outputs: outputs/a.jsonl}\nsuites: {toy: {retained: skils}}\n",
        "rung.yaml: suites.toy.retained: there is no suite 'skils' (test_skils.py)*",
    ),
    "a missing key": ("systems:\n  a: {kind: recorded}\n", "rung.yaml:2: systems.a: *'outputs'*"),
    "no systems": ("suites: {}\n", "rung.yaml*'systems' is missing*"),
    "a system of the suite that is not defined": (
        "systems:\n  aa: {kind: recorded, outputs: outputs/a.jsonl}\n",
        "*no system is called 'a'. Did you mean 'aa'?*",
    ),
    "a model that is not defined": (
        "models: {base: {transformers: x}}\nsystems:\n  a: {kind: prompt, model: bas, prompt: p.j2}\n",
        "rung.yaml:3: systems.a.model: *Did you mean 'base'?*",
    ),
    "a file that is not there": (
        "systems:\n  a: {kind: recorded, outputs: outputs/b.jsonl}\n",
        "*outputs/b.jsonl*",
    ),
    "a champion that the suite does not run": (
        "systems:\n  a: {kind: recorded, outputs: outputs/a.jsonl}\n"
        "  b: {kind: recorded, outputs: outputs/a.jsonl}\n"
        "suites: {toy: {champion: b}}\n",
        "*champion 'b' is not among*",
    ),
    "a deciding metric that is not there": (
        "systems:\n  a: {kind: recorded, outputs: outputs/a.jsonl}\n"
        "suites: {toy: {decides: [rihgt]}}\n",
        "*no metric 'rihgt'. Did you mean 'right'?*",
    ),
    "broken YAML": ("systems: [\n", "rung.yaml:2: not YAML*"),
    "a suite called by a number": (
        "systems:\n  a: {kind: recorded, outputs: outputs/a.jsonl}\nsuites:\n  2024: {target: 0.5}\n",
        'rung.yaml:4: suites.2024: YAML does not take 2024 for text\n*Write it in quotes: "2024".',
    ),
    "a system called by a day": (
        "systems:\n  2026-01-02: {kind: recorded, outputs: outputs/a.jsonl}\n",
        "rung.yaml:2: systems.2026-01-02: YAML does not take 2026-01-02 for text*",
    ),
    "a model called by a number": (
        "models:\n  4.5: {openai: m}\nsystems:\n  a: {kind: recorded, outputs: outputs/a.jsonl}\n",
        "rung.yaml:2: models.4.5: YAML does not take 4.5 for text*",
    ),
    "an answer that leads on": (
        "models: {m: {openai: m}}\nsystems:\n  a:\n    kind: prompt\n    model: m\n    steps:\n"
        "      - {name: one, prompt: p.j2, next: {yes: one}}\n",
        "rung.yaml:7: systems.a.steps.0.next.yes: YAML does not take yes for text*",
    ),
    "a list": ("- a\n", "rung.yaml: this file must hold a mapping*"),
    "a key twice": ("systems: {}\nsystems: {}\n", "rung.yaml:2: systems: *line 1*"),
}

MARKS = {
    'suite(cases="toy.json", systems=["a"])': "*toy.json: unknown kind of file '.json'*",
    'suite(cases="tyo.jsonl", systems=["a"])': "*tyo.jsonl: there is no such file*",
    'suite(case="toy.jsonl", systems=["a"])': "*test_toy.py:3: suite: unknown argument 'case'*'cases'*",
    'suite(cases="toy.jsonl")': "*test_toy.py:3: suite: *needs systems=*",
    'suite(cases="toy.jsonl", systems=["a", "a"])': "*a system is named twice*",
    'suite(cases="to" + "y.jsn", systems=["a"])': "*toy.jsn: unknown kind of file*",
}

GATES = {
    "atleast=0.5": "*test_toy.py:5: gate: unknown argument 'atleast'*'at_least'*",
    "at_least=50": "*at_least=50 is not a rate*",
    'no_worse_than="yesterday"': "*no_worse_than='yesterday'*",
    "": "*this gate asks for nothing*",
}


def check(project: SampleProject, expected: str, *arguments: str) -> None:
    """One screen, no traceback, exit code 4, nothing half-run."""
    run = project.run_outside if arguments else project.run
    result = run("-q", *arguments)
    assert result.ret == 4
    text = result.stdout.str() + result.stderr.str()
    pytest.LineMatcher(text.splitlines()).fnmatch_lines(f"*{expected}".split("\n"))
    assert "Traceback" not in text
    assert "INTERNALERROR" not in text
    assert len(text.splitlines()) <= 24, "one screen"
    assert max(map(len, text.splitlines())) < 1_000
    assert not (project.folder / "reports").exists()


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_cases_file(project: SampleProject, answers, name) -> None:
    content, expected = CASES[name]
    project.suite(RIGHT, systems={"a": answers()})
    project.write("evals/toy.jsonl", content)
    check(project, expected)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_a_wrong_configuration(project: SampleProject, answers, name) -> None:
    content, expected = CONFIGURATIONS[name]
    project.suite(RIGHT, systems={"a": answers()})
    project.write("evals/rung.yaml", content)
    check(project, expected)


@pytest.mark.parametrize("mark", MARKS)
def test_a_wrong_suite_mark(project: SampleProject, answers, mark) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    project.write(
        "evals/test_toy.py", f"import pytest\n\npytestmark = pytest.mark.{mark}\n\n{RIGHT}"
    )
    check(project, MARKS[mark])


@pytest.mark.parametrize("arguments", GATES)
def test_a_wrong_gate_mark(project: SampleProject, answers, arguments) -> None:
    project.suite(f"@pytest.mark.gate({arguments})\n{RIGHT}", systems={"a": answers()})
    check(project, GATES[arguments])


@pytest.mark.parametrize("what", BESIDE)
def test_a_wrong_file_that_the_verdict_reads(project: SampleProject, answers, what) -> None:
    name, content, expected = BESIDE[what]
    config = "suites: {toy: {champion: a, target: 0.8, training: train.jsonl}}\n"
    config += "decision: {prices: prices.yaml}\n"
    project.suite(RIGHT, systems={"a": answers()}, extra=config)
    project.write("evals/prices.yaml", "date: 2026-11-20\ncurrency: EUR\n")
    project.write("evals/train.jsonl", "")
    if content is None:
        (project.evals / name).unlink()
    else:
        project.write(f"evals/{name}", content)
    check(project, expected)
    checked = project.rung("check")
    assert checked.ret != 0
    checked.stderr.fnmatch_lines([f"*{expected}"])


RECORDED = {
    "an id twice": (
        b'{"id": "c0", "output": "yes"}\n{"id": "c1", "output": "yes"}\n{"id": "c0", "output": "no"}\n',
        "outputs/a.jsonl:3: id 'c0' stands here and on line 1*",
    ),
    "no output": (b"\n", "outputs/a.jsonl: there are no outputs in this file*"),
    "an epoch that is no number": (
        b'{"id": "c0", "output": "yes", "epoch": [1]}\n',
        "outputs/a.jsonl:1: epoch: expected a whole number*",
    ),
    "half an epoch": (
        b'{"id": "c0", "output": "yes", "epoch": 0.5}\n',
        "outputs/a.jsonl:1: epoch: expected a whole number, got 0.5*",
    ),
    "a number as text": (
        b'{"id": "c0", "output": "yes"}\n{"id": "c1", "output": "yes", "latency_s": "0.5"}\n',
        "outputs/a.jsonl:2: a field of id 'c1' has the wrong form: latency_s is '0.5', expected*",
    ),
    "a field in the wrong form": (
        b'{"id": "c0", "output": "yes"}\n{"id": "c1", "output": "yes", "usage": [1]}\n',
        "outputs/a.jsonl:2: a field of id 'c1' has the wrong form*",
    ),
}


@pytest.mark.parametrize("what", RECORDED)
def test_a_wrong_file_of_recorded_outputs(project: SampleProject, answers, what) -> None:
    content, expected = RECORDED[what]
    project.suite(RIGHT, systems={"a": answers(cases=3)})
    project.write("evals/outputs/a.jsonl", content)
    check(project, expected)
    checked = project.rung("check")
    assert checked.ret == 2
    checked.stderr.fnmatch_lines([f"rung: *{expected}"])


def test_an_epoch_of_its_own_is_no_second_output(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(cases=1)})
    rows = b'{"id": "c0", "output": "yes"}\n{"id": "c0", "output": "no", "epoch": 1}\n'
    project.write("evals/outputs/a.jsonl", rows)
    assert project.run("--epochs", "2").ret == 0
    assert [r["state"] for r in project.table("scores")] == ["passed", "missed"]


def test_check_names_a_suite_that_is_not_python(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    (project.evals / "test_toy.py").rename(project.evals / "test_other.py")
    project.suite(f"{RIGHT}def test_broken(:\n", systems={"a": answers()})
    checked = project.rung("check")
    assert checked.ret == 2
    checked.stderr.fnmatch_lines(["rung: evals/test_toy.py:7: not Python: invalid syntax"])


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--system", "aa", "*'aa'. Did you mean 'a'?*"),
        ("--case", "cc1", "*'cc1'. Did you mean 'c1'?*"),
    ],
)
def test_a_wrong_option(project: SampleProject, answers, option, value, expected) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    result = project.run("-q", option, value)
    assert result.ret == 4
    result.stderr.fnmatch_lines([f"*{expected}"])


def test_workers_end_the_same_way(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    project.write("evals/toy.jsonl", "[1]\n")
    check(project, "toy.jsonl:1: a case is an object*", "-n", "2")


def test_a_mark_computed_at_import_ends_the_same_way_on_workers(project, answers) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    mark = 'pytest.mark.suite(cases="to" + "y.jsn", systems=["a"])'
    project.write("evals/test_toy.py", f"import pytest\n\npytestmark = {mark}\n\n{RIGHT}")
    check(project, "*toy.jsn: unknown kind of file*", "-n", "2")


@pytest.mark.parametrize(
    "content",
    [
        '\ufeff{"id": "c1", "input": "x", "expected_output": "yes"}\n'.encode(),
        b'{"id": "c1", "input": "x", "expected_output": "yes"}\r\n\r\n',
        '{"id": "c1", "input": "\u00e9\U0001f600", "expected_output": "yes"}'.encode(),
    ],
    ids=["byte order mark", "CRLF and blank lines", "no final line end"],
)
def test_harmless_oddities_are_read(project: SampleProject, answers, content) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    project.write("evals/toy.jsonl", content)
    assert project.run().ret == 0
    assert project.estimate("right", "a")["n"] == 1


def test_fields_of_an_input_are_seen_by_name(project: SampleProject, answers) -> None:
    body = "def test_right(case, output):\n    assert case.input['question'] == 'why'\n"
    project.suite(body, systems={"a": answers()})
    project.write(
        "evals/toy.csv",
        "id,input.question,input.schema,expected_output,tags,context,metadata.group\n"
        "c1,why,{},yes,short; odd,doc#1;doc#2,g1\n",
    )
    module = project.evals / "test_toy.py"
    module.write_text(module.read_text().replace("toy.jsonl", "toy.csv"))
    assert project.run().ret == 0
    (case,) = project.table("cases")
    assert case["tags"] == '["short","odd"]'
    assert case["metadata"] == '{"group":"g1"}'


def test_a_csv_error_names_its_line(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    project.write("evals/toy.csv", "id,input,expected\nc1,x,yes\n")
    module = project.evals / "test_toy.py"
    module.write_text(module.read_text().replace("toy.jsonl", "toy.csv"))
    check(project, "toy.csv:1: expected: unknown column. Did you mean 'expected_output'?*")
    project.write("evals/toy.csv", "id,input\nc1,x,yes\n")
    check(project, "toy.csv:2: 3 values under 2 columns*")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("id,input,input", "toy.csv:1: input: there are two columns of this name*"),
        ("id,input,metadata.k,metadata.k", "toy.csv:1: metadata.k: there are two columns of this*"),
        ("id,input,input.b", "toy.csv:1: input.b: stands beside a column `input`*"),
        ("id,input.b,input", "toy.csv:1: input.b: stands beside a column `input`*"),
        ("id,input,input.", "toy.csv:1: input.: unknown column*"),
    ],
)
def test_columns_that_would_hide_each_other(project, answers, header, expected) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    values = ",".join(f"v{number}" for number, _ in enumerate(header.split(",")))
    project.write("evals/toy.csv", f"{header}\n{values}\n")
    module = project.evals / "test_toy.py"
    module.write_text(module.read_text().replace("toy.jsonl", "toy.csv"))
    check(project, expected)


def test_a_key_that_is_not_in_the_environment(project: SampleProject, answers, monkeypatch) -> None:
    monkeypatch.delenv("ABSENT_KEY", raising=False)
    project.suite(RIGHT, systems={"a": answers()})
    project.write("evals/p.j2", "{{ input }}")
    project.write(
        "evals/rung.yaml",
        'models: {m: {openai: x, base_url: "http://127.0.0.1:9/v1", api_key_env: ABSENT_KEY}}\n'
        "systems:\n  a: {kind: prompt, model: m, prompt: p.j2}\n",
    )
    check(project, "*ABSENT_KEY*")


def test_a_package_called_systems_in_the_way(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    project.write("systems/__init__.py", "")
    result = project.pytester.run(
        sys.executable, "-m", "pytest", "evals", "-q", "-p", "no:cacheprovider"
    )
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*another package called 'systems' is in the way*"])
    listed = project.rung("runs")
    assert listed.ret == 2
    listed.stderr.fnmatch_lines(["rung: another package is in the way*"])


def test_a_budget_without_prices(project: SampleProject, answers) -> None:
    project.suite(RIGHT, systems={"a": answers()})
    result = project.run("--max-cost", "1")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--max-cost needs prices*"])


def test_a_budget_needs_the_prices_of_what_is_asked_and_no_more(project, answers) -> None:
    project.suite(RIGHT, systems={"a": answers(), "hosted": answers()})
    project.write(
        "evals/rung.yaml",
        'models: {far: {openai: m-2026-01-01, base_url: "http://127.0.0.1:9/v1"}}\n'
        "systems:\n"
        "  a: {kind: recorded, outputs: outputs/a.jsonl}\n"
        "  hosted: {kind: prompt, model: far, prompt: p.j2}\n"
        "decision: {prices: prices.yaml}\n",
    )
    project.write("evals/p.j2", "{{ input }}")
    project.write("evals/prices.yaml", "date: 2026-11-20\ncurrency: EUR\n")
    check(project, "prices.yaml: models.far: this model has no price*", "--max-cost", "1")
    assert project.run("--max-cost", "1", "--system", "a").ret == 0
