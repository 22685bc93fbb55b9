"""A child of the warm judge: it runs the client's command for one grade, and ends with it."""

from __future__ import annotations

import atexit
import contextlib
import io
import os
import random
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, NoReturn

from groundup.cli import warm
from groundup.grader.process import fork_server, sandbox
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.worker.limits import die_with_parent

__all__ = ["become_the_command"]


def become_the_command(
    request: dict[str, Any],
    descriptors: list[int],
    server: ForkServer,
    said: bytes,
    say: Callable[[str], None],
    *,
    graded: socket.socket,
) -> NoReturn:
    """Adopt the client's arguments, environment and streams, run the command and ``say`` its exit code to the client.

    ``said`` is what was printed while modules were imported. The id of the technique graded last is sent on ``graded``.
    """
    code = 3
    try:
        _take_on(request, descriptors)
        say(warm.TAKEN)
        if server.containment != "namespaces":
            sandbox.offer.cache_clear()  # stronger isolation may be available by now
        fork_server.lend(server)
        warm.before_telling = lambda: say(warm.COMMITTED)
        os.write(2, said)
        from groundup.cli.main import run

        code = run()
        graded.send(warm.graded.encode())
        threading._shutdown()  # type: ignore[attr-defined]  # plugins' threads, as at any exit
        atexit._run_exitfuncs()
        if not _flushed():
            code = 120  # the interpreter's code for output that could not be flushed
    except KeyboardInterrupt:  # before the command could handle it
        os.write(2, b"learn: stopped.\n")
        code = 130
    finally:
        with contextlib.suppress(OSError):
            say(f"{warm.CODE} {code}")
        os._exit(code)


def _take_on(request: dict[str, Any], descriptors: list[int]) -> None:
    os.setpgid(0, 0)
    die_with_parent()
    atexit._clear()
    os.environ.clear()
    os.environ.update(request["environment"])
    time.tzset()
    os.umask(request["mask"])
    *streams, here = descriptors
    os.fchdir(here)
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    for descriptor in descriptors:
        os.close(descriptor)
    descriptors.clear()
    (stdin, stdin_errors), (stdout, stdout_errors), (stderr, stderr_errors) = request["streams"]
    sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False), stdin, stdin_errors)  # noqa: SIM115
    sys.stdout = _writer(1, stdout, stdout_errors, by_line=os.isatty(1))
    sys.stderr = _writer(2, stderr, stderr_errors, by_line=True)
    vars(sys).update(__stdin__=sys.stdin, __stdout__=sys.stdout, __stderr__=sys.stderr)
    sys.argv = [request["name"], *request["arguments"]]
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _writer(descriptor: int, encoding: str, errors: str, *, by_line: bool) -> io.TextIOWrapper:
    at_once = bool(os.environ.get("PYTHONUNBUFFERED"))
    raw: Any = open(descriptor, "wb", 0 if at_once else -1, closefd=False)  # noqa: SIM115
    return io.TextIOWrapper(raw, encoding, errors, line_buffering=by_line, write_through=at_once)


def _flushed() -> bool:
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return False
    return True
