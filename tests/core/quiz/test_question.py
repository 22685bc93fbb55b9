from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from groundup.core.messages import Message
from groundup.core.quiz.choice_question import Multiple, Ordering, Single
from groundup.core.quiz.number_question import Numeric, Parametric
from groundup.core.quiz.question import FieldProblem, NotAnAnswer

COMMON = {
    "id": "a-question",
    "text": {"en": "What?", "zh": "什么？"},
    "explanation": {"en": "So.", "zh": "因此。"},
    "source": {"title": "A paper", "url": "https://example.org"},
}
OPTIONS = {"alpha": "one thing", "beta": "another", "gamma": {"en": "a third", "zh": "第三项"}, "delta": "a fourth"}


def single(**changes: Any) -> Single:
    return Single.model_validate(COMMON | {"kind": "single", "options": OPTIONS, "answer": "beta"} | changes)


def multiple(**changes: Any) -> Multiple:
    fields = {"kind": "multiple", "options": OPTIONS, "answer": ["gamma", "alpha"]}
    return Multiple.model_validate(COMMON | fields | changes)


def ordering(**changes: Any) -> Ordering:
    return Ordering.model_validate(COMMON | {"kind": "ordering", "options": OPTIONS} | changes)


def numeric(**changes: Any) -> Numeric:
    fields = {"kind": "numeric", "answer": 1.6777216, "unit": "GB", "tolerance": {"relative": 0.02}}
    return Numeric.model_validate(COMMON | fields | changes)


def parametric(**changes: Any) -> Parametric:
    fields = {
        "kind": "parametric",
        "text": {"en": "{a} and {b}?", "zh": "{b} 和 {a}？"},
        "explanation": {"en": "{a} + {b} = {answer}", "zh": "{answer}"},
        "parameters": {"a": [1, 2], "b": {"from": 0.1, "to": 0.5, "step": 0.1}},
        "answer": "a + b",
        "tolerance": {"absolute": 0.01},
    }
    return Parametric.model_validate(COMMON | fields | changes)


def place_of(error: ValidationError) -> tuple[str | int, ...]:
    """Return the place of the first problem in the question, as shown to an author."""
    problem = error.errors()[0]
    cause = problem.get("ctx", {}).get("error")
    return problem["loc"] + (cause.path if isinstance(cause, FieldProblem) else ())


# Mistakes of authors


