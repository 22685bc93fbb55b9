"""The warm judge's process: everything is imported and a fork server runs, and each grade is a child of its own.

A child takes on what the client was called with and then runs the ordinary command: whatever a grade changes in its
process is gone with it. One grade at a time: a second client is declined, and grades by itself. What was graded last is
rehearsed, so that what its properties import and look up is there for the next grade. It ends when nothing was asked of
it for a while, when a file that it has imported is another one now, and when it is no longer in its place.
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
LOOK_SECONDS = 20.0  # how often an idle one looks whether it is still in its place
REST_SECONDS = 1.0  # after a grade, before it rehearses another technique
REQUEST_SECONDS = 5.0
LONGEST_REQUEST = 1 << 24


def main() -> None:
    """Run the warm judge whose socket is named by the second argument, unless one runs.

    The third is the technique that was graded last. With a fourth it belongs to the process that started it: it ends
    with that one, and not when it is idle.
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
        place.log.unlink(missing_ok=True)  # a fault's stays, until another starts here


class WarmJudge:
    """Takes grades from one socket until there is a reason to end."""

    def __init__(self, place: warm.Place, technique: str, idle_seconds: float) -> None:
        began = time.time_ns()
        self.place, self.idle_seconds = place, idle_seconds
        self.server = ForkServer()  # starts while the imports go on here
        self.registry = _import_everything()
        self.said = _printed_so_far(place.log)
        self.server.wait_until_ready()
        self.files = Watched()
        self.last, self.rehearsed = technique, set[str]()
        """What was graded last, and what has been rehearsed."""
        _grade(self.server, self.registry, technique)
        self.rehearse(began)
        self.used = time.monotonic()
        self.grades = 0
        self.listener = socket.socket(socket.AF_UNIX)

    def rehearse(self, began: int, between: Callable[[], None] = lambda: None) -> None:
        """Try once what was graded last, calling ``between`` from time to time; ``began``: when that is, in ns."""
        self.rehearsed.add(self.last)
        _rehearse(self.server, self.registry, self.last, between)
        self.files.add(self.registry.places(), began)
        gc.collect()
        gc.freeze()

    def run(self) -> None:
        """Listen, until there is a reason to end."""
        # Not before: pytest, which the rehearsal runs, takes a SystemExit for a failure and goes on.
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
        """End where a child of this process would lack something."""
        if len(_threads()) > 1:
            sys.exit("an import started threads, which a fork would cut off")

    def listens(self, seconds: float) -> bool:
        """Wait so long for a client; return whether there is one."""
        return bool(select.select([self.listener], [], [], seconds)[0])

    def decline(self) -> None:
        """Have whoever wants a grade now make it by themselves."""
        while self.listens(0):
            self.accept(busy=True)

    def _told_to_end(self, *_: object) -> NoReturn:
        self.files.fresh = False  # seen where the exception is lost, in a destructor or in pytest
        sys.exit(0)

    def is_wanted(self) -> bool:
        """Whether to go on."""
        return self.files.fresh and self.is_in_place() and time.monotonic() - self.used < self.idle_seconds

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
        """Return what is told of this process."""
        return {
            "pid": os.getpid(), "grades": self.grades, "busy": busy, "idle_seconds": self.idle_seconds,
            "rehearsed": sorted(self.rehearsed),
        }  # fmt: skip

    def grade(self, connection: socket.socket, request: dict[str, Any], descriptors: list[int]) -> None:
        """Run the command in a child, watching over it."""
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
        with contextlib.closing(told), contextlib.suppress(OSError):  # it was ended before it had graded anything
            self.last = told.recv(4096).decode() or self.last
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
            self.files.fresh = False
        return self.files.fresh

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
    if not found.problems:  # each grade tells of them, in its learner's language
        found = registry()
    with State("sqlite://"):  # its driver
        pass
    return found


def _grade(server: ForkServer, registry: Registry, name: str) -> None:
    """Grade the solution of the technique of that id: that imports, draws and looks up what is not yet there."""
    from groundup.core.errors import AttemptDied
    from groundup.grader.judging.judge import Judge

    technique = registry.techniques.get(name)
    with contextlib.suppress(Exception, AttemptDied):
        if technique is not None and not technique.distributed:
            Judge(server).grade(technique, technique.files.solution.read_text(encoding="utf-8"), technique.file)


def _rehearse(server: ForkServer, registry: Registry, name: str, between: Callable[[], None]) -> None:
    """Try every property of the technique of that id on its solution, calling ``between`` after each."""
    from groundup.grader.judging.judge import Judge

    if (technique := registry.techniques.get(name)) is not None:
        with contextlib.suppress(Exception):
            Judge(server).rehearse(technique, lambda *_: between())


def _threads() -> list[str]:
    """Return this process's threads by name, but for the one with which CUDA's driver waits: no child needs that."""
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return [name for name in names if not name.startswith("cuda")]


def _printed_so_far(log: Path) -> bytes:
    """Return what was printed while modules were imported: each grade by itself would print it."""
    sys.stdout.flush()
    sys.stderr.flush()
    return log.read_bytes()


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
