"""Reloads edited modules in a long-running process. Imports no torch.

Changes are detected with ``stat`` alone. If one module's file has changed, all modules of the given packages are
dropped from ``sys.modules``, so that classes and functions from the old source never mix with those from the new.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import stat
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

__all__ = [
    "Seen", "Stamp", "files_of", "forget", "have_changed", "home_of", "made_from_text", "refresh", "seen", "stamp",
]  # fmt: skip

Stamp = tuple[int, int, int]
"""A file's modification time (ns), size and inode. Editors either write in place or replace the file."""
Seen = Stamp | tuple[str, ...] | None
"""A file's stamp, or the relevant names in a folder; None if the path does not exist."""

_STAMPS: dict[str, Stamp | None] = {}
"""By module, the stamp of its file at or before the time of loading."""
_MADE_FROM_TEXT: set[str] = set()
_SLACK = 1_000_000_000  # ns; the largest expected difference between the clocks of file system and process
_BEGAN = time.time_ns() - _SLACK


def stamp(path: str | Path) -> Stamp | None:
    """Return the stamp of a file or folder, None if it does not exist."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def seen(place: str) -> Seen:
    """Return a value that changes when a file is edited, or when a folder gains or loses a file relevant to plugins.

    Relevant are modules, packages, TOML files and the metadata of distributions.
    """
    try:
        found = os.stat(place)  # noqa: PTH116  # faster than Path.stat, for hundreds of places at a time
        if not stat.S_ISDIR(found.st_mode):
            return found.st_mtime_ns, found.st_size, found.st_ino
        with os.scandir(place) as entries:
            return tuple(sorted(entry.name for entry in entries if _counts(entry)))
    except OSError:
        return None


def _counts(entry: os.DirEntry[str]) -> bool:
    name = entry.name
    if name.endswith((".py", ".toml", "-info", ".pth")):
        return True
    return name.isidentifier() and name != "__pycache__" and entry.is_dir()


def home_of(package: str) -> str:
    """Return the package to reload together with ``package``: itself for a built-in, else the outermost package.

    Namespace packages are skipped, since several distributions may share one.
    """
    if package.startswith("groundup."):
        return package
    parts = package.split(".")
    for length in range(1, len(parts)):
        outer = ".".join(parts[:length])
        if getattr(sys.modules.get(outer), "__file__", None):
            return outer
    return package


def made_from_text(name: str) -> None:
    """Exclude module ``name`` from change detection: its maker compares the source, and reloads this module alone."""
    _MADE_FROM_TEXT.add(name)


def have_changed(packages: Iterable[str]) -> bool:
    """Whether the file of a loaded module in ``packages`` has changed since it was loaded."""
    changed = False
    for name, module in _loaded(packages):
        if name in _MADE_FROM_TEXT:
            continue
        now = stamp(str(module.__file__))
        if name not in _STAMPS and (now is None or now[0] < _BEGAN):
            _STAMPS[name] = now
        changed |= name not in _STAMPS or _STAMPS[name] != now
    return changed


def files_of(packages: Iterable[str]) -> list[str]:
    """Return the files of the loaded modules of ``packages``, except modules made from text."""
    return [str(module.__file__) for name, module in _loaded(packages) if name not in _MADE_FROM_TEXT]


def forget(packages: Iterable[str]) -> None:
    """Drop the modules of ``packages``, so that the next import loads them again."""
    for name, module in _loaded(packages):
        file = str(module.__file__)
        _STAMPS[name] = stamp(file)
        del sys.modules[name]
        outer, _, last = name.rpartition(".")
        if outer in sys.modules and vars(sys.modules[outer]).get(last) is module:
            delattr(sys.modules[outer], last)
        with suppress(OSError, NotImplementedError):  # a .pyc is checked only by the source's size and mtime in seconds
            Path(importlib.util.cache_from_source(file)).unlink(missing_ok=True)
    importlib.invalidate_caches()


def refresh(packages: Iterable[str]) -> bool:
    """Forget the modules of ``packages`` if the file of one has changed; return whether it has."""
    packages = tuple(packages)
    changed = have_changed(packages)
    if changed:
        forget(packages)
    return changed


def _loaded(packages: Iterable[str]) -> Iterator[tuple[str, ModuleType]]:
    names = frozenset(packages)
    outermost = {name.partition(".")[0] for name in names}
    below = tuple(f"{name}." for name in names)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] not in outermost or not (name in names or name.startswith(below)):
            continue
        if str(getattr(module, "__file__", "")).endswith(".py"):
            yield name, module
