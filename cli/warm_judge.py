"""The warm judge's process: it has everything imported and a fork server running, and forks a child for each grade.

A child adopts the client's arguments, environment and streams and runs the ordinary command: changes that a grade makes
to its process end with it. One grade at a time: a second client is declined and grades by itself. The technique graded
last is rehearsed, so that the next grade finds its properties' imports and caches ready. The judge ends when it was
idle for a while, when an imported file has changed, and when its socket has been removed or replaced.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import math
import os
import select
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from groundup.cli import warm
from groundup.cli.warm_child import become_the_command
from groundup.cli.watched import Watched
from groundup.core.errors import GroundupError
from groundup.grader.process import sandbox
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.worker.limits import die_with_parent

if TYPE_CHECKING:
    from groundup.core.registry import Registry

IDLE_SECONDS = 15 * 60.0
LOOK_SECONDS = 20.0  # how often an idle judge checks that its socket is still its own
REST_SECONDS = 1.0  # after a grade, before it rehearses another technique
REQUEST_SECONDS = 5.0
LONGEST_REQUEST = 1 << 24


def main() -> None:
    """Run the warm judge whose socket is the second argument, unless one runs.

    The third argument is the technique graded last. With a fourth, the judge is owned by the process that started it:
    it ends with that process, and not when idle.
    """
    socket_path, technique, *owned = Path(sys.argv[2]), *sys.argv[3:]
    if owned:
        die_with_parent()
    place = warm.Place(socket_path.parent, socket_path.stem)
    with contextlib.ExitStack() as stack:
        _sweep(place)
        if not stack.enter_context(_lock(place)):
            return
        with place.log.open("wb") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        WarmJudge(place, technique, math.inf if owned else IDLE_SECONDS).run()
        place.log.unlink(missing_ok=True)  # after a crash it stays, until the next judge starts


class WarmJudge:
    """Serves grades from one socket until ``is_wanted`` is false."""

    def __init__(self, place: warm.Place, technique: str, idle_seconds: float) -> None:
        began = time.time_ns()
        self.place, self.idle_seconds = place, idle_seconds
        self.server = ForkServer()  # starts in parallel with the imports here
        self.registry = _import_everything()
        self.said = _printed_so_far(place.log)
        self.server.wait_until_ready()
        self.files = Watched()
        self.last, self.rehearsed = technique, set[str]()
        """The technique graded last, and those that have been rehearsed."""
        _grade(self.server, self.registry, technique)
        self.rehearse(began)
        self.used = time.monotonic()
        self.grades = 0
        self.listener = socket.socket(socket.AF_UNIX)

    def rehearse(self, began: int, between: Callable[[], None] = lambda: None) -> None:
        """Rehearse the technique graded last, calling ``between`` after each property. ``began``: start time, ns."""
        self.rehearsed.add(self.last)
        _rehearse(self.server, self.registry, self.last, between)
        self.files.add(self.registry.places(), began)
        gc.collect()
        gc.freeze()

    def run(self) -> None:
        """Serve clients, and rehearse between grades, until ``is_wanted`` is false."""
        # Only now: the first rehearsal runs pytest, which would record a SystemExit as a failure and continue.
        signal.signal(signal.SIGTERM, self._told_to_end)
        with contextlib.closing(self.server), self.listener:
            if not self.files.fresh:
                sys.exit("a file was edited while it was imported")
            self.check_threads()
            self.place.socket.unlink(missing_ok=True)
            self.listener.bind(str(self.place.socket))
            self.listener.listen(8)
            self.own = _inode(self.place.socket)
            while self.is_wanted():
                is_due = self.last not in self.rehearsed
                rest = max(0.0, self.used + REST_SECONDS - time.monotonic())
                if self.listens(rest if is_due else LOOK_SECONDS):
                    self.accept(busy=False)
                elif is_due:
                    self.rehearse(time.time_ns(), self.decline)
                    self.check_threads()

    def check_threads(self) -> None:
        """Exit if an import has started threads: a forked child would lack them."""
        if len(_threads()) > 1:
            sys.exit("an import started threads, which a fork would cut off")

    def listens(self, seconds: float) -> bool:
        """Wait that long for a client; return whether one has connected."""
        return bool(select.select([self.listener], [], [], seconds)[0])

    def decline(self) -> None:
        """Decline all waiting clients: they grade by themselves."""
        while self.listens(0):
            self.accept(busy=True)

    def _told_to_end(self, *_: object) -> NoReturn:
        self.files.fresh = False  # ends the loop if a destructor or pytest swallows the exception
        sys.exit(0)

    def is_wanted(self) -> bool:
        """Whether to go on: no file has changed, the socket is its own, and it is not idle for too long."""
        return self.files.fresh and self.is_in_place() and time.monotonic() - self.used < self.idle_seconds

    def is_in_place(self) -> bool:
        """Whether the socket is still this process's: a client removes it if the judge does not answer in time."""
        return _inode(self.place.socket) == self.own

    def accept(self, *, busy: bool) -> None:
        """Answer one client; an invalid request is ignored."""
        connection, _ = self.listener.accept()
        with connection, contextlib.suppress(OSError, ValueError, KeyError, struct.error):
            if warm.uid_of(connection) == os.geteuid():
                connection.settimeout(REQUEST_SECONDS)
                self.answer(connection, _request(connection), busy=busy)

    def answer(self, connection: socket.socket, request: dict[str, Any], *, busy: bool) -> None:
        """Answer a status request, or take or decline a grade."""
        if request["ask"] == "status":
            _say(connection, json.dumps(self.status(busy=busy)))
            return
        if busy or not self.files.is_fresh() or not self.has_server():
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
        """Return the answer to a status request."""
        return {
            "pid": os.getpid(), "grades": self.grades, "busy": busy, "idle_seconds": self.idle_seconds,
            "rehearsed": sorted(self.rehearsed),
        }  # fmt: skip

    def grade(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        """Run the command in a child, and wait for it."""
        told, tell = socket.socketpair()
        told.setblocking(False)
        pid = os.fork()
        if pid == 0:
            self.listener.close()
            become_the_command(
                request, descriptors, self.server, self.said, lambda line: _say(connection, line), graded=tell
            )
        tell.close()
        self.watch(pid, connection)
        with contextlib.closing(told), contextlib.suppress(OSError):  # it may have been killed before it graded
            self.last = told.recv(4096).decode() or self.last
        self.grades += 1
        self.used = time.monotonic()
        layer = self.layer_for(request["environment"])
        # An attempt that is not jailed may have tampered with the fork server.
        if layer != self.server.containment or layer == "process" or self.server.has_ended():
            self.replace_server(layer)

    def has_server(self) -> bool:
        """Whether a fork server is ready; a dead one is replaced first."""
        if self.server.has_ended():
            self.replace_server(self.server.containment)
        try:
            self.server.wait_until_ready()
        except GroundupError:
            self.files.fresh = False
        return self.files.fresh

    def watch(self, pid: int, connection: socket.socket) -> None:
        """Wait for the child and reap it; forward the client's signals, and kill the child when the client is gone."""
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
        """Return the containment layer that this environment demands, or the strongest one if it is unavailable."""
        asked = environment.get(sandbox.ASKED_BY, "")
        return asked if asked in sandbox.LAYERS and not sandbox.offer().lacks.get(asked) else sandbox.offer().layer

    def replace_server(self, layer: str) -> None:
        """Start a new fork server in that layer for the next grade."""
        self.server.close()
        os.environ[sandbox.ASKED_BY] = layer
        self.server = ForkServer()


def _passed_on(pid: int, connection: socket.socket) -> bool:
    """Forward the client's terminal signals to the child; return whether the client is still connected."""
    try:
        came = connection.recv(64)
    except OSError:
        came = b""
    orders = {warm.INTERRUPT: signal.SIGINT, warm.STOP: signal.SIGSTOP, warm.CONTINUE: signal.SIGCONT}
    for number in [orders[bytes([byte])] for byte in came if bytes([byte]) in orders] if came else [signal.SIGKILL]:
        with contextlib.suppress(ProcessLookupError):  # the child makes its process group itself
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


def _import_everything() -> Registry:
    """Import what a grade imports; return what the plugins declare."""
    import groundup.cli.grade
    import groundup.cli.show
    import groundup.grader.judging.judge
    import groundup.grader.learner.workspace  # noqa: F401
    from groundup.cli.context import registry
    from groundup.core.registry import Registry
    from groundup.grader.learner.state import State

    found = Registry()
    if not found.problems:  # else each grade reports them, in its learner's language
        found = registry()
    with State("sqlite://"):  # imports its driver
        pass
    return found


def _grade(server: ForkServer, registry: Registry, name: str) -> None:
    """Grade that technique's solution, to import modules and fill caches."""
    from groundup.core.errors import AttemptDied
    from groundup.grader.judging.judge import Judge

    technique = registry.techniques.get(name)
    with contextlib.suppress(Exception, AttemptDied):
        if technique is not None and not technique.distributed:
            Judge(server).grade(technique, technique.files.solution.read_text(encoding="utf-8"), technique.file)


def _rehearse(server: ForkServer, registry: Registry, name: str, between: Callable[[], None]) -> None:
    """Run every property of that technique on its solution, calling ``between`` after each."""
    from groundup.grader.judging.judge import Judge

    if (technique := registry.techniques.get(name)) is not None:
        with contextlib.suppress(Exception):
            Judge(server).rehearse(technique, lambda *_: between())


def _threads() -> list[str]:
    """Return the names of this process's threads, without those of CUDA's driver: no child needs them."""
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if not name.startswith("cuda")]


def _printed_so_far(log: Path) -> bytes:
    """Return what was printed during the imports: each grade prints it again, as it would without a warm judge."""
    sys.stdout.flush()
    sys.stderr.flush()
    return log.read_bytes()


def _inode(path: Path) -> int | None:
    with contextlib.suppress(OSError):
        return path.lstat().st_ino
    return None


@contextlib.contextmanager
def _lock(place: warm.Place) -> Iterator[bool]:
    """Hold the place's lock inside the block; yield whether it was acquired and its file has not been replaced."""
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
            if _inode(place.lock) == own:  # not that of a judge that has replaced this one
                for path in (place.socket, place.lock):
                    path.unlink(missing_ok=True)


def _sweep(place: warm.Place) -> None:
    """Remove the files that killed warm judges left."""
    for lock in place.lock.parent.glob("*.lock"):
        other = warm.Place(lock.parent, lock.stem)
        if lock != place.lock:
            with contextlib.suppress(OSError), _lock(other):
                pass
