"""The folder of the quizzes. What each quiz has to be is a rule of ``learn author check``."""

from __future__ import annotations

from pathlib import Path

import groundup.quizzes
from groundup.core.registry import Registry


def test_every_file_is_the_quiz_of_a_technique() -> None:
    files = set(Path(groundup.quizzes.__path__[0]).rglob("*.yaml"))
    assert len(files) >= 8
    assert files <= {technique.files.quiz for technique in Registry().techniques.values()}
