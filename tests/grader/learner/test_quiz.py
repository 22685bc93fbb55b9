from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from typing_extensions import override

from groundup.core.errors import PluginProblem, UsageProblem
from groundup.core.hookspecs import hookimpl
from groundup.core.quiz.question import Answer, Asked, NotAnAnswer
from groundup.core.registry import Registry
from groundup.grader.learner.quiz import Quiz, Sitting, answer_sheet, question_kinds, read_answers, read_quiz_file
from groundup.grader.learner.state import State
from groundup.plugins import question_kinds as built_in

KINDS = built_in.question_types()

QUIZ = """\
questions:
  - id: colour
    kind: single
    text: {en: Which colour?, zh: 哪种颜色？}
    options: {red: red, green: green, blue: blue}
    answer: green
    explanation: Leaves are.
    section: {en: Leaves, zh: 叶子}

  - id: double
    kind: parametric
    text: Twice {number}?
    parameters: {number: {from: 10, to: 90, step: 1}}
    answer: 2 * number
    tolerance: {absolute: 0}
    explanation: It is {answer}.
    section: {en: Numbers, zh: 数}

  - id: size
    kind: numeric
    text: How large?
    answer: 2
    unit: kB
    tolerance: {relative: 0.01}
    explanation: It is.
    source: {title: A paper, url: "https://example.org", where: page 2}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "toy.yaml"
    file.write_text(QUIZ, encoding="utf-8")
    return file


@pytest.fixture
def quiz(file: Path) -> Quiz:
    return read_quiz_file(file, "toys/toy", KINDS)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "learn.db") as state:
        yield state


def broken(file: Path, change: Callable[[str], str]) -> list[str]:
    """Return the error message for a changed quiz file, as lines, without the file's folder."""
    file.write_text(change(QUIZ), encoding="utf-8")
    with pytest.raises(PluginProblem) as problem:
        read_quiz_file(file, "toys/toy", KINDS)
    return [line.removeprefix(str(file.parent) + "/") for line in str(problem.value).splitlines()]


# Quiz files


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("answer: green", "answer: grey", "toy.yaml:6: questions[1].answer: 'grey' is not among the options"),
        ("answer: green", "", "toy.yaml:2: questions[1].answer: is missing"),
        ("answer: green", "anwser: green", "toy.yaml:2: questions[1].answer: is missing"),
        ("en: Which colour?, ", "", "toy.yaml:4: questions[1].text: a text needs its English"),
        ("blue: blue", "blue: Red", "toy.yaml:5: questions[1].options.blue: reads the same as 'red'"),
        ("Twice {number}?", "Twice {nubmer}?", "toy.yaml:12: questions[2].text.en: 'nubmer' is no parameter; did you"),
        ("Twice {number}?", "Twice?", "toy.yaml:12: questions[2].text.en: never says {number}"),
        ("2 * number", "2 * 3", "toy.yaml:13: questions[2].parameters.number: 'number' is unused"),
        ("step: 1", "stop: 1", "toy.yaml:13: questions[2].parameters.number: a range is"),
        ("tolerance: {absolute: 0}", "", "toy.yaml:10: questions[2].tolerance: is missing"),
        ("unit: kB", "unit: kb", "toy.yaml:23: questions[3].unit: no unit 'kb'; did you mean 'kB'?"),
        ("id: size", "id: colour", "toy.yaml:19: questions[3].id: 'colour' is on line 2, too; choose another"),
        ("id: size", "id: seed", "toy.yaml:19: questions[3].id: 'seed' means the seed to an answers file"),
        ("kind: numeric", "kind: numerical", "toy.yaml:20: questions[3].kind: no kind 'numerical'; did you mean 'num"),
        ("kind: numeric", "", "toy.yaml:19: questions[3].kind: no kind 'None'; there are single, multiple"),
        ("url:", "link:", "toy.yaml:26: questions[3].source.url: is missing"),
        ('"https://example.org"', "example.org", "toy.yaml:26: questions[3].source.url: String should match pattern"),
        ("answer: 2\n", "answer: two\n", "toy.yaml:22: questions[3].answer: Input should be a valid number"),
        ("section: {en: Leaves, zh: 叶子}", "", "toy.yaml:2: questions[1]: a question needs a source"),
        ("answer: 2\n", "answer: 2\n    answer: 3\n", "toy.yaml:23: 'answer' is given twice"),
        ("text: How large?", "text: How large: very?", "toy.yaml:21: not YAML"),
        ("questions:", "question:", "toy.yaml:1: a quiz file holds 'questions:'"),
    ],
)
def test_a_slip_is_told_with_file_line_and_field(file: Path, old: str, new: str, told: str) -> None:
    assert old in QUIZ
    assert any(line.startswith(told) for line in broken(file, lambda text: text.replace(old, new, 1)))


