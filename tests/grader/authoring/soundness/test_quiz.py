from __future__ import annotations

from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.grader.authoring.soundness.quiz import check


def told(toy: Any) -> list[str]:
    return check(toy.technique, toy.registry)[1]


def test_a_sound_quiz_is_clean(toy: Any) -> None:
    detail = "2 questions, 1 worked out in another way for 200 draws"
    assert check(toy.technique, toy.registry) == (detail, [])


def test_a_missing_quiz_is_found(toy: Any) -> None:
    (toy.folder / "quiz.yaml").unlink()
    assert told(toy) == [f"there is no quiz: expected it at {toy.folder / 'quiz.yaml'}"]


def test_a_quiz_that_cannot_be_read_is_told_with_its_line(toy: Any) -> None:
    at = toy.spoil("quiz.yaml", "answer: rest", "answer: remainder")
    with pytest.raises(PluginProblem, match="'remainder' is not among the options") as raised:
        told(toy)
    assert str(raised.value).startswith(at)


def test_a_wrong_formula_is_found_by_the_other_way(toy: Any) -> None:
    toy.spoil("quiz.yaml", "answer: x / 2", "answer: x / 2 + max(x - 3, 0)")
    (found,) = told(toy)
    by = toy.at("quiz_answers.py", "def half_of_it")
    assert found == f"{toy.at('quiz.yaml', 'half-of-it')}: with x = 5 the answer is 4.5, and {by} says 2.5"


def test_what_floats_round_is_found_by_fractions(toy: Any) -> None:
    toy.spoil("quiz.yaml", "answer: x / 2", "answer: floor(x / 0.1)")  # 0.3 / 0.1 is 2.9999999999999996
    toy.spoil("quiz_answers.py", "x * 0.5", "x // 0.1")
    found = told(toy)
    assert any("with x = 0.3 the answer is 2, and its formula, in fractions, says 3" in told for told in found)


def test_an_answer_that_nothing_else_works_out_is_found(toy: Any) -> None:
    (toy.folder / "quiz_answers.py").unlink()
    (found,) = told(toy)
    assert found.startswith(f"{toy.at('quiz.yaml', 'half-of-it')}: its answer is computed, and nothing says that")
    assert f"def half_of_it(x) in {toy.folder / 'quiz_answers.py'}" in found


def test_functions_and_questions_go_together(toy: Any) -> None:
    toy.spoil("quiz_answers.py", "def half_of_it", "def half_of_them")
    missing, more = told(toy)
    assert missing.endswith("nothing works 'half-of-it' out in another way: add def half_of_it(x)")
    assert more.startswith(f"{toy.at('quiz_answers.py', 'half_of_them')}: half_of_them() is no computed question")


def test_another_way_that_raises_is_found(toy: Any) -> None:
    toy.spoil("quiz_answers.py", "x * 0.5", "x / 0")
    (found,) = told(toy)
    assert "raises ZeroDivisionError" in found


def test_a_section_that_the_lesson_has_not_is_found(toy: Any) -> None:
    toy.spoil("quiz.yaml", "section: {en: Traps, zh: 陷阱}", "section: {en: Snares, zh: 陷阱}")
    (found,) = told(toy)
    assert found == f"{toy.at('quiz.yaml', 'half-of-it')}: no section '## Snares' in {toy.folder / 'lesson.md'}"


def test_right_options_that_are_mostly_the_longest_are_found(toy: Any) -> None:
    path = toy.folder / "quiz.yaml"
    text = path.read_text(encoding="utf-8")
    single = text[text.index("  - id: what-is-lost") :]
    for number in range(2):
        text += single.replace("what-is-lost", f"and-again-{number}")
    path.write_text(text, encoding="utf-8")
    assert told(toy) == []
    toy.spoil("quiz.yaml", "en: The sign of it", "en: It", every=True)
    (found,) = told(toy)
    at = toy.at("quiz.yaml", "what-is-lost")
    assert found.startswith(f"{at}: in 3 of 3 questions the right option is the longest (en), here too")
