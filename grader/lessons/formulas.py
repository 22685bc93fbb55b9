r"""Formulas of lessons: LaTeX as MathML for a page, and as readable Unicode text for a terminal.

The library math-core turns LaTeX into MathML Core; the text is written from that MathML. So one parser reads a formula,
and what one view shows, the other shows too. Nothing is dropped silently: what has no form as text is an error.
The text keeps what a formula says: ``A_{t+1}`` is ``A_(t+1)`` or ``Aₜ₊₁``, a fraction's parts have brackets.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any
from xml.etree import ElementTree

from groundup.core.errors import GroundupError
from groundup.grader.lessons.columns import padded, width
from groundup.grader.lessons.formula_parts import (
    CLOSING,
    OPENING,
    Box,
    Item,
    NoText,
    has_operator,
    in_a_line,
    is_call,
    is_fenced,
    joined,
)  # fmt: skip

__all__ = ["FormulaProblem", "as_lines", "as_mathml", "as_text"]

SUBSCRIPTS = dict(zip("0123456789+-−=()aehijklmnoprstuvx", "₀₁₂₃₄₅₆₇₈₉₊₋₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓ", strict=True))
SUPERSCRIPTS = dict(zip("0123456789+-−=()⊤Tijklmnt", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁼⁽⁾ᵀᵀⁱʲᵏˡᵐⁿᵗ", strict=True))
ACCENTS = {
    "ˆ": "\u0302", "^": "\u0302", "\u0302": "\u0302", "¯": "\u0304", "‾": "\u0304", "ˉ": "\u0304", "\u0304": "\u0304",
    "\u0332": "\u0304", "˜": "\u0303", "~": "\u0303", "\u0303": "\u0303", "˙": "\u0307", "\u0307": "\u0307",
    "→": "\u20d7", "⃗": "\u20d7",
}  # fmt: skip
ACCENT_NAMES = {"\u0302": "hat", "\u0304": "bar", "\u0303": "tilde", "\u0307": "dot", "\u20d7": "vec"}
LARGE = "∑∏∐∫⋃⋂⨁⨂"
ELLIPSES = {".": "…", "·": "⋯"}
INVISIBLE = "\u2061\u2062\u2063\u2064"
TALL = {
    "(": "⎛⎜⎝", ")": "⎞⎟⎠", "[": "⎡⎢⎣", "]": "⎤⎥⎦", "|": "│││", "‖": "║║║",
}  # fmt: skip
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
        box = joined(_items(ElementTree.fromstring(mathml)))
    except NoText as error:
        raise FormulaProblem(
            "the formula {latex!r} has no form in a terminal, because of {what}: write it otherwise",
            latex=latex, what=str(error),
        ) from error  # fmt: skip
    return tuple(unicodedata.normalize("NFC", line.rstrip()).replace(": =", ":=") for line in box.lines)


def _items(node: ElementTree.Element) -> list[Item]:
    """Return the parts of an element."""
    tag = node.tag.rpartition("}")[2]
    if tag in ("math", "mrow", "mstyle", "mpadded", "mtd", "semantics"):
        return _of_row(list(node))
    written = _WRITERS.get(tag)
    if written is None:
        raise NoText(f"<{tag}>")
    return written(node)


def _of_row(children: list[ElementTree.Element]) -> list[Item]:
    if found := _fenced_rows(children):
        return found
    items: list[Item] = []
    for child in _with_whole_dots(children):
        if child.tag == "mo" and (child.text or "") in INVISIBLE:
            if child.text == "\u2061" and items:
                last = items[-1]
                items[-1] = Item(last.text, last.kind, last.short, last.scripted, takes=True, box=last.box)
            continue
        items += _items(child)
    return items


def _with_whole_dots(children: list[ElementTree.Element]) -> list[ElementTree.Element]:
    r"""Return the elements with three dots in a row, which is how math-core writes ``\dots``, as one."""
    found: list[ElementTree.Element] = []
    for child in children:
        last = [node.text for node in found[-2:] if node.tag == "mo"]
        if child.tag == "mo" and child.text in ELLIPSES and last == [child.text] * 2:
            whole = ElementTree.Element("mo")
            whole.text = ELLIPSES[child.text]
            found[-2:] = [whole]
        else:
            found.append(child)
    return found


def _word(node: ElementTree.Element) -> list[Item]:
    text = "".join(_plain(character) for character in node.text or "")
    short = (len(text) == 1 and text.isalpha()) or node.tag == "mn" or text in "∂∇∞"
    return [Item(text, short=short)]


def _plain(character: str) -> str:
    """Return a bold or slanted letter as the letter; double-struck and script letters stay, for they say something."""
    name = unicodedata.name(character, "")
    if name.startswith("MATHEMATICAL") and not re.search("DOUBLE-STRUCK|SCRIPT|FRAKTUR", name):
        return unicodedata.normalize("NFKC", character)
    return character


def _text(node: ElementTree.Element) -> list[Item]:
    return [Item((node.text or "").replace("\xa0", " "))]


def _space(node: ElementTree.Element) -> list[Item]:
    found = re.fullmatch(r"([\d.]+)em", node.get("width", ""))
    size = float(found[1]) if found else 0.0
    return [Item("  " if size >= 1 else " ", "space")] if size > 0.1 else []


def _operator(node: ElementTree.Element) -> list[Item]:
    text = (node.text or "").replace("∣", "|")
    form, tight = node.get("form"), node.get("lspace") == "0" and node.get("rspace") == "0"
    if text in "|‖∥" and form:
        return [Item(text, "open" if form == "prefix" else "close")]
    if text in "|‖∥":
        return [Item(text, "bar" if node.get("lspace") == "0" else "operator")]
    if text in (".", "⋯", "…", "⋮"):
        return [Item(text, "dots")]
    if text in OPENING:
        return [Item(text, "open")]
    if text in CLOSING:
        return [Item(text, "close")]
    if text in LARGE:
        return [Item(text, "large")]
    if text in ",;":
        return [Item(text, "tight" if node.get("rspace") == "0" else "comma")]
    if text in ("′", "!", "″"):
        return [Item(text, "close")]
    if text.isalpha():  # a function, as math-core writes it at the beginning of a cell
        return [Item(text, takes=True)]
    return [Item(text, "tight" if tight or text == "/" else "operator")]


def _fraction(node: ElementTree.Element) -> list[Item]:
    above, below = (_items(child) for child in node)
    if node.get("linethickness") == "0":
        return [Item(f"{in_a_line(above)} choose {in_a_line(below)}", "fraction")]
    brackets = (has_operator(above), len(below) > 1 and not is_fenced(below) and not is_call(below))
    parts = [
        f"({text})" if bracket else text
        for text, bracket in zip((in_a_line(above), in_a_line(below)), brackets, strict=True)
    ]
    return [Item((" / " if " " in "".join(parts) else "/").join(parts), "fraction")]


def _root(node: ElementTree.Element) -> list[Item]:
    if node.tag == "mroot":
        inside, degree = (_items(child) for child in node)
        sign = "".join(SUPERSCRIPTS.get(character, "?") for character in in_a_line(degree)) + "√"
        if "?" in sign:
            raise NoText("a root of that degree")
    else:
        inside, sign = _of_row(list(node)), "√"
    text = in_a_line(inside)
    return [Item(sign + (text if len(inside) == 1 and inside[0].kind == "word" else f"({text})"))]


def _scripts(node: ElementTree.Element) -> list[Item]:
    """Write sub- and superscripts, or the limits of a sum."""
    children = list(node)
    under = children[1] if node.tag in ("msub", "munder", "msubsup", "munderover") else None
    over = children[2] if len(children) > 2 else None if under is not None else children[1]
    if node.get("accent") == "true" and over is not None:
        return [_accented(children[0], over)]
    if node.get("accentunder") == "true" or any(_is_brace(child) for child in (under, over)):
        raise NoText("a brace or a line under or over a part")
    base = _items(children[0])
    text = in_a_line(base)
    if len(base) != 1 or base[0].kind in ("fraction", "operator"):
        text, base = f"({text})", [Item(text, "close")] if base else [Item("")]
    short = base[0].short
    for script, sign, known in ((under, "_", SUBSCRIPTS), (over, "^", SUPERSCRIPTS)):
        if script is not None:
            written = _script(script, sign, known)
            short = short and written[0] != sign
            text += written
    kind = base[0].kind if base[0].kind in ("close", "large") else "word"
    return [Item(text, kind, short, scripted=True)]


def _is_brace(node: ElementTree.Element | None) -> bool:
    return node is not None and node.tag == "mo" and (node.text or "") in "⏞⏟⏠⏡⎴⎵"


def _script(node: ElementTree.Element, sign: str, known: dict[str, str]) -> str:
    text = in_a_line(_items(node)).replace(", ", ",").strip()
    if text and set(text) <= set("′″"):
        return text
    if text == "∗":
        return sign + "*"
    if not text.isalpha() or len(text) == 1:  # a word, such as 'old', stays one
        raised = [known.get(character, "") for character in text]
        if all(raised):
            return "".join(raised)
    return sign + (text if text.isalnum() or len(text) == 1 else f"({text})")


def _accented(base: ElementTree.Element, over: ElementTree.Element) -> Item:
    accent = ACCENTS.get(over.text or "")
    if accent is None:
        raise NoText(f"the accent {over.text}")
    items = _items(base)
    text = in_a_line(items)
    if len(text) == 1:
        return Item(text + accent, short=True)
    return Item(f"{ACCENT_NAMES[accent]}({text})")


def _rows(node: ElementTree.Element) -> list[Item]:
    return [Item("", "rows", box=_table(node))]


def _table(node: ElementTree.Element) -> Box:
    """Write the rows of ``aligned``, ``cases`` or a matrix, with the columns below each other."""
    rows = [[joined(_items(cell), first=number == 0) for number, cell in enumerate(row)] for row in node]
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
    return Box(lines, (len(lines) - 1) // 2)


def _fenced_rows(children: list[ElementTree.Element]) -> list[Item]:
    """Return ``cases`` or a matrix, with brackets as tall as it; nothing if this is none."""
    inner = [child for child in children if child.tag == "mtable"]
    if len(inner) != 1 or len(children) != 3 or children[1] is not inner[0]:
        return []
    box = _table(inner[0])
    left, right = (_tall(child.text or "", len(box.lines)) for child in (children[0], children[2]))
    lines = [" ".join(filter(None, (left[n], padded(line, box.width), right[n]))) for n, line in enumerate(box.lines)]
    return [Item("", "rows", box=Box(lines, box.base))]


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
        raise NoText(f"a tall {sign}")
    top, middle, bottom = [*TALL[sign]]
    return [top, *[middle] * (count - 2), bottom]


_WRITERS = {
    "mi": _word, "mn": _word, "mtext": _text, "ms": _text, "mspace": _space, "mo": _operator, "mfrac": _fraction,
    "msqrt": _root, "mroot": _root, "msub": _scripts, "msup": _scripts, "msubsup": _scripts, "munder": _scripts,
    "mover": _scripts, "munderover": _scripts, "mtable": _rows,
}  # fmt: skip


def _entity(name: str) -> str:
    from html.entities import html5

    if name not in html5:
        raise NoText(f"&{name}")
    return html5[name]
