"""The judge's handle on the fork server. Imports no torch: the server starts while the judge still imports it."""

from __future__ import annotations

import json
import os
import secrets
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from groundup.core.errors import EnvironmentProblem
from groundup.core.messages import Message, joined
from groundup.grader.process import sandbox
from groundup.grader.process.worker import scratch

START_SECONDS = 60.0
CREDENTIALS, SCM_CREDENTIALS = struct.Struct("3i"), 2  # process, user and group of who sent a message
WEAKER = Message("{name}=landlock or process grades with weaker isolation.", name=sandbox.ASKED_BY)


@dataclass
class Spawned:
    """The judge's ends of what joins it to one attempt's process."""

    data: socket.socket
    output: int
    status: socket.socket
    pid: int = 0
    """The process as this one sees it; 0 where that cannot be told."""


class ForkServer:
    """A process with torch imported, from which the processes of attempts are forked. Use it as a context manager."""

    def __init__(self, *, triton: bool = False) -> None:
        """Start the server; it gets ready while the caller goes on."""
        self.containment = sandbox.chosen()
        """The layer that attempts run in. The server and each attempt's process have to say that they are in it."""
        self._imports: frozenset[str] = frozenset()
        self._own_machine = self.containment == "namespaces"
        self.scratch = f"/tmp/groundup-{secrets.token_hex(6)}" if self._own_machine else self._new_folder()
        """Where attempts have their folders. With namespaces it is a folder that only they see."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._triton = triton
        self._closed = False
        try:
            self._start()
        except BaseException:
            self._remove_scratch()
            raise

    def _start(self) -> None:
        self._owner = os.getpid()
        self._control, theirs = socket.socketpair()
        self._ready = False
        program = [sys.executable, "-I", str(sandbox.START), str(theirs.fileno())]
        program += ["--triton"] if self._triton else []
        self._places = sandbox.places(self._imports)
        view = sandbox.view(self._imports)
        read, listed = view.of_namespaces() if self._own_machine else view.of_landlock()
        network = [*sandbox.NETWORK_FILES, *(() if self._own_machine else sandbox.HARDWARE_FILES)]
        about = {
            "layer": self.containment, "read": read, "list": listed, "network": network, "searched": view.searched,
        }  # fmt: skip
        with tempfile.TemporaryFile() as settings:
            settings.write(json.dumps(about).encode())
            settings.seek(0)
            self._process = subprocess.Popen(
                sandbox.command(view, self.scratch, program) if self._own_machine else program,
                pass_fds=[theirs.fileno()],
                env=_environment(self.scratch, self._triton),
                cwd="/" if self._own_machine else self._scratch_folder(),
                stdin=settings,
                stdout=self._errors,
                stderr=self._errors,
                start_new_session=True,  # Ctrl-C is the judge's to handle
            )
        theirs.close()

    def allow(self, imports: Iterable[str]) -> None:
        """Let attempts read those further modules. Ends the attempts that run, if they could not so far."""
        lacking = frozenset(imports) - self._imports
        # What attempts may read is settled when it starts. A file that an editor put in the place of another is not
        # among it, though it has the same name.
        if lacking or sandbox.places(self._imports) != self._places:
            self._imports |= lacking
            self.replace()

    def get_ready_for(self, imports: Iterable[str]) -> None:
        """Be there and ready for attempts that may read those further modules. Raises EnvironmentProblem."""
        self.allow(imports)
        if self._ready and self.has_ended():
            self.replace()
        self.wait_until_ready()

    def never_replace(self) -> None:
        """Leave a server that has ended as it is: it is another process's, of which this one is a copy."""
        self._closed = True

    def spawn(self, imports: Iterable[str], cpu_seconds: int, *, meeting: str | None = None) -> Spawned:
        """Fork a process for one attempt. Raises EnvironmentProblem when none comes that is contained as it has to be.

        ``meeting`` names where the ranks of a lab find each other: they may then start threads and use the loopback.
        """
        imports = sorted(imports)
        self.get_ready_for(imports)
        data, their_data = socket.socketpair()
        if sys.platform == "linux":  # the kernel says who sends the first message, whatever namespace it is in
            data.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        status, their_status = socket.socketpair()
        output, their_output = os.pipe()
        cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []  # an attempt keeps to its judge's
        job: dict[str, Any] = {"imports": imports, "cpu_seconds": cpu_seconds, "meeting": meeting, "cores": cores}
        try:
            socket.send_fds(
                self._control, [json.dumps(job).encode()], [their_data.fileno(), their_output, their_status.fileno()]
            )
        except OSError as error:
            raise self._problem(Message("The process that runs attempts ended.")) from error
        finally:
            their_data.close()
            their_status.close()
            os.close(their_output)
        spawned = Spawned(data, output, status)
        try:
            self._see_that_it_is_contained(spawned)
        except BaseException:
            data.close()
            status.close()
            os.close(output)
            raise
        return spawned

    def _see_that_it_is_contained(self, spawned: Spawned) -> None:
        """Hear from the attempt's process, before it is sent the attempt, which walls stand around it."""
        spawned.data.settimeout(START_SECONDS)
        try:
            message, sent_along, _, _ = spawned.data.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size))
            told = json.loads(message)
        except (OSError, ValueError) as error:
            raise self._problem(Message("The process that runs attempts could not start one.")) from error
        if told != {"contained": self.containment}:
            why = told.get("problem", Message("it is not"))
            raise EnvironmentProblem(
                "An attempt cannot be contained here by {containment!r}: {why}. {weaker}",
                containment=self.containment,
                why=why,
                weaker=WEAKER,
            )
        if sys.platform == "linux":
            spawned.data.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
            spawned.pid = next(CREDENTIALS.unpack(data)[0] for _, kind, data in sent_along if kind == SCM_CREDENTIALS)

    def _new_folder(self) -> str:
        # Where the server becomes nobody's, nobody has to be allowed to remove the folder: the judge may be gone.
        becomes_nobodys = self.containment == "landlock" and os.geteuid() == 0
        return tempfile.mkdtemp(prefix="groundup-", dir="/tmp" if becomes_nobodys else None)

    def _scratch_folder(self) -> str:
        Path(self.scratch).mkdir(mode=0o700, exist_ok=True)  # an attempt that is not contained may have removed it
        return self.scratch

    def has_ended(self) -> bool:
        """Whether the server is gone. A process that is not its parent learns of that from the closed connection."""
        if os.getpid() == self._owner:
            return self._process.poll() is not None
        return bool(select.select([self._control], [], [], 0)[0])  # once ready, it says nothing more

    def wait_until_ready(self) -> None:
        """Wait until the server has imported what attempts need. Raises EnvironmentProblem when it does not come."""
        if self._ready:
            return
        self._control.settimeout(START_SECONDS)
        try:
            answer = self._control.recv(4096)
        except OSError as error:
            raise self._problem(
                Message("The process that runs attempts did not start within {seconds:.0f} s.", seconds=START_SECONDS)
            ) from error
        if not answer:
            raise self._problem(Message("The process that runs attempts ended while starting."))
        self._control.settimeout(None)
        there = json.loads(answer)["namespaces"]
        if self._own_machine and not sandbox.are_apart(there):
            raise EnvironmentProblem(
                "bubblewrap did not isolate the process that runs attempts. {weaker}", weaker=WEAKER
            )
        self._ready = True

    def _problem(self, what: str) -> EnvironmentProblem:
        self._errors.seek(0)
        said = self._errors.read()[-1000:].decode(errors="replace").strip()
        problem = Message("{problem} 'learn doctor' checks this machine.", problem=what)
        return EnvironmentProblem(joined("\n", [problem, said]) if said else problem)

    def replace(self) -> None:
        """Start anew where the server no longer answers: an attempt that is not contained may end it, or stop it."""
        if not self._closed:
            self._kill()
            self._control.close()
            self._start()

    def _kill(self) -> None:
        """Kill the server, and all of bubblewrap where that runs it: it may not have come to an end of starting it."""
        if not self.has_ended():
            os.killpg(self._process.pid, signal.SIGKILL)
        if os.getpid() == self._owner:
            self._process.wait()

    def close(self) -> None:
        """End the server and everything that it started. Safe to call twice."""
        if os.getpid() != self._owner:
            return
        self._closed = True
        self._control.close()
        if not self._ready:
            self._kill()  # still importing: it would only notice the closed end afterwards
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._kill()
        self._errors.close()
        self._remove_scratch()

    def _remove_scratch(self) -> None:
        if not self._own_machine:
            scratch.remove(self.scratch)

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


_lent: ForkServer | None = None


def lend(server: ForkServer) -> None:
    """Have ``running_server`` return ``server`` in this process, a child of the one that started it."""
    global _lent
    _lent = server


def running_server() -> ForkServer:
    """Return the server that was lent, where it is in the layer that is chosen now, or else a new one.

    Use it as a context manager: that ends a new one, and leaves one that was lent to its owner.
    """
    return _lent if _lent is not None and _lent.containment == sandbox.chosen() else ForkServer()


def _environment(scratch: str, triton: bool) -> dict[str, str]:
    """A small environment: nothing of the user's reaches an attempt."""
    environment = {
        "PATH": os.defpath,
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TORCH_COMPILE_DISABLE": "1",  # run eagerly: compiling takes longer than a call may, a compiler and large files
        "CUDA_VISIBLE_DEVICES": "",  # no wall lets a device through: torch says so in its own words
    }
    if triton:
        environment |= {"TRITON_INTERPRET": "1", "TRITON_CACHE_DIR": str(Path(scratch) / "triton")}
    return environment
