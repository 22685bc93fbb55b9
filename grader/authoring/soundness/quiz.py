"""Rule: the quiz can be read, its numbers are right, and the form of its options does not reveal the answer.

A computed answer is recomputed in two ways, for many draws. Exact fractions in the file's own formula detect rounding
errors. The function with the question's name in ``quiz_answers.py``, the author's independent way to the answer,
detects a wrong formula. ``quiz_answers.py`` is in the folder of the properties; if it exists, every computed question
needs a function in it.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from groundup.core.quiz.choice_question import Single
from groundup.core.quiz.number_question import Parametric
from groundup.core.quiz.question import Question
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.core.testing.modules import current_module
from groundup.grader.authoring.soundness.places import Found, built_in, place
from groundup.grader.learner.quiz import question_kinds, read_quiz

DRAWS = 200
FEWEST = 3  # number of single-choice questions from which on the form of options is checked
OFTEN = 0.5  # maximum share of these in which the right option is the longest
ANSWERS = "quiz_answers.py"

Exact = Fraction | float
EXACTLY: dict[type[ast.operator] | type[ast.unaryop], Callable[..., Exact]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Exact]] = {
    "min": min, "max": max, "ceil": lambda x: Fraction(math.ceil(x)), "floor": lambda x: Fraction(math.floor(x)),
    "log2": lambda x: math.log2(x), "sqrt": lambda x: math.sqrt(x), "exp": lambda x: math.exp(x),
}  # fmt: skip


def check(technique: Technique, registry: Registry) -> Found:
    """Find errors in the quiz. Raises PluginProblem with file and line if it cannot be read."""
    path = technique.files.quiz
    if not path.is_file():
        return "", [f"there is no quiz: expected it at {path}"]
    questions = read_quiz(technique, kinds(registry)).questions
    problems = [*_sections(technique, questions), *_longest(technique, questions)]
    computed = [q for q in questions if isinstance(q, Parametric)]
    for question in computed:
        problems += _agrees(technique, question, _exact(question), "its formula, in fractions,")
    answers = technique.files.folder / ANSWERS
    detail = f"{len(questions)} questions"
    if answers.is_file():
        problems += _by_hand(technique, answers, computed)
        detail += f", {len(computed)} worked out in another way for {DRAWS} draws"
    elif computed and not built_in(technique):
        problems.append(
            f"{_at(technique, computed[0])}: its answer is computed, and nothing says that the formula is right: work "
            f"it out in another way, def {_function(computed[0])}({', '.join(computed[0].parameters)}) in {answers}"
        )
    return detail, problems


def kinds(registry: Registry) -> dict[str, type[Question]]:
    """Return the available kinds of question. Plugins with broken kinds are reported when they are loaded."""
    return question_kinds(registry)[0]


def _sections(technique: Technique, questions: tuple[Question, ...]) -> Iterator[str]:
    for question in questions:
        for lang, heading in (question.section or {}).items():
            lesson = technique.files.lesson(lang)
            if f"## {heading}" not in lesson.read_text(encoding="utf-8").splitlines():
                yield f"{_at(technique, question)}: no section '## {heading}' in {lesson}"


def _longest(technique: Technique, questions: tuple[Question, ...]) -> Iterator[str]:
    single = [q for q in questions if isinstance(q, Single)]
    for lang in {lang for q in single for lang in q.options[q.answer]}:
        longest = []
        for question in single:
            lengths = {key: len(text.get(lang, text["en"])) for key, text in question.options.items()}
            if lengths[question.answer] == max(lengths.values()):
                longest.append(question)
        if len(single) >= FEWEST and len(longest) > OFTEN * len(single):
            yield (
                f"{_at(technique, longest[0])}: in {len(longest)} of {len(single)} questions the right option is the "
                f"longest ({lang}), here too: shorten it, or say more in a wrong one"
            )


def _by_hand(technique: Technique, path: Path, computed: list[Parametric]) -> Iterator[str]:
    module = current_module(f"{technique.package}.quiz_answers", path)
    for question in computed:
        function = getattr(module, _function(question), None)
        if function is None:
            told = f"def {_function(question)}({', '.join(question.parameters)})"
            yield f"{path}: nothing works {question.id!r} out in another way: add {told}"
        else:
            yield from _agrees(technique, question, function, place(path, f"def {_function(question)}("))
    known = {_function(question) for question in computed}
    for name, line in _functions(module):
        if name not in known:
            yield f"{path}:{line}: {name}() is no computed question of {technique.files.quiz}"


def _agrees(technique: Technique, question: Parametric, other: Callable[..., Any], who: str) -> Iterator[str]:
    """Yield a message for the first draw in which ``other`` and the question disagree."""
    random = Random(question.id)
    for _ in range(DRAWS):
        values = {name: random.choice(choices) for name, choices in question.parameters.items()}
        told = ", ".join(f"{name} = {value:g}" for name, value in values.items())
        answer = question.ask(values).answer
        try:
            expected = float(other(**values))
        except Exception as error:  # an author's function may raise anything
            yield f"{_at(technique, question)}: with {told} {who} raises {type(error).__name__}: {error}"
            return
        if not math.isclose(answer, expected, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{_at(technique, question)}: with {told} the answer is {answer:g}, and {who} says {expected:g}"
            return


def _exact(question: Parametric) -> Callable[..., Exact]:
    """Return a function that computes the answer in exact fractions, unless a root or power makes it irrational."""

    def answer(**values: float) -> Exact:
        known: dict[str, Exact] = {name: Fraction(repr(value)) for name, value in values.items()}
        for name, formula in question.formulas.items():
            known[name] = _evaluated(ast.parse(formula.text.strip(), mode="eval").body, known)
        return known["answer"]

    return answer


def _evaluated(tree: Any, values: Mapping[str, Exact]) -> Exact:
    match tree:
        case ast.Constant(value=value):
            return Fraction(repr(value))
        case ast.Name(id=name):
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return EXACTLY[type(op)](_evaluated(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return EXACTLY[type(op)](_evaluated(left, values), _evaluated(right, values))
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_evaluated(a, values) for a in args))
    raise AssertionError(f"not arithmetic: {tree!r}")


def _functions(module: ModuleType) -> Iterator[tuple[str, int]]:
    for name, function in vars(module).items():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
            yield name, function.__code__.co_firstlineno


def _function(question: Question) -> str:
    return question.id.replace("-", "_")


def _at(technique: Technique, question: Question) -> str:
    return place(technique.files.quiz, f"id: {question.id}")
