"""Part of the rule ``quiz``: its answers are worked out a second time, and compared.

A computed answer is recomputed in two ways, for many draws. Exact fractions in the file's own formula detect rounding
errors. The function with the question's name in ``quiz_answers.py``, the author's independent way to the answer,
detects a wrong formula. ``quiz_answers.py`` is in the folder of the properties.

Every computed question needs a function there, its parameters as arguments. In a built-in quiz every ``numeric`` and
every ``estimate`` needs one too, without arguments. The answer may be rounded in the file, so it has to be within the
question's tolerance, and of an estimate within a tenth; and a ``symbolic`` one needs a function of its variables, which
is compared at 200 points to six digits. A question with options may have one, which returns the key of the right
option, or the list of keys.
"""

from __future__ import annotations

import ast
import inspect
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any

from groundup.core.quiz.arithmetic import FLOATS, Arithmetic
from groundup.core.quiz.estimate_question import Estimate
from groundup.core.quiz.number_question import Number, Numeric, Parametric
from groundup.core.quiz.question import Asked, NotAnAnswer, Question
from groundup.core.quiz.symbolic_question import Symbolic
from groundup.core.technique import Technique
from groundup.core.testing.modules import current_module
from groundup.grader.authoring.soundness.places import built_in, place, question_at

__all__ = ["DRAWS", "compare_answers", "drawn", "told"]

DRAWS = 200
ANSWERS = "quiz_answers.py"
ESTIMATED = 1.1  # the factor by which an estimate may differ from what its function says

Exact = Fraction | float
EXACTLY: dict[type[ast.operator] | type[ast.unaryop], Callable[..., Exact]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv, ast.Mod: operator.mod, ast.Pow: operator.pow,
    ast.USub: operator.neg, ast.UAdd: operator.pos,
}  # fmt: skip
FUNCTIONS: dict[str, Callable[..., Exact]] = {
    "min": min, "max": max, "ceil": lambda x: Fraction(math.ceil(x)), "floor": lambda x: Fraction(math.floor(x)),
    "clamp": lambda x, low, high: min(max(x, low), high), "abs": abs,
    **{name: FLOATS.functions[name] for name in ("sqrt", "exp", "log", "log2", "tanh", "sigmoid")},
}  # fmt: skip
EXACT = Arithmetic(lambda value: Fraction(repr(value)), EXACTLY, FUNCTIONS)


def compare_answers(technique: Technique, questions: Sequence[Question]) -> tuple[int, list[str]]:
    """Return how many answers were worked out in another way, and the problems that this showed."""
    problems: list[str] = []
    for question in questions:
        if isinstance(question, Parametric):
            problems += _agrees(technique, question, _exact(question), "its formula, in fractions,")
    path = technique.files.folder / ANSWERS
    module = current_module(f"{technique.package}.quiz_answers", path) if path.is_file() else ModuleType(ANSWERS)
    compared = 0
    questions = [question for question in questions if isinstance(question, Asked | Parametric)]
    for question in questions:
        function = getattr(module, _function(question), None)
        who = place(path, f"def {_function(question)}(")
        compared += function is not None
        if function is None:
            if isinstance(question, Parametric) or (isinstance(question, Number | Symbolic) and built_in(technique)):
                problems.append(_missing(technique, question, path))
        elif isinstance(question, Parametric):
            problems += _agrees(technique, question, function, who)
        elif isinstance(question, Symbolic):
            problems += _agrees_at_points(technique, question, function, who)
        elif isinstance(question, Asked):
            problems += _agrees_once(technique, question, function, who)
    known = {_function(question) for question in questions}
    for name, line in _functions(module):
        if name not in known:
            problems.append(
                f"{path}:{line}: {name}() belongs to no question of {technique.files.quiz}: a function is called as "
                "its question's id, with _ for -"
            )
    return compared, problems


def drawn(question: Parametric) -> Iterator[tuple[dict[str, float], Numeric]]:
    """Yield draws of the question as a learner may meet it, each with its parameter values; always the same ones."""
    random = Random(question.id)
    for _ in range(DRAWS):
        values = question.values(random)
        yield values, question.ask(values)


def told(values: Mapping[str, float]) -> str:
    """Return parameter values as text."""
    return ", ".join(f"{name} = {value:g}" for name, value in values.items())


def _missing(technique: Technique, question: Question, path: Path) -> str:
    known = question.parameters if isinstance(question, Parametric) else getattr(question, "variables", {})
    names, what = ", ".join(known), "formula" if known else "number"
    return (
        f"{question_at(technique, question)}: nothing says that its {what} is right: work the answer out in another "
        f"way, def {_function(question)}({names}) in {path}"
    )


def _agrees(technique: Technique, question: Parametric, other: Callable[..., Any], who: str) -> Iterator[str]:
    """Yield a message for the first draw in which ``other`` and the question disagree."""
    for values, asked in drawn(question):
        begin = f"{question_at(technique, question)}: with {told(values)}"
        try:
            expected = float(other(**values))
        except Exception as error:  # an author's function may raise anything
            yield f"{begin} {who} raises {type(error).__name__}: {error}"
            return
        if not math.isclose(asked.answer, expected, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{begin} the answer is {asked.answer:g}, and {who} says {expected:g}: one of the two is wrong"
            return


def _agrees_at_points(technique: Technique, question: Symbolic, other: Callable[..., Any], who: str) -> Iterator[str]:
    """Yield a message for the first point at which ``other`` and the right formula disagree."""
    for values, right in question.points:
        numbers = {name: float(value) for name, value in values.items()}
        begin = f"{question_at(technique, question)}: with {told(numbers)}"
        try:
            expected = float(other(**numbers))
        except Exception as error:  # an author's function may raise anything
            yield f"{begin} {who} raises {type(error).__name__}: {error}"
            return
        if not math.isclose(float(right), expected, rel_tol=1e-6, abs_tol=1e-6):
            yield f"{begin} the answer is {float(right):g}, and {who} says {expected:g}: one of the two is wrong"
            return


def _agrees_once(technique: Technique, question: Asked, other: Callable[[], Any], who: str) -> Iterator[str]:
    begin = question_at(technique, question)
    try:
        expected = other()
        close = question.model_copy(update={"within": ESTIMATED}) if isinstance(question, Estimate) else question
        agrees = close.is_right(close.read(expected))
    except NotAnAnswer as error:
        yield f"{begin}: {who} returns what is no answer here: {error}"
    except Exception as error:  # an author's function may raise anything
        yield f"{begin}: {who} raises {type(error).__name__}: {error}"
    else:
        if not agrees:
            answer = question.right_answer()
            yield f"{begin}: the answer is {answer}, and {who} says {expected}: one of the two is wrong"


def _exact(question: Parametric) -> Callable[..., Exact]:
    """Return a function that computes the answer in exact fractions, unless a root or power makes it irrational."""

    def answer(**values: float) -> Exact:
        known: dict[str, Exact] = {name: Fraction(repr(value)) for name, value in values.items()}
        for name, formula in question.formulas.items():
            known[name] = formula.value(known, EXACT)
        return known["answer"]

    return answer


def _functions(module: ModuleType) -> Iterator[tuple[str, int]]:
    for name, function in vars(module).items():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_"):
            yield name, function.__code__.co_firstlineno


def _function(question: Question) -> str:
    return question.id.replace("-", "_")
