from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("grading")

RULES = ["manifest", "exercise", "stub", "solution", "misconceptions", "cheats", "properties"]


def test_a_sound_technique_is_one_mark_a_rule(learn: Any, toy: Path) -> None:
    result = learn("author", "check", "scale", "--seeds", "1")
    lines = result.stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [["✓", "toys/scale", rule] for rule in RULES]
    assert result.exit_code == 0


def test_a_broken_rule_is_told_and_ends_with_3(learn: Any, toy: Path) -> None:
    (toy / "exercise.py").write_text("# stale\n")
    result = learn("author", "check", "scale", "--seeds", "1")
    assert result.exit_code == 3
    assert "✗ toys/scale  exercise\n    " in result.stdout
    assert "'learn author stubs scale' writes it" in " ".join(result.stdout.split())


def test_findings_as_data(learn: Any, toy: Path) -> None:
    (toy / "lesson.md").unlink()
    result = learn("author", "check", "scale", "--seeds", "1", "--json")
    data = json.loads(result.stdout)
    assert (result.exit_code, data["sound"]) == (3, False)
    assert [f["rule"] for f in data["findings"]] == RULES
    assert [f["rule"] for f in data["findings"] if f["problems"]] == ["manifest"]


def test_stubs_are_written_where_they_differ(learn: Any, toy: Path) -> None:
    exercise = toy / "exercise.py"
    sound = exercise.read_bytes()
    assert learn("author", "stubs", "scale").stdout == f"{exercise}: as it was\n"
    exercise.write_text("# stale\n")
    assert learn("author", "stubs", "scale").stdout == f"{exercise}: written\n"
    assert exercise.read_bytes() == sound
    exercise.unlink()
    learn("author", "stubs", "scale")
    assert exercise.read_bytes() == sound


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["check", "scael"], "Did you mean 'toys/scale'?"),
        (["check", "scale", "--seeds", "0"], "'0' is not a whole number from 1 to"),
        (["chekc"], "No such command 'chekc'"),
    ],
)
def test_what_is_not_understood_ends_with_2(learn: Any, toy: Path, arguments: list[str], says: str) -> None:
    result = learn("author", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr
