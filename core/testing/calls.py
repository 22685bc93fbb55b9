"""Batches several calls into one message to the attempt's process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["each"]


def each(method: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the answers of ``method`` to each of ``calls``, made one after another.

    For calls that do not depend on each other's answers. Together they share the time limit of one call. An exception
    in one call is raised here, and the later calls are not made.
    """
    together: Callable[[Sequence[tuple[Any, ...]]], list[Any]] | None = getattr(method, "each", None)
    return [method(*call) for call in calls] if together is None else together(calls)
