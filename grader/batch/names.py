"""What the files of a learner are called."""

from __future__ import annotations

import hashlib

__all__ = ["file_name"]

LONGEST_NAME = 180  # bytes: what is added still fits into a name of 255


def file_name(name: str) -> str:
    """Return what the files of a learner are called: the name, unless it is too long for a file system."""
    data = name.encode()
    if len(data) <= LONGEST_NAME:
        return name
    return data[:LONGEST_NAME].decode(errors="ignore") + "-" + hashlib.sha256(data).hexdigest()[:12]
