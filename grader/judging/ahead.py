"""Properties judged ahead of their turn, by copies of the judge on cores that are free.

The judge goes through the properties from the first on, its copies from the last one back, each with an attempt's
process of its own. What a copy found is taken when its turn comes. A property's cases and the attempt's random numbers
depend on the seed and the property alone, so that it makes no difference who judges it.
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
    """Who has begun which property, in memory that the judge and its copies share.

    Two may begin one in the same instant: then it is judged twice, and comes out the same.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._places = {name: place for place, name in enumerate(names)}
        self._begun = mmap.mmap(-1, max(len(names), 1))

    def begin(self, name: str, who: int) -> int:
        """Begin it, unless somebody else has; return who has begun it."""
        place = self._places[name]
        if self._begun[place] == NOBODY:
            self._begun[place] = who
        return self._begun[place]


@dataclass(frozen=True)
class Found:
    """What a copy found of a property, and the failing cases of it that are to be kept."""

    result: PropertyResult
    cases: set[bytes]
    changed: bool = False
    """Whether a call changed its inputs."""

    @property
    def is_settled(self) -> bool:
        """Whether the judge can take it over: of what fails in any way, it finds out more itself."""
        return self.result.status in ("held", "died") and not self.changed


MayBegin = Callable[[str], bool]
"""Asked by a copy of a property: whether it is still to be begun, and by whoever asks."""
Work = Callable[[MayBegin, Callable[[str, Found], None]], None]
"""What a copy does: it asks, judges, and tells of each property by its name."""


class Ahead:
    """The copies of a judge, as it sees them. Use it as a context manager: with it they end."""

    def __init__(self, cores: Sequence[int], names: Sequence[str], work: Work) -> None:
        """Fork a copy for each of the ``cores``, to stay there."""
        self._turns = Turns(names)
        self._copies: list[tuple[int, Connection]] = []
        self._told: dict[str, Found] = {}
        for number, core in enumerate(cores, start=1):
            try:
                connection, theirs = multiprocessing.Pipe(duplex=False)
                pid = os.fork()
            except OSError:  # as many processes or open files as this user may have: it goes on without
                return
            if pid == 0:
                self._become_a_copy(number, core, theirs, work)
            theirs.close()
            self._copies.append((pid, connection))

    def found(self, name: str) -> Found | None:
        """Return what a copy found of a property, once it has; None where the judge is to judge it."""
        who = self._turns.begin(name, JUDGE)
        if who == JUDGE:
            return None
        _, connection = self._copies[who - 1]
        try:
            while name not in self._told:
                self._hear(connection)
        except (EOFError, OSError):  # it has ended: what kept it from going on, the judge finds out
            return None
        return self._told[name]

    def failures(self) -> list[PropertyResult]:
        """Return what copies have told, since this was last asked, of properties that fail."""
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
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the judge's to handle
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
            os.kill(pid, signal.SIGKILL)  # not reaped yet: the number is still its own
            os.waitpid(pid, 0)
