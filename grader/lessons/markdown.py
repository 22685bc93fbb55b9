"""Lessons as read: their text with its numbers filled in, parsed once for both views.

Beside what Markdown has, a lesson has formulas (``$...$``, and ``$$`` on lines of their own) and figures
(``![Caption.](figure:name)`` in a paragraph of its own).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from groundup.core.errors import PluginProblem, reason_of
from groundup.core.examples import filled_in
from groundup.core.technique import Technique

__all__ = ["DISPLAY", "FIGURE", "INLINE", "STRAY", "Lesson", "anchor", "inside", "line_of", "parsed", "read_lesson"]

DISPLAY, INLINE, FIGURE = "formula_block", "formula_inline", "figure"
"""The types of tokens that Markdown does not have."""
STRAY = "stray"
"""In the meta of a text: that it is a dollar sign which belongs to no formula and is not escaped."""
SCHEME = "figure:"
WIDE = r"[\u3000-\u9fff\uff00-\uffef]"
QUOTE = r"[\u2014\u2018\u2019\u201c\u201d\u2026]"
_NO_SPACE = re.compile(rf"{WIDE}\n(?:{WIDE}|{QUOTE})|{QUOTE}\n{WIDE}|[，。、；：！？）]\n.|.\n[，。、；：！？（]")


@dataclass(frozen=True)
class Lesson:
    """A lesson in one language."""

    technique: Technique
    lang: str
    path: Path
    text: str
    """The Markdown, with every quotation filled in."""

    @property
    def tokens(self) -> list[Token]:
        """The parsed lesson."""
        return parsed(self.text)


def read_lesson(technique: Technique, lang: str) -> Lesson:
    """Return a lesson in ``lang``, or in English if it has no translation. Raises PluginProblem."""
    path = technique.files.lesson(lang)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = reason_of(error) if isinstance(error, OSError) else str(error)
        raise PluginProblem(
            "The lesson of {id} cannot be read: {path}: {why}.", id=technique.id, path=path, why=why
        ) from error
    return Lesson(technique, lang, path, filled_in(text, technique))


def parsed(text: str) -> list[Token]:
    """Return the tokens of a lesson's text."""
    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.inline.ruler.after("escape", "formula", _inline_formula)
    parser.block.ruler.before(
        "fence", "formula", _display_formula, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    return list(_with_figures([_without_line_ends(token) for token in parser.parse(text)]))


def inside(tokens: list[Token]) -> Iterator[tuple[Token, Token]]:
    """Yield every token in a block, with the block: text, code, formulas and links of paragraphs, captions, cells."""
    for token in tokens:
        for child in token.children or ():
            yield child, token


def line_of(token: Token) -> int:
    """Return the line on which a block begins, counted from 1."""
    return token.map[0] + 1 if token.map else 1


def anchor(heading: str) -> str:
    """Return the name by which a link leads to a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _inline_formula(state: StateInline, silent: bool) -> bool:
    """Read ``$...$``: no space inside the dollar signs, no digit after the second."""
    source, start = state.src, state.pos
    if source[start] != "$":
        return False
    found = re.compile(r"\$(?![\s$])((?:\\.|[^$\\])+?)(?<!\s)\$(?![\d$])", re.DOTALL).match(source, start)
    if found is None:
        if not silent:
            state.push(STRAY, "", 0).content = "$"
        state.pos += 1
        return True
    if not silent:
        token = state.push(INLINE, "", 0)
        token.content = re.sub(r"\s*\n\s*", " ", found[1])
        token.markup = "$"
    state.pos = found.end()
    return True


def _display_formula(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """Read a formula between two lines ``$$``."""
    if _line(state, first) != "$$" or state.is_code_block(first):
        return False
    end = next((n for n in range(first + 1, last) if _line(state, n) == "$$"), None)
    if end is None:
        return False
    if not silent:
        token = state.push(DISPLAY, "", 0)
        token.block = True
        token.content = state.getLines(first + 1, end, state.sCount[first], False).strip()
        token.map, token.markup = [first, end + 1], "$$"
        state.line = end + 1
    return True


def _line(state: StateBlock, number: int) -> str:
    return state.src[state.bMarks[number] + state.tShift[number] : state.eMarks[number]].strip()


def _without_line_ends(token: Token) -> Token:
    """Remove line ends inside Chinese sentences, which would be shown as spaces."""
    children = token.children or []
    for number, child in enumerate(children):
        _without_line_ends(child)  # an image has its caption
        if child.type == STRAY:
            child.type, child.meta = "text", {STRAY: True}
        if child.type == "softbreak":
            before = next((c.content for c in reversed(children[:number]) if c.content), "")
            after = next((c.content for c in children[number + 1 :] if c.content), "")
            if _NO_SPACE.fullmatch(f"{before[-1:]}\n{after[:1]}"):
                child.type, child.content, child.tag = "text", "", ""
    return token


def _with_figures(tokens: list[Token]) -> Iterator[Token]:
    """Yield the tokens, with one for each paragraph that is a figure."""
    at = 0
    while at < len(tokens):
        children = tokens[at + 1].children or [] if at + 1 < len(tokens) else []
        is_figure = tokens[at].type == "paragraph_open" and len(children) == 1 and children[0].type == "image"
        source = str(children[0].attrGet("src")) if is_figure else ""
        if source.startswith(SCHEME):
            token = Token(FIGURE, "", 0, content=children[0].content, children=children[0].children or [])
            token.map, token.block, token.level = tokens[at].map, True, tokens[at].level
            token.meta = {"name": source.removeprefix(SCHEME)}
            yield token
            at += 3
        else:
            yield tokens[at]
            at += 1
