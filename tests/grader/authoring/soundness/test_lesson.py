from __future__ import annotations

from typing import Any

import pytest

from groundup.grader.authoring.soundness.lesson import check


def test_a_complete_lesson_is_clean(toy: Any) -> None:
    assert check(toy.technique) == ("5 sections, 1 code blocks run", [])


def test_a_missing_lesson_is_found(toy: Any) -> None:
    path = toy.folder / "lesson.md"
    path.unlink()
    assert check(toy.technique) == ("", [f"there is no lesson: expected it at {path}"])


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("# Halving\n", "Halving\n", 1, "a lesson begins with its title"),
        ("## Traps\n", "## Pitfalls\n", None, "no section '## Traps'; there are: 'What it is for', 'A worked example'"),
        ("\n## What it is for\n", "", None, "4 sections, at least 5"),
        ("2. The product.\n", "", 19, "'What to build' does not name part 2 of 2"),
        ("Half of 3 is 1.5.\n\n```python\nassert 3 / 2 == 1.5\n```\n", "Half of it.\n", 7,
         "the worked example holds no number"),
        ("- arXiv:1234.56789", "- a paper", 24, "the sources name no paper"),
        ("assert 3 / 2 == 1.5", "x = 3\nassert x / 2 == 1", 13, "this code raises AssertionError"),
        ("assert 3 / 2 == 1.5", "assert 3 / 2 = 1.5", 12, "this code raises SyntaxError"),
        ("assert 3 / 2 == 1.5", "exit(1)", 12, "this code raises SystemExit"),
        ("(#traps)", "(#trap)", 5, "the link to '#trap' leads to no heading"),
        ("(#traps)", "(solutoin.py)", 5, "the link to 'solutoin.py' leads to no file"),
    ],
)  # fmt: skip
def test_what_a_lesson_lacks_is_found(toy: Any, old: str, new: str, line: int | None, says: str) -> None:
    toy.spoil("lesson.md", old, new)
    problems = check(toy.technique)[1]
    at = f"{toy.folder}/lesson.md{'' if line is None else f':{line}'}: "
    assert [p for p in problems if p.startswith(at + says)], problems


@pytest.mark.parametrize("target", ["solution.py", "https://example.org/nothing-there", "lesson.zh.md#陷阱"])
def test_a_link_that_leads_somewhere_is_no_problem(toy: Any, target: str) -> None:
    toy.spoil("lesson.md", "(#traps)", f"({target})")
    assert check(toy.technique)[1] == []


def test_what_code_prints_is_not_printed(toy: Any, capsys: pytest.CaptureFixture[str]) -> None:
    toy.spoil("lesson.md", "assert 3", "print('here')\nassert 3")
    assert check(toy.technique)[1] == []
    assert capsys.readouterr().out == ""
