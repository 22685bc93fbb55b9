from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundup.cli.layout import line_width, padded, table, width, wrapped

RED = "\x1b[31mred\x1b[0m"


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")


@pytest.mark.parametrize(
    ("text", "places"),
    [("", 0), ("gae", 3), ("优势", 4), ("（GAE）", 7), (RED, 3), ("é", 1), ("e\u0301", 1), ("λ·π", 3)],
)
def test_width_counts_places_rather_than_characters(text: str, places: int) -> None:
    assert width(text) == places
    assert width(padded(text, 12)) == 12


def test_what_is_wider_already_is_left_alone() -> None:
    assert padded("优势优势", 3) == "优势优势"


def test_lines_wrap_at_spaces_under_the_first() -> None:
    assert wrapped("one two three", first="- ", places=9) == "- one two\n  three"
    assert wrapped("one two three", first="- ", rest="", places=9) == "- one two\nthree"
    assert wrapped(f"{RED} {RED}", first="- ", places=9) == f"- {RED} {RED}"


def test_a_path_that_is_wider_than_a_line_stays_whole() -> None:
    assert wrapped("in /a/very/long/path here", places=8) == "in\n/a/very/long/path\nhere"


def test_chinese_wraps_between_characters_but_never_before_a_stop() -> None:
    assert wrapped("回合结束就断开。", places=8) == "回合结束\n就断开。"
    assert wrapped("回合结束，断开。", places=8) == "回合结\n束，断\n开。"
    assert wrapped("按 gamma 乘", places=8) == "按 gamma\n乘"


def test_line_ends_inside_a_text_are_spaces() -> None:
    assert wrapped("one\ntwo", first="  ") == "  one two"


def test_spaces_inside_a_line_are_kept() -> None:
    assert wrapped("a   b  c") == "a   b  c"


def test_an_empty_text_is_its_label() -> None:
    assert wrapped("", first="got  ") == "got"


@given(
    text=st.text(alphabet="ab 优势，。（）gae", max_size=60),
    places=st.integers(8, 40),
    first=st.sampled_from(["", "- ", "  ✓ "]),
)
def test_wrapping_loses_nothing_and_keeps_to_its_places(text: str, places: int, first: str) -> None:
    lines = wrapped(text, first=first, places=places).split("\n")
    assert "".join("".join(lines).split()) == "".join((first + text).split())
    for line in lines:
        unbreakable = [p for p in line.strip().split(" ") if width(p) > places - width(first) - 4]
        assert width(line) <= places or unbreakable


def test_columns_align_over_chinese_and_long_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    rows = [("rl/gae", "优势", "new"), ("alignment/direct-preference", "x", "there already")]
    lines = list(table(rows, indent="  "))
    assert [width(line.partition(word)[0]) for line, word in zip(lines, ("new", "there"), strict=True)] == [37, 37]


def test_the_last_column_wraps_under_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    lines = "\n".join(table([("gae", "word " * 12)], indent="")).split("\n")
    assert [line[:5] for line in lines] == ["gae  ", "     "]
    assert max(map(width, lines)) <= 50


def test_a_last_column_without_room_goes_below() -> None:
    assert list(table([("x" * 30, "there already, left as it is")])) == [
        "  " + "x" * 30,
        "      there already, left as it is",
    ]


def test_an_empty_table_is_no_lines() -> None:
    assert list(table([])) == []


@pytest.mark.parametrize(("columns", "places"), [("10", 30), ("60", 60), ("300", 100)])
def test_lines_are_as_wide_as_the_terminal_within_reason(
    monkeypatch: pytest.MonkeyPatch, columns: str, places: int
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert line_width() == places
