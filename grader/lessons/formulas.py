r"""Formulas of lessons: LaTeX as MathML for a page, and as readable Unicode text for a terminal.

The library math-core turns LaTeX into MathML Core; the text is written from that MathML. So one parser reads a formula,
and what one view shows, the other shows too. Nothing is dropped silently: what has no form as text is an error.
The text keeps what a formula says: ``A_{t+1}`` is ``A_(t+1)`` or ``Aₜ₊₁``, a fraction's parts have brackets.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree

from groundup.core.errors import GroundupError
from groundup.grader.lessons.columns import padded, width

__all__ = ["FormulaProblem", "as_lines", "as_mathml", "as_text"]

SUBSCRIPTS = dict(zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
SUPERSCRIPTS = dict(zip("0123456789+-−=()⊤Tijklmnt", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵀᵀⁱʲᵏˡᵐⁿᵗ", strict=True))
ACCENTS = {
    "ˆ": "\u0302", "^": "\u0302", "\u0302": "\u0302", "¯": "\u0304", "‾": "\u0304", "ˉ": "\u0304", "\u0304": "\u0304",
    "\u0332": "\u0304", "˜": "\u0303", "~": "\u0303", "\u0303": "\u0303", "˙": "\u0307", "\u0307": "\u0307",
    "→": "\u20d7", "⃗": "\u20d7",
}  # fmt: skip
ACCENT_NAMES = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde", "\u0307": "dot", "\u20d7": "vec"}
OPENING, CLOSING = "([{⟨⌊⌈", ")]}⟩⌋⌉"
LARGE = "∑∏∐∫⋃⋂⨁⨂"
INVISIBLE = "\u2061\u2062\u2063\u2064"
TALL = {
    "(": "⎛⎜⎝", ")": "⎞⎟⎠", "[": "⎡⎢⎣", "]": "⎤⎥⎦", "|": "│││", "‖": "║║║",
}  # fmt: skip
SIGNS = "−+-±∓"
_ENTITY = re.compile(r"&(?!lt;|gt;|amp;|quot;|apos;|#)([A-Za-z]+;)")


class FormulaProblem(GroundupError):
    """A formula that cannot be read, or has no form in one of the two views."""


@functools.lru_cache(maxsize=2048)
def as_mathml(latex: str, *, display: bool = False) -> str:
    """Return the ``<math>`` element of a formula. Raises FormulaProblem."""
    import math_core

    try:
        found = _converter().convert_with_local_state(latex, displaystyle=display)
    except math_core.LatexError as error:
        why = re.sub(r"^\d+(:\d+)?: *", "", str(error).strip().removeprefix("Error:").strip()).rstrip(".")
        raise FormulaProblem("the formula {latex!r} cannot be read: {why}", latex=latex, why=why) from error
    return str(found).replace("\ufe00", "")


@functools.cache
def _converter() -> Any:
    import math_core

    return math_core.LatexToMathML(fancy_error=False)


def as_text(latex: str) -> str:
    """Return an inline formula as one line of text. Raises FormulaProblem."""
    lines = as_lines(latex)
    if len(lines) != 1:
        raise FormulaProblem("the formula {latex!r} takes several lines: make it a display formula", latex=latex)
    return lines[0]


@functools.lru_cache(maxsize=2048)
def as_lines(latex: str) -> tuple[str, ...]:
    """Return a formula as lines of text: one, unless it has rows, as ``aligned`` has. Raises FormulaProblem."""
    mathml = _ENTITY.sub(lambda found: _entity(found[1]), as_mathml(latex, display=True))
    try:
        box = _joined(_items(ElementTree.fromstring(mathml)))
    except _NoText as error:
        raise FormulaProblem(
            "the formula {latex!r} has no form in a terminal, because of {what}: write it otherwise",
            latex=latex, what=str(error),
        ) from error  # fmt: skip
    return tuple(
        unicodedata.normalize("NFC", line.rstrip()).replace("...", "…").replace(": =", ":=") for line in box.lines
    )


class _NoText(Exception):
    """What a terminal cannot show."""


@dataclass(frozen=True)
class _Box:
    """Lines of text; the one numbered ``base`` stands on the line of what is beside it."""

    lines: Sequence[str]
    base: int = 0

    @property
    def text(self) -> str:
        if len(self.lines) != 1:
            raise _NoText("rows inside a script or a fraction")
        return self.lines[0]

    @property
    def width(self) -> int:
        return max(map(width, self.lines), default=0)


@dataclass(frozen=True)
class _Item:
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
    box: _Box = field(default_factory=lambda: _Box([""]))


def _items(node: ElementTree.Element) -> list[_Item]:
    """Return the parts of an element."""
    tag = node.tag.rpartition("}")[2]
    if tag in ("math", "mrow", "mstyle", "mpadded", "mtd", "semantics"):
        return _of_row(list(node))
    written = _WRITERS.get(tag)
    if written is None:
        raise _NoText(f"<{tag}>")
    return written(node)


def _of_row(children: list[ElementTree.Element]) -> list[_Item]:
    if found := _fenced_rows(children):
        return found
    items: list[_Item] = []
    for child in children:
        if child.tag == "mo" and (child.text or "") in INVISIBLE:
            if child.text == "\u2061" and items:
                last = items[-1]
                items[-1] = _Item(last.text, last.kind, last.short, last.scripted, takes=True, box=last.box)
            continue
        items += _items(child)
    return items


def _word(node: ElementTree.Element) -> list[_Item]:
    text = "".join(_plain(character) for character in node.text or "")
    short = (len(text) == 1 and text.isalpha()) or node.tag == "mn" or text in "∂∇∞"
    return [_Item(text, short=short)]


def _plain(character: str) -> str:
    """Return a bold or slanted letter as the letter; double-struck and script letters stay, for they say something."""
    name = unicodedata.name(character, "")
    if name.startswith("MATHEMATICAL") and not re.search("DOUBLE-STRUCK|SCRIPT|FRAKTUR", name):
        return unicodedata.normalize("NFKC", character)
    return character


def _text(node: ElementTree.Element) -> list[_Item]:
    return [_Item((node.text or "").replace("\xa0", " "))]


def _space(node: ElementTree.Element) -> list[_Item]:
    found = re.fullmatch(r"([\d.]+)em", node.get("width", ""))
    size = float(found[1]) if found else 0.0
    return [_Item("  " if size >= 1 else " ", "space")] if size > 0.1 else []


def _operator(node: ElementTree.Element) -> list[_Item]:
    text = (node.text or "").replace("∣", "|")
    form, tight = node.get("form"), node.get("lspace") == "0" and node.get("rspace") == "0"
    if text in "|‖∥" and form:
        return [_Item(text, "open" if form == "prefix" else "close")]
    if text in "|‖∥":
        return [_Item(text, "bar" if node.get("lspace") == "0" else "operator")]
    if text in (".", "⋯", "…", "⋮"):
        return [_Item(text, "dots")]
    if text in OPENING:
        return [_Item(text, "open")]
    if text in CLOSING:
        return [_Item(text, "close")]
    if text in LARGE:
        return [_Item(text, "large")]
    if text in ",;":
        return [_Item(text, "tight" if node.get("rspace") == "0" else "comma")]
    if text in ("′", "!", "″"):
        return [_Item(text, "close")]
    if text.isalpha():  # a function, as math-core writes it at the beginning of a cell
        return [_Item(text, takes=True)]
    return [_Item(text, "tight" if tight or text == "/" else "operator")]


def _fraction(node: ElementTree.Element) -> list[_Item]:
    above, below = (_items(child) for child in node)
    if node.get("linethickness") == "0":
        return [_Item(f"{_line(above)} choose {_line(below)}", "fraction")]
    brackets = (_has_operator(above), len(below) > 1 and not _is_fenced(below) and not _is_call(below))
    parts = [
        f"({text})" if bracket else text for text, bracket in zip((_line(above), _line(below)), brackets, strict=True)
    ]
    return [_Item((" / " if " " in "".join(parts) else "/").join(parts), "fraction")]


def _root(node: ElementTree.Element) -> list[_Item]:
    if node.tag == "mroot":
        inside, degree = (_items(child) for child in node)
        sign = "".join(SUPERSCRIPTS.get(character, "?") for character in _line(degree)) + "√"
        if "?" in sign:
            raise _NoText("a root of that degree")
    else:
        inside, sign = _of_row(list(node)), "√"
    text = _line(inside)
    return [_Item(sign + (text if len(inside) == 1 and inside[0].kind == "word" else f"({text})"))]


def _scripts(node: ElementTree.Element) -> list[_Item]:
    """Write sub- and superscripts, or the limits of a sum."""
    children = list(node)
    under = children[1] if node.tag in ("msub", "munder", "msubsup", "munderover") else None
    over = children[2] if len(children) > 2 else None if under is not None else children[1]
    if node.get("accent") == "true" and over is not None:
        return [_accented(children[0], over)]
    if node.get("accentunder") == "true" or any(_is_brace(child) for child in (under, over)):
        raise _NoText("a brace or a line under or over a part")
    base = _items(children[0])
    text = _line(base)
    if len(base) != 1 or base[0].kind in ("fraction", "operator"):
        text, base = f"({text})", [_Item(text, "close")] if base else [_Item("")]
    short = base[0].short
    for script, sign, known in ((under, "_", SUBSCRIPTS), (over, "^", SUPERSCRIPTS)):
        if script is not None:
            written = _script(script, sign, known)
            short = short and written[0] != sign
            text += written
    kind = base[0].kind if base[0].kind in ("close", "large") else "word"
    return [_Item(text, kind, short, scripted=True)]


def _is_brace(node: ElementTree.Element | None) -> bool:
    return node is not None and node.tag == "mo" and (node.text or "") in "⏞⏟⏠⏡⎴⎵"


def _script(node: ElementTree.Element, sign: str, known: dict[str, str]) -> str:
    text = _line(_items(node)).replace(", ", ",").strip()
    if text and set(text) <= set("′″"):
        return text
    if text == "∗":
        return sign + "*"
    if not text.isalpha() or len(text) == 1:  # a word, such as 'old', stays one
        raised = [known.get(character, "") for character in text]
        if all(raised):
            return "".join(raised)
    return sign + (text if text.isalnum() or len(text) == 1 else f"({text})")


def _accented(base: ElementTree.Element, over: ElementTree.Element) -> _Item:
    accent = ACCENTS.get(over.text or "")
    if accent is None:
        raise _NoText(f"the accent {over.text}")
    items = _items(base)
    text = _line(items)
    if len(text) == 1:
        return _Item(text + accent, short=True)
    return _Item(f"{ACCENT_NAMES[accent]}({text})")


def _rows(node: ElementTree.Element) -> list[_Item]:
    return [_Item("", "rows", box=_table(node))]


def _table(node: ElementTree.Element) -> _Box:
    """Write the rows of ``aligned``, ``cases`` or a matrix, with the columns below each other."""
    rows = [[_joined(_items(cell), first=number == 0) for number, cell in enumerate(row)] for row in node]
    count = max(map(len, rows), default=0)
    wide = [max((row[n].width for row in rows if n < len(row)), default=0) for n in range(count)]
    styles = [cell.get("style", "") for cell in next(iter(node), [])]
    together = any("text-align: right" in style for style in styles)  # aligned: no gap at the signs
    lines: list[str] = []
    for row in rows:
        base, below = max(box.base for box in row), max(len(box.lines) - box.base for box in row)
        high = [[""] * (base - box.base) + list(box.lines) for box in row]
        for number in range(base + below):
            cells = [column[number] if number < len(column) else "" for column in high]
            line = ""
            for n, cell in enumerate(cells):
                right = n < len(styles) and "text-align: right" in styles[n]
                gap = "" if n == 0 else " " if together and not right else "   "
                line += gap + (" " * (wide[n] - width(cell)) + cell if right else padded(cell, wide[n]))
            lines.append(line)
    return _Box(lines, (len(lines) - 1) // 2)


def _fenced_rows(children: list[ElementTree.Element]) -> list[_Item]:
    """Return ``cases`` or a matrix, with brackets as tall as it; nothing if this is none."""
    inner = [child for child in children if child.tag == "mtable"]
    if len(inner) != 1 or len(children) != 3 or children[1] is not inner[0]:
        return []
    box = _table(inner[0])
    left, right = (_tall(child.text or "", len(box.lines)) for child in (children[0], children[2]))
    lines = [" ".join(filter(None, (left[n], padded(line, box.width), right[n]))) for n, line in enumerate(box.lines)]
    return [_Item("", "rows", box=_Box(lines, box.base))]


def _tall(sign: str, count: int) -> list[str]:
    if sign in INVISIBLE or sign == ".":
        return [""] * count
    if count == 1:
        return [sign]
    if sign == "{":
        return (
            ["⎧", "⎩"]
            if count == 2
            else ["⎧", *("⎨" if n == (count - 1) // 2 else "⎪" for n in range(1, count - 1)), "⎩"]
        )
    if sign not in TALL:
        raise _NoText(f"a tall {sign}")
    top, middle, bottom = [*TALL[sign]]
    return [top, *[middle] * (count - 2), bottom]


_WRITERS = {
    "mi": _word, "mn": _word, "mtext": _text, "ms": _text, "mspace": _space, "mo": _operator, "mfrac": _fraction,
    "msqrt": _root, "mroot": _root, "msub": _scripts, "msup": _scripts, "msubsup": _scripts, "munder": _scripts,
    "mover": _scripts, "munderover": _scripts, "mtable": _rows,
}  # fmt: skip


# Rows of parts


def _line(items: Sequence[_Item]) -> str:
    return _joined(items).text


def _joined(items: Sequence[_Item], *, first: bool = True) -> _Box:
    """Put parts beside each other, with the spaces that the signs ask for."""
    box = _Box([""])
    before: _Item | None = None
    for number, given in enumerate(items):
        after = items[number + 1] if number + 1 < len(items) else None
        item = given
        if item.kind == "fraction" and _is_factor(before, after):
            item = _Item(f"({item.text})", "bracketed", takes=item.takes)
        if item.text in SIGNS and item.kind in ("operator", "tight") and _is_sign(before) and (first or before):
            item = _Item(item.text, "prefix")
        gap = _gap(before, item, box)
        box = _beside(box, gap, item.box if item.kind == "rows" else _Box([item.text]))
        before = item
    return box


def _gap(before: _Item | None, item: _Item, box: _Box) -> str:
    """Return the space between two parts."""
    if before is None or "space" in (before.kind, item.kind) or before.text[-1:] == " " or item.text[:1] == " ":
        return ""
    left, right = before.kind, item.kind
    if left == "dots" and right == "dots":
        return "" if before.text == item.text == "." else " "
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


def _digits(item: _Item) -> bool:
    return item.text[:1].isdigit()


def _is_factor(before: _Item | None, after: _Item | None) -> bool:
    """Whether a fraction between these parts is multiplied, without a sign, or divides."""
    factors = ("word", "fraction", "bracketed", "large", "bar", "rows")
    left = before is not None and (before.kind in (*factors, "close") or before.text == "/")
    return left or (after is not None and (after.kind in (*factors, "open") or after.text == "/"))


def _is_sign(before: _Item | None) -> bool:
    """Whether a plus or minus after this part is a sign and does not join two parts."""
    return before is None or before.kind in ("open", "operator", "comma", "large")


def _has_operator(items: Sequence[_Item]) -> bool:
    """Whether there is an operator outside of all brackets."""
    depth = 0
    for item in items:
        depth += (item.kind == "open") - (item.kind == "close" and item.text[:1] in CLOSING + "|‖")
        if depth == 0 and item.kind in ("operator", "tight", "comma", "large", "fraction", "dots"):
            return len(items) > 1
    return False


def _is_fenced(items: Sequence[_Item]) -> bool:
    """Whether the first bracket closes at the end."""
    depth = 0
    for number, item in enumerate(items):
        depth += (item.kind == "open") - (item.kind == "close" and item.text[:1] in CLOSING + "|‖")
        if depth == 0:
            return number == len(items) - 1 and item.kind == "close"
    return False


def _is_call(items: Sequence[_Item]) -> bool:
    return items[0].kind == "word" and _is_fenced(items[1:])


def _beside(left: _Box, gap: str, right: _Box) -> _Box:
    if len(left.lines) == len(right.lines) == 1:
        return _Box([left.lines[0] + gap + right.lines[0]])
    base = max(left.base, right.base)
    high = max(base - box.base + len(box.lines) for box in (left, right))
    parts = [
        [*[""] * (base - box.base), *box.lines, *[""] * (high - (base - box.base) - len(box.lines))]
        for box in (left, right)
    ]
    wide = left.width + len(gap)
    return _Box([padded(a, wide) + b for a, b in zip(*parts, strict=True)], base)


def _entity(name: str) -> str:
    from html.entities import html5

    if name not in html5:
        raise _NoText(f"&{name}")
    return html5[name]