@pytest.mark.parametrize(
    ("make", "changes", "place", "told"),
    [
        (single, {"answer": "betta"}, ("answer",), "'betta' is not among the options alpha, beta"),
        (single, {"options": {"alpha": "x"}}, ("options",), "at least 2"),
        (single, {"options": {"a": "x", "bb": "y"}, "answer": "bb"}, ("options", "a", "[key]"), "pattern"),
        (single, {"options": {"ab": "x", "bb": "y", "cd": "z"}, "answer": "cd"}, ("options", "ab"), "read as letters"),
        (single, {"options": {"alpha": "Same  text", "beta": "same text"}}, ("options", "beta"), "the same as 'alpha'"),
        (
            single,
            {"options": {"alpha": {"en": "x", "zh": "同"}, "beta": {"en": "y", "zh": "同"}}},
            ("options", "beta"),
            "'zh'",
        ),
        (single, {"text": {"zh": "什么？"}}, ("text",), "English"),
        (single, {"text": 5}, ("text",), "dictionary"),
        (single, {"source": None}, (), r"needs a source \{title, url\}, or a section"),
        (single, {"source": {"title": "x", "url": "example.org"}}, ("source", "url"), "pattern"),
        (single, {"id": "Not An Id"}, ("id",), "pattern"),
        (single, {"answers": "beta"}, ("answers",), "Extra"),
        (multiple, {"answer": []}, ("answer",), "at least 1"),
        (multiple, {"answer": ["alpha", "omega"]}, ("answer", 1), "'omega' is not among"),
        (multiple, {"answer": ["alpha", "alpha"]}, ("answer", 1), "twice"),
        (ordering, {"options": {"one": "x", "two": "y"}}, ("options",), "at least 3"),
        (ordering, {"order": ["alpha", "beta"]}, ("order",), "right order"),
        (numeric, {"tolerance": {}}, ("tolerance",), "relative: 0.02"),
        (numeric, {"tolerance": {"relative": 2}}, ("tolerance", "relative"), "less than 1"),
        (numeric, {"tolerance": {"absolute": -1}}, ("tolerance", "absolute"), "greater than or equal to 0"),
        (numeric, {"answer": "lots"}, ("answer",), "number"),
        (numeric, {"answer": float("nan")}, ("answer",), "finite"),
        (numeric, {"unit": "Gb"}, ("unit",), "no unit 'Gb'; did you mean"),
        (numeric, {"unit": "tokens"}, ("unit",), "A word of your own is {en: …, zh: …}"),
        (parametric, {"parameters": {}}, ("parameters",), "at least 1"),
        (parametric, {"parameters": {"a": [1, 2], "b": 3}}, ("parameters", "b"), "a list of numbers, or a range"),
        (parametric, {"parameters": {"a": [1, "x"], "b": [1, 2]}}, ("parameters", "a"), "'x' is no number"),
        (parametric, {"parameters": {"a": [1, True], "b": [1, 2]}}, ("parameters", "a"), "True is no number"),
        (parametric, {"parameters": {"a": [1, 1.0], "b": [1, 2]}}, ("parameters", "a"), "two different values"),
        (parametric, {"parameters": {"a": [1], "b": [1, 2]}}, ("parameters", "a"), "two different values"),
        (parametric, {"parameters": {"a": {"from": 1, "to": 2}, "b": [1, 2]}}, ("parameters", "a"), "a range is"),
        (
            parametric,
            {"parameters": {"a": {"from": 1, "to": 0, "step": 1}, "b": [1, 2]}},
            ("parameters", "a"),
            "goes up",
        ),
        (
            parametric,
            {"parameters": {"a": {"from": 0, "to": 1, "step": 1e-9}, "b": [1, 2]}},
            ("parameters", "a"),
            "no more",
        ),
        (parametric, {"answer": "a + c"}, ("answer",), "'c' is no parameter"),
        (parametric, {"answer": "a"}, ("parameters", "b"), "unused"),
        (parametric, {"answer": "a + b + open('x')"}, ("answer",), "not arithmetic"),
        (parametric, {"answer": "a + b - "}, ("answer",), "no expression"),
        (parametric, {"answer": "1 / (a + b * 10 - 2)"}, ("answer",), r"with a = 1, b = 0\.1: .* has no value"),
        (parametric, {"text": "{a}?"}, ("text", "en"), r"never says \{b\}"),
        (parametric, {"text": {"en": "{a} {b}", "zh": "{a}"}}, ("text", "zh"), r"never says \{b\}"),
        (parametric, {"text": "{a} {b} {answer}"}, ("text", "en"), "'answer' is no parameter"),
        (parametric, {"text": "{a} {b} {}"}, ("text", "en"), "is no parameter"),
        (parametric, {"text": "{a} {b.real}"}, ("text", "en"), "is no parameter"),
        (parametric, {"text": "{a!r} {b}"}, ("text", "en"), "is no parameter"),
        (parametric, {"text": "{a} {b"}, ("text", "en"), "a brace of its own is written twice"),
        (parametric, {"explanation": "{anser}"}, ("explanation", "en"), "did you mean 'answer'"),
        (parametric, {"explanation": "{answer:zzz}"}, ("answer",), "Invalid format"),
        (parametric, {"derived": {"c": "a * 2"}}, ("derived", "c"), "unused"),
        (parametric, {"derived": {"a": "b * 2"}}, ("derived", "a"), "a parameter already"),
        (
            parametric,
            {"derived": {"c": "d", "d": "a"}, "explanation": "{c} {d}"},
            ("derived", "c"),
            "'d' is no parameter",
        ),
        (parametric, {"tolerance": None}, ("tolerance",), "dictionary"),
        (parametric, {"wrong": "a - b"}, ("wrong",), "tuple"),
        (parametric, {"wrong": ["a - b", "a - c"]}, ("wrong", 1), "'c' is no parameter"),
        (parametric, {"wrong": ["2 * answer"]}, ("wrong", 0), "'answer' is no parameter"),
        (parametric, {"wrong": ["a - b", "a -"]}, ("wrong", 1), "no expression"),
        (parametric, {"wrong": ["b / (a - 1)"]}, ("wrong", 0), r"with a = 1, b = 0\.1: .* has no value"),
        (parametric, {"wrong": ["a - b", "b + a"]}, ("wrong", 1), "'b \\+ a' is accepted in 10 of 10 draws"),
    ],
)
def test_an_author_s_slip_is_told_where_it_is(make: Any, changes: dict[str, Any], place: Any, told: str) -> None:
    with pytest.raises(ValidationError, match=told) as error:
        make(**changes)
    assert place_of(error.value) == place


