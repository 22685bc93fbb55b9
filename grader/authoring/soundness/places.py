"""Places in a technique's files, as ``file:line``, which editors can open."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from groundup.core.declared import Place
from groundup.core.quiz.question import Question
from groundup.core.technique import Technique
from groundup.core.toml_file import read_toml

Found = tuple[str, list[str]]
"""The result of a rule: a short summary of what it checked, and the problems."""


def built_in(technique: Technique) -> bool:
    """Whether the technique is part of Groundup; then all texts must exist in both languages."""
    return technique.package.startswith("groundup.plugins.")


def manifest(technique: Technique) -> Path:
    """Return the file of the manifest."""
    return technique.files.manifest


def declared(technique: Technique, where: Place, text: str) -> str:
    """Return ``path:line`` of a declaration in the manifest: found by ``where`` in TOML, by ``text`` in Python."""
    path = manifest(technique)
    return f"{path}:{read_toml(path).line(where)}" if path.suffix == ".toml" else place(path, text)


def place(path: Path, text: str = "") -> str:
    """Return ``path:line`` of the first line that contains ``text``; only the path if none does."""
    if text and path.is_file():
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if text in line:
                return f"{path}:{number}"
    return str(path)


def question_at(technique: Technique, question: Question) -> str:
    """Return ``path:line: question 'id'`` for a question of the technique's quiz."""
    path = technique.files.quiz
    written = re.compile(rf"""\bid:\s*["']?{question.id}["']?\s*(?:[,}}#].*)?$""")
    lines = path.read_text(encoding="utf-8").splitlines()
    line = next((n for n, text in enumerate(lines, start=1) if written.search(text)), 1)
    return f"{path}:{line}: question {question.id!r}"


def place_of(path: Path, source: str, qualified: str) -> str:
    """Return ``path:line`` of a function, a class or a method (``Class.method``) in ``source``."""
    node: ast.AST = ast.parse(source)
    line = 0
    for name in qualified.split("."):
        named = (n for n in ast.iter_child_nodes(node) if getattr(n, "name", None) == name)
        if (found := next(named, None)) is None:
            break
        node, line = found, getattr(found, "lineno", 0)
    return f"{path}:{line}" if line else str(path)
