"""The client of the warm judge: a process with everything imported, which forks a child for each grade.

The first grade starts it in the background after showing its own verdict. A later grade sends it its arguments,
environment, working directory and streams. If the warm judge does not take them, for whatever reason, the grade runs
in this process. This module imports little, because a warm grade waits for these imports.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import signal
import socket
import stat
import struct
import subprocess
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "TURNED_OFF_BY",
    "Place",
    "ask",
    "begun",
    "graded",
    "handed_over",
    "has_graded",
    "launched",
    "no_way_back",
    "place",
    "start",
    "unusable",
    "wants_one",
]

TURNED_OFF_BY = "LEARN_WARM"
ANSWER_SECONDS = 2.0  # to take a grade or decline: before that it only checks its files
LONGEST_PATH = 100  # bytes, of a unix socket
# Read at import, by the interpreter or by a library: each value needs a judge of its own. Variables that are read
# later are sent with each grade.
READ_AT_IMPORT = re.compile(
    "HOME|USER|LOGNAME|TMPDIR|TMP|TEMP|TZ|LANG|LANGUAGE|GLIBC_TUNABLES|XDG_(RUNTIME_DIR|(CACHE|CONFIG|DATA)_HOME)|"
    "(LC|PYTHON|LD|MALLOC|OMP|GOMP|KMP|MKL|OPENBLAS|NUMEXPR|NPY|COV|TORCH|PYTORCH|ATEN|CUDA|NVIDIA|HIP|ROCR|TRITON|"
    "HYPOTHESIS|PYTEST|PYDANTIC|JAXTYPING|SQLALCHEMY)_?.*"
)
LAUNCH = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from groundup.cli.warm_judge import main; main()"
READY, TAKEN, COMMITTED, CODE = "ready", "taken", "committed", "code"
DECLINED = "declined"
INTERRUPT, STOP, CONTINUE = b"i", b"s", b"c"

graded = ""
"""The technique that this process has graded last."""
before_telling: Callable[[], None] | None = None
"""In the warm judge's child: says that from now on this grade cannot be begun anew elsewhere."""


class Place:
    """The paths of this installation's warm judge."""

    def __init__(self, folder: Path, key: str) -> None:
        self.socket, self.lock, self.log = (folder / f"{key}.{name}" for name in ("socket", "lock", "log"))


def handed_over(arguments: Sequence[str]) -> int | None:
    """Have the warm judge run ``learn`` with ``arguments``; return its exit code, or None if it has to run here.

    Raises KeyboardInterrupt when Ctrl-C is pressed before the judge has taken it.
    """
    if not wants_one(arguments):
        return None
    try:
        return _Handover(arguments).code()
    except (OSError, ValueError):
        return None


def wants_one(arguments: Sequence[str]) -> bool:
    """Whether a warm judge can run ``learn`` with ``arguments``: they grade, and ``unusable`` returns None."""
    left = iter(arguments)
    for argument in left:
        if argument == "--lang":
            next(left, None)
        elif not argument.startswith("--lang="):
            help_is_asked_for = any(a in ("-h", "--help") for a in arguments)
            return argument == "grade" and not help_is_asked_for and unusable() is None
    return False


def unusable() -> str | None:
    """Return why there is no warm judge for this process: ``off``, ``platform``, ``process``, ``folder``; or None."""
    if os.environ.get(TURNED_OFF_BY) == "0":
        return "off"
    if sys.platform != "linux":
        return "platform"
    called_plainly = sys.orig_argv[1:2] and not sys.orig_argv[1].startswith("-")
    if (
        not called_plainly
        or "_LEARN_COMPLETE" in os.environ
        or not all(p.startswith(("/", "__editable__")) for p in sys.path)
    ):
        return "process"
    if None in (sys.stdin, sys.stdout, sys.stderr):
        return "process"
    try:
        place()
    except OSError:
        return "folder"
    return None


