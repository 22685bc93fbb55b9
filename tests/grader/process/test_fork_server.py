from __future__ import annotations

import contextlib
import gc
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from groundup.core.errors import AttemptDied, EnvironmentProblem
from groundup.grader.process import attempt as attempt_module
from groundup.grader.process import fork_server as fork_server_module
from groundup.grader.process.attempt import AttemptProcess
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.proxy import proxy
from groundup.grader.process.sandbox import ASKED_BY

Start = Callable[..., AttemptProcess]
Soon = Callable[..., bool]
JUDGE = """
import sys
from groundup.grader.process.fork_server import ForkServer

with ForkServer() as server:
    from groundup.grader.process.attempt import AttemptProcess, Program
    from groundup.grader.process.proxy import proxy

    print(server._process.pid, server.scratch, flush=True)
    process = AttemptProcess(server, Program(sys.argv[1], "f.py", "f"), seed=0, call_seconds=30, total_seconds=30)
    pids = proxy(process, "f", lambda x: None)(0)
    print(*pids, flush=True)
    proxy(process, "f", lambda x: None)(1)
"""
HANGING = """
import os, time

def f(x):
    while x:
        time.sleep(1)
    daemon, ready = os.pipe()
    if os.getuid():  # the kernel lets nobody but root start processes here
        return [os.getpid()]
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(ready, str(os.getpid()).encode())
            time.sleep(1000)
        os._exit(0)
    child = os.fork()
    if child == 0:
        time.sleep(1000)
    return [os.getpid(), child, int(os.read(daemon, 20))]
"""


@pytest.fixture
def judge(descendants: Callable[[int], list[int]]) -> Iterator[tuple[subprocess.Popen[str], list[int], Path]]:
    """A judge during a call that hangs, the judge's descendants, and its scratch folder."""
    with subprocess.Popen(
        [sys.executable, "-c", JUDGE, HANGING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        server, scratch = started.stdout.readline().split()
        inside = started.stdout.readline().split()
        pids = descendants(int(server))
        assert len(pids) > len(inside)
        yield started, pids, Path(scratch)
        started.kill()


@pytest.fixture(scope="module")
def uncontained() -> Iterator[ForkServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ASKED_BY, "process")
        started = ForkServer()
    with started:
        yield started


def once(server: ForkServer, source: str, *args: Any, call_seconds: float = 20) -> Any:
    """Start an attempt and let it answer one call."""
    program = attempt_module.Program(source, "f.py", "f")
    process = AttemptProcess(server, program, seed=0, call_seconds=call_seconds, total_seconds=60)
    with contextlib.closing(process):
        return proxy(process, "f", lambda x: None)(*args)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in ("Z", "X")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))  # noqa: PTH208


# The end of the judge


def test_nothing_outlives_a_judge_that_is_killed(
    judge: tuple[subprocess.Popen[str], list[int], Path], soon: Soon
) -> None:
    process, pids, scratch = judge
    process.kill()
    process.wait()
    assert soon(lambda: not any(map(alive, pids)) and not scratch.exists())


def test_nothing_outlives_a_judge_that_is_interrupted(
    judge: tuple[subprocess.Popen[str], list[int], Path], soon: Soon
) -> None:
    process, pids, scratch = judge
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert said.splitlines()[-1] == "KeyboardInterrupt"
    assert soon(lambda: not any(map(alive, pids)))
    assert not scratch.exists()


def test_a_server_that_is_still_starting_ends_with_its_judge(soon: Soon) -> None:
    code = "import os\nfrom groundup.grader.process.fork_server import ForkServer\nserver = ForkServer()\n"
    code += "print(server._process.pid, flush=True)\nos.kill(os.getpid(), 9)"
    said = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False).stdout
    assert soon(lambda: not alive(int(said)), seconds=30)


def test_closing_ends_the_server_with_all_its_attempts_and_their_folder(
    soon: Soon, descendants: Callable[[int], list[int]]
) -> None:
    server = ForkServer()
    process = AttemptProcess(
        server, attempt_module.Program(HANGING, "f.py", "f"), seed=0, call_seconds=20, total_seconds=20
    )
    inside = proxy(process, "f", lambda x: None)(0)
    pids = descendants(server._process.pid)
    scratch = Path(server.scratch)
    assert len(pids) > len(inside)
    assert scratch.is_dir() == (server.containment != "namespaces")
    server.close()
    server.close()
    assert soon(lambda: not any(map(alive, pids)))
    assert not scratch.exists()
    process.close()
    assert server._process.poll() is not None, "closing an attempt afterwards must not start another server"


def test_a_server_can_be_closed_while_it_starts() -> None:
    server = ForkServer()
    server.close()
    assert server._process.returncode == -signal.SIGKILL


def test_a_process_that_the_judge_forks_does_not_close_the_server(server: ForkServer, start: Start) -> None:
    child = os.fork()
    if child == 0:
        server.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert proxy(start("def f(x): return x"), "f", lambda x: None)(5) == 5


