"""Modules as their files read now, in a process that outlives an edit of them. Imports no torch.

A module's file is looked at only with ``stat``. Where one has changed, every module of its packages is forgotten: what
was made from the older text, a class or a helper's function, must not meet what is made from the newer one.
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
"""Of a file: when it was modified (ns), its size, its inode. Editors write in place or put a new file there."""
Seen = Stamp | tuple[str, ...] | None
"""Of a file its stamp, of a folder the names in it that count, None where there is nothing."""

_STAMPS: dict[str, Stamp | None] = {}
"""By module, the stamp of its file no later than it was loaded."""
_MADE_FROM_TEXT: set[str] = set()
_SLACK = 1_000_000_000  # ns by which the clocks of file system and process may differ
_BEGAN = time.time_ns() - _SLACK


def stamp(path: str | Path) -> Stamp | None:
    """Return the stamp of a file or folder, None where there is none."""
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def seen(place: str) -> Seen:
    """Return what tells whether a file was changed, or whether a folder has gained or lost what plugins are made of.

    These are modules and packages, files in TOML, and what tells of distributions.
    """
    try:
        found = os.stat(place)  # noqa: PTH116  # of hundreds at a time
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
    """Return the package whose modules belong together with ``package``: a built-in's own, else the outermost one.

    A namespace package, which several distributions may share, does not count.
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
    """Keep that module ``name`` is read and compared by whoever made it: its file alone changes no other module."""
    _MADE_FROM_TEXT.add(name)


def have_changed(packages: Iterable[str]) -> bool:
    """Whether the file of a loaded module in ``packages`` is another one than was loaded."""
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
    """Return the files of the modules of ``packages`` that are loaded, but for those that are read by who made them."""
    return [str(module.__file__) for name, module in _loaded(packages) if name not in _MADE_FROM_TEXT]


def forget(packages: Iterable[str]) -> None:
    """Have the modules of ``packages`` loaded anew by whoever imports them next."""
    for name, module in _loaded(packages):
        file = str(module.__file__)
        _STAMPS[name] = stamp(file)
        del sys.modules[name]
        outer, _, last = name.rpartition(".")
        if outer in sys.modules and vars(sys.modules[outer]).get(last) is module:
            delattr(sys.modules[outer], last)
        with suppress(OSError, NotImplementedError):  # it tells a second and a size apart, and no more
            Path(importlib.util.cache_from_source(file)).unlink(missing_ok=True)
    importlib.invalidate_caches()


def refresh(packages: Iterable[str]) -> bool:
    """Forget the modules of ``packages`` where the file of one has changed; return whether."""
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
