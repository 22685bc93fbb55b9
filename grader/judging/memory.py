"""Limits the judge's own memory while it grades, so that a huge answer cannot exhaust the machine's."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

from groundup.grader.process.worker.limits import mapped

if sys.platform != "win32":
    import resource

__all__ = ["MEMORY", "within_memory"]

MEMORY = 6 << 30
"""Address space, in bytes, that may be mapped in addition to what is mapped when grading begins."""


@contextlib.contextmanager
def within_memory() -> Iterator[None]:
    """Limit this process's memory inside the block; an allocation beyond it raises. Copies of the judge inherit it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    soft = min((limit for limit in before if limit != resource.RLIM_INFINITY), default=resource.RLIM_INFINITY)
    ours = mapped() + MEMORY
    if not mapped() or (soft != resource.RLIM_INFINITY and soft < ours):  # not Linux, or a stricter limit is set
        yield
        return
    resource.setrlimit(resource.RLIMIT_AS, (ours, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
