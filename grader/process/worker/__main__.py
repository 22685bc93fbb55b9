"""The fork server: imports torch once, then forks a process for each attempt in milliseconds.

``python -I start.py CONTROL_FD [--triton]``, with its containment as JSON on stdin. The server holds no secret, since
every attempt can read its memory. It has one thread, or forked children could hang on a lock of another thread.
A request is one JSON message with three descriptors: the data socket, the output pipe and the status socket. On the
data socket the new process first reports its containment. On the status socket the server reports how the process
ended. From the judge, ``WHERE`` on that socket requests that the process write which lines it is running; any other
byte, or end of file, requests that it be killed. When the judge is gone, the server kills all attempts and ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from groundup.grader.process.worker import WHERE, scratch
from groundup.grader.process.worker.limits import adopt_orphans, children_of_this_process

REQUEST_BYTES = 1 << 16


def prepare(interpret_triton: bool) -> None:
    """Import what every attempt needs, and run each kind of operation once so that nothing is loaded lazily later.

    No gradient is computed here: with a GPU, autograd would start threads and then fail in forked processes.
    """
    import torch
    import torch.fx.experimental.symbolic_shapes

    import groundup.grader.process.worker.serve  # noqa: F401
    from groundup.grader.process.worker.imports import own_modules

    for name in own_modules():
        package = importlib.import_module(name)
        for module in pkgutil.iter_modules(getattr(package, "__path__", ()), f"{name}."):
            importlib.import_module(module.name)
    torch.set_num_threads(1)
    x = torch.ones(4, 4, requires_grad=True)
    assert torch.softmax(x @ x, -1).log().sum().requires_grad
    if interpret_triton:
        importlib.import_module("triton.language")
        importlib.import_module("triton.runtime.interpreter")


class ForkServer:
    """Forks, watches and reaps the processes of attempts."""

    def __init__(self, control: socket.socket, containment: dict[str, Any]) -> None:
        self.control, self.containment = control, containment
        self.status: dict[int, socket.socket] = {}
        self.folders: dict[int, str] = {}
        self.ready = selectors.DefaultSelector()
        self.ready.register(control, selectors.EVENT_READ)
        self.wake, wake_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else os.pipe()
        os.set_blocking(wake_end, False)
        self.ready.register(self.wake, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Serve until the judge closes its connection."""
        while True:
            for key, _ in self.ready.select():
                if key.fileobj is self.control:
                    if not self.take_request():
                        return
                elif key.fd == self.wake:
                    os.read(self.wake, 4096)
                    self.bury()
                elif key.data in self.status:
                    if self.status[key.data].recv(1) == WHERE:
                        os.kill(key.data, signal.SIGUSR1)
                        continue
                    self.ready.unregister(key.fileobj)  # the judge requests the kill, or is dead itself
                    self.kill(key.data)

    def take_request(self) -> bool:
        """Receive a request and fork its process; return whether there was a request."""
        message, fds, _, _ = socket.recv_fds(self.control, REQUEST_BYTES, 3)
        if not message:
            return False
        data, output, status = fds
        job = json.loads(message)
        here = os.environ["TMPDIR"]
        folder = scratch.make(here)
        meeting = str(Path(here) / job["meeting"]) if job["meeting"] else None
        if meeting:
            Path(meeting).touch(0o600)
        pid = os.fork()
        if pid == 0:
            self.become_attempt(data, output, {**job, "folder": folder, "meeting": meeting})
        os.close(data)
        os.close(output)
        self.folders[pid] = folder
        self.status[pid] = socket.socket(fileno=status)
        self.ready.register(self.status[pid], selectors.EVENT_READ, pid)
        return True

    def become_attempt(self, data: int, output: int, job: dict[str, Any]) -> NoReturn:
        """In the child: undo the server's set-up, then serve calls."""
        from groundup.grader.process.worker import serve

        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        try:
            serve.run(data, output, job, self.containment)
        finally:
            os._exit(71)

    def kill(self, pid: int) -> None:
        """Kill a process and its group. It is not reaped yet, so its pid cannot have been reused."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def bury(self) -> None:
        """Reap ended processes, report how they ended, and kill the processes that they left behind."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                break
            channel = self.status.pop(pid, None)
            if channel is None:
                continue
            with contextlib.suppress(KeyError):
                self.ready.unregister(channel)
            ended = {
                "exit": os.waitstatus_to_exitcode(status),
                "cpu_seconds": usage.ru_utime + usage.ru_stime,
                "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
            }
            scratch.remove(self.folders.pop(pid), scratch.MOST_AT_ONCE)
            with contextlib.suppress(OSError):
                channel.sendall(json.dumps(ended).encode())
            channel.close()
        for pid in children_of_this_process():
            if pid not in self.status:  # an orphan of an attempt, such as a daemon
                self.kill(pid)

    def leave(self) -> NoReturn:
        """Kill every attempt and its orphans, remove the scratch folder, and exit."""
        left = {*self.status, *children_of_this_process()}
        while left:
            for pid in left:
                self.kill(pid)
            with contextlib.suppress(ChildProcessError):
                os.wait()
            left = set(children_of_this_process())  # a process becomes a child of this one when its parent dies
        scratch.remove(os.environ["TMPDIR"])
        os._exit(0)


def give_up_privileges(containment: dict[str, Any]) -> None:
    """Drop the privileges of this process, and so of its forks, that an attempt could use."""
    if containment["layer"] == "process":
        return
    from groundup.grader.process.worker import jail

    if containment["layer"] == "landlock" and os.geteuid() == 0:
        os.chown(os.environ["TMPDIR"], jail.NOBODY, jail.NOBODY)
    jail.give_up_privileges([*containment["read"], os.environ["TMPDIR"]])


def namespaces() -> dict[str, str]:
    """Return this process's namespaces (empty on platforms other than Linux)."""
    try:
        return {path.name: str(path.readlink()) for path in Path("/proc/self/ns").iterdir()}
    except OSError:
        return {}


def main() -> NoReturn:
    """Prepare, report readiness, serve."""
    control = socket.socket(fileno=int(sys.argv[1]))
    containment = json.load(sys.stdin)
    sys.path += [folder for folder in containment["searched"] if folder not in sys.path]
    within = json.dumps({"namespaces": namespaces()}).encode()
    containment["work"] = containment["layer"] == "namespaces" and scratch.bound(os.environ["TMPDIR"])
    give_up_privileges(containment)
    adopt_orphans()
    prepare(interpret_triton="--triton" in sys.argv)
    server = ForkServer(control, containment)
    gc.collect()
    gc.freeze()
    try:
        control.sendall(within)
        server.serve()
    except Exception:
        traceback.print_exc()
    server.leave()


if __name__ == "__main__":
    main()
