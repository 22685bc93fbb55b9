from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from groundup.core.errors import UsageProblem
from groundup.core.registry import Registry
from groundup.core.technique import Day, Roadmap, Technique
from groundup.grader.lessons.book import book, write_book


@contextlib.contextmanager
def speaking(lang: str) -> Iterator[Callable[[str], str]]:
    yield str


@pytest.fixture
def pages(toy: Technique) -> dict[str, str]:
    registry = Registry([])
    registry.techniques[toy.id] = toy
    other = toy.model_copy(update={"id": "toys/beside", "title": {"en": "Beside"}})
    registry.techniques[other.id] = other
    days = (Day(number=1, title={"en": "Begin"}, techniques=("toys/halving", "toys/to-come")),)
    registry.roadmaps["short"] = Roadmap(id="short", title={"en": "A short way"}, days=days)
    return book({"en": registry, "zh": registry}, "short", speaking)


def test_it_has_a_page_for_each_lesson_and_an_index_in_each_language(pages: dict[str, str]) -> None:
    one = {"index.html", "toys-halving.html", "toys-beside.html"}
    assert set(pages) == {"index.html", *(f"{lang}/{name}" for lang in ("en", "zh") for name in one)}


def test_the_index_follows_the_roadmap(pages: dict[str, str]) -> None:
    index = pages["en/index.html"]
    day, written, absent, beside = map(
        index.index,
        ("Day 1: Begin", 'href="toys-halving.html"', "toys/to-come (not written yet)", "Beside the roadmap"),
    )
    assert day < written < absent < beside
    assert 'Halving &lt;b&gt;</a> <span class="absent">level 2 of 5, 5 minutes' in index
    assert 'href="../zh/index.html"' in index


def test_pages_lead_to_the_next_the_last_and_the_other_language(pages: dict[str, str]) -> None:
    first, last = pages["en/toys-halving.html"], pages["zh/toys-beside.html"]
    assert 'href="toys-beside.html" rel="next"' in first
    assert 'rel="prev"' not in first
    assert 'href="../zh/toys-halving.html"' in first
    assert 'href="toys-halving.html" rel="prev"' in last
    assert 'href="../en/toys-beside.html"' in last


def test_a_book_is_renewed_and_a_page_that_is_gone_is_taken_away(pages: dict[str, str], tmp_path: Path) -> None:
    write_book(tmp_path / "site", pages)
    fewer = {name: text for name, text in pages.items() if "beside" not in name}
    write_book(tmp_path / "site", fewer)
    there = {str(p.relative_to(tmp_path / "site")) for p in (tmp_path / "site").rglob("*.html")}
    assert there == set(fewer)


def test_a_folder_that_holds_other_things_is_refused(pages: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "site" / "deep").mkdir(parents=True)
    (tmp_path / "site" / "deep" / "mine.html").write_text("mine")
    with pytest.raises(UsageProblem, match=r"holds deep/mine\.html, which 'learn read' did not write"):
        write_book(tmp_path / "site", pages)
    assert not (tmp_path / "site" / "index.html").exists()


def test_a_page_that_was_edited_is_kept(pages: dict[str, str], tmp_path: Path) -> None:
    write_book(tmp_path / "site", pages)
    index = tmp_path / "site" / "index.html"
    index.write_text(index.read_text() + "mine")
    with pytest.raises(UsageProblem, match="was changed after 'learn read' had written it"):
        write_book(tmp_path / "site", pages)
    assert index.read_text().endswith("mine")


def test_a_file_in_the_way_is_told(pages: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "site").write_text("mine")
    with pytest.raises(UsageProblem, match="is not a folder"):
        write_book(tmp_path / "site", pages)
