"""The memory that the judge itself may take while it grades: an answer must not make it fill the machine."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from groundup.grader.process.worker.limits import mapped

if sys.platform != "win32":
    import resource

__all__ = ["MEMORY", "within_memory"]

MEMORY = 6 << 30
"""Address space, in bytes, beyond what is mapped when the grading begins."""


@contextlib.contextmanager
def within_memory() -> Iterator[None]:
    """Bound this process's memory inside the block: what would take more raises. Copies of the judge inherit it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    soft = min((limit for limit in before if limit != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)
    ours = mapped() + MEMORY
    if not mapped() or (soft != resource.RLIM_INFINITY and soft < ours):  # not Linux, or narrower already
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (ours, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
