"""Starts gradings for ``learn watch``, receives their events and cancels them.

They are ordinary ``learn grade`` commands. On Linux they run in a warm judge that belongs to the watch and ends with
it. On other systems, and when that judge declines, each grading is a new process, which is slower.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundup.cli import warm

START_SECONDS, END_SECONDS = 60.0, 5.0
HERE = "import sys; from groundup.cli.main import run; sys.exit(run())"


@dataclass(frozen=True)
class Event:
    """An event of a grading. ``kind``: failing, result, verdict, problem (described in ``data``) or ended."""

    kind: str
    data: Any = None


class Grade:
    """One running grading. ``output`` is readable when ``events`` has new events."""

    def __init__(self, output: int, errors: Any, behind: socket.socket | subprocess.Popen[bytes]) -> None:
        self.output, self._errors, self._behind = output, errors, behind
        self._received = b""

    def events(self) -> Iterator[Event]:
        """Yield the events since the last call; ``ended`` comes once, as the last one."""
        came = os.read(self.output, 1 << 16)
        self._received += came
        *lines, self._received = self._received.split(b"\n")
        for line in lines:
            told = json.loads(line)
            yield Event(told["event"], told["data"])
        if not came:
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip()
            self.abandon()
            if said:
                yield Event("problem", said)
            yield Event("ended")

    def abandon(self) -> None:
        """Cancel the grading if it is still running."""
        if isinstance(self._behind, socket.socket):
            self._behind.close()  # the judge then ends its child
        else:
            self._behind.kill()
            self._behind.wait()
        with contextlib.suppress(OSError):
            os.close(self.output)
        self._errors.close()


class Judging:
    """Starts gradings. A context manager: on exit it ends the judge that it started."""

    def __init__(self, technique: str) -> None:
        """``technique`` is expected to be graded first: the judge prepares for it."""
        self._technique = technique
        short = len(tempfile.gettempdir()) < warm.LONGEST_PATH - 30  # a socket's path has to be short
        self._folder = tempfile.TemporaryDirectory(prefix="groundup-", dir=None if short else "/tmp")
        self._place = warm.Place(Path(self._folder.name), "judge")
        self._judge: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Judging:
        self.get_ready()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._judge is not None:
            self._judge.terminate()
            try:
                self._judge.wait(timeout=END_SECONDS)
            except subprocess.TimeoutExpired:
                self._judge.kill()
                self._judge.wait()
        self._folder.cleanup()

    def get_ready(self) -> None:
        """Start the judge, unless one runs or none can run here."""
        if sys.platform == "linux" and (self._judge is None or self._judge.poll() is not None):
            self._judge = warm.launched(self._place, self._technique, owned=True)
            self._until = time.monotonic() + START_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether a grading can begin now: the judge is ready, or there will be none."""
        if self._judge is None or self._place.socket.exists():
            return True
        return self._judge.poll() is not None or time.monotonic() > self._until

    def begin(self, technique: str, options: Sequence[str]) -> Grade:
        """Start ``learn grade --events``."""
        self._technique = technique
        words = ["grade", technique, *options, "--events"]
        output, theirs = os.pipe()
        errors = tempfile.TemporaryFile()  # noqa: SIM115
        nothing = os.open(os.devnull, os.O_RDONLY)
        try:
            connection = self._begun(words, (nothing, theirs, errors.fileno()))
            if connection is not None:
                return Grade(output, errors, connection)
            self.get_ready()  # for the next one
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", HERE, *words], stdin=nothing, stdout=theirs, stderr=errors,
                start_new_session=True,
            )  # fmt: skip
            return Grade(output, errors, process)
        finally:
            os.close(theirs)
            os.close(nothing)

    def _begun(self, words: Sequence[str], streams: Sequence[int]) -> socket.socket | None:
        if self._judge is None:
            return None
        for _ in range(20):  # it may still be reaping the cancelled grading
            if (connection := warm.begun(self._place, words, streams)) is not None:
                return connection
            if self._judge.poll() is not None or not self._place.socket.exists():
                return None
            time.sleep(0.02)
        return None
