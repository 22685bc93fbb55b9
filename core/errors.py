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

from groundup.core.messages import Message, either, joined

EXIT_HELD, EXIT_FELL_SHORT, EXIT_USAGE, EXIT_BROKEN = 0, 1, 2, 3


class GroundupError(Exception):
    """A problem whose message is written for the user: what is wrong, which value, and the next step.

    The message is a template with its fields, and is translated where it is shown:
    ``UsageProblem("There is no file {path}.", path=path)``. Without fields the text is used as it is.
    """

    exit_code = EXIT_BROKEN

    def __init__(self, template: str, /, **fields: object) -> None:
        self.message = Message(template, **fields)
        super().__init__(self.message)


class UsageProblem(GroundupError):
    """What the user asked for cannot be done as asked."""

    exit_code = EXIT_USAGE


class UnknownName(UsageProblem):
    """Nothing has that name; the message offers the nearest names, or ``see``, which says where all are listed."""

    def __init__(self, kind: str, name: str, known: Iterable[str], see: str = "") -> None:
        if near := nearest(name, known):
            offered = either(map(repr, near))
            said = Message("No {kind} {name!r}. Did you mean {near}?", kind=kind, name=name, near=offered)
        elif see:
            said = Message("No {kind} {name!r}. {see}", kind=kind, name=name, see=see)
        else:
            said = Message("No {kind} {name!r}.", kind=kind, name=name)
        super().__init__(said)


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

    ``rank`` is the rank that raised, given when not all ranks of a group raised the same exception. ``summary`` is one
    line.
    """

    def __init__(self, types: tuple[str, ...], message: str, lines: str = "", rank: int | None = None) -> None:
        where = types[0] if rank is None else Message("{error} on rank {rank}", error=types[0], rank=rank)
        self.summary = Message("{error}: {message}", error=where, message=message) if message else joined("", [where])
        super().__init__(self.summary)
        self.types, self.message, self.lines, self.rank = types, message, lines, rank


WAYS_TO_DIE = {
    "timeout": Message("timeout"),
    "memory": Message("memory"),
    "crash": Message("crash"),
    "exit": Message("exit"),
    "flood": Message("flood"),
    "protocol": Message("protocol"),
}


class AttemptDied(BaseException):
    """The learner's process ended or had to be ended. ``how``: one of WAYS_TO_DIE; ``summary`` says it in a line.

    ``lines``: the quoted learner code that was running, if known.
    """

    def __init__(self, how: str, detail: str, lines: str = "") -> None:
        self.summary = Message("{how}: {detail}", how=WAYS_TO_DIE.get(how, how), detail=detail)
        super().__init__(self.summary)
        self.how, self.detail, self.lines = how, detail, lines


def remedy(error: OSError, otherwise: str) -> str:
    """Return the advice for a file that could not be written: to free disk space if the disk is full."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return Message("Make room on the disk and try again.") if full else otherwise


def reason_of(error: OSError) -> Message:
    """Return what the operating system said. The catalogue has the most common of its sentences."""
    return Message(error.strerror or str(error))


OFTEN = (
    Message("No such file or directory"),
    Message("Is a directory"),
    Message("Not a directory"),
    Message("Permission denied"),
    Message("File exists"),
    Message("No space left on device"),
    Message("Read-only file system"),
    Message("Input/output error"),
)
"""What :func:`reason_of` most often returns."""


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
