"""A training row that asks what a case asks is refused, however either of them is written down."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from tuned_systems import ROWS, said, write_system

from harness.errors import ConfigError
from systems.eval_rows import eval_cases, refuse_eval_rows
from systems.prepared_rows import RowPreparer
from systems.recipe import read_recipe, read_training_objects
from systems.training import train
from systems.untrained import prompts_of

CHAT = said(("user", "Hello"), ("assistant", "Yes?"), ("user", "Where is it?"))
FIELDS = {"question": "Where is it?", "table": "places", "limit": 3}
SAME = {
    "text": ("Where  is IT?", {"input": "where is it?"}),
    "a chat": (CHAT, {"input": CHAT}),
    "a chat as the prompt": (CHAT, {"prompt": [*said(("system", "Be brief.")), *CHAT]}),
    "a case with a system message": (
        [*said(("system", "Be brief.")), *CHAT],
        {"prompt": CHAT},
    ),
    "a chat of typed parts": (
        "Where is it?",
        {"prompt": [{"role": "user", "content": [{"type": "text", "text": "Where is it?"}]}]},
    ),
    "fields": (FIELDS, {"input": FIELDS}),
    "fields in another order": (FIELDS, {"input": dict(reversed(FIELDS.items()))}),
    "a lone field": ({"question": "Where is it?"}, {"prompt": "Where is it?"}),
    "a prompt beside another input": ("Where is it?", {"input": "x", "prompt": "Where is it?"}),
}
OTHER = {
    "another last turn": (CHAT, {"input": [*CHAT[:2], *said(("user", "Who?"))]}),
    "another first turn": (CHAT, {"input": CHAT[2:]}),
    "another field": (FIELDS, {"input": {**FIELDS, "limit": 4}}),
    "nothing at all": ("", {"input": ""}),
}


def prepared(spec):
    recipe = read_recipe(spec)
    return RowPreparer(prompts_of(spec), recipe).prepare(read_training_objects(recipe))


def check(folder, case, row):
    spec = write_system(folder, [ROWS[0], {**row, "completion": "a"}])
    refuse_eval_rows(prepared(spec), {"s": [case]}, read_recipe(spec))


@pytest.mark.parametrize("what", SAME)
def test_a_row_that_asks_the_same_is_refused(tmp_path, what):
    with pytest.raises(ConfigError, match="1 rows are cases of an eval suite") as caught:
        check(tmp_path, *SAME[what])
    assert caught.value.line == 2


@pytest.mark.parametrize("what", OTHER)
def test_a_row_that_asks_something_else_is_taken(tmp_path, what):
    check(tmp_path, *OTHER[what])


@pytest.mark.parametrize("what", [*SAME, *OTHER])
def test_cases_among_the_rows_are_counted_once_however_often_they_come(tmp_path, what):
    case, row = (SAME | OTHER)[what]
    spec = write_system(tmp_path, [ROWS[0], *[{**row, "completion": "a"}] * 2])
    found = eval_cases(prepared(spec), {"s": [case, "something else"], "empty": []})
    assert found == ({"s": 1} if what in SAME else {})


def test_a_case_among_the_prompt_files_words_is_refused_too(tmp_path):
    rows = [{"prompt": "Say the color: the RED box", "completion": "red!"}]
    with pytest.raises(ConfigError, match="are cases of an eval suite"):
        train(
            write_system(tmp_path, rows), tmp_path / "a", seed=0, eval_inputs={"s": ["the red box"]}
        )
    assert not (tmp_path / "a").exists()
