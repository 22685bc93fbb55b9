"""The view of a lesson in a terminal: at most 78 columns, formulas as Unicode text, figures as their captions."""

from __future__ import annotations

import copy
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markdown_it.token import Token
from rich.console import Console
from rich.markdown import CodeBlock, Markdown, MarkdownContext, MarkdownElement, Paragraph
from rich.style import Style
from rich.syntax import Syntax
from rich.text import Text

from groundup.core.errors import PluginProblem
from groundup.grader.lessons.columns import line_starts, pieces, width
from groundup.grader.lessons.formulas import FormulaProblem, as_lines, as_text
from groundup.grader.lessons.markdown import DISPLAY, FIGURE, INLINE, parsed

if TYPE_CHECKING:
    from rich.console import ConsoleOptions, RenderResult

__all__ = ["FORMULA_INDENT", "GAP", "WIDEST", "column_widths", "least_widths", "rendered"]

WIDEST = 78
FORMULA_INDENT = 4
GAP = 2
"""Columns between two columns of a table."""
TOGETHER = 30
"""Columns up to which an inline formula stands on one line."""
CONTINUED = 8
"""Columns by which the second part of a long line of code is further in than the first."""
NO_BREAK = "\xa0"
BREAKS = ("/", ".", "_", "-", ",", "(")
"""Where a word that is too wide for its column is broken if it can be."""


def rendered(text: str, places: int = WIDEST, *, figure: Sequence[str] = ("Figure",), where: str = "") -> str:
    """Return a lesson's Markdown rendered for a terminal, with colours; lines are at most ``places`` wide.

    ``figure`` is the word before a caption and, if there is one, the sentence after it that says how to see the figure.
    ``where`` is the file, for messages. Raises PluginProblem if a formula has no form as text.
    """
    tokens = [token for given in parsed(text) for token in _for_terminal(given, figure, where)]
    console = Console(width=min(places, WIDEST), force_terminal=True)
    with console.capture() as capture:
        console.print(_Lesson(tokens))
    return re.sub(r" +$", "", capture.get(), flags=re.MULTILINE).replace(NO_BREAK, " ")


