"""Rule ``lesson``, its second half: a lesson is right in both views, in the terminal and as a page."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

from markdown_it.token import Token

from groundup.core.errors import GroundupError
from groundup.core.examples import filled_in
from groundup.core.figures import drawn, figures_of
from groundup.core.technique import Technique
from groundup.core.testing.modules import current_module
from groundup.grader.authoring.scaffold.chinese import TO_TRANSLATE
from groundup.grader.authoring.soundness.places import place
from groundup.grader.lessons.columns import CODES, pieces, width
from groundup.grader.lessons.formulas import FormulaProblem, as_lines, as_mathml, as_text
from groundup.grader.lessons.markdown import DISPLAY, FIGURE, INLINE, STRAY, Lesson, inside, line_of
from groundup.grader.lessons.terminal import FORMULA_INDENT, GAP, WIDEST, least_widths, rendered

__all__ = ["filled", "views"]

LONGEST_LINE = 120
DRAWN = WIDEST - 1  # columns
"""The width of a block that is no code: a drawing or a table, whose lines may not be broken."""
PLAIN = ("", "text", "console")
DISPLAYED = WIDEST - FORMULA_INDENT
INLINE_WIDEST = 48
"""Columns: what is wider does not fit on a line of a phone, and cannot be broken there."""
LANGUAGES = ("en", "zh")
_LINK = re.compile(r"\033\]8;[^\\]*\\")
_QUOTATION = re.compile(r"\{\{[a-z][\w-]*\.[^{}]*\}\}")


def filled(technique: Technique, path: Path, text: str) -> tuple[str, list[str]]:
    """Return a lesson's text with its quotations filled in, and what is wrong with any of them."""
    lines, problems = [], []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            line = filled_in(line, technique)
        except GroundupError as error:
            problems.append(f"{path}:{number}: {error}")
        else:
            problems += [
                f"{path}:{number}: {found} quotes nothing: write {{{{example.name}}}} or {{{{example.name:.2f}}}}"
                for found in _QUOTATION.findall(line)
            ]
        lines.append(line)
    return "\n".join(lines), problems


def views(technique: Technique, lessons: Sequence[Lesson], *, in_this_form: bool) -> list[str]:
    """Return what is wrong with the two views of the lesson, in each of its languages.

    ``in_this_form``: whether it has to have a figure, and keep to the widths, as the built-in lessons do.
    """
    found: list[str] = []
    for lesson in lessons:
        problems = [*_formulas(lesson), *_tables_and_code(lesson, in_this_form=in_this_form)]
        if in_this_form:
            problems += _source(lesson)
        if not problems:
            problems += _terminal(lesson)
        found += problems
    return [*found, *_figures(technique, lessons, needs_a_figure=in_this_form)]


def _source(lesson: Lesson) -> Iterator[str]:
    for number, line in enumerate(lesson.text.splitlines(), start=1):  # a quotation counts as the number it stands for
        count = len(line.replace(TO_TRANSLATE, ""))
        if count > LONGEST_LINE:
            yield f"{lesson.path}:{number}: {count} characters: a line of a lesson has at most {LONGEST_LINE}"


def _formulas(lesson: Lesson) -> Iterator[str]:
    for token in lesson.tokens:
        if token.type == DISPLAY:
            at = f"{lesson.path}:{line_of(token)}"
            try:
                as_mathml(token.content, display=True)
                lines = as_lines(token.content)
            except FormulaProblem as error:
                yield f"{at}: {error}"
                continue
            if (wide := max(map(width, lines), default=0)) > DISPLAYED:
                yield (
                    f"{at}: this formula takes {wide} columns in a terminal: at most {DISPLAYED}; break it with "
                    r"\begin{aligned}"
                )
    for child, block in inside(lesson.tokens):
        at = f"{lesson.path}:{_line_in(lesson, block, child)}"
        if child.meta.get(STRAY):
            yield (
                f"{at}: a dollar sign that begins no formula: write \\$ for money; the $$ of a display formula stand "
                "on lines of their own"
            )
        if child.type == INLINE:
            try:
                as_mathml(child.content)
                text = as_text(child.content)
            except FormulaProblem as error:
                yield f"{at}: {error}"
                continue
            if width(text) > INLINE_WIDEST:
                yield f"{at}: the formula {text} takes {width(text)} columns in its line: make it a display formula"


