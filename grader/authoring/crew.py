"""Spreads the work of a check over the cores: processes that each have a fork server and a judge of their own."""

from __future__ import annotations

import concurrent.futures
import contextlib
import itertools
import multiprocessing
import signal
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any, Protocol, TypeVar

from groundup.core.errors import AttemptDied, GroundupError
from groundup.grader.judging.judge import Judge
from groundup.grader.process.clock import cpu_seconds
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.worker.limits import die_with_parent

__all__ = ["Crew", "PartProblem", "Progress", "Team"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Progress = Callable[[int, int], None]
"""Callback: how many parts of the check are done, and of how many that are known so far."""


class HasJudge(Protocol):
    """What the parts of a check are about; each process of a crew gives it a judge of its own."""

    judge: Judge


class PartProblem(Exception):
    """A part of a check raised in a process of the crew; the text says what."""


class Crew:
    """A fork server for each core. Use it as a context manager; leaving it ends the servers.

    With one core, the work is done in this process, with the server that was given.
    """

    def __init__(self, server: ForkServer, cores: int = 1) -> None:
        """``server`` belongs to the caller; the crew starts and ends the others."""
        self._mine = [ForkServer() for _ in range(cores - 1 if sys.platform == "linux" else 0)]
        self.servers = [server, *self._mine]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_exception: object) -> None:
        for server in self._mine:
            server.close()

    @contextlib.contextmanager
    def on(self, subject: HasJudge, imports: Iterable[str], progress: Progress) -> Iterator[Team]:
        """Work on one technique inside the block. The processes are forked here and see its files as they are now.

        ``imports``: the modules that its attempts may import.
        """
        if len(self.servers) == 1:
            yield Team(subject, progress)
            return
        for server in self.servers:
            server.get_ready_for(imports)
        context = multiprocessing.get_context("fork")
        numbers = context.SimpleQueue()
        for number in range(len(self.servers)):
            numbers.put(number)
        with ProcessPoolExecutor(
            len(self.servers), mp_context=context, initializer=_begin, initargs=(subject, self.servers, numbers)
        ) as pool:
            pool.submit(_nothing).result()  # forks all of them, before this process has threads
            try:
                yield Team(subject, progress, pool)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise


class Team:
    """Does the parts of one check, and adds up what they cost."""

    def __init__(self, subject: HasJudge, progress: Progress, pool: ProcessPoolExecutor | None = None) -> None:
        self._subject, self._progress, self._pool = subject, progress, pool
        self._turn = threading.Lock()
        self._has_its_turn: int | None = None
        self._done, self._known = itertools.count(1), 0
        self.cpu: defaultdict[str, float] = defaultdict(float)
        """Seconds of CPU time by rule."""

    @property
    def is_several(self) -> bool:
        """Whether parts run side by side."""
        return self._pool is not None

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Let one thread of this process compute at a time: Python's parser is not safe in several threads (3.11)."""
        with self._turn:
            self._has_its_turn = threading.get_ident()
            yield

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Inside the block, which only waits, let other threads have their turn."""
        thread = threading.get_ident()
        if self._has_its_turn != thread:
            yield
            return
        self._turn.release()
        try:
            yield
        finally:
            self._turn.acquire()
            self._has_its_turn = thread

    def do(self, rule: str, function: Callable[[Any, Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return ``function(subject, item)`` of each item, in order. ``function`` is one of a module, by name."""
        todo: Sequence[Item] = list(items)
        self._known += len(todo)
        if self._pool is None:
            return [self._took(rule, _measured(self._subject, function, item)) for item in todo]
        futures: list[Future[tuple[Result, float]]] = [self._pool.submit(_part, function, item) for item in todo]
        results = []
        for future in futures:
            with self.waiting():
                concurrent.futures.wait([future])
            results.append(self._took(rule, future.result()))
        return results

    def _took(self, rule: str, measured: tuple[Result, float]) -> Result:
        result, seconds = measured
        self.cpu[rule] += seconds
        self._progress(next(self._done), self._known)
        return result


_subject: HasJudge | None = None


def _begin(subject: HasJudge, servers: Sequence[ForkServer], numbers: Any) -> None:
    """Prepare a process of the crew: it works on ``subject`` with a server that no other process uses."""
    global _subject
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    server = servers[numbers.get()]
    server.never_replace()
    _subject = subject
    subject.judge = Judge(server)


def _part(function: Callable[[Any, Any], Any], item: Any) -> tuple[Any, float]:
    assert _subject is not None
    try:
        return _measured(_subject, function, item)
    except GroundupError as error:  # with its fields it could not be sent to the parent
        raise PartProblem(str(error)) from None
    except (Exception, AttemptDied) as error:
        raise PartProblem(f"{type(error).__name__}: {error}") from None


def _measured(subject: HasJudge, function: Callable[[Any, Any], Any], item: Any) -> tuple[Any, float]:
    """Return the function's result, and the CPU time that it took here, in child processes and in attempts."""
    before = cpu_seconds()
    result = function(subject, item)
    return result, cpu_seconds() - before


def _nothing() -> None:
    """Do nothing."""
