"""The user's cache folder, and files in it that are written whole or not at all. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["cache_folder", "write_whole"]


def cache_folder() -> Path | None:
    """Return ``$XDG_CACHE_HOME/groundup``, or else ``~/.cache/groundup``; None if this user has no such folder."""
    try:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return None
    return base / "groundup" if base.is_absolute() else None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, and the folder that it is in. Whoever reads it sees all of it, or what was there before."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    try:
        os.close(descriptor)
        Path(temporary).write_bytes(content)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
