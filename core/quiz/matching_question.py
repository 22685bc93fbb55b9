"""Questions answered by pairing two columns."""

from __future__ import annotations

import re
import string
import unicodedata
from random import Random
from typing import Any, Self

from pydantic import Field, model_validator
from typing_extensions import override

from groundup.core.messages import Message
from groundup.core.quiz.question import Answer, Asked, FieldProblem, Identity, NotAnAnswer, quoted
from groundup.core.technique import Declared, Text, say

__all__ = ["Matching", "Pair"]

MOST = 10  # items on the right


class Pair(Declared):
    """An item on the left and the one on the right that belongs to it."""

    left: Text
    right: Text


class Matching(Asked):
    """Every item on the left is paired with one on the right, by number and letter.

    The credit is the share of right pairs, less what a blind guess finds on average.
    """

    pairs: dict[Identity, Pair] = Field(min_length=3, max_length=8, description="what belongs together")
    decoys: dict[Identity, Text] = Field({}, description="items on the right that belong to none")
    left: tuple[str, ...] = Field((), exclude=True, description="filled in when it is drawn: the order on the left")
    right: tuple[str, ...] = Field((), exclude=True, description="filled in when it is drawn: the order on the right")

    @model_validator(mode="after")
    def _items_differ(self) -> Self:
        if self.left or self.right:
            raise FieldProblem(("left" if self.left else "right",), "is not to be given: the order is drawn")
        if len(self._right_items()) > MOST:
            raise FieldProblem(("decoys",), f"more than {MOST} items on the right")
        for key in self.decoys:
            if key in self.pairs:
                raise FieldProblem(("decoys", key), f"{key!r} is a pair already")
        for side, items in (("left", {k: p.left for k, p in self.pairs.items()}), ("right", self._right_items())):
            for lang in {lang for text in items.values() for lang in text}:
                seen: dict[str, str] = {}
                for key, text in items.items():
                    same = seen.setdefault(" ".join(say(text, lang).casefold().split()), key)
                    if same != key:
                        path = ("decoys", key) if key in self.decoys else ("pairs", key, side)
                        raise FieldProblem(path, f"reads the same as that of {same!r} in {lang!r}")
        return self

    @override
    def draw(self, random: Random) -> Self:
        left, right = list(self.pairs), list(self._right_items())
        random.shuffle(left)
        random.shuffle(right)
        return self.model_copy(update={"left": tuple(left), "right": tuple(right)})

    @override
    def choices(self) -> dict[str, Text]:
        items = self._right_items()
        numbered = {str(n): self.pairs[key].left for n, key in enumerate(self._left(), start=1)}
        return {**numbered, **{letter: items[key] for letter, key in self._letters().items()}}

    @override
    def expects(self) -> Message:
        letters = [*self._letters()]
        example = " ".join(f"{n + 1}{letters[(n + 2) % len(letters)]}" for n in range(len(self.pairs)))
        return Message("a letter for each number, as in {pairs}", pairs=example)

    @override
    def read(self, given: Any) -> list[str]:
        if isinstance(given, dict):
            given = [f"{number}{letter}" for number, letter in given.items()]
        if isinstance(given, list | tuple):
            given = " ".join(map(str, given))
        if not isinstance(given, str):
            raise NotAnAnswer(Message("{given} is no pairs such as 1C 2A.", given=quoted(given)))
        text = unicodedata.normalize("NFKC", given).upper()
        text = re.sub(r"\s*(?:->|[-=:.→])\s*", "", text)
        found: dict[str, str] = {}
        for word in re.findall(r"[0-9]+\s*[A-Z]|[^\s,;、]+", text):
            number, letter = word[:-1].strip(), word[-1]
            if not number.isdecimal() or not 1 <= int(number) <= len(self.pairs) or letter not in self._letters():
                last, numbers = list(self._letters())[-1], len(self.pairs)
                raise NotAnAnswer(
                    Message(
                        "{given} is no pair: there are 1 to {numbers} and A to {last}.",
                        given=quoted(word),
                        numbers=numbers,
                        last=last,
                    )
                )
            key = self._left()[int(number) - 1]
            if key in found or self._letters()[letter] in found.values():
                twice = str(int(number)) if key in found else letter
                raise NotAnAnswer(Message("{letter} is there twice.", letter=twice))
            found[key] = self._letters()[letter]
        missing = " ".join(str(n) for n, key in enumerate(self._left(), start=1) if key not in found)
        if missing:
            raise NotAnAnswer(Message("{numbers} is missing: each number needs a letter.", numbers=missing))
        return [f"{key}={found[key]}" for key in self.pairs]

    @override
    def is_right(self, answer: Answer) -> bool:
        return answer == self.right_answer()

    @override
    def credit(self, answer: Answer) -> float:
        if not isinstance(answer, list):
            return 0.0
        by_chance = 1 / len(self._right_items())
        share = len(set(answer) & set(self.right_answer())) / len(self.pairs)
        return max(0.0, (share - by_chance) / (1 - by_chance))

    @override
    def right_answer(self) -> list[str]:
        return [f"{key}={key}" for key in self.pairs]

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        given = dict(pair.split("=", 1) for pair in answer if "=" in pair) if isinstance(answer, list) else {}
        letters, items = {key: letter for letter, key in self._letters().items()}, self._right_items()
        pairs = [(n, key, given.get(key, "")) for n, key in enumerate(self._left(), start=1)]
        colon = "：" if lang == "zh" else ": "
        return "\n".join(
            f"{n}{letters[right]}  {say(self.pairs[left].left, lang)}{colon}{say(items[right], lang)}"
            for n, left, right in pairs
            if right in items
        )

    def _right_items(self) -> dict[str, Text]:
        return {**{key: pair.right for key, pair in self.pairs.items()}, **self.decoys}

    def _left(self) -> tuple[str, ...]:
        return self.left or tuple(self.pairs)

    def _letters(self) -> dict[str, str]:
        return dict(zip(string.ascii_uppercase, self.right or self._right_items(), strict=False))
