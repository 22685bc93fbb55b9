"""Processes that race each other or are killed. They are forked, because an import would take longer than they live.

    state_soak.py race JOB HOW_MANY FOLDER          start all at once and wait for them
    state_soak.py kill JOB HOW_MANY FOLDER SEED     start one after another, kill each at a random moment

Each process prints a line 'NUMBER WHAT' for every operation that was reported as done.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundup.core.technique import Hole, Source, Technique
from groundup.grader.judging.verdict import Attempt, HoleState, PropertyResult, Verdict
from groundup.grader.learner.state import State
from groundup.grader.learner.workspace import Workspace

TECHNIQUE = Technique(
    id="alignment/toy-rule",
    title="A toy rule",
    summary="Halves its input.",
    package="groundup.core",
    implements="halve",
    holes=(Hole(hints=("Divide.",)),),
    sources=(Source(title="None", url="https://example.org"),),
)
STUB = "def halve(x):\n    raise NotImplementedError('hole 1/1: halve')\n"


def a_verdict(source: str = "", technique: str = TECHNIQUE.id, **other: Any) -> Verdict:
    """Return a verdict on ``source``, with every part filled in."""
    digest = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()
    parts: dict[str, Any] = {
        "technique": technique,
        "version": 1,
        "passed": False,
        "outcome": "fell_short",
        "score": 0.5,
        "seed": 7,
        "examples": 25,
        "seconds": 0.25,
        "containment": "namespaces",
        "attempt": Attempt(path="alignment/toy_rule.py", sha256=digest),
        "holes": (HoleState(number=1, title="halve", filled=True),),
        "properties": (PropertyResult(id="halves", claim="It halves.", status="failed", counterexample={"x": "3"}),),
        "environment": {"python": "3.11"},
    }
    return Verdict(**parts | other)


def record(folder: Path, number: int, done: Callable[[str], None], rows: int | None = None) -> None:
    """Make the workspace if needed, and record ``rows`` verdicts, or verdicts without end."""
    with State(Workspace.create(folder).database) as state:
        for _ in range(rows) if rows else itertools.count():
            source = f"# {number} {os.urandom(8).hex()}"
            verdict = a_verdict(source)
            case = source.encode()
            done(f"{state.record(verdict, source, {b'halves': {case}})} {verdict.attempt.sha256}")


def record_ten(folder: Path, number: int, done: Callable[[str], None]) -> None:
    """Record ten verdicts in a workspace that another process may be making."""
    record(folder, number, done, rows=10)


def first(folder: Path, number: int, done: Callable[[str], None]) -> None:
    """Record in a workspace that does not exist yet."""
    record(folder / str(number), number, done)


def reset(folder: Path, number: int, done: Callable[[str], None]) -> None:
    """Write an attempt and reset it, without end."""
    workspace = Workspace.create(folder / str(number))
    attempt = workspace.attempt_path(TECHNIQUE)
    attempt.parent.mkdir(exist_ok=True)
    for _ in itertools.count():
        text = f"# {os.urandom(8).hex()}"
        draft = attempt.with_suffix(".draft")
        draft.write_text(text)
        draft.replace(attempt)
        done(text)
        workspace.reset(TECHNIQUE, STUB)


def reset_once(folder: Path, number: int, done: Callable[[str], None]) -> None:
    """Reset the existing attempt."""
    done(str(Workspace.create(folder).reset(TECHNIQUE, STUB)))


def put(folder: Path, number: int, done: Callable[[str], None]) -> None:
    """Put the exercise, and report whether this process was the one that did."""
    done(str(Workspace.create(folder).put_exercise(TECHNIQUE, STUB + f"# {number}\n")))


JOBS = {job.__name__: job for job in (record, record_ten, first, reset, reset_once, put)}


def start(job: str, folder: Path, number: int, gate: int, begun: int) -> int:
    """Fork a process that runs ``job`` when ``gate`` has a byte, and writes to ``begun`` after each operation."""
    pid = os.fork()
    if pid:
        return pid

    def done(what: str) -> None:
        os.write(1, f"{number} {what}\n".encode())
        os.write(begun, b".")

    try:
        os.read(gate, 1)
        JOBS[job](folder, number, done)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def race(job: str, how_many: int, folder: Path) -> None:
    """Start ``how_many`` processes at once, and wait for them."""
    gate, hold = os.pipe()
    os.set_blocking(hold, False)
    _, begun = os.pipe()
    children = [start(job, folder, number, gate, begun) for number in range(how_many)]
    os.write(hold, b"." * how_many)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0, "a child failed"


def kill(job: str, how_many: int, folder: Path, seed: int) -> None:
    """Start and kill ``how_many`` processes in turn; the job ``first`` may be killed before its first operation."""
    moments = random.Random(seed)
    for number in range(how_many):
        gate, go = os.pipe()
        begun, tell = os.pipe()
        child = start(job, folder, number, gate, tell)
        os.close(tell)  # so that reading ``begun`` ends if the child fails
        os.write(go, b".")
        if job != "first":
            os.read(begun, 1)
        time.sleep(moments.uniform(0, 0.06))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, "a child ended by itself"
        for end in (gate, go, begun):
            os.close(end)


if __name__ == "__main__":
    mode, job, how_many, folder, *seed = sys.argv[1:]
    if mode == "race":
        race(job, int(how_many), Path(folder))
    else:
        kill(job, int(how_many), Path(folder), int(seed[0]))
