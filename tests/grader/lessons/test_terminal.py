from __future__ import annotations

import re

import pytest

from groundup.core.errors import PluginProblem
from groundup.grader.lessons.columns import width
from groundup.grader.lessons.terminal import rendered


def lines(markdown: str, places: int = 78, figure: tuple[str, ...] = ("Figure.",)) -> list[str]:
    shown = rendered(markdown, places, figure=figure)
    return re.sub(r"\033\[[0-9;]*m", "", shown).strip("\n").splitlines()


def test_code_and_drawings_keep_their_shape() -> None:
    shown = lines("# A\n\n```text\ny = x * by          dy/dx = by\n    |\n    +-- the factor\n```\n", 60)
    start = shown.index(" y = x * by          dy/dx = by")
    assert shown[start : start + 3] == [" y = x * by          dy/dx = by", "     |", "     +-- the factor"]


def test_a_long_line_of_code_continues_further_in() -> None:
    assert lines("```python\nif x:\n    first = second + third\n```\n", 24)[-2:] == [
        "     first = second +",
        "             third",
    ]


def test_nothing_is_wider_than_the_terminal_in_any_language() -> None:
    shown = lines("A paragraph of many words. " * 9 + "\n\n" + "一段很长的中文文字，里面没有空格。" * 9 + "\n", 60)
    assert max(map(width, shown)) <= 60
    assert min(map(width, shown[6:9])) >= 56  # Chinese lines use the whole width


def test_it_is_never_wider_than_78_columns() -> None:
    assert max(map(width, lines("word " * 99, 200))) <= 78


def test_formulas_are_text_in_their_sentence_and_indented_alone() -> None:
    shown = lines("Of $A_{t+1}$:\n\n$$\na = b\n$$\n")
    assert shown == ["Of Aₜ₊₁:", "", "    a = b"]


def test_an_inline_formula_is_not_broken() -> None:
    assert lines("A word, $a + b + c$.", 16) == ["A word,", "a + b + c."]


def test_a_display_formula_that_is_too_wide_breaks_at_a_space_and_goes_on_further_in() -> None:
    assert lines("$$\na + b + c + d + e\n$$\n", 12) == ["a + b + c +", "    d + e"]


def test_a_table_is_whole_and_its_cells_are_wrapped() -> None:
    shown = lines("| name | what it is |\n|---|---|\n| `a` | many words in a cell $x_1$ |\n", 24)
    assert shown == ["name  what it is", "────  ──────────────────", "a     many words in a", "      cell x₁"]


def test_a_word_wider_than_its_column_is_broken_and_not_cut() -> None:
    shown = lines("| a | b |\n|---|---|\n| trl/trainer/ppo_trainer.py | x |\n", 16)
    assert "".join(line[:13].strip() for line in shown[2:]) == "trl/trainer/ppo_trainer.py"


def test_a_figure_is_its_caption_and_how_to_see_it() -> None:
    shown = lines("![A line $x_1$ rises.](figure:line)\n", figure=("Figure.", "To see it: learn read a --open"))
    assert [line.strip("▌ ") for line in shown] == ["Figure. A line x₁ rises.", "To see it: learn read a --open"]


def test_a_formula_without_a_form_is_told_with_its_place() -> None:
    with pytest.raises(PluginProblem, match=r"lesson\.md:3: .*Unknown command"):
        rendered("A\n\n$\\foo$\n", where="lesson.md")
