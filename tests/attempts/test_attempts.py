"""Attempts as people write them: right ones in many styles pass; wrong ones fall short, with the right mistake named.

``<track>/<technique>/right_<style>.py`` is a right implementation written in another way than the solution.
``wrong_<misconception>.py``, or ``wrong_<misconception>.<what>.py``, carries a known mistake in code of its own, not
made by applying the edit. ``other_<what>.py`` is wrong in a way that is no known mistake. ``reported_<what>.py`` has a
bug that someone reported: its first line says where. Its line ``# named: <misconceptions>`` lists the known mistakes
that a verdict may name; ``# named: nothing`` allows none.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.verdict import Verdict
from groundup.grader.process.fork_server import ForkServer

HERE = Path(__file__).parent
REGISTRY = Registry()
FILES = sorted(path.relative_to(HERE) for path in HERE.glob("*/*/*.py"))
KINDS = ("right", "wrong", "other", "reported")
RIGHT, WRONG, OTHER, REPORTED = ([f for f in FILES if f.name.startswith(f"{kind}_")] for kind in KINDS)
SEEDS = (0, 1)
SHARE = 6
pytestmark = pytest.mark.xdist_group("attempts")  # one test inspects the verdicts of another
NAMED, RIGHT_EACH, WRONG_IN_ALL = 0.9, 5, 60


def technique(file: Path) -> Technique:
    return REGISTRY.technique(str(file.parent).replace("_", "-"))


def mistake(file: Path) -> str:
    """Return the misconception that a file contains."""
    return file.name.removeprefix("wrong_").split(".")[0]


def written_names(file: Path) -> set[str]:
    """Return the misconceptions that a verdict on a reported bug may name."""
    (line,) = (n for n in (HERE / file).read_text("utf-8").splitlines() if n.startswith("# named: "))
    return set(line.removeprefix("# named: ").replace(",", " ").split()) - {"nothing"}


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with ForkServer() as server:
        yield Judge(server)


@functools.cache
def graded(judge: Judge, file: Path, seed: int) -> Verdict:
    source = (HERE / file).read_text(encoding="utf-8")
    return judge.grade(technique(file), source, file.name, seed=seed).verdict


def each(files: list[Path]) -> Any:
    """Yield one in ``SHARE`` of them, and all of them in the soak."""
    marks = [() if number % SHARE == 0 else pytest.mark.soak for number in range(len(files))]
    return pytest.mark.parametrize(
        "file", [pytest.param(f, marks=m, id=str(f)) for f, m in zip(files, marks, strict=True)]
    )


@each(RIGHT)
@pytest.mark.parametrize("seed", [SEEDS[0], pytest.param(SEEDS[1], marks=pytest.mark.soak)])
def test_what_is_right_passes_however_it_is_written(judge: Judge, file: Path, seed: int) -> None:
    verdict = graded(judge, file, seed)
    fell_short = [(p.id, p.message, p.counterexample) for p in verdict.properties if p.status != "held"]
    assert (verdict.problem, fell_short) == (None, [])


@each(WRONG)
def test_what_is_wrong_falls_short_and_gets_no_wrong_name(judge: Judge, file: Path) -> None:
    assert mistake(file) in {e.id for e in load_edits(technique(file))}
    verdict = graded(judge, file, SEEDS[0])
    assert verdict.outcome in ("fell_short", "died")
    assert {d.id for d in verdict.diagnosis} <= {mistake(file)}


@each(OTHER)
def test_a_mistake_of_its_own_falls_short_and_gets_no_name(judge: Judge, file: Path) -> None:
    verdict = graded(judge, file, SEEDS[0])
    assert verdict.outcome in ("fell_short", "died")
    assert verdict.diagnosis == ()


@each(REPORTED)
def test_a_bug_that_was_reported_falls_short_and_gets_no_wrong_name(judge: Judge, file: Path) -> None:
    assert written_names(file) <= {e.id for e in load_edits(technique(file))}
    verdict = graded(judge, file, SEEDS[0])
    assert verdict.outcome in ("fell_short", "died")
    assert {d.id for d in verdict.diagnosis} <= written_names(file)


@pytest.mark.parametrize("files", [WRONG[::SHARE], pytest.param(WRONG, marks=pytest.mark.soak)], ids=["some", "all"])
def test_nine_in_ten_known_mistakes_are_named(judge: Judge, files: list[Path]) -> None:
    unnamed = [str(file) for file in files if not graded(judge, file, SEEDS[0]).diagnosis]
    assert len(unnamed) <= (1 - NAMED) * len(files), unnamed


def test_there_are_enough_of_them() -> None:
    assert set(FILES) == {*RIGHT, *WRONG, *OTHER, *REPORTED}
    assert len(WRONG) >= WRONG_IN_ALL
    for known in REGISTRY.techniques.values():
        if known.package.startswith("groundup.plugins."):
            assert sum(technique(file) is known for file in RIGHT) >= RIGHT_EACH, known.id
