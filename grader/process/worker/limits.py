"""What an attempt's process may use, set in that process before it runs a line of the attempt."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

MEMORY = 4 << 30  # address space, bytes, beyond what torch has mapped: 0.6 GiB of a CPU build, several of a CUDA one
FILE_SIZE = 16 << 20
OPEN_FILES = 64
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent's thread ends (Linux)."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Make this process the parent of every orphan among its descendants (Linux)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def limit_this_process(cpu_seconds: int, *, threads: bool = False) -> None:
    """Set the limits. A limit that this platform lacks or refuses is left as it is."""
    wanted = {
        "RLIMIT_AS": mapped() + MEMORY,
        "RLIMIT_CPU": cpu_seconds,
        "RLIMIT_FSIZE": FILE_SIZE,
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_NPROC": 0,  # no threads, no processes; counts per user and does not bind root
        "RLIMIT_CORE": 0,
    }
    if threads:
        del wanted["RLIMIT_NPROC"]
    for name, value in wanted.items():
        kind = getattr(resource, name, None)
        if kind is not None:
            with contextlib.suppress(ValueError, OSError):
                _, hard = resource.getrlimit(kind)
                bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
                # One second between the two, or SIGKILL would come first and not say why.
                resource.setrlimit(kind, (max(bound - 1, 0) if name == "RLIMIT_CPU" else bound, bound))


def children_of_this_process() -> list[int]:
    """Return the ids of all child processes (Linux; elsewhere none can be told)."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()]
    except OSError:
        return []


def mapped() -> int:
    """How much address space this process has already, in bytes (Linux; elsewhere 0)."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
