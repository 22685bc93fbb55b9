"""Questions answered by choosing options, or by putting them in order."""

from __future__ import annotations

import itertools
import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, Self

from pydantic import Field, model_validator
from typing_extensions import override

from groundup.core.messages import Message
from groundup.core.quiz.question import Answer, Asked, FieldProblem, Identity, NotAnAnswer, quoted
from groundup.core.technique import Text, say

__all__ = ["Multiple", "Ordering", "Single"]


class _Choosing(Asked):
    """Base of the kinds that choose options or put them in order."""

    options: dict[Identity, Text] = Field(min_length=2, max_length=10)

    @model_validator(mode="after")
    def _options_differ(self) -> Self:
        letters = set(string.ascii_lowercase[: len(self.options)])
        for key in self.options:
            if set(key) <= letters:
                raise FieldProblem(("options", key), f"{key!r} could be read as letters of options; choose another key")
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
        return "; ".join(f"{letters[key]}  {say(self.options[key], lang)}" for key in keys if key in letters)

    def _in_order(self, keys: Iterable[str]) -> Self:
        return self.model_copy(update={"options": {key: self.options[key] for key in keys}})

    def _listed(self, answer: Answer) -> list[str]:
        return answer if isinstance(answer, list) else []

    def _letters(self) -> dict[str, str]:
        return dict(zip(self.options, string.ascii_uppercase, strict=False))

    def _last(self) -> str:
        return string.ascii_uppercase[len(self.options) - 1]

    def _keys(self, given: Any) -> list[str]:
        """Return the keys of the options named in ``given``, by letter ('AC', 'a, c') or by key, in that order."""
        if isinstance(given, list | tuple):
            return [key for part in given for key in self._keys(part)]
        if not isinstance(given, str):
            raise NotAnAnswer(
                Message("{given} is no letter; there are A to {last}.", given=quoted(given), last=self._last())
            )
        keys: list[str] = []
        for word in unicodedata.normalize("NFKC", given).replace(",", " ").replace("、", " ").split():
            for part in [word] if word in self.options else list(word.strip(".()")):
                keys.append(part if part in self.options else self._lettered(part))
        return keys

    def _lettered(self, letter: str) -> str:
        place = string.ascii_uppercase.find(letter.upper())
        if len(letter) != 1 or not 0 <= place < len(self.options):
            raise NotAnAnswer(Message("{given} is none of A to {last}.", given=quoted(letter), last=self._last()))
        return list(self.options)[place]

    def _once_each(self, given: Any) -> list[str]:
        keys = self._keys(given)
        if not keys:
            raise NotAnAnswer(Message("There is no letter in that."))
        for key in keys:
            if keys.count(key) > 1:
                letter = self._letters()[key]
                raise NotAnAnswer(Message("{letter} is there twice.", letter=letter))
        return keys


class Single(_Choosing):
    """Exactly one option is right."""

    answer: str

    @model_validator(mode="after")
    def _answer_is_an_option(self) -> Self:
        _check_option(self.answer, self.options, ("answer",))
        return self

    @override
    def expects(self) -> Message:
        return Message("one letter, A to {last}", last=self._last())

    @override
    def read(self, given: Any) -> str:
        keys = self._once_each(given)
        if len(keys) > 1:
            raise NotAnAnswer(Message("Only one of them is right: give one letter."))
        return keys[0]

    @override
    def is_right(self, answer: Answer) -> bool:
        return answer == self.answer

    @override
    def right_answer(self) -> str:
        return self.answer


class Multiple(_Choosing):
    """One or more options are right; the answer must name all of them and no others.

    The credit is the share of the right options that were taken, less the share of the wrong ones that were: nobody
    earns anything by taking all.
    """

    answer: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _answers_are_options(self) -> Self:
        for place, key in enumerate(self.answer):
            _check_option(key, self.options, ("answer", place))
            if key in self.answer[:place]:
                raise FieldProblem(("answer", place), f"{key!r} is given twice")
        return self

    @override
    def expects(self) -> Message:
        return Message("every letter that is right, as in AC")

    @override
    def read(self, given: Any) -> list[str]:
        return sorted(self._once_each(given))

    @override
    def is_right(self, answer: Answer) -> bool:
        return answer == self.right_answer()

    @override
    def credit(self, answer: Answer) -> float:
        taken = set(self._listed(answer))
        wrong = self.options.keys() - set(self.answer)
        if not wrong or self.is_right(answer):
            return float(self.is_right(answer))
        return max(0.0, len(taken & set(self.answer)) / len(self.answer) - len(taken & wrong) / len(wrong))

    @override
    def right_answer(self) -> list[str]:
        return sorted(self.answer)

    def _listed(self, answer: Answer) -> list[str]:
        return [key for key in self.options if isinstance(answer, list) and key in answer]  # in the order shown


class Ordering(_Choosing):
    """The options have to be put in order; the file lists them in the right order.

    The credit is Kendall's tau: the share of all pairs that stand in their right order, less the share of those that
    do not; 0 if these are as many or more.
    """

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
    def expects(self) -> Message:
        letters = "".join(reversed(self.choices()))
        return Message("all letters in order, as in {letters}", letters=letters)

    @override
    def read(self, given: Any) -> list[str]:
        keys = self._once_each(given)
        missing = " ".join(letter for key, letter in self._letters().items() if key not in keys)
        if missing:
            raise NotAnAnswer(Message("{letters} is missing: all have to be put in order.", letters=missing))
        return keys

    @override
    def is_right(self, answer: Answer) -> bool:
        return answer == self.right_answer()

    @override
    def credit(self, answer: Answer) -> float:
        right, given = self.right_answer(), self._listed(answer)
        if sorted(given) != sorted(right):
            return 0.0
        pairs = [given.index(a) < given.index(b) for a, b in itertools.combinations(right, 2)]
        return max(0.0, (2 * sum(pairs) - len(pairs)) / len(pairs))

    @override
    def right_answer(self) -> list[str]:
        return list(self.order or self.options)


def _shuffled(options: Mapping[str, Any], random: Random) -> list[str]:
    keys = list(options)
    random.shuffle(keys)
    return keys


def _check_option(key: str, options: Mapping[str, Any], path: Sequence[str | int]) -> None:
    if key not in options:
        raise FieldProblem(path, f"{key!r} is not among the options {', '.join(options)}")
