"""A long-lived judge grades with the files on disk now: properties, their imports, solutions, modules of attempts.

Most edits here keep the file's size, and follow the previous edit within a second. Both must be noticed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.core.technique import CONTRACT, Technique
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.verdict import Verdict
from groundup.grader.process import sandbox
from groundup.grader.process.fork_server import ForkServer

RIGHT = "def mean(x, weight):\n    return (x * weight).sum() / weight.sum()\n"
WRONG = "def mean(x, weight):\n    return x.sum() / weight.sum()\n"
HELPED = """
from {package}.helper import LIMIT
from {package} import helper


@given(x=X)
def test_bound(impl, x):
    assert impl(x, ONES) <= LIMIT
    assert impl(x, ONES) <= helper.LIMIT
"""


def graded(judge: Judge, technique: Technique, source: str = RIGHT) -> Verdict:
    return judge.grade(technique, source, "mean.py", seed=1).verdict


def edit(path: Path, old: str, new: str) -> None:
    """Change a file as some editors do: write a new file, then rename it over the old one."""
    text = path.read_text()
    assert old in text
    saved = path.with_name(f".{path.name}.saved")
    saved.write_text(text.replace(old, new))
    saved.replace(path)


def test_a_verdict_says_which_version_and_which_contract_it_was_given_by(judge: Judge, author: Any) -> None:
    technique = author.technique(misconceptions="", manifest=author.manifest.replace('id="', 'version=3, id="'))
    verdict = graded(judge, technique)
    assert (verdict.version, verdict.contract) == (3, CONTRACT)


@pytest.fixture
def helped(author: Any) -> Technique:
    """A technique whose properties import a module beside them."""
    technique: Technique = author.technique(misconceptions="", helper__py="LIMIT = 9\n")
    path = technique.files.properties
    path.write_text(path.read_text() + HELPED.replace("{package}", technique.package))
    return technique


def test_a_module_that_properties_import_is_read_again(judge: Judge, helped: Technique) -> None:
    assert graded(judge, helped).passed
    edit(helped.files.folder / "helper.py", "9", "0")
    assert graded(judge, helped).outcome == "not_gradable"  # the reference exceeds the limit too
    edit(helped.files.folder / "helper.py", "0", "8")
    assert graded(judge, helped).passed


def test_a_module_that_properties_import_from_now_on_is_found(judge: Judge, author: Any) -> None:
    technique = author.technique(misconceptions="")
    assert graded(judge, technique).passed
    (technique.files.folder / "later.py").write_text("LIMIT = 0\n")
    path = technique.files.properties
    text = "\n\ndef test_bound(impl):\n    assert impl(ONES, ONES) <= LIMIT\n"
    path.write_text(f"from {technique.package}.later import LIMIT\n{path.read_text()}{text}")
    assert graded(judge, technique).outcome == "not_gradable"
    edit(technique.files.folder / "later.py", "0", "1")
    assert graded(judge, technique).passed


@pytest.mark.parametrize("broken", ["LIMIT = = 9\n", "LIMIT = NOTHING\n", "import nowhere\nLIMIT = 9\n", ""])
def test_a_save_that_breaks_a_module_is_told_and_the_next_good_one_works(
    judge: Judge, helped: Technique, broken: str
) -> None:
    path = helped.files.folder / "helper.py"
    good = path.read_text()
    assert graded(judge, helped).passed
    for _ in range(2):
        path.write_text(broken)
        with pytest.raises(PluginProblem, match=r"properties\.py cannot be loaded: ") as told:
            graded(judge, helped)
        assert not broken.startswith("LIMIT = =") or "(helper.py, line 1)" in str(told.value)
        path.write_text(good)
        assert graded(judge, helped).passed


@pytest.mark.parametrize("file", ["properties", "solution"])
def test_a_save_that_breaks_a_file_is_told_and_the_next_good_one_works(judge: Judge, author: Any, file: str) -> None:
    technique = author.technique(misconceptions="")
    path: Path = getattr(technique.files, file)
    good = path.read_text()
    assert graded(judge, technique).passed
    path.write_text(good + "\ndef (:\n")
    with pytest.raises(PluginProblem, match=rf"{file}.* cannot be loaded: SyntaxError: .*{file}\.py, line \d+"):
        graded(judge, technique)
    path.write_text(good)
    assert graded(judge, technique).passed


def test_a_manifest_that_no_longer_loads_is_told_by_who_needs_its_package(judge: Judge, helped: Technique) -> None:
    path = helped.files.folder / "__init__.py"
    good = path.read_text()
    assert graded(judge, helped).passed
    path.write_text(good + "\n1 / 0\n")
    with pytest.raises(PluginProblem, match="ZeroDivisionError"):
        graded(judge, helped)
    path.write_text(good)
    assert graded(judge, helped).passed


def test_misconceptions_are_those_on_disk(judge: Judge, author: Any) -> None:
    technique = author.technique()
    assert [d.id for d in graded(judge, technique, WRONG).diagnosis] == ["forgets-the-weights"]
    edit(technique.files.misconceptions, "forgets-the-weights", "mislays-the-weights")
    assert [d.id for d in graded(judge, technique, WRONG).diagnosis] == ["mislays-the-weights"]
    path = technique.files.misconceptions
    good = path.read_text()
    for break_it in (lambda: path.write_text("[[misconception]\n"), path.unlink):
        break_it()
        grading = judge.grade(technique, WRONG, "attempt.py", seed=1)
        assert grading.verdict.diagnosis == ()
        assert "misconceptions.toml" in str(grading.undiagnosed)
    path.write_text(good)
    assert [d.id for d in graded(judge, technique, WRONG).diagnosis] == ["mislays-the-weights"]


def test_nothing_is_read_again_while_nothing_changes(judge: Judge, helped: Technique) -> None:
    graded(judge, helped)
    graded(judge, helped)
    modules = {n: m for n, m in sys.modules.items() if n.partition(".")[0] == helped.package}
    assert {f"{helped.package}.{name}" for name in ("helper", "properties", "solution")} <= set(modules)
    graded(judge, helped)
    assert {n: m for n, m in sys.modules.items() if n in modules} == modules


# Modules shared by attempts and properties


SHARED = """
from dataclasses import dataclass

