"""Time limits adjusted to the load of a shared machine."""

from __future__ import annotations

import os
import time

SPUN = 0.1  # seconds of CPU time spent to measure the slowdown


def allowed(seconds: float) -> float:
    """Return the time limit here for work that takes ``seconds`` if every process has a core of its own.

    If more processes want to run than there are cores, they wait for each other. The technique is not to blame for
    that, so the limit grows in proportion.
    """
    return seconds * max(1.0, _load(), _slowed_down())


def _load() -> float:
    """Return the number of runnable processes per core, averaged over the last minute."""
    if not hasattr(os, "getloadavg"):  # Windows
        return 1.0
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _slowed_down() -> float:
    """Return this process's current ratio of wall time to CPU time."""
    began, computed = time.perf_counter(), time.process_time()
    while time.process_time() - computed < SPUN:
        pass
    return (time.perf_counter() - began) / SPUN
