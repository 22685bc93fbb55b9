from __future__ import annotations

import pytest

from groundup.grader.lessons.formulas import FormulaProblem, as_lines, as_mathml, as_text


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"A_{t+1}", "Aₜ₊₁"),
        (r"A_{T+1}", "A_(T+1)"),
        (r"x_{i,j}", "x_(i,j)"),
        (r"\pi_{\text{old}}", "π_old"),
        (r"\beta_1^t", "β₁ᵗ"),
        (r"a^{-1} b", "a⁻¹ b"),
        (r"x^\top y", "xᵀ y"),
        (r"\mathbb{R}^{d \times n}", "ℝ^(d×n)"),
        (r"\frac{a + b}{c + d}", "(a + b) / (c + d)"),
        (r"\frac{1}{N}\sum_{i=1}^{N} x_i", "(1/N) ∑ᵢ₌₁^N xᵢ"),
        (r"\frac{a}{b c}", "a/(bc)"),
        (r"a \frac{b}{c}", "a (b/c)"),
        (r"\sqrt{d}", "√d"),
        (r"\sqrt{a + b}", "√(a + b)"),
        (r"\hat{A}_t", "Âₜ"),
        (r"\overline{ab}", "bar(ab)"),
        (r"\mathbb{E}_t\left[\min(a, b)\right]", "𝔼ₜ[min(a, b)]"),
        (r"\operatorname{clip}(r, 1-\epsilon, 1+\epsilon)", "clip(r, 1 − ϵ, 1 + ϵ)"),
        (r"\log\frac{a}{b} + c", "log(a/b) + c"),
        (r"\exp(-x)", "exp(−x)"),
        (r"a \cdot -b", "a ⋅ −b"),
        (r"\lfloor x \rceil \le 2", "⌊x⌉ ≤ 2"),
        (r"\lVert g \rVert_2", "‖g‖₂"),
        (r"\pi(a \mid s)", "π(a | s)"),
        (r"1{,}024", "1,024"),
        (r"16\,\text{GB}", "16 GB"),
        (r"x_1, \dots, x_n", "x₁, …, xₙ"),
        (r"1 + 2 + \dots + n", "1 + 2 + ⋯ + n"),
        (r"a_1 = \dots = a_n = 1 + \dots", "a₁ = ⋯ = aₙ = 1 + …"),
        (r"a \odot b \approx c \to d", "a ⊙ b ≈ c → d"),
        (r"(\gamma\lambda)^l", "(γλ)ˡ"),
        (r"x' y", "x′ y"),
    ],
)
def test_a_formula_as_text_keeps_what_it_says(latex: str, text: str) -> None:
    assert as_text(latex) == text


def test_aligned_has_a_line_for_each_row_with_the_signs_below_each_other() -> None:
    latex = r"\begin{aligned} A_t &= b \\ &= -c \\ &\approx d \end{aligned}"
    assert as_lines(latex) == ("Aₜ = b", "   = −c", "   ≈ d")


def test_cases_have_a_brace_and_stand_beside_what_is_before_them() -> None:
    latex = r"f(x) = \begin{cases} 1 & \text{if } x > 0 \\ 0 & \text{otherwise} \end{cases}"
    assert as_lines(latex) == ("f(x) = ⎧ 1   if x > 0", "       ⎩ 0   otherwise")


def test_rows_in_a_line_of_text_are_refused() -> None:
    with pytest.raises(FormulaProblem, match="make it a display formula"):
        as_text(r"\begin{cases} 1 \\ 2 \end{cases}")


@pytest.mark.parametrize(
    ("latex", "why"),
    [
        (r"a + \foo{b}", r'cannot be read: Unknown command "\\foo"'),
        (r"\frac{a}", "cannot be read: Expected argument"),
        (r"a_{b", "cannot be read: Expected closing token"),
        (r"\underbrace{a + b}_{n}", "has no form in a terminal, because of a brace"),
    ],
)
def test_what_cannot_be_shown_is_an_error_and_never_dropped(latex: str, why: str) -> None:
    with pytest.raises(FormulaProblem, match=why):
        as_lines(latex)


def test_a_page_has_mathml_and_display_formulas_say_so() -> None:
    assert as_mathml("x") == "<math><mi>x</mi></math>"
    assert as_mathml("x", display=True).startswith('<math display="block">')
