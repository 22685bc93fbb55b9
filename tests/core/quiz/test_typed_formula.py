from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.quiz.question import NotAnAnswer
from groundup.core.quiz.typed_formula import read_formula

NAMES = ("a", "b", "gamma", "lam", "eps", "log_ratio", "r_t", "K")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("2a", "2 * a"),
        ("2a b", "2 * a * b"),
        ("a(b + 1)", "a * (b + 1)"),
        ("(a+1)(b+1)", "(a + 1) * (b + 1)"),
        ("(a+1)b", "(a + 1) * b"),
        ("2exp(a)b", "2 * exp(a) * b"),
        ("a b/2", "a * b / 2"),
        ("a^2b - b", None),
        ("2a^2", "2 * a ** 2"),
        ("a²", "a ** 2"),
        ("−a – b", "-a - b"),
        ("a·b × 2 ÷ 3", "a * b * 2 / 3"),
        ("γλ", "gamma * lam"),
        ("γ λ^2", "gamma * lam ** 2"),
        ("lambda * epsilon", "lam * eps"),
        ("GAMMA + k", "gamma + K"),
        ("ln(a) + clip(a, 1 − ε, 1 + ε)", "log(a) + clamp(a, 1 - eps, 1 + eps)"),
        ("σ(a)", "sigmoid(a)"),
        ("e^a", "exp(1) ** a"),
        ("√(a)", "sqrt(a)"),
        ("[a + {b}]", "a + b"),
        ("1e3a", "1000.0 * a"),
        (".5 r_t", "0.5 * r_t"),
        ("ｅｘｐ（ａ）", "exp(a)"),
        ("exp(log_ratio) - 1 - log_ratio", "exp(log_ratio) - 1 - log_ratio"),
    ],
)
def test_a_formula_is_read_as_it_is_meant(typed: str, read: str | None) -> None:
    if read is None:
        with pytest.raises(NotAnAnswer, match="more than one way"):
            read_formula(typed, NAMES)
    else:
        assert read_formula(typed, NAMES).text == read


@pytest.mark.parametrize("typed", ["1/2a", "a/b(a + 1)", "2^3a", "a % 2b", "1/a b", "2**-a b", "2 3", "a 2", "(a)2"])
def test_what_has_two_readings_is_refused(typed: str) -> None:
    with pytest.raises(NotAnAnswer, match="more than one way"):
        read_formula(typed, NAMES)


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ("c + 1", "There is no 'c'"),
        ("gama", "did you mean gamma"),
        ("exp a", "needs its argument"),
        ("", "no formula"),
        ("a +", "no formula"),
        ("((((", "no formula"),
        (")", "no formula"),
        ("exp(a, b)", "no formula"),
        ("a = 1", "'=' in"),
        ("__import__('os')", "'\\(' in|There is no|\"'\" in"),
        ("a.real", "'.' in"),
        ("a; b", "';' in"),
        ("\0", "in "),
        ("a" * 401, "longer than 400"),
        ("-" * 390 + "a", "no formula"),
    ],
)
def test_what_is_no_formula_is_refused_with_the_reason(typed: str, says: str) -> None:
    with pytest.raises(NotAnAnswer, match=says):
        read_formula(typed, NAMES)


@given(typed=st.text(alphabet="ab2.γ(),+-*/^%! =e_", max_size=40) | st.text(max_size=40))
def test_nothing_that_is_typed_crashes_or_takes_long(typed: str) -> None:
    begun = time.process_time()
    try:
        formula = read_formula(typed, NAMES)
    except NotAnAnswer:
        pass
    else:
        assert formula.names <= set(NAMES)
    assert time.process_time() - begun < 1
