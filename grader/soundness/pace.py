"""How long something may take on a machine that others use too."""

from __future__ import annotations

import os


def allowed(seconds: float) -> float:
    """Return what to allow for something that takes ``seconds`` where every process has a core of its own.

    Where more processes want to run than there are cores, each waits for the others. That is the machine's business and
    not the technique's: more is allowed in proportion.
    """
    if not hasattr(os, "getloadavg"):  # Windows
        return seconds
    return seconds * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
