"""Tasks with answers that a program can check. Prompts are drawn with a generator; each ends in a sign of its task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch

__all__ = ["Addition", "Brackets", "Reversing", "Sorting", "Task"]

LETTERS = "abcdefghij"
PAIRS = {"(": ")", "[": "]", "{": "}"}


class Task(ABC):
    """A kind of question about a text. ``Tokenizer()`` has every character of prompts and answers."""

    @abstractmethod
    def draw(self, count: int, generator: torch.Generator) -> list[str]:
        """Return ``count`` prompts."""

    @abstractmethod
    def answer(self, prompt: str) -> str:
        """Return a right answer, the shortest one."""

    @property
    @abstractmethod
    def longest(self) -> int:
        """The number of characters of the longest ``answer``."""

    def is_right(self, prompt: str, answer: str | None) -> bool:
        """Whether an answer is right. None, an answer that never ended, is wrong."""
        return answer == self.answer(prompt)


@dataclass(frozen=True)
class Addition(Task):
    """``47+08=`` asks for ``55``: numbers of ``digits`` digits, padded with zeros; the sum has no zeros in front."""

    digits: int = 2

    def draw(self, count: int, generator: torch.Generator) -> list[str]:
        """Return sums of two numbers, each equally likely."""
        numbers = torch.randint(0, 10**self.digits, (count, 2), generator=generator).tolist()
        return [f"{a:0{self.digits}d}+{b:0{self.digits}d}=" for a, b in numbers]

    def answer(self, prompt: str) -> str:
        """Return the sum."""
        a, b = prompt.removesuffix("=").split("+")
        return str(int(a) + int(b))

    @property
    def longest(self) -> int:
        """One digit more than each number has."""
        return self.digits + 1


@dataclass(frozen=True)
class _Letters(Task):
    """Letters from a to j, ``shortest`` to ``length`` of them, and a sign."""

    length: int = 6
    shortest: int = 6

    def draw(self, count: int, generator: torch.Generator) -> list[str]:
        """Return texts of letters; lengths and letters are equally likely."""
        lengths = torch.randint(self.shortest, self.length + 1, (count,), generator=generator).tolist()
        letters = torch.randint(0, len(LETTERS), (count, self.length), generator=generator).tolist()
        return [
            "".join(LETTERS[i] for i in row[:length]) + self.sign for row, length in zip(letters, lengths, strict=True)
        ]

    @property
    @abstractmethod
    def sign(self) -> str:
        """The last character of every prompt."""

    @property
    def longest(self) -> int:
        """As many letters as the longest prompt has."""
        return self.length


@dataclass(frozen=True)
class Reversing(_Letters):
    """``abcd<`` asks for ``dcba``."""

    @property
    def sign(self) -> str:
        """The sign for turning round."""
        return "<"

    def answer(self, prompt: str) -> str:
        """Return the letters from the last to the first."""
        return prompt[-2::-1]


@dataclass(frozen=True)
class Sorting(_Letters):
    """``dbca^`` asks for ``abcd``."""

    @property
    def sign(self) -> str:
        """The sign for the order of the alphabet."""
        return "^"

    def answer(self, prompt: str) -> str:
        """Return the letters in the order of the alphabet."""
        return "".join(sorted(prompt[:-1]))


@dataclass(frozen=True)
class Brackets(Task):
    """``([{~`` asks for ``}])``, or for anything else with which the brackets balance: ``}](){}[])`` is right, too.

    The grammar is S = "" | "(" S ")" S | "[" S "]" S | "{" S "}" S. A prompt is the beginning of a sentence of it, with
    ``length`` brackets, of which 1 or more are open.
    """

    length: int = 6

    def draw(self, count: int, generator: torch.Generator) -> list[str]:
        """Return beginnings: each bracket opens or closes with equal odds, where both are possible."""
        coins = torch.randint(0, 6, (count, self.length), generator=generator).tolist()
        return [self._beginning(row) for row in coins]

    def answer(self, prompt: str) -> str:
        """Return the brackets that close what is open."""
        open_brackets = _open(prompt.removesuffix("~"))
        assert open_brackets is not None
        return "".join(PAIRS[bracket] for bracket in reversed(open_brackets))

    def is_right(self, prompt: str, answer: str | None) -> bool:
        """Whether the brackets of prompt and answer together balance."""
        return answer is not None and _open(prompt.removesuffix("~") + answer) == []

    @property
    def longest(self) -> int:
        """All brackets of the prompt may be open."""
        return self.length

    def _beginning(self, coins: list[int]) -> str:
        text, waiting = "", list[str]()
        for place, coin in enumerate(coins, start=1):
            if waiting and coin < 3 and not (place == self.length and len(waiting) == 1):
                text += PAIRS[waiting.pop()]
            else:
                waiting.append([*PAIRS][coin % 3])
                text += waiting[-1]
        return text + "~"


def _open(text: str) -> list[str] | None:
    """Return the brackets that are still open after ``text``; None where it is no beginning of a sentence."""
    waiting: list[str] = []
    for bracket in text:
        if bracket in PAIRS:
            waiting.append(bracket)
        elif not waiting or PAIRS[waiting.pop()] != bracket:
            return None
    return waiting
