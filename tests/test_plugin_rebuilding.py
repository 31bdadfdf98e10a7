"""A blessed system is built again to the last character, or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.config import Project, load_project
from harness.plugin.rebuilding import CannotRebuild, kept, rebuild
from systems.fingerprint import fingerprint

YAML = """\
models:
  m: {openai: some-2026-01-01, base_url: "http://me:secret@127.0.0.1:1/v1", api_key_env: KEY}
systems:
  few: {kind: prompt, model: m, prompt: prompts/few.j2, examples: {path: rows.jsonl, k: 1}}
  chain:
    kind: prompt
    model: m
    steps: [{name: think, prompt: prompts/think.j2}, {name: say, prompt: prompts/few.j2}]
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "evals"
    (folder / "prompts").mkdir(parents=True)
    (folder / "rung.yaml").write_text(YAML)
    (folder / "prompts/few.j2").write_text("Answer: {{ input }}\n{% include 'tone.j2' %}\n")
    (folder / "prompts/tone.j2").write_text("Kindly.\n")
    (folder / "prompts/think.j2").write_text("Think of {{ input }}.\n")
    (folder / "rows.jsonl").write_text('{"input": "a", "expected_output": "b"}\n')
    return folder


def project(home: Path) -> Project:
    return load_project(home / "rung.yaml")


def row(home: Path, name: str) -> dict[str, Any]:
    """A system as run.json keeps it."""
    spec = project(home).systems[name]
    found = fingerprint(spec)
    stored = {
        "name": name,
        "kind": spec.kind,
        "rung": spec.rung,
        "fingerprint": found.digest,
        "parts": dict(found.parts),
        "configuration": kept(spec),
    }
    return dict(json.loads(json.dumps(stored)))


def again(home: Path, stored: dict[str, Any]):
    into = home.parent / ".rung" / "blessed"
    return rebuild(stored, project(home), into=into, fingerprint=fingerprint)


@pytest.mark.parametrize("name", ["few", "chain"])
@pytest.mark.parametrize("file", ["few.j2", "tone.j2"])
def test_an_edited_prompt_is_taken_from_the_run(home: Path, name: str, file: str) -> None:
    stored = row(home, name)
    old = (home / "prompts" / file).read_text()
    (home / "prompts" / file).write_text("Otherwise.\n")
    spec = again(home, stored)
    assert spec.name == f"baseline:{name}"
    assert fingerprint(spec).digest == stored["fingerprint"]
    assert (spec.folder / "prompts" / file).read_text() == old


def test_another_model_of_the_same_server_is_asked_as_it_was(home: Path) -> None:
    stored = row(home, "few")
    (home / "rung.yaml").write_text(YAML.replace("some-2026-01-01", "other-2026-02-02"))
    spec = again(home, stored)
    assert spec.model is not None
    assert spec.model.source == "some-2026-01-01"


def test_the_key_of_today_serves_while_the_model_is_the_same(home: Path) -> None:
    stored = row(home, "few")
    (home / "prompts/few.j2").write_text("Otherwise.\n")
    spec = again(home, stored)
    assert spec.model is not None
    assert "me:secret" in spec.model.options["base_url"]


def test_a_system_of_now_that_is_the_blessed_one_is_preferred(home: Path) -> None:
    stored = row(home, "few")
    text = (
        YAML.replace("few:", "old:", 1)
        + "  few: {kind: prompt, model: m, prompt: prompts/think.j2}\n"
    )
    (home / "rung.yaml").write_text(text)
    assert again(home, stored).name == "old"


def test_what_changed_besides_is_named(home: Path) -> None:
    stored = row(home, "few")
    (home / "rows.jsonl").write_text('{"input": "a", "expected_output": "c"}\n')
    with pytest.raises(CannotRebuild, match="its examples changed since"):
        again(home, stored)


def test_a_file_that_is_gone_is_named(home: Path) -> None:
    stored = row(home, "few")
    (home / "rung.yaml").write_text(YAML.replace(", examples: {path: rows.jsonl, k: 1}", ""))
    (home / "rows.jsonl").unlink()
    with pytest.raises(CannotRebuild, match=r"rows\.jsonl"):
        again(home, stored)


def test_a_run_of_before_keeps_no_configuration(home: Path) -> None:
    stored = row(home, "few")
    del stored["configuration"]
    (home / "prompts/few.j2").write_text("Otherwise.\n")
    with pytest.raises(CannotRebuild, match="does not keep"):
        again(home, stored)


def test_a_stored_prompt_is_never_written_elsewhere(home: Path) -> None:
    stored = row(home, "few")
    stored["configuration"]["options"]["prompt"] = "../../../../out.j2"
    stored["fingerprint"] = "0" * 64
    with pytest.raises(CannotRebuild, match="outside the project"):
        again(home, stored)
    assert not (home.parents[1] / "out.j2").exists()


def test_no_credentials_are_kept(home: Path) -> None:
    text = json.dumps(kept(project(home).systems["few"]))
    assert "secret" not in text
    assert "127.0.0.1" in text
