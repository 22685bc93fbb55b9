"""Rule: the lesson has its required parts, its code runs, its links have targets, and both views are right."""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import torch
from markdown_it.token import Token

from groundup.core.technique import Technique
from groundup.core.testing.modules import module_from_source
from groundup.grader.authoring.form import BEFORE_OWN, headings_in
from groundup.grader.authoring.soundness.lesson_views import filled, views
from groundup.grader.authoring.soundness.places import Found, built_in
from groundup.grader.lessons.markdown import FIGURE, Lesson, anchor, parsed

PARTS = ("A worked example", "Traps", "What to build", "Sources")
"""The headings of the sections that every lesson needs; other sections and the order are up to the author."""
FEWEST = 5  # sections: the required ones and at least one more
SOURCE = re.compile(r"https?://\S+|arXiv:\d+\.\d+|\b[\w-]+(?:\.[\w-]+)*\.(?:ai|com|net|org)\b|`[\w./-]+\.\w+`")


class Heading(NamedTuple):
    """A heading of a lesson."""

    level: int
    text: str
    line: int


def check(technique: Technique) -> Found:
    """Find missing parts, failing code and broken links in the English lesson, and faults of both views in each."""
    path = technique.files.lesson()
    if not path.is_file():
        return "", [f"there is no lesson: expected it at {path}"]
    lessons, problems = [], []
    for lang in ("en", "zh"):
        source = technique.files.lesson(lang)
        if lang == "en" or source != path:
            text, wrong = filled(technique, source, source.read_text(encoding="utf-8"))
            lessons.append(Lesson(technique, lang, source, text))
            problems += wrong
    text = lessons[0].text
    tokens = parsed(text)
    blocks = [t for t in tokens if t.type == "fence" and t.info.strip() == "python"]
    problems += [*_parts(technique, path, text, tokens), *_code(path, blocks)]
    for lesson in lessons:
        problems += _links(lesson.path, lesson.tokens)
        if built_in(technique):
            problems += _form(lesson)
    problems += views(technique, lessons, in_this_form=built_in(technique))
    sections, figures = sum(h.level == 2 for h in headings(tokens)), sum(t.type == FIGURE for t in tokens)
    return f"{sections} sections, {len(blocks)} code blocks run, {figures} figures", problems


def headings(tokens: list[Token]) -> list[Heading]:
    """Return the headings of a lesson, in order."""
    return [
        Heading(int(opened.tag[1]), inside.content.strip(), _line(opened))
        for opened, inside in itertools.pairwise(tokens)
        if opened.type == "heading_open"
    ]


def _parts(technique: Technique, path: Path, text: str, tokens: list[Token]) -> Iterator[str]:
    found = headings(tokens)
    if not found or (found[0].level, found[0].line) != (1, 1):
        yield f"{path}:1: a lesson begins with its title: '# {technique.title['en']}'"
    sections = {h.text: h for h in found if h.level == 2}
    for part in PARTS:
        if part not in sections:
            there = ", ".join(repr(name) for name in sections) or "none"
            yield f"{path}: no section '## {part}'; there are: {there}"
    if len(sections) < FEWEST:
        yield f"{path}: {len(sections)} sections, at least {FEWEST}: what it is for, and how it works, want one each"
    if (build := sections.get("What to build")) and len(technique.holes) > 1:
        inside = _inside(text, found, build)
        for number in range(1, len(technique.holes) + 1):
            if not re.search(rf"(?<![\d.]){number}[.)]", inside):
                yield f"{path}:{build.line}: 'What to build' does not name part {number} of {len(technique.holes)}"
    if (example := sections.get("A worked example")) and not re.search(r"\d", _inside(text, found, example)):
        yield f"{path}:{example.line}: the worked example holds no number"
    if (sources := sections.get("Sources")) and not SOURCE.search(_inside(text, found, sources)):
        yield f"{path}:{sources.line}: the sources name no paper (arXiv:...), page (https://...) or file"


def _form(lesson: Lesson) -> Iterator[str]:
    """Compare the sections of a built-in lesson with those that all have."""
    expected, found = headings_in(lesson.lang), [h for h in headings(lesson.tokens) if h.level == 2]
    own_after = headings_in("en").index(BEFORE_OWN)
    there = [h.text for h in found]
    if missing := [text for text in expected if text not in there]:
        yield f"{lesson.path}: no section '## {missing[0]}': every lesson has, in this order: {', '.join(expected)}"
        return
    common = [h for h in found if h.text in expected]
    for heading, text in zip(common, expected, strict=False):
        if heading.text != text:
            yield f"{lesson.path}:{heading.line}: '## {heading.text}' stands where '## {text}' belongs"
            return
    if len(common) > len(expected):
        twice = next(h for n, h in enumerate(common) if h.text in {each.text for each in common[:n]})
        yield f"{lesson.path}:{twice.line}: there is a section '## {twice.text}' already"
        return
    first, last = common[own_after].line, common[own_after + 1].line
    for heading in found:
        if heading.text not in expected and not first < heading.line < last:
            yield (
                f"{lesson.path}:{heading.line}: '## {heading.text}' is a section of this lesson's own: it belongs "
                f"between '## {expected[own_after]}' and '## {expected[own_after + 1]}'; finer parts have level 3"
            )


def _inside(text: str, found: list[Heading], section: Heading) -> str:
    """Return the lines of a section."""
    after = [h.line for h in found if h.line > section.line and h.level <= section.level]
    return "\n".join(text.splitlines()[section.line : after[0] - 1 if after else None])


def _links(path: Path, tokens: list[Token]) -> Iterator[str]:
    """Yield a message for each link without a target file or heading. Web links are not checked."""
    anchors = {anchor(h.text) for h in headings(tokens)}
    for token in tokens:
        for child in token.children or ():
            target = unquote(str(child.attrGet("href") or child.attrGet("src") or ""))
            if child.type == "image" or not target or re.match(r"[a-z][a-z0-9+.-]*:", target):
                continue
            file, _, name = target.partition("#")
            if file and not (path.parent / file).exists():
                yield f"{path}:{_line(token)}: the link to {target!r} leads to no file in {path.parent}"
            elif not file and name not in anchors:
                yield f"{path}:{_line(token)}: the link to {target!r} leads to no heading"


def _code(path: Path, blocks: list[Token]) -> Iterator[str]:
    """Run the lesson's Python blocks, each by itself, as a reader would paste it."""
    for block in blocks:
        # Leading empty lines make line numbers in tracebacks those of the lesson.
        source = "\n" * _line(block) + block.content
        try:
            with contextlib.redirect_stdout(io.StringIO()), torch.random.fork_rng(devices=[]):
                module_from_source("lesson", source, str(path))
        except (Exception, SystemExit) as error:
            yield f"{path}:{_where(error, path) or _line(block)}: this code raises {_named(error)}"


def _where(error: BaseException, path: Path) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
    return lines[-1] if lines else None


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _line(token: Token) -> int:
    return token.map[0] + 1 if token.map else 1
