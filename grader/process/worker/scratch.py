"""The working folders of attempts."""

from __future__ import annotations

import contextlib
import itertools
import os
import secrets
import sys
import tempfile
from pathlib import Path

BYTES, MOST_FILES = 64 << 20, 4096  # of the file system in memory that holds the folders, folders counted as files
MOST_AT_ONCE = 100_000  # entries: with more than these, an attempt would delay the next one
PART = 1000


def bound(inside: str) -> bool:
    """Limit the file system in memory at ``inside`` to MOST_FILES; return whether this kernel permits it."""
    from groundup.grader.process.worker import jail

    return jail.bound_entries(inside, BYTES, MOST_FILES)


def make(inside: str) -> str:
    """Return a new folder in ``inside``, which is recreated if an uncontained attempt has removed it."""
    Path(inside).mkdir(mode=0o700, exist_ok=True)
    return tempfile.mkdtemp(prefix="attempt-", dir=inside)


def remove(folder: str, most: int = sys.maxsize) -> None:
    """Remove a folder and up to ``most`` entries in it, however deep and whatever their modes.

    Nested folders are moved to the top until none is left: their depth may exceed the limits of paths and recursion.
    """
    with contextlib.suppress(OSError):
        while found := _entries(folder):
            for path, is_folder in found:
                most -= 1
                if most < 0:
                    return
                if not is_folder:
                    os.unlink(path)  # noqa: PTH108
                    continue
                os.chmod(path, 0o700)  # noqa: PTH101
                for nested, _ in _entries(path):
                    os.rename(nested, f"{folder}/{secrets.token_hex(8)}")  # noqa: PTH104
                with contextlib.suppress(OSError):  # it held more entries than one batch
                    os.rmdir(path)  # noqa: PTH106
        os.rmdir(folder)  # noqa: PTH106


def _entries(folder: str) -> list[tuple[str, bool]]:
    with os.scandir(folder) as entries:
        part = itertools.islice(entries, PART)
        return [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in part]
