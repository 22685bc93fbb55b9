"""Questions for an order of magnitude: a number of which only the factor to the right one counts."""

from __future__ import annotations

import math
from typing import Self

from pydantic import Field, model_validator
from typing_extensions import override

from groundup.core.messages import Message
from groundup.core.quiz.number_question import Number, plain
from groundup.core.quiz.question import Answer, FieldProblem

__all__ = ["Estimate"]

ROUNDING = 1e-9  # a conversion rounds


class Estimate(Number):
    """A positive number to be estimated: full credit within a factor of ``within``, half within its square."""

    within: float = Field(2.0, gt=1, le=100, description="the factor by which an answer may be off, up or down")

    @model_validator(mode="after")
    def _answer_is_positive(self) -> Self:
        if self.answer <= 0:
            raise FieldProblem(("answer",), "an estimate is of a number above 0: a factor says nothing else")
        return self

    @override
    def expects(self) -> dict[str, str]:
        factor = plain(self.within)
        if not self.unit:
            return {"en": Message("an estimate, within a factor of {factor}", factor=factor)}
        return {
            lang: Message("an estimate in {unit}, within a factor of {factor}", unit=unit, factor=factor)
            for lang, unit in self.unit.items()
        }

    @override
    def credit(self, answer: Answer) -> float:
        if not isinstance(answer, int | float) or answer <= 0:
            return 0.0
        off = abs(math.log(answer) - math.log(self.answer)) / math.log(self.within)
        return 1.0 if off <= 1 + ROUNDING else 0.5 if off <= 2 + ROUNDING else 0.0

    @override
    def is_right(self, answer: Answer) -> bool:
        return self.credit(answer) == 1