def least_widths(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the least width of each column of a table: that of the widest part that cannot be broken."""
    return [
        max((width(piece.strip(" ")) for cell in column for piece in pieces(cell)), default=1)
        for column in zip(*rows, strict=True)
    ]


def column_widths(rows: Sequence[Sequence[str]], places: int) -> list[int]:
    """Return the width of each column of a table in ``places`` columns: the widest give way first."""
    wide = [max(1, *map(width, column)) for column in zip(*rows, strict=True)]
    least = least_widths(rows)
    room = places - GAP * (len(wide) - 1)
    if sum(least) > room:
        least = [1] * len(wide)
    while sum(wide) > room:
        shrinkable = [n for n in range(len(wide)) if wide[n] > least[n]]
        if not shrinkable:
            break
        wide[max(shrinkable, key=lambda n: wide[n])] -= 1
    return wide


def _for_terminal(token: Token, figure: Sequence[str], where: str) -> list[Token]:
    """Return the tokens that a terminal shows for one: formulas as text, figures as paragraphs."""
    try:
        if token.type == DISPLAY:
            shown = copy.copy(token)
            shown.meta = {"lines": as_lines(token.content)}
            return [shown]
        children = [_as_text(child) for child in token.children or ()]
    except FormulaProblem as error:
        line = token.map[0] + 1 if token.map else 1
        raise PluginProblem("{path}: {why}", path=f"{where}:{line}" if where else line, why=error.message) from error
    if token.type == FIGURE:
        word, *further = figure
        label = [
            Token("strong_open", "strong", 1),
            Token("text", "", 0, content=word + " "),
            Token("strong_close", "strong", -1),
        ]
        after = (
            [Token("hardbreak", "br", 0), *_emphasised(further[0].format(name=token.meta["name"]))] if further else []
        )
        return [
            Token("blockquote_open", "blockquote", 1), Token("paragraph_open", "p", 1),
            Token("inline", "", 0, children=[*label, *children, *after]),
            Token("paragraph_close", "p", -1), Token("blockquote_close", "blockquote", -1),
        ]  # fmt: skip
    if token.children:
        token.children = children
    return [token]


def _emphasised(text: str) -> list[Token]:
    return [Token("em_open", "em", 1), Token("text", "", 0, content=text), Token("em_close", "em", -1)]


def _as_text(token: Token) -> Token:
    if token.type != INLINE:
        return token
    text = as_text(token.content)
    return Token("text", "", 0, content=text.replace(" ", NO_BREAK) if width(text) <= TOGETHER else text)


class _Flowing(Paragraph):
    """A paragraph that also wraps between Chinese characters: rich breaks lines only at spaces."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for paragraph in self.text.split("\n", allow_blank=True):
            yield from _wrapped(paragraph, options.max_width)


class _Formula(MarkdownElement):
    """A display formula: its lines as they are, indented."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines

    @classmethod
    def create(cls, markdown: Markdown, token: Token) -> _Formula:
        return cls(token.meta["lines"])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width
        indent = max(0, min(FORMULA_INDENT, room - max(map(width, self.lines), default=0)))
        for line in self.lines:
            # In a narrow terminal a long line continues below, further in; it breaks at its spaces.
            inner = len(line) - len(line.lstrip(" "))
            starts = [0, *line_starts(line, room - indent, rest=inner + 4), len(line)]
            for number, (start, end) in enumerate(itertools.pairwise(starts)):
                prefix = " " * (indent + (inner + 4 if number else 0))
                yield Text(prefix + line[start:end].rstrip(), no_wrap=True, overflow="ignore")


class _Code(CodeBlock):
    """A code block: one column further in; a line that is too long continues below, further in."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        code = Syntax(str(self.text), self.lexer_name, theme=self.theme, background_color="default")
        for line in code.highlight(str(self.text).rstrip()).split("\n", allow_blank=True):
            inner = len(line.plain) - len(line.plain.lstrip(" ")) + CONTINUED
            starts = line_starts(line.plain, options.max_width - 1, rest=inner)
            for number, part in enumerate(line.divide(starts)):
                part.rstrip()
                yield Text(" " * (1 + (inner if number else 0)), no_wrap=True).append_text(part)


class _Table(MarkdownElement):
    """A table whose cells are wrapped, never cut."""

    def __init__(self) -> None:
        self.rows: list[list[Text]] = []

    def on_child_close(self, context: MarkdownContext, child: MarkdownElement) -> bool:
        self.rows += [[cell.content.copy() for cell in row.cells] for row in getattr(child, "rows", [])]
        row = getattr(child, "row", None)
        if row is not None:
            self.rows.insert(0, [cell.content.copy() for cell in row.cells])
        return False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = column_widths([[cell.plain for cell in row] for row in self.rows], options.max_width)
        for number, row in enumerate(self.rows):
            cells = [list(_wrapped(cell, places)) or [Text()] for cell, places in zip(row, wide, strict=True)]
            for line in range(max(map(len, cells))):
                shown = Text(no_wrap=True)
                for column, places in zip(cells, wide, strict=True):
                    part = column[line] if line < len(column) else Text()
                    if number == 0:
                        part.stylize("bold")
                    shown.append_text(part)
                    shown.append(" " * (places - width(part.plain) + GAP))
                shown.rstrip()
                yield shown
            if number == 0:
                yield Text((" " * GAP).join("─" * places for places in wide), style=Style(dim=True), no_wrap=True)


class _Lesson(Markdown):
    """The tokens of a lesson as rich shows them."""

    elements = Markdown.elements | {
        "paragraph_open": _Flowing, DISPLAY: _Formula, "table_open": _Table, "fence": _Code, "code_block": _Code,
    }  # fmt: skip

    def __init__(self, tokens: list[Token]) -> None:
        super().__init__("", code_theme="ansi_dark")
        self.parsed: Any = tokens


def _wrapped(text: Text, places: int) -> list[Text]:
    """Return the lines of a text; a part that is wider than a line is broken anywhere."""
    lines = []
    for line in text.divide(line_starts(text.plain, places)):
        line.rstrip()
        while width(line.plain) > places:
            at = next(n for n in range(1, len(line.plain) + 1) if width(line.plain[:n]) > places) - 1
            at = max((n for n in range(at // 2, at + 1) if line.plain[n - 1 : n] in BREAKS), default=at)
            first, line = line.divide([max(at, 1)])
            lines.append(first)
        lines.append(line)
    return lines
