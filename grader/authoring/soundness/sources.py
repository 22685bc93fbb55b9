"""Rule: sources can exist: addresses are well-formed, arXiv identifiers possible, and library files have a version."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from groundup.core.technique import Source, Technique
from groundup.grader.authoring.soundness.places import Found, declared

ARXIV = re.compile(r"(?:arXiv:|arxiv\.org/(?:abs|pdf)/)(\d+\.\d+)", re.IGNORECASE)
ADDRESS = re.compile(r"https?://[^\s)>`\]]+")
HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}")
MOVING = re.compile(r"github\.com/[^/]+/[^/]+/(?:blob|tree)/(?:main|master|HEAD|dev|develop)(?:/|$)")
FIRST_YEAR = 2007  # identifiers of this form began in April 2007; since January 2015 they have five digits


def check(technique: Technique) -> Found:
    """Find sources that cannot exist, and library files whose version is not said."""
    problems = []
    for number, source in enumerate(technique.sources):
        at = declared(technique, ("source", number, "url"), source.url)
        problems += [f"{at}: {problem}" for problem in (*_address(source.url), *_version(source))]
    texts = [technique.files.folder / "lesson.md", technique.files.folder / "lesson.zh.md", technique.files.quiz]
    count = len(technique.sources)
    for path in texts:
        if not path.is_file():
            continue
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found = [*ADDRESS.findall(text), *(m[0] for m in ARXIV.finditer(text))]
            count += len(found)
            problems += [f"{path}:{line}: {problem}" for name in found for problem in _address(name)]
    return f"{count} addresses", problems


def _address(text: str) -> Iterator[str]:
    """Yield what is impossible about an address or an arXiv identifier."""
    if text.startswith(("http://", "https://")):
        parts = urlsplit(text.rstrip(".,;"))
        host = (parts.hostname or "").lower()
        if not HOST.fullmatch(host):
            yield f"{text!r} is no address: {host or 'nothing'!r} is no host"
        elif "//" in parts.path or " " in text:
            yield f"{text!r} is no address: it has {'//' if '//' in parts.path else 'a space'} in its path"
        elif host.endswith("arxiv.org") and parts.path.startswith(("/abs", "/pdf")) and not ARXIV.search(text):
            yield f"{text!r} names no paper: arxiv.org/abs/ and an identifier such as 1706.03762"
    for match in ARXIV.finditer(text):
        if why := _impossible(match[1]):
            yield f"arXiv:{match[1]} cannot exist: {why}"


def _impossible(identifier: str) -> str:
    """Return why an arXiv identifier cannot exist; empty if it can."""
    month, _, number = identifier.partition(".")
    if len(month) != 4 or not 1 <= int(month[2:]) <= 12:
        return "it begins with two digits of the year and two of the month"
    year, today = 2000 + int(month[:2]), datetime.date.today()
    if not (FIRST_YEAR, 4) <= (year, int(month[2:])) <= (today.year, today.month):
        return f"{year}-{month[2:]} is before April 2007, or still to come"
    digits = 5 if year >= 2015 else 4
    return "" if len(number) == digits else f"papers of {year} have {digits} digits after the point"


def _version(source: Source) -> Iterator[str]:
    if MOVING.search(source.url) and not source.seen:
        yield f"{source.title!r} is a file of a library that changes: add seen = the version or the date that was read"
