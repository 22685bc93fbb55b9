"""Renders a brief: as Markdown with files beside it, or as one self-contained HTML file.

Everything that a template prints is escaped for its format, unless it was made safe here: a learner's code and its
output are hostile text. A page's first line holds the digest of the rest, which shows whether the page was edited.
"""

from __future__ import annotations

import base64
import hashlib
import re
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

import jinja2
from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

from groundup.core.errors import EnvironmentProblem, UsageProblem, reason_of, remedy
from groundup.core.messages import Message
from groundup.grader.judging.verdict import PropertyResult
from groundup.grader.learner.brief import THOROUGH, Brief, Code, Grading, Proof
from groundup.grader.learner.templates import Texts, environment
from groundup.grader.learner.written import check_place, marked, write_whole
from groundup.grader.process.text import printable, quoted

__all__ = ["SUFFIXES", "Format", "beside", "page", "write_page"]

Format = Literal["md", "html"]
SUFFIXES: dict[str, Format] = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html"}
BY = "learn brief"
BEGINS_BLOCK = re.compile(r"^( ?\d*)([-+#=.)])(?=\2*(?: |$))")  # starts a list item or heading, or underlines one
LAYERS = ("namespaces", "landlock", "process")
LONGEST_CASE = 4000  # characters
BARS = "▁▂▃▄▅▆▇█"
OUTCOMES = {"held": "✓", "failed": "✗", "died": "✗"}
SPARK_STEP, SPARK_HEIGHT, SPARK_WIDEST, SPARK_EDGE = 14.0, 36.0, 560.0, 4.0


def page(brief: Brief, form: Format, files: str | None = None, told: Callable[[str], str] = str) -> str:
    """Return the brief as a page. ``told`` translates English text to the brief's language.

    ``files`` is the path, relative to a Markdown page, of the folder with the files of :func:`beside`. If it is None,
    the page has no plots and mentions no files. An HTML page contains everything.
    """
    t = Texts("brief", brief.lang, told)
    template = _environment(form).get_template(f"brief.{form}.jinja")
    body = template.render(
        brief=brief,
        files=files,
        t=t,
        contained=lambda level: t(f"contained_{level}") if level in LAYERS else level,
        tongue=t.tongue,
        command=lambda proof: _command(proof, form, files),
        name=_name,
    )
    return marked(body.rstrip("\n") + "\n", BY)


def beside(brief: Brief) -> dict[str, bytes]:
    """Return the files that a Markdown page refers to, by name: each attempt and each plot.

    A name contains the digest of the file's content.
    """
    files = {}
    for proof in brief.proofs:
        if proof.code:
            files[_name(proof, "py")] = base64.b64decode(proof.code.base64)
        if proof.lab and proof.lab.picture_base64:
            files[_name(proof, "png")] = base64.b64decode(proof.lab.picture_base64)
    return files


def write_page(path: Path, text: str, folder: str = "", files: Mapping[str, bytes] | None = None) -> None:
    """Write the page, and ``files`` into ``folder`` beside it.

    Raises UsageProblem if ``path`` is a file other than an unedited page written by this function, EnvironmentProblem
    if nothing can be written.
    """
    path = path.resolve()
    try:
        check_place(path, BY)
        for name, data in (files or {}).items():
            place = path.parent / folder / name
            place.parent.mkdir(exist_ok=True)
            if not place.is_file() or place.read_bytes() != data:
                write_whole(place, data, over=False)
        write_whole(path, text.encode(), over=True)
    except FileExistsError as error:
        raise UsageProblem("{path} is in the way: move it aside, or name another file.", path=error.filename) from error
    except OSError as error:
        todo = remedy(error, Message("Name a file in a folder that you can write to."))
        raise EnvironmentProblem(
            "Cannot write {path}: {why}. {todo}", path=error.filename or path, why=reason_of(error), todo=todo
        ) from error


def _name(proof: Proof, suffix: str) -> str:
    """Return the name of a file beside the page."""
    data = proof.code.base64 if suffix == "py" and proof.code else (proof.lab and proof.lab.picture_base64) or ""
    digest = hashlib.sha256(base64.b64decode(data)).hexdigest()
    return f"{proof.technique.replace('/', '-')}-{digest[:12]}.{suffix}"


def _command(proof: Proof, form: Format, files: str | None) -> str:
    """Return the command that grades the quoted file again."""
    assert proof.verdict
    file = f"{files}/{_name(proof, 'py')}" if form == "md" and files and proof.code else _file(proof)
    thorough = " --thorough" if proof.verdict.examples == THOROUGH else ""
    return f"learn grade {proof.called} --attempt {quoted(file)} --seed {proof.verdict.seed}{thorough}"


def _file(proof: Proof) -> str:
    return proof.code.file if proof.code else "FILE"


# Filters and functions for templates


