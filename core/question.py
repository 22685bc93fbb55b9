"""Quiz questions: what a file declares, what a learner may answer, and what counts as right.

A kind of question is a model that derives from :class:`Question`; a plugin adds its own through the hook
``question_types``. A question is drawn before it is asked: options are shuffled, and a parametric one becomes a numeric
one with numbers of its own. Answers are plain data (a string, a number or a list of strings) that do not depend on
the draw's order, so that they can be kept and judged again.
"""

from __future__ import annotations

import itertools
import math
import string
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Annotated, Any, Self

from pydantic import Field, PlainValidator, model_validator
from typing_extensions import override

from groundup.core.arithmetic import Formula
from groundup.core.errors import nearest
from groundup.core.technique import Declared, Source, Text, say
from groundup.core.unit import UNITS, NotANumber, UnknownUnit, convert, read_number

__all__ = [
    "KINDS",
    "Answer",
    "Asked",
    "FieldProblem",
    "Multiple",
    "NotAnAnswer",
    "Numeric",
    "Ordering",
    "Parametric",
    "Question",
    "Single",
    "Tolerance",
]

Answer = str | float | list[str]
Identity = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]+$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]

MOST_VALUES = 1000  # of one parameter
TRIED = 64  # draws of a parametric question that are worked out when it is read


