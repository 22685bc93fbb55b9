"""The built-in kinds of quiz question, by their ``kind`` in quiz files."""

from groundup.core.hookspecs import hookimpl
from groundup.core.quiz.choice_question import Multiple, Ordering, Single
from groundup.core.quiz.number_question import Numeric, Parametric
from groundup.core.quiz.question import Question


@hookimpl
def question_types() -> dict[str, type[Question]]:
    """Return the five kinds: one option, several options, an order, a number, a number from drawn parameters."""
    return {
        "single": Single,
        "multiple": Multiple,
        "numeric": Numeric,
        "ordering": Ordering,
        "parametric": Parametric,
    }
