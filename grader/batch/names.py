"""File names of learners."""

from __future__ import annotations

import hashlib

__all__ = ["file_name"]

LONGEST_NAME = 180  # bytes: leaves room for additions in a name of 255


def file_name(name: str) -> str:
    """Return the file name for a learner: the learner's name, shortened if it is too long for a file system."""
    data = name.encode()
    if len(data) <= LONGEST_NAME:
        return name
    return data[:LONGEST_NAME].decode(errors="ignore") + "-" + hashlib.sha256(data).hexdigest()[:12]
