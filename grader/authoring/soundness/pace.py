"""How long something may take on a machine that others use too."""

from __future__ import annotations

import os
import time

SPUN = 0.1  # seconds of computing, to see how long they take


def allowed(seconds: float) -> float:
    """Return what to allow for something that takes ``seconds`` where every process has a core of its own.

    Where more processes want to run than there are cores, each waits for the others. That is the machine's business and
    not the technique's: more is allowed in proportion.
    """
    return seconds * max(1.0, _load(), _slowed_down())


def _load() -> float:
    """Return how many processes there were for each core, averaged over the last minute."""
    if not hasattr(os, "getloadavg"):  # Windows
        return 1.0
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _slowed_down() -> float:
    """Return how many times as long as it computes this process takes just now."""
    began, computed = time.perf_counter(), time.process_time()
    while time.process_time() - computed < SPUN:
        pass
    return (time.perf_counter() - began) / SPUN
