"""Shared by all tests: they leave no warm judge and nothing in the user's cache, and use the terminal's real width."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["LEARN_WARM"] = "0"  # the warm judge's own tests turn it on, and end it
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job: tests press Ctrl-C all the same
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def cache() -> Iterator[None]:
    """Keep the indices of plugins in a folder of this test run; matplotlib keeps its own cache."""
    os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib"))
    with tempfile.TemporaryDirectory(prefix="cache-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        yield


@pytest.fixture(scope="session")
def soon() -> Callable[..., bool]:
    """Whether something holds within a few seconds."""

    def holds_soon(holds: Callable[[], bool], seconds: float = 2.0) -> bool:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    return holds_soon
