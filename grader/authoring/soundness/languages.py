"""Rule: the English and Chinese texts correspond: lessons, quiz, claims, mistakes, hints and lab.

Built-in techniques have both languages. A technique of another distribution may have only English; if it has a
lesson.zh.md, all its texts need a Chinese translation.
"""

from __future__ import annotations

import ast
import re
import string
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel

from groundup.core.quiz.question import Question
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.core.testing.marks import marks_of
from groundup.core.testing.modules import current_module
from groundup.grader.authoring.glossary import other_terms
from groundup.grader.authoring.scaffold.chinese import TO_TRANSLATE
from groundup.grader.authoring.soundness.places import Found, built_in, manifest, place
from groundup.grader.authoring.soundness.quiz import kinds
from groundup.grader.judging.edits import load_edits
from groundup.grader.learner.lab import has_lab
from groundup.grader.learner.quiz import read_quiz

LANGUAGES = ("en", "zh")
CHINESE = re.compile(r"[\u3000-\u9fff\uff00-\uffef]")
ENGLISH = re.compile(r"[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}")  # three words in a row, so not a formula or a name
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"^ *\$\$\n(.*?)\n *\$\$$", re.MULTILINE | re.DOTALL)
WORDS = re.compile(r"\\(?:text|operatorname|mathrm)\*?\{[^{}]*\}|\s+")  # what may be translated, and spaces
FIGURE = re.compile(r"\]\(figure:[^)]*\)")
NOTE = re.compile(r"(?m)(?:(?<=\s)|^)# .*$")
ENGLISH_NOTE = re.compile(r"[a-z]{3,} [a-z]{2,}")  # two words in a row
NUMBER = re.compile(r"\d+(?:[,.]\d+)*")
SOURCE = re.compile(r"https?://[\w./~%#?=&-]+|arXiv:\d+\.\d+|\b[\w-]+(?:\.[\w-]+)*\.(?:ai|com|net|org)\b")
SPELT = {"one": "1", "two": "2", "three": "3", "four": "4", "five": "5", "sixteen": "16"}
SAID_BY_LABS = ("title", "x", "y", "bars", "names", "name", "says", "published")


def check(technique: Technique, registry: Registry) -> Found:
    """Find texts that exist in one language and not in the other."""
    chinese = technique.files.folder / "lesson.zh.md"
    if not chinese.is_file():
        if built_in(technique):
            return "", [f"there is no Chinese lesson: expected it at {chinese}"]
        return "English alone: a lesson.zh.md would promise Chinese too", []
    problems = [
        *compare_lessons(technique.files.folder / "lesson.md", chinese),
        *_manifest(technique),
        *_claims(technique),
    ]
    problems += [*_edits(technique), *_quiz(technique, registry), *_lab(technique)]
    return "English and Chinese", problems


# Lessons


def compare_lessons(english: Path, chinese: Path) -> Iterator[str]:
    """Yield what the Chinese lesson says otherwise than the English one, and what it does not say."""
    if not english.is_file():
        yield f"there is no English lesson: expected it at {english}"
        return
    en, zh = english.read_text(encoding="utf-8"), chinese.read_text(encoding="utf-8")
    if count := zh.count(TO_TRANSLATE):
        yield f"{place(chinese, TO_TRANSLATE)}: {count} passages, each marked {TO_TRANSLATE!r}, are still English"
    outlines = [list(_outline(text)) for text in (en, zh)]
    for number, (ours, theirs) in enumerate(zip(*outlines, strict=False), start=1):
        if ours[0] != theirs[0]:
            yield (
                f"{chinese}:{theirs[1]}: part {number} begins {theirs[0]!r}; {english}:{ours[1]} has {ours[0]!r} there"
            )
            break
    else:
        if len(outlines[0]) != len(outlines[1]):
            counted = "headings, items, rows, figures and formulas"
            yield f"{chinese}: {len(outlines[1])} {counted}, {english} has {len(outlines[0])}"
    blocks = [BLOCK.findall(text) for text in (en, zh)]
    without_notes = [NOTE.sub("", block) for block in blocks[0]]
    for block in blocks[1]:
        at = _line(chinese, zh, block)
        if NOTE.sub("", block) not in without_notes:
            yield f"{at}: this code block is not that of {english}: code is not translated, only its comments"
        for note in NOTE.findall(block):
            if ENGLISH_NOTE.search(note) and not CHINESE.search(note):
                yield f"{at}: the comment {note.strip()!r} in this code block is not translated"
    if len(blocks[0]) != len(blocks[1]):
        yield f"{chinese}: {len(blocks[1])} code blocks, {english} has {len(blocks[0])}"
    yield from _same_formulas(english, chinese, en, zh)
    yield from _same(english, chinese, "`code`", _spans(en), _spans(zh))
    yield from _same(english, chinese, "sources", _sources(en), _sources(zh))
    if lost := numbers(_prose(en)) - numbers(_prose(zh)):
        yield f"{chinese}: the number {min(lost)} of {place(english, min(lost))} is lost"
    spelt = {SPELT[word] for word in re.findall(r"[a-z]+", en.lower()) if word in SPELT}
    for made_up in sorted(set(numbers(zh)) - set(numbers(en)) - spelt):
        yield f"{place(chinese, made_up)}: the number {made_up} is not in {english}"
    yield from _terms_of_lessons(english, chinese, en, zh)
    rows = [[row for row in text.splitlines() if row.startswith("|")] for text in (en, zh)]
    for ours_row, theirs_row in zip(*rows, strict=False):
        if numbers(ours_row) != numbers(theirs_row):
            yield f"{place(chinese, theirs_row)}: other numbers than in the row of {place(english, ours_row)}"