@cache
def _environment(form: Format) -> jinja2.Environment:
    made = environment(_finalize_markdown if form == "md" else _finalize_html)
    made.filters |= {
        "moment": _moment,
        "day": lambda value: f"{value.astimezone(UTC):%Y-%m-%d}",
        "percent": _percent,
        "number": lambda value: f"{value:,.4g}",
        "anchor": lambda identity: re.sub(r"[^a-z0-9]+", "-", identity),
        "sign": lambda status: OUTCOMES.get(status, "·"),
        "bars": _bars,
        "spark": _spark,
        "scores": lambda history: ", ".join(_percent(g.score) for g in history if _counts(g)),
        "again": lambda proof, command: command(proof),
        "assigned": _assigned,
        "differing": _differing,
        "short": _short,
        "diff": _diff,
        "fenced": _fenced,
        "ticked": _ticked,
        "quoted": _quoted,
        "address": _address,
        "rich": _rich,
        "labelled": _labelled,
    }
    return made


def _moment(value: datetime) -> str:
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return f"{aware.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _percent(score: float) -> str:
    return f"{min(score, 0.99 if score < 1 else 1):.0%}"  # only a full score shows 100%


def _labelled(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(values.items()))


def _assigned(counterexample: Mapping[str, str]) -> str:
    """Return a case as assignments to paste; a state machine's steps are statements already."""
    return "\n".join(v if "\n" in v or n == "steps" else f"{n} = {v}" for n, v in counterexample.items())


def _differing(result: PropertyResult, t: Texts) -> str:
    """Return the expected answer, the attempt's answer, and where the two first differ."""
    parts = {"expected": result.expected, "got": result.got, "at": result.where}
    return "\n".join(t(key) + t("colon") + _short(t.told(text), t) for key, text in parts.items() if text is not None)


def _short(text: str, t: Texts) -> str:
    """Return text of an attempt or a case, cut to a readable length."""
    more = len(text) - LONGEST_CASE
    return f"{text[:LONGEST_CASE]}\n{t('left_out', count=more)}" if more > 0 else text


def _bars(history: Sequence[Grading]) -> str:
    return "".join(BARS[min(int(g.score * len(BARS)), len(BARS) - 1)] for g in history if _counts(g))


def _counts(grading: Grading) -> bool:
    return grading.outcome != "not_gradable"


def _spark(history: Sequence[Grading]) -> dict[str, Any]:
    """Return the plot of a score history: its size, the line, and a dot for each grading that counts."""
    counting = [g for g in history if _counts(g)]
    step = min(SPARK_STEP, SPARK_WIDEST / max(len(counting), 1))
    places = [
        (f"{SPARK_EDGE + n * step:.2f}", f"{SPARK_EDGE + (1 - g.score) * (SPARK_HEIGHT - 2 * SPARK_EDGE):.2f}", g)
        for n, g in enumerate(counting)
    ]
    return {
        "width": f"{2 * SPARK_EDGE + max(len(counting) - 1, 0) * step:.2f}",
        "height": f"{SPARK_HEIGHT:.0f}",
        "top": f"{SPARK_EDGE:.2f}",
        "line": " ".join(f"{x},{y}" for x, y, _ in places),
        "dots": places,
    }


# Markdown


def _finalize_markdown(value: Any) -> Any:
    return value if hasattr(value, "__html__") else Markup(_inline(str(value)))


def _inline(text: str) -> str:
    """Return text escaped so that Markdown shows it literally, on one line, in any position."""
    line = re.sub(r"\s+", " ", printable(text))
    line = re.sub(r"[\\`*_\[\]<>&|~$]", r"\\\g<0>", line)
    return BEGINS_BLOCK.sub(r"\g<1>\\\g<2>", line)


def _ticked(text: str) -> Markup:
    """Return text as an inline code span."""
    line = " ".join(printable(text).split()).replace("|", "\N{BROKEN BAR}")
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markup(f"{ticks}{pad}{line}{pad}{ticks}")


def _fenced(text: str, language: str = "text") -> Markup:
    """Return text as a code block with a fence longer than any run of backticks in the text."""
    body = printable(text).rstrip("\n")
    fence = "`" * max(3, _longest_run(body) + 1)
    return Markup(f"{fence}{language}\n{body}\n{fence}")


def _diff(code: Code) -> Markup:
    """Return an attempt as a code block in which the learner's lines are marked."""
    marked = (("+" if part.yours else " ") + line for part in code.parts for line in part.text.split("\n")[:-1])
    return _fenced("\n".join(marked), "diff")


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)


def _quoted(markdown: str) -> Markup:
    """Return a plugin's Markdown as a block quote, so that an unclosed fence or comment ends with it."""
    lines = printable(markdown.replace("\r\n", "\n")).split("\n")
    return Markup("\n".join(f"> {line}".rstrip() for line in lines))


def _address(url: str) -> Markup:
    """Return the target of a Markdown link."""
    return Markup(urllib.parse.quote(url, safe=":/?#@!$&'*+,;=%~-._"))


# HTML


def _finalize_html(value: Any) -> Any:
    return value if hasattr(value, "__html__") else printable(str(value))


def _rich(markdown: str) -> Markup:
    """Return a plugin's Markdown as HTML: raw tags escaped, no images, headings below the page's levels."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    tokens: list[Token] = parser.parse(printable(markdown.replace("\r\n", "\n")))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1:]) + 3, 6)}"
    return Markup(parser.renderer.render(tokens, parser.options, {}))
