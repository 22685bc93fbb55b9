"""The built-in kinds of quiz question, by their ``kind`` in quiz files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundup.core.hookspecs import hookimpl

if TYPE_CHECKING:
    from groundup.core.quiz.question import Question


@hookimpl
def question_types() -> dict[str, type[Question]]:
    """Return the kinds: options to choose, to order or to pair; numbers, formulas, listings; and one's own words."""
    # Every command loads this plugin, and few of them ask questions.
    from groundup.core.quiz.choice_question import Multiple, Ordering, Single
    from groundup.core.quiz.code_question import FaultyLine, Output
    from groundup.core.quiz.estimate_question import Estimate
    from groundup.core.quiz.free_question import Free
    from groundup.core.quiz.matching_question import Matching
    from groundup.core.quiz.number_question import Numeric, Parametric
    from groundup.core.quiz.symbolic_question import Symbolic

    return {
        "single": Single,
        "multiple": Multiple,
        "ordering": Ordering,
        "matching": Matching,
        "numeric": Numeric,
        "parametric": Parametric,
        "estimate": Estimate,
        "symbolic": Symbolic,
        "output": Output,
        "line": FaultyLine,
        "free": Free,
    }
