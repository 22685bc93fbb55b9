from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from groundup.core.errors import PluginProblem
from groundup.grader.authoring.soundness import quiz, quiz_answers
from groundup.grader.authoring.soundness.quiz import check
from groundup.grader.learner.quiz import read_quiz


def told(toy: Any) -> list[str]:
    return check(toy.technique, toy.registry)[1]


def at(toy: Any, question: str) -> str:
    return f"{toy.at('quiz.yaml', f'id: {question}')}: question {question!r}"


@pytest.fixture
def of_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy counts as a built-in technique."""
    for module in (quiz, quiz_answers):
        monkeypatch.setattr(module, "built_in", lambda technique: True)


NUMERIC = """  - id: a-fixed-number
    kind: numeric
    text: {en: Half of 20?, zh: 20 的一半？}
    answer: 10
    tolerance: {absolute: 0}
    explanation: {en: It is 10., zh: 等于 10。}
    section: {en: Traps, zh: 陷阱}
"""
OF_OTHER_KINDS = """  - id: all-that-apply
    kind: multiple
    text: {en: What is half of 4?, zh: 4 的一半是什么？}
    options:
      two: {en: "2", zh: "2"}
      one-and-one: {en: 1 + 1, zh: 1 + 1}
      three: {en: "3", zh: "3"}
    answer: [one-and-one, two]
    explanation: {en: It is 2., zh: 等于 2。}
    section: {en: Traps, zh: 陷阱}
  - id: in-order
    kind: ordering
    text: {en: From small to large., zh: 从小到大。}
    options:
      first: {en: half of 2, zh: 2 的一半}
      second: {en: half of 4, zh: 4 的一半}
      third: {en: half of 6, zh: 6 的一半}
    explanation: {en: 1 2 3., zh: 1 2 3。}
    section: {en: Traps, zh: 陷阱}
"""
END = """    explanation: {en: So it is., zh: 就是这样。}
    section: {en: Traps, zh: 陷阱}
