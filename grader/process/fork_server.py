"""The judge's handle on the fork server. Imports no torch, so that the server starts while the judge imports it."""

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
CREDENTIALS, SCM_CREDENTIALS = struct.Struct("3i"), 2  # pid, uid and gid of a message's sender
WEAKER = Message("{name}=landlock or process grades with weaker isolation.", name=sandbox.ASKED_BY)


@dataclass
class Spawned:
    """The judge's ends of the connections to one attempt's process."""

    data: socket.socket
    output: int
    status: socket.socket
    pid: int = 0
    """The process's id in this process's pid namespace; 0 if unknown."""


class ForkServer:
    """A process with torch imported, from which the processes of attempts are forked. Use it as a context manager."""

    def __init__(self, *, triton: bool = False) -> None:
        """Start the server without waiting until it is ready."""
        self.containment = sandbox.chosen()
        """The containment layer of attempts. The server and each attempt's process must confirm that they use it."""
        self._imports: frozenset[str] = frozenset()
        self._own_machine = self.containment == "namespaces"
        self.scratch = f"/tmp/groundup-{secrets.token_hex(6)}" if self._own_machine else self._new_folder()
        """The folder that holds the attempts' working folders. With namespaces, only they see it."""
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
                start_new_session=True,  # the judge handles Ctrl-C
            )
        theirs.close()

    def allow(self, imports: Iterable[str]) -> None:
        """Let attempts import the modules ``imports`` too. If that needs a restart, running attempts end."""
        lacking = frozenset(imports) - self._imports
        # The readable files are fixed when the server starts. A file that an editor has replaced since is a new file,
        # which attempts cannot read although it has the same name.
        if lacking or sandbox.places(self._imports) != self._places:
            self._imports |= lacking
            self.replace()

    def get_ready_for(self, imports: Iterable[str]) -> None:
        """Get the server ready for attempts that may import the modules ``imports``. Raises EnvironmentProblem."""
        self.allow(imports)
        if self._ready and self.has_ended():
            self.replace()
        self.wait_until_ready()

    def never_replace(self) -> None:
        """Do not restart a server that has ended: this process is a copy of the one that owns the server."""
        self._closed = True

    def spawn(self, imports: Iterable[str], cpu_seconds: int, *, meeting: str | None = None) -> Spawned:
        """Fork a process for one attempt. Raises EnvironmentProblem if it does not start with the chosen containment.

        ``meeting`` is the rendezvous of a lab's ranks; with it the process may start threads and use the loopback.
        """
        imports = sorted(imports)
        self.get_ready_for(imports)
        data, their_data = socket.socketpair()
        if sys.platform == "linux":  # the kernel gives the sender's pid, whatever its namespace
            data.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        status, their_status = socket.socketpair()
        output, their_output = os.pipe()
        cores = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else []  # an attempt uses its judge's cores
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
        """Receive the process's report of its containment and check it, before the process is sent the attempt."""
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
        # If the server switches to user nobody, nobody must be able to remove the folder: the judge may be gone.
        becomes_nobodys = self.containment == "landlock" and os.geteuid() == 0
        return tempfile.mkdtemp(prefix="groundup-", dir="/tmp" if becomes_nobodys else None)

    def _scratch_folder(self) -> str:
        Path(self.scratch).mkdir(mode=0o700, exist_ok=True)  # an uncontained attempt may have removed it
        return self.scratch

    def has_ended(self) -> bool:
        """Whether the server is gone. A process that is not its parent detects it by the closed connection."""
        if os.getpid() == self._owner:
            return self._process.poll() is not None
        return bool(select.select([self._control], [], [], 0)[0])  # once ready, it sends nothing: readable means closed

    def wait_until_ready(self) -> None:
        """Wait until the server has imported what attempts need. Raises EnvironmentProblem if it does not start."""
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
        """Restart the server if it does not respond: an uncontained attempt can end or stop it."""
        if not self._closed:
            self._kill()
            self._control.close()
            self._start()

    def _kill(self) -> None:
        """Kill the server, and bubblewrap if that runs it, since it may still be starting the server."""
        if not self.has_ended():
            os.killpg(self._process.pid, signal.SIGKILL)
        if os.getpid() == self._owner:
            self._process.wait()

    def close(self) -> None:
        """End the server and all processes it started. Safe to call twice."""
        if os.getpid() != self._owner:
            return
        self._closed = True
        self._control.close()
        if not self._ready:
            self._kill()  # still importing: it would notice the closed connection only afterwards
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
    """Make ``running_server`` return ``server`` in this process, a child of the process that started it."""
    global _lent
    _lent = server


def running_server() -> ForkServer:
    """Return the lent server if it uses the currently chosen layer, else a new one.

    Use it as a context manager: leaving it ends a new server, but not a lent one, which belongs to its owner.
    """
    return _lent if _lent is not None and _lent.containment == sandbox.chosen() else ForkServer()


def _environment(scratch: str, triton: bool) -> dict[str, str]:
    """Return a minimal environment, without the user's variables."""
    environment = {
        "PATH": os.defpath,
        "HOME": scratch,
        "TMPDIR": scratch,
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "TORCH_COMPILE_DISABLE": "1",  # run eagerly: compiling needs too much time, a compiler and large files
        "CUDA_VISIBLE_DEVICES": "",  # no layer allows devices; torch then reports that none is available
    }
    if triton:
        environment |= {"TRITON_INTERPRET": "1", "TRITON_CACHE_DIR": str(Path(scratch) / "triton")}
    return environment
