"""``learn author new`` writes a sound technique, for every interface and every batch."""

from __future__ import annotations

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundup.core.errors import UnknownName, UsageProblem
from groundup.core.interfaces import rl
from groundup.core.manifest import read_manifest
from groundup.core.registry import Registry
from groundup.core.technique import PLACES, Technique
from groundup.grader.authoring.check import Check
from groundup.grader.authoring.glossary import other_terms
from groundup.grader.authoring.scaffold.batches import batches_of, without_a_loss
from groundup.grader.authoring.scaffold.chinese import TO_TRANSLATE
from groundup.grader.authoring.scaffold.write import (
    INTERFACES,
    TEMPLATES,
    NewTechnique,
    new_technique,
    write_builtin,
    write_distribution,
)
from groundup.grader.authoring.soundness.languages import CHINESE, compare_lessons, texts
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.judge import Judge
from groundup.grader.learner.lab import run_lab
from groundup.grader.process.fork_server import ForkServer

ROOT = Path(__file__).parents[4]
WITHOUT_GRADING = ("manifest", "imports", "interface", "exercise", "lesson", "quiz", "languages")
KINDS = [(interface, batch) for interface in INTERFACES for batch in batches_of(interface) or [None]]
"""Every skeleton that there is: an interface, and a batch if its rules take one."""
OF_BATCHES = [kind for kind in KINDS if kind[1] is not None]
QUICK = ("RLAlgorithm", "TransitionBatch")
ALL_OF_BATCHES = [pytest.param(*kind, marks=[] if kind == QUICK else pytest.mark.soak) for kind in OF_BATCHES]
ROOM = "a-name-of-forty-characters-as-the-longest"[:40]


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer() as started:
        yield started


@pytest.fixture
def registry() -> Registry:
    return Registry()


def begun(interface: str, registry: Registry, name: str = "brand-new", batch: str | None = None) -> NewTechnique:
    return new_technique(name, interface, registry, batch=batch)


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


@pytest.mark.parametrize(("interface", "batch"), KINDS)
def test_what_is_written_keeps_the_rules_that_need_no_grading(
    interface: str, batch: str | None, install: object, registry: Registry, server: ForkServer
) -> None:
    technique: Technique = install(begun(interface, registry, batch=batch))  # type: ignore[operator]
    assert technique.implements == ("brand_new" if interface == "function" else "BrandNew")
    assert (technique.interface or "module:function").endswith(f":{interface}")
    assert problems(technique, registry, server, *WITHOUT_GRADING) == {}


@pytest.mark.parametrize(("interface", "batch"), ALL_OF_BATCHES)
def test_the_solution_passes_and_its_mistakes_do_not(
    interface: str, batch: str, install: object, registry: Registry, server: ForkServer
) -> None:
    technique: Technique = install(begun(interface, registry, batch=batch))  # type: ignore[operator]
    check = Check(Judge(server), technique, seeds=1, registry=registry)
    assert check.holds(technique.files.solution.read_text(encoding="utf-8"), seed=0)
    edits = load_edits(technique)
    assert len(edits) >= 3
    sources = {edit.id: edit.apply(check.solution_text, str(technique.files.solution)) for edit in edits}
    assert [name for name, source in sources.items() if check.holds(source, seed=0)] == []


@pytest.mark.soak
@pytest.mark.parametrize(("interface", "batch"), KINDS)
def test_what_is_written_is_sound(
    interface: str, batch: str | None, install: object, registry: Registry, server: ForkServer
) -> None:
    technique: Technique = install(begun(interface, registry, batch=batch))  # type: ignore[operator]
    assert problems(technique, registry, server) == {}


@pytest.mark.parametrize(("interface", "batch"), KINDS)
def test_the_longest_name_fits(interface: str, batch: str | None, tmp_path: Path, registry: Registry) -> None:
    new = begun(interface, registry, ROOM, batch)
    assert len(new.name) == 40
    for path in write_distribution(new, tmp_path / "made"):
        if path.suffix == ".py":
            compile(path.read_text(encoding="utf-8"), str(path), "exec")


