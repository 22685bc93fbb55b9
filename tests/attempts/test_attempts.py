"""Attempts as people write them: wrong ones fall short, with the right mistake named.

``<track>/<technique>/wrong_<misconception>.py``, or ``wrong_<misconception>.<what>.py``, has a known mistake in code
of its own, not made by applying the edit.
``other_<what>.py`` is wrong in a way that is no known mistake. ``reported_<what>.py`` has a bug that someone reported:
its first line says where. Its line ``# named: <misconceptions>`` lists the known mistakes that a verdict may name;
``# named: nothing`` allows none. Right ones are beside the techniques: ``[[right]]`` in ``misconceptions.toml``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.verdict import Verdict

HERE = Path(__file__).parent
REGISTRY = Registry()
FILES = sorted(path.relative_to(HERE) for path in HERE.glob("*/*/*.py"))
KINDS = ("wrong", "other", "reported")
WRONG, OTHER, REPORTED = ([f for f in FILES if f.name.startswith(f"{kind}_")] for kind in KINDS)
SOME = 8  # of all attempts, graded for each change; the soak grades all
WRONG_IN_ALL = 60


def technique(file: Path) -> Technique:
    return REGISTRY.technique(str(file.parent).replace("_", "-"))


def mistake(file: Path) -> str:
    """Return the misconception that a file contains."""
    return file.name.removeprefix("wrong_").split(".")[0]


def written_names(file: Path) -> set[str]:
    """Return the misconceptions that a verdict on a reported bug may name."""
    (line,) = (n for n in (HERE / file).read_text("utf-8").splitlines() if n.startswith("# named: "))
    return set(line.removeprefix("# named: ").replace(",", " ").split()) - {"nothing"}


def graded(judge: Judge, file: Path) -> Verdict:
    source = (HERE / file).read_text(encoding="utf-8")
    return judge.grade(technique(file), source, file.name, seed=0).verdict


def each(files: list[Path]) -> Any:
    """Yield an even share of them, and all of them in the soak."""
    every = max(1, len(FILES) // SOME)
    marks = [() if number % every == 0 else pytest.mark.soak for number in range(len(files))]
    return pytest.mark.parametrize(
        "file", [pytest.param(f, marks=m, id=str(f)) for f, m in zip(files, marks, strict=True)]
    )


@each(WRONG)
def test_what_is_wrong_falls_short_and_gets_its_name(judge: Judge, file: Path) -> None:
    assert mistake(file) in {e.id for e in load_edits(technique(file))}
    verdict = graded(judge, file)
    assert verdict.outcome in ("fell_short", "died")
    assert [d.id for d in verdict.diagnosis] == [mistake(file)]


@each(OTHER)
def test_a_mistake_of_its_own_falls_short_and_gets_no_name(judge: Judge, file: Path) -> None:
    verdict = graded(judge, file)
    assert verdict.outcome in ("fell_short", "died")
    assert verdict.diagnosis == ()


@each(REPORTED)
def test_a_bug_that_was_reported_falls_short_and_gets_no_wrong_name(judge: Judge, file: Path) -> None:
    assert written_names(file) <= {e.id for e in load_edits(technique(file))}
    verdict = graded(judge, file)
    assert verdict.outcome in ("fell_short", "died")
    assert {d.id for d in verdict.diagnosis} <= written_names(file)


def test_there_are_enough_of_them() -> None:
    assert set(FILES) == {*WRONG, *OTHER, *REPORTED}
    assert len(WRONG) >= WRONG_IN_ALL