def test_a_parameter_may_count_through_a_derived_number_alone() -> None:
    question = parametric(derived={"twice": "a * 2", "more": "twice + b"}, answer="more")
    assert question.ask({"a": 2, "b": 0.3}).answer == pytest.approx(4.3)


def test_a_derived_number_may_count_through_a_wrong_formula_alone() -> None:
    question = parametric(derived={"less": "a - b"}, wrong=["less"])
    assert [mistake({"less": 7}) for mistake in question.mistakes] == [7]


def test_a_draw_in_which_a_wrong_formula_is_accepted_is_never_asked() -> None:
    question = parametric(wrong=["a + 0.3", "b"])
    texts = {question.draw(Random(seed)).text["en"] for seed in range(500)}
    assert texts == {f"{a} and {b}?" for a in (1, 2) for b in (0.1, 0.2, 0.4, 0.5)}
    assert not question.draw(Random(0)).is_right(1.3)


def test_wrong_formulas_change_no_other_draw() -> None:
    plain, careful = parametric(), parametric(wrong=["a + 0.3", "b"])
    for seed in range(100):
        before = plain.draw(Random(seed))
        if "0.3" not in before.text["en"]:
            assert careful.draw(Random(seed)) == before


def test_a_question_can_be_asked_with_values_that_are_no_longer_drawn() -> None:
    assert parametric(wrong=["a + 0.3"]).ask({"a": 1, "b": 0.3}).answer == pytest.approx(1.3)


def test_half_of_all_draws_may_be_unusable_but_no_more() -> None:
    assert parametric(wrong=["a + min(b, 0.3)"], parameters={"a": [1, 2], "b": [0.1, 0.2, 0.4, 0.5]}).wrong
    with pytest.raises(ValidationError, match="accepted in 6 of 10 draws"):
        parametric(wrong=["a + min(b, 0.3)"])


# Choosing


@pytest.mark.parametrize("typed", ["B", "b", " b ", "b.", "(B)", "Ｂ", "beta"])
def test_an_option_is_named_by_its_letter_or_its_key(typed: str) -> None:
    assert single().read(typed) == "beta"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("E", "'E' is none of A to D"),
        ("", "no letter"),
        ("AB", "one letter"),
        ("AA", "A is there twice"),
        ("1", "'1' is none of A to D"),
        ("yes", "'y' is none of"),
        ("\x1b[2J", r"'\\x1b' is none of"),
        (1, "1 is no letter"),
        (True, "True is no letter"),
        (None, "None is no letter"),
        ({"a": 1}, "is no letter"),
        ("x" * 500, "'x' is none of"),
    ],
)
def test_nonsense_is_no_answer_and_says_why(given: Any, told: str) -> None:
    with pytest.raises(NotAnAnswer, match=told) as reason:
        single().read(given)
    assert isinstance(reason.value.says, Message)


