"""The names of the commands, and how this user types them."""

from __future__ import annotations

import os
import re

from groundup.grader.process.text import quoted

__all__ = ["COMMANDS", "called", "spoken"]

# What 'learn --help' shows, in the order of a learner's day; 'a-b' lives in cli/a_b.py.
COMMANDS = {
    "start": "Put a day's or a technique's stubs into your workspace.",
    "next": "Do the next step: a lab, a quiz, new stubs, the brief.",
    "read": "Read a lesson.",
    "grade": "Grade your attempt, with evidence.",
    "watch": "Grade on every save.",
    "run": "Run a technique's lab with your own code.",
    "quiz": "Answer questions on a technique or a day, with fresh numbers each time.",
    "brief": "Export what you have proved, with its evidence.",
    "hint": "Get the next hint for a hole.",
    "replay": "Run the case that failed again, alone.",
    "reset": "Begin a technique anew; the old attempt is kept.",
    "solution": "Show the reference solution.",
    "dispute": "Bundle a case that you think was judged wrong, for others to check.",
    "status": "Show where you stand.",
    "list": "List days, tracks and techniques.",
    "doctor": "Check what this machine offers, and what each lack costs.",
    "completion": "Print the shell's completion script.",
    "grade-many": "Grade a class of submissions.",
    "author": "Check and generate the files of techniques.",
}


def called() -> str:
    """Return how the user typed this program, quoted for a shell: ``learn``, or ``./learn`` in a clone."""
    return quoted(os.environ.get("LEARN_COMMAND", "learn"))


def spoken(text: str) -> str:
    """Return ``text`` with every ``learn <command>``, quoted or on a line of its own, as this user would type it."""

    def typed(found: re.Match[str]) -> str:
        return found[1] + (called().replace("'", '"') if found[1] == "'" else called()) + " "

    return re.sub(rf"(?m)(^ *|')learn (?=(?:{'|'.join(COMMANDS)}|--help)\b)", typed, text)
