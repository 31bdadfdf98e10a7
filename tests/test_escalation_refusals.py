"""Evidence that contradicts itself, or cannot be read, is refused with the field named."""

import json

import pytest
from click.testing import CliRunner
from evidence_documents import earned, first_afternoon, pair, rate, system, without

from harness.cli import rung
from harness.errors import ConfigError
from harness.escalation import evidence_from_json, read_evidence


def change(document, path, value):
    """The document with one value set; `path` is dotted."""
    *parents, last = path.split(".")
    place = document
    for part in parents:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[int(last) if isinstance(place, list) else last] = value
    return document


CONTRADICTIONS = [
    ("systems.0.outcomes.passed", 500, "systems.0.outcomes.passed"),
    ("pairs.0.counts.gained", 500, "pairs.0.counts.gained"),
    ("pairs.0.counts.tied", 500, "pairs.0.counts.tied"),
    ("pairs.0.counts.lost", 31, "pairs.0.counts"),
    ("pairs.0.candidate", "rga", "pairs.0.candidate"),
    ("champion", "few-shto", "champion"),
    ("target", 1.5, "target"),
    ("misses.total", 300, "misses.total"),
    ("misses.causes", {"format": 200}, "misses.causes"),
    ("pilot.cases_hash", "other", "pilot.cases_hash"),
    ("pilot.data_hash", "other", "pilot.data_hash"),
    ("readiness.data_hash", "other", "readiness.data_hash"),
    ("readiness.audit", {"checked": 10, "wrong": 11}, "readiness.audit.wrong"),
    ("pilot.points.0.passed", [401], "pilot.points.0.passed"),
    ("pilot.points.0.rows", 900, "pilot.points"),
    ("pilot.gain", {"gained": 300, "lost": 8, "tied": 232}, "pilot.gain"),
    ("economics", {"volume_per_month": -1}, "economics.volume_per_month"),
    ("audit", {"checked": 10, "wrong": 11}, "audit.wrong"),
    ("systems.4.rung", "prompt", "systems.4.oracle"),
    ("systems.1.name", "zero-shot", "systems.1.name"),
    ("leakage", {"suspected": 1, "without": {"gone": rate(1, 2)}}, "leakage.without.gone"),
    ("retained.standard_error", 0.01, "retained.standard_error"),
    ("pilot.points.0.cases", 399, "pilot.points.1.cases"),
    ("pilot.points.3.cases", 399, "pilot.points.3.cases"),
    ("pairs.1", pair("few-shot", "rag", 50, 30), "pairs.1"),
    ("pairs.1", pair("rag", "few-shot", 30, 50), "pairs.1"),
    ("pairs.1", pair("rag", "rag", 0, 0), "pairs.1.candidate"),
    ("leakage", {"suspected": 401}, "leakage.suspected"),
    ("leakage", {"suspected": 9, "without": {"rag": rate(235, 390)}}, "leakage.without.rag.n"),
    ("leakage", {"suspected": 9, "without": {"rag": rate(235, 401)}}, "leakage.without.rag.n"),
    ("audit", {"checked": 401, "wrong": 1}, "audit.checked"),
    ("readiness.audit", {"checked": 1601, "wrong": 1}, "readiness.audit.checked"),
    ("slices", [{"tag": "x", "system": "rga", "outcomes": rate(5, 9)}], "slices.0.system"),
    ("misses.causes", {"missing_facts": 5}, "misses.causes.missing_facts"),
    ("misses.causes", {"behavior": 5}, "misses.causes.behavior"),
    ("misses.causes", {"bad label": 5}, "misses.causes.bad label"),
]


@pytest.mark.parametrize(
    ("path", "value", "key"), CONTRADICTIONS, ids=[f"{p}={v}"[:80] for p, v, _ in CONTRADICTIONS]
)
def test_a_contradiction_is_refused_with_its_field(path, value, key):
    with pytest.raises(ConfigError) as caught:
        evidence_from_json(change(earned(), path, value))
    assert (caught.value.key or "").startswith(key)


def test_readiness_of_other_rows_than_the_pilots_is_refused_whatever_it_stands_on():
    document = without(earned(), "stands_on")
    document["readiness"]["data_hash"] = "another"
    with pytest.raises(ConfigError, match="other training data than the pilot") as caught:
        evidence_from_json(document)
    assert caught.value.key == "readiness.data_hash"


