"""What all tests share: no grade of theirs leaves a warm judge behind, and a terminal is as wide as it is."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

os.environ["LEARN_WARM"] = "0"  # its own tests turn it on, and end it
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it


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
