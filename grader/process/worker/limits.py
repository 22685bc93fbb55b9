"""Resource limits of an attempt's process, set in that process before it runs a line of the attempt."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
from pathlib import Path

MEMORY = 4 << 30  # bytes of address space beyond what torch has mapped: 0.6 GiB (CPU build), several GiB (CUDA)
FILE_SIZE = 16 << 20
OPEN_FILES = 64
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36


def die_with_parent() -> None:
    """Make the kernel kill this process when its parent's thread ends (Linux)."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Make this process the parent of every orphan among its descendants (Linux)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def limit_this_process(cpu_seconds: int, *, threads: bool = False) -> None:
    """Set the limits. A limit that this platform does not have or refuses is skipped."""
    wanted = {
        "RLIMIT_AS": mapped() + MEMORY,
        "RLIMIT_CPU": cpu_seconds,
        "RLIMIT_FSIZE": FILE_SIZE,
        "RLIMIT_NOFILE": OPEN_FILES,
        "RLIMIT_NPROC": 0,  # no threads, no processes; it counts per user and does not apply to root
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
                # The soft limit is one second lower: SIGXCPU, which names the cause, then comes before SIGKILL.
                resource.setrlimit(kind, (max(bound - 1, 0) if name == "RLIMIT_CPU" else bound, bound))


def children_of_this_process() -> list[int]:
    """Return the ids of all child processes (empty on platforms other than Linux)."""
    try:
        return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text("ascii").split()]
    except OSError:
        return []


def mapped() -> int:
    """Return the mapped address space of this process in bytes (0 on platforms other than Linux)."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0)
