from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path

import pytest

from groundup.core.testing.modules import current_module, module_from_source


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"package_{tmp_path.name}".replace("-", "_")
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_module_is_executed_again_only_when_its_file_has_changed(package: str, tmp_path: Path) -> None:
    path = tmp_path / package / "properties.py"
    path.write_text("runs = []\nruns.append(1)\nversion = 1\n")
    name = f"{package}.properties"
    first = current_module(name, path)
    assert current_module(name, path) is first
    path.write_text("version = 2\n")
    second = current_module(name, path)
    assert (first.version, second.version) == (1, 2)
    assert second is not first


def test_it_is_the_module_that_an_import_finds(package: str, tmp_path: Path) -> None:
    path = tmp_path / package / "solution.py"
    path.write_text("class A:\n    pass\n")
    module = current_module(f"{package}.solution", path)
    assert importlib.import_module(f"{package}.solution") is module
    assert module.A.__module__ == f"{package}.solution"
    assert sys.modules[package].solution is module


def test_a_module_from_source_leaves_no_trace() -> None:
    module = module_from_source("edited", "def f():\n    return 1\n", "<an edit>")
    assert module.f() == 1
    assert "edited" not in sys.modules
    assert inspect.getsource(module.f) == "def f():\n    return 1\n"  # a traceback can quote it


def test_a_module_from_source_gives_back_the_name_that_it_borrowed() -> None:
    before = sys.modules["json"] = importlib.import_module("json")
    with pytest.raises(ZeroDivisionError):
        module_from_source("json", "1 / 0\n", "<an edit>")
    assert sys.modules["json"] is before


def test_dataclasses_can_be_defined_in_it() -> None:
    source = "from __future__ import annotations\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    x: int\n"
    assert module_from_source("edited", source, "<an edit>").A(1).x == 1


def test_it_does_not_inherit_the_futures_of_who_makes_it() -> None:
    source = "def f(x: int): ...\n"
    assert module_from_source("edited", source, "<an edit>").f.__annotations__ == {"x": int}
