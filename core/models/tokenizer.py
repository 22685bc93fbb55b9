"""A tokenizer of characters and special tokens. Text never becomes a special token unless the caller allows it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from groundup.core.plain import plain

__all__ = ["ALPHABET", "SPECIAL", "Tokenizer"]

PAD, BEGIN, END = "<|pad|>", "<|begin|>", "<|end|>"
SPECIAL = (PAD, BEGIN, END, "<|system|>", "<|user|>", "<|assistant|>", "<|tool|>")
"""The special tokens by default: padding, the begin of a text, the end of a text or a turn, and one for each role."""
ALPHABET = "0123456789abcdefghij+=<^()[]{}~"
"""The characters by default: those of the tasks in ``groundup.core.models``."""


@plain
@dataclass(frozen=True, eq=False)
class Tokenizer:
    """One token for each character of ``alphabet``, and special tokens, which have names.

    Special tokens have the ids from 0 on, in their order, then come the characters in theirs. No text that is encoded
    contains a special token, even where it spells the name of one: that is so many characters. Only the names in
    ``allowed_special`` are read as tokens, so that a program can put them into a template, and a user cannot.
    """

    alphabet: str = ALPHABET
    special: tuple[str, ...] = SPECIAL

    @property
    def vocab_size(self) -> int:
        """The number of tokens."""
        return len(self.special) + len(self.alphabet)

    @property
    def pad(self) -> int:
        """The id of the token that fills rows up."""
        return self.id(PAD)

    @property
    def end(self) -> int:
        """The id of the token that ends an answer."""
        return self.id(END)

    def id(self, name: str) -> int:
        """Return the id of the special token ``name``. Raises ValueError if there is none."""
        if name not in self.special:
            raise ValueError(f"no special token {name!r}: there are {', '.join(self.special)}")
        return self.special.index(name)

    def encode(self, text: str, allowed_special: Collection[str] = ()) -> list[int]:
        """Return the ids of the characters of ``text``, and of the special tokens in it whose names are allowed.

        Where several names begin at one place, the longest is read. Raises ValueError for a character that is not in
        the alphabet, and for an allowed name that is no special token.
        """
        ids = _ids(self.alphabet, self.special)
        if unknown := sorted(set(allowed_special) - set(self.special)):
            self.id(unknown[0])
        if allowed_special:
            names = sorted(allowed_special, key=len, reverse=True)
            pieces: Iterable[str] = re.findall("|".join([*map(re.escape, names), "(?s:.)"]), text)
        else:
            pieces = text
        try:
            return [ids[piece] for piece in pieces]
        except KeyError as error:
            raise ValueError(f"the character {error.args[0]!r} is not in the alphabet") from None

    def decode(self, ids: Sequence[int] | Tensor, skip_special: bool = False) -> str:
        """Return the text of ``ids``. Special tokens are written by their names, or left out.

        Raises KeyError for a number that is no token.
        """
        names = [""] * len(self.special) if skip_special else self.special
        words = dict(enumerate([*names, *self.alphabet]))
        return "".join(words[number] for number in (ids.tolist() if isinstance(ids, Tensor) else ids))

    def pad_rows(self, rows: Sequence[Sequence[int]], side: str = "right") -> tuple[Tensor, Tensor]:
        """Return rows of ids as a tensor (B, T), filled up on the ``side``, and a mask (B, T): True at real tokens."""
        longest = max(map(len, rows), default=0)
        filled, mask = [], []
        for row in rows:
            fill = longest - len(row)
            before, after = (fill, 0) if side == "left" else (0, fill)
            filled.append([*[self.pad] * before, *row, *[self.pad] * after])
            mask.append([*[False] * before, *[True] * len(row), *[False] * after])
        ids, real = torch.tensor(filled, dtype=torch.long), torch.tensor(mask, dtype=torch.bool)
        return ids.reshape(len(rows), longest), real.reshape(len(rows), longest)


@lru_cache(maxsize=64)
def _ids(alphabet: str, special: tuple[str, ...]) -> dict[str, int]:
    if len(set(alphabet)) != len(alphabet) or len(set(special)) != len(special):
        raise ValueError("a character of the alphabet, or a special token, is there twice")
    if single := [name for name in special if len(name) < 2]:
        raise ValueError(f"a special token has a name of two characters or more, unlike {single[0]!r}")
    return {piece: number for number, piece in enumerate((*special, *alphabet))}