from groundup.core.plain import plain

UNIT = 1


@plain
@dataclass(frozen=True, eq=False)
class Sample:
    x: object
    weight: object
"""
SHARING_PROPERTIES = """
from {shared} import Sample


@given(x=X, weight=WEIGHT)
def test_equals_the_reference(impl, reference, x, weight):
    check(impl(Sample(x, weight)).x, reference(Sample(x, weight)).x)
"""
SHARING = """
from {shared} import UNIT, Sample


def mean(sample):
    # HOLE 1/1: the weighted mean
    total = (sample.x * sample.weight).sum()
    return Sample(UNIT * total / sample.weight.sum(), sample.weight)
    # END HOLE
"""


@pytest.fixture(params=["one file", "a package"])
def sharing(author: Any, request: pytest.FixtureRequest) -> tuple[Technique, Path, str]:
    """A technique with its own type, which is sent to the attempt's process; the type's file; a right attempt."""
    name = f"toy_shared_{next(author.numbers)}"
    file = author.folder / f"{name}.py" if request.param == "one file" else author.folder / name / "__init__.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text(SHARED)
    author.packages.append(name)
    solution = SHARING.replace("{shared}", name)
    technique = author.technique(
        SHARING_PROPERTIES.replace("{shared}", name), solution=solution, misconceptions="",
        manifest=author.manifest.replace("package=__name__,", f"package=__name__, imports=({name!r},),"),
    )  # fmt: skip
    return technique, file, solution


@pytest.fixture(params=[pytest.param(layer, marks=pytest.mark.soak) for layer in sandbox.LAYERS])
def layered(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A judge whose attempts run in the given layer."""
    if request.param in sandbox.offer().lacks:
        pytest.skip(f"this machine has no {request.param}")
    monkeypatch.setenv(sandbox.ASKED_BY, request.param)
    with ForkServer() as server:
        yield Judge(server)


def test_a_type_of_a_third_party_crosses_and_an_edit_of_it_counts_on_both_sides(
    layered: Judge, sharing: tuple[Technique, Path, str]
) -> None:
    technique, file, source = sharing
    assert graded(layered, technique, source).passed
    for into in (edit, in_place):
        into(file, "UNIT = 1", "UNIT = 2")
        # The reference and the attempt both read UNIT: if one process still had the older text, they would differ.
        assert graded(layered, technique, source).passed, into
        fixed = source.replace("UNIT *", "2 *")
        assert graded(layered, technique, fixed).passed, into
        into(file, "UNIT = 2", "UNIT = 1")
        assert graded(layered, technique, source).passed, into
        assert failed(graded(layered, technique, fixed)) == ["equals_the_reference"], into


@pytest.mark.soak
def test_a_field_that_a_third_party_adds_to_its_type_is_there_on_both_sides(
    judge: Judge, sharing: tuple[Technique, Path, str]
) -> None:
    technique, file, source = sharing
    assert graded(judge, technique, source).passed
    edit(file, "    weight: object\n", "    weight: object\n    note: str = 'new'\n")
    assert failed(graded(judge, technique, source.replace("Sample(UNIT", "Sample(len(sample.note) * UNIT"))) == [
        "equals_the_reference"
    ]
    assert graded(judge, technique, source).passed


def test_an_attempt_does_not_reach_the_solution_beside_what_it_may_import(
    layered: Judge, sharing: tuple[Technique, Path, str]
) -> None:
    technique, _, _ = sharing
    verdict = graded(layered, technique, f"from {technique.package}.solution import mean\n")
    assert f"an attempt cannot import '{technique.package}" in str(verdict.problem)
    if layered.server.containment != "process":
        reading = f"print(open({str(technique.files.solution)!r}).read())\n"
        assert "Error" in str(graded(layered, technique, reading).problem)


def in_place(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def failed(verdict: Verdict) -> list[str]:
    return [p.id for p in verdict.properties if p.status == "failed"]