@pytest.mark.parametrize("given", ["AC", "ca", "a c", "A, C", "a、c", ["A", "C"], ["gamma", "alpha"], "gamma alpha"])
def test_several_options_are_named_in_any_way_and_order(given: Any) -> None:
    question = multiple()
    assert question.read(given) == ["alpha", "gamma"]
    assert question.is_right(question.read(given))


@pytest.mark.parametrize("given", ["A", "ABC", "ABCD", "B"])
def test_all_right_options_and_no_other_make_a_multiple_choice_right(given: str) -> None:
    assert not multiple().is_right(multiple().read(given))


def test_an_ordering_wants_every_letter_once() -> None:
    with pytest.raises(NotAnAnswer, match="C D is missing"):
        ordering().read("AB")
    with pytest.raises(NotAnAnswer, match="A is there twice"):
        ordering().read("AABCD")


@given(seed=st.integers(0, 10**6))
def test_a_drawn_ordering_is_out_of_order_and_keeps_its_answer(seed: int) -> None:
    drawn = ordering().draw(Random(seed))
    assert list(drawn.options) != list(OPTIONS)
    assert sorted(drawn.options) == sorted(OPTIONS)
    assert drawn.right_answer() == list(OPTIONS)
    letters = {key: letter for letter, key in zip("ABCD", drawn.options, strict=True)}
    assert drawn.is_right(drawn.read("".join(letters[key] for key in OPTIONS)))
    assert not drawn.is_right(drawn.read("ABCD"))


@given(seed=st.integers(0, 10**6), key=st.sampled_from(sorted(OPTIONS)))
def test_a_letter_means_what_stands_beside_it_however_options_are_shuffled(seed: int, key: str) -> None:
    for question in (single().draw(Random(seed)), multiple().draw(Random(seed))):
        letter = next(letter for letter, text in question.choices().items() if text == single().options[key])
        answer = question.read(letter)
        assert answer == (key if isinstance(question, Single) else [key])
        assert question.shown(answer, "en").startswith(f"{letter}  ")


def test_every_order_of_options_is_drawn() -> None:
    orders = {tuple(single().draw(Random(seed)).options) for seed in range(500)}
    assert len(orders) == 24


def test_an_answer_is_shown_in_the_learner_s_language_by_letter() -> None:
    question = multiple().draw(Random(0))
    gamma = next(letter for letter, text in question.choices().items() if text["en"] == "a third")
    assert f"{gamma}  第三项" in question.shown(["gamma", "alpha"], "zh")
    shown = [part[0] for part in question.shown(["alpha", "gamma"], "en").split("; ")]
    assert shown == sorted(shown)  # in the order of the screen, not of the keys


# Numbers


@pytest.mark.parametrize(
    "given", ["1.7", 1.7, "1.7 GB", "1.7e9 B", "1677.7216 MB", "1.5625 GiB", "1600 MiB", "1,677,721,600 B", "1.65"]
)
def test_a_number_is_right_in_any_unit_of_its_kind_and_within_the_tolerance(given: Any) -> None:
    assert numeric().is_right(numeric().read(given))


@pytest.mark.parametrize("given", ["1.6", "1.5625", "1.7 GiB", "1.7e9", "1.72", "-1.7", 0, "1.6777216 MB"])
def test_another_number_is_wrong_but_an_answer(given: Any) -> None:
    assert not numeric().is_right(numeric().read(given))


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("a lot", "'a lot' is no number such as 1.7 or 1.7 GB"),
        ("1,7", "no number"),
        ("nan", "no number"),
        (float("inf"), "no number"),
        (True, "True is no number"),
        (None, "no number"),
        (["1.7"], "no number"),
        ("1.7 ms", "'ms' is no unit for this. There are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"),
        ("1.7 gb", "'gb' is no unit for this"),
        ("1.7 KB", "kB, MB, GB, TB, KiB"),
    ],
)
def test_what_is_no_number_of_the_right_kind_says_why(given: Any, told: str) -> None:
    with pytest.raises(NotAnAnswer, match=told):
        numeric().read(given)


