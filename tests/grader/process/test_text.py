from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.grader.process.text import printable


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[2J",  # clears the screen
        "\x1b]0;title\x07",  # renames the window
        "\r",  # writes over the line
        "\x08",
        "\x00",
        "\x7f",
        "\x9b31m",  # the one-byte form of ESC [
        "\u202e",  # reverses the direction of the following text
        "\u2066",
        "\u200b",
        "\ufeff",
        "\ud800",  # half a surrogate pair: cannot be encoded
        "\ue000",
        "\U000e0041",
    ],
)
def test_what_steers_a_terminal_is_replaced(text: str) -> None:
    replaced = printable(f"a{text}b")
    assert replaced.startswith("a\N{REPLACEMENT CHARACTER}")
    assert replaced.endswith("b")
    assert replaced.encode()


@pytest.mark.parametrize(
    "text", ["", "Hello, world\n\tindented", "加权平均 λ² – ‘quoted’ é 🙂", "\N{REPLACEMENT CHARACTER}"]
)
def test_readable_text_is_left_alone(text: str) -> None:
    assert printable(text) == text


@given(st.text(st.characters()))
def test_every_text_keeps_its_length_and_is_clean_after_once(text: str) -> None:
    once = printable(text)
    assert len(once) == len(text)
    assert printable(once) == once
    assert once.encode().decode() == once
