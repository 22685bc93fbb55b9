"""The judge's handle on the fork server. Imports no torch: the server starts while the judge still imports it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from groundup.core.errors import EnvironmentProblem

START_SECONDS = 60.0


@dataclass
class Spawned:
    """The judge's ends of what joins it to one attempt's process."""

    data: socket.socket
    output: int
    status: socket.socket
    folder: Path
    """Its scratch, made for it alone: an earlier attempt left nothing there and took nothing away."""


class ForkServer:
    """A process with torch imported, from which the processes of attempts are forked. Use it as a context manager."""

    def __init__(self, *, triton: bool = False) -> None:
        """Start the server; it gets ready while the caller goes on."""
        self.scratch = tempfile.mkdtemp(prefix="groundup-")
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._triton = triton
        self._owner = os.getpid()
        self._closed = False
        self._start()

    def _start(self) -> None:
        self._control, theirs = socket.socketpair()
        self._ready = False
        command = [sys.executable, "-I", "-m", "groundup.grader.worker", str(theirs.fileno())]
        self._process = subprocess.Popen(
            [*command, "--triton"] if self._triton else command,
            pass_fds=[theirs.fileno()],
            env=_environment(self.scratch, self._triton),
            cwd=self._scratch_folder(),
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,  # Ctrl-C is the judge's to handle
        )
        theirs.close()

    def spawn(self, imports: Iterable[str], cpu_seconds: int, *, threads: bool = False) -> Spawned:
        """Fork a process for one attempt. Raises EnvironmentProblem when the server does not answer."""
        if self._ready and self._process.poll() is not None:
            self.replace()
        self._wait_until_ready()
        data, their_data = socket.socketpair()
        status, their_status = socket.socketpair()
        output, their_output = os.pipe()
        folder = tempfile.mkdtemp(prefix="attempt-", dir=self._scratch_folder())
        job: dict[str, Any] = {
            "imports": list(imports), "cpu_seconds": cpu_seconds, "folder": folder, "threads": threads,
        }  # fmt: skip
        try:
            socket.send_fds(
                self._control, [json.dumps(job).encode()], [their_data.fileno(), their_output, their_status.fileno()]
            )
        except OSError as error:
            raise self._problem("ended") from error
        finally:
            their_data.close()
            their_status.close()
            os.close(their_output)
        return Spawned(data, output, status, Path(folder))

    def _scratch_folder(self) -> str:
        Path(self.scratch).mkdir(mode=0o700, exist_ok=True)  # an attempt that is not contained may have removed it
        return self.scratch

    def _wait_until_ready(self) -> None:
        if self._ready:
            return
        self._control.settimeout(START_SECONDS)
        try:
            answer = self._control.recv(16)
        except OSError as error:
            raise self._problem(f"did not start within {START_SECONDS:.0f} s") from error
        if answer != b"ready":
            raise self._problem("ended while starting")
        self._control.settimeout(None)
        self._ready = True

    def _problem(self, what: str) -> EnvironmentProblem:
        self._errors.seek(0)
        said = self._errors.read()[-1000:].decode(errors="replace").strip()
        return EnvironmentProblem(
            f"The process that runs attempts {what}. 'learn doctor' checks this machine."
            + (f"\n{said}" if said else "")
        )

    def replace(self) -> None:
        """Start anew where the server no longer answers: an attempt that is not contained may end it, or stop it."""
        if not self._closed:
            self._process.kill()
            self._process.wait()
            self._control.close()
            self._start()

    def close(self) -> None:
        """End the server and everything that it started. Safe to call twice."""
        if os.getpid() != self._owner:
            return
        self._closed = True
        self._control.close()
        if not self._ready:
            self._process.kill()  # still importing: it would only notice the closed end afterwards
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


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
    }
    if triton:
        environment |= {"TRITON_INTERPRET": "1", "TRITON_CACHE_DIR": str(Path(scratch) / "triton")}
    return environment
