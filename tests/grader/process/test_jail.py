"""Attacks that fail in a jail. Most succeed without one, which is tested too if it does no harm."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import groundup.core
from groundup.core.errors import AttemptRaised, EnvironmentProblem
from groundup.grader.process import sandbox
from groundup.grader.process.attempt import AttemptProcess, Program
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.proxy import proxy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has jails")

ROOT = Path(groundup.core.__file__).parents[1]
OFFERED = [layer for layer in ("namespaces", "landlock") if layer not in sandbox.offer().lacks]
HEAD = """
import ctypes, fcntl, mmap, os, resource, shutil, signal, socket, struct, subprocess, sys, tempfile, threading, time

libc = ctypes.CDLL(None, use_errno=True)
def checked(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result

def syscall(number, *arguments):
    wide = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    return checked(libc.syscall(ctypes.c_long(number), *wide))

"""


@pytest.fixture(scope="module", params=OFFERED)
def layer(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def server(layer: str) -> Iterator[ForkServer]:
    with in_layer(layer) as started:
        yield started


@contextlib.contextmanager
def in_layer(layer: str) -> Iterator[ForkServer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(sandbox.ASKED_BY, layer)
        server = ForkServer()
    with server:
        yield server


@contextlib.contextmanager
def attempt(server: ForkServer, body: str, **options: Any) -> Iterator[Callable[..., Any]]:
    indented = "\n".join("    " + line for line in body.splitlines())
    program = Program(f"{HEAD}\ndef f(*given):\n{indented}\n", "f.py", "f", **options)
    process = AttemptProcess(server, program, seed=0, call_seconds=20, total_seconds=60)
    with contextlib.closing(process):
        yield proxy(process, "f", lambda *given: None)


def refused(server: ForkServer, body: str, *given: Any, **options: Any) -> str:
    """Run an attack in an attempt and return the system's error; fail if there is none."""
    with attempt(server, body, **options) as call:
        try:
            answer = call(*given)
        except AttemptRaised as raised:
            if {"OSError", "RuntimeError"}.isdisjoint(raised.types):
                raise
            return raised.message
    pytest.fail(f"the attack succeeded: {answer!r}"[:300])


# Files

ANY_FILE = "return open(given[0], 'rb').read(1)"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "/etc/hostname", "/proc/self/maps", "/proc/self/environ", "/proc/1/cmdline", "/root/.bashrc",
        f"{ROOT}/solutions/rl/gae.py", f"{ROOT}/exercises/rl/gae.py", f"{ROOT}/plugins/rl/gae/properties.py",
        f"{ROOT}/quizzes/rl/gae.yaml", f"{ROOT}/grader/judging/judge.py", f"{ROOT}/core/registry.py",
        f"{ROOT}/core/testing/switch.py", f"{ROOT}/README.md", f"{ROOT}/pyproject.toml", pytest.__file__, __file__,
        "/proc/JUDGE/environ", "/proc/JUDGE/mem", "/dev/mem", "/dev/kmsg", "/dev/tty",
    ],
)  # fmt: skip
def test_no_file_is_read_but_what_an_attempt_needs(server: ForkServer, path: str) -> None:
    path = path.replace("JUDGE", str(os.getpid()))
    assert re.search("Permission denied|No such file", refused(server, ANY_FILE, path))


