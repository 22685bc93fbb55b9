"""Gradings that ``learn watch`` begins, hears from as they go on, and abandons.

They are ordinary ``learn grade`` commands. On Linux a judge of the watch's own makes them: a warm judge that ends with
the watch. Elsewhere, and when that one does not take a grading, each is a process of its own, and slower.
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
    """What is heard of a grading. ``kind``: failing, result, verdict; problem (told in ``data``), or ended."""

    kind: str
    data: Any = None


class Grade:
    """One grading that goes on. ``output`` is readable when ``events`` has something to tell."""

    def __init__(self, output: int, errors: Any, behind: socket.socket | subprocess.Popen[bytes]) -> None:
        self.output, self._errors, self._behind = output, errors, behind
        self._received = b""

    def events(self) -> Iterator[Event]:
        """Yield what has been told since this was last asked; ``ended`` comes once, and last."""
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
        """End it, if it has not ended."""
        if isinstance(self._behind, socket.socket):
            self._behind.close()  # the judge then ends its child
        else:
            self._behind.kill()
            self._behind.wait()
        with contextlib.suppress(OSError):
            os.close(self.output)
        self._errors.close()


class Judging:
    """Begins gradings. Use it as a context manager: with it ends the judge that it started."""

    def __init__(self, technique: str) -> None:
        """Expect that ``technique`` will be graded first."""
        self._technique = technique
        short = len(tempfile.gettempdir()) < warm.LONGEST_PATH - 30  # the path of a socket has to be
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
        """Start the judge where there can be one and none runs."""
        if sys.platform == "linux" and (self._judge is None or self._judge.poll() is not None):
            self._judge = warm.launched(self._place, self._technique, owned=True)
            self._until = time.monotonic() + START_SECONDS

    @property
    def is_ready(self) -> bool:
        """Whether to begin now: a judge is there, or none is to be waited for."""
        if self._judge is None or self._place.socket.exists():
            return True
        return self._judge.poll() is not None or time.monotonic() > self._until

    def begin(self, technique: str, options: Sequence[str]) -> Grade:
        """Begin ``learn grade --events``."""
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
        for _ in range(20):  # it may still be burying the grading that was abandoned
            if (connection := warm.begun(self._place, words, streams)) is not None:
                return connection
            if self._judge.poll() is not None or not self._place.socket.exists():
                return None
            time.sleep(0.02)
        return None