def place() -> Place:
    """Return the paths of this process's warm judge, running or not. Raises OSError without a private folder."""
    base = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("TMPDIR") or "/tmp"
    folder = Path(base) / f"groundup-warm-{os.geteuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        raise PermissionError(str(folder))
    where = Place(folder, _key())
    if len(os.fsencode(where.socket)) > LONGEST_PATH:
        raise OSError(str(where.socket))
    return where


def start() -> None:
    """Start the warm judge in the background, unless one runs. A failure to start is silent."""
    with contextlib.suppress(OSError):
        launched(place(), graded)


def launched(where: Place, technique: str, *, owned: bool = False) -> subprocess.Popen[bytes]:
    """Start a warm judge there, which rehearses ``technique`` first. If ``owned``, it ends with this process."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment |= {"CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}  # or autograd starts threads: no fork then
    arguments = [json.dumps(sys.path), str(where.socket), technique, *(["owned"] if owned else [])]
    program = [sys.executable, "-c", LAUNCH, *arguments]
    return subprocess.Popen(
        program, env=environment, cwd="/", start_new_session=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def ask(where: Place) -> dict[str, Any] | None:
    """Return the warm judge's status, or None if none runs. Raises TimeoutError if it does not answer."""
    try:
        with _connected(where) as connection:
            _send(connection, {"ask": "status"})
            answer: dict[str, Any] = json.loads(next(_Lines(connection)))
            return answer
    except TimeoutError:
        raise
    except (OSError, ValueError, StopIteration):
        return None


def has_graded(technique: str) -> None:
    """Record which technique was graded: a warm judge rehearses it for the next grade."""
    global graded
    graded = technique


def no_way_back() -> None:
    """Commit: the grade is about to print or record something, so it must not be restarted from here on."""
    if before_telling is not None:
        before_telling()


def begun(where: Place, arguments: Sequence[str], streams: Sequence[int]) -> socket.socket | None:
    """Have the warm judge there run ``learn`` with ``arguments`` and those streams; return the connection, or None.

    None means that the judge did not take it. The judge sends the exit code on it; closing it ends the grade.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(where.socket))
        answers = _Lines(connection)
        if _is_taken(connection, arguments, streams, lambda: next(answers, "")):
            return connection
    except (OSError, ValueError):
        pass
    connection.close()
    return None


class _Handover:
    """One grade that is handed over to the judge."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = arguments
        self.taken = self.interrupted = False

    def code(self) -> int | None:
        where = place()
        with _connected(where) as connection:
            answers = _Lines(connection)
            try:
                self.taken = _is_taken(
                    connection, self.arguments, (0, 1, 2), lambda: self.next(connection, answers)
                )  # fmt: skip
            except TimeoutError:
                _put_aside(where)  # it hangs: the next grade starts another judge; this one ends once it notices
            if not self.taken:
                if self.interrupted:
                    raise KeyboardInterrupt
                return None
            connection.settimeout(None)
            if self.interrupted:
                connection.sendall(INTERRUPT)
            with self.stopping(connection):
                return self.outcome(connection, answers)

    def outcome(self, connection: socket.socket, answers: Iterator[str]) -> int | None:
        """Return the exit code, or None if the judge ended before the grade was committed."""
        committed = False
        while answer := self.next(connection, answers):
            word, _, number = answer.partition(" ")
            committed |= word == COMMITTED
            if word == CODE:
                return int(number)
        if self.interrupted:
            raise KeyboardInterrupt
        if committed:
            return _ended_in_the_middle(self.arguments)
        return None

    def next(self, connection: socket.socket, answers: Iterator[str]) -> str:
        """Return the judge's next line, empty at the end of the connection. Ctrl-C is forwarded to the judge."""
        while True:
            try:
                return next(answers, "")
            except KeyboardInterrupt:
                self.interrupted = True
                if self.taken:
                    connection.sendall(INTERRUPT)

    @contextlib.contextmanager
    def stopping(self, connection: socket.socket) -> Iterator[None]:
        """While the block runs, Ctrl-Z also stops the judge's child, and SIGCONT continues it too."""

        def stop(_number: int, _frame: types.FrameType | None) -> None:
            with contextlib.suppress(OSError):
                connection.sendall(STOP)
            os.kill(os.getpid(), signal.SIGSTOP)
            with contextlib.suppress(OSError):
                connection.sendall(CONTINUE)

        before = signal.getsignal(signal.SIGTSTP)
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGTSTP, stop)
        try:
            yield
        finally:
            if before is signal.SIG_DFL:
                signal.signal(signal.SIGTSTP, before)