def test_a_pilot_on_more_cases_than_the_suite_has_is_refused_unless_they_come_in_batches():
    document = without(earned(), "misses")
    del document["pilot"]["gain_over_best"]
    document["systems"] = [system("few-shot", "prompt", 110, 200)]
    document["pairs"] = []
    with pytest.raises(ConfigError, match="more cases than the suite's 200") as caught:
        evidence_from_json(document)
    assert caught.value.key == "pilot.points.0.cases"
    evidence_from_json(document | {"settings": {"sequential": True}})


def test_a_misspelt_cause_is_told_the_nearest_and_ones_own_is_welcome():
    causes = {"missing_facts": 5}
    with pytest.raises(ConfigError, match=r"Did you mean 'missing_fact'\?"):
        evidence_from_json(change(earned(), "misses.causes", causes))
    own = {"wrong_tool": 5, "cut_off_input": 4, "formatting": 3, "refusal": 2, "stale_fact": 1}
    assert evidence_from_json(change(earned(), "misses.causes", own)).misses.causes == own


def test_labels_of_dev_cases_are_labels_of_the_suite():
    document = earned() | {"audit": {"checked": 450, "wrong": 1}}
    for one in document["systems"]:
        one["dev"] = rate(20, 50)
    assert evidence_from_json(document).audit.checked == 450


def test_rows_that_a_check_refused_may_be_fewer_than_those_audited():
    document = change(earned(), "readiness.audit", {"checked": 50, "wrong": 1})
    document["readiness"] |= {"rows": 40, "ready": False, "reasons": ["there are 40 rows"]}
    assert evidence_from_json(document).readiness.rows == 40


def test_cases_without_a_score_may_be_among_the_suspected():
    document = first_afternoon() | {"leakage": {"suspected": 9}}
    for left in (111, 120):
        document["leakage"]["without"] = {"zero-shot": rate(80, left)}
        assert evidence_from_json(document).leakage.without["zero-shot"].n == left


def test_an_unknown_key_is_named_with_the_nearest_known_one():
    with pytest.raises(ConfigError, match=r"Did you mean 'retained'\?"):
        evidence_from_json(earned() | {"retaned": {}})


def test_a_missing_target_is_no_verdict():
    with pytest.raises(ConfigError) as caught:
        evidence_from_json(without(first_afternoon(), "target"))
    assert caught.value.key == "target"


def test_a_file_that_is_not_json_names_its_line(tmp_path):
    file = tmp_path / "evidence.json"
    file.write_text('{"suite": "x",\n "target": }')
    with pytest.raises(ConfigError) as caught:
        read_evidence(file)
    assert (caught.value.file, caught.value.line) == (file, 2)
    with pytest.raises(ConfigError, match="no such file"):
        read_evidence(tmp_path / "gone.json")


def test_a_key_that_comes_twice_is_refused_and_named(tmp_path):
    file = tmp_path / "evidence.json"
    text = json.dumps(first_afternoon()).replace('"target": 0.8', '"target": 0.8, "target": 0.6')
    file.write_text(text)
    with pytest.raises(ConfigError, match="this key comes twice") as caught:
        read_evidence(file)
    assert (caught.value.file, caught.value.key) == (file, "target")


@pytest.mark.parametrize("text", ["[" * 100_000, '{"target": ' + "9" * 5000 + "}"])
def test_json_that_cannot_be_read_is_told(tmp_path, text):
    file = tmp_path / "evidence.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match="not JSON"):
        read_evidence(file)


class TestEvidenceOnTheCommandLine:
    """`rung verdict --evidence FILE` needs no project, and no run has a say in it."""

    def said(self, *arguments):
        return CliRunner().invoke(rung, ["verdict", *map(str, arguments)], catch_exceptions=False)

    @pytest.fixture
    def file(self, tmp_path):
        file = tmp_path / "evidence.json"
        file.write_text(json.dumps(first_afternoon()))
        return file

    def test_a_file_is_judged_under_any_target(self, file):
        assert "support: " in self.said("--evidence", file).output
        assert self.said("--evidence", file, "--target", "0.6").exit_code == 0

    def test_a_folder_is_told_and_not_traced(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be read: Is a directory") as caught:
            self.said("--evidence", tmp_path)
        assert caught.value.file == tmp_path

    @pytest.mark.parametrize(
        ("arguments", "key"),
        [(["--suite", "support"], "--suite"), (["latest"], "RUN"), (["baseline"], "RUN")],
    )
    def test_what_chooses_a_stored_verdict_does_not_go_with_a_file(self, file, arguments, key):
        with pytest.raises(ConfigError, match="--evidence judges a file") as caught:
            self.said("--evidence", file, *arguments)
        assert caught.value.key == key