def _same_formulas(english: Path, chinese: Path, en: str, zh: str) -> Iterator[str]:
    """Find a display formula that differs in more than its words."""
    ours, theirs = ([*FORMULA.finditer(_blank(text))] for text in (en, zh))
    for first, second in zip(ours, theirs, strict=False):
        if WORDS.sub("", first[1]) != WORDS.sub("", second[1]):
            lines = [text[: found.start()].count("\n") + 1 for text, found in ((en, first), (zh, second))]
            yield f"{chinese}:{lines[1]}: this formula differs from that of {english}:{lines[0]}"


def _blank(lesson: str) -> str:
    """Return a lesson with its code blocks empty; lines and their numbers stay."""
    return BLOCK.sub(lambda found: "\n" * found[0].count("\n"), lesson)


def _terms_of_lessons(english: Path, chinese: Path, en: str, zh: str) -> Iterator[str]:
    """Find terms that are translated otherwise than the glossary says: paragraph by paragraph, where these match."""
    parts = [re.split(r"\n\s*\n", BLOCK.sub("", text)) for text in (en, zh)]
    pairs = list(zip(*parts, strict=True)) if len(parts[0]) == len(parts[1]) else [(en, zh)]
    for ours, theirs in pairs:
        if TO_TRANSLATE in theirs:
            continue
        for term, variant in other_terms(ours, theirs):
            at = _line(chinese, zh, theirs) if theirs in zh else str(chinese)
            yield f"{at}: {variant} for {term.english!r}: the glossary has {term.zh}"


def _outline(lesson: str) -> Iterator[tuple[str, int]]:
    """Yield kind and line number of each heading (with its level), item, table row, figure and end of a formula."""
    for number, line in enumerate(_blank(lesson).splitlines(), start=1):
        if mark := re.match(r"(#+|-|\d+\.) ", line):
            yield mark[1], number
        elif line.startswith("|"):
            yield "|" * line.count("|"), number
        elif figure := FIGURE.search(line):
            yield figure[0], number
        elif line.strip() == "$$":
            yield "$$", number


def _prose(lesson: str) -> str:
    return BLOCK.sub("", lesson)


def _spans(lesson: str) -> Counter[str]:
    return Counter(re.sub(r"\s+", " ", span) for span in re.findall(r"`([^`]+)`", _prose(lesson)))


def _sources(lesson: str) -> Counter[str]:
    return Counter(source.rstrip(".") for source in SOURCE.findall(lesson))


def numbers(text: str) -> Counter[str]:
    """Return the numbers in ``text``, each with its count."""
    return Counter(NUMBER.findall(text))


def _same(english: Path, chinese: Path, what: str, ours: Counter[str], theirs: Counter[str]) -> Iterator[str]:
    for span in sorted((ours - theirs).keys()):
        yield f"{chinese}: {what}: {span!r} of {place(english, span)} is lacking"
    for span in sorted((theirs - ours).keys()):
        yield f"{place(chinese, span)}: {what}: {span!r} is not in {english}, or less often"


def _line(path: Path, text: str, part: str) -> str:
    return f"{path}:{text[: text.index(part)].count(chr(10)) + 1}"


# Texts


def _manifest(technique: Technique) -> Iterator[str]:
    for where, text in texts(technique):
        yield from _in_both(_near(manifest(technique), text), where.removeprefix("."), text)


def _claims(technique: Technique) -> Iterator[str]:
    path = technique.files.properties
    for name, test in vars(current_module(technique.files.properties_module, path)).items():
        if name.startswith("test_") and callable(test):
            text = marks_of(test).claim
            at = place(path, f"def {name}(")
            yield from _in_both(at, "its claim", text)
            if text["en"] == text.get("zh"):
                yield f"{at}: its claim is the same in both languages"