class NotAnAnswer(ValueError):
    """What was given cannot be an answer, right or wrong. ``says`` tells why, by language."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.says = {"en": en, "zh": zh}


class FieldProblem(ValueError):
    """Something is wrong with a part of a question; ``path`` leads there from the question."""

    def __init__(self, path: Sequence[str | int], problem: str) -> None:
        super().__init__(problem)
        self.path = tuple(path)


class Question(Declared, ABC):
    """One question. Derive from it to add a kind: its fields are what a quiz file may say of such a question."""

    id: Identity
    kind: str
    text: Text
    explanation: Text = Field(description="shown after the answer, right or wrong")
    source: Source | None = None
    section: Text | None = Field(None, description="the heading in the lesson that a wrong answer sends back to")

    @model_validator(mode="after")
    def _says_where_it_is_from(self) -> Self:
        if self.source is None and self.section is None:
            raise ValueError("a question needs a source {title, url}, or a section of the lesson")
        return self

    @abstractmethod
    def draw(self, random: Random) -> Asked:
        """Return the question as it is asked this time. All chance is taken from ``random``."""


class Asked(Question):
    """A question ready to be asked. Most kinds are, but for the order of their options."""

    @override
    def draw(self, random: Random) -> Asked:
        return self

    def choices(self) -> dict[str, Text]:
        """Return what there is to choose from, by letter."""
        return {}

    @abstractmethod
    def expects(self) -> Text:
        """Return what to type, in a few words: 'a letter, A to D'."""

    @abstractmethod
    def read(self, given: Any) -> Answer:
        """Return the answer that ``given``, a line typed or a value from a file, stands for. Raises NotAnAnswer."""

    @abstractmethod
    def is_right(self, answer: Answer) -> bool:
        """Whether ``answer``, as :meth:`read` returned it, is right."""

    @abstractmethod
    def right_answer(self) -> Answer:
        """Return the right answer."""

    @abstractmethod
    def shown(self, answer: Answer, lang: str) -> str:
        """Return ``answer`` in words."""


class _Choosing(Asked):
    """The kinds that choose among options, or put them in order."""

    options: dict[Identity, Text] = Field(min_length=2, max_length=10)

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        for lang in {lang for text in self.options.values() for lang in text}:
            seen: dict[str, str] = {}
            for key, text in self.options.items():
                same = seen.setdefault(" ".join(say(text, lang).casefold().split()), key)
                if same != key:
                    raise FieldProblem(("options", key), f"reads the same as {same!r} in {lang!r}")
        return self

    @override
    def draw(self, random: Random) -> Self:
        return self._in_order(_shuffled(self.options, random))

    @override
    def choices(self) -> dict[str, Text]:
        return dict(zip(string.ascii_uppercase, self.options.values(), strict=False))

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        letters = self._letters()
        keys = [answer] if isinstance(answer, str) else self._listed(answer)
        return "; ".join(f"{letters[key]}  {say(self.options[key], lang)}" for key in keys)

    def _in_order(self, keys: Iterable[str]) -> Self:
        return self.model_copy(update={"options": {key: self.options[key] for key in keys}})

    def _listed(self, answer: Answer) -> list[str]:
        return answer if isinstance(answer, list) else []

    def _letters(self) -> dict[str, str]:
        return dict(zip(self.options, string.ascii_uppercase, strict=False))

    def _last(self) -> str:
        return string.ascii_uppercase[len(self.options) - 1]

    def _keys(self, given: Any) -> list[str]:
        """Return the options that ``given`` names, by letters ('AC', 'a, c') or by their keys, in its order."""
        if isinstance(given, list | tuple):
            return [key for part in given for key in self._keys(part)]
        if not isinstance(given, str):
            raise NotAnAnswer(
                f"{_quoted(given)} is no letter; there are A to {self._last()}.",
                f"{_quoted(given)} 不是字母；选项是 A 到 {self._last()}。",
            )
        keys: list[str] = []
        for word in unicodedata.normalize("NFKC", given).replace(",", " ").replace("、", " ").split():
            for part in [word] if word in self.options else list(word.strip(".()")):
                keys.append(part if part in self.options else self._lettered(part))
        return keys

    def _lettered(self, letter: str) -> str:
        place = string.ascii_uppercase.find(letter.upper())
        if len(letter) != 1 or not 0 <= place < len(self.options):
            raise NotAnAnswer(
                f"{_quoted(letter)} is none of A to {self._last()}.",
                f"{_quoted(letter)} 不在 A 到 {self._last()} 之中。",
            )
        return list(self.options)[place]

    def _once_each(self, given: Any) -> list[str]:
        keys = self._keys(given)
        if not keys:
            raise NotAnAnswer("There is no letter in that.", "里面没有字母。")
        for key in keys:
            if keys.count(key) > 1:
                letter = self._letters()[key]
                raise NotAnAnswer(f"{letter} is there twice.", f"{letter} 出现了两次。")
        return keys


class Single(_Choosing):
    """One option is right."""

    answer: str

    @model_validator(mode="after")
    def _answer_is_an_option(self) -> Self:
        _check_option(self.answer, self.options, ("answer",))
        return self

    @override
    def expects(self) -> Text:
        return {"en": f"one letter, A to {self._last()}", "zh": f"一个字母，A 到 {self._last()}"}

    @override
    def read(self, given: Any) -> str:
        keys = self._once_each(given)
        if len(keys) > 1:
            raise NotAnAnswer("Only one of them is right: give one letter.", "只有一项正确：请只给一个字母。")
        return keys[0]

    @override
    def is_right(self, answer: Answer) -> bool:
        return answer == self.answer

    @override
    def right_answer(self) -> str:
        return self.answer


class Multiple(_Choosing):
    """Any number of the options are right, at least one; all of them have to be given, and no other."""

    answer: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _answers_are_options(self) -> Self:
        for place, key in enumerate(self.answer):
            _check_option(key, self.options, ("answer", place))
            if key in self.answer[:place]:
                raise FieldProblem(("answer", place), f"{key!r} is given twice")
        return self

    @override
    def expects(self) -> Text:
        return {"en": "every letter that is right, as in AC", "zh": "所有正确项的字母，如 AC"}

    @override
    def read(self, given: Any) -> list[str]:
        return sorted(self._once_each(given))

    @override
    def is_right(self, answer: Answer) -> bool:
        return answer == self.right_answer()

    @override
    def right_answer(self) -> list[str]:
        return sorted(self.answer)

    def _listed(self, answer: Answer) -> list[str]:
        return [key for key in self.options if isinstance(answer, list) and key in answer]  # in the order shown


class Ordering(_Choosing):
    """The options are to be put in order: the one in which the file lists them."""

    options: dict[Identity, Text] = Field(min_length=3, max_length=8)
    order: tuple[str, ...] = Field((), exclude=True, description="filled in when it is drawn: the right order")

    @model_validator(mode="after")
    def _order_is_the_file_s(self) -> Self:
        if self.order:
            raise FieldProblem(("order",), "is not to be given: 'options' lists them in the right order")
        return self

    @override
    def draw(self, random: Random) -> Self:
        right = tuple(self.options)
        keys = right
        while keys == right:
            keys = tuple(_shuffled(self.options, random))
        return self._in_order(keys).model_copy(update={"order": right})

    @override
    def expects(self) -> Text:
        letters = "".join(reversed(self.choices()))
        return {"en": f"all letters in order, as in {letters}", "zh": f"按顺序给出所有字母，如 {letters}"}

    @override
    def read(self, given: Any) -> list[str]:
        keys = self._once_each(given)
        missing = " ".join(letter for key, letter in self._letters().items() if key not in keys)
        if missing:
            raise NotAnAnswer(f"{missing} is missing: all have to be put in order.", f"缺少 {missing}：每一项都要排。")
        return keys

    @override
    def is_right(self, answer: Answer) -> bool:
        return answer == self.right_answer()

    @override
    def right_answer(self) -> list[str]:
        return list(self.order or self.options)


class Tolerance(Declared):
    """How far from the right number still counts as right: the wider of the two."""

    relative: float = Field(0.0, ge=0, lt=1)
    absolute: float = Field(0.0, ge=0, allow_inf_nan=False, description="in the question's unit")

    @model_validator(mode="after")
    def _one_is_given(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("say {relative: 0.02} for 2 %, or {absolute: 0} for exactly")
        return self

    def holds(self, answer: float, right: float) -> bool:
        """Whether ``answer`` is close enough to ``right``."""
        rounding = 1e-9 * abs(right)  # of the conversion from another unit
        return abs(answer - right) <= max(self.absolute, self.relative * abs(right)) + rounding

    def shown(self) -> str:
        """Return it in figures: '± 2 %'."""
        return f"± {plain(self.relative * 100)} %" if self.relative else f"± {plain(self.absolute)}"


class _Measured(Question):
    """The kinds that are answered by a number."""

    unit: Text | None = Field(
        None, description=f"one of {', '.join(UNITS)}, or a word of your own, in every language: {{en: tokens, zh: …}}"
    )
    tolerance: Tolerance

    @model_validator(mode="after")
    def _unit_is_known(self) -> Self:
        if self.unit is not None and list(self.unit) == ["en"] and self.unit["en"] not in UNITS:
            near = nearest(self.unit["en"], UNITS)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise FieldProblem(("unit",), f"no unit {self.unit['en']!r}; {hint}A word of your own is {{en: …, zh: …}}")
        return self


class Numeric(_Measured, Asked):
    """A number, in the unit of the question or in another one for the same thing."""

    answer: float = Field(allow_inf_nan=False)

    @override
    def expects(self) -> Text:
        margin = self.tolerance.shown() if self.tolerance.relative or self.tolerance.absolute else ""
        en = f"a number in {say(self.unit)}" if self.unit else "a number"
        zh = f"一个数，单位 {say(self.unit, 'zh')}" if self.unit else "一个数"
        return {"en": f"{en}, {margin or 'exactly'}", "zh": f"{zh}，{margin or '要精确'}"}

    @override
    def read(self, given: Any) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float | str):
            raise self._no_number(given)
        try:
            number, unit = read_number(given if isinstance(given, str) else repr(given))
        except NotANumber as error:
            raise self._no_number(given) from error
        if not unit:
            return number
        own = say(self.unit) if self.unit else None
        if own in UNITS:
            try:
                return convert(number, unit, own)
            except UnknownUnit as error:
                fitting = [name for name, (measures, _) in UNITS.items() if measures == UNITS[own][0]]
                raise NotAnAnswer(
                    f"{_quoted(unit)} is no unit for this. There are {', '.join(fitting)}.",
                    f"{_quoted(unit)} 不是这里的单位。可用的有 {'、'.join(fitting)}。",
                ) from error
        if self.unit and unit.casefold() in (word.casefold() for word in self.unit.values()):
            return number
        raise NotAnAnswer(
            f"{_quoted(unit)} is not understood here: give the number alone.",
            f"看不懂 {_quoted(unit)}：请只给数字。",
        )

    @override
    def is_right(self, answer: Answer) -> bool:
        return isinstance(answer, int | float) and self.tolerance.holds(answer, self.answer)

    @override
    def right_answer(self) -> float:
        return self.answer

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        number = plain(answer) if isinstance(answer, int | float) else str(answer)
        return f"{number} {say(self.unit, lang)}" if self.unit else number

    def _no_number(self, given: Any) -> NotAnAnswer:
        example = f"1.7 {say(self.unit)}" if self.unit and say(self.unit) in UNITS else "1.7e9"
        return NotAnAnswer(
            f"{_quoted(given)} is no number such as 1.7 or {example}.",
            f"{_quoted(given)} 不是像 1.7 或 {example} 的数。",
        )


def _values(given: Any) -> tuple[float, ...]:
    """Return the values that a parameter may take: those of a list, or every step of a range, its end included."""
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
    """A question about numbers that are drawn anew each time; its answer is computed from them.

    ``text`` holds every parameter as ``{name}``; ``explanation`` may hold them too, and ``{answer}``, and whatever
    ``derived`` computes. A format may follow, as in ``{bytes:,}``.
    """

    parameters: dict[Name, Annotated[tuple[float, ...], PlainValidator(_values)]] = Field(min_length=1)
    derived: dict[Name, str] = Field({}, description="further numbers for the explanation or the answer, in order")
    answer: str = Field(description="arithmetic over the parameters: + - * / // % **, min max ceil floor log2 sqrt exp")

    @cached_property
    def formulas(self) -> dict[str, Formula]:
        """What is computed, in order: every derived number, and ``answer`` last."""
        found: dict[str, Formula] = {}
        for name, text in {**self.derived, "answer": self.answer}.items():
            try:
                found[name] = Formula(text)
            except ValueError as problem:
                raise FieldProblem(self._place(name), str(problem)) from problem
        return found

    @model_validator(mode="after")
    def _names_are_known_and_used(self) -> Self:
        known, needed = set(self.parameters), set(self.formulas["answer"].names)
        for name, formula in self.formulas.items():
            if name in known:
                raise FieldProblem(self._place(name), f"{name!r} is a parameter already")
            _check_names(formula.names, known, self._place(name))
            known.add(name)
        for name in reversed(self.derived):
            needed |= self.formulas[name].names if name in needed else set()
        for lang in self.text:
            used = _check_names(_fields(self.text[lang], ("text", lang)), set(self.parameters), ("text", lang))
            for name in self.parameters:
                if name not in used:
                    raise FieldProblem(("text", lang), f"never says {{{name}}}, which the answer depends on")
        told: set[str] = set()
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
        for values in self._some_draws():
            try:
                self.ask(values)
            except ValueError as problem:
                told = ", ".join(f"{name} = {plain(value)}" for name, value in values.items())
                raise FieldProblem(("answer",), f"with {told}: {problem}") from problem
        return self

    @override
    def draw(self, random: Random) -> Numeric:
        return self.ask({name: random.choice(values) for name, values in self.parameters.items()})

    def ask(self, values: Mapping[str, float]) -> Numeric:
        """Return the question with these values of its parameters. Raises ValueError where it has no answer."""
        known = dict(values)
        for name, formula in self.formulas.items():
            known[name] = formula(known)
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

    def _some_draws(self) -> Iterable[dict[str, float]]:
        """Return every draw where they are few, or else the lowest and highest values together, and a sample."""
        if math.prod(len(values) for values in self.parameters.values()) <= TRIED:
            every: Iterable[tuple[float, ...]] = itertools.product(*self.parameters.values())
        else:
            random = Random(0)
            ends = itertools.islice(itertools.product(*((min(v), max(v)) for v in self.parameters.values())), TRIED)
            sample = (tuple(random.choice(v) for v in self.parameters.values()) for _ in range(TRIED))
            every = itertools.chain(ends, sample)
        return (dict(zip(self.parameters, values, strict=True)) for values in every)


KINDS: dict[str, type[Question]] = {
    "single": Single,
    "multiple": Multiple,
    "numeric": Numeric,
    "ordering": Ordering,
    "parametric": Parametric,
}


def plain(number: float) -> str:
    """Return ``number`` as people write it: whole numbers whole, others to six figures."""
    if float(number).is_integer() and abs(number) < 1e15:
        return str(int(number))
    return f"{number:.6g}"


def _quoted(given: Any) -> str:
    """Return what was given, short, and without characters that could steer a terminal."""
    text = repr(given)
    return text if len(text) <= 40 else text[:37] + "…" + text[-1]


def _shuffled(options: Mapping[str, Any], random: Random) -> list[str]:
    keys = list(options)
    random.shuffle(keys)
    return keys


def _check_option(key: str, options: Mapping[str, Any], path: Sequence[str | int]) -> None:
    if key not in options:
        raise FieldProblem(path, f"{key!r} is not among the options {', '.join(options)}")


def _check_names(names: Iterable[str], known: set[str], path: Sequence[str | int]) -> set[str]:
    for name in sorted(names):
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(sorted(known))}"
            raise FieldProblem(path, f"{name!r} is no parameter{hint}")
    return set(names)


def _fields(template: str, path: Sequence[str | int]) -> set[str]:
    """Return the names in a template's braces."""
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
