from __future__ import annotations

from typing import Any

import pytest

from groundup.grader.authoring.form import HEADINGS
from groundup.grader.authoring.soundness import lesson
from groundup.grader.authoring.soundness.lesson import check


def test_a_complete_lesson_is_clean(toy: Any) -> None:
    assert check(toy.technique) == ("5 sections, 1 code blocks run, 0 figures", [])


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


# Both views


def planted(toy: Any, passage: str, file: str = "lesson.md") -> tuple[str, list[str]]:
    """Put a passage before the traps; return where it begins, and what is found."""
    heading = "## 陷阱" if file == "lesson.zh.md" else "## Traps"
    at = toy.spoil(file, f"{heading}\n", f"{passage}\n\n{heading}\n")
    return at, check(toy.technique)[1]


@pytest.mark.parametrize(
    ("passage", "line", "says"),
    [
        ("$$\n\\foo\n$$", 0, 'cannot be read: Unknown command "\\foo"'),
        ("$$\n\\underbrace{a}_{b}\n$$", 0, "has no form in a terminal"),
        ("$$\n" + " + ".join(["abc"] * 13) + "\n$$", 0, "this formula takes 75 columns in a terminal: at most 74"),
        ("One\n$\\foo$.", 1, "cannot be read"),
        ("Of $" + " + ".join("abcdefghijklm") + "$.", 0, "takes 49 columns in its line: make it a display formula"),
        ("It costs\n$5.", 1, "a dollar sign that begins no formula"),
        ("$$ x $$", 0, "the $$ of a display formula stand on lines of their own"),
        ("| a | b |\n|---|---|\n| " + "x" * 80 + " | y |", 0, "this table needs 83 columns: a terminal has 78"),
        ("{{two-numbers.z[0]}}", 0, "two-numbers has no 'z'"),
        ("{{two-numbers.Y z}}", 0, "two-numbers"),
        ("![A line.](figure:line)", 0, "no function 'line' in"),
        ("Here ![a picture](lesson.md).", 0, "a page loads no image: draw it in figures.py"),
    ],
)
def test_what_a_view_cannot_show_is_found_in_both_languages(toy: Any, passage: str, line: int, says: str) -> None:
    for file in ("lesson.md", "lesson.zh.md"):
        at, problems = planted(toy, passage, file)
        path, _, first = at.rpartition(":")
        place = f"{path}:{int(first) + line}: "
        assert [p for p in problems if p.startswith(place) and says in p], problems


@pytest.mark.parametrize(
    ("passage", "line", "says"),
    [
        ("word " * 30, 0, "150 characters: a line of a lesson has at most 120"),
        ("```text\n" + "x" * 78 + "\n```", 1, "78 columns: a block of text has at most 77"),
    ],
)
def test_built_in_lessons_keep_to_the_widths(
    toy: Any, monkeypatch: pytest.MonkeyPatch, passage: str, line: int, says: str
) -> None:
    at, problems = planted(toy, passage)
    assert not any(says in problem for problem in problems)
    monkeypatch.setattr(lesson, "built_in", lambda technique: True)
    path, _, first = at.rpartition(":")
    assert any(p.startswith(f"{path}:{int(first) + line}: {says}") for p in check(toy.technique)[1])


@pytest.mark.parametrize(
    "passage",
    [
        "It costs \\$5, $x_{t+1}$.",
        "$$\n\\frac{a + b}{c}\n$$",
        "```python\nx = 1  # " + "x" * 90 + "\n```",
        "{{two-numbers.y[0]:.1f}} and $y = {{two-numbers.y[1]}}$",
        "| a | b |\n|---|---|\n| " + "many words " * 9 + "| y |",
    ],
)
def test_what_both_views_show_is_no_problem(toy: Any, passage: str) -> None:
    assert planted(toy, passage)[1] == []


def test_code_runs_with_its_quotations_filled_in(toy: Any) -> None:
    toy.spoil("lesson.md", "3 / 2 == 1.5", "3 / 2 == {{two-numbers.y[0]}}")
    assert check(toy.technique)[1] == []
    toy.spoil("lesson.md", "y[0]", "y[1]")
    assert "this code raises AssertionError" in check(toy.technique)[1][0]


