from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundup.core.models import ALPHABET, SPECIAL, Tokenizer

CHAT = Tokenizer("abc<|>im_strpden \n", ("<|pad|>", "<|im_start|>", "<|end|>"))
PIECES = st.sampled_from([*CHAT.special, *CHAT.alphabet])
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@given(text=st.text(ALPHABET))
def test_decoding_gives_back_what_was_encoded(text: str) -> None:
    ids = Tokenizer().encode(text)
    assert Tokenizer().decode(ids) == Tokenizer().decode(torch.tensor(ids, dtype=torch.long)) == text
    assert len(ids) == len(text)


@given(text=TEXTS)
def test_text_becomes_a_special_token_only_where_that_is_allowed(text: str) -> None:
    ids = CHAT.encode(text)
    assert min(ids, default=99) >= len(CHAT.special)
    assert CHAT.decode(ids) == text
    allowed = CHAT.encode(text, allowed_special=("<|im_start|>",))
    assert CHAT.decode(allowed) == text
    assert {number for number in allowed if number < 3} <= {1}
    assert allowed.count(1) == text.count("<|im_start|>")


@given(pieces=st.lists(st.integers(0, CHAT.vocab_size - 1), max_size=12))
def test_all_tokens_can_be_written_and_read_back(pieces: list[int]) -> None:
    text = CHAT.decode(pieces)
    assert CHAT.decode(CHAT.encode(text, allowed_special=CHAT.special)) == text
    assert CHAT.decode(pieces, skip_special=True) == "".join(CHAT.alphabet[n - 3] for n in pieces if n >= 3)


def test_ids_are_special_tokens_then_characters() -> None:
    words = Tokenizer()
    assert words.vocab_size == len(SPECIAL) + len(ALPHABET)
    assert [words.id(name) for name in SPECIAL] == list(range(len(SPECIAL)))
    assert words.encode("0~") == [len(SPECIAL), words.vocab_size - 1]
    assert (words.pad, words.end) == (0, 2)


def test_the_longest_of_several_names_is_read() -> None:
    words = Tokenizer("<a>b", ("<a>", "<a><b>"))
    assert words.encode("<a><b><a>b", allowed_special=words.special) == [1, 0, words.encode("b")[0]]


def test_what_is_no_token_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'Q' is not in the alphabet"):
        Tokenizer().encode("1Q")
    with pytest.raises(ValueError, match=r"no special token '<\|nobody\|>'"):
        Tokenizer().encode("1", allowed_special=["<|nobody|>"])
    with pytest.raises(ValueError, match="twice"):
        Tokenizer("aa").encode("a")
    with pytest.raises(KeyError):
        Tokenizer().decode([-100])


def test_rows_are_filled_up_on_either_side() -> None:
    words = Tokenizer()
    ids, mask = words.pad_rows([[9, 8], [], [7, 7, 7]])
    assert ids.tolist() == [[9, 8, 0], [0, 0, 0], [7, 7, 7]]
    assert mask.tolist() == [[True, True, False], [False] * 3, [True] * 3]
    ids, mask = words.pad_rows([[9, 8], [7, 7, 7]], side="left")
    assert ids.tolist() == [[0, 9, 8], [7, 7, 7]]
    assert mask.tolist() == [[False, True, True], [True] * 3]
    assert words.pad_rows([])[0].shape == (0, 0)
