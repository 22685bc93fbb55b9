"""Runs code that an attempt passes in, in a process with the same containment as an attempt's."""

from __future__ import annotations

import contextlib

from groundup.core.errors import AttemptDied, AttemptRaised
from groundup.core.interfaces.code_runner import LONGEST_SECONDS, CodeResult, CodeRunner, check_seconds
from groundup.grader.process.attempt import AttemptProcess, Program
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.text import LONGEST_SOURCE

__all__ = ["JailedRunner"]

HARNESS = "def run(code):\n    exec(compile(code, 'program', 'exec'), {'__name__': '__main__'})\n"
PROGRAM = Program(HARNESS, "runner.py", "run")


class JailedRunner(CodeRunner):
    """Runs each program in a newly forked process. Programs cannot affect each other and leave nothing behind."""

    def __init__(self, server: ForkServer) -> None:
        self._server = server

    def run(self, code: str, seconds: float = 1.0) -> CodeResult:
        """Run ``code``. Raises ValueError for code that cannot be run."""
        check_seconds(seconds)
        if not isinstance(code, str) or len(code.encode(errors="replace")) > LONGEST_SOURCE:
            raise ValueError(f"a program is a text of at most {LONGEST_SOURCE >> 10} KiB")
        process = AttemptProcess(self._server, PROGRAM, seed=0, call_seconds=seconds, total_seconds=LONGEST_SECONDS)
        with contextlib.closing(process):
            return _result(process, code)


def _result(process: AttemptProcess, code: str) -> CodeResult:
    outcome, error = "ended", ""
    try:
        process.request("call", {"of": None, "name": "run", "grad": True, "keep": False}, ((code,), {}))
    except AttemptRaised as raised:
        outcome, error = "raised", str(raised)
    except AttemptDied as died:
        outcome, error = "timeout" if died.how == "timeout" else "died", str(died)
    return CodeResult(outcome, error, process.take_printed())  # type: ignore[arg-type]
