"""All lessons as one book: a folder with a page for every lesson in each language, in the order of the roadmap."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from groundup.core.errors import EnvironmentProblem, UsageProblem, reason_of
from groundup.core.registry import Registry
from groundup.core.technique import Roadmap
from groundup.core.technique import say as said
from groundup.grader.learner.templates import TAGS, Texts
from groundup.grader.learner.written import mark_of, marked, write_whole
from groundup.grader.lessons.markdown import read_lesson
from groundup.grader.lessons.page import BY, Link, Place, effort, page, template

__all__ = ["LANGUAGES", "book", "write_book"]

LANGUAGES = ("en", "zh")
Speaking = Callable[[str], AbstractContextManager[Callable[[str], str]]]
"""Switches to a language, and yields what translates English text to it."""


@dataclass(frozen=True)
class Entry:
    """A technique in the index."""

    title: str
    href: str | None
    effort: Sequence[str] = ()


@dataclass(frozen=True)
class Chapter:
    """A day of the roadmap; or, without a number, the techniques beside it."""

    number: int | None
    title: str
    entries: Sequence[Entry]


def book(registries: Mapping[str, Registry], roadmap: str, speaking: Speaking) -> dict[str, str]:
    """Return the pages by their paths in the book's folder. Raises PluginProblem.

    ``registries`` has the techniques with their texts in each language.
    """
    pages: dict[str, str] = {}
    for lang, registry in registries.items():
        with speaking(lang) as told:
            pages |= _in_language(registry, registry.roadmaps[roadmap], lang, told)
    pages["index.html"] = marked(_ENTRANCE, BY)
    return pages


def write_book(folder: Path, pages: Mapping[str, str]) -> None:
    """Write a book. Raises UsageProblem if the folder holds anything but an unchanged book, EnvironmentProblem."""
    folder = folder.resolve()
    before = list(_files(folder))
    for path in before:
        if path.is_symlink() or path.suffix != ".html" or (mark := mark_of(path)) is None or mark.by != BY:
            raise UsageProblem(
                "{folder} holds {path}, which '{by}' did not write: name a folder that is empty or new.",
                folder=folder, path=path.relative_to(folder), by=BY,
            )  # fmt: skip
        if not mark.unchanged:
            raise UsageProblem(
                "{path} was changed after '{by}' had written it: name another file, or move this one aside.",
                path=path, by=BY,
            )  # fmt: skip
    try:
        for name, text in pages.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, text.encode(), over=True)
        for path in before:  # pages of techniques that are gone
            if str(path.relative_to(folder)) not in pages:
                path.unlink()
    except OSError as error:
        raise EnvironmentProblem(
            "Cannot write {path}: {why}.", path=error.filename or folder, why=reason_of(error)
        ) from error


def _files(folder: Path) -> list[Path]:
    if not os.path.lexists(folder):
        return []
    if not folder.is_dir():
        raise UsageProblem("{path} is not a folder: name another.", path=folder)
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _in_language(registry: Registry, roadmap: Roadmap, lang: str, told: Callable[[str], str]) -> dict[str, str]:
    t, known = Texts("lesson", lang, told), registry.techniques
    written = {identity: technique for identity, technique in known.items() if technique.files.lesson().is_file()}
    on_it = [identity for day in roadmap.days for identity in day.techniques]
    order = [identity for identity in dict.fromkeys([*on_it, *written]) if identity in written]
    other = next((each for each in LANGUAGES if each != lang), None)
    links = {i: Link(said(written[i].title, lang), _name(i)) for i in order}

    def entry(identity: str) -> Entry:
        technique = known.get(identity)
        if identity not in written:
            return Entry(said(technique.title, lang) if technique else identity, None)
        return Entry(links[identity].title, _name(identity), effort(written[identity], t))

    chapters = [Chapter(d.number, said(d.title, lang), [entry(i) for i in d.techniques]) for d in roadmap.days]
    if further := [identity for identity in order if identity not in on_it]:
        chapters.append(Chapter(None, t("further"), [entry(identity) for identity in further]))
    away = (TAGS.get(other, other), f"../{other}") if other else ("", "")
    pages = {
        f"{lang}/index.html": marked(
            template("book.html.jinja").render(
                t=t, chapters=chapters, roadmap=said(roadmap.title, lang),
                elsewhere=f"{away[1]}/index.html" if other else None, elsewhere_lang=away[0],
            ),
            BY,
        )
    }  # fmt: skip
    for number, identity in enumerate(order):
        place = Place(
            links[order[number - 1]] if number else None,
            links[order[number + 1]] if number + 1 < len(order) else None,
            f"{away[1]}/{_name(identity)}" if other else None,
            away[0],
        )
        builds = [links.get(i) or Link(said(known[i].title, lang)) for i in written[identity].requires if i in known]
        pages[f"{lang}/{_name(identity)}"] = page(read_lesson(written[identity], lang), builds, told=told, place=place)
    return pages


def _name(identity: str) -> str:
    """Return the file of a technique's page."""
    return identity.replace("/", "-") + ".html"


_ENTRANCE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>Groundup</title>
</head>
<body style="font: 1.2rem/1.8 system-ui, sans-serif; margin: 3rem auto; max-width: 30rem; padding: 0 1rem">
<p><a href="en/index.html" lang="en" hreflang="en">English</a></p>
<p><a href="zh/index.html" lang="zh-Hans" hreflang="zh-Hans">中文</a></p>
</body>
</html>
"""