def test_all_that_is_wrong_is_told_at_once_in_the_order_of_lines(file: Path) -> None:
    told = broken(
        file, lambda text: text.replace("kB", "kb").replace("green\n", "grey\n").replace("kind: p", "kind: q")
    )
    assert [line.split(": ")[:2] for line in told] == [
        ["toy.yaml:6", "questions[1].answer"],
        ["toy.yaml:11", "questions[2].kind"],
        ["toy.yaml:23", "questions[3].unit"],
    ]


def test_a_field_that_there_is_not_is_told_with_the_one_that_was_meant(file: Path) -> None:
    told = broken(file, lambda text: text.replace("answer: green", "answer: green\n    optoins: {}"))
    assert told == ["toy.yaml:7: questions[1].optoins: there is no such field; did you mean 'options'?"]


@pytest.mark.parametrize("text", ["", "questions:\n", "questions: []\n", "- 1\n", "questions: [1]\n"])
def test_an_empty_quiz_is_none(file: Path, text: str) -> None:
    assert broken(file, lambda _: text)


def test_a_file_that_is_not_there_or_not_utf_8_is_told(tmp_path: Path) -> None:
    with pytest.raises(PluginProblem, match=r"toys/toy has no quiz that can be read at .*nowhere"):
        read_quiz_file(tmp_path / "nowhere.yaml", "toys/toy", KINDS)
    (tmp_path / "latin.yaml").write_bytes(b"questions:\n  - id: \xe9t\xe9\n")
    with pytest.raises(PluginProblem, match=r"latin\.yaml:2: not UTF-8"):
        read_quiz_file(tmp_path / "latin.yaml", "toys/toy", KINDS)


# Question kinds of plugins


class Truth(Asked):
    """A toy kind of question: a statement that is true or false."""

    true: bool

    @override
    def expects(self) -> dict[str, str]:
        return {"en": "y or n"}

    @override
    def read(self, given: Any) -> Answer:
        if given not in ("y", "n"):
            raise NotAnAnswer(f"{given!r} is neither y nor n.", "请回答 y 或 n。")
        return str(given)

    @override
    def is_right(self, answer: Answer) -> bool:
        return (answer == "y") == self.true

    @override
    def right_answer(self) -> Answer:
        return "y" if self.true else "n"

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        return {"y": "true", "n": "false"}[str(answer)]


def plugin(**kinds: Any) -> Any:
    @hookimpl
    def question_types() -> dict[str, Any]:
        return kinds

    return SimpleNamespace(question_types=question_types)


def registry(**plugins: Any) -> Registry:
    return Registry([(name, lambda each=each: each) for name, each in plugins.items()])


def test_a_plugin_s_kind_is_asked_like_any_other(tmp_path: Path) -> None:
    kinds, problems = question_kinds(registry(built_in=built_in, toy=plugin(truth=Truth)))
    assert problems == []
    file = tmp_path / "quiz.yaml"
    file.write_text(
        "questions:\n  - {id: sky, kind: truth, text: It is green., true: false, explanation: Look., section: Sky}\n"
    )
    sitting = Sitting.begin(read_quiz_file(file, "toys/toy", kinds), None, None)
    ((_, question),) = sitting.open_questions
    with pytest.raises(NotAnAnswer, match="neither y nor n"):
        question.read("maybe")
    assert sitting.answer(question, question.read("n"))
    review = sitting.review("en")
    assert (review.right, review.questions[0].right_answer, review.questions[0].kind) == (1, "false", "truth")


def test_a_plugin_s_broken_kind_is_told_and_spares_the_others() -> None:
    class Explodes:
        @hookimpl
        def question_types(self) -> dict[str, Any]:
            raise RuntimeError("out of order")

    kinds, problems = question_kinds(
        registry(
            built_in=built_in, good=plugin(truth=Truth), same=plugin(single=Truth), odd=plugin(odd=dict), bad=Explodes()
        )
    )
    assert set(kinds) == {*KINDS, "truth"}
    assert kinds["single"] is KINDS["single"]
    told = sorted(str(problem) for problem in problems)
    assert [text.split(": ")[0] for text in told] == [
        f"Plugin '{name}' failed in question_types()" for name in ("bad", "odd", "same")
    ]
    assert "there is a kind 'single' already" in told[2]
    assert "out of order" in told[0]
    assert "does not derive from Question" in told[1]
    assert "there is a kind 'single' already" in told[2]


