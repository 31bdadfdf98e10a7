"""A system that was trained on cases says so wherever it is described."""

import json
from dataclasses import replace

import pytest
from tuned_systems import with_options, write_system

from systems.fingerprint import fingerprint


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "a").mkdir()
    return with_options(write_system(tmp_path), adapter="a")


def warnings(spec, text):
    (spec.folder / "a/rung.json").write_text(text)
    return fingerprint(spec).warnings


def test_cases_of_suites_that_were_trained_on_are_told(spec):
    record = json.dumps({"eval_cases": {"toy": 2, "other": 7}})
    told = (
        "systems.tuned: was trained on 2 cases of the suite 'toy'",
        "systems.tuned: was trained on 7 cases of the suite 'other'",
    )
    before = fingerprint(spec).digest
    assert warnings(spec, record) == told
    assert fingerprint(spec).digest == before


@pytest.mark.parametrize("text", ["{}", '{"eval_cases": {}}', "[]", '{"eval_cases": 3}', "{"])
def test_where_none_is_known_nothing_is_said(spec, text):
    assert warnings(spec, text) == ()


def test_a_model_that_was_trained_whole_is_told_of_too(spec):
    (spec.folder / "a/config.json").write_text("{}")
    options = {name: value for name, value in spec.options.items() if name != "adapter"}
    whole = replace(spec, model=replace(spec.model, source="./a"), options=options)
    assert len(warnings(whole, '{"eval_cases": {"toy": 2}}')) == 1
