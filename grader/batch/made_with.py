"""What a class's verdicts are made with, as digests and versions: the technique's files, the judge, its libraries."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import platform
from collections.abc import Iterable, Mapping, Sequence
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
    "helpers": Message("a module that the solution or the properties import"),
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
        found = {name: _digest_of(path) for name, path in paths.items()}
        helpers = sorted(_helpers(technique.package, (files.solution, files.properties)))
        told = [(path.as_posix().rpartition("/")[2], _digest_of(path)) for path in helpers]
        return found | ({"helpers": hashlib.sha256(repr(told).encode()).hexdigest()} if told else {})
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


def _helpers(package: str, programs: Iterable[Path]) -> set[Path]:
    """Return the modules that programs of a package import from it, directly or not, apart from those of PARTS."""
    top = package.partition(".")[0]
    if package.startswith("groundup.plugins"):
        roots = [ROOT]
    else:
        spec = importlib.util.find_spec(top)
        roots = [Path(place) for place in spec.submodule_search_locations or ()] if spec else []
    shared = [ROOT / folder for folders in PARTS.values() for folder in folders]
    todo, found = [*programs], set[Path]()
    while todo:
        places = _imported(todo.pop(), top, roots)
        files = {file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")} - found
        new = {f for f in files if f.is_file() and not any(f.resolve().is_relative_to(part) for part in shared)}
        found |= new
        todo += new
    return found


def _imported(program: Path, top: str, roots: Sequence[Path]) -> set[Path]:
    """Return where the modules and names would be that a program imports from the package ``top`` or relatively."""
    try:
        tree = ast.parse(program.read_bytes())
    except (SyntaxError, ValueError):  # loading the program says so
        return set()
    places = set[Path]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named = [alias.name.split(".") for alias in node.names]
            places |= {root.joinpath(*inner) for first, *inner in named if first == top for root in roots}
        elif isinstance(node, ast.ImportFrom):
            first, *inner = (node.module or "").split(".")
            if node.level:
                under = [program.parents[node.level - 1].joinpath(first, *inner)]
            else:
                under = [root.joinpath(*inner) for root in roots if first == top]
            places |= {*under, *(place / alias.name for place in under for alias in node.names)}
    return places


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