# Draws


def test_the_same_seed_draws_the_same_and_another_seed_does_not(quiz: Quiz) -> None:
    def drawn(seed: int) -> list[Any]:
        return [(q.text, list(q.choices().values()), q.right_answer()) for q in quiz.drawn(seed)]

    assert drawn(7) == drawn(7)
    assert len({json.dumps(drawn(seed)) for seed in range(40)}) > 30


def test_a_question_is_drawn_alike_whatever_stands_before_it(quiz: Quiz) -> None:
    shorter = Quiz(quiz.technique, quiz.questions[1:], "")
    assert [q.text for q in shorter.drawn(3)] == [q.text for q in quiz.drawn(3)[1:]]


def test_two_questions_are_not_shuffled_alike(quiz: Quiz) -> None:
    twin = quiz.questions[0].model_copy(update={"id": "hue"})
    pairs = [Quiz(quiz.technique, (quiz.questions[0], twin), "").drawn(seed) for seed in range(60)]
    alike = sum(list(one.choices().values()) == list(other.choices().values()) for one, other in pairs)
    assert 1 <= alike <= 25  # one in six: there are six orders


# Sittings


def answers_of(quiz: Quiz, seed: int) -> dict[str, Answer]:
    return {q.id: q.right_answer() for q in quiz.drawn(seed)}


def test_an_answer_is_kept_before_it_is_judged_and_the_sitting_resumes(quiz: Quiz, state: State) -> None:
    sitting = Sitting.begin(quiz, 5, state)
    first = sitting.open_questions[0][1]
    assert sitting.answer(first, "green")
    (record,) = state.quizzes(quiz.technique)
    assert (record.status, record.seed, [(a.question, a.answer, a.right) for a in record.answers]) == (
        "open",
        5,
        [("colour", "green", True)],
    )
    again = Sitting.resume(quiz, record, state)
    assert [(n, q.id) for n, q in again.open_questions] == [(2, "double"), (3, "size")]
    assert [q.text for _, q in again.open_questions] == [q.text for q in quiz.drawn(5)[1:]]
    for _, question in again.open_questions:
        again.answer(question, 1.0)
    again.finish()
    (record,) = state.quizzes(quiz.technique)
    assert (record.status, record.right, record.questions, len(record.answers)) == ("finished", 1, 3, 3)


def test_a_review_tells_what_is_right_of_answered_questions_only_until_the_end(quiz: Quiz) -> None:
    sitting = Sitting.begin(quiz, 5, None)
    sitting.answer(sitting.open_questions[0][1], "red")
    review = sitting.review("en")
    assert (review.recorded, review.finished, review.answered, review.right, review.total) == (False, False, 1, 0, 3)
    colour, double, _ = review.questions
    assert colour.right_answer is not None
    assert colour.right_answer.endswith("green")
    assert (double.right_answer, double.explanation, double.answered) == (None, None, None)
    sitting.finish()
    review = sitting.review("zh")
    assert review.questions[1].right_answer is not None
    assert review.study == ("叶子", "数")
    assert [q.right for q in review.questions] == [False] * 3


def test_a_review_sends_back_to_the_sections_of_what_was_wrong(quiz: Quiz) -> None:
    right = answers_of(quiz, 5)
    assert Sitting.hand_in(quiz, 5, right, None).review("en").study == ()
    assert Sitting.hand_in(quiz, 5, right | {"double": 1.0}, None).review("en").study == ("Numbers",)


def test_answers_at_once_are_recorded_as_one_finished_sitting(quiz: Quiz, state: State) -> None:
    half = Sitting.begin(quiz, 1, state)
    handed_in = Sitting.hand_in(quiz, 5, {"colour": "green", "size": 3.0}, state)
    assert handed_in.review("en").recorded
    newest, oldest = state.quizzes(quiz.technique)
    assert (newest.status, newest.seed, newest.right, newest.questions) == ("finished", 5, 1, 3)
    assert [(a.question, a.right) for a in newest.answers] == [("colour", True), ("size", False)]
    assert (oldest.number, oldest.status) == (half.number, "open")


# Answers from a file


def told_of(quiz: Quiz, text: str, seed: int | None = 5) -> list[str]:
    with pytest.raises(UsageProblem) as problem:
        read_answers("a.yaml", text.encode(), quiz, seed)
    return str(problem.value).splitlines()


