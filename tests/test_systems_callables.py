"""A function named in rung.yaml is the one whose code the fingerprint saw, or an error."""

from __future__ import annotations

import sys

import pytest

from harness.errors import ConfigError
from systems.callables import import_callable, module_beside


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two projects' folders, each with a module of the same name."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("one", "two"):
        (tmp_path / name / "evals").mkdir(parents=True)
        (tmp_path / name / "evals" / "app_of_both.py").write_text(f"def f(x): return '{name}'")
    yield tmp_path / "one" / "evals", tmp_path / "two" / "evals"
    sys.modules.pop("app_of_both", None)


def test_a_module_of_another_project_is_not_taken_for_this_ones(folders) -> None:
    one, two = folders
    assert import_callable("app_of_both:f", folder=one, key="k")("?") == "one"
    assert import_callable("app_of_both:f", folder=one, key="k")("?") == "one"
    with pytest.raises(ConfigError) as error:
        import_callable("app_of_both:f", folder=two, key="systems.app.callable")
    assert "is another module in this process than the one of this project" in str(error.value)
    assert str(one) in str(error.value)
    assert str(two) in str(error.value)


def test_a_module_of_the_interpreter_hides_one_beside(folders) -> None:
    (folders[0] / "json.py").write_text("def dumps(x): return 'mine'")
    with pytest.raises(ConfigError, match="'json' is another module"):
        import_callable("json:dumps", folder=folders[0], key="k")


def test_what_is_installed_is_taken_from_there(folders) -> None:
    assert module_beside("json", folders[0]) is None
    assert import_callable("json:dumps", folder=folders[0], key="k")(1) == "1"


@pytest.mark.parametrize("name", ["pkg/__init__.py", "pkg.py", "../pkg.py"])
def test_a_module_beside_is_a_file_or_a_package_here_or_above(folders, name) -> None:
    file = folders[0] / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("")
    assert module_beside("pkg", folders[0]) == file.resolve()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import pytest\npytest.skip('later', allow_module_level=True)", "Skipped"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("import sys\nsys.exit(3)", "SystemExit: 3"),
    ],
)
def test_a_module_that_does_not_come_to_its_end_is_an_error(folders, source, said) -> None:
    name = f"app_{said[:4].lower()}"
    (folders[0] / f"{name}.py").write_text(source)
    with pytest.raises(ConfigError, match=f"'{name}' cannot be imported: {said}"):
        import_callable(f"{name}:f", folder=folders[0], key="k")
