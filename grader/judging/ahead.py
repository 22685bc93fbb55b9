"""Properties judged ahead of their turn, by copies of the judge on free cores.

The judge runs the properties from the first on; its copies run them from the last one back, each with an attempt
process of its own. The judge uses a copy's result when that property's turn comes. A property's cases and the attempt's
random numbers depend only on the seed and the property, so the result does not depend on which process judges it.
"""

from __future__ import annotations

import contextlib
import mmap
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import NoReturn

from groundup.grader.judging.cores import on_one_core
from groundup.grader.judging.verdict import PropertyResult
from groundup.grader.process.worker.limits import die_with_parent

__all__ = ["Ahead", "Found", "MayBegin"]

NOBODY, JUDGE = 0, 255


class Turns:
    """Which process has begun which property, in memory shared by the judge and its copies.

    Two processes that begin a property at the same instant both judge it, with the same result.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._begun = mmap.mmap(-1, max(len(names), 1))

    def begin(self, name: str, who: int) -> int:
        """Claim a property for process ``who`` unless it is claimed already; return the process that has it."""
        place = self._places[name]
        if self._begun[place] == NOBODY:
            self._begun[place] = who
        return self._begun[place]


@dataclass(frozen=True)
class Found:
    """A copy's result for a property, and the property's failing cases to keep."""

    result: PropertyResult
    cases: set[bytes]
    changed: bool = False
    """Whether a call changed its inputs."""

    @property
    def is_settled(self) -> bool:
        """Whether the judge can use the result as it is. It reruns a property that fails, to learn more."""
        return self.result.status in ("held", "died") and not self.changed


MayBegin = Callable[[str], bool]
"""Callback of a copy: claims a property; True if the copy that calls it is to judge the property."""
Work = Callable[[MayBegin, Callable[[str, Found], None]], None]
"""The work of a copy: claim properties, judge them, and report each result under the property's name."""


class Ahead:
    """The judge's handle on its copies. Use it as a context manager; leaving it ends the copies."""

    def __init__(self, cores: Sequence[int], names: Sequence[str], work: Work) -> None:
        """Fork a copy for each of the ``cores``, pinned to it."""
        self._turns = Turns(names)
        self._copies: list[tuple[int, Connection]] = []
        self._told: dict[str, Found] = {}
        for number, core in enumerate(cores, start=1):
            try:
                connection, theirs = multiprocessing.Pipe(duplex=False)
                pid = os.fork()
            except OSError:  # the user's limit of processes or open files is reached: do without more copies
                return
            if pid == 0:
                self._become_a_copy(number, core, theirs, work)
            theirs.close()
            self._copies.append((pid, connection))

    def found(self, name: str) -> Found | None:
        """Wait for a copy's result for a property and return it; None if the judge has to run the property itself."""
        who = self._turns.begin(name, JUDGE)
        if who == JUDGE:
            return None
        _, connection = self._copies[who - 1]
        try:
            while name not in self._told:
                self._hear(connection)
        except (EOFError, OSError):  # the copy has ended; the judge runs the property and meets the cause itself
            return None
        return self._told[name]

    def failures(self) -> list[PropertyResult]:
        """Return the failed results that copies have reported since the last call."""
        before = set(self._told)
        for _, connection in self._copies:
            with contextlib.suppress(EOFError, OSError):
                while connection.poll():
                    self._hear(connection)
        news = [found.result for name, found in self._told.items() if name not in before]
        return [result for result in news if result.status == "failed"]

    def _hear(self, connection: Connection) -> None:
        name, found = connection.recv()
        self._told[name] = found

    def _become_a_copy(self, number: int, core: int, connection: Connection, work: Work) -> NoReturn:
        try:
            die_with_parent()
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the judge handles Ctrl-C
            nothing = os.open(os.devnull, os.O_RDWR)
            for stream in (0, 1, 2):
                os.dup2(nothing, stream)
            sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
            with on_one_core(core):
                work(
                    lambda name: self._turns.begin(name, number) == number,
                    lambda name, found: connection.send((name, found)),
                )
        finally:
            os._exit(0)

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pid, connection in self._copies:
            connection.close()
            os.kill(pid, signal.SIGKILL)  # not reaped yet, so the pid cannot have been reused
            os.waitpid(pid, 0)
