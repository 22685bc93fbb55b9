"""Runs trusted programs for authors, each in its own process but without containment."""

from __future__ import annotations

import subprocess
import sys

from groundup.core.interfaces.code_runner import CodeResult, CodeRunner, check_seconds

__all__ = ["SubprocessRunner"]

ENDED, RAISED = 77, 78  # exit codes that programs are unlikely to use themselves
HARNESS = f"""
import sys
try:
    exec(compile(sys.argv[1], "program", "exec"), {{"__name__": "__main__"}})
except BaseException as error:
    sys.stderr.write(f"{{type(error).__name__}}: {{error}}")
    sys.exit({RAISED})
sys.exit({ENDED})
"""


class SubprocessRunner(CodeRunner):
    """Runs each program in a new interpreter process."""

    def run(self, code: str, seconds: float = 1.0) -> CodeResult:
        """Run ``code`` for at most ``seconds`` of wall time, plus one second for the interpreter to start."""
        check_seconds(seconds)
        command = [sys.executable, "-I", "-c", HARNESS, code]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 1.0, check=False)
        except subprocess.TimeoutExpired:
            return CodeResult("timeout", f"it took longer than {seconds:g} s")
        if done.returncode == RAISED:
            return CodeResult("raised", done.stderr, done.stdout)
        died = "" if done.returncode == ENDED else f"exit: it ended with code {done.returncode}"
        return CodeResult("died" if died else "ended", died, done.stdout)
