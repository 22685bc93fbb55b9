"""The warm judge's process: everything is imported and a fork server runs, and each grade is a child of its own.

A child takes on what the client was called with and then runs the ordinary command: whatever a grade changes in its
process is gone with it. One grade at a time: a second client is declined, and grades by itself. It ends when nothing
was asked of it for a while, when a file that it has imported is another one now, and when it is no longer in its place.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import io
import json
import math
import os
import random
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from groundup.cli import warm
from groundup.core.errors import GroundupError
from groundup.grader.process import fork_server, sandbox
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.worker.limits import die_with_parent

IDLE_SECONDS = 15 * 60.0
LOOK_SECONDS = 20.0  # how often an idle one looks whether it is still in its place
REQUEST_SECONDS = 5.0
LONGEST_REQUEST = 1 << 24
SETTLED = 2_000_000_000  # ns: a file that is younger than this when it is imported may have been read half-written

Files = dict[str, tuple[int, int, int] | tuple[str, ...] | None]


def main() -> None:
    """Run the warm judge whose socket is named by the second argument, unless one runs.

    With a third argument it belongs to the process that started it: it ends with that one, and not when it is idle.
    """
    socket_path, is_owned = Path(sys.argv[2]), len(sys.argv) > 3
    if is_owned:
        die_with_parent()
    place = warm.Place(socket_path.parent, socket_path.stem)
    with contextlib.ExitStack() as stack:
        _sweep(place)
        if not stack.enter_context(_lock(place)):
            return
        with place.log.open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        WarmJudge(place, math.inf if is_owned else IDLE_SECONDS).run()
        place.log.unlink(missing_ok=True)  # a fault's stays, until another starts here


class WarmJudge:
    """Takes grades from one socket until there is a reason to end."""

    def __init__(self, place: warm.Place, idle_seconds: float) -> None:
        began = time.time_ns()
        self.place, self.idle_seconds = place, idle_seconds
        self.server = ForkServer()  # starts while the imports go on here
        _import_everything()
        self.said = _printed_so_far(place.log)
        self.server.wait_until_ready()
        _rehearse(self.server)
        self.files = _files()
        self.fresh = not any(f and isinstance(f[0], int) and f[0] > began - SETTLED for f in self.files.values())
        gc.collect()
        gc.freeze()
        self.used = time.monotonic()
        self.grades = 0
        self.listener = socket.socket(socket.AF_UNIX)

    def run(self) -> None:
        """Listen, until there is a reason to end."""
        # Not before: pytest, which the rehearsal runs, takes a SystemExit for a failure and goes on.
        signal.signal(signal.SIGTERM, self._told_to_end)
        with contextlib.closing(self.server), self.listener:
            if not self.fresh:
                sys.exit("a file was edited while it was imported")
            if len(_threads()) > 1:
                sys.exit("an import started threads, which a fork would cut off")
            self.place.socket.unlink(missing_ok=True)
            self.listener.bind(str(self.place.socket))
            self.listener.listen(8)
            self.own = _inode(self.place.socket)
            while self.is_wanted():
                if select.select([self.listener], [], [], LOOK_SECONDS)[0]:
                    self.accept(busy=False)

    def _told_to_end(self, *_: object) -> NoReturn:
        self.fresh = False  # seen where the exception is lost, in a destructor
        sys.exit(0)

    def is_wanted(self) -> bool:
        """Whether to go on."""
        return self.fresh and self.is_in_place() and time.monotonic() - self.used < self.idle_seconds

    def is_in_place(self) -> bool:
        """Whether clients still find this process: one that did not answer in time is put aside by them."""
        return _inode(self.place.socket) == self.own

    def accept(self, *, busy: bool) -> None:
        """Answer one client, whatever it sends."""
        connection, _ = self.listener.accept()
        with connection, contextlib.suppress(OSError, ValueError, KeyError, struct.error):
            if warm.uid_of(connection) == os.geteuid():
                connection.settimeout(REQUEST_SECONDS)
                self.answer(connection, _request(connection), busy=busy)

    def answer(self, connection: socket.socket, request: dict[str, Any], *, busy: bool) -> None:
        """Do what is asked."""
        if request["ask"] == "status":
            _say(connection, json.dumps(self.status(busy=busy)))
            return
        self.fresh = self.fresh and _files() == self.files
        if busy or not self.fresh or not self.has_server():
            _say(connection, warm.DECLINED)
            return
        _say(connection, warm.READY)
        _, descriptors, _, _ = socket.recv_fds(connection, 1, 4)
        try:
            if len(descriptors) == 4:
                self.grade(connection, request, descriptors)
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def status(self, *, busy: bool) -> dict[str, Any]:
        """Return what is told of this process."""
        return {"pid": os.getpid(), "grades": self.grades, "busy": busy, "idle_seconds": self.idle_seconds}

    def grade(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        """Run the command in a child, watching over it."""
        pid = os.fork()
        if pid == 0:
            self.listener.close()
            _become_the_command(connection, request, descriptors, self.server, self.said)
        self.watch(pid, connection)
        self.grades += 1
        self.used = time.monotonic()
        layer = self.layer_for(request["environment"])
        # An attempt that is not jailed may have done something to the server that forked it.
        if layer != self.server.containment or layer == "process" or self.server.has_ended():
            self.replace_server(layer)

    def has_server(self) -> bool:
        """Whether there is a fork server to lend; it may take a moment to get ready."""
        if self.server.has_ended():
            self.replace_server(self.server.containment)
        try:
            self.server.wait_until_ready()
        except GroundupError:
            self.fresh = False
        return self.fresh

    def watch(self, pid: int, connection: socket.socket) -> None:
        """Wait until the child has ended; pass on what the client sends, and end the child when the client is gone."""
        child = os.pidfd_open(pid)
        poll = select.poll()
        for descriptor in (child, connection.fileno(), self.listener.fileno()):
            poll.register(descriptor, select.POLLIN)
        ended = False
        while not ended:
            for descriptor, _ in poll.poll():
                if descriptor == child:
                    ended = True
                elif descriptor == self.listener.fileno():
                    self.accept(busy=True)
                elif not _passed_on(pid, connection):
                    poll.unregister(connection)
        os.waitpid(pid, 0)
        os.close(child)

    def layer_for(self, environment: dict[str, str]) -> str:
        """Return the layer that a grade with this environment runs in, as far as this machine has it."""
        asked = environment.get(sandbox.ASKED_BY, "")
        return asked if asked in sandbox.LAYERS and not sandbox.offer().lacks.get(asked) else sandbox.offer().layer

    def replace_server(self, layer: str) -> None:
        """Have a new server, in that layer, get ready for the next grade."""
        self.server.close()
        os.environ[sandbox.ASKED_BY] = layer
        self.server = ForkServer()


def _become_the_command(
    connection: socket.socket, request: dict[str, Any], descriptors: list[int], server: ForkServer, said: bytes
) -> NoReturn:
    """In the child: take on what the client was called with, run the command, tell its exit code."""
    code = 3
    try:
        _take_on(request, descriptors)
        _say(connection, warm.TAKEN)
        if server.containment != "namespaces":
            sandbox.offer.cache_clear()  # there may be stronger walls by now
        fork_server.lend(server)
        warm.before_telling = lambda: _say(connection, warm.COMMITTED)
        os.write(2, said)
        from groundup.cli.main import run

        code = run()
        threading._shutdown()  # type: ignore[attr-defined]  # threads of plugins, as at the end of any process
        atexit._run_exitfuncs()
        if not _flushed():
            code = 120  # as the interpreter ends where its output was not taken
    except KeyboardInterrupt:  # before the command could take it
        os.write(2, b"learn: stopped.\n")
        code = 130
    finally:
        with contextlib.suppress(OSError):
            _say(connection, f"{warm.CODE} {code}")
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


def _passed_on(pid: int, connection: socket.socket) -> bool:
    """Do to the child what its client was told to do by the terminal; return whether the client is there."""
    try:
        came = connection.recv(64)
    except OSError:
        came = b""
    orders = {warm.INTERRUPT: signal.SIGINT, warm.STOP: signal.SIGSTOP, warm.CONTINUE: signal.SIGCONT}
    for number in [orders[bytes([byte])] for byte in came if bytes([byte]) in orders] if came else [signal.SIGKILL]:
        with contextlib.suppress(ProcessLookupError):  # its group is there once it has made it
            os.kill(pid, number)
    return bool(came)


def _request(connection: socket.socket) -> dict[str, Any]:
    head = connection.recv(4)
    (length,) = struct.unpack("!I", head)
    if length > LONGEST_REQUEST:
        raise ValueError("no request of ours")
    data = bytearray()
    while len(data) < length:
        if not (came := connection.recv(length - len(data))):
            raise ValueError("cut off")
        data += came
    request: dict[str, Any] = json.loads(data)
    return request


def _say(connection: socket.socket, line: str) -> None:
    connection.sendall(f"{line}\n".encode())


def _import_everything() -> None:
    """Import what a grade imports, in either language."""
    import groundup.cli.chinese
    import groundup.cli.chinese_help
    import groundup.cli.chinese_wordings
    import groundup.cli.grade
    import groundup.cli.show
    import groundup.grader.judging.judge
    import groundup.grader.learner.workspace  # noqa: F401
    from groundup.cli.context import registry
    from groundup.core.registry import Registry
    from groundup.grader.learner.state import State

    if not Registry().problems:  # each grade tells of them, in its learner's language
        registry()
    with State("sqlite://"):  # its driver
        pass


def _rehearse(server: ForkServer) -> None:
    """Grade something, and try every technique once: that imports, draws and looks up what is not yet there."""
    from groundup.core.errors import AttemptDied
    from groundup.core.registry import Registry
    from groundup.grader.judging.judge import Judge

    judge, techniques = Judge(server), list(Registry().techniques.values())
    technique = next((t for t in techniques if not t.distributed), None)
    with contextlib.suppress(Exception, AttemptDied):
        if technique is not None:
            judge.grade(technique, technique.files.solution.read_text(encoding="utf-8"), technique.file)
    for technique in techniques:
        with contextlib.suppress(Exception):
            judge.rehearse(technique)


def _threads() -> list[str]:
    """Return this process's threads by name, but for the one with which CUDA's driver waits: no child needs that."""
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if not name.startswith("cuda")]


def _printed_so_far(log: Path) -> bytes:
    """Return what was printed while modules were imported: each grade by itself would print it."""
    sys.stdout.flush()
    sys.stderr.flush()
    return log.read_bytes()


def _files() -> Files:
    """Return what tells of every file that was imported, and of every distribution that there is, whether it changed.

    Properties, solutions and labs do not count: each grade reads them as they are. Manifests do.
    """
    files: Files = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and getattr(module, "__spec__", None) is not None:
            files[file] = _state_of(file)
    for folder in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError):
            names = sorted(n for n in os.listdir(folder) if n.endswith(("-info", ".pth")))  # noqa: PTH208
            files[folder] = tuple(names)
            for name in names:
                path = f"{folder}/{name}" if name.endswith(".pth") else f"{folder}/{name}/entry_points.txt"
                files[path] = _state_of(path)
    import groundup.plugins
    from groundup.cli.context import registry_in

    if registry_in.cache_info().currsize:  # else each grade reads the manifests
        files |= registry_in("en").manifests()
    for folder in groundup.plugins.__path__:
        for track in [folder, *_modules_in(folder)]:
            files[track] = tuple(_modules_in(track))
    return files


def _modules_in(folder: str) -> list[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:  # a module in place of a folder, for one
        return sorted(e.path for e in entries if e.name.endswith(".py") or (e.name.isidentifier() and e.is_dir()))
    return []


def _state_of(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)  # noqa: PTH116  # of thousands
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _inode(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.lstat().st_ino
    return None


@contextlib.contextmanager
def _lock(place: warm.Place) -> Iterator[bool]:
    """Hold the lock of the place while the context lasts; yield whether it is to be had, and its file still there."""
    with place.lock.open("wb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        own = os.fstat(file.fileno()).st_ino
        try:
            yield _inode(place.lock) == own
        finally:
            if _inode(place.lock) == own:  # and not another's, who came after this one was put aside
                for path in (place.socket, place.lock):
                    path.unlink(missing_ok=True)


def _sweep(place: warm.Place) -> None:
    """Remove what warm judges left that were killed."""
    for lock in place.lock.parent.glob("*.lock"):
        other = warm.Place(lock.parent, lock.stem)
        if lock != place.lock:
            with contextlib.suppress(OSError), _lock(other):
                pass