def _edits(technique: Technique) -> Iterator[str]:
    path = technique.files.misconceptions
    for edit in load_edits(technique):
        at = place(path, f'id = "{edit.id}"')
        yield from _in_both(at, edit.id, edit.says)
        if edit.says["en"] == edit.says.get("zh"):
            yield f"{at}: {edit.id} says the same in both languages"


def _quiz(technique: Technique, registry: Registry) -> Iterator[str]:
    path = technique.files.quiz
    if not path.is_file():
        return  # the rule 'quiz' reports that
    for question in read_quiz(technique, kinds(registry)).questions:
        for where, text in texts(question):
            if not (where == ".unit" and list(text) == ["en"]):  # such as GB
                yield from _in_both(place(path, f"id: {question.id}"), f"{question.id}{where}", text)
        yield from _same_question(path, question)


def _same_question(path: Path, question: Question) -> Iterator[str]:
    at = place(path, f"id: {question.id}")
    for where, text in texts(question):
        if set(text) == set(LANGUAGES) and where != ".unit":
            if _fields(text["en"]) != _fields(text["zh"]):
                yield f"{at}: {question.id}{where} has other parameters in Chinese"
            plain = [re.sub(r"\{[^}]*\}", " ", text[lang]) for lang in LANGUAGES]
            if _figures(plain[0]) != _figures(plain[1]):
                yield f"{at}: {question.id}{where} has other numbers in Chinese"


def _fields(template: str) -> Counter[str]:
    try:
        return Counter(f"{name}:{spec}" for _, name, spec, _ in string.Formatter().parse(template) if name)
    except ValueError:  # not a format string: an option's braces are literal
        return Counter()


def _figures(text: str) -> Counter[str]:
    return Counter(re.findall(r"\d+(?:,\d{3})*(?:\.\d+)?(?:e\d+)?", text))


def _lab(technique: Technique) -> Iterator[str]:
    """Check the lab's texts in its source, since a lab returns them only once it has run."""
    path = technique.files.folder / "lab.py"
    if technique.lab:
        yield from _same_placeholders(technique)
        return
    if not has_lab(technique):
        return  # the rule 'lab' reports that
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ("Lab", "Figure", "Mark"):
            for keyword in call.keywords:
                if keyword.arg in SAID_BY_LABS:
                    yield from _said(path, keyword.value)


def _same_placeholders(technique: Technique) -> Iterator[str]:
    """Find lab texts in a manifest whose Chinese has other placeholders. Missing texts are detected elsewhere."""
    for where, text in texts(technique.lab, "lab"):
        if "zh" in text and _fields(text["en"]) != _fields(text["zh"]):
            yield f"{_near(manifest(technique), text)}: {where} has other placeholders in Chinese"


def _said(path: Path, value: ast.expr) -> Iterator[str]:
    """Yield what is wrong with a text of a lab, or with each of its ``names``."""
    if not isinstance(value, ast.Dict):
        if isinstance(value, (ast.Constant, ast.JoinedStr)):
            yield f"{path}:{value.lineno}: {ast.unparse(value)} is in one language alone: {{'en': ..., 'zh': ...}}"
        return  # a name or a call: its value is unknown here
    if value.values and all(isinstance(each, ast.Dict) for each in value.values):
        for each in value.values:
            yield from _said(path, each)
        return
    text = {ast.literal_eval(k): ast.unparse(v) for k, v in zip(value.keys, value.values, strict=True) if k}
    yield from _in_both(f"{path}:{value.lineno}", "this text", text)


def texts(value: object, where: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """Yield every text in ``value``, with its path."""
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from texts(getattr(value, field), f"{where}.{field}")
    elif isinstance(value, dict) and "en" in value:
        yield where, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from texts(part, f"{where}[{key}]")
    elif isinstance(value, (list, tuple)):
        for number, part in enumerate(value, start=1):
            yield from texts(part, f"{where}[{number}]")


def _near(path: Path, text: dict[str, str]) -> str:
    """Return where a text begins, found by its first words; they must be on one line."""
    return place(path, text["en"].strip()[:40])


def _in_both(at: str, where: str, text: dict[str, str]) -> Iterator[str]:
    english = text.get("en", "").strip()
    if lacking := [lang for lang in LANGUAGES if lang not in text]:
        yield f"{at}: {where} lacks {lacking[0]!r}: {english[:60]!r}"
        return
    if more := set(text) - set(LANGUAGES):
        yield f"{at}: {where} is also in {min(more)!r}, which no command speaks"
    if CHINESE.search(english):
        yield f"{at}: {where}: the English holds Chinese characters: {english[:60]!r}"
    for term, variant in other_terms(english, text["zh"]):
        yield f"{at}: {where}: {variant} for {term.english!r}: the glossary has {term.zh}"
    if not CHINESE.search(text["zh"]) and ENGLISH.search(text["zh"]):
        yield f"{at}: {where}: the Chinese is not translated: {text['zh'][:60]!r}"