FIGURES = """def line(draw):
    axes = draw.axes()
    axes.plot([0, 1], [0, 1])
"""


@pytest.fixture
def figured(toy: Any) -> Any:
    """The toy with a figure in both lessons."""
    (toy.folder / "figures.py").write_text(FIGURES, encoding="utf-8")
    for file, heading in (("lesson.md", "## Traps\n"), ("lesson.zh.md", "## 陷阱\n")):
        toy.spoil(file, heading, f"![A line.](figure:line)\n\n{heading}")
    return toy


def test_a_figure_that_is_shown_and_drawn_is_clean(figured: Any) -> None:
    assert check(figured.technique) == ("5 sections, 1 code blocks run, 1 figures", [])


@pytest.mark.parametrize(
    ("file", "old", "new", "at", "says"),
    [
        ("lesson.zh.md", "![A line.](figure:line)\n", "", "figures.py:1", "'line' is not shown in lesson.zh.md"),
        ("lesson.md", "![A line.]", "![]", "lesson.md:15", "the figure 'line' has no caption"),
        ("figures.py", "axes = draw", "1 / 0; axes = draw", "figures.py:1", "raises ZeroDivisionError"),
        ("figures.py", "axes = draw.axes()", "return", "figures.py:1", "draws nothing"),
        ("figures.py", "axes = draw", "__import__('warnings').warn('odd'); axes = draw", "figures.py:1", "warns: odd"),
        ("figures.py", "[0, 1])\n", "[0, __import__('random').random()])\n", "figures.py:1", "otherwise each time"),
    ],
)  # fmt: skip
def test_a_spoilt_figure_is_found(figured: Any, file: str, old: str, new: str, at: str, says: str) -> None:
    figured.spoil(file, old, new)
    problems = check(figured.technique)[1]
    assert [p for p in problems if p.startswith(f"{figured.folder}/{at}: ") and says in p], problems


# The form of built-in lessons


@pytest.fixture
def formed(figured: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The toy as a built-in technique whose lessons have the form."""
    monkeypatch.setattr("groundup.grader.authoring.soundness.lesson.built_in", lambda technique: True)
    inside = {
        "A worked example": "Half of 3 is 1.5.\n\n![A line.](figure:line)",
        "What to build": "1. The factor.\n2. The product.",
        "Sources": "arXiv:1234.56789",
    }
    for number, file in enumerate(("lesson.md", "lesson.zh.md")):
        parts = [f"## {pair[number]}\n\n{inside.get(pair[0], 'Text.')}\n" for pair in HEADINGS.items()]
        (figured.folder / file).write_text("# T\n\n" + "\n".join(parts), encoding="utf-8")
    return figured


def test_the_form_is_clean_also_with_sections_of_its_own(formed: Any) -> None:
    assert check(formed.technique)[1] == []
    formed.spoil("lesson.md", "## Traps\n", "## Its own\n\nText.\n\n## Traps\n")
    assert check(formed.technique)[1] == []


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("lesson.md", "## What it costs\n", "## Costs\n", "no section '## What it costs': every lesson has"),
        ("lesson.zh.md", "## 代价\n", "## 成本\n", "no section '## 代价': every lesson has"),
        ("lesson.md", "## In production\n", "## X\n\n## In production\n", "'## X' is a section of this lesson's own"),
        ("lesson.md", "## Sources\n", "## Traps\n\n## Sources\n", "'## Traps' stands where '## Sources' belongs"),
        ("lesson.md", "## Sources\n\narXiv:1234.56789\n", "## Sources\n\narXiv:1234.56789\n\n## Traps\n",
         "there is a section '## Traps' already"),
        ("lesson.md", "![A line.](figure:line)\n", "", "no figure: show one with"),
    ],
)  # fmt: skip
def test_a_lesson_of_another_form_is_found(formed: Any, file: str, old: str, new: str, says: str) -> None:
    formed.spoil(file, old, new)
    problems = check(formed.technique)[1]
    assert [p for p in problems if p.startswith(f"{formed.folder}/{file}") and says in p], problems