def test_a_unit_of_words_may_be_left_out_or_said_in_either_language() -> None:
    question = numeric(unit={"en": "tokens", "zh": "个词元"}, answer=12, tolerance={"absolute": 0})
    for typed in ("12", "12 tokens", "12 Tokens", "12 个词元", 12):
        assert question.is_right(question.read(typed))
    with pytest.raises(NotAnAnswer, match="'apples' is not understood"):
        question.read("12 apples")
    assert question.shown(12.0, "zh") == "12 个词元"


def test_without_a_unit_none_is_understood() -> None:
    with pytest.raises(NotAnAnswer, match="give the number alone"):
        numeric(unit=None).read("1.7 GB")


@pytest.mark.parametrize(
    ("tolerance", "right", "wrong"),
    [
        ({"absolute": 0}, ["100"], ["100.001", "99.999"]),
        ({"absolute": 0.5}, ["100.5", "99.5"], ["100.51"]),
        ({"relative": 0.01}, ["101", "99"], ["101.1", "98.9"]),
        ({"relative": 0.01, "absolute": 3}, ["103", "97"], ["103.1"]),
    ],
)
def test_a_tolerance_reaches_as_far_as_it_says(tolerance: Any, right: list[str], wrong: list[str]) -> None:
    question = numeric(answer=100, unit=None, tolerance=tolerance)
    assert [question.is_right(question.read(typed)) for typed in right + wrong] == [True] * len(right) + [False] * len(
        wrong
    )


def test_an_exact_number_survives_the_conversion_of_its_unit() -> None:
    question = numeric(answer=0.3, unit="ms", tolerance={"absolute": 0})
    assert all(question.is_right(question.read(typed)) for typed in ("0.3", "300 us", "0.0003 s", "300000 ns"))


def test_what_is_expected_is_said_with_unit_and_tolerance() -> None:
    assert numeric().expects()["en"] == "a number in GB, ± 2 %"
    assert numeric(unit=None, tolerance={"absolute": 0}).expects()["en"] == "a number, exactly"


# Drawn numbers


def test_values_of_a_range_are_whole_steps_and_include_its_end() -> None:
    assert parametric().parameters["b"] == (0.1, 0.2, 0.3, 0.4, 0.5)
    whole = parametric(parameters={"a": {"from": 2, "to": 9, "step": 3}, "b": [1, 2]}).parameters["a"]
    assert whole == (2, 5, 8)
    assert all(isinstance(value, int) for value in whole)


@given(seed=st.integers(0, 10**6))
def test_a_drawn_question_is_about_the_numbers_of_its_answer(seed: int) -> None:
    drawn = parametric().draw(Random(seed))
    first, second = drawn.text["en"].rstrip("?").split(" and ")
    assert drawn.answer == pytest.approx(float(first) + float(second))
    assert drawn.text["zh"] == f"{second} 和 {first}？"
    assert drawn.explanation["en"].startswith(f"{first} + {second} = ")
    assert drawn.id == "a-question"
    assert drawn.kind == "parametric"


def test_every_combination_of_values_is_drawn() -> None:
    assert len({parametric().draw(Random(seed)).text["en"] for seed in range(300)}) == 10


@pytest.mark.parametrize(
    ("value", "spec", "shown"),
    [
        (2048, "", "2048"),
        (2048.0, "", "2048"),
        (0.1 + 0.2, "", "0.3"),
        (1677721600, ":,", "1,677,721,600"),
        (2 / 3, ":.3g", "0.667"),
    ],
)
def test_numbers_are_written_as_people_write_them(value: float, spec: str, shown: str) -> None:
    question = parametric(
        parameters={"a": [value, value + 1], "b": [1, 2]}, explanation=f"{{{{{{a{spec}}}}}}} of {{answer}}"
    )
    assert question.ask({"a": value, "b": 1}).explanation["en"].startswith("{" + shown + "} of ")
