"""Processor cores: counts those available for grading, and pins a judge and its attempt to one core (Linux)."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["MOST_COPIES", "cores_for_copies", "on_one_core", "some_cores", "usable"]

MOST_COPIES = 3


def usable() -> int:
    """Return how many cores this process may use at once, by its CPU affinity and its control group's quota."""
    if sys.platform != "linux":
        return os.cpu_count() or 1
    cores = len(os.sched_getaffinity(0))
    try:
        group = next(line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        quota, period = Path(f"/sys/fs/cgroup{group[3:]}/cpu.max").read_text().split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError, StopIteration):  # no control group, or its quota is "max"
        return cores


def cores_for_copies() -> int:
    """Return how many copies of a judge can have a core each; 0 on platforms other than Linux."""
    return min(usable() - 1, MOST_COPIES) if sys.platform == "linux" else 0


def some_cores(count: int) -> list[int]:
    """Return the core that this process runs on and up to ``count`` - 1 others, with numbers spread as far as possible.

    Adjacent numbers may be hyperthreads of one core. Empty where the affinity cannot be set.
    """
    if sys.platform != "linux":
        return []
    cores = sorted(os.sched_getaffinity(0))
    here = ctypes.CDLL(None).sched_getcpu()
    place, count = cores.index(here) if here in cores else 0, min(count, len(cores))
    return [cores[(place + number * len(cores) // count) % len(cores)] for number in range(count)]


@contextmanager
def on_one_core(core: int | None) -> Iterator[None]:
    """Pin this process, and processes started inside the block, to one core; None leaves the affinity unchanged.

    Judge and attempt take turns: on two cores, every turn would wait for an idle core to wake up.
    """
    if core is None or sys.platform != "linux":
        yield
        return
    cores = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        with suppress(OSError):  # the cores may no longer be available
            os.sched_setaffinity(0, cores)
