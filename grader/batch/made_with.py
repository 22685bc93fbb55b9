"""What a class's verdicts are made with, as digests and versions: the technique's files, the judge, its libraries."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path

from groundup.core.errors import PluginProblem, reason_of
from groundup.core.messages import Message
from groundup.core.technique import Technique

__all__ = ["differences", "judged_by", "made_with", "technique_files"]

ROOT = Path(__file__).parents[2]
PARTS = {"judge": ("grader/judging", "grader/process"), "testing": ("core/testing",), "core": ("core",)}
"""The folders of each part; a part leaves out what belongs to one before it."""
PACKAGES = ("hypothesis", "torch", "triton", "numpy")
WORDS = {
    "manifest": Message("the manifest"),
    "solution": Message("the solution"),
    "properties": Message("the properties"),
    "misconceptions": Message("the known mistakes"),
    "judge": Message("the judge's code"),
    "testing": Message("the code that properties are written with (core/testing)"),
    "core": Message("the shared code (core)"),
}


def made_with(technique: Technique) -> dict[str, str]:
    """Return everything that verdicts on ``technique`` depend on, besides the attempt and the settings."""
    return technique_files(technique) | judged_by()


def technique_files(technique: Technique) -> dict[str, str]:
    """Return the digest of each file that verdicts on ``technique`` depend on."""
    files = technique.files
    paths = {"manifest": files.manifest, "solution": files.solution, "properties": files.properties}
    if files.misconceptions.exists():
        paths["misconceptions"] = files.misconceptions
    try:
        return {name: _digest_of(path) for name, path in paths.items()}
    except OSError as error:
        raise PluginProblem(
            "{file} of {id} cannot be read: {why}.", file=error.filename, id=technique.id, why=reason_of(error)
        ) from error


def judged_by(root: Path = ROOT) -> dict[str, str]:
    """Return the digest of each part of the judge's code below ``root``, and the versions of Python and libraries."""
    found, seen = {}, set[Path]()
    for part, folders in PARTS.items():
        files = {file for folder in folders for file in _code(root / folder)} - seen
        seen |= files
        told = [(file.relative_to(root).as_posix(), _digest_of(file)) for file in sorted(files)]
        found[part] = hashlib.sha256(repr(told).encode()).hexdigest()
    return found | _versions()


def differences(was: Mapping[str, str], now: Mapping[str, str]) -> list[Message]:
    """Return what differs, in words."""
    return [
        WORDS.get(name) or Message("{name} {was} → {now}", name=name, was=was.get(name, "–"), now=now.get(name, "–"))
        for name in dict.fromkeys([*WORDS, *now, *was])
        if was.get(name) != now.get(name)
    ]


@functools.cache
def _versions() -> dict[str, str]:
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:  # Triton exists for Linux alone
            continue
    return found


def _code(folder: Path) -> Iterable[Path]:
    return (file for file in folder.rglob("*") if file.suffix in (".py", ".ini"))


def _digest_of(path: Path) -> str:
    stat = path.stat()
    return _digest_at(path, stat.st_mtime_ns, stat.st_size)


@functools.lru_cache(maxsize=4096)
def _digest_at(path: Path, _changed: int, _size: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
