"""That what is built in says the same in English and in Chinese."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.core.testing.marks import marks_of
from groundup.core.testing.modules import current_module
from groundup.grader.edits import load_edits
from groundup.grader.quiz import read_quiz

REGISTRY = Registry()
TECHNIQUES = [t for t in REGISTRY.techniques.values() if t.package.startswith("groundup.plugins.")]
LANGUAGES = {"en", "zh"}
CHINESE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"\d+(?:[,.]\d+)*")
SPELT = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "sixteen": "16"}

each = pytest.mark.parametrize("technique", TECHNIQUES, ids=lambda technique: technique.id)


# Lessons


def lessons(technique: Technique) -> tuple[str, str]:
    english, chinese = technique.files.lesson("en"), technique.files.lesson("zh")
    assert english != chinese
    return english.read_text(encoding="utf-8"), chinese.read_text(encoding="utf-8")


def prose(lesson: str) -> str:
    return BLOCK.sub("", lesson)


def outline(lesson: str) -> list[str]:
    """Return what each line begins that begins something: a heading by its level, an item, a row by its cells."""
    found = []
    for line in prose(lesson).splitlines():
        if mark := re.match(r"(#+|-|\d+\.) ", line):
            found.append(mark[1])
        elif line.startswith("|"):
            found.append("|" * line.count("|"))
    return found


@each
def test_both_lessons_have_the_same_parts_in_the_same_order(technique: Technique) -> None:
    english, chinese = map(outline, lessons(technique))
    assert english == chinese
    assert english.count("##") >= 5


@each
def test_both_lessons_have_the_same_code_and_formulas(technique: Technique) -> None:
    english, chinese = lessons(technique)
    assert BLOCK.findall(english) == BLOCK.findall(chinese)
    assert code(english) == code(chinese)


def code(lesson: str) -> Counter[str]:
    return Counter(re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", prose(lesson)))


@each
def test_both_lessons_have_the_same_sources(technique: Technique) -> None:
    english, chinese = map(sources, lessons(technique))
    assert english == chinese
    assert english


def sources(lesson: str) -> Counter[str]:
    found = re.findall(r"https?://[\w./~%#?=&-]+|arXiv:\d+\.\d+|\b[\w-]+(?:\.[\w-]+)*\.(?:ai|com|net|org)\b", lesson)
    return Counter(source.rstrip(".") for source in found)


@each
def test_no_number_is_lost_or_made_up_in_the_chinese_lesson(technique: Technique) -> None:
    english, chinese = lessons(technique)
    assert numbers(prose(english)) - numbers(prose(chinese)) == Counter()
    spelt = {SPELT[word] for word in re.findall(r"[a-z]+", english.lower()) if word in SPELT}
    assert set(numbers(chinese)) - set(numbers(english)) - spelt == set()


def numbers(text: str) -> Counter[str]:
    return Counter(NUMBER.findall(text))


@each
def test_the_rows_of_tables_hold_the_same_numbers(technique: Technique) -> None:
    english, chinese = ([row for row in text.splitlines() if row.startswith("|")] for text in lessons(technique))
    assert [numbers(row) for row in english] == [numbers(row) for row in chinese]


# Texts


def texts(value: object, where: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every text that ``value`` holds, and the way to it."""
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from texts(getattr(value, field), f"{where}.{field}")
    elif isinstance(value, dict) and "en" in value:
        yield where, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from texts(part, f"{where}[{key}]")
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value):
            yield from texts(part, f"{where}[{number}]")


def in_both(where: str, text: dict[str, str]) -> None:
    assert set(text) == LANGUAGES, where
    english, chinese = text["en"].strip(), text["zh"].strip()
    assert not CHINESE.search(english), where
    if not CHINESE.search(chinese):  # a formula or a name
        assert not re.search(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}", english), where


@each
def test_the_manifest_is_in_both_languages(technique: Technique) -> None:
    found = list(texts(technique, technique.id))
    assert len(found) >= 3 + 2 * len(technique.holes)
    for where, text in found:
        in_both(where, text)


@each
def test_every_claim_is_in_both_languages(technique: Technique) -> None:
    module = current_module(technique.files.properties_module, technique.files.properties)
    claims = {name: marks_of(test).claim for name, test in vars(module).items() if name.startswith("test_")}
    assert claims
    for name, claim in claims.items():
        in_both(name, claim)
        assert claim["en"] != claim["zh"]


@each
def test_every_misconception_and_convention_is_in_both_languages(technique: Technique) -> None:
    edits = load_edits(technique)
    assert edits
    for edit in edits:
        in_both(edit.id, edit.says)
        assert edit.says["en"] != edit.says["zh"]


@each
def test_the_quiz_is_in_both_languages(technique: Technique) -> None:
    found = list(texts(read_quiz(technique).questions))
    assert len(found) >= 20
    for where, text in found:
        if not where.endswith(".unit"):  # GB
            in_both(where, text)


@pytest.mark.parametrize("roadmap", REGISTRY.roadmaps.values(), ids=lambda roadmap: roadmap.id)
def test_the_roadmap_is_in_both_languages(roadmap: BaseModel) -> None:
    found = list(texts(roadmap))
    assert len(found) == 15
    for where, text in found:
        in_both(where, text)


@each
def test_the_lab_is_in_both_languages(technique: Technique) -> None:
    """Read from its source: what a lab finds is only said once it has run."""
    tree = ast.parse((technique.files.folder / "lab.py").read_text(encoding="utf-8"))
    said = [
        (f"{call.func.id}, line {keyword.value.lineno}", keyword.value)
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("Lab", "Figure", "Mark")
        for keyword in call.keywords
        if keyword.arg in ("title", "x", "y", "bars", "names", "name", "says", "published")
    ]
    assert len(said) >= 5
    for where, text in [part for pair in said for part in each_name(*pair)]:
        assert isinstance(text, ast.Dict), f"{where}: {ast.unparse(text)} is in one language alone"
        in_both(where, {ast.literal_eval(k): ast.unparse(v) for k, v in zip(text.keys, text.values, strict=True) if k})


def each_name(where: str, text: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield a text as it is, and each one of a lab's ``names``."""
    if isinstance(text, ast.Dict) and all(isinstance(value, ast.Dict) for value in text.values):
        yield from ((f"{where}: {ast.unparse(k)}", v) for k, v in zip(text.keys, text.values, strict=True) if k)
    else:
        yield where, text


def test_this_looks_at_every_technique() -> None:
    folders = {p.parent for p in Path(__file__).parents[2].joinpath("plugins").rglob("lesson.md")}
    assert folders == {t.files.folder for t in TECHNIQUES}
