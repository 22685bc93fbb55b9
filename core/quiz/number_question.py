"""Questions answered by a number, given in the file or computed from parameters drawn each time."""

from __future__ import annotations

import itertools
import math
import string
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Annotated, Any, Self

from pydantic import Field, PlainValidator, model_validator
from typing_extensions import override

from groundup.core.errors import nearest
from groundup.core.messages import Message
from groundup.core.quiz.arithmetic import Formula
from groundup.core.quiz.question import Answer, Asked, FieldProblem, NotAnAnswer, Question, quoted
from groundup.core.quiz.unit import UNITS, NotANumber, UnknownUnit, convert, fitting, is_unit, read_number
from groundup.core.technique import Declared, Text, say

__all__ = ["InUnit", "Number", "Numeric", "Parametric", "Tolerance", "plain"]

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

MOST_VALUES = 1000  # of one parameter
TRIED = 64  # draws of a parametric question that are evaluated when it is read
REDRAWS = 100  # until a draw may be asked; half of all draws may, so the limit is never reached


class Tolerance(Declared):
    """The largest accepted error of an answer: the larger of ``relative`` and ``absolute`` counts."""

    relative: float = Field(0.0, ge=0, lt=1)
    absolute: float = Field(0.0, ge=0, allow_inf_nan=False, description="in the question's unit")

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("say {relative: 0.02} for 2 %, or {absolute: 0} for exactly")
        return self

    def holds(self, answer: float, right: float) -> bool:
        """Whether ``answer`` is close enough to ``right``."""
        rounding = 1e-9 * abs(right)  # conversion from another unit rounds
        return abs(answer - right) <= max(self.absolute, self.relative * abs(right)) + rounding

    def shown(self) -> str:
        """Return the tolerance as text: '± 2 %'."""
        return f"± {plain(self.relative * 100)} %" if self.relative else f"± {plain(self.absolute)}"


class InUnit(Question):
    """Base of the kinds answered by a number."""

    unit: Text | None = Field(
        None,
        description=f"{', '.join(UNITS)}, another that the library pint knows, or a word of your own, in every "
        "language: {en: tokens, zh: …}",
    )

    @model_validator(mode="after")
    def _unit_is_known(self) -> Self:
        if self.unit is not None and list(self.unit) == ["en"] and not is_unit(self.unit["en"]):
            near = nearest(self.unit["en"], UNITS)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise FieldProblem(("unit",), f"no unit {self.unit['en']!r}; {hint}A word of your own is {{en: …, zh: …}}")
        return self


class _Measured(InUnit):
    """Base of the kinds whose number may be off by a tolerance."""

    tolerance: Tolerance


class Number(InUnit, Asked):
    """Base of what is answered by a number, in the question's unit or in another unit of the same quantity."""

    answer: float = Field(allow_inf_nan=False)

    @override
    def read(self, given: Any) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise self._no_number(given)
        try:
            number, unit = read_number(given if isinstance(given, str) else repr(given))
        except NotANumber as error:
            raise self._no_number(given) from error
        own = self._own()
        if not unit or unit == own:
            return number
        if own:
            try:
                return convert(number, unit, own)
            except UnknownUnit as error:
                raise NotAnAnswer(
                    Message("{given} is no unit for this. There are {units}.", given=quoted(unit), units=fitting(own))
                ) from error
        if self.unit and unit.casefold() in (word.casefold() for word in self.unit.values()):
            return number
        raise NotAnAnswer(Message("{given} is not understood here: give the number alone.", given=quoted(unit)))

    @override
    def right_answer(self) -> float:
        return self.answer

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        number = plain(answer) if isinstance(answer, int | float) else str(answer)
        return f"{number} {say(self.unit, lang)}" if self.unit else number

    def _own(self) -> str | None:
        """Return the unit, if it is one that can be converted, and not a word of the author's."""
        if self.unit is None:
            return None
        name = say(self.unit)
        return name if name in UNITS or list(self.unit) == ["en"] else None

    def _no_number(self, given: Any) -> NotAnAnswer:
        example = f"1.7 {own}" if (own := self._own()) else "1.7e9"
        return NotAnAnswer(
            Message("{given} is no number such as 1.7 or {example}.", given=quoted(given), example=example)
        )


class Numeric(_Measured, Number):
    """A fixed number with a tolerance."""

    @override
    def expects(self) -> dict[str, str]:
        figures = self.tolerance.relative or self.tolerance.absolute
        margin = self.tolerance.shown() if figures else Message("exactly")
        if not self.unit:
            return {"en": Message("a number, {margin}", margin=margin)}
        return {
            lang: Message("a number in {unit}, {margin}", unit=say(self.unit, lang), margin=margin)
            for lang in self.unit
        }

    @override
    def is_right(self, answer: Answer) -> bool:
        return isinstance(answer, int | float) and self.tolerance.holds(answer, self.answer)


