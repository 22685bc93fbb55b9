"""The view of a lesson as a page: one HTML file, offline and without scripts, in light and dark.

Formulas are MathML, figures are SVG drawn here. Whatever a lesson says is escaped; raw HTML in it is shown as text.
"""

from __future__ import annotations

import base64
import functools
import html
import importlib
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from groundup.core.errors import PluginProblem, nearest
from groundup.core.figures import drawn, figures_of
from groundup.core.technique import Technique
from groundup.core.technique import say as said
from groundup.grader.learner.templates import Texts, environment
from groundup.grader.learner.written import marked
from groundup.grader.lessons.formulas import FormulaProblem, as_mathml, as_text
from groundup.grader.lessons.markdown import INLINE, Lesson, anchor, line_of
from groundup.grader.process.text import printable

__all__ = ["BY", "LabPicture", "Link", "Place", "caption_of", "effort", "page", "render", "template"]

BY = "learn read"
PNG = b"\x89PNG\r\n\x1a\n"
WEB = re.compile(r"https?://|mailto:|#")
KINDS = {"Keyword": "k", "Operator.Word": "k", "Literal.String": "s", "Literal.Number": "m", "Comment": "c",
         "Name.Function": "n", "Name.Class": "n", "Name.Builtin": "n", "Name.Decorator": "n"}  # fmt: skip


@dataclass(frozen=True)
class Link:
    """The title of another page, and its address if there is one."""

    title: str
    href: str | None = None


@dataclass(frozen=True)
class Place:
    """Where a page stands in a book."""

    before: Link | None = None
    after: Link | None = None
    elsewhere: str | None = None
    """The same lesson in the other language."""
    elsewhere_lang: str = ""


@dataclass(frozen=True)
class LabPicture:
    """The picture that a learner's lab has drawn."""

    png: bytes
    at: datetime


def page(
    lesson: Lesson,
    builds: Sequence[Link] = (),
    *,
    told: Callable[[str], str] = str,
    lab: LabPicture | None = None,
    place: Place | None = None,
) -> str:
    """Return a lesson as a page, marked as written by ``learn read``. Raises PluginProblem.

    ``builds`` are the techniques that it builds on; ``told`` translates English text to the lesson's language.
    """
    t, technique = Texts("lesson", lesson.lang, told), lesson.technique
    tokens = lesson.tokens
    count = 3 if tokens and tokens[0].type == "heading_open" and tokens[0].tag == "h1" else 0
    title = tokens[1].content if count else said(technique.title, lesson.lang)
    sections = [
        {"text": Markup(render(lesson, [inside])), "anchor": anchor(inside.content)}
        for opened, inside in itertools.pairwise(tokens)
        if opened.type == "heading_open" and opened.tag == "h2"
    ]
    shown = None
    if lab and lab.png.startswith(PNG):
        caption = t("lab_caption", day=f"{lab.at:%Y-%m-%d}", name=technique.name)
        shown = {"picture": base64.b64encode(lab.png).decode(), "caption": caption}
    body = template("lesson.html.jinja").render(
        t=t, title=title, sections=sections, builds=builds, lab=shown, place=place,
        heading=Markup(render(lesson, tokens[:count]) or f"<h1>{html.escape(title)}</h1>"),
        body=Markup(render(lesson, tokens[count:])), effort=effort(technique, t),
    )  # fmt: skip
    return marked(body.rstrip("\n") + "\n", BY)


def effort(technique: Technique, t: Texts) -> list[str]:
    """Return level and minutes in words, as far as the technique's manifest gives them."""
    level, minutes = technique.level, technique.minutes
    return [*([t("level", level=level)] if level else []), *([t("minutes", minutes=minutes)] if minutes else [])]


def render(lesson: Lesson, tokens: Sequence[Token]) -> str:
    """Return tokens of a lesson as HTML."""
    options = MarkdownIt("commonmark", {"html": False}).options
    return _Renderer(lesson).render(tokens, options, {})


def caption_of(token: Token) -> str:
    """Return the caption of a figure as plain text, with its formulas as Unicode."""
    parts = [as_text(child.content) if child.type == INLINE else child.content for child in token.children or ()]
    return " ".join("".join(part or " " for part in parts).split())


@functools.cache
def template(name: str) -> jinja2.Template:
    """Return a template; whatever it prints is escaped, unless it was made safe here."""
    return environment(_finalize).get_template(name)


