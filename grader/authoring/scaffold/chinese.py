"""The outline of a Chinese lesson: all that needs no translator, and marks where one is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundup.grader.authoring.form import HEADINGS

__all__ = ["TO_TRANSLATE", "chinese_outline"]

TO_TRANSLATE = "待译："
"""Stands before a passage that is still English: 'to be translated'."""
_ITEM = re.compile(r"(- |\d+\. |!\[)")


def chinese_outline(lesson: str, title: str) -> str:
    """Return an English lesson under a Chinese ``title``: with Chinese headings, and its passages to be translated.

    Blocks of code and formulas stay as they are. Each paragraph, item of a list and caption begins with TO_TRANSLATE.
    """
    return "".join(_lines(lesson, title))


def _lines(lesson: str, title: str) -> Iterator[str]:
    in_block, after_blank = False, True
    for line in lesson.splitlines(keepends=True):
        is_fence = line.startswith(("```", "$$"))
        if line.startswith("# ") and not in_block:
            yield f"# {title}\n"
        elif line.startswith("## ") and not in_block:
            yield f"## {HEADINGS[line.removeprefix('## ').strip()]}\n"
        elif in_block or is_fence or not line.strip():
            yield line
        elif item := _ITEM.match(line):
            yield f"{item[0]}{TO_TRANSLATE}{line[item.end() :]}"
        else:
            yield f"{TO_TRANSLATE}{line}" if after_blank else line
        in_block ^= is_fence
        after_blank = not line.strip()
