from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from groundup.grader.learner.state import State

pytestmark = pytest.mark.usefixtures("toy", "grading")


@pytest.fixture
def attempt(learn: Any, here: Path) -> Path:
    learn("start", "scale")
    return here / "workspace" / "toys" / "scale.py"


def noted(here: Path) -> list[str]:
    with State(here / "workspace" / ".learn" / "learn.db") as state:
        return [e.kind for e in state.events("toys/scale")]


def test_before_a_pass_it_is_refused_and_the_ways_on_are_told(learn: Any, attempt: Path, here: Path) -> None:
    learn("grade", "scale")
    result = learn("solution", "scale")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "You have not passed toys/scale yet. 'learn hint scale' helps;" in result.stderr
    assert "'learn solution scale --give-up'" in result.stderr
    assert noted(here) == ["started"]


def test_after_a_pass_it_is_shown_as_it_is_on_disk(learn: Any, attempt: Path, toy: Path, here: Path) -> None:
    solution = (toy / "solution.py").read_text()
    attempt.write_text(solution)
    learn("grade", "scale")
    attempt.write_text("# and what I do afterwards changes nothing\n")
    learn("grade", "scale")
    result = learn("solution", "scale")
    assert (result.exit_code, result.stdout, result.stderr) == (0, solution, "")
    assert noted(here) == ["started", "solution_shown"]


def test_giving_up_shows_it_and_is_remembered(learn: Any, attempt: Path, toy: Path, here: Path) -> None:
    result = learn("solution", "scale", "--give-up")
    assert (result.exit_code, result.stdout) == (0, (toy / "solution.py").read_text())
    assert noted(here) == ["started", "gave_up"]


def test_a_pass_outside_the_workspace_does_not_count(learn: Any, attempt: Path, toy: Path) -> None:
    learn("grade", "scale", "--attempt", str(toy / "solution.py"))
    assert learn("solution", "scale").exit_code == 2


def test_json_holds_the_source_and_whether_it_was_given_up(learn: Any, attempt: Path, toy: Path) -> None:
    told = json.loads(learn("solution", "scale", "--give-up", "--json").stdout)
    assert told == {"technique": "toys/scale", "gave_up": True, "source": (toy / "solution.py").read_text()}
