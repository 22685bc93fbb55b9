from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from groundup.core.errors import PluginProblem
from groundup.core.technique import Technique
from groundup.grader.lessons.markdown import read_lesson
from groundup.grader.lessons.page import LabPicture, Link, Place, page


def made(technique: Technique, **options: object) -> str:
    return page(read_lesson(technique, "en"), **options)  # type: ignore[arg-type]


class Tags(HTMLParser):
    """Collects what a page loads and where its links lead."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]


def test_a_page_loads_nothing_and_runs_no_script(toy: Technique) -> None:
    text = made(toy)
    tags = Tags(text)
    assert not {"script", "link", "iframe", "object", "img"} & set(tags.names)
    outside = [a for a in tags.addresses if not a.startswith("#")]
    assert outside == ["https://example.org/a?b&c"]
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in text
    assert "@import" not in text
    assert "url(http" not in text


def test_what_a_lesson_says_is_escaped(toy: Technique) -> None:
    text = made(toy)
    assert "&lt;script&gt;alert(1)&lt;/script&gt; 1.5." in text
    assert '<span class="c"># &quot;a&quot; &amp; b' in text or '# "a" &amp; b</span>' in text


def test_it_has_formulas_figures_tables_and_coloured_code(toy: Technique) -> None:
    text = made(toy)
    assert '<math display="block"><mfrac>' in text
    assert re.search(r'<figure><svg[^>]*role="img" aria-label="A line rises to y₁ &amp; on."', text)
    assert "<figcaption>A line <em>rises</em> to <math>" in text
    assert '<div class="wide" tabindex="0"><table>' in text
    assert '<span class="k">def</span>' in text
    assert "stroke: var(--colour-1, #0a6ebd)" in text


def test_the_colours_of_figures_are_defined_for_both_themes(toy: Technique) -> None:
    style = made(toy).partition("</style>")[0]
    light, _, dark = style[style.index("--muted") :].partition("prefers-color-scheme: dark")
    for number in range(1, 7):
        assert f"--colour-{number}:" in light
        assert f"--colour-{number}:" in dark
    assert "@media print" in style


def test_links_lead_to_sections_and_files_are_no_links(toy: Technique) -> None:
    text = made(toy)
    assert '<h2 id="the-end">' in text
    assert '<li><a href="#the-end">The end</a></li>' in text
    assert "<span>a file</span> and a picture" in text


def test_the_head_says_what_it_takes(toy: Technique) -> None:
    text = made(toy, builds=[Link("Doubling <i>"), Link("Adding", "add.html")])
    assert "level 2 of 5, 5 minutes; builds on Doubling &lt;i&gt;, " in text
    assert '<a href="add.html">Adding</a>' in text


def test_the_picture_of_the_lab_is_part_of_the_page(toy: Technique) -> None:
    png = b"\x89PNG\r\n\x1a\n123"
    at = datetime(2026, 1, 2, tzinfo=UTC)
    text = made(toy, lab=LabPicture(png, at))
    assert '<img src="data:image/png;base64,iVBORw0KGgoxMjM="' in text
    assert "What your run of the lab measured on 2026-01-02: learn run halving." in text
    assert "<img" not in made(toy, lab=LabPicture(b"<svg>", at))


def test_pages_of_a_book_lead_on(toy: Technique) -> None:
    text = made(toy, place=Place(Link("A", "a.html"), Link("B", "b.html"), "../zh/x.html", "zh-Hans"))
    assert text.count('<a href="a.html" rel="prev">A</a>') == 2
    assert text.count('<a href="b.html" rel="next">B</a>') == 2
    assert '<a href="../zh/x.html" hreflang="zh-Hans" lang="zh-Hans">中文</a>' in text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("def line", "def curve", r"lesson\.md:12: .*figures\.py has no function 'line'; it has curve"),
        ("axes = ", "1 / 0; axes = ", r"lesson\.md:12: the figure 'line' is not drawn: ZeroDivisionError"),
    ],
)
def test_a_figure_that_is_not_drawn_is_told(toy: Technique, old: str, new: str, says: str) -> None:
    path = toy.files.figures
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    with pytest.raises(PluginProblem, match=says):
        made(toy)


def test_a_lesson_without_figures_py_is_told(toy: Technique) -> None:
    toy.files.figures.unlink()
    with pytest.raises(PluginProblem, match=r"there is no .*figures\.py that draws 'line'"):
        made(toy)
