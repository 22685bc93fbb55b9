from __future__ import annotations

import pytest

from groundup.grader.lessons.markdown import DISPLAY, FIGURE, INLINE, STRAY, inside, line_of, parsed


def of(kind: str, text: str) -> list[str]:
    tokens = parsed(text)
    return [t.content for t in [*tokens, *(child for child, _ in inside(tokens))] if t.type == kind]


def test_inline_formulas_may_go_over_a_line_end_and_keep_their_underscores() -> None:
    assert of(INLINE, "Of $a_t *\nb_t$ and *so* $c_*$.") == ["a_t * b_t", "c_*"]


@pytest.mark.parametrize("text", [r"It costs \$5 and \$6.", "It costs $5 and $6.", "`$x$`", "$ x $", "a $x$5"])
def test_a_price_is_no_formula(text: str) -> None:
    assert of(INLINE, text) == []


def test_a_dollar_sign_that_belongs_to_no_formula_is_marked() -> None:
    strays = [c for c, _ in inside(parsed(r"It costs $5, or \$5, or $x$.")) if c.meta.get(STRAY)]
    assert len(strays) == 1


def test_display_formulas_stand_between_lines_of_two_dollar_signs() -> None:
    tokens = parsed("A\n\n$$\na\n= b\n$$\n\n- item\n\n  $$\n  c\n  $$\n")
    assert [(t.content, line_of(t)) for t in tokens if t.type == DISPLAY] == [("a\n= b", 3), ("c", 10)]


def test_a_figure_is_an_image_alone_in_its_paragraph() -> None:
    tokens = parsed("A\n\n![What is\nseen.](figure:weights)\n\nB ![x](figure:y)\n")
    (figure,) = [t for t in tokens if t.type == FIGURE]
    assert (figure.meta["name"], line_of(figure)) == ("weights", 3)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("采样策略\n出发，\n“走”\n开\n", "采样策略出发，“走”开"),
        ("按 gamma\n衰减\n", "按 gamma 衰减"),
        ("甲**乙**\n丙\n", "甲乙丙"),
        ("one\ntwo\n", "one two"),
    ],
)
def test_line_ends_inside_chinese_are_no_gaps(text: str, shown: str) -> None:
    children = [c for c, _ in inside(parsed(text))]
    assert "".join(" " if c.type == "softbreak" else c.content for c in children) == shown
