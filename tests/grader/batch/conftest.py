"""Shared by the tests of batch grading: a small technique, submissions to it, an engine that grades in this process."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from groundup.core.technique import Technique
from groundup.grader.batch import grading
from groundup.grader.batch.grading import grader, properties
from groundup.grader.batch.journal import Journal
from groundup.grader.batch.row import Graded, Job
from groundup.grader.batch.run import Class, Outcome, Wishes
from groundup.grader.batch.submissions import Submissions
from groundup.grader.learner.templates import Texts
from groundup.grader.process.fork_server import ForkServer

PROPERTIES = """
@claim("The mean of zeros is zero.")
@given(weight=WEIGHT)
def test_zeros_stay_zeros(impl, weight):
    check(impl(torch.zeros(3), weight), torch.zeros(()))


@claim("A mean weighs what it adds.")
@given(x=X, weight=WEIGHT)
def test_equals_the_reference(impl, reference, x, weight):
    check(impl(x, weight), reference(x, weight))


@after(test_equals_the_reference)
@claim("Weights count relative to each other.")
@given(x=X, weight=WEIGHT)
def test_twice_the_weights_is_the_same(impl, x, weight):
    check(impl(x, 2 * weight), impl(x, weight))
"""
RIGHT = "def mean(x, weight):\n    total = (x * weight).sum()\n    return total / weight.sum()\n"
WRONG = RIGHT.replace("(x * weight).sum()", "x.sum()")
STUB = 'def mean(x, weight):\n    raise NotImplementedError("hole 1/1: the weighted mean; return it")\n'


class Here:
    """An engine that grades one job after the other in this process; ``graded`` has the names of its jobs."""

    def __init__(self, server: ForkServer) -> None:
        self._grade = grader(server, "en")
        self.graded: list[str] = []
        self.stop_after: int | None = None

    def results(self, jobs: Iterator[Job]) -> Generator[Graded]:
        for job in jobs:
            if self.stop_after is not None and len(self.graded) >= self.stop_after:
                raise KeyboardInterrupt
            self.graded.append(job.name)
            yield self._grade(job)


class Known:
    """A registry with one technique, which a test may replace."""

    def __init__(self, technique: Technique) -> None:
        self.known = technique

    def technique(self, name: str) -> Technique:
        assert name == self.known.id
        return self.known


@pytest.fixture
def mean(author: Any) -> Technique:
    """The technique to which the stub, the right and the wrong attempt above belong."""
    technique: Technique = author.technique(PROPERTIES)
    return technique


@pytest.fixture
def engine(server: ForkServer, mean: Technique, monkeypatch: pytest.MonkeyPatch) -> Here:
    monkeypatch.setattr(grading, "Registry", lambda: Known(mean))
    return Here(server)


@pytest.fixture
def handed_in(tmp_path: Path) -> Path:
    """A folder with a right, a wrong, an unfinished and an empty submission."""
    folder = tmp_path / "handed-in"
    for name, source in (("anna", RIGHT), ("bob", WRONG), ("carl", STUB), ("dora", "")):
        (folder / name).mkdir(parents=True)
        (folder / name / "mean.py").write_text(source, encoding="utf-8")
    return folder


GradeAll = Callable[..., Outcome]


@pytest.fixture
def grade_all(handed_in: Path, tmp_path: Path, engine: Here, mean: Technique) -> GradeAll:
    """Grade the submissions as ``learn grade-many`` does, with its options in ``wishes``."""

    def grade(
        *, technique: Technique = mean, told: Callable[..., object] = id, database: Any = None, **wishes: Any
    ) -> Outcome:
        submissions = Submissions(handed_in, technique)
        with Journal(tmp_path / "results") as journal:
            whole = Class(submissions, journal, properties(technique, "en"), Wishes(**wishes), Texts("class"), database)
            whole.mend()
            whole.grade(engine, told)
            return whole.collect()

    return grade
