"""Another way to each computed answer of the quiz."""

from __future__ import annotations


def keys_seen(keys: int, queries: int, which: int) -> int:
    """Count the keys of one row of the triangle."""
    return sum(j <= (which - 1) + keys - queries for j in range(keys))
