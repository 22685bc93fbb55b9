"""The engine that grades on a Ray cluster, with one judge in each of Ray's worker processes.

The cluster is the one that RAY_ADDRESS names, or else one on this machine. Each node needs Groundup and the technique
installed; a job carries its source. A job whose node is lost is restarted on another.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO, Any

from groundup.core.errors import EnvironmentProblem, GroundupError, PluginProblem
from groundup.core.messages import Message
from groundup.grader.batch.grading import Grader
from groundup.grader.batch.row import Graded, Job

__all__ = ["Ray"]

TRIES = 2  # per job whose judge dies; losing a node does not count
LOST_NODES = 20  # per job; with more, the job fails
INSTALL = "python -m pip install 'groundup[ray]'"


class Ray:
    """Grades on a Ray cluster, ``jobs`` concurrently; by default as many as the cluster has cores."""

    def __init__(self, jobs: int | None, lang: str, log: Path) -> None:
        """What Ray says of itself goes to ``log``. Raises EnvironmentProblem if Ray is not installed."""
        try:
            import ray
        except ImportError as error:
            raise EnvironmentProblem(
                "--engine ray needs Ray, which is not installed here: {how} installs it. Without it, --engine "
                "local grades on this machine.",
                how=INSTALL,
            ) from error
        self._ray: Any = ray
        self.jobs, self.lang, self.log = jobs, lang, log

    def results(self, jobs: Iterator[Job]) -> Generator[Graded]:
        """Yield each job's result when it is done. Raises PluginProblem, EnvironmentProblem."""
        ray, ours = self._ray, not self._ray.is_initialized()
        with _stderr_kept_from_ray(self.log) as log:
            if ours:
                self._join(log)
            try:
                yield from self._results(jobs)
            finally:
                if ours:
                    ray.shutdown()

    def _join(self, log: IO[str]) -> None:
        try:
            with contextlib.redirect_stderr(log):
                self._ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError, OSError) as error:
            raise EnvironmentProblem(
                "The Ray cluster {name} cannot be joined: {why}",
                name=os.environ.get("RAY_ADDRESS") or Message("of this machine"),
                why=error,
            ) from error

    def _results(self, jobs: Iterator[Job]) -> Generator[Graded]:
        ray = self._ray
        grade = ray.remote(num_cpus=1, max_retries=0, retry_exceptions=False)(_grade)
        running: dict[Any, tuple[Job, int, int]] = {}
        try:
            while True:
                most = self.jobs or int(ray.cluster_resources().get("CPU", 1)) + 1  # one more job is queued
                while len(running) < most and (job := next(jobs, None)) is not None:
                    running[grade.remote(job, self.lang)] = (job, 1, 0)
                if not running:
                    return
                done, _ = ray.wait(list(running), num_returns=1, timeout=60.0)
                for reference in done:
                    job, tries, lost = running.pop(reference)
                    try:
                        told = ray.get(reference)
                    except ray.exceptions.NodeDiedError as error:
                        if lost == LOST_NODES:
                            raise EnvironmentProblem(
                                "Ray lost {count} nodes while grading one job: {why}", count=lost + 1, why=error
                            ) from error
                        running[grade.remote(job, self.lang)] = (job, tries, lost + 1)
                        continue
                    except ray.exceptions.RayError as error:
                        if tries == TRIES:
                            yield Graded(
                                job,
                                problem=Message(
                                    "its judge ended {count} times in a row: {why}", count=tries, why=_first(error)
                                ),
                            )
                        else:
                            running[grade.remote(job, self.lang)] = (job, tries + 1, lost)
                        continue
                    if isinstance(told, GroundupError):
                        raise told
                    yield told
        finally:
            for reference in running:
                ray.cancel(reference, force=True)


_graders: dict[str, Grader] = {}


def _grade(job: Job, lang: str) -> Graded | GroundupError:
    """Grade a job in a Ray worker process, which keeps its judge for the next job."""
    try:
        if lang not in _graders:
            _graders[lang] = _new(lang)
        return _graders[lang](job)
    except (EnvironmentProblem, PluginProblem) as problem:
        return problem


def _new(lang: str) -> Grader:
    from groundup.grader.batch import seeds
    from groundup.grader.batch.grading import grader
    from groundup.grader.process.fork_server import ForkServer

    os.environ.pop(seeds.ASKED_BY, None)
    server = ForkServer()
    atexit.register(server.close)
    return grader(server, lang)


@contextlib.contextmanager
def _stderr_kept_from_ray(log: Path) -> Iterator[IO[str]]:
    """Send what Ray's logger and its threads, which write to descriptor 2, have to say to ``log``, while it runs."""
    logger, python = logging.getLogger("ray"), sys.stderr
    with (
        log.open("a", encoding="utf-8") as file,
        os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="backslashreplace") as ours,
    ):
        handler = logging.StreamHandler(file)
        logger.addHandler(handler)
        propagates, logger.propagate = logger.propagate, False
        if _descriptor(python) == 2:
            sys.stderr = ours
        os.dup2(file.fileno(), 2)
        try:
            yield file
        finally:
            os.dup2(ours.fileno(), 2)
            sys.stderr, logger.propagate = python, propagates
            logger.removeHandler(handler)


def _descriptor(stream: IO[str]) -> int | None:
    try:
        return stream.fileno()
    except (AttributeError, OSError):  # a stream in memory
        return None


def _first(error: Exception) -> str:
    return str(error).strip().splitlines()[0]
