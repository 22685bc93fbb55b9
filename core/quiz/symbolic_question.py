"""Questions answered by a formula over named variables.

Two formulas are the same if they have the same values, in 50 digits, at 200 points drawn from the variables' ranges.
That accepts every equivalent form and refuses every other one, however close. A computer algebra system would be less
certain: its ``simplify`` does not prove every identity, and no bound on its time is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import Annotated, Any, Self

from pydantic import Field, model_validator
from typing_extensions import override

from groundup.core.messages import Message
from groundup.core.quiz.arithmetic import FUNCTIONS, Formula
from groundup.core.quiz.decimals import DECIMALS, drawn, same
from groundup.core.quiz.question import Answer, Asked, FieldProblem, NotAnAnswer, quoted
from groundup.core.quiz.typed_formula import read_formula
from groundup.core.technique import Declared

__all__ = ["Range", "Symbolic"]

POINTS = 200
LARGEST = 1e6  # of a variable
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$", max_length=30)]


class Range(Declared):
    """The values of a variable at which formulas are compared."""

    low: float = Field(alias="from", ge=-LARGEST, le=LARGEST)
    high: float = Field(alias="to", ge=-LARGEST, le=LARGEST)
    step: float | None = Field(None, gt=0, description="for whole numbers: 1")

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.high <= self.low or (self.step or 0) > self.high - self.low:
            raise ValueError("a range is {from: …, to: …} and goes up; step: 1 keeps it to whole numbers")
        return self


class Symbolic(Asked):
    """The answer is a formula; every form of it is accepted."""

    variables: dict[Name, Range] = Field(
        min_length=1, max_length=12, description="the variables of the formula, each with the range to compare it on"
    )
    answer: str = Field(description="the formula, over the variables")
    wrong: tuple[str, ...] = Field((), description="formulas of mistakes that learners make")

    @model_validator(mode="after")
    def _formulas_are_over_the_variables(self) -> Self:
        for name in self.variables:
            if name in FUNCTIONS:
                raise FieldProblem(("variables", name), f"{name!r} is a function: call the variable otherwise")
        unused = self.variables.keys() - self._parsed(self.answer, ("answer",)).names
        for name in sorted(unused - {n for text in self.wrong for n in self._parsed(text, ("wrong",)).names}):
            raise FieldProblem(("variables", name), f"{name!r} is unused: the answer does not depend on it")
        if 2 * len(self.points) < POINTS:
            there = len(self.points)
            raise FieldProblem(
                ("answer",), f"it has a value at {there} of {POINTS} points: narrow the ranges of the variables"
            )
        for number, text in enumerate(self.wrong):
            if same(self._parsed(text, ("wrong", number)), self.points):
                raise FieldProblem(("wrong", number), f"{text!r} is the right formula in another form")
        return self

    @cached_property
    def points(self) -> tuple[tuple[Mapping[str, Decimal], Decimal], ...]:
        """The values of the variables and of the answer at which formulas are compared; always the same ones."""
        random, answer, found = Random(self.id), Formula(self.answer), []
        for _ in range(POINTS):
            values = {name: drawn(random, r.low, r.high, r.step) for name, r in self.variables.items()}
            try:
                found.append((values, answer.value(values, DECIMALS)))
            except ValueError:  # the right formula is undefined there, so nothing can be compared
                continue
        return tuple(found)

    @override
    def expects(self) -> Message:
        return Message("a formula in {names}", names=", ".join(self.variables))

    @override
    def read(self, given: Any) -> str:
        if isinstance(given, bool) or not isinstance(given, str | int | float):
            raise NotAnAnswer(
                Message("{given} is no formula in {names}.", given=quoted(given), names=", ".join(self.variables))
            )
        return read_formula(str(given), self.variables).text

    @override
    def is_right(self, answer: Answer) -> bool:
        try:
            formula = Formula(str(answer))
            return formula.names <= self.variables.keys() and same(formula, self.points)
        except ValueError:
            return False

    @override
    def right_answer(self) -> str:
        return self.answer

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        return str(answer)

    def _parsed(self, text: str, path: tuple[str | int, ...]) -> Formula:
        try:
            formula = Formula(text)
        except ValueError as problem:
            raise FieldProblem(path, str(problem)) from problem
        for name in sorted(formula.names - self.variables.keys()):
            raise FieldProblem(path, f"{name!r} is no variable; there are {', '.join(self.variables)}")
        return formula