@pytest.mark.soak
@pytest.mark.parametrize(("interface", "batch"), OF_BATCHES)
def test_the_lab_of_a_batch_reaches_its_mark_with_every_seed(
    interface: str, batch: str, install: object, registry: Registry, server: ForkServer
) -> None:
    technique: Technique = install(begun(interface, registry, batch=batch))  # type: ignore[operator]
    attempt = {technique.id: technique.files.solution.read_text(encoding="utf-8")}
    for seed in range(5):
        ran = run_lab(technique, registry, server, attempt, seed=seed, quick=False, watch=lambda done, points: None)
        assert ran.outcome.mark is not None
        assert ran.outcome.mark.reached, seed


# Batches


def test_the_interfaces_that_are_generic_have_a_batch_by_default(registry: Registry) -> None:
    generic = [name for name in INTERFACES if batches_of(name)]
    assert generic == ["RLAlgorithm"]
    assert {name: begun(name, registry).batch in batches_of(name) for name in INTERFACES} == {
        name: name in generic for name in INTERFACES
    }
    assert begun("RLAlgorithm", registry).batch == "RolloutBatch"


def test_every_batch_that_carries_a_gradient_has_a_skeleton() -> None:
    exported = {name for name in rl.__all__ if name.endswith("Batch")}
    assert exported == {*batches_of("RLAlgorithm"), *without_a_loss("RLAlgorithm")}
    assert without_a_loss("RLAlgorithm") == ["TokenBatch"]
    folder = TEMPLATES / INTERFACES["RLAlgorithm"] / "batches"
    assert len(list(folder.glob("*.toml"))) == len(batches_of("RLAlgorithm"))
    titles = {begun("RLAlgorithm", Registry(), batch=batch).about["title"] for batch in batches_of("RLAlgorithm")}
    assert len(titles) == len(batches_of("RLAlgorithm"))


@pytest.mark.parametrize("batch", batches_of("RLAlgorithm"))
def test_the_class_takes_the_batch_that_was_named(batch: str, tmp_path: Path, registry: Registry) -> None:
    write_distribution(begun("RLAlgorithm", registry, batch=batch), tmp_path / "made")
    inside = tmp_path / "made" / "groundup_brand_new"
    assert f"class BrandNew(RLAlgorithm[{batch}]):" in (inside / "solution.py").read_text(encoding="utf-8")
    assert f"def loss(self, batch: {batch}) -> Loss:" in (inside / "exercise.py").read_text(encoding="utf-8")
    for name in ("properties.py", "lab.py"):
        others = [other for other in batches_of("RLAlgorithm") if other != batch]
        text = (inside / name).read_text(encoding="utf-8")
        assert f"{batch}(" in text or f"{batch}," in text
        assert [other for other in others if other in text] == []