def test_what_the_user_has_is_neither_read_nor_changed(server: ForkServer, tmp_path: Path) -> None:
    database = tmp_path / "learn.db"
    database.write_text("rows")
    database.chmod(0o666)
    for folder in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o005)
    refused(server, ANY_FILE, str(database))
    before = database.stat()
    for body in (
        "open(given[0], 'a').write('x')", "os.truncate(given[0], 0)", "os.open(given[0], os.O_TRUNC)",
        "os.unlink(given[0])", "os.rename(given[0], given[0] + '2')", "os.link(given[0], 'mine')",
        "open(given[0] + '2', 'w')", "os.mkdir(given[0] + '2')", "os.symlink('/', given[0] + '2')",
        "os.mkfifo(given[0] + '2')", "os.chmod(given[0], 0)", "os.chown(given[0], 1, 1)", "os.utime(given[0], (1, 1))",
        "os.setxattr(given[0], 'user.a', b'b')", "os.listdir(os.path.dirname(given[0]))",
    ):  # fmt: skip
        refused(server, body, str(database))
    assert (database.read_text(), sorted(os.listdir(tmp_path))) == ("rows", ["learn.db"])  # noqa: PTH208
    assert (before.st_mode, before.st_mtime, before.st_uid) == (
        database.stat().st_mode, database.stat().st_mtime, database.stat().st_uid,
    )  # fmt: skip


@pytest.mark.parametrize("folder", ["/", "/tmp", "/dev/shm", "/usr/lib", str(ROOT), str(ROOT / "core"), sys.prefix])
def test_nothing_is_written_outside_of_its_scratch(server: ForkServer, folder: str) -> None:
    refused(server, "open(given[0] + '/new', 'w')", folder)
    refused(server, "os.mkdir(given[0] + '/new')", folder)


def test_its_scratch_is_its_own(server: ForkServer, layer: str) -> None:
    write = "open(given[0], 'w').write('mine')\nreturn os.getcwd(), open(given[0]).read()"
    if layer == "landlock":  # on a disk nothing would limit the total that it writes
        assert refused(server, write, "a") == "[Errno 13] Permission denied: 'a'"
        return
    with attempt(server, write) as first:
        folder, text = first("a")
        assert text == "mine"
        for body in (ANY_FILE, "os.unlink(given[0])", "open(given[0], 'a')", "os.listdir(os.path.dirname(given[0]))"):
            refused(server, body, folder + "/a")
        refused(server, "os.listdir(os.path.dirname(os.getcwd()))")
        refused(server, "os.chdir('..')\nopen('a', 'w')")
        refused(server, "shutil.rmtree(os.getcwd())")
    with attempt(server, "return os.path.exists(given[0]), os.listdir('.'), tempfile.gettempdir()") as later:
        exists, entries, temporary = later(folder)
    assert (exists, entries) == (False, [])
    assert temporary.startswith(server.scratch + "/attempt-")


def test_the_disk_is_not_filled(server: ForkServer, layer: str) -> None:
    fill = "for n in range(40):\n    open(str(n), 'wb').write(bytes(10 << 20))"
    assert re.search("No space left" if layer == "namespaces" else "Permission denied", refused(server, fill))
    if layer == "namespaces":
        with attempt(server, "return open('a', 'wb').write(bytes(10 << 20))") as next_one:
            assert next_one() == 10 << 20, "an earlier attempt's file is left"


@pytest.mark.parametrize("body", ["open(f'{n}', 'w').close()", "os.mkdir(f'{n}')", "os.symlink('/', f'{n}')"])
def test_files_without_contents_do_not_fill_the_kernels_memory(body: str) -> None:
    if "namespaces" not in OFFERED:
        pytest.skip("there is no scratch folder to write in here")
    with in_layer("namespaces") as server:
        assert "No space left" in refused(server, f"for n in range(5000):\n    {body}")
        with attempt(server, "return os.statvfs('.').f_files") as call:
            assert call() == 4096


def test_where_the_number_of_files_cannot_be_limited_none_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    if "namespaces" not in OFFERED:
        pytest.skip("there is no scratch folder to write in here")
    isolated = sandbox._isolated()
    at = isolated.index("CAP_SYS_ADMIN")
    monkeypatch.setattr(sandbox, "_isolated", lambda: isolated[: at - 1] + isolated[at + 1 :])
    with in_layer("namespaces") as server:
        assert "Permission denied" in refused(server, "open('a', 'w')")


