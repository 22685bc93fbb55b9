"""What no machine can see, read once by a second reader: keys of questions, meanings of translations, numbers in prose.

Each item has a digest of its text. ``reviewed.toml`` keeps the digests of the items that were read, and no names;
editing an item unreads it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

from groundup.core.declared import say
from groundup.core.examples import filled_in
from groundup.core.quiz.question import Asked
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.core.testing.marks import marks_of
from groundup.grader.authoring.soundness.languages import BLOCK, texts
from groundup.grader.authoring.soundness.quiz import kinds
from groundup.grader.judging.edits import load_edits
from groundup.grader.judging.properties import Properties
from groundup.grader.learner.quiz import read_quiz

__all__ = ["Item", "items", "mark_read", "unread"]

FILE = "reviewed.toml"
HEAD = "# What a second reader has read: 'learn author review' writes it. Editing an item unreads it.\n\n[read]\n"
HIDDEN = "▢"
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?:e-?\d+)?%?")

Kind = Literal["question", "translation", "numbers", "source"]


@dataclass(frozen=True)
class Item:
    """One thing to read: what is shown first, with its answer hidden, and the answer."""

    kind: Kind
    name: str
    """Where it is, in words that do not change when its text does."""
    shown: str
    answer: str
    question: Asked | None = None
    """Of a question: the drawn question, which marks the reader's answer."""

    @property
    def key(self) -> str:
        """The item's name in ``reviewed.toml``."""
        return f"{self.kind} {self.name}"

    @property
    def digest(self) -> str:
        """The digest of its text."""
        return _digest(json.dumps([self.kind, self.shown, self.answer]))


def items(technique: Technique, registry: Registry) -> list[Item]:
    """Return everything that a second reader has to read, in the order of the files. Raises PluginProblem."""
    return [
        *_questions(technique, registry),
        *_numbers(technique),
        *_translations(technique, registry),
        *_sources(technique),
    ]


def unread(technique: Technique, registry: Registry) -> list[Item]:
    """Return the items that nobody has read as they are now. Raises PluginProblem."""
    read = _read(technique.files.folder / FILE)
    return [item for item in items(technique, registry) if read.get(item.key) != item.digest]


def mark_read(technique: Technique, registry: Registry, found: Iterable[Item]) -> Path:
    """Note that items were read; forget those that are no more. Return the file."""
    path = technique.files.folder / FILE
    there = {item.key: item for item in items(technique, registry)}
    read = {key: digest for key, digest in _read(path).items() if key in there}
    read |= {item.key: item.digest for item in found}
    lines = [f"{json.dumps(key, ensure_ascii=False)} = {json.dumps(read[key])}\n" for key in there if key in read]
    path.write_text(HEAD + "".join(lines), encoding="utf-8")
    return path


def _read(path: Path) -> dict[str, str]:
    try:
        return dict(tomllib.loads(path.read_text(encoding="utf-8")).get("read", {}))
    except (OSError, ValueError):  # without a readable record nothing was read
        return {}


def _questions(technique: Technique, registry: Registry) -> Iterator[Item]:
    if not technique.files.quiz.is_file():
        return
    for question in read_quiz(technique, kinds(registry)).questions:
        drawn = question.draw(Random(question.id))
        shown = [say(drawn.text)]
        shown += [f"{letter}  {say(text)}" for letter, text in drawn.choices().items()]
        told = json.dumps(question.model_dump(mode="json", warnings=False), sort_keys=True, ensure_ascii=False)
        points = [f"{number}  {say(point)}" for number, point in enumerate(drawn.by_oneself(), start=1)]
        answer = "\n".join([drawn.shown(drawn.right_answer(), "en"), *points, say(drawn.explanation)])
        yield Item("question", question.id, "\n".join(shown), f"{answer}\n{_digest(told)}", drawn)


def _numbers(technique: Technique) -> Iterator[Item]:
    for heading, section in _sections(technique, "lesson.md"):
        prose = "\n".join(line for line in section.splitlines() if line.strip())
        if NUMBER.search(prose):
            yield Item("numbers", f"lesson: {heading}", NUMBER.sub(HIDDEN, prose), prose)


def _translations(technique: Technique, registry: Registry) -> Iterator[Item]:
    pairs = zip(_sections(technique, "lesson.md"), _sections(technique, "lesson.zh.md"), strict=False)
    for (heading, english), (_, chinese) in pairs:
        yield Item("translation", f"lesson: {heading}", BLOCK.sub("", chinese), BLOCK.sub("", english))
    said: list[tuple[str, dict[str, str]]] = [(f"technique{where}", text) for where, text in texts(technique)]
    tests = Properties(technique).functions
    said += [(f"claim {name.removeprefix('test_')}", marks_of(test).claim) for name, test in tests.items()]
    said += [(f"{edit.kind} {edit.id}", edit.says) for edit in load_edits(technique)]
    if technique.files.quiz.is_file():
        for question in read_quiz(technique, kinds(registry)).questions:
            said += [(f"quiz {question.id}{where}", text) for where, text in texts(question)]
    for name, text in said:
        if "zh" in text and text["zh"] != text["en"]:
            yield Item("translation", name, text["zh"], text["en"])


def _sources(technique: Technique) -> Iterator[Item]:
    for source in technique.sources:
        seen = f"seen {source.seen}" if source.seen else ""
        shown = ", ".join(part for part in (source.title, source.where, seen) if part)
        yield Item("source", source.url, f"{source.url}\n{shown}", "the page is there, and says what is cited")


def _sections(technique: Technique, name: str) -> Iterator[tuple[str, str]]:
    """Yield heading and text of each section of a lesson, with the numbers that it quotes."""
    lesson = technique.files.folder / name
    if not lesson.is_file():
        return
    text = filled_in(lesson.read_text("utf-8"), technique)
    parts = re.split(r"(?m)^## (.*)$", BLOCK.sub(lambda found: found[0].replace("\n## ", "\n\\## "), text))
    yield "the beginning", parts[0]
    yield from zip(parts[1::2], parts[2::2], strict=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def is_right(item: Item, given: str) -> bool | None:
    """Whether a reader's answer to a question is the file's; None where readers have to decide that themselves.

    Raises NotAnAnswer for one that cannot be read.
    """
    assert item.question is not None
    answer = item.question.read(given)
    return None if item.question.by_oneself() else item.question.is_right(answer)
