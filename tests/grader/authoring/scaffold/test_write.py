"""``learn author new`` writes a sound technique, for every interface."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundup.core.errors import UnknownName, UsageProblem
from groundup.core.manifest import read_manifest
from groundup.core.registry import Registry
from groundup.core.technique import PLACES, Technique
from groundup.grader.authoring.author import Check
from groundup.grader.authoring.scaffold.write import (
    INTERFACES,
    NewTechnique,
    new_technique,
    write_builtin,
    write_distribution,
)
from groundup.grader.authoring.soundness.languages import texts
from groundup.grader.judging.judge import Judge
from groundup.grader.process.fork_server import ForkServer

WITHOUT_GRADING = ("manifest", "imports", "interface", "exercise", "lesson", "quiz", "languages")
SLOW = [pytest.param(name, marks=[] if name == "function" else pytest.mark.soak) for name in INTERFACES]
ROOM = "a-name-of-forty-characters-as-the-longest"[:40]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


@pytest.fixture
def registry() -> Registry:
    return Registry()


def begun(interface: str, registry: Registry, name: str = "brand-new") -> NewTechnique:
    return new_technique(name, interface, registry)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: Registry) -> Iterator[object]:
    """Write a distribution, put its package on the search path and return the technique that it declares."""
    packages = []

    def installed(new: NewTechnique) -> Technique:
        write_distribution(new, tmp_path / "made")
        monkeypatch.syspath_prepend(tmp_path / "made")
        importlib.invalidate_caches()
        packages.append(package := f"groundup_{new.identifier}")
        found = Registry([(package, lambda: importlib.import_module(package))])
        assert found.problems == []
        registry.techniques |= found.techniques
        return found.technique(new.name)

    yield installed
    for module in [m for m in sys.modules if m.partition(".")[0] in packages]:
        del sys.modules[module]


def problems(technique: Technique, registry: Registry, server: ForkServer, *rules: str) -> dict[str, tuple[str, ...]]:
    check = Check(Judge(server), technique, seeds=1, rules=rules, registry=registry)
    return {f.rule: f.problems for f in check.findings() if f.problems}


@pytest.mark.parametrize("interface", INTERFACES)
def test_what_is_written_keeps_the_rules_that_need_no_grading(
    interface: str, install: object, registry: Registry, server: ForkServer
) -> None:
    technique: Technique = install(begun(interface, registry))  # type: ignore[operator]
    assert technique.implements == ("brand_new" if interface == "function" else "BrandNew")
    assert (technique.interface or "module:function").endswith(f":{interface}")
    assert problems(technique, registry, server, *WITHOUT_GRADING) == {}


@pytest.mark.parametrize("interface", SLOW)
def test_what_is_written_is_sound(interface: str, install: object, registry: Registry, server: ForkServer) -> None:
    technique: Technique = install(begun(interface, registry))  # type: ignore[operator]
    assert problems(technique, registry, server) == {}


@pytest.mark.parametrize("interface", INTERFACES)
def test_the_longest_name_fits(interface: str, tmp_path: Path, registry: Registry) -> None:
    new = begun(interface, registry, ROOM)
    assert len(new.name) == 40
    for path in write_distribution(new, tmp_path / "made"):
        if path.suffix == ".py":
            compile(path.read_text(encoding="utf-8"), str(path), "exec")


def test_a_distribution_has_all_that_it_needs(tmp_path: Path, registry: Registry) -> None:
    folder = tmp_path / "made"
    written = write_distribution(begun("function", registry), folder)
    assert {str(path.relative_to(folder)) for path in written} == {
        ".github/workflows/check.yml", ".gitignore", "README.md", "pyproject.toml", "tests/test_technique.py",
        *(f"groundup_brand_new/{name}" for name in (
            "__init__.py", "technique.toml", "solution.py", "exercise.py", "properties.py", "misconceptions.toml",
            "lesson.md", "quiz.yaml", "quiz_answers.py", "lab.py",
        )),
    }  # fmt: skip
    assert "<<" not in "".join(path.read_text(encoding="utf-8") for path in written)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("My-Technique", "is no name for a technique"),
        ("2nd", "is no name for a technique"),
        ("a--b", "is no name for a technique"),
        ("a-", "is no name for a technique"),
        ("", "is no name for a technique"),
        ("../out", "is no name for a technique"),
        ("a" * 41, "has 41 characters: at most 40"),
        ("gae", "is taken, by rl/gae"),
        ("sum", "would be called 'sum' in Python"),
        ("lambda", "would be called 'lambda' in Python"),
        ("torch", "would be called 'torch' in Python"),
        ("running", "would be called 'running' in Python"),
    ],
)
def test_a_name_that_cannot_be_is_refused(registry: Registry, name: str, says: str) -> None:
    with pytest.raises(UsageProblem, match=says):
        new_technique(name, "function", registry)


@pytest.mark.parametrize("interface", [name for name in INTERFACES if name != "function"])
def test_no_class_takes_the_name_of_its_interface(registry: Registry, interface: str) -> None:
    name = "".join(f"-{c.lower()}" if c.isupper() and n else c.lower() for n, c in enumerate(interface))
    if "".join(part.capitalize() for part in name.split("-")) == interface:
        with pytest.raises(UsageProblem, match=f"would be called '{interface}'"):
            new_technique(name, interface, registry)


def test_an_unknown_interface_lists_those_there_are(registry: Registry) -> None:
    with pytest.raises(UnknownName, match=r"No interface 'Tokenizer'\. There are function, Attention, KVCacheManager"):
        new_technique("brand-new", "Tokenizer", registry)


def test_an_unknown_track_is_refused(registry: Registry) -> None:
    with pytest.raises(UsageProblem, match="'RL' is no track"):
        new_technique("brand-new", "function", registry, "RL")


@pytest.mark.parametrize("there", ["a file in it", "a file of that name"])
def test_nothing_is_overwritten(tmp_path: Path, registry: Registry, there: str) -> None:
    folder = tmp_path / "made"
    mine = folder / "README.md" if there == "a file in it" else folder
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("mine")
    with pytest.raises(UsageProblem, match="is there already, and nothing is overwritten"):
        write_distribution(begun("function", registry), folder)
    assert mine.read_text() == "mine"
    assert folder.is_file() or list(folder.iterdir()) == [mine]


# In a clone


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    (tmp_path / "setup.py").write_text("")
    return tmp_path


def test_a_built_in_lands_where_built_ins_are(clone: Path, registry: Registry) -> None:
    new = new_technique("brand-new", "Optimizer", registry, "rl-systems")
    written = {str(path.relative_to(clone)) for path in write_builtin(new, clone)}
    folder = "plugins/rl_systems/brand_new"
    files = (
        "__init__.py", "technique.toml", "technique.zh.toml", "properties.py", "misconceptions.toml", "lesson.md",
        "quiz_answers.py", "lab.py",
    )  # fmt: skip
    assert written == {
        *(f"{folder}/{name}" for name in files),
        *(f"{kind}/rl_systems/__init__.py" for kind in ("plugins", "solutions", "exercises", "quizzes")),
        "solutions/rl_systems/brand_new.py", "exercises/rl_systems/brand_new.py", "quizzes/rl_systems/brand_new.yaml",
    }  # fmt: skip
    assert 'id = "rl-systems/brand-new"' in (clone / folder / "technique.toml").read_text()
    assert "NotImplementedError" in (clone / "exercises/rl_systems/brand_new.py").read_text()


@pytest.mark.parametrize("interface", INTERFACES)
def test_a_built_in_begins_in_both_languages(interface: str, clone: Path, registry: Registry) -> None:
    write_builtin(begun(interface, registry), clone)
    (manifest,) = clone.rglob("technique.toml")
    technique = read_manifest(Technique, manifest, PLACES, package="groundup.core")
    found = list(texts(technique))
    assert len(found) > 8
    for where, text in found:
        assert set(text) == {"en", "zh"}, where


def test_a_track_that_is_there_is_left_as_it_is(clone: Path, registry: Registry) -> None:
    (clone / "plugins" / "rl").mkdir(parents=True)
    (clone / "plugins" / "rl" / "__init__.py").write_text("mine")
    write_builtin(begun("function", registry), clone)
    assert (clone / "plugins" / "rl" / "__init__.py").read_text() == "mine"


def test_a_built_in_overwrites_nothing(clone: Path, registry: Registry) -> None:
    (clone / "quizzes" / "rl").mkdir(parents=True)
    (clone / "quizzes" / "rl" / "brand_new.yaml").write_text("mine")
    with pytest.raises(UsageProblem, match=r"brand_new\.yaml is there already"):
        write_builtin(begun("function", registry), clone)
    assert [path.name for path in clone.rglob("*.*")] == ["setup.py", "brand_new.yaml"]


def test_an_installed_copy_is_no_clone(tmp_path: Path, registry: Registry) -> None:
    with pytest.raises(UsageProblem, match="is no clone of Groundup"):
        write_builtin(begun("function", registry), tmp_path)
