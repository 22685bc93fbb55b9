"""The parts of a formula as text: what stands in a row, and the spaces that its signs ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from groundup.grader.lessons.columns import padded, width

__all__ = ["CLOSING", "OPENING", "Box", "Item", "NoText", "has_operator", "in_a_line", "is_call", "is_fenced", "joined"]

OPENING, CLOSING = "([{⟨⌊⌈", ")]}⟩⌋⌉"
SIGNS = "−+-±∓"


class NoText(Exception):
    """What a terminal cannot show."""


@dataclass(frozen=True)
class Box:
    """Lines of text; the one numbered ``base`` stands on the line of what is beside it."""

    lines: Sequence[str]
    base: int = 0

    @property
    def text(self) -> str:
        """The only line. Raises NoText if there are several."""
        if len(self.lines) != 1:
            raise NoText("rows inside a script or a fraction")
        return self.lines[0]

    @property
    def width(self) -> int:
        """The columns of the longest line."""
        return max(map(width, self.lines), default=0)


@dataclass(frozen=True)
class Item:
    """A part of a formula in a row of parts.

    ``kind`` is word, open, close, operator, tight (an operator without spaces), comma, large (a sum), space, bar,
    fraction or rows.
    """

    text: str
    kind: str = "word"
    short: bool = False
    """Whether it is one letter or a number, perhaps with Unicode scripts: what stands beside the next without space."""
    scripted: bool = False
    takes: bool = False
    """Whether it is a function whose argument follows."""
    box: Box = field(default_factory=lambda: Box([""]))


def in_a_line(items: Sequence[Item]) -> str:
    """Return parts as one line. Raises NoText if they take several."""
    return joined(items).text


def joined(items: Sequence[Item], *, first: bool = True) -> Box:
    """Put parts beside each other, with the spaces that the signs ask for."""
    box = Box([""])
    before: Item | None = None
    for number, given in enumerate(items):
        after = items[number + 1] if number + 1 < len(items) else None
        item = given
        if item.kind == "fraction" and _is_factor(before, after):
            item = Item(f"({item.text})", "bracketed", takes=item.takes)
        if item.text in SIGNS and item.kind in ("operator", "tight") and _is_sign(before) and (first or before):
            item = Item(item.text, "prefix")
        gap = _gap(before, item, box)
        box = _beside(box, gap, item.box if item.kind == "rows" else Box([item.text]))
        before = item
    return box


def _gap(before: Item | None, item: Item, box: Box) -> str:
    """Return the space between two parts."""
    if before is None or "space" in (before.kind, item.kind) or before.text[-1:] == " " or item.text[:1] == " ":
        return ""
    left, right = before.kind, item.kind
    if "tight" in (left, right) or left in ("open", "prefix") or right in ("close", "comma"):
        return ""
    if {"operator", "comma", "large", "rows", "dots"} & {left, right}:
        return " "
    if "bar" in (left, right):
        return ""
    if right == "open":
        return ""
    if right == "bracketed":
        return "" if before.takes else " "
    if left in ("close", "bracketed"):
        return " "
    return "" if before.short and item.short and not before.scripted and not _digits(item) else " "


def _digits(item: Item) -> bool:
    return item.text[:1].isdigit()


def _is_factor(before: Item | None, after: Item | None) -> bool:
    """Whether a fraction between these parts is multiplied, without a sign, or divides."""
    factors = ("word", "fraction", "bracketed", "large", "bar", "rows")
    left = before is not None and (before.kind in (*factors, "close") or before.text == "/")
    return left or (after is not None and (after.kind in (*factors, "open") or after.text == "/"))


def _is_sign(before: Item | None) -> bool:
    """Whether a plus or minus after this part is a sign and does not join two parts."""
    return before is None or before.kind in ("open", "operator", "comma", "large")


def has_operator(items: Sequence[Item]) -> bool:
    """Whether there is an operator outside of all brackets."""
    depth = 0
    for item in items:
        depth += (item.kind == "open") - (item.kind == "close" and item.text[:1] in CLOSING + "|‖")
        if depth == 0 and item.kind in ("operator", "tight", "comma", "large", "fraction", "dots"):
            return len(items) > 1
    return False


def is_fenced(items: Sequence[Item]) -> bool:
    """Whether the first bracket closes at the end."""
    depth = 0
    for number, item in enumerate(items):
        depth += (item.kind == "open") - (item.kind == "close" and item.text[:1] in CLOSING + "|‖")
        if depth == 0:
            return number == len(items) - 1 and item.kind == "close"
    return False


def is_call(items: Sequence[Item]) -> bool:
    """Whether it is a function with its argument in brackets."""
    return items[0].kind == "word" and is_fenced(items[1:])


def _beside(left: Box, gap: str, right: Box) -> Box:
    if len(left.lines) == len(right.lines) == 1:
        return Box([left.lines[0] + gap + right.lines[0]])
    base = max(left.base, right.base)
    high = max(base - box.base + len(box.lines) for box in (left, right))
    parts = [
        [*[""] * (base - box.base), *box.lines, *[""] * (high - (base - box.base) - len(box.lines))]
        for box in (left, right)
    ]
    wide = left.width + len(gap)
    return Box([padded(a, wide) + b for a, b in zip(*parts, strict=True)], base)
