"""The processor's cores: how many there are for grading, and keeping a judge and its attempt on one (Linux)."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["MOST_COPIES", "cores_for_copies", "on_one_core", "some_cores"]

MOST_COPIES = 3


def cores_for_copies() -> int:
    """Return how many copies of a judge would each have a core here; none where processes are not forked lightly."""
    return min(len(os.sched_getaffinity(0)) - 1, MOST_COPIES) if sys.platform == "linux" else 0


def some_cores(count: int) -> list[int]:
    """Return the core that this process runs on and up to ``count`` - 1 others, as far apart as they can be.

    Neighbours may be two halves of one core. Empty where cores cannot be chosen.
    """
    if sys.platform != "linux":
        return []
    cores = sorted(os.sched_getaffinity(0))
    here = ctypes.CDLL(None).sched_getcpu()
    place, count = cores.index(here) if here in cores else 0, min(count, len(cores))
    return [cores[(place + number * len(cores) // count) % len(cores)] for number in range(count)]


@contextmanager
def on_one_core(core: int | None) -> Iterator[None]:
    """Keep this process, and what is started from it, on one core; None leaves it on all.

    Judge and attempt work in turns: on two cores, each would wait for the other's to wake up.
    """
    if core is None or sys.platform != "linux":
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