def test_a_scratch_folder_goes_however_deep_and_whatever_its_modes(soon: Callable[..., bool]) -> None:
    if "namespaces" not in OFFERED:
        pytest.skip("there is no scratch folder to write in here")
    deep = "for n in range(4000):\n    os.mkdir('d')\n    os.chdir('d')"
    with in_layer("namespaces") as server:
        with attempt(server, deep) as call:
            call()
        with attempt(server, "return os.statvfs('.').f_files - os.statvfs('.').f_ffree") as call:
            assert call() < 10


# Networks and sockets


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Sockets that a process outside a jail can reach."""
    with contextlib.ExitStack() as stack:

        def opened(family: int, kind: int, address: Any) -> socket.socket:
            made = stack.enter_context(socket.socket(family, kind))
            made.bind(address)
            if kind == socket.SOCK_STREAM:
                made.listen()
            return made

        path = f"{tmp_path}/socket"
        yield {
            "tcp": opened(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)).getsockname()[1],
            "udp": opened(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)).getsockname()[1],
            "path": (opened(socket.AF_UNIX, socket.SOCK_STREAM, path), path)[1],
            "datagram": (opened(socket.AF_UNIX, socket.SOCK_DGRAM, path + "2"), path + "2")[1],
            "abstract": (opened(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{path}"), f"\0{path}")[1],
        }  # fmt: skip


CONNECT = {
    "tcp": "socket.create_connection(('127.0.0.1', given[0]), 2)",
    "udp": "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', given[0]))",
    "path": "socket.socket(socket.AF_UNIX).connect(given[0])",
    "datagram": "socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b'x', given[0])",
    "abstract": "socket.socket(socket.AF_UNIX).connect(given[0])",
}


@pytest.mark.parametrize("kind", CONNECT)
def test_nothing_is_reached_over_a_socket(server: ForkServer, listening: dict[str, Any], kind: str) -> None:
    refused(server, CONNECT[kind], listening[kind])


@pytest.mark.parametrize("kind", CONNECT)
def test_without_a_jail_it_is(listening: dict[str, Any], kind: str, uncontained: ForkServer) -> None:
    with attempt(uncontained, CONNECT[kind]) as call:
        call(listening[kind])


@pytest.fixture(scope="module")
def uncontained() -> Iterator[ForkServer]:
    with in_layer("process") as server:
        yield server


@pytest.mark.parametrize(
    ("family", "kind"),
    [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (10, 1), (16, 3), (17, 3), (31, 1), (38, 5), (40, 1)],
)
def test_no_socket_is_made_but_a_joined_pair(server: ForkServer, family: int, kind: int) -> None:
    assert "not permitted" in refused(server, "socket.socket(*given)", family, kind)
    with attempt(server, "one, other = socket.socketpair()\none.send(b'x')\nreturn other.recv(1) == b'x'") as call:
        assert call() is True


@pytest.mark.parametrize("body", ["s.connect(given[0])", "s.connect('\\0' + given[0])", "s.bind('own')", "s.listen()"])
def test_a_joined_pair_stays_joined(server: ForkServer, listening: dict[str, Any], body: str) -> None:
    refused(server, f"s, _ = socket.socketpair()\n{body}", listening["path"])


# Other processes

OTHERS = {
    "killing the judge": "os.kill(given[0], signal.SIGTERM)",
    "killing the server": "os.kill(os.getppid(), signal.SIGKILL)",
    "killing all": "os.kill(-1, 0)",
    "killing its group": "os.kill(0, 0)",
    "killing another group": "os.killpg(os.getppid(), 0)",
    "tkill": "syscall(TKILL, given[0], 0)",
    "tgkill": "syscall(TGKILL, given[0], given[0], 0)",
    "ptrace": "checked(libc.ptrace(16, given[0], 0, 0))",
    "ptrace of the server": "checked(libc.ptrace(16, os.getppid(), 0, 0))",
    "being traced": "checked(libc.ptrace(0, 0, 0, 0))",
    "process_vm_readv": "checked(libc.process_vm_readv(given[0], None, 0, None, 0, 0))",
    "process_vm_writev": "checked(libc.process_vm_writev(os.getppid(), None, 0, None, 0, 0))",
    "pidfd": "os.pidfd_open(os.getppid())",
    "prlimit": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
    "priority": "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
    "affinity": "os.sched_setaffinity(os.getppid(), [0])",
    "its own affinity": "os.sched_setaffinity(0, range(os.cpu_count()))",
    "a lock": "fcntl.flock(open(sys.executable, 'rb'), fcntl.LOCK_SH)",
    "a lock of a part": "fcntl.lockf(open(sys.executable, 'rb'), fcntl.LOCK_SH)",
    "a lease": "fcntl.fcntl(open(sys.executable, 'rb'), 1024, 0)",
    "a notice of changes": "fcntl.fcntl(os.open(os.path.dirname(os.__file__), 0), 1026, 4)",
    "a larger pipe": "fcntl.fcntl(os.pipe()[1], 1031, 1 << 20)",
    "flags of a file": "fcntl.ioctl(open(sys.executable, 'rb'), 0x40086602, struct.pack('q', 0))",
    "a version of a file": "fcntl.ioctl(open(sys.executable, 'rb'), 0x40087602, struct.pack('q', 0))",
    "what lies where in a file": "fcntl.ioctl(open(sys.executable, 'rb'), 0xC020660B, bytes(32))",
    "reading without waiting": "syscall(IO_SETUP, 1, ctypes.byref(ctypes.c_ulong(0)))",
    "scheduler": "os.sched_setscheduler(os.getppid(), os.SCHED_IDLE, os.sched_param(0))",
    "an owner of signals": "fcntl.fcntl(3, fcntl.F_SETOWN, os.getppid())",
    "which signal": "fcntl.fcntl(3, fcntl.F_SETSIG, signal.SIGKILL)",
    "an owner by ioctl": "fcntl.ioctl(3, 0x8901, struct.pack('i', os.getppid()))",
    "outliving the server": "checked(libc.prctl(1, 0, 0, 0, 0))",
    "a tracer of its choice": "checked(libc.prctl(0x59616d61, ctypes.c_ulong(-1), 0, 0, 0))",
    "shared memory": "checked(libc.shmget(0x1234, 4096, 0o1600))",
    "a queue": "checked(libc.msgget(0x1234, 0o1600))",
    "a session": "os.setsid()",
    "terminal input": "fcntl.ioctl(0, 0x5412, b'x')",
    "being root": "os.setuid(0)",
}


@pytest.mark.parametrize("body", OTHERS.values(), ids=OTHERS)
def test_other_processes_are_out_of_reach(server: ForkServer, body: str) -> None:
    column = {
        "x86_64": {"TKILL": 200, "TGKILL": 234, "IO_SETUP": 206},
        "aarch64": {"TKILL": 130, "TGKILL": 131, "IO_SETUP": 0},
    }[platform.machine()]
    for name, number in column.items():
        body = body.replace(f"syscall({name}", f"syscall({number}")
    assert re.search("not permitted|No such process|No such device", refused(server, body, os.getpid()))


def test_what_a_descriptor_is_asked_for_every_day_is_answered(server: ForkServer) -> None:
    body = """
    one, other = os.pipe()
    os.set_blocking(one, False)
    os.set_inheritable(other, True)
    again = fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, 10)
    os.write(other, b'four')
    waiting = fcntl.ioctl(again, 0x541B, bytes(4))
    return os.isatty(1), os.get_blocking(again), int.from_bytes(waiting, sys.byteorder)
    """
    with attempt(server, textwrap.dedent(body).strip()) as call:
        assert call() == (False, False, 4)


HARMLESS = [
    "its own affinity", "a lock", "a lock of a part", "a notice of changes", "a larger pipe", "killing all",
    "killing another group", "tgkill", "pidfd", "prlimit", "priority", "affinity", "an owner of signals",
    "which signal", "an owner by ioctl", "outliving the server",
]  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_without_a_jail_other_processes_are_in_reach(uncontained: ForkServer, name: str) -> None:
    numbers = {"x86_64": 234, "aarch64": 131}
    body = OTHERS[name].replace("TGKILL", str(numbers[platform.machine()])).replace("(1, 1)", "(999, 999)")
    with attempt(uncontained, body.replace("_PROCESS, os.getppid(), 19", "_PROCESS, os.getppid(), 0")) as call:
        call(os.getpid())


PROCESSES = {
    "fork": "os.fork()",
    "vfork": "checked(libc.vfork())",
    "clone3": "syscall(435, ctypes.create_string_buffer(88), 88)",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "subprocess": "subprocess.run(['true'])",
    "exec": "os.execv(sys.executable, [sys.executable])",
    "exec of memory": "os.memfd_create('x')",
    "a thread": "threading.Thread(target=print).start()",
}


@pytest.mark.parametrize("body", PROCESSES.values(), ids=PROCESSES)
def test_no_process_and_no_program_is_started(server: ForkServer, body: str) -> None:
    refused(server, body)


@pytest.mark.skipif(os.getuid() != 0, reason="the kernel lets nobody but root start processes here")
@pytest.mark.parametrize("name", ["spawn", "subprocess", "exec of memory", "a thread"])
def test_without_a_jail_root_starts_processes(uncontained: ForkServer, name: str) -> None:
    with attempt(uncontained, PROCESSES[name]) as call:
        call()


DOORS = {
    "mount": "checked(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))",
    "umount": "checked(libc.umount2(b'/proc', 2))",
    "chroot": "os.chroot('.')",
    "a user namespace": "checked(libc.unshare(0x10000000))",
    "a network namespace": "checked(libc.unshare(0x40000000))",
    "setns": "checked(libc.setns(3, 0))",
    "io_uring": "syscall(425, 8, ctypes.create_string_buffer(120))",
    "userfaultfd": "syscall({'x86_64': 323, 'aarch64': 282}[os.uname().machine], 0)",
    "bpf": "syscall({'x86_64': 321, 'aarch64': 280}[os.uname().machine], 0, None, 0)",
    "perf": "syscall({'x86_64': 298, 'aarch64': 241}[os.uname().machine], None, 0, -1, -1, 0)",
    "keys": "syscall({'x86_64': 250, 'aarch64': 219}[os.uname().machine], 0, -3, 1)",
    "openat2": "syscall(437, -100, b'/', ctypes.create_string_buffer(24), 24)",
    "open by handle": "syscall({'x86_64': 304, 'aarch64': 265}[os.uname().machine], -100, bytes(16), 0)",
    "watching files": "checked(libc.inotify_init1(0))",
    "calls that are younger than the table": "syscall(457, None, None, 0, 0)",
    "personality": "checked(libc.personality(0x0400000))",
}  # fmt: skip


@pytest.mark.parametrize("body", DOORS.values(), ids=DOORS)
def test_the_large_doors_into_the_kernel_are_shut(server: ForkServer, body: str) -> None:
    assert re.search("not permitted|not implemented", refused(server, body))


def test_it_is_nobody_and_has_no_capability_but_to_read(server: ForkServer) -> None:
    body = "data = ctypes.create_string_buffer(24)\nlibc.capget(struct.pack('<Ii', 0x20080522, 0), data)\n"
    body += "return os.getuid(), os.getgid(), os.getgroups(), list(struct.unpack('<6I', data.raw)), "
    body += "libc.prctl(39, 0, 0, 0, 0)"
    with attempt(server, body) as call:
        uid, gid, groups, capabilities, no_new_privileges = call()
    assert 0 not in (uid, gid)
    assert os.getuid() != 0 or (uid, gid, groups) == (65534, 65534, [])
    assert {*capabilities} <= {0, 1 << 2}
    assert no_new_privileges == 1


# What an attempt can still do


def test_what_learners_write_goes_on_working(server: ForkServer) -> None:
    body = (
        "import asyncio, concurrent.futures, dataclasses, inspect, json, random, re, torch, urllib.request, zoneinfo\n"
        "import numpy, triton, jaxtyping, sympy\n"
        "signal.alarm(1000)\nsignal.raise_signal(0)\nos.kill(os.getpid(), 0)\n"
        "with open(os.devnull, 'w') as sink: print('x', file=sink)\n"
        "mmap.mmap(-1, 1 << 20)\nos.urandom(8)\nos.pipe()\ntime.sleep(0.001)\nos.cpu_count()\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))\n"
        "asyncio.run(asyncio.sleep(0))\n"
        "x = torch.randn(64, 64, requires_grad=True)\ntorch.linalg.svd(x)[1].sum().backward()\n"
        "torch.conv2d(x[None, None], x[None, None, :3, :3]).sum().backward()\n"
        "torch.stft(x.flatten(), 64, return_complex=True)\n"
        "return inspect.getsource(torch.nn.Linear)[:5]"
    )
    with attempt(server, body) as call:
        assert call() == "class"


def test_a_verdict_names_the_layer_that_its_process_was_in(server: ForkServer, layer: str) -> None:
    from groundup.core.registry import Registry
    from groundup.grader.judging.judge import Judge

    gae = Registry().technique("rl/gae")
    verdict = Judge(server).grade(gae, gae.files.solution.read_text("utf-8"), "gae.py", seed=0).verdict
    assert (verdict.passed, verdict.containment) == (True, layer)


# A jail that fails runs nothing


@pytest.mark.parametrize("wall", ["_landlock", "_set_filter"])
def test_an_attempt_does_not_run_where_a_wall_cannot_be_put_up(
    layer: str, wall: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "start.py"
    text = sandbox.START.read_text("utf-8")
    sabotage = "from groundup.grader.process.worker import jail\n"
    sabotage += f"def fails(*_): raise OSError(1, 'no {wall} today')\njail.{wall} = fails\nrunpy."
    broken.write_text(text.replace("Path(__file__).parents[3]", f"Path({str(ROOT)!r})").replace("runpy.", sabotage, 1))
    monkeypatch.setattr(sandbox, "START", broken)
    kept = sandbox._own
    monkeypatch.setattr(sandbox, "_own", lambda root: [*kept(root), str(broken)])
    for folder in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o005)
    ran = tmp_path / "ran"
    program = Program(f"open({str(ran)!r}, 'w')\ndef f(): pass", "f.py", "f")
    with in_layer(layer) as server, pytest.raises(EnvironmentProblem, match=f"no {wall} today"):
        AttemptProcess(server, program, seed=0, call_seconds=5, total_seconds=5)
    assert not ran.exists()


def test_walls_that_were_taken_and_do_not_stand_are_found_out(layer: str) -> None:
    code = "from groundup.grader.process.worker import jail\n"
    code += "try: jail._see_that_they_stand()\nexcept OSError as e: print(e)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "the kernel took the rules and does not follow them\n"


# Nothing is left

JUDGE = """
import sys
from groundup.grader.process.fork_server import ForkServer

