"""The engine that grades on this machine, with judges in separate processes, each with its own fork server."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from groundup.core.errors import EnvironmentProblem, GroundupError, PluginProblem
from groundup.core.messages import Message
from groundup.grader.batch.row import Graded, Job

__all__ = ["Local"]

START_SECONDS = 120.0
GRADING_SECONDS, THOROUGH_SECONDS = (
    600.0,
    1800.0,
)  # far more than any attempt may take: beyond it, the judge itself hangs
JOBS_A_JUDGE = 200
TRIES = 2


class Local:
    """Grades with ``jobs`` judges concurrently. A judge that dies is replaced, and its job is retried once."""

    def __init__(self, jobs: int, lang: str) -> None:
        self.jobs, self.lang = jobs, lang

    def results(self, jobs: Iterator[Job]) -> Generator[Graded]:
        """Yield each job's result when it is done. Raises PluginProblem, EnvironmentProblem."""
        judges: list[_Judge] = []
        again: list[tuple[Job, int]] = []
        waiting = _Waiting(jobs)
        try:
            while True:
                while len(judges) < self.jobs and (again or waiting.more):
                    judges.append(_Judge(self.lang, self._core(judges)))
                for judge in [j for j in judges if j.idle]:
                    if again:
                        judge.give(*again.pop())
                    elif waiting.more:
                        judge.give(waiting.take(), 1)
                if not (again or waiting.more or any(judge.work for judge in judges)):
                    return
                for judge in _ready(judges):
                    done = judge.hear()
                    if done is not None:
                        yield done
                    elif judge.gone:
                        judges.remove(judge)
                        judge.close()
                        if judge.work is None:
                            continue
                        job, tries = judge.work
                        if tries < TRIES:
                            again.append((job, tries + 1))
                        else:
                            told = Message("its judge {end}, {count} times in a row", end=judge.gone, count=tries)
                            yield Graded(job, problem=told)
                for judge in [j for j in judges if j.worn_out]:
                    judges.remove(judge)
                    judge.close()
        finally:
            for judge in judges:
                judge.close()

    def _core(self, judges: list[_Judge]) -> int | None:
        """Return the core with the fewest pinned judges; None if there are enough cores to leave judges unpinned."""
        cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []
        taken = [judge.core for judge in judges]
        return min(cores, key=taken.count) if self.jobs >= len(cores) > 0 else None


class _Waiting:
    """The jobs that no judge has begun; the next job is created on demand."""

    def __init__(self, jobs: Iterator[Job]) -> None:
        self._jobs = jobs
        self._next = next(jobs, None)

    @property
    def more(self) -> bool:
        return self._next is not None

    def take(self) -> Job:
        job, self._next = self._next, next(self._jobs, None)
        assert job is not None
        return job


@dataclass
class _Told:
    """A message from a judge's process: it is ready, a job's result, or why it cannot continue."""

    graded: Graded | None = None
    problem: GroundupError | None = None


class _Judge:
    """The dispatching process's handle on a judge's process."""

    def __init__(self, lang: str, core: int | None) -> None:
        self.core = core
        context = multiprocessing.get_context("spawn")  # a process with torch loaded must not be forked
        self.connection, theirs = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_judge, args=(theirs, lang, core), daemon=False)
        self.process.start()
        theirs.close()
        self.ready, self.begun, self.done = False, time.monotonic(), 0
        self.work: tuple[Job, int] | None = None
        self.gone: str | None = None

    @property
    def idle(self) -> bool:
        return self.work is None and self.gone is None and self.done < JOBS_A_JUDGE

    @property
    def worn_out(self) -> bool:
        """Whether it has graded so many jobs that it is replaced, to keep memory bounded."""
        return self.work is None and self.done >= JOBS_A_JUDGE

    @property
    def deadline(self) -> float:
        if not self.ready:
            return self.begun + START_SECONDS
        if self.work is None:
            return float("inf")
        return self.begun + (THOROUGH_SECONDS if self.work[0].thorough else GRADING_SECONDS)

    def give(self, job: Job, tries: int) -> None:
        """Send a job; a judge that is still starting receives it once it is ready."""
        self.work = job, tries
        if self.ready:
            self.begun = time.monotonic()
        with contextlib.suppress(OSError):  # it is dead, which hear() will report
            self.connection.send(job)

    def hear(self) -> Graded | None:
        """Receive its job's result, or return None; ``gone`` is set if no result will come."""
        if self.connection.poll():
            try:
                told: _Told = self.connection.recv()
            except (EOFError, OSError):
                self._died()
                return None
            if told.problem is not None:
                raise told.problem
            if told.graded is None:
                self.ready, self.begun = True, time.monotonic()
                return None
            self.work, self.done = None, self.done + 1
            return told.graded
        if not self.process.is_alive():
            self._died()
        elif time.monotonic() > self.deadline:
            self.gone = Message("did not answer within {seconds:.0f} s", seconds=self.deadline - self.begun)
        return None

    def _died(self) -> None:
        self.process.join()
        code = self.process.exitcode or 0
        if not self.ready:
            raise EnvironmentProblem(
                "A judge's process ended while starting, with exit code {code}. 'learn doctor' checks this machine.",
                code=code,
            )
        if code < 0:
            self.gone = Message("was ended by {name}", name=signal.Signals(-code).name)
        else:
            self.gone = Message("ended with exit code {code}", code=code)

    def close(self) -> None:
        """End the process and the processes it started."""
        self.connection.close()
        if self.work is None and self.gone is None:
            self.process.join(10.0)
        if self.process.is_alive():
            self.process.kill()  # its fork server detects that and ends the attempt
        self.process.join()
        self.process.close()


def _ready(judges: list[_Judge]) -> list[_Judge]:
    """Wait for the judges; return those that sent a message, ended or exceeded their time."""
    left = min((judge.deadline for judge in judges), default=0.0) - time.monotonic()
    sources: dict[Any, _Judge] = {judge.connection: judge for judge in judges}
    sources |= {judge.process.sentinel: judge for judge in judges}
    heard = wait(list(sources), timeout=max(0.0, min(left, 60.0)) + 0.05)
    late = [judge for judge in judges if time.monotonic() > judge.deadline]
    return list(dict.fromkeys([*(sources[source] for source in heard), *late]))


def _judge(connection: Connection, lang: str, core: int | None) -> None:
    """Grade jobs from ``connection`` until it is closed, pinned to ``core`` unless that is None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the dispatching process handles Ctrl-C
    from groundup.grader.batch import seeds
    from groundup.grader.judging.cores import on_one_core
    from groundup.grader.process.fork_server import ForkServer

    os.environ.pop(seeds.ASKED_BY, None)
    try:
        with on_one_core(core), ForkServer() as server:  # starts while this process imports the judge
            from groundup.grader.batch.grading import grader

            grade = grader(server, lang)
            gc.freeze()  # imported objects stay: scanning them for garbage would take as long as some properties
            connection.send(_Told())
            while True:
                connection.send(_Told(graded=grade(connection.recv())))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except (EnvironmentProblem, PluginProblem) as problem:
        with contextlib.suppress(OSError):
            connection.send(_Told(problem=problem))