def _values(given: Any) -> tuple[float, ...]:
    """Return the values that a parameter may take: those of a list, or the steps of a range including its end."""
    if isinstance(given, dict):
        if set(given) != {"from", "to", "step"}:
            raise ValueError("a range is {from: …, to: …, step: …}")
        first, last, step = (_number(given[key]) for key in ("from", "to", "step"))
        if step <= 0 or last <= first or (last - first) / step > MOST_VALUES:
            raise ValueError(f"a range goes up, in steps above 0 and in no more than {MOST_VALUES} of them")
        count = math.floor((last - first) / step + 1e-9) + 1
        given = [first + n * step for n in range(count)]
        given = [float(f"{value:.12g}") if isinstance(value, float) else value for value in given]
    if not isinstance(given, list | tuple):
        raise ValueError("the values of a parameter are a list of numbers, or a range {from, to, step}")
    values = tuple(_number(value) for value in given)
    if len(set(values)) != len(values) or len(values) < 2:
        raise ValueError("a parameter takes two different values or more, each given once")
    return values


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no number")
    return value


class Parametric(_Measured):
    """A question whose parameters are drawn each time; its answer is computed from them.

    ``text`` contains every parameter as ``{name}``; ``explanation`` may contain them too, as well as ``{answer}`` and
    the ``derived`` numbers. A format may follow, as in ``{bytes:,}``.

    ``wrong`` lists formulas that learners use by mistake. Where the result of one of them would be accepted, the
    question cannot tell the mistake from the right way; such a draw is never asked.
    """

    parameters: dict[Name, Annotated[tuple[float, ...], PlainValidator(_values)]] = Field(min_length=1)
    derived: dict[Name, str] = Field({}, description="further numbers for the explanation or the answer, in order")
    answer: str = Field(description="arithmetic over the parameters: + - * / // % **, and functions: min exp log …")
    wrong: tuple[str, ...] = Field(
        (), description="formulas of mistakes that learners make, over the parameters and the derived numbers"
    )

    @cached_property
    def formulas(self) -> dict[str, Formula]:
        """The formulas in order of evaluation: every derived number, then ``answer``."""
        found: dict[str, Formula] = {}
        for name, text in {**self.derived, "answer": self.answer}.items():
            try:
                found[name] = Formula(text)
            except ValueError as problem:
                raise FieldProblem(self._place(name), str(problem)) from problem
        return found

    @cached_property
    def mistakes(self) -> tuple[Formula, ...]:
        """The formulas of ``wrong``."""
        found = []
        for number, text in enumerate(self.wrong):
            try:
                found.append(Formula(text))
            except ValueError as problem:
                raise FieldProblem(("wrong", number), str(problem)) from problem
        return tuple(found)

    @model_validator(mode="after")
    def _names_are_known_and_used(self) -> Self:
        known, needed = set(self.parameters), set(self.formulas["answer"].names)
        for name, formula in self.formulas.items():
            if name in known:
                raise FieldProblem(self._place(name), f"{name!r} is a parameter already")
            _check_names(formula.names, known, self._place(name))
            known.add(name)
        told: set[str] = set()
        for number, mistake in enumerate(self.mistakes):
            told |= _check_names(mistake.names, known - {"answer"}, ("wrong", number))
        for name in reversed(self.derived):
            needed |= self.formulas[name].names if name in needed else set()
        for lang in self.text:
            used = _check_names(_fields(self.text[lang], ("text", lang)), set(self.parameters), ("text", lang))
            for name in self.parameters:
                if name not in used:
                    raise FieldProblem(("text", lang), f"never says {{{name}}}, which the answer depends on")
        for lang in self.explanation:
            told |= _check_names(_fields(self.explanation[lang], ("explanation", lang)), known, ("explanation", lang))
        for name in self.parameters:
            if name not in needed:
                raise FieldProblem(("parameters", name), f"{name!r} is unused: the answer does not depend on it")
        for name in self.derived:
            if name not in needed | told:
                raise FieldProblem(("derived", name), f"{name!r} is unused")
        return self

    @model_validator(mode="after")
    def _every_draw_has_an_answer(self) -> Self:
        for values in itertools.chain(self._extremes(), self._sample()):
            try:
                self.ask(values)
            except ValueError as problem:
                raise FieldProblem(("answer",), f"with {_listed(values)}: {problem}") from problem
            for number, mistake in enumerate(self.mistakes):
                try:
                    mistake(self.known(values))
                except ValueError as problem:
                    raise FieldProblem(("wrong", number), f"with {_listed(values)}: {problem}") from problem
        return self

    @model_validator(mode="after")
    def _half_of_all_draws_may_be_asked(self) -> Self:
        accepted = [self._accepted(values) for values in self._sample()]
        if 2 * sum(map(bool, accepted)) > len(accepted):
            worst, times = Counter(number for numbers in accepted for number in numbers).most_common(1)[0]
            raise FieldProblem(
                ("wrong", worst),
                f"the result of {self.wrong[worst]!r} is accepted in {times} of {len(accepted)} draws, and half of all "
                "draws must tell every wrong formula from the right one: narrow the tolerance, choose parameters that "
                "set them apart, or take the formula out",
            )
        return self

    @override
    def draw(self, random: Random) -> Numeric:
        return self.ask(self.values(random))

    def values(self, random: Random) -> dict[str, float]:
        """Draw parameter values, again if a wrong formula would be accepted for them."""
        values: dict[str, float] = {}
        for _ in range(REDRAWS):
            values = {name: random.choice(choices) for name, choices in self.parameters.items()}
            if not self._accepted(values):
                break
        return values

    def ask(self, values: Mapping[str, float]) -> Numeric:
        """Return the question with these parameter values. Raises ValueError if it has no answer for them."""
        known = self.known(values)
        return Numeric(
            id=self.id,
            kind=self.kind,
            text={lang: _filled(text, known) for lang, text in self.text.items()},
            explanation={lang: _filled(text, known) for lang, text in self.explanation.items()},
            source=self.source,
            section=self.section,
            unit=self.unit,
            tolerance=self.tolerance,
            answer=known["answer"],
        )

    def _place(self, name: str) -> tuple[str, ...]:
        return ("answer",) if name == "answer" else ("derived", name)

    def known(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the parameters, the derived numbers and the answer by name."""
        known = dict(values)
        for name, formula in self.formulas.items():
            known[name] = formula(known)
        return known

    def _accepted(self, values: Mapping[str, float]) -> list[int]:
        """Return the numbers of the wrong formulas whose results would be accepted with these values."""
        known = self.known(values)
        found = enumerate(self.mistakes)
        return [number for number, mistake in found if self.tolerance.holds(mistake(known), known["answer"])]

    def _extremes(self) -> Iterator[dict[str, float]]:
        """Yield combinations of the lowest and the highest values."""
        ends = itertools.product(*((min(values), max(values)) for values in self.parameters.values()))
        return (dict(zip(self.parameters, values, strict=True)) for values in itertools.islice(ends, TRIED))

    def _sample(self) -> Iterator[dict[str, float]]:
        """Yield all draws if they are few, else a random sample."""
        if math.prod(len(values) for values in self.parameters.values()) <= TRIED:
            every: Iterable[tuple[float, ...]] = itertools.product(*self.parameters.values())
        else:
            random = Random(0)
            every = (tuple(random.choice(values) for values in self.parameters.values()) for _ in range(TRIED))
        return (dict(zip(self.parameters, values, strict=True)) for values in every)


def _listed(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} = {plain(value)}" for name, value in values.items())


def plain(number: float) -> str:
    """Return ``number`` as people write it: whole numbers without decimals, others to six digits."""
    if float(number).is_integer() and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.6g}"


def _check_names(names: Iterable[str], known: set[str], path: Sequence[str | int]) -> set[str]:
    for name in sorted(names):
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
            raise FieldProblem(path, f"{name!r} is no parameter{hint}")
    return set(names)


def _fields(template: str, path: Sequence[str | int]) -> set[str]:
    """Return the placeholder names of a template."""
    try:
        parts = [(name, spec, conversion) for _, name, spec, conversion in string.Formatter().parse(template)]
    except ValueError as problem:
        raise FieldProblem(path, f"{problem}; a brace of its own is written twice") from problem
    names = [(name, spec, conversion) for name, spec, conversion in parts if name is not None]
    for name, spec, conversion in names:
        if not name.isidentifier() or conversion or "{" in (spec or ""):
            raise FieldProblem(path, f"{{{name}}} is no parameter; a brace of its own is written twice")
    return {name for name, _, _ in names}


def _filled(template: str, values: Mapping[str, float]) -> str:
    return "".join(
        literal + ("" if name is None else format(values[name], spec) if spec else plain(values[name]))
        for literal, name, spec, _ in string.Formatter().parse(template)
    )