def _line_in(lesson: Lesson, block: Token, child: Token) -> int:
    """Return the line of a formula: the first of its block that has its first words."""
    first, last = block.map or (0, 0)
    sought = f"${child.content[:12]}" if child.type == INLINE else "$"
    for number, line in enumerate(lesson.text.splitlines()[first:last], start=first + 1):
        if sought in line:
            return number
    return first + 1


def _tables_and_code(lesson: Lesson, *, in_this_form: bool) -> Iterator[str]:
    for token in lesson.tokens:
        if in_this_form and token.type in ("fence", "code_block") and token.info.strip() in PLAIN:
            for number, line in enumerate(token.content.splitlines(), start=line_of(token) + 1):
                if width(line) > DRAWN:
                    yield f"{lesson.path}:{number}: {width(line)} columns: a block of text has at most {DRAWN}"
    for at, rows in _tables(lesson.tokens):
        least = least_widths(rows)
        if (wide := sum(least) + GAP * (len(least) - 1)) > WIDEST:
            column = max(range(len(least)), key=lambda n: least[n])
            word = max((p.strip() for row in rows for p in pieces(row[column])), key=width)
            yield (
                f"{lesson.path}:{at}: this table needs {wide} columns: a terminal has {WIDEST}; the widest word is "
                f"{word!r}: move it below the table, or take fewer columns"
            )


def _tables(tokens: Sequence[Token]) -> Iterator[tuple[int, list[list[str]]]]:
    """Yield the line and the cells of each table, as a terminal shows them."""
    rows: list[list[str]] = []
    for token in tokens:
        if token.type == "table_open":
            rows = []
            line = line_of(token)
        elif token.type == "tr_open":
            rows.append([])
        elif token.type == "inline" and rows and len(tokens) and token.level > 2:
            rows[-1].append("".join(map(_plain, token.children or [])))
        elif token.type == "table_close":
            yield line, rows
            rows = []


def _plain(token: Token) -> str:
    try:
        return as_text(token.content) if token.type == INLINE else token.content
    except FormulaProblem:
        return token.content


def _terminal(lesson: Lesson) -> Iterator[str]:
    """Render the lesson: what no other check foresaw, a line that is too wide, is found here."""
    shown = CODES.sub("", _LINK.sub("", rendered(lesson.text, where=str(lesson.path))))
    for line in shown.splitlines():
        if width(line) > WIDEST:
            yield f"{place(lesson.path, line.strip()[:20])}: {width(line)} columns in a terminal: {line.strip()[:60]!r}"


def _figures(technique: Technique, lessons: Sequence[Lesson], *, needs_a_figure: bool) -> Iterator[str]:
    path = technique.files.figures
    functions = figures_of(current_module(technique.files.figures_module, path)) if path.is_file() else {}
    for lesson in lessons:
        shown = [token for token in lesson.tokens if token.type == FIGURE]
        for token in shown:
            name, at = token.meta["name"], f"{lesson.path}:{line_of(token)}"
            if name not in functions:
                yield f"{at}: no function {name!r} in {path}; there are: {', '.join(functions) or 'none'}"
            if not token.content.strip():
                yield f"{at}: the figure {name!r} has no caption: say in a sentence what is seen"
        if needs_a_figure and not shown:
            yield f"{lesson.path}: no figure: show one with ![Caption.](figure:name), drawn by a function of {path}"
        for name in sorted(set(functions) - {token.meta["name"] for token in shown}):
            yield f"{place(path, f'def {name}(')}: the figure {name!r} is not shown in {lesson.path.name}"
        for child, block in inside(lesson.tokens):
            if child.type == "image":
                yield (
                    f"{lesson.path}:{line_of(block)}: a page loads no image: draw it in {path.name}, and show it with "
                    "![Caption.](figure:name) in a paragraph of its own"
                )
    for name, function in functions.items():
        at = place(path, f"def {name}(")
        for lang in LANGUAGES:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                try:
                    same = drawn(function, lang) == drawn(function, lang)
                except Exception as error:  # an author's code may raise anything
                    yield f"{at}: drawing {name!r} ({lang}) raises {type(error).__name__}: {error}"
                    break
            yield from sorted({f"{at}: drawing {name!r} ({lang}) warns: {each.message}" for each in told})
            if not same:
                yield f"{at}: {name!r} ({lang}) is drawn otherwise each time: it may use no chance and no clock"