def _finalize(value: Any) -> Any:
    return value if hasattr(value, "__html__") else printable(str(value))


class _Renderer(RendererHTML):
    """Renders what lessons have: each method is called for the tokens of its name."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        super().__init__()

    def text(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        return html.escape(printable(tokens[idx].content), quote=False)

    def code_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        # A path or a name may break after its parts: a narrow table stays readable.
        parts = re.split(r"(?<=[/_.,(])(?=\w)", printable(tokens[idx].content))
        return f"<code>{'<wbr>'.join(html.escape(part, quote=False) for part in parts)}</code>"

    def formula_inline(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        return self._formula(tokens[idx])

    def formula_block(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        return f'<div class="formula" tabindex="0">{self._formula(tokens[idx], display=True)}</div>\n'

    def _formula(self, token: Token, *, display: bool = False) -> str:
        try:
            return as_mathml(token.content, display=display)
        except FormulaProblem as error:
            line = f":{line_of(token)}" if token.map else ""
            raise PluginProblem("{path}: {why}", path=f"{self.lesson.path}{line}", why=error.message) from error

    def figure(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        token = tokens[idx]
        caption = self.renderInline(token.children or [], options, env)
        svg = _figure(self.lesson, token)
        return f"<figure>{svg}<figcaption>{caption}</figcaption></figure>\n"

    def fence(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        token = tokens[idx]
        return f'<pre tabindex="0"><code>{_coloured(printable(token.content), token.info.strip())}</code></pre>\n'

    def table_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        return '<div class="wide" tabindex="0"><table>\n'

    def table_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        return "</table></div>\n"

    def heading_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        tag = tokens[idx].tag
        name = html.escape(anchor(tokens[idx + 1].content))
        return f'<{tag} id="{name}">' if tag != "h1" else "<h1>"

    def heading_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        tag = tokens[idx].tag
        name = html.escape(anchor(tokens[idx - 1].content))
        here = f'<a class="here" href="#{name}" aria-hidden="true" tabindex="-1">#</a>' if tag in ("h2", "h3") else ""
        return f"{here}</{tag}>\n"

    def image(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        return html.escape(tokens[idx].content)  # a page loads nothing

    def link_open(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        address = str(tokens[idx].attrGet("href") or "")
        if not WEB.match(address):  # a file beside the lesson is not beside the page
            return "<span>"
        return f'<a href="{html.escape(address)}" rel="noreferrer">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: Any) -> str:
        opened = next(t for t in reversed(tokens[:idx]) if t.type == "link_open")
        return "</a>" if WEB.match(str(opened.attrGet("href") or "")) else "</span>"


def _figure(lesson: Lesson, token: Token) -> str:
    """Return a figure as SVG. Raises PluginProblem if there is none of that name, or if drawing it fails."""
    files, name = lesson.technique.files, token.meta["name"]
    at = f"{lesson.path}:{line_of(token)}"
    if not files.figures.is_file():
        raise PluginProblem("{path}: there is no {file} that draws {name!r}", path=at, file=files.figures, name=name)
    try:
        functions = figures_of(importlib.import_module(files.figures_module))
        if name in functions:
            return drawn(functions[name], lesson.lang, caption_of(token))
    except Exception as error:  # an author's code may raise anything
        why = f"{type(error).__name__}: {error}"
        raise PluginProblem("{path}: the figure {name!r} is not drawn: {why}", path=at, name=name, why=why) from error
    raise PluginProblem(
        "{path}: {file} has no function {name!r}; it has {names}",
        path=at, file=files.figures, name=name, names=", ".join(nearest(name, functions) or functions) or "none",
    )  # fmt: skip


def _coloured(code: str, language: str) -> str:
    """Return code with its parts marked for colours; in a language that is unknown, without."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        lexer = get_lexer_by_name(language or "text", stripnl=False)
    except ClassNotFound:
        return html.escape(code, quote=False)
    parts = []
    for kind, text in lexer.get_tokens(code):
        name = str(kind).removeprefix("Token.")
        style = next((style for known, style in KINDS.items() if name.startswith(known)), "")
        escaped = html.escape(text, quote=False)
        parts.append(f'<span class="{style}">{escaped}</span>' if style and text.strip() else escaped)
    return "".join(parts)