def test_answers_are_read_from_yaml_and_from_json(quiz: Quiz) -> None:
    expected = (5, {"colour": "green", "double": 44.0, "size": 2.0})
    assert read_answers("f", b"# mine\ncolour: green\ndouble: 44\nsize: 2000 B\n", quiz, 5) == expected
    assert (
        read_answers("f", b'{"seed": 5,\n\t"colour": "green", "double": 44, "size": "2.0kB"}', quiz, None) == expected
    )


def test_a_letter_in_a_file_means_the_option_of_that_seed(quiz: Quiz) -> None:
    for seed in range(8):
        letter = next(k for k, text in quiz.drawn(seed)[0].choices().items() if text["en"] == "green")
        assert read_answers("f", f"colour: {letter}".encode(), quiz, seed) == (seed, {"colour": "green"})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour: green\ndouble: many\n", "a.yaml:2: double: 'many' is no number"),
        ("colour: green\n\ncolor: red\n", "a.yaml:3: color: no such question; did you mean 'colour'?"),
        ("colour: [A, B]\n", "a.yaml:1: colour: Only one of them is right"),
        ("colour: {a: 1}\n", "a.yaml:1: colour: {'a': 1} is no letter"),
        ("colour: red\ncolour: green\n", "a.yaml:2: 'colour' is given twice"),
        ("size: 2 apples\n", "a.yaml:1: size: 'apples' is no unit for this"),
        ("size: true\n", "a.yaml:1: size: True is no number"),
        ("seed: 6\n", "a.yaml:1: seed: these answers are to the questions of seed 6, not 5"),
        ("seed: x\n", "a.yaml:1: seed: 'x' is no whole number"),
        ("- green\n", "a.yaml:1: expected one line for each question"),
        ("", "a.yaml:1: expected one line for each question"),
        ("colour: 'green\n", "a.yaml:2: not YAML"),
    ],
)
def test_what_is_no_answer_is_told_with_file_line_and_question(quiz: Quiz, text: str, told: str) -> None:
    assert any(line.startswith(told) for line in told_of(quiz, text))


def test_all_that_is_no_answer_is_told_at_once(quiz: Quiz) -> None:
    assert len(told_of(quiz, "colour: 5\ndouble: x\nsize: y\nmore: 1\n")) == 4


def test_what_depends_on_the_draw_needs_its_seed(quiz: Quiz) -> None:
    assert read_answers("f", b"colour: green\nsize: 2\n", quiz, None) == (0, {"colour": "green", "size": 2.0})
    told = told_of(quiz, "colour: A\ndouble: 44\nsize: 2\n", None)
    assert [line.split(": ")[1] for line in told] == ["colour", "double"]
    assert "needs the seed" in told[0]


def test_a_file_too_large_to_be_answers_is_not_read(quiz: Quiz) -> None:
    with pytest.raises(UsageProblem, match="larger than"):
        read_answers("f", b" " * 2_000_000, quiz, 5)


def test_a_sheet_filled_in_is_a_file_of_answers(quiz: Quiz) -> None:
    sheet = answer_sheet(quiz, 9, "en")
    assert read_answers("f", sheet.encode(), quiz, None) == (9, {})
    right = {"colour:": "colour: green", "double:": f"double: {quiz.drawn(9)[1].right_answer()}", "size:": "size: 2 kB"}
    filled = "\n".join(right.get(line, line) for line in sheet.splitlines())
    seed, answers = read_answers("f", filled.encode(), quiz, None)
    review = Sitting.hand_in(quiz, seed, answers, None).review("en")
    assert (review.right, review.total, review.seed) == (3, 3, 9)


def test_the_sheet_asks_what_the_seed_draws(quiz: Quiz, chinese: Callable[[str], str]) -> None:
    lines = answer_sheet(quiz, 9, "zh", chinese).splitlines()
    assert lines[0] == "# toys/toy: 请在每个冒号后写上答案。种子就是抽出这些题目的那个。"
    letters = [line.split()[1:] for line in lines if line.startswith("#    ") and line[5:6] in "ABC"]
    assert letters == [[k, text["en"]] for k, text in quiz.drawn(9)[0].choices().items()]
    assert f"# 2. {quiz.drawn(9)[1].text['en']}" in lines
    assert "# 1. 哪种颜色？" in lines


def test_random_draws_do_not_touch_the_global_generator(quiz: Quiz) -> None:
    import random

    random.seed(1)
    before = random.getstate()
    quiz.drawn(3)
    quiz.questions[1].draw(Random(1))
    assert random.getstate() == before
