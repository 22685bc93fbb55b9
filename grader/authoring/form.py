"""The form of lessons: the sections that every built-in lesson has, in their order, in both languages."""

from __future__ import annotations

__all__ = ["BEFORE_OWN", "HEADINGS", "headings_in"]

HEADINGS = {
    "The problem": "要解决的问题",
    "A worked example": "一个算例",
    "The formula": "公式",
    "Why it has this form": "为什么是这个形式",
    "Traps": "陷阱",
    "Where right implementations differ": "正确实现的不同之处",
    "What it costs": "代价",
    "In production": "在生产系统中",
    "Predict, then measure": "先预测，再测量",
    "What to build": "要实现什么",
    "What comes next": "接下来",
    "Sources": "来源",
}
BEFORE_OWN = "Why it has this form"
"""The section after which a technique has its own, as many as it needs."""


def headings_in(lang: str) -> list[str]:
    """Return the headings in ``lang``."""
    return [*HEADINGS.values()] if lang == "zh" else [*HEADINGS]
