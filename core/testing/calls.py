"""Several calls at once, where each would otherwise be a message of its own to the attempt's process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["each"]


def each(method: Callable[..., Any], calls: Sequence[tuple[Any, ...]]) -> list[Any]:
    """Return the answers of ``method`` to each of ``calls``, made one after another.

    For calls that do not depend on each other's answers; together they have the time of one. Raises what the first one
    raises that does; those after it are not made.
    """
    together: Callable[[Sequence[tuple[Any, ...]]], list[Any]] | None = getattr(method, "each", None)
    return [method(*call) for call in calls] if together is None else together(calls)
