"""Every error that Groundup raises on purpose, and the exit code it ends a command with.

GroundupError                      3   the base: never raised itself
├── UsageProblem                   2   what the user asked for cannot be done as asked
│   ├── UnknownName                2   no technique, day, roadmap or property of that name
│   └── NoWorkspace                2   the command needs a workspace and there is none here
├── PluginProblem                  3   a plugin, or a file of one, is broken
│   └── EditProblem                3   a misconception's edit does not fit its solution
├── LabStopped                     1   the learner's code raised, or died, in the middle of a lab
├── EnvironmentProblem             3   the machine lacks something, or failed
└── StateProblem                   3   the workspace's database cannot be read or written
AttemptRaised                      .   the learner's code raised; an ordinary failing example for a property
AttemptDied (BaseException)        .   the learner's process is gone: ends the grading, neither shrunk nor retried
"""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable

EXIT_HELD, EXIT_FELL_SHORT, EXIT_USAGE, EXIT_BROKEN = 0, 1, 2, 3


class GroundupError(Exception):
    """A problem whose message is written for the user: what is wrong, which value, and the next step."""

    exit_code = EXIT_BROKEN


class UsageProblem(GroundupError):
    """What the user asked for cannot be done as asked."""

    exit_code = EXIT_USAGE


class UnknownName(UsageProblem):
    """Nothing has that name; the message offers the nearest names."""

    def __init__(self, kind: str, name: str, known: Iterable[str], see: str = "") -> None:
        near = nearest(name, known)
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        super().__init__(f"No {kind} {name!r}.{hint}{' ' + see if see and not near else ''}")


class NoWorkspace(UsageProblem):
    """The command needs a workspace and there is none here or above."""


class PluginProblem(GroundupError):
    """A plugin, or one of its files, is broken."""


class EditProblem(PluginProblem):
    """A misconception's edit does not match its solution exactly once."""


class LabStopped(GroundupError):
    """The learner's code raised, or its process died, in the middle of a lab."""

    exit_code = EXIT_FELL_SHORT


class EnvironmentProblem(GroundupError):
    """The machine lacks something that the command needs, or failed."""


class StateProblem(GroundupError):
    """The workspace's database cannot be read or written."""


class AttemptRaised(Exception):
    """The learner's code raised. ``types``: the exception's class and its bases; ``lines``: quoted learner code.

    ``rank`` is the rank that raised, given when not all ranks of a group raised the same exception.
    """

    def __init__(self, types: tuple[str, ...], message: str, lines: str = "", rank: int | None = None) -> None:
        where = "" if rank is None else f" on rank {rank}"
        super().__init__(f"{types[0]}{where}: {message}" if message else f"{types[0]}{where}")
        self.types, self.message, self.lines, self.rank = types, message, lines, rank


class AttemptDied(BaseException):
    """The learner's process ended or had to be ended. ``how``: timeout, memory, crash, exit or protocol.

    ``lines``: the quoted learner code that was running, if known.
    """

    def __init__(self, how: str, detail: str, lines: str = "") -> None:
        super().__init__(f"{how}: {detail}")
        self.how, self.detail, self.lines = how, detail, lines


def remedy(error: OSError, otherwise: str) -> str:
    """Return the advice for a file that could not be written: to free disk space if the disk is full."""
    return "Make room on the disk and try again." if error.errno in (errno.ENOSPC, errno.EDQUOT) else otherwise


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return up to three known names close to ``name``; ``track/technique`` ids also match by their last part.

    If a known name differs from ``name`` only in case and punctuation, no other names are returned.
    """
    names = list(dict.fromkeys(known))
    last = {n: n.rpartition("/")[2] for n in names}
    same = [n for n in names if _letters(name) and _letters(name) in (_letters(n), _letters(last[n]))]
    if same:
        return same[:3]
    close = difflib.get_close_matches(name.lower(), names, 3, 0.6)
    near = difflib.get_close_matches(name.lower().rpartition("/")[2], last.values(), 3, 0.6)
    close += [n for n in names if last[n] in near]
    return list(dict.fromkeys(close))[:3]


def _letters(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())