@pytest.mark.parametrize(
    ("interface", "batch", "says"),
    [
        ("RLAlgorithm", "PreferenceBach", r"Did you mean 'PreferenceBatch'\? RLAlgorithm takes EpisodeBatch, Gr"),
        ("RLAlgorithm", "Tokens", r"^No batch 'Tokens'\. RLAlgorithm takes EpisodeBatch, .*, UnpairedBatch\.$"),
        ("RLAlgorithm", "TokenBatch", "No loss takes a TokenBatch: none of its fields can carry a gradient"),
        ("Optimizer", "GroupBatch", "Optimizer takes no batch: leave out --batch GroupBatch, or give --interface RLA"),
        ("function", "GroupBatch", "The interface function takes no batch"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(registry: Registry, interface: str, batch: str, says: str) -> None:
    with pytest.raises(UsageProblem, match=says):
        new_technique("brand-new", interface, registry, batch=batch)


def test_a_distribution_has_all_that_it_needs(tmp_path: Path, registry: Registry) -> None:
    folder = tmp_path / "made"
    written = write_distribution(begun("function", registry), folder)
    assert {str(path.relative_to(folder)) for path in written} == {
        ".github/workflows/check.yml", ".gitignore", "README.md", "pyproject.toml", "tests/test_technique.py",
        *(f"groundup_brand_new/{name}" for name in (
            "__init__.py", "technique.toml", "solution.py", "exercise.py", "properties.py", "misconceptions.toml",
            "lesson.md", "figures.py", "quiz.yaml", "quiz_answers.py", "lab.py",
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
        "lesson.zh.md", "figures.py", "quiz_answers.py", "lab.py",
    )  # fmt: skip
    assert written == {
        *(f"{folder}/{name}" for name in files),
        *(f"{kind}/rl_systems/__init__.py" for kind in ("plugins", "solutions", "exercises", "quizzes")),
        "solutions/rl_systems/brand_new.py", "exercises/rl_systems/brand_new.py", "quizzes/rl_systems/brand_new.yaml",
    }  # fmt: skip
    assert 'id = "rl-systems/brand-new"' in (clone / folder / "technique.toml").read_text()
    assert "NotImplementedError" in (clone / "exercises/rl_systems/brand_new.py").read_text()


@pytest.mark.parametrize(("interface", "batch"), KINDS)
def test_a_built_in_begins_in_both_languages(
    interface: str, batch: str | None, clone: Path, registry: Registry
) -> None:
    write_builtin(begun(interface, registry, batch=batch), clone)
    (manifest,) = clone.rglob("technique.toml")
    technique = read_manifest(Technique, manifest, PLACES, package="groundup.core")
    found = list(texts(technique))
    assert len(found) > 8
    for where, text in found:
        assert set(text) == {"en", "zh"}, where
        assert list(other_terms(text["en"], text["zh"])) == [], where
        assert CHINESE.search(text["zh"]), where


@pytest.mark.parametrize(("interface", "batch"), KINDS)
def test_a_built_in_lands_in_its_track_with_imports_of_its_own(
    interface: str, batch: str | None, clone: Path, registry: Registry
) -> None:
    new = new_technique("brand-new", interface, registry, "rl-systems", batch=batch)
    for path in write_builtin(new, clone):
        if path.suffix == ".py" and path.name != "__init__.py":
            tree = ast.parse(path.read_text(encoding="utf-8"))
            imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
            ours = {module for module in imported if module.startswith("groundup")}
            assert {module for module in ours if not module.startswith("groundup.core.")} == set(), path
    quiz = (clone / "quizzes" / "rl_systems" / "brand_new.yaml").read_text(encoding="utf-8")
    assert quiz.startswith("questions:")


@pytest.mark.parametrize(("interface", "batch"), KINDS)
def test_what_is_written_is_linted_and_formatted(
    interface: str, batch: str | None, clone: Path, registry: Registry
) -> None:
    write_builtin(begun(interface, registry, ROOM[:20], batch), clone)
    settings = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", str(clone)]
    for command in (["check", "--ignore", "D103"], ["format", "--check"]):  # a property's claim is its docstring
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, *settings], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.soak
def test_what_is_written_is_typed(tmp_path: Path, registry: Registry) -> None:
    packages = []
    for number, (interface, batch) in enumerate(KINDS):
        new = begun(interface, registry, f"kind-{number}", batch)
        write_distribution(new, tmp_path / new.name)
        packages.append(package := f"groundup_{new.identifier}")
        (tmp_path / new.name / package / "exercise.py").unlink()  # its holes are empty
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *(word for package in packages for word in ("-p", package))], cwd=ROOT,
        env={**os.environ, "MYPYPATH": os.pathsep.join(map(str, tmp_path.iterdir()))},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("interface", "batch"), KINDS)
def test_the_chinese_lesson_is_an_outline_of_the_english_one(
    interface: str, batch: str | None, clone: Path, registry: Registry
) -> None:
    write_builtin(begun(interface, registry, batch=batch), clone)
    (english,), (chinese,) = clone.rglob("lesson.md"), clone.rglob("lesson.zh.md")
    ours, theirs = (path.read_text(encoding="utf-8") for path in (english, chinese))
    assert list(compare_lessons(english, chinese)) == [
        f"{chinese}:{theirs[: theirs.index(TO_TRANSLATE)].count(chr(10)) + 1}: {theirs.count(TO_TRANSLATE)} passages, "
        f"each marked {TO_TRANSLATE!r}, are still English"
    ]
    assert theirs.count(TO_TRANSLATE) >= 5
    headings = [line for line in theirs.splitlines() if line.startswith("#")]
    assert len(headings) == 13
    assert all(CHINESE.search(line) for line in headings)
    kept = [line.replace(TO_TRANSLATE, "") for line in theirs.splitlines() if not line.startswith("#")]
    assert kept == [line for line in ours.splitlines() if not line.startswith("#")]


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
