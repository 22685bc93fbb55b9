"""The kinds of quiz question that come with Groundup, by the name that a quiz file gives them."""

from groundup.core.hookspecs import hookimpl
from groundup.core.quiz.choice_question import Multiple, Ordering, Single
from groundup.core.quiz.number_question import Numeric, Parametric
from groundup.core.quiz.question import Question


@hookimpl
def question_types() -> dict[str, type[Question]]:
    """Return the five kinds: one option, several, an order, a number, a number computed from others drawn anew."""
    return {
        "single": Single,
        "multiple": Multiple,
        "numeric": Numeric,
        "ordering": Ordering,
        "parametric": Parametric,
    }