@contextlib.contextmanager
def _connected(where: Place) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_SECONDS)
        connection.connect(str(where.socket))
        if uid_of(connection) != os.geteuid():
            raise PermissionError(str(where.socket))
        yield connection


def uid_of(connection: socket.socket) -> int:
    """Return the user id of the process at the other end."""
    size = struct.calcsize("3i")
    return int(struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[1])


def _is_taken(
    connection: socket.socket, arguments: Sequence[str], streams: Sequence[int], heard: Callable[[], str]
) -> bool:
    """Hand a grade over; return whether the judge has taken it. ``heard`` returns the judge's next line."""
    mask = os.umask(0o077)
    os.umask(mask)
    request = {
        "ask": "grade", "arguments": list(arguments), "name": sys.argv[0], "environment": dict(os.environ),
        "streams": [(s.encoding, s.errors) for s in (sys.stdin, sys.stdout, sys.stderr)], "mask": mask,
    }  # fmt: skip
    _send(connection, request)
    if heard() != READY:
        return False
    here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    try:  # only once it is ready: a judge that hangs would hold the streams open, and their readers would not see EOF
        socket.send_fds(connection, [b"f"], [*streams, here])
    finally:
        os.close(here)
    return heard() == TAKEN


def _send(connection: socket.socket, request: dict[str, Any]) -> None:
    data = json.dumps(request).encode()
    connection.sendall(struct.pack("!I", len(data)) + data)


class _Lines:
    """Iterates over the lines received on a connection; can be resumed after a KeyboardInterrupt."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection, self.received = connection, b""

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        while b"\n" not in self.received:
            try:
                came = self.connection.recv(4096)
            except ConnectionResetError:
                came = b""
            if not came:
                raise StopIteration
            self.received += came
        line, _, self.received = self.received.partition(b"\n")
        return line.decode()


def _ended_in_the_middle(arguments: Sequence[str]) -> int:
    from groundup.cli.context import speak_first
    from groundup.cli.words import tr
    from groundup.core.errors import EXIT_BROKEN

    speak_first(arguments)
    says = tr("the warm judge ended while it was showing or recording the verdict: grade again.")
    sys.stderr.write(f"learn: {says}\n")
    return EXIT_BROKEN


def _put_aside(where: Place) -> None:
    for path in (where.socket, where.lock):
        path.unlink(missing_ok=True)


def _key() -> str:
    """Return the warm judge's key: the installation, and process state that cannot be sent with a grade."""
    import resource
    import shutil

    own = Path(__file__)
    limits = [resource.getrlimit(getattr(resource, n)) for n in sorted(dir(resource)) if n.startswith("RLIMIT_")]
    spaces = [os.readlink(f"/proc/self/ns/{name}") for name in ("mnt", "net", "pid", "user", "cgroup")]  # noqa: PTH115
    about = [
        os.getresuid(), os.getresgid(), sorted(os.getgroups()), sys.executable, sys.version, sys.prefix, sys.path,
        shutil.which("bwrap"),
        str(own), own.stat().st_mtime_ns, own.stat().st_size, limits, spaces, os.nice(0),
        sorted(os.sched_getaffinity(0)), os.readlink("/proc/self/root"),  # noqa: PTH115
        sorted((k, v) for k, v in os.environ.items() if READ_AT_IMPORT.fullmatch(k)),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