server = ForkServer()
print(server._process.pid, server.scratch, flush=True)
if sys.argv[1] == "busy":
    from groundup.grader.process.attempt import AttemptProcess, Program
    from groundup.grader.process.proxy import proxy
    process = AttemptProcess(server, Program(sys.argv[2], "f.py", "f"), seed=0, call_seconds=30, total_seconds=30)
    print("there", flush=True)
    proxy(process, "f", lambda: None)()
else:
    print("there", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["busy", "starting"])
def test_a_judge_that_is_killed_leaves_nothing(
    layer: str, state: str, tmp_path: Path, soon: Callable[..., bool], descendants: Callable[[int], list[int]]
) -> None:
    hostile = (
        "import os, signal, time\nfor n in set(range(1, 65)) - {9, 19, 32, 33}: signal.signal(n, signal.SIG_IGN)\n"
    )
    hostile += "def f():\n    while True: time.sleep(1)"
    environment = {**os.environ, sandbox.ASKED_BY: layer, "TMPDIR": str(tmp_path)}
    for folder in (tmp_path, *tmp_path.parents):
        with contextlib.suppress(PermissionError):
            folder.chmod(folder.stat().st_mode | 0o005)
    with subprocess.Popen(
        [sys.executable, "-c", JUDGE, state, hostile], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as judge:  # fmt: skip
        assert judge.stdout is not None
        pid, scratch = judge.stdout.readline().split()
        assert judge.stdout.readline() == "there\n"
        below = descendants(int(pid))
        assert len(below) > (1 if state == "busy" else 0)
        judge.send_signal(signal.SIGKILL)
    assert soon(lambda: not any(alive(process) for process in below), seconds=20)
    assert soon(lambda: not Path(scratch).exists(), seconds=5)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_server_that_is_closed_at_any_moment_of_its_start_leaves_nothing(
    layer: str, soon: Callable[..., bool]
) -> None:
    for milliseconds in range(0, 40, 3):
        with in_layer(layer) as server:
            time.sleep(milliseconds / 1000)
        scratch = server.scratch.encode()

        def left(scratch: bytes = scratch) -> list[str]:
            return [
                p.name for p in Path("/proc").glob("[0-9]*") if scratch in told(p / "cmdline") + told(p / "environ")
            ]

        assert soon(lambda left=left: not left())
        assert not Path(server.scratch).exists()


def told(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:
        return b""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


# Older kernels

OLDER = """
import os, sys
from groundup.grader.process.worker import jail

jail.landlock_abi = lambda: int(sys.argv[1])
here = os.getcwd()
jail.enter(jail.Walls(read=["/usr/lib"], list=[], work=[here + "/own"]))
open(here + "/own/a", "w").close()
os.rename(here + "/own/a", here + "/own/b")
for refused in (
    lambda: open(here + "/other"), lambda: open(here + "/other", "w"), lambda: os.truncate(here + "/other", 0),
    lambda: os.open(here + "/other", os.O_RDONLY | os.O_TRUNC), lambda: os.unlink(here + "/other"),
    lambda: os.link(here + "/other", here + "/own/c"), lambda: os.kill(os.getppid(), 0), lambda: os.fork(),
):
    try:
        refused()
    except OSError:
        continue
    sys.exit("it could")
print("contained")
"""


@pytest.mark.skipif("landlock" in sandbox.offer().lacks, reason="this kernel has no Landlock")
@pytest.mark.parametrize("abi", range(1, 8))
def test_older_landlocks_contain_too(tmp_path: Path, abi: int) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "other").write_text("kept")
    code = [sys.executable, "-c", OLDER, str(abi)]
    done = subprocess.run(code, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("contained\n", "")
    assert (tmp_path / "other").read_text() == "kept"


# The table of system calls


def test_the_numbers_of_system_calls_are_the_kernels_own() -> None:
    from groundup.grader.process.worker.system_calls import NEWEST, REFUSED, TOLD_APART

    headers = {0: Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), 1: Path("/usr/include/asm-generic/unistd.h")}
    if not all(header.exists() for header in headers.values()):
        pytest.skip("the kernel's headers are not installed")
    for column, header in headers.items():
        numbers = {n: int(v) for n, v in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())}
        for name, known in (REFUSED | TOLD_APART).items():
            assert known[column] == numbers.get(name), name
            assert (known[column] or 0) <= NEWEST


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("talk", [False, True])
def test_the_filter_of_each_processor_is_a_program_that_ends(
    monkeypatch: pytest.MonkeyPatch, machine: str, talk: bool
) -> None:
    from groundup.grader.process.worker import jail

    monkeypatch.setattr(platform, "machine", lambda: machine)
    program = jail._filter(talk=talk, pid=7)
    assert len(program) < 4096
    for at, step in enumerate(program):
        if step[0] in (jail.EQUAL, jail.ABOVE):
            assert max(step[2:]) < 256
            assert at + 1 + max(step[2:]) < len(program), "a jump leaves the program"
    assert program[-1] == jail.ALLOW