# The end of the server


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGSTOP], ids=lambda s: s.name)
def test_an_attempt_that_ends_or_stops_its_server_does_not_spoil_the_next(
    uncontained: ForkServer, monkeypatch: pytest.MonkeyPatch, signal_: int
) -> None:
    monkeypatch.setattr(attempt_module, "BURIAL_SECONDS", 0.5)
    source = "import os, shutil, time\ndef f(x):\n    shutil.rmtree(os.path.dirname(os.getcwd()))\n"
    source += f"    os.kill(os.getppid(), {int(signal_)})\n    time.sleep(1000)"
    with pytest.raises(AttemptDied):
        once(uncontained, source, 1, call_seconds=0.5)
    assert once(uncontained, "def f(x): return x", 5) == 5


def test_a_server_that_has_ended_between_two_attempts_is_replaced(server: ForkServer, start: Start) -> None:
    start("def f(x): return x").close()
    first = server._process
    first.kill()
    first.wait()
    assert proxy(start("def f(x): return x"), "f", lambda x: None)(5) == 5
    assert server._process is not first


def test_a_server_that_cannot_start_is_the_machines_problem(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(ASKED_BY, "process")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no such library' >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(broken))
    with ForkServer() as server, pytest.raises(EnvironmentProblem) as raised:
        server.spawn((), cpu_seconds=1)
    assert str(raised.value) == (
        "The process that runs attempts ended while starting. 'learn doctor' checks this machine.\nno such library"
    )


def test_a_server_that_does_not_get_ready_is_the_machines_problem(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ASKED_BY, "process")
    slow = tmp_path / "python"
    slow.write_text("#!/bin/sh\nexec sleep 1000\n")
    slow.chmod(slow.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(slow))
    monkeypatch.setattr(fork_server_module, "START_SECONDS", 0.2)
    with ForkServer() as server:
        with pytest.raises(EnvironmentProblem, match="did not start within"):
            server.spawn((), cpu_seconds=1)
        pid = server._process.pid
    assert not alive(pid)


# What a forked process gets


def test_nothing_of_the_users_environment_reaches_an_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDUP_SECRET", "seen")
    monkeypatch.setenv("PYTHONPATH", "/seen")
    source = "import os, sys\ndef f(x): return dict(os.environ), sys.path, os.getcwd()"
    with ForkServer() as server:
        program = attempt_module.Program(source, "f.py", "f")
        process = AttemptProcess(server, program, seed=0, call_seconds=20, total_seconds=20)
        environment, path, here = proxy(process, "f", lambda x: None)(1)
        process.close()
        assert here == environment["HOME"] == environment["TMPDIR"]
        assert here.startswith(f"{server.scratch}/attempt-")
    assert not any("seen" in text for text in [*environment.values(), *path])


def test_an_attempt_that_is_not_contained_finds_nothing_of_an_earlier_one_and_misses_nothing(
    uncontained: ForkServer,
) -> None:
    spoil = "import os, shutil\ndef f(x):\n    open('left', 'w').close()\n    open('../left', 'w').close()\n"
    spoil += "    return os.listdir('.'), x and shutil.rmtree(os.path.dirname(os.getcwd()))"
    for destroys in (0, 1, 0):
        assert once(uncontained, spoil, destroys)[0] == ["left"]
    assert os.listdir(uncontained.scratch) == ["left"]  # noqa: PTH208
    look = "import os, tempfile\ndef f(x): return os.listdir('.'), tempfile.gettempdir() == os.getcwd()"
    assert once(uncontained, look, 1) == ([], True)


def test_attempts_that_live_and_die_leave_no_descriptor_open(
    server: ForkServer, start: Start, soon: Soon, standing: Callable[[], Iterator[tuple[int, str]]]
) -> None:
    def live_and_die() -> None:
        process = start("import os\ndef f(x): return x or os._exit(1)")
        assert proxy(process, "f", lambda x: None)(1) == 1
        process.close()
        process = start("import os\ndef f(x): return x or os._exit(1)")
        with pytest.raises(AttemptDied, match="exit code 1"):
            proxy(process, "f", lambda x: None)(0)

    live_and_die()
    gc.collect()
    forks = max(pid for pid, here in standing() if here == server.scratch)  # bubblewrap has that current folder too
    ours, theirs = descriptors(os.getpid()), descriptors(forks)
    for _ in range(10):
        live_and_die()
    assert soon(lambda: descriptors(os.getpid()) <= ours and descriptors(forks) <= theirs)


KERNEL = """
import torch
import triton
import triton.language as tl


@triton.jit
def _double(x, out, size, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + at, 2 * tl.load(x + at, mask=at < size), mask=at < size)


def f(x):
    out = torch.empty_like(x)
    _double[(triton.cdiv(x.numel(), 8),)](x, out, x.numel(), BLOCK=8)
    return out
"""


@pytest.mark.soak
def test_a_server_for_triton_runs_kernels_without_a_gpu() -> None:
    import torch

    with ForkServer(triton=True) as server:
        program = attempt_module.Program(KERNEL, "f.py", "f")
        process = AttemptProcess(server, program, seed=0, call_seconds=20, total_seconds=60)
        x = torch.arange(13.0)
        assert torch.equal(proxy(process, "f", lambda x: None)(x), 2 * x)
        process.close()