"""
ESTIMATE = f"""  - id: how-many
    kind: estimate
    text: {{en: How many are there?, zh: 有多少？}}
    answer: 1.0e+6
{END}"""
LINE = f"""  - id: which-line
    kind: line
    text: {{en: Which line is wrong?, zh: 哪一行错了？}}
    code: |
      total = 0
      for x in xs:
          total = x
      print(total)
    answer: total = x
    right: total += x
{END}"""
FORMULA = f"""  - id: its-half
    kind: symbolic
    text: {{en: What is half of x squared?, zh: x 平方的一半是什么？}}
    variables: {{x: {{from: -2, to: 2}}}}
    answer: x ** 2 / 2
    wrong: [x ** 2, x / 2]
{END}"""
PRINT = f"""  - id: what-it-prints
    kind: output
    text: {{en: What does it print?, zh: 它打印什么？}}
    code: |
      import torch
      print((torch.tensor(xs) / 2).tolist(), round(xs[0] / 2, 2))
    cases:
      - {{values: {{xs: [1, 3]}}, prints: "[0.5,1.5] 0.50"}}
      - {{values: {{xs: [4]}}, prints: "[2.0] 2.0"}}
{END}"""
PAIRS = f"""  - id: what-goes-together
    kind: matching
    text: {{en: What goes together?, zh: 哪些是一对？}}
    pairs:
      one: {{left: {{en: first, zh: 一一一}}, right: {{en: halves of everything, zh: 一}}}}
      two: {{left: {{en: the second, zh: 二二}}, right: {{en: a half, zh: 二二}}}}
      three: {{left: {{en: and the third, zh: 三}}, right: {{en: some half, zh: 三三三}}}}
{END}"""


def add(toy: Any, file: str, text: str) -> None:
    path = toy.folder / file
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def repeat(toy: Any, question: str, times: int) -> None:
    """Add copies of a question, each with an id of its own, and of its function in quiz_answers.py, if it has one."""
    whole = (toy.folder / "quiz.yaml").read_text(encoding="utf-8")
    (one,) = (part for part in whole.split("  - id: ") if part.startswith(question))
    for number in range(times):
        add(toy, "quiz.yaml", "  - id: " + one.replace(question, f"{question}-{number}"))
        if question == "half-of-it":
            add(toy, "quiz_answers.py", f"half_of_it_{number} = half_of_it\n")


# The file


def test_a_sound_quiz_is_clean(toy: Any) -> None:
    detail = "2 questions, 1 worked out in another way for 200 draws"
    assert check(toy.technique, toy.registry) == (detail, [])


def test_a_missing_quiz_is_found(toy: Any) -> None:
    (toy.folder / "quiz.yaml").unlink()
    assert told(toy) == [f"there is no quiz: expected it at {toy.folder / 'quiz.yaml'}"]


def test_a_quiz_that_cannot_be_read_is_told_with_its_line(toy: Any) -> None:
    line = toy.spoil("quiz.yaml", "answer: rest", "answer: remainder")
    with pytest.raises(PluginProblem, match="'remainder' is not among the options") as raised:
        told(toy)
    assert str(raised.value).startswith(line)


def test_a_section_that_the_lesson_has_not_is_found(toy: Any) -> None:
    toy.spoil("quiz.yaml", "section: {en: Traps, zh: 陷阱}", "section: {en: Snares, zh: 陷阱}")
    (found,) = told(toy)
    lesson = toy.folder / "lesson.md"
    assert found == f"{at(toy, 'half-of-it')}: no section '## Snares' in {lesson}: name one of its headings"


def test_a_problem_names_the_line_of_its_question_and_not_of_a_longer_name(toy: Any) -> None:
    toy.spoil("quiz.yaml", "- id: half-of-it", "- id: half-of-it-all")
    toy.spoil("quiz.yaml", "- id: what-is-lost", "- id: half-of-it")
    toy.spoil("quiz.yaml", "The rest", "The rest of it", every=True)
    toy.spoil("quiz_answers.py", "def half_of_it", "def half_of_it_all")
    path = toy.folder / "quiz.yaml"
    text = path.read_text(encoding="utf-8")
    head, tail = text.rsplit("{en: Traps", 1)
    path.write_text(head + "{en: Snares" + tail, encoding="utf-8")
    (found,) = told(toy)
    line = text.splitlines().index("  - id: half-of-it") + 1
    assert found.startswith(f"{path}:{line}: question 'half-of-it': no section")


# What a built-in quiz has to have


@pytest.mark.usefixtures("of_the_house")
def test_a_built_in_quiz_that_has_all_it_needs_is_clean(toy: Any) -> None:
    add(toy, "quiz.yaml", OF_OTHER_KINDS + PAIRS + LINE)
    repeat(toy, "half-of-it", 3)
    repeat(toy, "all-that-apply", 1)
    assert told(toy) == []


@pytest.mark.usefixtures("of_the_house")
def test_a_built_in_quiz_with_few_questions_is_found(toy: Any) -> None:
    add(toy, "quiz.yaml", PAIRS + LINE)
    repeat(toy, "half-of-it", 1)
    assert told(toy) == [f"{toy.folder / 'quiz.yaml'}:1: there are 5 questions: write 5 more"]


@pytest.mark.usefixtures("of_the_house")
def test_a_built_in_quiz_with_one_of_the_newer_kinds_is_found(toy: Any) -> None:
    add(toy, "quiz.yaml", OF_OTHER_KINDS + LINE)
    repeat(toy, "half-of-it", 6)
    assert told(toy) == [
        f"{toy.folder / 'quiz.yaml'}:1: 1 of the newer kinds symbolic, output, line, matching, estimate are in it: "
        "write questions of 2 or more of them"
    ]


@pytest.mark.usefixtures("of_the_house")
def test_a_built_in_quiz_with_few_numbers_that_are_drawn_is_found(toy: Any) -> None:
    add(toy, "quiz.yaml", OF_OTHER_KINDS + PAIRS + LINE)
    repeat(toy, "half-of-it", 2)
    repeat(toy, "all-that-apply", 2)
    path = toy.folder / "quiz.yaml"
    assert told(toy) == [f"{path}:1: 3 of 10 questions are parametric: draw the numbers of more, up to a third"]


# The second way to an answer


def test_a_wrong_formula_is_found_by_the_other_way(toy: Any) -> None:
    toy.spoil("quiz.yaml", "answer: x / 2", "answer: x / 2 + max(x - 12, 0)")
    (found,) = told(toy)
    by = toy.at("quiz_answers.py", "def half_of_it")
    assert found == (f"{at(toy, 'half-of-it')}: with x = 16 the answer is 12, and {by} says 8: one of the two is wrong")


def test_what_floats_round_is_found_by_fractions(toy: Any) -> None:
    toy.spoil("quiz.yaml", "answer: x / 2", "answer: floor(x / 0.1)")  # 0.3 / 0.1 is 2.9999999999999996
    toy.spoil("quiz_answers.py", "x * 0.5", "x // 0.1")
    found = told(toy)
    assert any("with x = 0.3 the answer is 2, and its formula, in fractions, says 3" in problem for problem in found)


@pytest.mark.parametrize("house", [False, True])
def test_an_answer_that_nothing_else_works_out_is_found(toy: Any, house: bool, request: pytest.FixtureRequest) -> None:
    if house:
        request.getfixturevalue("of_the_house")
    (toy.folder / "quiz_answers.py").unlink()
    (found,) = (problem for problem in told(toy) if "nothing says" in problem)
    assert found == (
        f"{at(toy, 'half-of-it')}: nothing says that its formula is right: work the answer out in another way, "
        f"def half_of_it(x) in {toy.folder / 'quiz_answers.py'}"
    )


def test_a_function_with_the_name_of_no_question_is_found(toy: Any) -> None:
    add(toy, "quiz_answers.py", "\n\ndef half_of_them(x):\n    return x\n")
    (found,) = told(toy)
    assert found.startswith(f"{toy.at('quiz_answers.py', 'half_of_them')}: half_of_them() belongs to no question of")
    assert "called as its question's id, with _ for -" in found


def test_another_way_that_raises_is_found(toy: Any) -> None:
    toy.spoil("quiz_answers.py", "x * 0.5", "x / 0")
    (found,) = told(toy)
    assert "raises ZeroDivisionError" in found


def test_a_fixed_number_needs_no_second_way_but_may_have_one(toy: Any) -> None:
    add(toy, "quiz.yaml", NUMERIC)
    assert told(toy) == []
    add(toy, "quiz_answers.py", "\n\ndef a_fixed_number():\n    return 20 / 2\n")
    detail = "3 questions, 2 worked out in another way for 200 draws"
    assert check(toy.technique, toy.registry) == (detail, [])


@pytest.mark.usefixtures("of_the_house")
def test_a_fixed_number_of_a_built_in_quiz_without_a_second_way_is_found(toy: Any) -> None:
    add(toy, "quiz.yaml", NUMERIC)
    (found,) = (problem for problem in told(toy) if "nothing says" in problem)
    assert found == (
        f"{at(toy, 'a-fixed-number')}: nothing says that its number is right: work the answer out in another way, "
        f"def a_fixed_number() in {toy.folder / 'quiz_answers.py'}"
    )


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("return 11", "the answer is 10.0, and {by} says 11: one of the two is wrong"),
        ("return 1 / 0", "{by} raises ZeroDivisionError: division by zero"),
        ("return None", "{by} returns what is no answer here: "),
    ],
)
def test_a_wrong_fixed_number_is_found_by_the_second_way(toy: Any, body: str, problem: str) -> None:
    add(toy, "quiz.yaml", NUMERIC)
    add(toy, "quiz_answers.py", f"\n\ndef a_fixed_number():\n    {body}\n")
    (found,) = told(toy)
    by = toy.at("quiz_answers.py", "def a_fixed_number")
    assert found.startswith(f"{at(toy, 'a-fixed-number')}: {problem.format(by=by)}")


def test_a_rounded_number_agrees_within_the_tolerance_of_its_question(toy: Any) -> None:
    add(toy, "quiz.yaml", NUMERIC.replace("absolute: 0", "absolute: 0.1"))
    add(toy, "quiz_answers.py", "\n\ndef a_fixed_number():\n    return 10.05\n")
    assert told(toy) == []


@pytest.mark.parametrize(
    ("function", "right", "wrong"),
    [
        ("what_is_lost", '"rest"', '"sign"'),
        ("all_that_apply", '["two", "one-and-one"]', '["two"]'),
        ("in_order", '["first", "second", "third"]', '["second", "first", "third"]'),
    ],
)
def test_a_wrong_option_is_found_by_a_second_way(toy: Any, function: str, right: str, wrong: str) -> None:
    add(toy, "quiz.yaml", OF_OTHER_KINDS)
    add(toy, "quiz_answers.py", f"\n\ndef {function}():\n    return {right}\n")
    assert told(toy) == []
    toy.spoil("quiz_answers.py", f"return {right}", f"return {wrong}")
    (found,) = told(toy)
    assert "one of the two is wrong" in found


# Wrong formulas


def test_a_parametric_question_with_one_wrong_formula_is_found(toy: Any) -> None:
    toy.spoil("quiz.yaml", "wrong: [x / 4, x - 1]", "wrong: [x / 4]")
    assert told(toy) == [
        f"{at(toy, 'half-of-it')}: it lists 1 wrong formulas: list 2 or more that learners use by mistake, "
        "wrong: [formula, formula]"
    ]


def test_a_wrong_formula_that_is_there_twice_in_other_words_is_found(toy: Any) -> None:
    toy.spoil("quiz.yaml", "wrong: [x / 4, x - 1]", "wrong: [x / 4, 0.25 * x]")
    assert told(toy) == [
        f"{at(toy, 'half-of-it')}: the wrong formulas 'x / 4' and '0.25 * x' always give the same: replace one of them"
    ]


def test_a_wrong_formula_that_is_mostly_accepted_is_found(toy: Any) -> None:
    line = toy.spoil("quiz.yaml", "wrong: [x / 4, x - 1]", "wrong: [x / 4, x * 0.501]")
    with pytest.raises(PluginProblem, match=r"'x \* 0\.501' is accepted in 9 of 9 draws") as raised:
        told(toy)
    assert str(raised.value).startswith(line)


# Numbers


def test_an_answer_that_needs_more_than_three_figures_is_found(toy: Any) -> None:
    toy.spoil("quiz.yaml", "tolerance: {relative: 0.01}", "tolerance: {absolute: 0}")
    toy.spoil("quiz.yaml", "x: [1, 2, 3, 5, 0.3, 7, 9, 12, 16]", "x: [1, 2, 3, 5, 0.3, 7, 9, 12, 20.22]")
    (found,) = told(toy)
    assert found == (
        f"{at(toy, 'half-of-it')}: the answer is 10.11 with x = 20.22, and '10.1' is not accepted: widen the "
        "tolerance, so that three figures are enough"
    )


@pytest.mark.parametrize(
    ("tolerance", "what"), [("relative: 0.5", "half the answer"), ("absolute: 2", "the opposite of the answer")]
)
def test_a_tolerance_as_large_as_the_answer_is_found(toy: Any, tolerance: str, what: str) -> None:
    toy.spoil("quiz.yaml", "wrong: [x / 4, x - 1]", "wrong: [x * 4, x * 5]")
    toy.spoil("quiz.yaml", "relative: 0.01", tolerance)
    assert any(
        problem.startswith(f"{at(toy, 'half-of-it')}: {what} is accepted in ") and "narrow the tolerance" in problem
        for problem in told(toy)
    )


def test_a_fixed_number_whose_double_is_accepted_is_found(toy: Any) -> None:
    add(toy, "quiz.yaml", NUMERIC.replace("absolute: 0", "absolute: 10"))
    problems = told(toy)
    assert f"{at(toy, 'a-fixed-number')}: twice the answer is accepted: narrow the tolerance" in "\n".join(problems)


@pytest.mark.parametrize(
    ("unit", "other", "tolerance", "caught"),
    [
        ("GB", "GiB", 0.07, True),
        ("GB", "GiB", 0.06, False),
        ("MB", "MiB", 0.05, True),
        ("MB", "MiB", 0.04, False),
        ("KiB", "kB", 0.03, True),
        ("KiB", "kB", 0.02, False),
        ("GB/s", "GiB", 0.07, False),
    ],
)
def test_a_number_of_gib_that_is_accepted_for_gb_is_found(
    toy: Any, unit: str, other: str, tolerance: float, caught: bool
) -> None:
    toy.spoil("quiz.yaml", "relative: 0.01}", f"relative: {tolerance}}}\n    unit: {unit}")
    found = told(toy)
    assert len(found) == caught
    assert all(f"its number of {other}, " in problem and "narrow the tolerance" in problem for problem in found)


def test_a_question_with_few_answers_is_found(toy: Any) -> None:
    toy.spoil("quiz.yaml", "x: [1, 2, 3, 5, 0.3, 7, 9, 12, 16]", "x: [1, 2, 3, 5, 0.3, 7, 9]")
    assert told(toy) == [
        f"{at(toy, 'half-of-it')}: over 200 draws it has 6 different answers: give its parameters more values, so that "
        "there are 8 or more"
    ]


def test_a_text_that_tells_the_answer_is_found(toy: Any) -> None:
    toy.spoil("quiz.yaml", "x: [1, 2, 3, 5, 0.3, 7, 9, 12, 16]", "x: [6, 12, 4, 20, 1, 5, 7, 10, 16]")
    assert told(toy) == []
    toy.spoil(
        "quiz.yaml", 'zh: "{x} 的一半？"', 'zh: "{x} 的一半？（例：12 的一半是 6，10 的一半是 5，16 的一半是 8）"'
    )
    (found,) = told(toy)
    assert found.startswith(f"{at(toy, 'half-of-it')}: its text (zh) contains the answer, ")
    assert found.endswith(": ask for another number, or choose other ones")


# Options


def lengthened(toy: Any, change: Callable[[], object]) -> str:
    """Return the only problem after a change of the options of four questions, all with the right option ``rest``."""
    toy.spoil(
        "quiz.yaml",
        "sign: {en: The sign of it, zh: 它的符号}",
        "sign: {en: A sign, zh: 正号}\n      size: {en: Its whole size, zh: 全部大小}",
    )
    toy.spoil("quiz.yaml", "rest: {en: The rest, zh: 余数}", "rest: {en: The remainder, zh: 那个余数}")
    repeat(toy, "what-is-lost", 3)
    toy.spoil("quiz.yaml", "zh: 那个余数", "zh: 余下的", every=True)
    assert told(toy) == []
    change()
    (found,) = told(toy)
    return found


def test_right_options_that_are_mostly_the_longest_are_found(toy: Any) -> None:
    found = lengthened(toy, lambda: toy.spoil("quiz.yaml", "Its whole size", "Its size", every=True))
    assert found == (
        f"{at(toy, 'what-is-lost')}: whoever takes the longest option (en) is right in 4 of 4 questions, and by chance "
        "in 1.33; no more than one question above that is accepted: shorten the right ones, or say more in wrong ones "
        "(what-is-lost, what-is-lost-0, what-is-lost-1, what-is-lost-2)"
    )


def test_right_options_that_are_mostly_the_shortest_are_found(toy: Any) -> None:
    found = lengthened(toy, lambda: toy.spoil("quiz.yaml", "zh: 正号", "zh: 它的那个正号", every=True))
    assert found.startswith(f"{at(toy, 'what-is-lost')}: whoever takes the shortest option (zh) is right in 4 of 4")
    assert "say more in the right ones, or shorten wrong ones" in found


def test_options_of_one_length_give_nothing_away(toy: Any) -> None:
    toy.spoil("quiz.yaml", "The rest", "The parts", every=True)
    toy.spoil("quiz.yaml", "The sign of it", "The signs", every=True)
    toy.spoil("quiz.yaml", "zh: 它的符号", "zh: 符号", every=True)
    repeat(toy, "what-is-lost", 9)
    assert told(toy) == []


# The newer kinds


def test_sound_questions_of_the_newer_kinds_are_clean(toy: Any) -> None:
    add(toy, "quiz.yaml", FORMULA + PRINT + LINE + PAIRS + ESTIMATE)
    add(toy, "quiz_answers.py", "def its_half(x):\n    return sum([x * x / 4] * 2)\n")
    detail = "7 questions, 2 worked out in another way for 200 draws, 1 run"
    assert check(toy.technique, toy.registry) == (detail, [])


@pytest.mark.usefixtures("of_the_house")
@pytest.mark.parametrize(("question", "text"), [("its-half", FORMULA), ("how-many", ESTIMATE)])
def test_a_built_in_formula_or_estimate_without_a_second_way_is_found(toy: Any, question: str, text: str) -> None:
    add(toy, "quiz.yaml", text)
    assert any(problem.startswith(f"{at(toy, question)}: nothing says that its") for problem in told(toy))


NOT_AS_IT_SHOULD = "does not end as it should: "
DECOYS = "    decoys: {xx: {en: no, zh: 四}, yy: {en: a, zh: 五五}}\n    explanation"


@pytest.mark.parametrize(
    ("text", "spoilt", "question", "says"),
    [
        (FORMULA, ("wrong: [x ** 2, x / 2]", "wrong: [x ** 2]"), "its-half", "it lists 1 wrong formulas"),
        (FORMULA, ("x / 2]", "x * x]"), "its-half", "the wrong formulas 'x ** 2' and 'x * x' are the same"),
        (FORMULA, ("half of x squared?", "x ** 2 / 2?"), "its-half", "its text (en) contains the answer"),
        (FORMULA, ("x / 2]", "'max(x ** 2 / 2, 2.01 * x - 2.01)']"), "its-half", "differs from the right one at"),
        (
            PRINT,
            ("[0.5,1.5] 0.50", "?"),
            "what-it-prints",
            "xs = [1, 3] prints '[0.5, 1.5] 0.5', and the file says '?'",
        ),
        (PRINT, ("import torch", "import torch, nowhere"), "what-it-prints", NOT_AS_IT_SHOULD),
        (PRINT, ("import torch", "import torch\n      while xs: pass"), "what-it-prints", NOT_AS_IT_SHOULD),
        (PRINT, ("round(xs[0] / 2, 2)", "__import__('time').time()"), "what-it-prints", "and the next time"),
        (PAIRS, ("halves of everything", "half"), "what-goes-together", "by their lengths (en)"),
        (PAIRS, ("    explanation", DECOYS), "what-goes-together", "every decoy is shorter (en)"),
        (ESTIMATE, ("How many are there?", "Are there 1000000?"), "how-many", "its text (en) contains the answer"),
        (OF_OTHER_KINDS, ("and-one, two]", "and-one, two, three]"), "all-that-apply", "all its options are right"),
    ],
)
def test_a_planted_flaw_is_found(toy: Any, text: str, spoilt: tuple[str, str], question: str, says: str) -> None:
    assert spoilt[0] in text
    add(toy, "quiz.yaml", text.replace(*spoilt))
    found = told(toy)
    assert any(problem.startswith(f"{at(toy, question)}: ") and says in problem for problem in found), found


def test_a_wrong_formula_that_is_right_in_another_form_cannot_be_read(toy: Any) -> None:
    add(toy, "quiz.yaml", FORMULA.replace("x / 2]", "0.5 * x * x]"))
    with pytest.raises(PluginProblem, match=r"'0.5 \* x \* x' is the right formula in another form"):
        told(toy)


def test_a_formula_or_an_estimate_that_its_second_way_contradicts_is_found(toy: Any) -> None:
    add(toy, "quiz.yaml", FORMULA + ESTIMATE)
    add(toy, "quiz_answers.py", "def its_half(x):\n    return x\n\n\ndef how_many():\n    return 1.2e6\n")
    first, second = told(toy)
    assert re.search(r"question 'its-half': with x = \S+ the answer is \S+, and .* says", first)
    assert "question 'how-many': the answer is 1000000.0, and" in second


def test_numbers_of_the_examples_are_filled_in_and_belong_to_the_digest(toy: Any) -> None:
    path, examples = toy.folder / "quiz.yaml", toy.folder / "examples.toml"
    before = read_quiz(toy.technique, quiz.kinds(toy.registry))
    examples.write_text('[[example]]\nid = "some"\nrun = "y = 1"\ngives = { y = [0.25, 4] }\n', "utf-8")
    add(toy, "quiz.yaml", NUMERIC.replace("Half of 20?", '"Half of {{some.y[1]}}, {{{{x}}}}, {{some.y[0]:.3f}}?"'))
    filled = read_quiz(toy.technique, quiz.kinds(toy.registry))
    assert filled.questions[-1].text["en"] == "Half of 4, {{{{x}}}}, 0.250?"
    assert filled.sha256 != before.sha256
    examples.write_text(examples.read_text("utf-8").replace("4]", "6]"), "utf-8")
    again = read_quiz(toy.technique, quiz.kinds(toy.registry))
    assert again.questions[-1].text["en"] == "Half of 6, {{{{x}}}}, 0.250?"
    assert again.sha256 != filled.sha256
    path.write_text(path.read_text("utf-8").replace("some.y[1]", "some.z"), "utf-8")
    with pytest.raises(PluginProblem, match="some has no 'z'"):
        told(toy)
